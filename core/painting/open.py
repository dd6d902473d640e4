"""Open a patch to paint on it in the browser, and hold it while painting.

What a person paints is saved as slots of their own, one a kind (Add1.nrrd, Remove1.nrrd,
Ignore1.nrrd).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from core.access.permissions import Action, may
from core.corrections.add_version import read_stored
from core.corrections.store import Store
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Zyx, whole
from core.imaging.labels import Label
from core.imaging.merging import read_label
from core.imaging.preview.store import Window, choose_window
from core.lab.lab import Lab
from core.labels.inputs import extracted_label
from core.painting.codec import Drawing, claims, decode_drawing, drawing_of
from core.patches.lifecycle import Transition, is_legal, next_stage
from core.workspace.workspace import Workspace
from db.errors import UnknownNameError
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
from db.queries.patches import DraftRecord, PatchRecord, draft_of, get_patch
from db.queries.people import PersonRecord
from db.vocabulary import CorrectionKind, Origin
from db.writes.events import Change, Subject, record_event
from db.writes.patches import hold_ended, hold_patch, lock_patch, release_hold


@dataclass(frozen=True)
class Painting:
    """State for the painter: the patch, its corrections, who holds it, and the person's draft."""

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


def open_painting(lab: Lab, name: str) -> Painting:
    """Read everything that a painter shows beside the voxels.

    Errors: UnknownNameError; NotAllowedError.
    """
    with lab.read(Action.VIEW) as session:
        return read_painting(session, lab.person, name)


def read_painting(session: Session, person: PersonRecord, name: str) -> Painting:
    """Read a patch's painting as a person sees it.

    Errors: UnknownNameError.
    """
    patch = get_patch(session, name)
    slots = tuple(slot for slot in slots_of(session, patch.id) if slot.counts)
    return Painting(
        patch=patch,
        slots=slots,
        mine=own_slots(slots, person),
        merges=merges_of(session, patch.id),
        comments=comments_of(session, patch.id),
        hold=active_hold(hold_on(session, patch.id)),
        draft=draft_of(session, patch.id, person.id),
        may_paint=may(person.role, Action.PAINT) and is_legal(patch, Transition.CORRECT),
        may_comment=may(person.role, Action.COMMENT) and is_legal(patch, Transition.COMMENT),
    )


def own_slots(
    slots: tuple[SlotRecord, ...], person: PersonRecord
) -> dict[CorrectionKind, SlotRecord]:
    """Give the slot of each kind that a person paints into."""
    mine: dict[CorrectionKind, SlotRecord] = {}
    for slot in slots:
        painted = slot.latest.origin is Origin.PAINTED and slot.latest.author_id == person.id
        if painted and slot.kind is not None:
            mine.setdefault(slot.kind, slot)
    return mine


def active_hold(hold: HoldRecord | None) -> HoldRecord | None:
    """Give a hold unless it has ended."""
    if hold is None or hold_ended(hold.heartbeat_at, Change.now(None).at):
        return None
    return hold


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
        found = {item.name: item for item in slots_of(session, patch.id)}
    if slot not in found:
        raise UnknownNameError.among(f"correction of {patch.name}", slot, found)
    versions = {version.number: version for version in found[slot].versions}
    if number not in versions:
        raise UnknownNameError.among(f"version of {slot}", str(number), map(str, versions))
    label, grid = extracted_label(workspace, patch)
    kept = Store(workspace.folders.store).checked(versions[number].sha256, slot)
    return claims([read_stored(kept, slot, label, grid).masks], Zyx(*label.shape))


def own_drawing(workspace: Workspace, painting: Painting) -> Drawing:
    """Return what a person painted on a patch and saved."""
    claimed = np.zeros(painting.patch.shape, np.uint8)
    for slot in painting.mine.values():
        claimed |= slot_claims(workspace, painting.patch, slot.name, slot.latest.number)
    return drawing_of(claimed)


def hold(lab: Lab, name: str, *, take_over_from: datetime | None = None) -> HoldRecord:
    """Hold a patch for painting, or renew the hold (its heartbeat); it ends ten minutes after.

    ``take_over_from`` is the start of somebody else's hold that is taken over; a newer one stays.

    Errors: ConflictError names who holds it; NotAllowedError; StepError.
    """
    with lab.change(Action.PAINT) as change:
        patch = lock_patch(change.session, name)
        next_stage(patch, Transition.CORRECT)
        before = active_hold(hold_on(change.session, patch.id))
        take_over = before is not None and before.since == take_over_from
        held = hold_patch(change.session, change.change, patch, take_over=take_over)
        if before is not None and before.person_id != change.person.id:
            subject = Subject("patch", patch.id, patch.name, patch.id)
            record_event(
                change.session,
                change.change,
                "hold taken over",
                subject,
                {"person": before.person},
            )
        return held


def release(lab: Lab, name: str) -> None:
    """Give up one's own hold."""
    with lab.change(Action.PAINT) as change:
        release_hold(change.session, change.change, lock_patch(change.session, name))


def parse_drawing(body: bytes, patch: PatchRecord, sha256: str, *, squeezed: bool) -> Drawing:
    """Read a drawing of a patch that was sent.

    Errors: DrawingError.
    """
    return decode_drawing(body, Zyx(*patch.shape), sha256, squeezed=squeezed)
