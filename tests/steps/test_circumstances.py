"""Disks that fail, folders that are away, machines that share a catalog: nothing is lost."""

import errno
import fcntl
import os
import shutil
import threading
import time
import tracemalloc
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.access import people
from core.corrections import add_version
from core.corrections.collect import collect
from core.corrections.receive import receive
from core.corrections.store import Store
from core.corrections.withdraw import restore_version
from core.errors import LabelError, StoreError, VolumeError
from core.imaging import correction
from core.imaging.extraction import CORRECTIONS_MARKER
from core.imaging.formats.nifti import write_nifti
from core.imaging.labels import merge as merge_label
from core.lab.lab import Lab
from core.labels import inputs
from core.labels import merge as merging
from core.labels.inputs import inputs_of
from core.labels.merge import merge, merge_again
from core.labels.review import accept, reject, submit
from core.painting.save import save_painting
from core.patches.assign import assign
from core.workspace import locks
from core.workspace.workspace import Workspace, open_workspace
from db.errors import ConflictError, StepError
from db.vocabulary import Origin, Stage

ADD, OTHER = np.s_[80, 80, 70:90], np.s_[80, 90, 70:90]
LIMIT = 100 << 20


def fail_once(code: int) -> Callable[..., Any]:
    """Read corrections, but for the first, which the disk does not give."""
    read, failures = correction.read_correction, [OSError(code, os.strerror(code))]

    def read_correction(*args: Any, **options: Any) -> Any:
        if failures:
            raise VolumeError("cannot be read") from failures.pop()
        return read(*args, **options)

    return read_correction


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE])
def test_a_file_that_the_disk_does_not_give_at_once_is_not_refused_for_ever(
    lab: Any, monkeypatch: pytest.MonkeyPatch, code: Any
) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    monkeypatch.setattr(add_version, "read_correction", fail_once(code))
    with pytest.raises(StoreError, match="cannot be read at the moment"):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    assert lab.slots() == {}
    assert receive(lab.by.annika, lab.name, "Add1.nrrd", data).outcome == "done"
    lab.save("Add2.nrrd", OTHER)
    monkeypatch.setattr(add_version, "read_correction", fail_once(code))
    assert collect(lab.by.cora)[0].outcome == "failed"
    assert "Add2.nrrd" not in lab.slots()
    assert collect(lab.by.cora)[0].outcome == "done"


