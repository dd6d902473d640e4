"""Paint a patch in the browser: open it, hold it, keep a draft, save what was painted.

What a person paints is saved as slots of their own, one a kind (Add1.nrrd, Remove1.nrrd,
Ignore1.nrrd), through the same door as files from other tools. A save names the versions that the
painter opened: if somebody saved since, nothing is changed. Sent twice, it is saved once.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.access.permissions import Action, may, require
from core.corrections.add_version import read_stored
from core.corrections.receive import receive
from core.corrections.store import Store
from core.corrections.withdraw import withdraw_correction
from core.errors import DrawingError
from core.files.atomic import whole_file
from core.imaging.correction import kind_of, write_correction
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Zyx, whole
from core.imaging.labels import Label
from core.imaging.merging import read_label
from core.imaging.preview.store import Window, choose_window
from core.labels.inputs import extracted_label
from core.painting.codec import (
    VALUES,
    Drawing,
    claims,
    decode_drawing,
    drawing_of,
    encode_drawing,
    mask_of,
)
from core.patches.lifecycle import Transition, is_legal, next_stage
from core.workspace.folders import DRAFT, make_shared
from core.workspace.results import FAILED, Outcome
from core.workspace.workspace import Workspace
from db.errors import ConflictError, StepError, UnknownNameError
from db.queries.drafts import DraftRecord, draft_of
from db.queries.life import (
    CommentRecord,
    HoldRecord,
    MergeRecord,
    SlotRecord,
    comments_of,
    hold_on,
    merges_of,
    slots_of,
)
from db.queries.patches import PatchRecord, get_patch
from db.queries.people import PersonRecord
from db.vocabulary import CorrectionKind, Origin
from db.writes.drafts import drop_draft
from db.writes.events import Change, Subject, record_event
from db.writes.patches import hold_ended, hold_patch, lock_patch, release_hold, save_draft


@dataclass(frozen=True)
class Painting:
    """What a painter opens: the patch, its corrections, who holds it, and one's own draft."""

    patch: PatchRecord
    slots: tuple[SlotRecord, ...]
    """Those that count in a merge."""
    mine: Mapping[CorrectionKind, SlotRecord]
    """The slots that this person paints into."""
    merges: tuple[MergeRecord, ...]
    comments: tuple[CommentRecord, ...]
    hold: HoldRecord | None
    """Only one that has not ended."""
    draft: DraftRecord | None
    may_paint: bool
    may_comment: bool

    @property
    def base(self) -> dict[str, int]:
        """The versions of one's own slots, which a save must name."""
        return {slot.name: slot.latest.number for slot in self.mine.values()}


class KeptDraft(NamedTuple):
    """A draft, gzip, and the versions that it began with, if they are known, and goes on with."""

    record: DraftRecord
    drawing: bytes
    base: Mapping[str, int] | None
    continued: Mapping[str, int]


@dataclass(frozen=True)
class SavedPainting:
    """What a save did: the versions written, the slots withdrawn, and what is there now."""

    versions: Mapping[str, int]
    withdrawn: tuple[str, ...]
    findings: tuple[str, ...]
    at: datetime
    painting: Painting


def open_painting(workspace: Workspace, by: PersonRecord, name: str) -> Painting:
    """Everything a painter shows beside the voxels.

    Errors: UnknownNameError; NotAllowedError.
    """
    with workspace.catalog.read() as session:
        person = require(session, by, Action.VIEW)
        patch = get_patch(session, name)
        slots = tuple(slot for slot in slots_of(session, patch.id) if slot.counts)
        return Painting(
            patch,
            slots,
            _mine(slots, person.name),
            merges_of(session, patch.id),
            comments_of(session, patch.id),
            _alive(hold_on(session, patch.id)),
            draft_of(session, patch.id, person.id),
            may(person.role, Action.PAINT) and is_legal(patch, Transition.CORRECT),
            may(person.role, Action.COMMENT) and is_legal(patch, Transition.COMMENT),
        )


def patch_image(workspace: Workspace, name: str) -> tuple[NDArray[np.uint8], Window]:
    """A patch's image as 256 grays, (z, y, x), and the values that are black and white.

    Errors: VolumeError.
    """
    with open_volume(workspace.folders.image_of(name)) as volume:
        voxels = volume.read(whole(volume.shape))
        window, _ = choose_window(volume, 1)
    return window.apply(voxels), window


def predicted_label(workspace: Workspace, patch: PatchRecord) -> Label:
    """The label as it was extracted, (z, y, x).

    Errors: VolumeError; LabelError.
    """
    return extracted_label(workspace, patch)[0]


