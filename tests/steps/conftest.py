"""A workspace with people and small tomograms, on SQLite or on each database."""

import functools
import getpass
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.access import people
from core.access.os_user import acting_person
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.tomograms.register import plan_registration, register
from core.workspace.folders import Folders
from core.workspace.results import DONE
from core.workspace.settings import FILE_NAME
from core.workspace.workspace import Workspace, open_workspace
from db.queries.patches import PatchRecord
from db.queries.people import PersonRecord
from db.vocabulary import ChosenBecause, CorrectionKind, Origin, Role, Stage, Verdict
from db.writes.corrections import MadeMerge, Received, add_correction, add_merge
from db.writes.events import Change
from db.writes.patches import add_review, adopt_patch, change_patch, lock_patch
from db.writes.people import add_person
from tests.steps.lab import _made_lab as _made_lab
from tests.steps.lab import lab as lab

SHAPE = Zyx(176, 240, 250)
"""Small, with room for a few patches."""


class Team:
    """The people of a lab, one of each role and two annotators."""

    def __init__(self, workspace: Workspace) -> None:
        self.admin = acting_person(workspace)
        for name, role in (
            ("annika", Role.ANNOTATOR),
            ("anton", Role.ANNOTATOR),
            ("rolf", Role.REVIEWER),
            ("rita", Role.REVIEWER),
            ("cora", Role.CURATOR),
            ("vera", Role.VIEWER),
        ):
            setattr(self, name, people.add(workspace, self.admin, name, role))

    admin: PersonRecord
    annika: PersonRecord
    anton: PersonRecord
    rolf: PersonRecord
    rita: PersonRecord
    cora: PersonRecord
    vera: PersonRecord


@functools.cache
def noise(seed: int, shape: Zyx) -> np.ndarray:
    return np.random.default_rng(seed).integers(-100, 100, shape, np.int8)


@functools.cache
def sphere(shape: Zyx) -> np.ndarray:
    """A shell, six voxels thick."""
    z, y, x = np.ogrid[: shape.z, : shape.y, : shape.x]
    squared = (z - 88) ** 2 + (y - 110) ** 2 + (x - 120) ** 2
    shell: np.ndarray = (squared > 47**2) & (squared < 53**2)
    return shell.astype(np.int8)


