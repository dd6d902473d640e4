"""A step of a lab happens whole or not at all, in one transaction, whatever kills it."""

import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from core.access import permissions
from core.access.permissions import Action
from core.corrections.collect import collect
from core.corrections.receive import receive
from core.errors import OutputError
from core.lab.lab import Lab
from core.lab.step import Step
from core.painting.save import save_painting
from core.patches.lifecycle import Transition
from core.workspace.workspace import Workspace, open_workspace
from db.errors import ConflictError, NotAllowedError, StepError
from db.queries.people import person_by_id
from db.vocabulary import Origin, Role, Stage
from db.writes.events import Change
from db.writes.people import change_person

ADD, OTHER = np.s_[80, 80, 70:90], np.s_[80, 90, 70:90]


@contextmanager
def transactions(workspace: Workspace) -> Iterator[Counter[str]]:
    """Count the transactions that a catalog begins: reads and writes."""
    counted: Counter[str] = Counter()
    catalog = workspace.catalog

    def count(what: str) -> Callable[..., None]:
        return lambda *_: counted.update([what])

    listeners = [(catalog._reader, count("read")), (catalog._writer, count("write"))]
    for engine, listener in listeners:
        event.listen(engine, "begin", listener)
    yield counted
    for engine, listener in listeners:
        event.remove(engine, "begin", listener)


def drawing(start: int = 20) -> np.ndarray:
    """Something of all three kinds."""
    painted = np.zeros((160, 160, 160), np.uint8)
    for kind in (1, 2, 3):
        painted[80 + kind, 80, start:60] = kind
    return painted


