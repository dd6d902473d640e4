"""patch_corrections merge_corrections: one bad file stops no other patch, and none is silent."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cli.patch_corrections import main
from core.imaging.correction import write_correction
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid, whole
from db.vocabulary import CorrectionKind

SHAPE = (40, 44, 48)
GRID = Grid.aligned(10.0, (100.0, 200.0, 300.0))
ADD, REMOVE, IGNORE = CorrectionKind.ADD, CorrectionKind.REMOVE, CorrectionKind.IGNORE


class Folders:
    """The guide's three folders, with labels a and b."""

    def __init__(self, root: Path) -> None:
        self.labels, self.corrections, self.out = (root / n for n in ("labels", "corr", "out"))
        for folder in (self.labels, self.corrections):
            folder.mkdir()
        self.label = np.zeros(SHAPE, np.uint8)
        self.label[:, 20:24] = 1
        for name in "ab":
            write_nifti(self.labels / f"{name}.nii.gz", self.label, GRID)

    def paint(self, patch: str, kind: CorrectionKind, where: Any, name: str = "") -> np.ndarray:
        (self.corrections / patch).mkdir(exist_ok=True)
        mask = np.zeros(SHAPE, bool)
        mask[where] = True
        path = self.corrections / patch / (name or f"{kind.capitalize()}1.nrrd")
        write_correction(path, mask, GRID, kind)
        return mask

    def merge(self, *more: str) -> int:
        options = ["--labels-dir", self.labels, "--corrections-dir", self.corrections]
        return main(["merge_corrections", *map(str, [*options, "--out-dir", self.out]), *more])

    def merged(self, name: str) -> np.ndarray:
        with open_volume(self.out / f"{name}.nii.gz") as volume:
            return volume.read(whole(volume.shape))

    def written(self) -> list[str]:
        return sorted(p.name for p in self.out.iterdir()) if self.out.exists() else []


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


HERE = np.s_[18:22, 20:26, 20:24]


def test_a_label_keeps_its_place_and_gets_all_three_kinds(folders: Folders) -> None:
    folders.paint("a", REMOVE, np.s_[18:22, 20:24, 20:22])
    folders.paint("a", ADD, np.s_[18:22, 25:27, 20:22])
    folders.paint("a", IGNORE, np.s_[18:22, 17, 20:22])
    assert folders.merge() == 0
    merged = folders.merged("a")
    assert (merged[18:22, 20:24, 20:22] == 0).all()
    assert (merged[18:22, 25:27, 20:22] == 1).all()
    assert (merged[18:22, 17, 20:22] == 2).all()
    with open_volume(folders.out / "a.nii.gz") as volume:
        assert volume.grid == GRID
        assert volume.dtype == np.uint8