class Tomograms:
    """Writes small tomograms and segmentations into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.made = 0

    def tomogram(self, name: str, shape: Zyx = SHAPE, voxel_size: float = 10.0) -> Path:
        self.made += 1
        return self.write(name, noise(self.made, shape), voxel_size)

    def segmentation(self, name: str, shape: Zyx = SHAPE) -> Path:
        return self.write(name, sphere(shape), 10.0)

    def write(self, name: str, voxels: np.ndarray, voxel_size: float) -> Path:
        path = self.folder / name
        with mrcfile.new(path, overwrite=True) as file:
            file.set_data(voxels)
            file.voxel_size = voxel_size
        return path


def make_workspace(folder: Path, url: str) -> Workspace:
    """A workspace over a catalog that was just made; this account is its admin."""
    folder.mkdir(exist_ok=True)
    Folders(folder).make()
    (folder / FILE_NAME).write_text(f'catalog = "{url}"\n')
    workspace = open_workspace(folder)
    with workspace.catalog.write() as session:
        add_person(session, Change.now(None), "admin", Role.ADMIN, os_user=getpass.getuser())
    return workspace


@pytest.fixture
def workspace(_sqlite_template: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A new workspace on SQLite."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    shutil.copy(_sqlite_template, folder / "catalog.sqlite")
    with make_workspace(folder, "catalog.sqlite") as opened:
        yield opened


@pytest.fixture
def any_workspace(catalog_url: sa.URL, tmp_path: Path) -> Iterator[Workspace]:
    """A new workspace on each database in turn."""
    url = catalog_url.render_as_string(hide_password=False)
    with make_workspace(tmp_path / "workspace", url) as opened:
        yield opened


@pytest.fixture
def team(workspace: Workspace) -> Team:
    return Team(workspace)


@pytest.fixture
def files(tmp_path: Path) -> Tomograms:
    return Tomograms(tmp_path / "data")


@pytest.fixture
def registered(workspace: Workspace, team: Team, files: Tomograms) -> Callable[[str], Path]:
    """Registers a tomogram of a token with a segmentation; gives its file."""

    def make(token: str) -> Path:
        path = files.tomogram(f"{token}.mrc")
        files.segmentation(f"{token}_model.ckpt_segmented.mrc")
        pairings = plan_registration(workspace, [files.folder / f"{token}*.mrc"])
        outcomes = register(Lab(workspace, team.admin), pairings, add_roots=True)
        assert [outcome.outcome for outcome in outcomes] == [DONE]
        return path

    return make


class Patches:
    """Puts patches at a stage of their life by the catalog's own verbs, without volumes."""

    def __init__(self, workspace: Workspace, team: Team) -> None:
        self.workspace, self.team = workspace, team

    def at(self, stage: Stage, name: str = "other_TS_1_patch0") -> PatchRecord:
        """A patch at a stage; its one correction is annika's."""
        values = {
            "token": "TS_1",
            "shape_z": 160,
            "shape_y": 160,
            "shape_x": 160,
            "stage": Stage.CHOSEN,
            "chosen_because": ChosenBecause.OTHER,
        }
        with self.workspace.catalog.write() as session:
            change = Change.now(self.team.cora.id)
            patch = adopt_patch(session, change, "other", name, values)
            hashes = {"image_hash": "a" * 64, "label_hash": "b" * 64}
            if stage is not Stage.CHOSEN:
                patch = change_patch(
                    session, change, patch, "extracted", stage=Stage.EXTRACTED, **hashes
                )
            if stage in (Stage.CHOSEN, Stage.EXTRACTED):
                return patch
            self.correct(session, patch)
            marks: dict[str, Any] = {"stage": stage}
            if stage is not Stage.CORRECTING:
                marks["current_merge_id"] = self.merge(session, patch)
            if stage is Stage.ACCEPTED:
                marks["accepted_merge_id"] = marks["current_merge_id"]
                merge_id = marks["current_merge_id"]
                add_review(session, Change.now(self.team.rita.id), patch, merge_id, Verdict.ACCEPT)
            return change_patch(session, change, patch, "moved on", **marks)

    def correct(self, session: Session, patch: PatchRecord) -> int:
        annika = self.team.annika.id
        received = Received("c" * 64, 100, CorrectionKind.ADD, Origin.UPLOADED, author_id=annika)
        return add_correction(session, Change.now(annika), patch, "Add1.nrrd", received)

    def merge(self, session: Session, patch: PatchRecord) -> int:
        inputs = ({"slot": "Add1.nrrd", "version": 1, "sha256": "c" * 64},)
        made = MadeMerge("b" * 64, inputs, "rule", {}, {}, (), False, "d" * 64, "e" * 64, 100)
        return add_merge(session, Change.now(self.team.annika.id), patch, made).id

    def merge_anew(self, name: str) -> PatchRecord:
        """A merge that somebody makes while a reviewer looks at the one before."""
        with self.workspace.catalog.write() as session:
            patch = lock_patch(session, name)
            merge_id = self.merge(session, patch)
            change = Change.now(self.team.annika.id)
            return change_patch(session, change, patch, "merged", current_merge_id=merge_id)

    def mark(self, name: str, **marks: object) -> PatchRecord:
        with self.workspace.catalog.write() as session:
            patch = lock_patch(session, name)
            change = Change.now(self.team.annika.id)
            return change_patch(session, change, patch, "marked", **marks)


@pytest.fixture
def patches(workspace: Workspace, team: Team) -> Patches:
    return Patches(workspace, team)


@pytest.fixture
def any_patches(any_workspace: Workspace) -> Patches:
    return Patches(any_workspace, Team(any_workspace))
