"""Workspaces with accepted patches, small (64³) and believable, for the tests of sharing."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.access.os_user import acting_person
from core.corrections.receive import receive
from core.corrections.store import Store
from core.imaging.correction import write_correction
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Zyx
from core.imaging.hashes import content_hash
from core.imaging.labels import MERGE_RULE, count_values, ignore_border
from core.imaging.patch import patch_grid
from core.lab.lab import Lab as ActingLab
from core.labels.merge import merge
from core.tomograms.data_permissions import permit
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.patches import PatchRecord, get_patch
from db.queries.people import PersonRecord, get_person
from db.queries.volumes import TomogramRecord, find_tomogram, segmentations_of
from db.vocabulary import (
    ChosenBecause,
    CorrectionKind,
    Licence,
    Origin,
    Role,
    Scope,
    Stage,
    Verdict,
)
from db.writes.corrections import MadeMerge, Received, add_correction, add_merge
from db.writes.events import Change
from db.writes.patches import add_review, change_patch, choose_patch, lock_patch
from db.writes.people import add_person
from db.writes.volumes import FoundFile, add_root, add_segmentation, add_tomogram

SIDE = 64
SHAPE = (80, 96, 300)


def membrane(rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
    z, y, x = np.ogrid[:side, :side, :side]
    middle = side / 2 + rng.uniform(-3, 3, 3)
    radius = np.sqrt(sum((g - c) ** 2 for g, c in zip((z, y, x), middle, strict=True)))
    label: np.ndarray = (abs(radius - side / 5) < 1.5).astype(np.uint8)
    ignore_border(label)
    return label


class Lab:
    """A workspace in which patches were accepted, as its people would have done it."""

    def __init__(self, workspace: Workspace, data: Path) -> None:
        self.workspace = workspace
        self.by: PersonRecord = acting_person(workspace)
        self.data = data

    @classmethod
    def make(cls, folder: Path) -> "Lab":
        (folder / "data").mkdir(parents=True)
        lab = cls(init_workspace(folder / "work", admin="Ada Min"), folder / "data")
        lab.add_people()
        return lab

    def add_people(self) -> None:
        with self.workspace.catalog.write() as session:
            add_root(session, Change.now(None), self.data)
            for name, role, account in (
                ("Annika Notator", Role.ANNOTATOR, "anotator"),
                ("Rolf Reviewson", Role.REVIEWER, "reviewson"),
                ("Vera View", Role.VIEWER, "vview"),
            ):
                add_person(session, Change.now(self.by.id), name, role, os_user=account)

    @property
    def opened(self) -> ActingLab:
        """The workspace, opened by its admin."""
        return ActingLab(self.workspace, self.by)

    def opened_by(self, name: str) -> ActingLab:
        return ActingLab(self.workspace, self.person(name))

    def person(self, name: str) -> PersonRecord:
        with self.workspace.catalog.read() as session:
            return get_person(session, name)

    def tomogram(self, token: str, dataset: str = "demo", voxel_size: float | None = 10.0) -> Any:
        """Write and register a tomogram with its segmentation."""
        with self.workspace.catalog.read() as session:
            found = find_tomogram(session, dataset, token)
        if found is not None:
            return found
        seed = sum(map(ord, dataset + token))
        rng = np.random.default_rng(seed)
        image = rng.normal(120, 30, SHAPE).astype(np.float32)
        label = np.zeros(SHAPE, np.int8)
        files = []
        for name, voxels in ((f"{token}_rec.mrc", image), (f"{token}_seg.mrc", label)):
            path = self.data / name
            with mrcfile.new(path, overwrite=True) as mrc:
                mrc.set_data(voxels)
                mrc.voxel_size = voxel_size or 0
            stat = path.stat()
            files.append(FoundFile(path, SHAPE, str(voxels.dtype), stat.st_size, stat.st_mtime_ns))
        with self.workspace.catalog.write() as session:
            change = Change.now(self.by.id)
            made = add_tomogram(
                session, change, (dataset, token), files[0], (voxel_size, False), {}
            )
            add_segmentation(session, change, made, files[1], "MemBrain_v10")
        return made

    def chosen(
        self, token: str, start: int, reason: Any = ChosenBecause.MISSED_MEMBRANE, **options: Any
    ) -> Any:
        tomogram: TomogramRecord = self.tomogram(token, **options)
        with self.workspace.catalog.write() as session:
            segmentation = segmentations_of(session, tomogram.id)[0]
            half = SIDE // 2
            values = {
                "segmentation_id": segmentation.id,
                "center_z": 8 + half,
                "center_y": 16 + half,
                "center_x": start + half,
                "start_z": 8,
                "start_y": 16,
                "start_x": start,
                "shape_z": SIDE,
                "shape_y": SIDE,
                "shape_x": SIDE,
                "padded": False,
                "shifted": False,
                "voxel_size": tomogram.voxel_size,
                "chosen_because": reason,
            }
            return choose_patch(session, Change.now(self.by.id), tomogram.id, values), tomogram

    def merged(
        self, token: str = "TS_001", start: int = 0, label: np.ndarray | None = None, **options: Any
    ) -> PatchRecord:
        """A patch that was extracted, corrected and merged."""
        patch, tomogram = self.chosen(token, start, **options)
        box = Box(Zyx(8, 16, start), Zyx(8 + SIDE, 16 + SIDE, start + SIDE))
        with mrcfile.mmap(self.data / f"{token}_rec.mrc", "r") as mrc:
            image = np.array(mrc.data[box.slices])
        label = membrane(np.random.default_rng(patch.id)) if label is None else label
        before = np.where((label == 1) & (np.arange(SIDE) % 5 == 0), 0, label).astype(np.uint8)
        folders, grid = self.workspace.folders, patch_grid(box, tomogram.voxel_size)
        write_nifti(folders.image_of(patch.name), image, grid)
        write_nifti(folders.label_of(patch.name), before, grid)
        write_nifti(folders.merged_of(patch.name), label, grid)
        stored = Store(folders.store).put_file(folders.merged_of(patch.name))
        added = Store(folders.store).put_file(folders.label_of(patch.name))
        annotator = self.person("Annika Notator")
        with self.workspace.catalog.write() as session:
            change = Change.now(annotator.id)
            patch = lock_patch(session, patch.name)
            patch = change_patch(
                session,
                change,
                patch,
                "extracted",
                stage=Stage.CORRECTING,
                extracted_at=change.at,
                image_hash=content_hash(image),
                label_hash=content_hash(before),
            )
            received = Received(
                added.sha256, added.size, CorrectionKind.ADD, Origin.UPLOADED, annotator.id
            )
            add_correction(session, change, patch, "Add1.nrrd", received)
            values = asdict(count_values(label))
            made = MadeMerge(
                content_hash(before),
                ({"slot": "Add1.nrrd", "version": 1, "sha256": added.sha256},),
                MERGE_RULE,
                {"added": 10},
                values,
                (),
                False,
                content_hash(label),
                stored.sha256,
                stored.size,
            )
            merge = add_merge(session, change, patch, made)
            return change_patch(
                session,
                change,
                lock_patch(session, patch.name),
                "merged",
                stage=Stage.MERGED,
                current_merge_id=merge.id,
                merge_count=1,
            )

    def accepted(self, token: str = "TS_001", start: int = 0, **options: Any) -> PatchRecord:
        patch = self.merged(token, start, **options)
        with self.workspace.catalog.write() as session:
            change = Change.now(self.person("Rolf Reviewson").id)
            assert patch.current_merge_id is not None
            add_review(session, change, patch, patch.current_merge_id, Verdict.ACCEPT)
            return change_patch(
                session,
                change,
                patch,
                "accepted",
                stage=Stage.ACCEPTED,
                accepted_merge_id=patch.current_merge_id,
            )

    def corrected(self, patch: PatchRecord, place: int = 24) -> PatchRecord:
        """Paint a patch's correction anew and merge it, as its annotator."""
        name = "Add1.nrrd"
        painted = np.zeros((SIDE,) * 3, bool)
        painted[30:34, 20:40, place : place + 3] = True
        with open_volume(self.workspace.folders.label_of(patch.name)) as volume:
            grid = volume.grid
        assert grid is not None
        file = self.data.parent / name
        write_correction(file, painted, grid, CorrectionKind.ADD)
        annotator = self.person("Annika Notator")
        assert (
            receive(ActingLab(self.workspace, annotator), patch.name, name, file).outcome == "done"
        )
        outcomes = merge(ActingLab(self.workspace, annotator), [patch.name])
        assert [each.outcome for each in outcomes] == ["done"], outcomes
        return self.patch(patch.name)

    def fill(self, tomograms: int = 3, each: int = 2, dataset: str = "demo") -> list[PatchRecord]:
        return [
            self.accepted(f"TS_{number:03}", 80 * place, dataset=dataset)
            for number in range(1, tomograms + 1)
            for place in range(each)
        ]

    def permit_all(
        self, scope: Any = Scope.PUBLIC, licence: Any = Licence.CC_BY, tomograms: int = 3
    ) -> None:
        for number in range(1, tomograms + 1):
            permit(
                ActingLab(self.workspace, self.by),
                f"TS_{number:03}",
                scope=scope,
                licence=licence,
                approved_by="Prof. Headofgroup",
                owner="Maria Ownerly",
            )

    def patch(self, name: str) -> PatchRecord:
        with self.workspace.catalog.read() as session:
            return get_patch(session, name)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A workspace with nothing in it, and one with six accepted patches, permitted: made once."""
    made = {}
    for name in ("empty", "filled"):
        made[name] = tmp_path_factory.mktemp(name) / "lab"
        with Lab.make(made[name]).workspace as workspace:
            if name == "filled":
                lab = Lab(workspace, made[name] / "data")
                lab.fill()
                lab.permit_all()
    return made


@pytest.fixture
def make_lab(tmp_path: Path, templates: dict[str, Path]) -> Iterator[Callable[..., Lab]]:
    """Makes workspaces below the test's folder, with six patches where ``filled``."""
    made: list[Lab] = []

    def make(name: str, *, filled: bool = False) -> Lab:
        template = templates["filled" if filled else "empty"]
        shutil.copytree(template / "work", tmp_path / name / "work")
        (tmp_path / name / "data").mkdir()
        data = template / "data" if filled else tmp_path / name / "data"
        made.append(Lab(open_workspace(tmp_path / name / "work"), data))
        if not filled:
            with made[-1].workspace.catalog.write() as session:
                add_root(session, Change.now(None), data)
        return made[-1]

    yield make
    for lab in made:
        lab.workspace.close()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab("lab")


@pytest.fixture
def ready(make_lab: Callable[..., Lab]) -> Lab:
    """A workspace with six accepted patches of three tomograms, permitted for all."""
    return make_lab("ready", filled=True)


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder, by its relative path."""
    return lambda folder: {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
