"""Add a correction's next version: keep its bytes, read it against its patch, place and record it.

What can be merged goes to the store and to corrections/<patch>/, where MITK users and the drop-in
find it; what cannot is recorded with the reason and kept apart. Only a fault of the file itself is
recorded: where reading fails for another reason (a disk error, too many open files), nothing is,
and the same bytes may be sent again.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.access.permissions import Action
from core.corrections.folder import Author, FileSnapshot, check_file, owner_of, snapshot
from core.corrections.names import free_name
from core.corrections.store import Arrived, refuse
from core.errors import CorrectionError, StoreError
from core.imaging.correction import Correction, kind_of, read_correction
from core.imaging.geometry import Grid
from core.imaging.hashes import file_hash
from core.imaging.labels import Label
from core.lab.file_moves import staged_copy
from core.lab.lab import Lab
from core.lab.step import Step
from core.labels.inputs import cached_extracted_label, in_folder
from core.patches.lifecycle import Transition, next_stage
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome
from db.errors import ConflictError, TomocurateError
from db.queries.life import SlotRecord, slots_of
from db.queries.patches import PatchRecord, get_patch
from db.vocabulary import Origin
from db.writes.corrections import Received

_SNIFFED = 8 << 10
_SENT = (Origin.UPLOADED, Origin.PAINTED)
_ACTION = {Origin.COLLECTED: Action.COLLECT, Origin.PAINTED: Action.PAINT}


@dataclass(frozen=True)
class PatchSlots:
    """A patch and its corrections by file name, as the catalog has them."""

    patch: PatchRecord
    slots: Mapping[str, SlotRecord]


@dataclass(frozen=True)
class NewVersion:
    """A correction that was read and kept, and waits to become a version."""

    slot: str
    received: Received
    staged: Path | None
    """The copy to place in the correction folder, if it belongs there."""

    @property
    def sha256(self) -> str:
        return self.received.sha256


def action_of(origin: Origin) -> Action:
    """Give the action that adding a file of this origin is."""
    return _ACTION.get(origin, Action.SUBMIT_CORRECTION)


def read_slots(lab: Lab, patch: str, action: Action) -> PatchSlots:
    """Read a patch that takes corrections, and those it has, for a person who may take an action.

    Errors: NotAllowedError; UnknownNameError; StepError.
    """
    with lab.read(action) as session:
        record = get_patch(session, patch)
        slots = {slot.name: slot for slot in slots_of(session, record.id)}
    next_stage(record, Transition.CORRECT)
    return PatchSlots(record, slots)


def add_version(
    lab: Lab,
    patch: str,
    slot: str,
    arrived: Arrived,
    origin: Origin,
    author: Author,
    expected: int | None = None,
) -> Outcome:
    """Make a file that arrived the slot's next version, as one step.

    ``expected`` is the version that its sender saw under the name, 0 for none. Without it, a file
    replaces none that somebody else painted.

    Errors: StepError; ConflictError; NotAllowedError; UnknownNameError; OutputError; StoreError
    where the file cannot be read now.
    """
    known = read_slots(lab, patch, action_of(origin))
    if not (origin is Origin.IMPORTED and slot in known.slots):
        known = _collect_unseen(lab, known, slot, arrived, origin)
    before = known.slots.get(slot)
    if before and origin is Origin.IMPORTED:
        return _skip_imported(known, before, arrived)
    if before and before.counts and _is_kept(lab, known.patch, before, arrived):
        return _outcome(known.patch, KEPT, before.name, before.latest.number, arrived, before)
    with (
        new_version(lab, known.patch, slot, arrived, origin, author) as new,
        lab.step(patch, action_of(origin), Transition.CORRECT) as step,
    ):
        return add_to_step(step, new, expected)


@contextmanager
def new_version(
    lab: Lab,
    patch: PatchRecord,
    slot: str,
    arrived: Arrived,
    origin: Origin,
    author: Author,
    *,
    keep_refused: bool = False,
) -> Iterator[NewVersion]:
    """Read a file that arrived, keep its bytes, and stage it for the correction folder.

    One that cannot be merged is kept apart, where old ones leave, unless ``keep_refused``.

    Errors: LabelError where the patch's own label is gone or changed; StoreError; OutputError.
    """
    received = read_arrived(lab, patch, slot, arrived, origin, author)
    if received.error and not keep_refused:
        refuse(arrived, lab.folders.refused)
        yield NewVersion(slot, received, None)
        return
    kept = lab.store.keep(arrived)
    if origin is Origin.COLLECTED:
        yield NewVersion(slot, received, None)
        return
    with staged_copy(kept.path, lab.folders.corrections_of(patch.name)) as staged:
        yield NewVersion(slot, received, staged)


def add_to_step(step: Step, new: NewVersion, expected: int | None = None) -> Outcome:
    """Record a new version and place its file; one that is the latest already counts again.

    Errors: ConflictError where another version counts now, or another file lies in the folder.
    """
    before = step.slots.get(new.slot)
    received = new.received
    same = before is not None and before.latest.sha256 == received.sha256
    if before and same and received.error:
        number = before.latest.number  # tried again, and refused again
    elif before and same and not before.latest.error:
        number = before.latest.number
        if not before.counts:
            step.mark(new.slot, withdrawn=False, missing=False)
    else:
        if expected is None and received.origin in _SENT:
            expected = _own_version(step, new.slot, received.author_id)
        number = step.add_version(new.slot, received, expected=expected)
    if new.staged is not None:
        _place(step, new, new.staged)
    details = _details(new.slot, number, received.sha256, received.painted)
    if received.error:
        return Outcome(step.patch.name, FAILED, received.error, details=details)
    return Outcome(step.patch.name, DONE, None, received.findings, details)


def read_arrived(
    lab: Lab, patch: PatchRecord, slot: str, arrived: Arrived, origin: Origin, author: Author
) -> Received:
    """Read a file that arrived against its patch: what it paints, or why it cannot be merged.

    Errors: LabelError where the patch's own label is gone or changed; StoreError where the file
    cannot be read for a reason that is not its own.
    """
    label, grid = cached_extracted_label(lab.workspace, patch)
    received = Received(
        sha256=arrived.sha256,
        size_bytes=arrived.size,
        kind=kind_of(slot),
        origin=origin,
        author_id=author.id,
        author_account=author.account,
        software=software_of(arrived.path),
    )
    try:
        correction = read_stored(arrived.path, slot, label, grid)
    except CorrectionError as error:
        _check_is_fault_of_the_file(slot, error)
        return replace(received, error=str(error))
    painted = {kind.value: int(mask.sum()) for kind, mask in correction.masks.items()}
    return replace(received, findings=correction.findings, painted=painted)


def read_stored(path: Path, slot: str, label: Label, grid: Grid) -> Correction:
    """Read a correction that is kept under its hash; errors and findings name its slot.

    Errors: CorrectionError.
    """
    try:
        return read_correction(path, label, grid, slot)
    except TomocurateError as error:
        raise CorrectionError(str(error).replace(str(path), slot)) from error


def software_of(path: Path) -> str | None:
    """Name the program that saved an NRRD, if its header gives it away."""
    with path.open("rb") as file:
        head = file.read(_SNIFFED)
    if not head.startswith(b"NRRD"):
        return None
    marks = ((b"org.mitk", "MITK"), (b"_Extent:=", "3D Slicer"), (b"pynrrd", "pynrrd"))
    return next((name for mark, name in marks if mark in head), None)


def lies_in_folder(file: Path, slot: SlotRecord | None) -> bool:
    """Tell whether the correction folder holds just the file that the catalog knows.

    The size is compared first, so that no more is read than the catalog's own version holds.
    """
    known = in_folder(slot) if slot else None
    if slot is None or known is None:
        return False
    sizes = {version.sha256: version.size_bytes for version in slot.versions}
    return _holds(file, known, sizes[known])


def _holds(file: Path, sha256: str, size: int) -> bool:
    try:
        if file.is_symlink() or file.stat().st_size != size:
            return False
        return file_hash(file) == sha256
    except OSError:
        return False


def _check_is_fault_of_the_file(slot: str, error: BaseException) -> None:
    """Pass on what another try may read: the bytes lie in the store and are whole.

    Errors: StoreError.
    """
    cause: BaseException | None = error
    while cause is not None:
        # gzip reports a broken stream as an OSError without a number: a fault of the file
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno):
            reason = getattr(cause, "strerror", None) or "out of memory"
            raise StoreError(
                f"{slot}: cannot be read at the moment ({reason}); nothing was recorded, try again."
            ) from error
        cause = cause.__cause__ or cause.__context__


def _collect_unseen(
    lab: Lab, known: PatchSlots, slot: str, arrived: Arrived, origin: Origin
) -> PatchSlots:
    """Make what somebody saved under this name and nobody collected a version first.

    Errors: ConflictError where there was such a file, so that who sends one looks at it before
    replacing it.
    """
    file = lab.folders.corrections_of(known.patch.name) / slot
    before = known.slots.get(slot)
    if not os.path.lexists(file) or lies_in_folder(file, before):
        return known
    check_file(file, lab.settings.upload_mb << 20)
    standing = snapshot(file, lab.settings.upload_mb << 20)
    if standing.sha256 == arrived.sha256:
        return known
    version = _collect_one(lab, known.patch, slot, file, standing)
    if origin in _SENT:
        author = owner_of(lab.workspace, standing.uid)
        raise ConflictError(
            f"{slot}: {author.account or 'somebody'} saved another file of this name in the folder "
            f"of {known.patch.name}; it is version {version} now: look at it, then send "
            "yours again."
        )
    return read_slots(lab, known.patch.name, action_of(origin))


def _collect_one(
    lab: Lab, patch: PatchRecord, slot: str, file: Path, standing: FileSnapshot
) -> int:
    author = owner_of(lab.workspace, standing.uid)
    with (
        lab.store.arrive(file, lab.settings.upload_mb << 20) as arrived,
        new_version(lab, patch, slot, arrived, Origin.COLLECTED, author, keep_refused=True) as new,
        lab.step(patch.name, Action.COLLECT, Transition.CORRECT) as step,
    ):
        return int(add_to_step(step, new).details["version"])


def _is_kept(lab: Lab, patch: PatchRecord, before: SlotRecord, arrived: Arrived) -> bool:
    """Tell whether the bytes are the latest version already, in the store and in the folder."""
    if before.latest.sha256 != arrived.sha256 or before.latest.error:
        return False
    lab.store.keep(arrived)  # which heals a damaged copy
    return lies_in_folder(lab.folders.corrections_of(patch.name) / before.name, before)


def _own_version(step: Step, slot: str, author_id: int | None) -> int:
    """Give the version that counts under a name, 0 for none, if the same person painted it.

    Errors: ConflictError names whose it is, and a name that is free.
    """
    before = step.slots.get(slot)
    if before is None or not before.counts:
        return 0
    latest = before.latest
    if author_id is None or latest.author_id != author_id:
        whose = latest.author or latest.author_account or "somebody"
        free = free_name(slot, step.slots, step.folders.corrections_of(step.patch.name))
        raise ConflictError(
            f"{slot}: {whose} painted version {latest.number} of it on {step.patch.name}; nothing "
            f"was replaced: name your file {free}."
        )
    return latest.number


def _place(step: Step, new: NewVersion, staged: Path) -> None:
    """Place a file where people work on it, over the version that the catalog knows.

    Errors: ConflictError where somebody saved another one there since.
    """
    file = step.folders.corrections_of(step.patch.name) / new.slot
    before = step.slots.get(new.slot)
    known = lies_in_folder(file, before) or _holds(file, new.sha256, new.received.size_bytes)
    if os.path.lexists(file) and not known:
        raise ConflictError(
            f"{new.slot}: somebody saved another file of this name in the folder of "
            f"{step.patch.name} since; collect it and look at it, then send yours again."
        )
    step.place(staged, file)


def _skip_imported(known: PatchSlots, before: SlotRecord, arrived: Arrived) -> Outcome:
    """Leave a slot as it is: an import neither replaces nor reinstates what the workspace has."""
    for version in before.versions:
        if version.sha256 == arrived.sha256:
            details = _details(before.name, version.number, arrived.sha256, version.painted)
            return Outcome(known.patch.name, KEPT, version.error, version.findings, details)
    message = (
        f"{before.name}: differs from every version that {known.patch.name} has under this name; "
        "it was left out: to add it, receive it under a free name."
    )
    details = _details(before.name, before.latest.number, arrived.sha256, {})
    return Outcome(known.patch.name, SKIPPED, message, details=details)


def _outcome(
    patch: PatchRecord,
    outcome: str,
    slot: str,
    number: int,
    arrived: Arrived,
    before: SlotRecord,
) -> Outcome:
    latest = before.latest
    details = _details(slot, number, arrived.sha256, latest.painted)
    return Outcome(patch.name, outcome, None, latest.findings, details)


def _details(slot: str, version: int, sha256: str, painted: Mapping[str, int]) -> dict[str, Any]:
    return {"slot": slot, "version": version, "sha256": sha256, "painted": dict(painted)}
