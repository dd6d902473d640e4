"""A small lab with corrections, merges, a review and a comment, on each database."""

import getpass
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from core.access.os_user import acting_person
from core.corrections.store import Store
from core.imaging.formats.nifti import write_nifti
from core.imaging.geometry import Grid
from core.imaging.hashes import content_hash, file_hash
from core.patches.record import write_record
from core.workspace.folders import Folders
from core.workspace.workspace import Workspace, open_workspace
from db.queries.patches import PatchRecord
from db.queries.people import PersonRecord
from db.schema import open_catalog
from db.vocabulary import ChosenBecause, CorrectionKind, Origin, Role, Stage, Verdict
from db.writes.corrections import MadeMerge, Received, add_correction, add_merge, mark_correction
from db.writes.events import Change
from db.writes.patches import add_comment, add_review, adopt_patch, change_patch
from db.writes.people import add_person

GRID = Grid.aligned(10.0)


SETTINGS = 'catalog = "{address}"\nnobody_reviews_own_work = true\n'


@pytest.fixture
def workspace(catalog_url: sa.URL, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace with an admin and an annotator, and nothing else."""
    with made_workspace(tmp_path / "lab", catalog_url) as opened:
        yield opened


@pytest.fixture
def admin(request: pytest.FixtureRequest) -> PersonRecord:
    name = "lab" if "lab" in request.fixturenames else "workspace"
    return acting_person(request.getfixturevalue(name))


class MadeLabs:
    """A lab of each database, made once and copied for each test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._urls: dict[str, sa.URL] = {}

    def copy(self, database: str, to: Path, request: pytest.FixtureRequest) -> sa.URL:
        if database not in self._urls:
            self._make(database, request)
        shutil.copytree(self._folder / database, to)
        made = self._urls[database]
        if database == "sqlite":
            return made.set(database=str(to / "catalog.sqlite"))
        copied: sa.URL = request.getfixturevalue("postgresql").new(made.database)
        return copied

    def _make(self, database: str, request: pytest.FixtureRequest) -> None:
        folder = self._folder / database
        if database == "sqlite":
            folder.mkdir()
            file = folder / "catalog.sqlite"
            shutil.copy(request.getfixturevalue("_sqlite_template"), file)
            url = sa.URL.create("sqlite", database=str(file))
        else:
            url = request.getfixturevalue("postgresql").new("made")
        with made_workspace(folder, url) as workspace:
            fill(workspace, acting_person(workspace))
        self._urls[database] = url


@pytest.fixture(scope="session")
def made_labs(tmp_path_factory: pytest.TempPathFactory) -> MadeLabs:
    return MadeLabs(tmp_path_factory.mktemp("labs"))


@pytest.fixture
def lab(
    made_labs: MadeLabs, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Workspace]:
    """A workspace with three patches: extracted, merged, accepted; their files lie in place."""
    folder = tmp_path / "lab"
    url = made_labs.copy(database, folder, request)
    state(folder, url)
    with open_workspace(folder) as opened:
        yield opened
    if database == "postgresql":
        request.getfixturevalue("postgresql").drop(url)


def made_workspace(folder: Path, url: sa.URL) -> Workspace:
    folder.mkdir(exist_ok=True)
    Folders(folder).make()
    state(folder, url)
    with open_catalog(url) as catalog, catalog.write() as session:
        add_person(session, Change.now(None), "admin", Role.ADMIN, os_user=getpass.getuser())
        add_person(session, Change.now(None), "anna", Role.ANNOTATOR)
    return open_workspace(folder)


def state(folder: Path, url: sa.URL) -> None:
    """Write the settings of a workspace."""
    address = url.render_as_string(hide_password=False)
    (folder / "tomocurate.toml").write_text(SETTINGS.format(address=address))


def fill(workspace: Workspace, by: PersonRecord) -> None:
    for number in range(3):
        name = f"other_TS_001_patch{number}"
        patch = extracted(workspace, by, name, number)
        if number:
            merged(workspace, by, patch, accept=number == 2)
        write_record(workspace, name)


def extracted(workspace: Workspace, by: PersonRecord, name: str, seed: int) -> PatchRecord:
    """A patch of 16³ that was cut elsewhere, in the guide's folders."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(16, 16, 16)).astype(np.float32)
    label = rng.integers(0, 2, (16, 16, 16)).astype(np.uint8)
    write_nifti(workspace.folders.image_of(name), image, GRID)
    write_nifti(workspace.folders.label_of(name), label, GRID)
    values = {
        "token": "TS_001",
        "number": int(name[-1]),
        "shape_z": 16,
        "shape_y": 16,
        "shape_x": 16,
        "voxel_size": 10.0,
        "chosen_because": ChosenBecause.MISSED_MEMBRANE,
        "note": "café ☕",
        "stage": Stage.EXTRACTED,
        "extracted_at": Change.now(by.id).at,
        "image_hash": content_hash(image),
        "label_hash": content_hash(label),
    }
    with workspace.catalog.write() as session:
        return adopt_patch(session, Change.now(by.id), "other", name, values)


def merged(workspace: Workspace, by: PersonRecord, patch: PatchRecord, *, accept: bool) -> None:
    """Two versions of Add1, a withdrawn Remove1, one merge; accepted if asked."""
    store, folders = Store(workspace.folders.store), workspace.folders
    folders.corrections_of(patch.name).mkdir()
    folders.withdrawn_of(patch.name).mkdir()
    for version, slot in enumerate(("Add1.nrrd", "Add1.nrrd", "Remove1.nrrd")):
        data = f"{patch.name} {slot} {version}".encode()
        stored = store.put_bytes(data)
        kind = CorrectionKind.ADD if slot == "Add1.nrrd" else CorrectionKind.REMOVE
        received = Received(
            stored.sha256,
            stored.size,
            kind,
            Origin.COLLECTED,
            by.id,
            "anna",
            findings=("a finding",),
            painted={"add": 7},
        )
        inside = folders.corrections_of(patch.name)
        (inside / slot).write_bytes(data)
        with workspace.catalog.write() as session:
            add_correction(session, Change.now(by.id), patch, slot, received)
    refused = Received("f" * 64, 9, None, Origin.UPLOADED, by.id, error="it is no NRRD.")
    with workspace.catalog.write() as session:  # its bytes lie apart, and not for ever
        add_correction(session, Change.now(by.id), patch, "Add1.nrrd", refused)
    (inside / "Remove1.nrrd").rename(folders.withdrawn_of(patch.name) / "Remove1.nrrd")
    label = np.zeros((16, 16, 16), np.uint8)
    write_nifti(folders.merged_of(patch.name), label, GRID)
    kept = store.put_file(folders.merged_of(patch.name))
    made = MadeMerge(
        str(patch.label_hash),
        ({"slot": "Add1.nrrd", "version": 2, "sha256": "x"},),
        "1",
        {"added": 7},
        {"0": 4096},
        (),
        False,
        content_hash(label),
        kept.sha256,
        kept.size,
    )
    with workspace.catalog.write() as session:
        change = Change.now(by.id)
        mark_correction(session, change, patch, "Remove1.nrrd", withdrawn=True)
        merge = add_merge(session, change, patch, made)
        values = {"stage": Stage.MERGED, "current_merge_id": merge.id, "merge_count": 1}
        if accept:
            values |= {"stage": Stage.ACCEPTED, "accepted_merge_id": merge.id}
            add_review(session, change, patch, merge.id, Verdict.ACCEPT)
        change_patch(session, change, patch, "merged", **values)
        add_comment(session, change, patch, "a comment", (1, 2, 3))


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with its hash."""
    return {
        str(path.relative_to(folder)): file_hash(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".partial-" not in path.name
    }
