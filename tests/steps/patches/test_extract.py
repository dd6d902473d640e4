"""Extracting on a workspace: the drop-in's voxels, from the original that was registered."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.cli.patch_corrections import main
from core.corrections.collect import collect
from core.imaging.formats import source
from core.imaging.geometry import Zyx
from core.imaging.hashes import content_hash
from core.lab.lab import Lab
from core.labels.review import withdraw
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.tomograms.source_files import file_to_hash, note_hash
from db.errors import NotAllowedError, UnknownNameError
from db.queries.life import EventFilter, list_events
from db.queries.volumes import get_tomogram
from db.vocabulary import ChosenBecause, NearBorder, Stage
from db.writes.events import Change
from db.writes.patches import change_patch

GOLD = Path(__file__).parents[2] / "data" / "gold"
EXTRACT = {case["name"]: case for case in json.loads((GOLD / "extract.json").read_text())}
MISSED = ChosenBecause.MISSED_MEMBRANE


def write(path: Path, voxels: np.ndarray) -> Path:
    with mrcfile.new(path) as mrc:
        mrc.set_data(voxels)
        mrc.voxel_size = 10.0
    return path


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gold's tomogram and segmentation, plain."""
    folder = tmp_path_factory.mktemp("gold")
    for name in ("tomo", "tomo_seg"):
        with gzip.open(GOLD / "inputs" / f"{name}.mrc.gz") as packed:
            (folder / f"{name}.mrc").write_bytes(packed.read())
    return folder


def take(lab: Any, tomogram: Path, segmentation: Path, token: str = "tomo", **stated: Any) -> None:
    pairings = plan_registration(
        lab.workspace, [tomogram], segmentation=segmentation, token=token, **stated
    )
    (outcome,) = register(Lab(lab.workspace, lab.admin), pairings, add_roots=True)
    assert outcome.outcome == "done", outcome.message


def cut(lab: Any, token: str, *centers: Zyx, **how: Any) -> list[Any]:
    choose(lab.by.annika, token, centers, reason=MISSED, **how)
    return list(extract(lab.by.annika))


def sha256(voxels: np.ndarray) -> str:
    return hashlib.sha256(voxels.tobytes()).hexdigest()


def test_extracted_voxels_are_those_of_membrain_seg(lab: Any, gold: Path) -> None:
    take(lab, gold / "tomo.mrc", gold / "tomo_seg.mrc")
    outcomes = cut(lab, "tomo", Zyx(100, 160, 128), Zyx(90, 200, 100), Zyx(110, 120, 150))
    assert [each.outcome for each in outcomes] == ["done"] * 3
    for expected in EXTRACT["e02_csv_multi"]["outputs"]:
        voxels = lab.read(lab.folders.patches / expected["file"])
        assert list(voxels.shape) == expected["shape_zyx"]
        key = "sha256_of_voxels_zyx" if "dtype" in expected else "sha256_of_uint8_voxels_zyx"
        assert sha256(voxels) == expected[key]


def test_the_files_are_those_of_the_drop_in_byte_for_byte(
    lab: Any, gold: Path, tmp_path: Path
) -> None:
    take(lab, gold / "tomo.mrc", gold / "tomo_seg.mrc")
    (outcome,) = cut(lab, "tomo", Zyx(100, 160, 128))
    arguments = ["extract_patches", "--tomogram-path", str(gold / "tomo.mrc")]
    arguments += ["--segmentation-path", str(gold / "tomo_seg.mrc"), "--token", "tomo"]
    arguments += ["--out-folder", str(tmp_path), "--x", "128", "--y", "160", "--z", "100"]
    assert main(arguments) == 0
    for kind in ("imagesCorr", "labelsCorr"):
        ours = lab.folders.patches / kind / f"{outcome.name}.nii.gz"
        assert ours.read_bytes() == (tmp_path / kind / f"{outcome.name}.nii.gz").read_bytes()
    # And the drop-in finds its own work in the workspace's folder.
    arguments[arguments.index("--out-folder") + 1] = str(lab.folders.patches)
    assert main(arguments) == 0


@pytest.mark.parametrize("dtype", ["float16", "int16", ">i2", "float32"])
def test_the_tomogram_s_type_is_kept_where_nifti_has_it(
    dtype: str, lab: Any, tmp_path: Path
) -> None:
    voxels = np.random.default_rng(1).integers(-9, 9, (160, 160, 160)).astype(dtype)
    take(
        lab,
        write(tmp_path / "t.mrc", voxels),
        write(tmp_path / "s.mrc", np.zeros(voxels.shape, "i1")),
    )
    (outcome,) = cut(lab, "tomo", Zyx(80, 80, 80))
    image = lab.read(lab.folders.image_of(outcome.name))
    assert image.dtype == (np.float32 if dtype == "float16" else np.dtype(dtype).newbyteorder("="))
    assert (image == voxels).all()
    assert lab.patch(outcome.name).image_hash == content_hash(image)


