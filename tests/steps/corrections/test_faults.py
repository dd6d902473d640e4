"""A full disk, folders that cannot be written, many hands at once: a sentence, and nothing lost."""

import os
import pwd
import resource
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.corrections.collect import collect
from core.corrections.receive import receive
from core.errors import OutputError
from core.imaging.correction import write_correction
from core.imaging.formats.nifti import write_nifti
from core.imaging.geometry import Grid, Zyx
from core.imaging.hashes import content_hash, file_hash
from core.lab.lab import Lab
from core.labels.merge import merge
from core.labels.review import accept
from core.labels.verify import verify
from core.patches.choose import choose
from core.patches.extract import extract
from core.patches.put_back import put_back
from core.workspace.workspace import open_workspace
from db.errors import CatalogError
from db.queries.life import merges_of
from db.queries.patches import get_patch
from db.vocabulary import ChosenBecause, CorrectionKind, Stage
from db.writes.events import Change
from db.writes.patches import adopt_patch

ADD, OTHER = np.s_[80, 80, 70:90], np.s_[80, 90, 70:90]
BATCH = 1000 if os.environ.get("TOMOCURATE_SOAK") else 40


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def state(lab: Any) -> dict[Any, Any]:
    """Every file under a final name, and what the catalog has of the patches."""
    files = {
        path: file_hash(path)
        for path in lab.folders.root.rglob("*")
        if path.is_file() and "locks" not in path.parts and "catalog" not in path.name
    }
    return files | {name: lab.patch(name).version for name in lab.names}


@pytest.fixture
def ready(lab: Any) -> Any:
    """The lab with a fourth patch to extract, a correction to collect, and one to merge."""
    choose(lab.by.ada, "TS_001", [Zyx(84, 95, 100)], reason=ChosenBecause.OTHER)
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    merge(lab.by.annika)
    accept(lab.by.rolf, lab.name)
    lab.save("Add1.nrrd", ADD, name=lab.names[1])
    collect(lab.by.annika)
    return lab


def test_a_full_disk_fails_with_a_sentence_and_a_rerun_ends_it(ready: Any, tmp_path: Path) -> None:
    lab = ready
    noise = np.random.default_rng(3).integers(0, 2, (160, 160, 160)).astype(bool)
    file = tmp_path / "Ignore1.nrrd"
    write_correction(file, noise, lab.grid(lab.names[2]), CorrectionKind.IGNORE)
    new = "other_TS_001_patch3"
    before = state(lab)
    with full_disk(2000):
        (cut,) = extract(lab.by.annika, [new])
        (made,) = merge(lab.by.annika, [lab.names[1]])
        with pytest.raises(OutputError, match="make space"):
            receive(lab.by.annika, lab.names[2], "Ignore1.nrrd", file)
        with pytest.raises(OutputError, match="has space"):
            put_back(lab.by.cora, "TS_001", tmp_path / "back.mrc")
    for outcome in (cut, made):
        assert outcome.outcome == "failed"
        assert "space" in (outcome.message or "")
    assert state(lab) == before
    assert not (tmp_path / "back.mrc").exists()
    assert list(lab.folders.root.rglob(".partial*")) == []
    assert extract(lab.by.annika)[0].outcome == "done"
    assert merge(lab.by.annika)[0].outcome == "done"
    assert receive(lab.by.annika, lab.names[2], "Ignore1.nrrd", file).outcome == "done"


def test_a_catalog_that_cannot_grow_undoes_the_files(ready: Any) -> None:
    lab = ready
    before, size = state(lab), (lab.folders.root / "catalog.sqlite").stat().st_size
    data = lab.bytes("Add1.nrrd", OTHER)
    with full_disk(size // 2), pytest.raises(CatalogError):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data, expected=1)
    stored = [path for path in state(lab) if path not in before]
    assert all(lab.folders.store in path.parents for path in stored)  # kept twice harms nobody
    assert {key: value for key, value in state(lab).items() if key not in stored} == before
    again = receive(lab.by.annika, lab.name, "Add1.nrrd", data, expected=1)
    assert (again.outcome, again.details["version"]) == ("done", 2)


FOLDERS: dict[str, Callable[[Any], Path]] = {
    "imagesCorr": lambda lab: lab.folders.images,
    "store": lambda lab: lab.folders.store,
    "merged": lambda lab: lab.folders.merged,
    "the patch's corrections": lambda lab: lab.folders.corrections_of(lab.name),
}


@pytest.mark.parametrize("which", FOLDERS)
def test_a_folder_that_cannot_be_written_gets_a_sentence(which: str, ready: Any) -> None:
    lab = ready
    folder = FOLDERS[which](lab)
    data = lab.bytes("Add2.nrrd", OTHER)
    with unwritable(folder, lab.folders.root, lab.originals):
        outcomes = {
            "imagesCorr": lambda: extract(lab.by.annika),
            "store": lambda: merge(lab.by.annika),
            "merged": lambda: merge(lab.by.annika),
        }
        if which in outcomes:
            (outcome,) = outcomes[which]()
            assert outcome.outcome == "failed"
            assert "cannot be written (Permission denied)" in (outcome.message or "")
        else:
            with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\)"):
                receive(lab.by.annika, lab.name, "Add2.nrrd", data)
            assert "Add2.nrrd" not in lab.slots()
    assert [each.outcome for each in extract(lab.by.annika)] == ["done"]
    assert [each.outcome for each in merge(lab.by.annika)] == ["done"]


