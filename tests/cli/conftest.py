"""A small workspace that commands work on, and calls of the command line as a person makes them."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.cli.main import main
from core.imaging.correction import write_correction
from core.imaging.geometry import Zyx, box_around
from core.imaging.patch import patch_grid
from db.vocabulary import CorrectionKind

SHAPE = (180, 200, 220)
CENTER = Zyx(90, 100, 110)
PATCH = "other_TS_001_patch0"


@dataclass
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Lab:
    """A workspace with one tomogram, driven by commands."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.data, self._capsys = folder, folder.parent / "data", capsys

    def __call__(self, *words: str) -> Said:
        """Run a command; whatever it says, it is never a traceback."""
        self._capsys.readouterr()
        status = main([str(word) for word in words])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        assert "please report it" not in err, err
        return Said(status, out, err)

    def done(self, *words: str) -> Said:
        said = self(*words)
        assert said.status == 0, said.err + said.out
        return said

    def paint(self, name: str = "Add1.nrrd", patch: str = PATCH, at: int = 60) -> Path:
        """Save a correction as an annotator does: one cube."""
        folder = self.folder / "corrections" / patch
        folder.mkdir(exist_ok=True)
        painted = np.zeros((160, 160, 160), bool)
        painted[at : at + 9, 50:60, 50:60] = True
        write_correction(
            folder / name, painted, patch_grid(box_around(CENTER), 10.0), CorrectionKind.ADD
        )
        return folder / name

    def merged(self) -> str:
        """A patch that has its first training label."""
        self.paint()
        self.done("collect")
        self.done("merge", "--all")
        return PATCH


def save(path: Path, voxels: np.ndarray) -> Path:
    with mrcfile.new(path) as mrc:
        mrc.set_data(voxels)
        mrc.voxel_size = 10.0
    return path


@pytest.fixture(scope="session")
def _lab_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a registered tomogram and an extracted patch, and its data beside it."""
    folder = tmp_path_factory.mktemp("lab")
    data = folder / "data"
    data.mkdir()
    density = np.zeros(SHAPE, np.int8)
    density[:, 90:95] = -50
    prediction = np.zeros(SHAPE, np.int8)
    prediction[:, 90:95, 20:200] = 1
    tomogram = save(data / "TS_001.mrc", density)
    segmentation = save(data / "TS_001_v10.ckpt_segmented.mrc", prediction)
    here = ["--workspace", str(folder / "lab")]
    register = ["register", str(tomogram), "--segmentation", str(segmentation)]
    at = ",".join(map(str, CENTER.to_xyz()))
    assert main(["init", str(folder / "lab"), "--name", "Ada"]) == 0
    assert main([*register, *here]) == 0
    assert main(["choose", "TS_001", "--at", at, *here]) == 0
    assert main(["extract", "--all", *here]) == 0
    return folder


@pytest.fixture
def lab(
    _lab_template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Lab:
    """A copy of the workspace; the data stays where it was registered."""
    shutil.copytree(_lab_template / "lab", tmp_path / "lab")
    monkeypatch.setenv("TOMOCURATE_WORKSPACE", str(tmp_path / "lab"))
    monkeypatch.chdir(tmp_path)
    lab = Lab(tmp_path / "lab", capsys)
    lab.data = _lab_template / "data"
    return lab
