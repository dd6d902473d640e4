"""Take in a correction: keep its bytes, read it against its patch, and make it a slot's version.

What can be merged goes to the store and to corrections/<patch>/, where MITK users and the drop-in
find it; what cannot is noted with its sentence and kept apart. Changed bytes are the slot's next
version; nothing is lost.
"""

import itertools
import os
import unicodedata
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.access.permissions import Action, require
from core.corrections.folder import Author, look, owner_of
from core.corrections.store import Arrived, Store, in_place, refuse, same_bytes
from core.errors import CorrectionError
from core.imaging.correction import (
    VOLUME_SUFFIXES,
    Correction,
    is_correction_name,
    kind_of,
    names_kinds,
    read_correction,
)
from core.imaging.geometry import Grid
from core.imaging.labels import Label
from core.labels.inputs import cached_extracted_label, in_folder, update_stale
from core.patches.lifecycle import Transition, next_stage
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome
from core.workspace.workspace import Workspace
from db.errors import ConflictError, TomocurateError
from db.queries.life import SlotRecord, slots_of
from db.queries.patches import PatchRecord, get_patch
from db.queries.people import PersonRecord, person_by_id
from db.vocabulary import Origin
from db.writes.corrections import Received, add_correction, mark_correction
from db.writes.events import Change
from db.writes.patches import lock_patch

MAX_NAME_BYTES = 200
"""Of a file name, so that its temporary names fit a folder, too."""

_SNIFFED = 8 << 10

_SENT = (Origin.UPLOADED, Origin.PAINTED)


@dataclass(frozen=True)
class _Patch:
    """A patch that takes corrections, as it is while its lock is held."""

    workspace: Workspace
    by: PersonRecord
    record: PatchRecord
    slots: dict[str, SlotRecord]
    expected: int | None = None
    """The version that a file replaces, 0 for none; None replaces whatever is there."""

    @property
    def name(self) -> str:
        return self.record.name

    def file(self, slot: str) -> Path:
        return self.workspace.folders.corrections_of(self.name) / slot


def take_in(
    workspace: Workspace,
    by: PersonRecord,
    patch: str,
    slot: str,
    arrived: Arrived,
    origin: Origin,
    author: Author,
    expected: int | None = None,
) -> Outcome:
    """Make what arrived the slot's next version; its caller holds the patch's lock.

    ``expected`` is the version that its sender saw under the name, 0 for none. Where they did not
    look, a file replaces none that somebody else painted.

    Errors: StepError; ConflictError; NotAllowedError; UnknownNameError; OutputError.
    """
    known = _known(workspace, by, patch)
    imported = origin is Origin.IMPORTED
    if origin is not Origin.COLLECTED and not (imported and slot in known.slots):
        known = _collect_standing(known, slot, arrived, origin)
    before = known.slots.get(slot)
    if before and imported:
        return _left_as_it_is(known, before, arrived)
    if before and before.latest.sha256 == arrived.sha256:
        return _again(known, before, arrived, origin)
    if origin in _SENT:
        if expected is None:
            expected = _own_version(known, slot, author)
        known = replace(known, expected=expected)
    received = read_arrived(workspace, known.record, slot, arrived, origin, author)
    return _recorded(known, slot, arrived, received)


def read_arrived(
    workspace: Workspace,
    patch: PatchRecord,
    slot: str,
    arrived: Arrived,
    origin: Origin,
    author: Author,
) -> Received:
    """Read what arrived against its patch: what it paints, or why it cannot be merged.

    Errors: LabelError where the patch's own label is gone or changed.
    """
    label, grid = cached_extracted_label(workspace, patch)
    received = Received(
        arrived.sha256,
        arrived.size,
        kind_of(slot),
        origin,
        author.id,
        author.account,
        software_of(arrived.path),
    )
    try:
        correction = read_stored(arrived.path, slot, label, grid)
    except TomocurateError as error:
        return replace(received, error=str(error))
    painted = {kind.value: int(mask.sum()) for kind, mask in correction.masks.items()}
    return replace(received, findings=correction.findings, painted=painted)


