"""Withdraw a correction from the merge, reinstate it, or bring an older version back.

Nothing is deleted. A withdrawn file moves to corrections/<patch>/withdrawn/, so that the drop-in
leaves it out as well.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack

from core.access.permissions import Action
from core.corrections.add_version import (
    add_to_step,
    lies_in_folder,
    new_version,
    read_slots,
)
from core.corrections.folder import Author
from core.corrections.store import Store
from core.lab.file_moves import staged_copy
from core.lab.lab import Lab
from core.lab.step import Step
from core.labels.inputs import in_folder
from core.patches.lifecycle import Transition
from core.workspace.folders import make_shared
from core.workspace.results import DONE, FAILED, KEPT, Outcome
from db.errors import StepError, UnknownNameError
from db.queries.life import SlotRecord, VersionRecord
from db.vocabulary import Origin


def withdraw_correction(
    lab: Lab, patch: str, slot: str, *, reason: str | None = None, seen: int | None = None
) -> Outcome:
    """Leave a correction out of merges to come; a label that holds it becomes stale.

    Errors: UnknownNameError; StepError; ConflictError; NotAllowedError; OutputError.
    """
    with lab.step(patch, Action.WITHDRAW_CORRECTION, Transition.CORRECT, seen=seen) as step:
        if _find(step, slot).withdrawn:
            return Outcome(patch, KEPT, f"{slot}: is withdrawn already.")
        withdraw_in_step(step, slot, reason)
    return Outcome(patch, DONE, details={"slot": slot})


def withdraw_in_step(step: Step, slot: str, reason: str | None) -> None:
    """Withdraw a correction as a part of a step, and set its file aside.

    Errors: StepError where the file in the folder was not collected yet.
    """
    known = _find(step, slot)
    step.mark(slot, withdrawn=True, reason=reason)
    file = step.folders.corrections_of(step.patch.name) / slot
    if not os.path.lexists(file):
        return
    if not lies_in_folder(file, known):
        raise StepError(f"{file}: changed since it was collected; collect it first.")
    aside = step.folders.withdrawn_of(step.patch.name)
    make_shared(aside)
    if os.path.lexists(aside / slot):
        Store(step.folders.store).put_file(aside / slot)
    step.move(file, aside / slot)


def reinstate_correction(lab: Lab, patch: str, slot: str, *, seen: int | None = None) -> Outcome:
    """Take a withdrawn correction back into merges to come.

    Errors: as ``withdraw_correction``; StoreError where its file is gone from the store.
    """
    known = _get(read_slots(lab, patch, Action.WITHDRAW_CORRECTION).slots, patch, slot)
    with ExitStack() as staged:
        sha256 = in_folder(known)
        copy = None
        folder = lab.folders.corrections_of(patch)
        if sha256 is not None:
            kept = lab.store.checked(sha256, f"{patch} {slot}")
            copy = staged.enter_context(staged_copy(kept, folder))
        with lab.step(patch, Action.WITHDRAW_CORRECTION, Transition.CORRECT, seen=seen) as step:
            now = _find(step, slot)
            if not now.withdrawn:
                return Outcome(patch, KEPT, f"{slot}: is not withdrawn.")
            step.mark(slot, withdrawn=False, missing=False)
            if copy is not None:
                file = folder / slot
                if os.path.lexists(file) and not lies_in_folder(file, now):
                    raise StepError(
                        f"{file}: another file of this name is there; collect it, or move it away."
                    )
                step.place(copy, file)
    aside = lab.folders.withdrawn_of(patch) / slot
    if lies_in_folder(aside, known):
        aside.unlink(missing_ok=True)
    return Outcome(patch, DONE, details={"slot": slot})


def restore_version(
    lab: Lab, patch: str, slot: str, number: int, *, seen: int | None = None
) -> Outcome:
    """Make an older version of a correction its latest again, as a new version of the same bytes.

    Its author stays who painted it.

    Errors: UnknownNameError; StepError; ConflictError; NotAllowedError; StoreError.
    """
    known = read_slots(lab, patch, Action.SUBMIT_CORRECTION)
    older = _version(_get(known.slots, patch, slot), slot, number)
    if older.error:
        raise StepError(f"{slot}: version {number} cannot be merged; {older.error}")
    latest = known.slots[slot].latest
    if latest.sha256 == older.sha256 and known.slots[slot].counts:
        return Outcome(patch, KEPT, f"{slot}: version {latest.number} holds the same bytes.")
    kept = lab.store.checked(older.sha256, f"{patch} {slot} version {number}")
    author = Author(older.author_id, older.author_account)
    with (
        lab.store.arrive(kept) as arrived,
        new_version(lab, known.patch, slot, arrived, Origin.UPLOADED, author) as new,
        lab.step(
            patch,
            Action.SUBMIT_CORRECTION,
            Transition.CORRECT,
            seen=seen,
            reason=f"version {number} restored",
        ) as step,
    ):
        expected = latest.number if known.slots[slot].counts else 0
        outcome = add_to_step(step, new, expected)
        if outcome.outcome == FAILED:
            raise StepError(f"{slot}: version {number} cannot be merged; {outcome.message}")
    return outcome


def _find(step: Step, slot: str) -> SlotRecord:
    return _get(step.slots, step.patch.name, slot)


def _get(slots: Mapping[str, SlotRecord], patch: str, slot: str) -> SlotRecord:
    if slot not in slots:
        raise UnknownNameError.among(f"correction of {patch}", slot, slots)
    return slots[slot]


def _version(slot: SlotRecord, name: str, number: int) -> VersionRecord:
    versions = {version.number: version for version in slot.versions}
    if number not in versions:
        raise UnknownNameError.among(f"version of {name}", str(number), map(str, versions))
    return versions[number]