def killed(lab: Any, work: Callable[[Workspace], object]) -> None:
    """Work in a process of its own, which dies between its commit and placing the files."""
    lab.workspace.close()
    child = os.fork()
    if child == 0:
        try:
            Step.publish = lambda self: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
            with open_workspace(lab.folders.root) as workspace:
                work(workspace)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def test_three_kinds_of_a_painting_are_saved_in_one_transaction(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_painting(lab.by.annika, lab.name, drawing(), base={})
    checks: Counter[str] = Counter()
    read_person = person_by_id
    monkeypatch.setattr(
        permissions,
        "person_by_id",
        lambda session, who: checks.update(["role"]) or read_person(session, who),
    )
    base = {"Add1.nrrd": 1, "Remove1.nrrd": 1, "Ignore1.nrrd": 1}
    with transactions(lab.workspace) as counted:
        saved = save_painting(lab.by.annika, lab.name, drawing(25), base=base)
    assert saved.versions == dict.fromkeys(base, 2)
    assert counted["write"] == 1
    assert counted["read"] <= 3
    assert checks["role"] == 1


def test_an_upload_takes_two_reads_and_one_write(lab: Any) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    with transactions(lab.workspace) as counted:
        receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    assert counted["write"] == 1
    assert counted["read"] <= 2


def test_a_painting_of_which_one_kind_cannot_be_placed_is_not_saved_at_all(lab: Any) -> None:
    save_painting(lab.by.annika, lab.name, drawing(), base={})
    before = {name: slot.latest.sha256 for name, slot in lab.slots().items()}
    lab.file("Ignore1.nrrd").write_bytes(b"somebody saved this a moment ago")
    base = dict.fromkeys(before, 1)
    with pytest.raises(ConflictError, match=r"Ignore1\.nrrd: somebody saved another file"):
        save_painting(lab.by.annika, lab.name, drawing(30), base=base)
    assert {name: slot.latest.sha256 for name, slot in lab.slots().items()} == before
    assert not list(lab.folders.corrections.rglob(".partial*"))


def test_a_step_that_fails_leaves_files_and_catalog_as_they_were(lab: Any) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    file, version = lab.file("Add1.nrrd"), lab.patch().version
    data, staged = file.read_bytes(), lab.file(".staged")
    staged.write_bytes(b"new")

    def fail() -> None:
        with lab.by.annika.step(lab.name, Action.PAINT, Transition.CORRECT) as step:
            step.mark("Add1.nrrd", withdrawn=True)
            step.place(staged, file)
            raise StepError("the third kind cannot be saved")

    with pytest.raises(StepError, match="the third kind"):
        fail()
    assert file.read_bytes() == data
    assert lab.slots()["Add1.nrrd"].counts
    assert lab.patch().version == version


def test_a_step_is_refused_inside_its_transaction(lab: Any) -> None:
    seen = lab.patch().version
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    with (
        pytest.raises(ConflictError, match=f"you saw {seen}"),
        lab.by.annika.step(lab.name, Action.PAINT, Transition.CORRECT, seen=seen),
    ):
        pass
    with (
        pytest.raises(StepError, match="cannot be submitted"),
        lab.by.annika.step(lab.name, Action.SUBMIT, Transition.SUBMIT),
    ):
        pass
    demoted = lab.by.annika
    with lab.workspace.catalog.write() as session:
        change_person(session, Change.now(lab.admin.id), "annika", role=Role.VIEWER)
    with (
        pytest.raises(NotAllowedError, match="annika is a viewer"),
        demoted.step(lab.name, Action.PAINT, Transition.CORRECT),
    ):
        pass


def test_a_killed_upload_is_its_sender_s_and_comes_to_its_folder(lab: Any) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    annika = lab.annika
    killed(
        lab,
        lambda workspace: receive(Lab(workspace, annika), lab.name, "Add1.nrrd", data),
    )
    assert not lab.file("Add1.nrrd").exists()
    collect(lab.by.cora)
    (version,) = lab.slots()["Add1.nrrd"].versions
    assert (version.author, version.origin) == ("annika", Origin.UPLOADED)
    assert lab.slots()["Add1.nrrd"].counts
    assert lab.file("Add1.nrrd").read_bytes() == data
    assert not list(lab.folders.placing.iterdir())


def test_what_was_erased_in_a_killed_save_stays_erased(lab: Any) -> None:
    save_painting(lab.by.annika, lab.name, drawing(), base={})
    base = {"Add1.nrrd": 1, "Remove1.nrrd": 1, "Ignore1.nrrd": 1}
    only_add = np.where(drawing() == 1, drawing(), 0).astype(np.uint8)
    annika = lab.annika
    killed(
        lab,
        lambda workspace: save_painting(Lab(workspace, annika), lab.name, only_add, base=base),
    )
    collect(lab.by.cora)
    assert {name for name, slot in lab.slots().items() if slot.counts} == {"Add1.nrrd"}
    assert not lab.file("Remove1.nrrd").exists()
    again = save_painting(lab.by.annika, lab.name, only_add, base={"Add1.nrrd": 1})
    assert (again.versions, again.withdrawn) == ({}, ())


def test_a_killed_step_places_nothing_over_what_somebody_saved_since(lab: Any) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    data, annika = lab.bytes("Add1.nrrd", OTHER), lab.annika
    killed(
        lab,
        lambda workspace: receive(Lab(workspace, annika), lab.name, "Add1.nrrd", data),
    )
    saved = lab.save("Add1.nrrd", np.s_[70, 70, 60:90]).read_bytes()
    (outcome,) = collect(lab.by.cora)
    assert outcome.outcome == "done"
    assert lab.file("Add1.nrrd").read_bytes() == saved
    origins = [version.origin for version in lab.slots()["Add1.nrrd"].versions]
    assert origins == [Origin.UPLOADED, Origin.UPLOADED, Origin.COLLECTED]


def test_a_correction_folder_that_is_a_link_is_not_followed(lab: Any, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    folder = lab.folders.corrections_of(lab.name)
    folder.rmdir()
    folder.symlink_to(private)
    data = lab.bytes("Add1.nrrd", ADD)
    with pytest.raises(OutputError, match="is a symbolic link"):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    (private / "Add1.nrrd").write_bytes(data)
    outcomes = {outcome.name: outcome for outcome in collect(lab.by.annika)}
    assert "is a symbolic link" in (outcomes[lab.name].message or "")
    assert lab.patch().stage is Stage.EXTRACTED
    assert sorted(private.iterdir()) == [private / "Add1.nrrd"]