def read_stored(path: Path, slot: str, label: Label, grid: Grid) -> Correction:
    """Read a correction that is kept under its hash; what is said of it names its slot.

    Errors: CorrectionError.
    """
    try:
        return read_correction(path, label, grid, slot)
    except TomocurateError as error:
        raise CorrectionError(str(error).replace(str(path), slot)) from error


def action_of(origin: Origin) -> Action:
    """The step that taking in a file of this origin is."""
    return Action.COLLECT if origin is Origin.COLLECTED else Action.SUBMIT_CORRECTION


def checked_name(file_name: str) -> str:
    """A file name as a slot has it.

    Errors: CorrectionError for path parts, signs that cannot be shown, and what is too long.
    """
    name = unicodedata.normalize("NFC", file_name)
    shown = repr(file_name[:80])
    if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
        raise CorrectionError(f"{shown}…: a file name has at most {MAX_NAME_BYTES} bytes.")
    if not name.isprintable() or any(sign in name for sign in "/\\"):
        raise CorrectionError(
            f"{shown}: name the file alone, without folders and without signs that cannot be "
            "seen; Add1.nrrd is right."
        )
    if name != name.strip() or name.startswith((".", "-")) or name.endswith("."):
        raise CorrectionError(
            f"{shown}: a name neither begins nor ends with a dot, hyphen or space; Add1.nrrd is "
            "right."
        )
    return name


def check_is_correction(slot: str, path: Path) -> None:
    """A file is a correction by its name, or by the names of its labels.

    Errors: CorrectionError.
    """
    if is_correction_name(slot) or (slot.lower().endswith(".nrrd") and names_kinds(path)):
        return
    if kind_of(slot) is None:
        raise CorrectionError(
            f"{slot}: is no correction; name the file Add, Remove or Ignore and a number, such as "
            "Add1.nrrd, or its labels Add, Remove and Ignore."
        )
    known = ", ".join(VOLUME_SUFFIXES)
    raise CorrectionError(f"{slot}: is none of the formats that can be read ({known}).")


def software_of(path: Path) -> str | None:
    """The program that saved an NRRD, if its header gives it away."""
    with path.open("rb") as file:
        head = file.read(_SNIFFED)
    if not head.startswith(b"NRRD"):
        return None
    marks = ((b"org.mitk", "MITK"), (b"_Extent:=", "3D Slicer"), (b"pynrrd", "pynrrd"))
    return next((name for mark, name in marks if mark in head), None)


def _known(workspace: Workspace, by: PersonRecord, patch: str) -> _Patch:
    with workspace.catalog.read() as session:
        record = get_patch(session, patch)
        slots = {slot.name: slot for slot in slots_of(session, record.id)}
    next_stage(record, Transition.CORRECT)
    return _Patch(workspace, by, record, slots)


def _own_version(known: _Patch, slot: str, author: Author) -> int:
    """The version that counts under a name, 0 for none, if the same person painted it.

    Errors: ConflictError names whose it is, and a name that is free.
    """
    before = known.slots.get(slot)
    if before is None or not before.counts:
        return 0
    latest = before.latest
    with known.workspace.catalog.read() as session:
        painter = person_by_id(session, author.id) if author.id is not None else None
    if painter is None or latest.author != painter.name:
        whose = latest.author or latest.author_account or "somebody"
        raise ConflictError(
            f"{slot}: {whose} painted version {latest.number} of it on {known.name}; nothing was "
            f"replaced: name your file {_free_name(known, slot)}."
        )
    return latest.number


def _free_name(known: _Patch, slot: str) -> str:
    """The next name of the same kind that nothing has, on disk or in the catalog."""
    _, dot, suffix = slot.partition(".")
    kind = kind_of(slot)
    stem = kind.value.capitalize() if kind else slot.partition(".")[0]
    folder = known.workspace.folders.corrections_of(known.name)
    taken = {name.lower().partition(".")[0] for name in (*known.slots, *_names(folder))}
    number = next(n for n in itertools.count(1) if f"{stem}{n}".lower() not in taken)
    return f"{stem}{number}{dot}{suffix}"


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _collect_standing(known: _Patch, slot: str, arrived: Arrived, origin: Origin) -> _Patch:
    """What somebody saved under this name and nobody collected becomes a version first.

    Errors: ConflictError where it did, so that who sends a file looks at it before replacing it.
    """
    file = known.file(slot)
    if not os.path.lexists(file):
        return known
    standing = look(file)
    before = known.slots.get(slot)
    if standing.sha256 == arrived.sha256 or (before and in_folder(before) == standing.sha256):
        return known
    store = Store(known.workspace.folders.store)
    with store.arrive(file) as older:
        author = owner_of(known.workspace, standing.uid)
        received = read_arrived(
            known.workspace, known.record, slot, older, Origin.COLLECTED, author
        )
        noted = _recorded(known, slot, older, received, keep=True)
    if origin in _SENT:
        raise ConflictError(
            f"{slot}: {author.account or 'somebody'} saved it in the folder of {known.name} since "
            f"and it is version {noted.details['version']} now; look at it, then send yours again."
        )
    return _known(known.workspace, known.by, known.name)