def test_a_compressed_tomogram_is_inflated_once_for_all_its_patches(
    lab: Any, gold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = Path(shutil.copy(GOLD / "inputs" / "tomo.mrc.gz", tmp_path))
    take(lab, packed, gold / "tomo_seg.mrc")
    choose(
        lab.by.annika,
        "tomo",
        [Zyx(100, 160, 128), Zyx(90, 200, 100)],
        reason=MISSED,
    )
    inflated, unpack = [], source.Source._inflate

    def counted(self: Any) -> Any:
        inflated.append(self.path)
        return unpack(self)

    monkeypatch.setattr(source.Source, "_inflate", counted)
    assert [each.outcome for each in extract(lab.by.annika)] == ["done"] * 2
    assert inflated == [packed]


def test_what_was_cut_is_recorded(lab: Any) -> None:
    patch = lab.patch()
    assert (patch.stage, patch.voxel_size) == (Stage.EXTRACTED, 10.0)
    assert patch.label_hash == content_hash(lab.label())
    assert patch.image_hash == content_hash(lab.read(lab.folders.image_of(lab.name)))
    assert lab.folders.corrections_of(lab.name).is_dir()
    with lab.workspace.catalog.read() as session:
        actions = [e.action for e in list_events(session, EventFilter(patch_id=patch.id))]
    assert actions == ["extracted", "patch chosen"]


def test_a_second_run_keeps_everything(lab: Any) -> None:
    assert extract(lab.by.annika) == ()
    before = [path.stat() for path in sorted(lab.folders.patches.rglob("*.nii.gz"))]
    version = lab.patch().version
    outcomes = extract(lab.by.annika, lab.names)
    assert [each.outcome for each in outcomes] == ["kept"] * 3
    after = [path.stat() for path in sorted(lab.folders.patches.rglob("*.nii.gz"))]
    assert [(s.st_ino, s.st_mtime_ns) for s in before] == [(s.st_ino, s.st_mtime_ns) for s in after]
    assert lab.patch().version == version


def test_files_that_are_gone_are_cut_again_as_they_were(lab: Any) -> None:
    image, label = lab.folders.image_of(lab.name), lab.folders.label_of(lab.name)
    before = image.read_bytes(), label.read_bytes()
    image.unlink()
    label.unlink()
    (outcome,) = extract(lab.by.annika, [lab.name])
    assert outcome.outcome == "done"
    assert (image.read_bytes(), label.read_bytes()) == before


def test_another_file_of_this_name_is_not_overwritten(lab: Any, gold: Path) -> None:
    take(lab, gold / "tomo.mrc", gold / "tomo_seg.mrc")
    shutil.copy(lab.folders.image_of(lab.name), lab.folders.image_of("other_tomo_patch0"))
    before = lab.folders.image_of("other_tomo_patch0").read_bytes()
    first, second = cut(lab, "tomo", Zyx(100, 160, 128), Zyx(90, 200, 100))
    assert (first.outcome, second.outcome) == ("failed", "done")
    assert "holds other voxels than other_tomo_patch0" in first.message
    assert lab.folders.image_of("other_tomo_patch0").read_bytes() == before
    assert not lab.folders.label_of("other_tomo_patch0").exists()
    assert lab.patch("other_tomo_patch0").stage is Stage.CHOSEN


def test_a_tomogram_that_changed_since_it_was_registered_is_refused(
    lab: Any, gold: Path, tmp_path: Path
) -> None:
    tomogram = Path(shutil.copy(gold / "tomo.mrc", tmp_path))
    take(lab, tomogram, gold / "tomo_seg.mrc")
    choose(lab.by.annika, "tomo", [Zyx(100, 160, 128)], reason=MISSED)
    with tomogram.open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\1\2\3\4")
    (outcome,) = extract(lab.by.annika)
    assert outcome.outcome == "failed"
    assert f"{tomogram}: changed since it was registered (its modif" in (outcome.message or "")
    with tomogram.open("ab") as file:
        file.write(b"more")
    (outcome,) = extract(lab.by.annika)
    assert "bytes then" in (outcome.message or "")
    assert list(lab.folders.images.glob("other_tomo*")) == []


def test_a_tomogram_that_was_only_copied_anew_is_known_by_its_hash(
    lab: Any, gold: Path, tmp_path: Path
) -> None:
    tomogram = Path(shutil.copy(gold / "tomo.mrc", tmp_path))
    take(lab, tomogram, gold / "tomo_seg.mrc")
    with lab.workspace.catalog.read() as session:
        name = f"tomogram-{get_tomogram(session, 'tomo').id}"
    hashed = hashlib.sha256(file_to_hash(lab.workspace, name).read_bytes()).hexdigest()
    note_hash(lab.workspace, lab.admin, name, hashed)
    tomogram.touch()
    (outcome,) = cut(lab, "tomo", Zyx(100, 160, 128))
    assert outcome.outcome == "done", outcome.message


def test_a_link_that_leads_out_of_the_data_root_is_refused(
    lab: Any, gold: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "root"
    folder.mkdir()
    tomogram = Path(shutil.copy(gold / "tomo.mrc", folder))
    take(lab, tomogram, gold / "tomo_seg.mrc")
    choose(lab.by.annika, "tomo", [Zyx(100, 160, 128)], reason=MISSED)
    tomogram.unlink()
    tomogram.symlink_to(shutil.copy(gold / "tomo.mrc", tmp_path / "elsewhere.mrc"))
    (outcome,) = extract(lab.by.annika)
    assert outcome.outcome == "failed"
    assert "lies below no data root" in (outcome.message or "")


def test_scores_take_the_segmentation_s_threshold(lab: Any, tmp_path: Path) -> None:
    scores = np.random.default_rng(2).normal(size=(160, 160, 160)).astype(np.float32)
    tomogram = write(tmp_path / "t.mrc", np.zeros(scores.shape, "i1"))
    segmentation = write(tmp_path / "s.mrc", scores)
    take(lab, tomogram, segmentation, threshold=0.5)
    (outcome,) = cut(lab, "tomo", Zyx(80, 80, 80))
    core = np.s_[16:144, 16:144, 16:144]
    assert (lab.label(outcome.name)[core] == (scores > 0.5)[core]).all()
    assert lab.patch(outcome.name).threshold == 0.5


def test_a_padded_patch_is_the_mean_outside_and_ignored(lab: Any, gold: Path) -> None:
    take(lab, gold / "tomo.mrc", gold / "tomo_seg.mrc")
    (outcome,) = cut(lab, "tomo", Zyx(100, 160, 60), near_border=NearBorder.PAD)
    assert outcome.outcome == "done"
    assert (lab.label(outcome.name)[:, :, :20] == 2).all()
    assert np.ptp(lab.read(lab.folders.image_of(outcome.name))[:, :, :20]) == 0


def test_a_dry_run_writes_nothing(lab: Any, gold: Path) -> None:
    take(lab, gold / "tomo.mrc", gold / "tomo_seg.mrc")
    choose(lab.by.annika, "tomo", [Zyx(100, 160, 128)], reason=MISSED)
    before = sorted(lab.folders.root.rglob("*.nii.gz"))
    (outcome,) = extract(lab.by.annika, dry_run=True)
    assert (outcome.outcome, outcome.details["ignore"] > 0) == ("done", True)
    assert sorted(lab.folders.root.rglob("*.nii.gz")) == before
    assert lab.patch(outcome.name).stage is Stage.CHOSEN


def test_a_withdrawn_patch_is_not_cut(lab: Any, gold: Path) -> None:
    take(lab, gold / "tomo.mrc", gold / "tomo_seg.mrc")
    (chosen,) = choose(lab.by.annika, "tomo", [Zyx(100, 160, 128)], reason=MISSED)
    withdraw(lab.by.cora, chosen.name, "a bead")
    assert extract(lab.by.annika) == ()
    (outcome,) = extract(lab.by.annika, [chosen.name])
    assert "is withdrawn" in (outcome.message or "")


def test_who_may_not_and_what_is_not_there(lab: Any) -> None:
    with pytest.raises(NotAllowedError):
        extract(lab.by.vera)
    with pytest.raises(UnknownNameError, match="did you mean other_TS_001_patch"):
        extract(lab.by.annika, ["other_TS_001_patch"])


def test_all_cuts_images_that_are_gone_again_with_the_same_bytes_and_keeps_their_stage(
    lab: Any,
) -> None:
    first, second, _ = lab.names
    lab.save("Add1.nrrd", np.s_[80, 80, 70:90])
    collect(lab.by.cora)
    image, before = lab.folders.image_of(first), lab.patch(first)
    kept = image.read_bytes()
    for name in (first, second):
        lab.folders.image_of(name).unlink()
    assert {each.name: each.outcome for each in extract(lab.by.annika)} == {
        first: "done",
        second: "done",
    }
    assert image.read_bytes() == kept
    assert lab.patch(first) == before
    assert before.stage is not Stage.CHOSEN
    image.unlink()
    with lab.workspace.catalog.write() as session:
        change = Change.now(lab.admin.id)
        change_patch(session, change, lab.patch(first), "edited", image_hash="0" * 64)
    (outcome,) = extract(lab.by.annika)
    assert (outcome.name, outcome.outcome) == (first, "failed")
    assert "its image would come out otherwise" in (outcome.message or "")
    assert not image.exists()