def test_the_report_counts_what_changed(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.paint("a", ADD, np.s_[10:22, 18:26, 20:24])
    folders.paint("a", IGNORE, np.s_[20:22, 18:26, 20:24])
    assert folders.merge("--json") == 0
    a = json.loads(capsys.readouterr().out)["patches"][0]
    counts = {"added": 4 * 4 * 4, "removed": 0, "ignored": 2 * 8 * 4}
    assert a["counts"] == counts | {"contested": 2 * 8 * 4, "lost_in_border": 6 * 8 * 4}


def test_a_refused_correction_keeps_its_patch_from_being_written_and_no_other(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.paint("a", ADD, HERE)
    (folders.corrections / "a" / "Remove1.nrrd").write_bytes(b"NRRD0004\nbroken")
    folders.paint("b", ADD, HERE)
    assert folders.merge() == 1
    assert folders.written() == ["b.nii.gz"]
    assert "Remove1.nrrd" in capsys.readouterr().err


def test_a_label_without_a_folder_is_listed_and_fine(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.paint("a", ADD, HERE)
    assert folders.merge() == 0
    assert folders.written() == ["a.nii.gz"]
    assert "no correction folder" in capsys.readouterr().out


def test_a_folder_without_a_label_is_named_with_its_nearest_match(
    tmp_path: Path, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders.corrections / "other_TS_001_patch0").mkdir()
    write_nifti(folders.labels / "other_TS_001_patch1.nii.gz", folders.label, GRID)
    folders.paint("a", ADD, HERE)
    assert folders.merge() == 1
    assert "did you mean other_TS_001_patch1?" in capsys.readouterr().err
    assert folders.written() == ["a.nii.gz"]


def test_a_raw_prediction_becomes_a_label_only_when_that_is_stated(folders: Folders) -> None:
    (folders.corrections / "a").mkdir()
    assert folders.merge() == 0
    assert folders.written() == []
    assert folders.merge("--nothing-to-change") == 0
    assert folders.written() == ["a.nii.gz"]
    assert (folders.merged("a")[16:-16, 20:24, 16:-16] == 1).all()


def test_strays_anywhere_are_listed_and_harmless(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.paint("a", ADD, HERE)
    for folder in (folders.labels, folders.corrections, folders.corrections / "a"):
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (folder / "notes.txt").write_text("stray")
        (folder / "Add_old").mkdir() if folder.name == "a" else None
    assert folders.merge() == 0
    out = capsys.readouterr().out
    assert "not a correction: .DS_Store, Add_old, notes.txt" in out
    assert str(folders.labels / "notes.txt") in out


def test_the_same_merge_again_changes_nothing(folders: Folders) -> None:
    folders.paint("a", ADD, HERE)
    assert folders.merge() == 0
    before = (folders.out / "a.nii.gz").stat().st_mtime_ns
    assert folders.merge() == 0
    assert (folders.out / "a.nii.gz").stat().st_mtime_ns == before


def test_a_label_that_differs_is_overwritten_only_when_that_is_said(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.paint("a", ADD, HERE)
    assert folders.merge() == 0
    before = (folders.out / "a.nii.gz").read_bytes()
    folders.paint("a", IGNORE, HERE)
    assert folders.merge() == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (folders.out / "a.nii.gz").read_bytes() == before
    assert folders.merge("--overwrite") == 0
    assert (folders.merged("a")[HERE] == 2).all()


def test_the_labels_folder_is_no_place_for_the_output(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.paint("a", ADD, HERE)
    folders.out = folders.labels
    before = (folders.labels / "a.nii.gz").read_bytes()
    assert folders.merge("--overwrite") == 1
    assert "predictions stay" in capsys.readouterr().err
    assert (folders.labels / "a.nii.gz").read_bytes() == before


def test_one_patch_as_two_labels_is_refused_not_guessed(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nifti(folders.labels / "a.nii", folders.label, GRID)
    folders.paint("a", ADD, HERE)
    assert folders.merge() == 1
    assert "a.nii and a.nii.gz" in capsys.readouterr().err
    assert folders.written() == []


def test_a_label_with_other_values_is_refused(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nifti(folders.labels / "a.nii.gz", folders.label * 7, GRID)
    folders.paint("a", ADD, HERE)
    assert folders.merge() == 1
    assert "a.nii.gz: holds the values 7" in capsys.readouterr().err


def test_a_fifo_in_a_correction_folder_is_refused_and_not_waited_for(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.paint("a", ADD, HERE)
    os.mkfifo(folders.corrections / "a" / "Remove1.nrrd")
    assert folders.merge() == 1
    assert "not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["labels", "corrections"])
def test_a_missing_folder_is_named(
    folders: Folders, capsys: pytest.CaptureFixture[str], missing: Any
) -> None:
    gone = folders.labels.parent / "gone"
    setattr(folders, missing, gone)
    assert folders.merge() == 1
    assert str(gone) in capsys.readouterr().err


def test_control_characters_of_a_file_name_do_not_reach_the_terminal(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders.corrections / "a").mkdir()
    (folders.corrections / "a" / "Add\x1b[2J.nrrd").write_bytes(b"x")
    assert folders.merge() == 1
    captured = capsys.readouterr()
    assert "\x1b" not in captured.err + captured.out


def test_without_any_option_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge_corrections"]) == 2
    out = capsys.readouterr()
    assert "Remove1.nrrd" in out.out + out.err


def test_a_missing_option_is_wrong_usage_where_nobody_can_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["merge_corrections", "--labels-dir", "x"]) == 2
    assert "--corrections-dir" in capsys.readouterr().err