def _left_as_it_is(known: _Patch, before: SlotRecord, arrived: Arrived) -> Outcome:
    """What is imported never replaces, nor takes back, what the workspace knows under a name."""
    for version in before.versions:
        if version.sha256 == arrived.sha256:
            details = _details(before.name, version.number, arrived, version.painted)
            return Outcome(known.name, KEPT, version.error, version.findings, details)
    said = (
        f"{before.name}: differs from every version that {known.name} has under this name; it is "
        "left out: to bring it, receive it under a free name."
    )
    details = _details(before.name, before.latest.number, arrived, {})
    return Outcome(known.name, SKIPPED, said, details=details)


def _again(known: _Patch, before: SlotRecord, arrived: Arrived, origin: Origin) -> Outcome:
    """The bytes that the catalog has already; a slot that was withdrawn or gone counts again."""
    details = _details(before.name, before.latest.number, arrived, before.latest.painted)
    if before.latest.error:
        return Outcome(known.name, FAILED, before.latest.error, details=details)
    kept = Store(known.workspace.folders.store).keep(arrived)
    if before.counts and origin is Origin.COLLECTED:
        return Outcome(known.name, KEPT, None, before.latest.findings, details)
    with _placed(known, before.name, kept.path, origin):
        if not before.counts:
            _write(
                known,
                origin,
                lambda session, change, patch: mark_correction(
                    session, change, patch, before.name, withdrawn=False, missing=False
                ),
            )
    outcome = KEPT if before.counts else DONE
    return Outcome(known.name, outcome, None, before.latest.findings, details)


def _recorded(
    known: _Patch, slot: str, arrived: Arrived, received: Received, *, keep: bool = False
) -> Outcome:
    store = Store(known.workspace.folders.store)
    number = 0

    def add(session: Any, change: Change, patch: PatchRecord) -> None:
        nonlocal number
        number = add_correction(session, change, patch, slot, received, expected=known.expected)

    if received.error and not keep:
        refuse(arrived, known.workspace.folders.refused)
        _write(known, received.origin, add)
    else:
        kept = store.keep(arrived)
        with _placed(known, slot, kept.path, received.origin):
            _write(known, received.origin, add)
    details = _details(slot, number, arrived, received.painted)
    if received.error:
        return Outcome(known.name, FAILED, received.error, details=details)
    return Outcome(known.name, DONE, None, received.findings, details)


def _placed(known: _Patch, slot: str, kept: Path, origin: Origin) -> ExitStack:
    """Put the file where people work on it; what was collected lies there already."""
    placed = ExitStack()
    file = known.file(slot)
    if origin is not Origin.COLLECTED and not same_bytes(file, kept):
        store = Store(known.workspace.folders.store)
        placed.enter_context(in_place(store, kept, file))
    return placed


def _write(known: _Patch, origin: Origin, what: Callable[[Any, Change, PatchRecord], None]) -> None:
    """Note a change of corrections and what follows for the patch, in one transaction."""
    with known.workspace.catalog.write() as session:
        require(session, known.by, action_of(origin))
        patch = lock_patch(session, known.name)
        next_stage(patch, Transition.CORRECT)
        change = Change.now(known.by.id)
        what(session, change, patch)
        update_stale(session, change, patch)


def _details(slot: str, version: int, arrived: Arrived, painted: Any) -> dict[str, Any]:
    return {"slot": slot, "version": version, "sha256": arrived.sha256, "painted": dict(painted)}