def test_a_painting_that_the_disk_does_not_give_keeps_its_draft_and_is_saved_later(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = np.zeros((160, 160, 160), np.uint8)
    drawing[ADD] = 1
    monkeypatch.setattr(add_version, "read_correction", fail_once(errno.EIO))
    with pytest.raises(StoreError, match="nothing was recorded"):
        save_painting(lab.by.annika, lab.name, drawing, base={})
    assert lab.slots() == {}
    saved = save_painting(lab.by.annika, lab.name, drawing, base={})
    assert saved.versions == {"Add1.nrrd": 1}


def test_bytes_that_an_older_program_refused_are_tried_again(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    monkeypatch.setattr(add_version, "_check_is_fault_of_the_file", lambda slot, error: None)
    monkeypatch.setattr(add_version, "read_correction", fail_once(errno.EIO))
    assert receive(lab.by.annika, lab.name, "Add1.nrrd", data).outcome == "failed"
    again = receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    assert (again.outcome, again.details["version"]) == ("done", 2)


def test_an_empty_correction_is_refused(lab: Any) -> None:
    outcome = receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd"))
    assert outcome.outcome == "failed"
    assert "Add1.nrrd: nothing is painted in it" in (outcome.message or "")
    assert merge(lab.by.annika, [lab.name])[0].outcome == "failed"


def refused_in_folder(lab: Any, how: str) -> Path:
    """A Remove that collecting cannot record."""
    file: Path = lab.save("Remove1.nrrd", np.s_[40:60, 40:60, 40:60])
    if how == "letters":
        return file.rename(file.with_name(unicodedata.normalize("NFD", "Remove_é.nrrd")))
    if how == "link":
        shutil.move(file, lab.data / "Remove1.nrrd")
        return link(file, lab.data)
    os.truncate(file, (lab.workspace.settings.upload_mb << 20) + 1)
    return file


def link(file: Path, folder: Path) -> Path:
    file.symlink_to(folder / "Remove1.nrrd")
    return file


@pytest.mark.parametrize("how", ["letters", "link", "size"])
def test_a_patch_with_a_file_that_cannot_be_collected_is_not_merged_without_it(
    lab: Any, how: Any
) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    file = refused_in_folder(lab, how)
    (collected,) = collect(lab.by.annika)
    assert collected.outcome == "failed"
    (outcome,) = merge(lab.by.annika)
    assert outcome.outcome == "failed"
    assert f"{lab.name}: not merged without" in (outcome.message or "")
    file.unlink()
    assert merge(lab.by.annika)[0].outcome == "done"


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_file_of_the_store_is_healed_by_its_bytes(lab: Any, damage: Any) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    stored = Store(lab.folders.store).path_of(lab.slots()["Add1.nrrd"].latest.sha256)
    stored.chmod(0o644)
    stored.write_bytes(data[:-9] if damage == "truncated" else data[:-1] + b"x")
    assert receive(lab.by.annika, lab.name, "Add1.nrrd", data).outcome == "kept"
    assert stored.read_bytes() == data


def test_an_empty_mount_point_in_place_of_the_corrections_is_a_doubt(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    away = lab.folders.corrections.rename(lab.folders.root / "elsewhere")
    lab.folders.corrections.mkdir()
    with pytest.raises(StoreError, match="is its disk mounted"):
        collect(lab.by.annika)
    assert lab.slots()["Add1.nrrd"].counts
    lab.folders.corrections.rmdir()
    away.rename(lab.folders.corrections)
    assert collect(lab.by.annika)[0].outcome == "kept"
    (lab.folders.corrections / CORRECTIONS_MARKER).unlink()  # a workspace of version 0.1
    assert collect(lab.by.annika)[0].outcome == "kept"
    assert (lab.folders.corrections / CORRECTIONS_MARKER).is_file()


def test_a_step_waits_for_whoever_holds_the_patch_s_files(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.2)
    with (
        open_workspace(lab.folders.root) as other,
        locks.patch_lock(other, lab.name),
        pytest.raises(ConflictError, match="changing its files"),
    ):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    assert lab.slots() == {}


def test_machines_whose_file_locks_do_not_meet_are_kept_apart_by_postgresql(
    any_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any_workspace.catalog.file:
        pytest.skip("SQLite is for one machine")
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    inside, most = [0], [0]

    def work() -> None:
        with open_workspace(any_workspace.folder) as own, locks.patch_lock(own, "p"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_accept_of_one_of_several_merges_names_the_one_that_was_shown(lab: Any) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    merge(lab.by.annika)
    submit(lab.by.annika, lab.name)
    receive(lab.by.annika, lab.name, "Add2.nrrd", lab.bytes("Add2.nrrd", OTHER))
    merge(lab.by.annika)  # while the reviewer looks at merge 1
    with pytest.raises(StepError, match=r"has 2 merges; annika made merge 2 .* --merge 2"):
        accept(lab.by.rolf, lab.name)
    with pytest.raises(ConflictError, match="you looked at merge 1"):
        accept(lab.by.rolf, lab.name, merge_number=1)
    assert accept(lab.by.rolf, lab.name, merge_number=2).stage is Stage.ACCEPTED


def test_a_sparse_file_beyond_the_limit_is_refused_unread(lab: Any) -> None:
    file = lab.file("Add1.nrrd")
    with file.open("wb") as sparse:
        sparse.truncate(4 << 30)
    began = time.monotonic()
    (outcome,) = collect(lab.by.annika)
    assert time.monotonic() - began < 2
    assert "more than the" in (outcome.message or "")


def test_a_merge_holds_one_correction_at_a_time(lab: Any) -> None:
    for number in range(20):
        box = np.s_[20 + number, 20:140, 20:140]
        receive(lab.by.annika, lab.name, f"Add{number}.nrrd", lab.bytes("Add1.nrrd", box))
    used = inputs_of(lab.slots().values())
    tracemalloc.start()
    merge_again(lab.workspace, lab.patch(), used)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 << 20


def test_a_correction_that_comes_in_during_a_merge_is_in_the_label(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    data = lab.bytes("Add2.nrrd", OTHER)
    sent: list[Any] = []

    def merge_slowly(*args: Any) -> Any:
        if not sent:
            sent.append(receive(lab.by.anton, lab.name, "Add2.nrrd", data))
        return merge_label(*args)

    monkeypatch.setattr(merging, "merge_label", merge_slowly)
    (outcome,) = merge(lab.by.annika)
    assert outcome.details["corrections"] == ["Add1.nrrd", "Add2.nrrd"]
    assert (lab.merged()[OTHER] == 1).all()
    assert not lab.patch().stale


def test_a_label_that_was_replaced_since_it_was_read_is_not_taken_from_memory(lab: Any) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    assert inputs._read_cached.cache_info().currsize
    label = lab.label()
    target = lab.folders.label_of(lab.name)
    target.unlink()
    write_nifti(target, label[::-1].copy(), lab.grid())
    with pytest.raises(LabelError, match="not the label that was extracted"):
        receive(lab.by.annika, lab.name, "Add2.nrrd", lab.bytes("Add2.nrrd", OTHER))


def test_an_older_version_comes_back_as_the_latest_and_stays_its_painter_s(lab: Any) -> None:
    first, second = lab.bytes("Add1.nrrd", ADD), lab.bytes("Add1.nrrd", OTHER)
    receive(lab.by.annika, lab.name, "Add1.nrrd", first)
    receive(lab.by.anton, lab.name, "Add1.nrrd", second, expected=1)
    outcome = restore_version(lab.by.cora, lab.name, "Add1.nrrd", 1)
    assert (outcome.outcome, outcome.details["version"]) == ("done", 3)
    latest = lab.slots()["Add1.nrrd"].latest
    assert (latest.author, latest.received_by, latest.origin) == ("annika", "cora", Origin.UPLOADED)
    assert lab.file("Add1.nrrd").read_bytes() == first
    assert restore_version(lab.by.cora, lab.name, "Add1.nrrd", 1).outcome == "kept"
    with pytest.raises(ConflictError, match="you saw 1"):
        restore_version(lab.by.cora, lab.name, "Add1.nrrd", 2, seen=1)


def test_a_rejected_patch_of_somebody_who_left_goes_to_who_painted_it(lab: Any) -> None:
    assign(lab.by.cora, lab.name, "anton")
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    merge(lab.by.annika)
    people.disable(lab.workspace, lab.admin, "anton")
    assert reject(lab.by.rolf, lab.name, "not closed").assignee == "annika"


def test_a_painter_of_another_page_cannot_overwrite_what_it_did_not_see(lab: Any) -> None:
    drawing = np.zeros((160, 160, 160), np.uint8)
    drawing[ADD] = 1
    save_painting(lab.by.annika, lab.name, drawing, base={})
    stale = Lab(lab.workspace, lab.annika)
    drawing[OTHER] = 1
    with pytest.raises(ConflictError, match="version 1, you saw 0"):
        save_painting(stale, lab.name, drawing, base={})
