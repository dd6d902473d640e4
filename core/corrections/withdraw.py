"""Withdraw a correction from the merge, or take it back; nothing is deleted.

The file moves to corrections/<patch>/withdrawn/, so that the drop-in leaves it out as well.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from core.access.permissions import Action, require
from core.corrections.folder import look
from core.corrections.store import Store, in_place, same_bytes
from core.errors import OutputError
from core.files.atomic import sync_folder
from core.labels.inputs import in_folder, update_stale
from core.patches.lifecycle import Transition, next_stage
from core.patches.record import write_sidecar
from core.workspace.folders import make_shared
from core.workspace.locks import patch_lock
from core.workspace.results import DONE, KEPT, Outcome
from core.workspace.workspace import Workspace
from db.errors import StepError, UnknownNameError
from db.queries.life import SlotRecord, slots_of
from db.queries.patches import get_patch
from db.queries.people import PersonRecord
from db.writes.corrections import mark_correction
from db.writes.events import Change
from db.writes.patches import lock_patch


def withdraw_correction(
    workspace: Workspace,
    by: PersonRecord,
    patch: str,
    slot: str,
    *,
    reason: str | None = None,
    seen: int | None = None,
) -> Outcome:
    """Leave a correction out of merges to come; a label that holds it becomes stale.

    Errors: UnknownNameError; StepError; ConflictError; NotAllowedError; OutputError.
    """
    with patch_lock(workspace, patch):
        found = _slot(workspace, by, patch, slot)
        if found.withdrawn:
            return Outcome(patch, KEPT, f"{slot}: is withdrawn already.")
        file = workspace.folders.corrections_of(patch) / slot
        aside = workspace.folders.withdrawn_of(patch) / slot
        with _moved(workspace, file, aside, in_folder(found)):
            _mark(workspace, by, patch, slot, True, reason, seen)
    write_sidecar(workspace, patch)
    return Outcome(patch, DONE, details={"slot": slot})


def reinstate_correction(
    workspace: Workspace, by: PersonRecord, patch: str, slot: str, *, seen: int | None = None
) -> Outcome:
    """Take a withdrawn correction back into merges to come.

    Errors: as ``withdraw_correction``; StoreError where its file is gone from the store.
    """
    with patch_lock(workspace, patch), ExitStack() as placed:
        found = _slot(workspace, by, patch, slot)
        if not found.withdrawn:
            return Outcome(patch, KEPT, f"{slot}: is not withdrawn.")
        sha256 = in_folder(found)
        if sha256 is not None:
            placed.enter_context(_placed_again(workspace, patch, slot, sha256))
        _mark(workspace, by, patch, slot, False, None, seen)
    write_sidecar(workspace, patch)
    return Outcome(patch, DONE, details={"slot": slot})


def _slot(workspace: Workspace, by: PersonRecord, patch: str, slot: str) -> SlotRecord:
    with workspace.catalog.read() as session:
        require(session, by, Action.WITHDRAW_CORRECTION)
        record = get_patch(session, patch)
        next_stage(record, Transition.CORRECT)
        slots = {each.name: each for each in slots_of(session, record.id)}
    if slot not in slots:
        raise UnknownNameError.among(f"correction of {patch}", slot, slots)
    return slots[slot]


def _mark(
    workspace: Workspace,
    by: PersonRecord,
    patch: str,
    slot: str,
    withdrawn: bool,
    reason: str | None,
    seen: int | None,
) -> None:
    with workspace.catalog.write() as session:
        require(session, by, Action.WITHDRAW_CORRECTION)
        record = lock_patch(session, patch, seen)
        change = Change.now(by.id, reason)
        missing = None if withdrawn else False
        mark_correction(session, change, record, slot, withdrawn=withdrawn, missing=missing)
        update_stale(session, change, record)


@contextmanager
def _moved(workspace: Workspace, file: Path, aside: Path, collected: str | None) -> Iterator[None]:
    """The file among the withdrawn ones; where the block fails, back again."""
    if not os.path.lexists(file):
        yield
        return
    if look(file).sha256 != collected:
        raise StepError(f"{file}: changed since it was collected; collect it first.")
    if os.path.lexists(aside):
        Store(workspace.folders.store).put_file(aside)
    make_shared(aside.parent)
    _rename(file, aside)
    try:
        yield
    except BaseException:
        _rename(aside, file)
        raise


@contextmanager
def _placed_again(workspace: Workspace, patch: str, slot: str, sha256: str) -> Iterator[None]:
    """The file in its folder again; it leaves the withdrawn ones when the block is done."""
    store = Store(workspace.folders.store)
    kept = store.checked(sha256, f"{patch} {slot}")
    file = workspace.folders.corrections_of(patch) / slot
    if os.path.lexists(file) and not same_bytes(file, kept):
        raise StepError(f"{file}: stands there and is another file; collect it, or move it away.")
    with in_place(store, kept, file):
        yield
    aside = workspace.folders.withdrawn_of(patch) / slot
    if same_bytes(aside, kept):
        aside.unlink(missing_ok=True)


def _rename(source: Path, target: Path) -> None:
    try:
        source.replace(target)
        sync_folder(source.parent)
        sync_folder(target.parent)
    except OSError as error:
        raise OutputError(
            f"{source}: cannot be moved to {target.parent} ({error.strerror}); let the group "
            "write there."
        ) from error