@contextmanager
def unwritable(folder: Path, *roots: Path) -> Iterator[None]:
    """Take the right to write in a folder; root has to become nobody, whom rights concern."""
    mode = folder.stat().st_mode
    nobody = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    opened = [each for root in roots for each in opened_to_all(root)] if nobody else []
    folder.chmod(0o555)
    try:
        if nobody:
            os.seteuid(nobody)
        yield
    finally:
        if nobody:
            os.seteuid(0)
        folder.chmod(mode)
        for path, before in reversed(opened):
            path.chmod(before)


def opened_to_all(root: Path) -> list[tuple[Path, int]]:
    """Let everybody work in a folder, and pass through those above it."""
    changed = []
    for path in (*root.parents, root, *root.rglob("*")):
        before = path.stat().st_mode
        passes = 0o111 if path in root.parents else 0o777 if path.is_dir() else 0o666
        if path != Path("/") and before & passes != passes:
            path.chmod(before | passes)
            changed.append((path, before))
    return changed


def test_many_hands_on_one_slot_lose_no_version(lab: Any) -> None:
    files = [lab.bytes("Add1.nrrd", np.s_[80, 80, 60 : 70 + n]) for n in range(12)]
    lab.workspace.close()

    def send(hand: int) -> None:
        with open_workspace(lab.folders.root) as workspace:
            for data in files[hand::4]:
                receive(Lab(workspace, lab.annika), lab.name, "Add1.nrrd", data)

    together(send, 4)
    versions = lab.slots()["Add1.nrrd"].versions
    assert [version.number for version in versions] == list(range(1, 13))
    assert len({version.sha256 for version in versions}) == 12
    assert file_hash(lab.file("Add1.nrrd")) == versions[-1].sha256


def test_many_hands_merge_a_patch_once(lab: Any) -> None:
    for name in lab.names:
        lab.save("Add1.nrrd", ADD, name=name)
    collect(lab.by.annika)
    lab.workspace.close()

    def work(_: int) -> None:
        with open_workspace(lab.folders.root) as workspace:
            assert {each.outcome for each in merge(Lab(workspace, lab.annika))} <= {"done", "kept"}
            assert {each.outcome for each in extract(Lab(workspace, lab.annika), lab.names)} == {
                "kept"
            }
            assert {each.outcome for each in collect(Lab(workspace, lab.annika))} == {"kept"}

    together(work, 4)
    for name in lab.names:
        with lab.workspace.catalog.read() as session:
            (made,) = merges_of(session, get_patch(session, name).id)
        assert file_hash(lab.folders.merged_of(name)) == made.file_sha256


def together(work: Callable[[int], None], hands: int) -> None:
    """Do the work in several processes at once; none may fail."""
    children = []
    for hand in range(hands):
        child = os.fork()
        if child == 0:
            try:
                work(hand)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * hands


def test_a_batch_of_merges_runs_unattended_with_a_report_for_each(lab: Any) -> None:
    """1,000 of them in make soak."""
    shape = Zyx(48, 48, 48)
    label = np.zeros(shape, np.uint8)
    label[20:24] = 1
    painted = np.zeros(shape, bool)
    painted[24, 20:28, 20:28] = True
    names = [f"batch_TS_{number}_patch0" for number in range(BATCH)]
    broken = names[BATCH // 3]
    change = Change.now(lab.admin.id)
    values = {
        "token": "TS",
        "shape_z": 48,
        "shape_y": 48,
        "shape_x": 48,
        "stage": Stage.EXTRACTED,
        "chosen_because": ChosenBecause.OTHER,
        "extracted_at": change.at,
        "label_hash": content_hash(label),
        "image_hash": "0" * 64,
    }
    with lab.workspace.catalog.write() as session:
        for name in names:
            adopt_patch(session, change, "batch", name, values)
    for name in names:
        write_nifti(lab.folders.label_of(name), label, Grid.aligned(10.0))
        folder = lab.folders.corrections_of(name)
        folder.mkdir()
        write_correction(folder / "Add1.nrrd", painted, Grid.aligned(10.0), CorrectionKind.ADD)
    (lab.folders.corrections_of(broken) / "Remove1.nrrd").write_bytes(b"no volume")
    collected = {each.name: each.outcome for each in collect(lab.by.annika, names)}
    assert [name for name, outcome in collected.items() if outcome != "done"] == [broken]
    told: list[str] = []
    outcomes = merge(lab.by.annika, progress=lambda each: told.append(each.name))
    assert told == sorted(names)
    failed = [each for each in outcomes if each.outcome != "done"]
    assert [(each.name, each.outcome) for each in failed] == [(broken, "failed")]
    assert "Remove1.nrrd" in (failed[0].message or "")
    assert {each.outcome for each in verify(lab.workspace, names[:5])} == {"done"}