def merged_label(workspace: Workspace, patch: PatchRecord, number: int) -> Label:
    """The label of a merge, (z, y, x).

    Errors: UnknownNameError; StoreError; VolumeError.
    """
    with workspace.catalog.read() as session:
        merges = {merge.number: merge for merge in merges_of(session, patch.id)}
    if number not in merges:
        raise UnknownNameError.among(f"merge of {patch.name}", str(number), map(str, merges))
    what = f"merge {number} of {patch.name}"
    return read_label(Store(workspace.folders.store).checked(merges[number].file_sha256, what))[0]


def slot_claims(workspace: Workspace, patch: PatchRecord, slot: str, number: int) -> Drawing:
    """What one version of a correction claims, as bits (1 Add, 2 Remove, 4 Ignore), (z, y, x).

    Errors: UnknownNameError; CorrectionError; VolumeError; StoreError.
    """
    with workspace.catalog.read() as session:
        found = {each.name: each for each in slots_of(session, patch.id)}
    if slot not in found:
        raise UnknownNameError.among(f"correction of {patch.name}", slot, found)
    versions = {version.number: version for version in found[slot].versions}
    if number not in versions:
        raise UnknownNameError.among(f"version of {slot}", str(number), map(str, versions))
    label, grid = extracted_label(workspace, patch)
    kept = Store(workspace.folders.store).checked(versions[number].sha256, slot)
    return claims([read_stored(kept, slot, label, grid).masks], Zyx(*label.shape))


def own_drawing(workspace: Workspace, painting: Painting) -> Drawing:
    """What a person painted on a patch and saved."""
    claimed = np.zeros(painting.patch.shape, np.uint8)
    for slot in painting.mine.values():
        claimed |= slot_claims(workspace, painting.patch, slot.name, slot.latest.number)
    return drawing_of(claimed)


def hold(
    workspace: Workspace,
    by: PersonRecord,
    name: str,
    *,
    take_over_from: datetime | None = None,
) -> HoldRecord:
    """Hold a patch for painting, or renew the hold (its heartbeat); it ends ten minutes after.

    ``take_over_from`` is since when the hold lasts that somebody else has and one takes over; a
    newer one stays.

    Errors: ConflictError names who holds it; NotAllowedError; StepError.
    """
    with workspace.catalog.write() as session:
        person = require(session, by, Action.PAINT)
        patch = lock_patch(session, name)
        next_stage(patch, Transition.CORRECT)
        before = _alive(hold_on(session, patch.id))
        change = Change.now(person.id)
        meant = before is not None and before.since == take_over_from
        held = hold_patch(session, change, patch, take_over=meant)
        if before is not None and before.person_id != person.id:
            subject = Subject("patch", patch.id, patch.name, patch.id)
            record_event(session, change, "hold taken over", subject, {"person": before.person})
        return held


def let_go(workspace: Workspace, by: PersonRecord, name: str) -> None:
    """Give up one's own hold."""
    with workspace.catalog.write() as session:
        person = require(session, by, Action.PAINT)
        release_hold(session, Change.now(person.id), lock_patch(session, name))


def keep_draft(
    workspace: Workspace,
    by: PersonRecord,
    name: str,
    drawing: Drawing,
    seen_revision: int,
    *,
    base: Mapping[str, int] | None = None,
    continued: Mapping[str, int] | None = None,
) -> DraftRecord:
    """Keep what somebody has painted so far and did not save; it replaces their last draft.

    ``base`` and ``continued`` are what ``save_painting`` must be told of it.

    Errors: ConflictError where another window kept one or saved since; NotAllowedError;
    DrawingError.
    """
    told = {"base": base and dict(base), "continued": dict(continued or {})}
    body = json.dumps(told).encode() + b"\n" + encode_drawing(drawing)
    sha256 = hashlib.sha256(body).hexdigest()
    with workspace.catalog.read() as session:
        person = require(session, by, Action.PAINT)
        patch = get_patch(session, name)
    _check_shape(drawing, patch)
    file = _draft_file(workspace, patch.id, person.id, sha256)
    make_shared(file.parent)
    with whole_file(file) as partial:
        partial.write_bytes(body)
    with workspace.catalog.write() as session:
        require(session, by, Action.PAINT)
        change = Change.now(person.id)
        revision = save_draft(session, change, patch, (sha256, len(body)), seen_revision)
    _remove_drafts(workspace, patch.id, person.id, but=file)
    return DraftRecord(sha256, len(body), revision, change.at)


