"""A workspace of an older release opens after a migration, and its work goes on."""

import json
import zipfile
from pathlib import Path

import pytest

from core.cli.main import main
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole
from core.imaging.hashes import content_hash

OLDER = Path(__file__).parents[1] / "data" / "workspaces" / "0.1.0.zip"
MADE_AT = "/tmp/old-lab/data"
"""Where the tomograms lay when the file was made."""

STAGES = {
    "cells_TS_001_patch0": "accepted",
    "cells_TS_001_patch1": "correcting",
    "cells_TS_002_patch0": "accepted",
    "cells_TS_002_patch1": "correcting",
}


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with zipfile.ZipFile(OLDER) as archive:
        archive.extractall(tmp_path)
    monkeypatch.setenv("TOMOCURATE_WORKSPACE", str(tmp_path / "lab"))
    assert main(["migrate"]) == 0
    assert main(["roots", "move", MADE_AT, str(tmp_path / "data")]) == 0
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], *command: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return rows


def test_every_patch_is_at_its_stage_and_every_label_can_be_made_again(
    older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patches = listed(capsys, "patches")
    assert {patch["name"]: patch["stage"] for patch in patches} == STAGES
    assert main(["merge", "--all", "--verify"]) == 0
    assert main(["doctor"]) in (0, 1)
    assert "bad" not in {row.get("level") for row in listed_or_none(capsys)}


def listed_or_none(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    main(["doctor", "--json"])
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return rows


def test_work_that_was_begun_is_finished_and_exported(
    older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in ("merge", "submit", "accept"):
        assert main([step, "cells_TS_001_patch1"]) == 0, step
    assert main(["show", "cells_TS_001_patch0"]) == 0
    assert "is this the outer membrane?" in capsys.readouterr().out
    out = older / "set"
    assert main(["export", "training-set", str(out)]) == 0
    labels = sorted(path.name for path in out.rglob("labels*/*.nii.gz"))
    assert len(labels) == 3


def test_a_patch_is_cut_again_with_the_same_voxels(older: Path) -> None:
    image = older / "lab" / "patches" / "imagesCorr" / "cells_TS_001_patch1.nii.gz"
    with open_volume(image) as volume:
        before = content_hash(volume.read(whole(volume.shape)))
    image.unlink()
    assert main(["extract", "--all"]) == 0
    with open_volume(image) as volume:
        assert content_hash(volume.read(whole(volume.shape))) == before
