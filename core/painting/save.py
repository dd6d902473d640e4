"""Save a painting: the slots of all its kinds are one step, which happens whole or not at all.

A save names the versions that the painter opened: if somebody saved since, nothing is changed.
Sent twice, it is saved once.
"""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from core.access.permissions import Action
from core.corrections.add_version import NewVersion, add_to_step, new_version
from core.corrections.folder import Author
from core.corrections.names import free_name
from core.corrections.withdraw import withdraw_in_step
from core.imaging.correction import kind_of, write_correction
from core.imaging.geometry import Grid
from core.lab.lab import Lab
from core.lab.step import Step, slot_conflict
from core.labels.inputs import cached_extracted_label
from core.painting.codec import VALUES, Drawing, mask_of
from core.painting.draft import check_shape, remove_draft_files
from core.painting.open import Painting, active_hold, own_slots, read_painting
from core.patches.lifecycle import Transition, next_stage
from db.errors import ConflictError, StepError
from db.queries.life import SlotRecord, hold_on, slots_of
from db.queries.patches import PatchRecord, get_patch
from db.queries.people import PersonRecord
from db.vocabulary import CorrectionKind, Origin
from db.writes.drafts import drop_draft


@dataclass(frozen=True)
class SavedPainting:
    """Result of a save: versions written, slots withdrawn, and the present state."""

    versions: Mapping[str, int]
    withdrawn: tuple[str, ...]
    findings: tuple[str, ...]
    at: datetime
    painting: Painting


@dataclass(frozen=True)
class _Plan:
    """Plan of a save: the slots to write and to withdraw."""

    mine: Mapping[CorrectionKind, SlotRecord]
    changed: tuple[CorrectionKind, ...]
    """The kinds whose bytes are not the latest version already."""
    emptied: tuple[str, ...]
    """One's slots of kinds that are painted no more."""
    continued: tuple[str, ...]
    """The slots of others whose work the drawing goes on with."""


def save_painting(
    lab: Lab,
    name: str,
    drawing: Drawing,
    *,
    base: Mapping[str, int],
    continued: Mapping[str, int] | None = None,
) -> SavedPainting:
    """Save a drawing as the next version of one's own slot of each kind that changed.

    ``base`` names the versions that the painter opened. ``continued`` are other slots and their
    versions, whose work this drawing goes on with: they are withdrawn. A kind that is painted no
    more has its slot withdrawn.

    Errors: ConflictError where somebody saved since, or holds the patch; NotAllowedError;
    StepError; DrawingError; StoreError; OutputError.
    """
    lab.check(Action.PAINT)
    with lab.catalog.read() as session:
        patch = get_patch(session, name)
        slots = slots_of(session, patch.id)
    next_stage(patch, Transition.CORRECT)
    check_shape(drawing, patch)
    files = _files(drawing, cached_extracted_label(lab.workspace, patch)[1])
    continued = continued or {}
    _plan(patch, slots, lab.person, files, base, continued)
    with ExitStack() as staged:
        new = _stage(lab, patch, files, staged)
        with lab.step(name, Action.PAINT, Transition.CORRECT) as step:
            _check_hold(step)
            now = tuple(step.slots.values())
            plan = _plan(step.patch, now, step.person, files, base, continued)
            versions, findings = _add_versions(step, plan, new, base)
            for slot in plan.emptied:
                withdraw_in_step(step, slot, "painted no more")
            for slot in plan.continued:
                withdraw_in_step(step, slot, f"continued by {step.person.name} in the painter")
            drop_draft(step.session, patch.id, step.person.id)
    remove_draft_files(lab, patch.id)
    with lab.catalog.read() as session:
        painting = read_painting(session, step.person, name)
    return SavedPainting(
        versions=versions,
        withdrawn=(*plan.emptied, *plan.continued),
        findings=findings,
        at=step.change.at,
        painting=painting,
    )


def _files(drawing: Drawing, grid: Grid) -> dict[CorrectionKind, bytes]:
    """Write a correction file of each kind that is painted."""
    files = {}
    with TemporaryDirectory() as folder:
        for kind in VALUES:
            mask = mask_of(drawing, kind)
            if mask.any():
                path = Path(folder) / f"{kind}.nrrd"
                write_correction(path, mask, grid, kind)
                files[kind] = path.read_bytes()
    return files