def read_draft(workspace: Workspace, by: PersonRecord, name: str) -> KeptDraft:
    """A person's own draft.

    Errors: UnknownNameError where there is none, or its file is gone.
    """
    with workspace.catalog.read() as session:
        person = require(session, by, Action.VIEW)
        patch = get_patch(session, name)
        draft = draft_of(session, patch.id, person.id)
    with suppress(OSError):
        if draft is not None:
            body = _draft_file(workspace, patch.id, person.id, draft.sha256).read_bytes()
            if hashlib.sha256(body).hexdigest() == draft.sha256:
                return _kept_draft(draft, body)
    raise UnknownNameError(f"there is no draft of {person.name} on {name}.")


def forget_draft(workspace: Workspace, by: PersonRecord, name: str) -> None:
    """Give up one's own draft."""
    with workspace.catalog.write() as session:
        person = require(session, by, Action.PAINT)
        patch = get_patch(session, name)
        drop_draft(session, patch.id, person.id)
    _remove_drafts(workspace, patch.id, person.id, but=None)


def save_painting(
    workspace: Workspace,
    by: PersonRecord,
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
    StepError; DrawingError; and what ``receive`` refuses.
    """
    with _saving(name):
        painting = _opened_to_save(workspace, by, name, drawing)
        files = _files(workspace, painting, drawing)
        _check_base(painting, base, files)
        changed = _changed(painting, files)
        sources = _sources(painting, continued or {}, is_new=bool(changed))
        versions: dict[str, int] = {}
        findings: list[str] = []
        for kind, file in changed.items():
            slot = _slot_for(workspace, painting, kind)
            outcome = _received(workspace, by, name, slot, file, base.get(slot, 0))
            versions[slot] = int(outcome.details["version"])
            findings += outcome.findings
        emptied = [slot.name for kind, slot in painting.mine.items() if files[kind] is None]
        for slot in emptied:
            _withdrawn(workspace, by, name, slot, "painted no more")
        for slot in sources:
            _withdrawn(workspace, by, name, slot, f"continued by {by.name} in the painter")
        forget_draft(workspace, by, name)
        now = open_painting(workspace, by, name)
    gone = (*emptied, *sources)
    return SavedPainting(versions, gone, tuple(findings), Change.now(by.id).at, now)


def parse_drawing(body: bytes, patch: PatchRecord, sha256: str, *, squeezed: bool) -> Drawing:
    """Read a drawing of a patch that was sent.

    Errors: DrawingError.
    """
    return decode_drawing(body, Zyx(*patch.shape), sha256, squeezed=squeezed)


_locks: dict[str, threading.Lock] = {}
_locks_lock = threading.Lock()


@contextmanager
def _saving(name: str) -> Iterator[None]:
    """One save of a patch at a time in this process; other processes meet in ``receive``."""
    with _locks_lock:
        lock = _locks.setdefault(name, threading.Lock())
    with lock:
        yield


def _opened_to_save(
    workspace: Workspace, by: PersonRecord, name: str, drawing: Drawing
) -> Painting:
    with workspace.catalog.read() as session:
        require(session, by, Action.PAINT)
    painting = open_painting(workspace, by, name)
    next_stage(painting.patch, Transition.CORRECT)
    _check_shape(drawing, painting.patch)
    held = painting.hold
    if held is not None and held.person_id != by.id:
        raise ConflictError(
            f"{name}: {held.person} paints on it since {held.since:%H:%M} UTC; nothing was saved: "
            "ask them, or take it over."
        )
    return painting


def _check_shape(drawing: Drawing, patch: PatchRecord) -> None:
    if drawing.shape != tuple(patch.shape):
        raise DrawingError(
            f"the drawing has shape {drawing.shape}, the patch {tuple(patch.shape)} (z, y, x)."
        )


def _files(
    workspace: Workspace, painting: Painting, drawing: Drawing
) -> dict[CorrectionKind, bytes | None]:
    """The file of each kind that is painted; None for one that has a slot and is no more."""
    grid = extracted_label(workspace, painting.patch)[1]
    files: dict[CorrectionKind, bytes | None] = {}
    with TemporaryDirectory() as folder:
        for kind in VALUES:
            mask = mask_of(drawing, kind)
            if mask.any():
                path = Path(folder) / f"{kind}.nrrd"
                write_correction(path, mask, grid, kind)
                files[kind] = path.read_bytes()
            elif kind in painting.mine:
                files[kind] = None
    return files


def _check_base(
    painting: Painting,
    base: Mapping[str, int],
    files: Mapping[CorrectionKind, bytes | None],
) -> None:
    """One's slots are as they were opened, or hold just what is to be saved (a save sent twice)."""
    for kind, slot in painting.mine.items():
        latest = slot.latest
        seen = base.get(slot.name, 0)
        if latest.number == seen:
            continue
        file = files[kind]
        if file is None or hashlib.sha256(file).hexdigest() != latest.sha256:
            versions = latest.number, seen
            raise ConflictError.since(
                f"{painting.patch.name}, {slot.name}",
                latest.received_by,
                latest.received_at,
                versions,
            )
    gone = sorted(set(base) - set(painting.base))
    if any(_is_painted(files, name) for name in gone):
        raise ConflictError(
            f"{painting.patch.name}: {gone[0]} was withdrawn since you opened it; look at it "
            "again, then save."
        )


def _is_painted(files: Mapping[CorrectionKind, bytes | None], slot: str) -> bool:
    kind = kind_of(slot)
    return kind is not None and files.get(kind) is not None


def _changed(
    painting: Painting, files: Mapping[CorrectionKind, bytes | None]
) -> dict[CorrectionKind, bytes]:
    """The files whose bytes are not the latest version already."""
    return {
        kind: file
        for kind, file in files.items()
        if file is not None
        and not (
            kind in painting.mine
            and painting.mine[kind].latest.sha256 == hashlib.sha256(file).hexdigest()
        )
    }


def _sources(painting: Painting, continued: Mapping[str, int], *, is_new: bool) -> tuple[str, ...]:
    """The slots to withdraw, since this drawing goes on with them; each is as it was seen."""
    others = {slot.name: slot for slot in painting.slots if slot not in painting.mine.values()}
    for name in sorted(set(continued) & set(others)):
        latest = others[name].latest
        if latest.number != continued[name]:
            versions = latest.number, continued[name]
            what = f"{painting.patch.name}, {name}"
            raise ConflictError.since(what, latest.received_by, latest.received_at, versions)
    gone = sorted(set(continued) - set(others))
    if gone and is_new:
        raise ConflictError(
            f"{painting.patch.name}: {gone[0]} cannot be continued, it was withdrawn or is your "
            "own; open the patch again."
        )
    return tuple(name for name in continued if name in others)


def _received(
    workspace: Workspace, by: PersonRecord, name: str, slot: str, file: bytes, expected: int
) -> Outcome:
    outcome = receive(
        workspace, by, name, slot, file, origin=Origin.PAINTED, author=by, expected=expected
    )
    if outcome.outcome == FAILED:
        raise StepError(f"{name}: {slot} was not saved; {outcome.message}")
    return outcome


def _withdrawn(workspace: Workspace, by: PersonRecord, name: str, slot: str, reason: str) -> None:
    outcome = withdraw_correction(workspace, by, name, slot, reason=reason)
    if outcome.outcome == FAILED:
        raise StepError(f"{name}: {slot} was not withdrawn; {outcome.message}")


def _slot_for(workspace: Workspace, painting: Painting, kind: CorrectionKind) -> str:
    """One's own slot of a kind, else the first free name, on disk and in the catalog."""
    if kind in painting.mine:
        return painting.mine[kind].name
    with workspace.catalog.read() as session:
        taken = {slot.name for slot in slots_of(session, painting.patch.id)}
    folder = workspace.folders.corrections_of(painting.patch.name)
    with suppress(OSError):
        taken |= {path.name for path in folder.iterdir()}
    stems = {name.lower().split(".")[0] for name in taken}
    number = 1
    while f"{kind}{number}" in stems:
        number += 1
    return f"{kind.value.capitalize()}{number}.nrrd"


def _mine(slots: tuple[SlotRecord, ...], person: str) -> dict[CorrectionKind, SlotRecord]:
    mine: dict[CorrectionKind, SlotRecord] = {}
    for slot in slots:
        painted = slot.latest.origin is Origin.PAINTED and slot.latest.author == person
        if painted and slot.kind is not None:
            mine.setdefault(slot.kind, slot)
    return mine


def _alive(held: HoldRecord | None) -> HoldRecord | None:
    if held is None or hold_ended(held.heartbeat_at, Change.now(None).at):
        return None
    return held


def _draft_file(workspace: Workspace, patch_id: int, person_id: int, sha256: str) -> Path:
    return workspace.folders.drafts / f"{patch_id}-{person_id}-{sha256[:24]}{DRAFT}"


def _kept_draft(record: DraftRecord, body: bytes) -> KeptDraft:
    """A draft out of its file: one line of JSON, then gzip; one of before has no line."""
    if body.startswith(b"\x1f\x8b"):
        return KeptDraft(record, body, None, {})
    line, _, squeezed = body.partition(b"\n")
    told = json.loads(line)
    return KeptDraft(record, squeezed, told["base"], told["continued"])


def _remove_drafts(workspace: Workspace, patch_id: int, person_id: int, but: Path | None) -> None:
    for old in workspace.folders.drafts.glob(f"{patch_id}-{person_id}-*{DRAFT}"):
        if old != but:
            with suppress(OSError):
                old.unlink()
