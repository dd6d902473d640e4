"""A lab whose tomogram has three extracted patches; made once, copied for each test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.access import people
from core.access.os_user import acting_person
from core.imaging.correction import write_correction
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid, Zyx, whole
from core.lab import lab as core_lab
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.life import SlotRecord, slots_of
from db.queries.patches import PatchRecord, get_patch
from db.queries.people import PersonRecord, list_people
from db.vocabulary import ChosenBecause, CorrectionKind, Role

SHAPE = Zyx(170, 200, 220)
CENTERS = [Zyx(82, 85, 90), Zyx(85, 100, 110), Zyx(88, 110, 130)]
KINDS = {"A": CorrectionKind.ADD, "R": CorrectionKind.REMOVE, "I": CorrectionKind.IGNORE}


class By:
    """The lab as each of its people opens it: by.annika is a workspace opened by annika."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab

    def __getattr__(self, name: str) -> core_lab.Lab:
        return core_lab.Lab(self._lab.workspace, getattr(self._lab, name))


class Lab:
    """A workspace with people, and what its tests do often."""

    originals: Path

    def __init__(self, workspace: Workspace, data: Path) -> None:
        self.workspace = workspace
        self.data = data
        self.folders = workspace.folders
        with workspace.catalog.read() as session:
            self.people = {person.name: person for person in list_people(session)}
        self.admin = acting_person(workspace)
        self.by = By(self)
        self.names = [f"other_TS_001_patch{number}" for number in range(len(CENTERS))]
        self.name = self.names[0]

    def __getattr__(self, name: str) -> PersonRecord:
        return self.people[name]

    def patch(self, name: str | None = None) -> PatchRecord:
        with self.workspace.catalog.read() as session:
            return get_patch(session, name or self.name)

    def slots(self, name: str | None = None) -> dict[str, SlotRecord]:
        with self.workspace.catalog.read() as session:
            found = slots_of(session, get_patch(session, name or self.name).id)
        return {slot.name: slot for slot in found}

    def file(self, slot: str, name: str | None = None) -> Path:
        return self.folders.corrections_of(name or self.name) / slot

    def grid(self, name: str | None = None) -> Grid:
        start = self.patch(name).start
        assert start is not None
        z, y, x = start
        return Grid.aligned(10.0, (10.0 * x, 10.0 * y, 10.0 * z))

    def copied_to(self, target: Path) -> Path:
        """The workspace once more; its volumes are the same files."""
        return shutil.copytree(self.folders.root, target, copy_function=linked)

    @staticmethod
    def read(path: Path) -> np.ndarray:
        return read(path)

    def label(self, name: str | None = None) -> np.ndarray:
        return read(self.folders.label_of(name or self.name))

    def merged(self, name: str | None = None) -> np.ndarray:
        return read(self.folders.merged_of(name or self.name))

    def save(self, slot: str, *boxes: Any, name: str | None = None) -> Path:
        """Save a correction in its folder, as an annotator does on the shared disk."""
        file = self.file(slot, name)
        write_correction(file, mask(*boxes), self.grid(name), KINDS[slot[0]])
        return file

    def bytes(self, slot: str, *boxes: Any, name: str | None = None) -> bytes:
        """The bytes of a correction, to upload."""
        file = self.data / "brought" / slot
        file.parent.mkdir(exist_ok=True)
        write_correction(file, mask(*boxes), self.grid(name), KINDS[slot[0]])
        return file.read_bytes()


def mask(*boxes: Any) -> np.ndarray:
    painted = np.zeros((160, 160, 160), bool)
    for box in boxes:
        painted[box] = True
    return painted


def read(path: Path) -> np.ndarray:
    with open_volume(path) as volume:
        return volume.read(whole(volume.shape))


@pytest.fixture(scope="session")
def _made_lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("lab") / "workspace"
    rng = np.random.default_rng(7)
    z, y, x = np.ogrid[: SHAPE.z, : SHAPE.y, : SHAPE.x]
    radius = np.sqrt((z - 85) ** 2 + (y - 100) ** 2 + (x - 110) ** 2)
    membrane = (abs(radius - 50) < 3).astype(np.int8)
    for name, voxels in (
        ("TS_001.mrc", (rng.integers(-4, 4, SHAPE) + 8 * membrane).astype(np.int8)),
        ("TS_001_model.ckpt_segmented.mrc", membrane),
    ):
        with mrcfile.new(data / name) as mrc:
            mrc.set_data(voxels)
            mrc.voxel_size = 10.0
    with init_workspace(folder, admin="ada") as workspace:
        ada = acting_person(workspace)
        for name, role in (
            ("annika", Role.ANNOTATOR),
            ("anton", Role.ANNOTATOR),
            ("rolf", Role.REVIEWER),
            ("cora", Role.CURATOR),
            ("vera", Role.VIEWER),
        ):
            people.add(workspace, ada, name, role, os_user=f"{name}-account")
        pairings = plan_registration(workspace, [data / "TS_001*.mrc"])
        register(core_lab.Lab(workspace, ada), pairings, add_roots=True)
        choose(
            core_lab.Lab(workspace, ada),
            "TS_001",
            CENTERS,
            reason=ChosenBecause.MISSED_MEMBRANE,
        )
        assert [each.outcome for each in extract(core_lab.Lab(workspace, ada))] == ["done"] * 3
    return folder, data


def linked(source: str, target: str) -> None:
    """Volumes are never written in place, so that a second name does for a copy."""
    if source.endswith((".nii.gz", ".nrrd")):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


@pytest.fixture
def lab(_made_lab: tuple[Path, Path], tmp_path: Path) -> Iterator[Lab]:
    """The lab, to change as one likes; its tomogram's folder is shared and stays as it is."""
    folder, data = _made_lab
    shutil.copytree(folder, tmp_path / "workspace", copy_function=linked)
    brought = tmp_path / "data"
    brought.mkdir()
    with open_workspace(tmp_path / "workspace") as workspace:
        made = Lab(workspace, brought)
        made.originals = data
        yield made