def _plan(
    patch: PatchRecord,
    slots: tuple[SlotRecord, ...],
    person: PersonRecord,
    files: Mapping[CorrectionKind, bytes],
    base: Mapping[str, int],
    continued: Mapping[str, int],
) -> _Plan:
    """Say what a save does; checked before anything is kept, and again inside the step.

    Errors: ConflictError where somebody saved since.
    """
    counting = tuple(slot for slot in slots if slot.counts)
    mine = own_slots(counting, person)
    same = {
        kind
        for kind, data in files.items()
        if kind in mine and mine[kind].latest.sha256 == hashlib.sha256(data).hexdigest()
    }
    _check_base(patch, mine, same, files, base)
    changed = tuple(kind for kind in files if kind not in same)
    others = {slot.name: slot for slot in counting if slot not in mine.values()}
    return _Plan(
        mine=mine,
        changed=changed,
        emptied=tuple(slot.name for kind, slot in mine.items() if kind not in files),
        continued=_sources(patch, others, continued, is_new=bool(changed)),
    )


def _check_base(
    patch: PatchRecord,
    mine: Mapping[CorrectionKind, SlotRecord],
    same: set[CorrectionKind],
    files: Mapping[CorrectionKind, bytes],
    base: Mapping[str, int],
) -> None:
    """One's slots are as they were opened, or hold just what is to be saved (a save sent twice)."""
    for kind, slot in mine.items():
        seen = base.get(slot.name, 0)
        if slot.latest.number != seen and kind not in same:
            raise slot_conflict(patch.name, slot.name, slot, seen)
    for name in sorted(base.keys() - {slot.name for slot in mine.values()}):
        if kind_of(name) in files:
            raise slot_conflict(patch.name, name, None, base[name])


def _sources(
    patch: PatchRecord,
    others: Mapping[str, SlotRecord],
    continued: Mapping[str, int],
    *,
    is_new: bool,
) -> tuple[str, ...]:
    """Name the slots to withdraw, since the drawing goes on with them; each is as it was seen."""
    for name in sorted(continued.keys() & others.keys()):
        if others[name].latest.number != continued[name]:
            raise slot_conflict(patch.name, name, others[name], continued[name])
    gone = sorted(continued.keys() - others.keys())
    if gone and is_new:
        raise ConflictError(
            f"{patch.name}: {gone[0]} cannot be continued, it was withdrawn or is your own; open "
            "the patch again."
        )
    return tuple(name for name in continued if name in others)


def _stage(
    lab: Lab, patch: PatchRecord, files: Mapping[CorrectionKind, bytes], staged: ExitStack
) -> dict[CorrectionKind, NewVersion]:
    """Read each file as it will be merged, keep its bytes, and stage it for its folder."""
    author = Author(lab.person.id)
    new = {}
    for kind, data in files.items():
        arrived = staged.enter_context(lab.store.arrive(data))
        slot = f"{kind.value.capitalize()}.nrrd"  # its number is known inside the step
        version = new_version(lab, patch, slot, arrived, Origin.PAINTED, author)
        new[kind] = staged.enter_context(version)
        if new[kind].received.error:
            raise StepError(f"{patch.name}: was not saved; {new[kind].received.error}")
    return new


def _check_hold(step: Step) -> None:
    held = active_hold(hold_on(step.session, step.patch.id))
    if held is not None and held.person_id != step.person.id:
        raise ConflictError(
            f"{step.patch.name}: {held.person} paints on it since {held.since:%H:%M} UTC; nothing "
            "was saved: ask them, or take it over."
        )


def _add_versions(
    step: Step,
    plan: _Plan,
    new: Mapping[CorrectionKind, NewVersion],
    base: Mapping[str, int],
) -> tuple[dict[str, int], tuple[str, ...]]:
    versions: dict[str, int] = {}
    findings: list[str] = []
    folder = step.folders.corrections_of(step.patch.name)
    for kind in plan.changed:
        own = plan.mine.get(kind)
        slot = own.name if own else free_name(new[kind].slot, step.slots, folder)
        outcome = add_to_step(step, replace(new[kind], slot=slot), base.get(slot, 0))
        versions[slot] = int(outcome.details["version"])
        findings += outcome.findings
    return versions, tuple(findings)
