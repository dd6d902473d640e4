"""A small lab with corrections, merges, a review and a comment, on each database."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from core.imaging.geometry import Grid
from core.imaging.identity import content_hash, file_hash
from core.imaging.nifti import write_nifti
from core.workflow.acting import acting_person
from core.workflow.folders import Folders
from core.workflow.sidecar import write_sidecar
from core.workflow.store import Store
from core.workflow.workspace import Workspace, open_workspace
from db.queries.patches import PatchRecord
from db.queries.people import PersonRecord
from db.schema import open_catalog
from db.vocabulary import ChosenBecause, CorrectionKind, Origin, Role, Stage, Verdict
from db.writes.corrections import MadeMerge, Received, add_correction, add_merge, mark_correction
from db.writes.events import Change
from db.writes.patches import add_comment, add_review, adopt_patch, change_patch
from db.writes.people import add_person

GRID = Grid.aligned(10.0)


@pytest.fixture
def workspace(catalog_url: sa.URL, tmp_path: Path) -> Iterator[Workspace]:
    folder = tmp_path / "lab"
    folder.mkdir()
    Folders(folder).make()
    address = catalog_url.render_as_string(hide_password=False)
    (folder / "tomocurate.toml").write_text(
        f'catalog = "{address}"\nnobody_reviews_own_work = true\n'
    )
    with open_catalog(catalog_url) as catalog, catalog.write() as session:
        add_person(session, Change.now(None), "admin", Role.ADMIN, os_user=getpass.getuser())
        add_person(session, Change.now(None), "anna", Role.ANNOTATOR)
    with open_workspace(folder) as opened:
        yield opened


@pytest.fixture
def admin(workspace: Workspace) -> PersonRecord:
    return acting_person(workspace)


@pytest.fixture
def lab(workspace: Workspace, admin: PersonRecord) -> Workspace:
    """The workspace with three patches: extracted, merged, accepted; their files lie in place."""
    for number in range(3):
        name = f"other_TS_001_patch{number}"
        patch = extracted(workspace, admin, name, number)
        if number:
            merged(workspace, admin, patch, accept=number == 2)
        write_sidecar(workspace, name)
    return workspace


def extracted(workspace: Workspace, by: PersonRecord, name: str, seed: int) -> PatchRecord:
    """A patch of 16³ that was cut elsewhere, in the guide's folders."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(16, 16, 16)).astype(np.float32)
    label = rng.integers(0, 2, (16, 16, 16)).astype(np.uint8)
    write_nifti(workspace.folders.image_of(name), image, GRID)
    write_nifti(workspace.folders.label_of(name), label, GRID)
    values = {
        "token": "TS_001", "number": int(name[-1]), "shape_z": 16, "shape_y": 16, "shape_x": 16,
        "voxel_size": 10.0, "chosen_because": ChosenBecause.MISSED_MEMBRANE, "note": "café ☕",
        "stage": Stage.EXTRACTED, "extracted_at": Change.now(by.id).at,
        "image_hash": content_hash(image), "label_hash": content_hash(label),
    }  # fmt: skip
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
            stored.sha256, stored.size, kind, Origin.COLLECTED, by.id, "anna",
            findings=("a finding",), painted={"add": 7},
        )  # fmt: skip
        inside = folders.corrections_of(patch.name)
        (inside / slot).write_bytes(data)
        with workspace.catalog.write() as session:
            add_correction(session, Change.now(by.id), patch, slot, received)
    (inside / "Remove1.nrrd").rename(folders.withdrawn_of(patch.name) / "Remove1.nrrd")
    label = np.zeros((16, 16, 16), np.uint8)
    write_nifti(folders.merged_of(patch.name), label, GRID)
    kept = store.put_file(folders.merged_of(patch.name))
    made = MadeMerge(
        str(patch.label_hash), ({"slot": "Add1.nrrd", "version": 2, "sha256": "x"},), "1",
        {"added": 7}, {"0": 4096}, (), False, content_hash(label), kept.sha256, kept.size,
    )  # fmt: skip
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
