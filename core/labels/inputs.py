"""Find the corrections that count now, and whether a patch's label still holds them.

Stale has one rule: the current merge was made of other corrections than those that count. A
correction counts unless it is withdrawn or its file is gone; of each slot the latest version.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from core.errors import LabelError
from core.imaging.geometry import Grid
from core.imaging.hashes import content_hash
from core.imaging.labels import Label
from core.imaging.merging import read_label
from core.patches.lifecycle import Transition, next_stage
from core.workspace.workspace import Workspace
from db.queries.life import SlotRecord, merge_by_id, slots_of
from db.queries.patches import PatchRecord
from db.vocabulary import Origin
from db.writes.events import Change
from db.writes.patches import change_patch

Input = Mapping[str, Any]
"""A slot, the number of its version, and the sha256 of its bytes."""


def inputs_of(slots: Iterable[SlotRecord]) -> tuple[Input, ...]:
    """List what a merge would take now, in the order of the names."""
    return tuple(
        {"slot": slot.name, "version": slot.latest.number, "sha256": slot.latest.sha256}
        for slot in sorted(slots, key=lambda slot: slot.name)
        if slot.counts
    )


def same_inputs(some: Iterable[Input], others: Iterable[Input]) -> bool:
    """Tell whether both name the same bytes under the same names."""
    return _bytes_by_name(some) == _bytes_by_name(others)


def in_folder(slot: SlotRecord) -> str | None:
    """Give the sha256 of the version that lies in the correction folder, as far as is known.

    A refused upload never got there; a refused file that was collected lies there still.
    """
    for version in reversed(slot.versions):
        if version.error is None or version.origin is Origin.COLLECTED:
            return version.sha256
    return None


def update_stale(session: Session, change: Change, patch: PatchRecord) -> PatchRecord:
    """Mark a patch's label stale or not after its corrections changed, and move the patch on.

    A patch that only holds files that cannot be read is not being corrected yet.

    Errors: StepError where the patch takes no corrections.
    """
    stage = next_stage(patch, Transition.CORRECT)
    slots = slots_of(session, patch.id)
    inputs = inputs_of(slots)
    if patch.current_merge_id is None:
        stale = False
        begun = any(slot.counts and slot.latest.error is None for slot in slots)
        stage = stage if begun else patch.stage
    else:
        stale = not same_inputs(inputs, merge_by_id(session, patch.current_merge_id).inputs)
    if (stage, stale) == (patch.stage, patch.stale):
        return patch
    action = _EVENTS[stale] if stale != patch.stale else "correcting began"
    return change_patch(session, change, patch, action, stage=stage, stale=stale)


_EVENTS = {True: "label became stale", False: "label holds all corrections again"}


def extracted_label(workspace: Workspace, patch: PatchRecord) -> tuple[Label, Grid]:
    """Read the label that was extracted, uint8 (z, y, x), and its grid, and check its voxels.

    Errors: LabelError where it is gone or holds other voxels; VolumeError.
    """
    path = workspace.folders.label_of(patch.name)
    if not path.is_file():
        raise LabelError(f"{path}: is gone; tomocurate extract {patch.name} writes it again.")
    label, grid = read_label(path)
    if content_hash(label) != patch.label_hash:
        raise LabelError(
            f"{path}: is not the label that was extracted for {patch.name}; move it away, and "
            f"tomocurate extract {patch.name} writes the right one again."
        )
    return label, grid or Grid.aligned()


def cached_extracted_label(workspace: Workspace, patch: PatchRecord) -> tuple[Label, Grid]:
    """Read as ``extracted_label``, but keep the last ones while their files stay as they are.

    For many corrections that come in one after another; the array is read-only.
    """
    try:
        status = workspace.folders.label_of(patch.name).stat()
    except OSError:
        return extracted_label(workspace, patch)  # which says what is wrong
    moment = status.st_ino, status.st_mtime_ns, status.st_size
    return _read_cached(_Asked(workspace, patch, (workspace.folder, patch.label_hash, moment)))


@dataclass(frozen=True)
class _Asked:
    """Whose label is wanted; the same as another where the file and its hash are."""

    workspace: Workspace = field(compare=False)
    patch: PatchRecord = field(compare=False)
    key: tuple[Any, ...]


@functools.lru_cache(maxsize=4)
def _read_cached(asked: _Asked) -> tuple[Label, Grid]:
    label, grid = extracted_label(asked.workspace, asked.patch)
    label.flags.writeable = False
    return label, grid


def _bytes_by_name(inputs: Iterable[Input]) -> dict[str, str]:
    """A label that came with a bundle names its bundle instead of slots."""
    return {item["slot"]: item["sha256"] for item in inputs if "slot" in item}
