"""Choose patch centers in a tomogram: where they may lie, what is told about them, why they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action
from core.errors import CenterError, SegmentationError
from core.imaging.geometry import Box, Zyx, box_at, shifted_to_fit
from core.imaging.patch import Placed, place_patch
from core.imaging.points.read import Points, frame_of, read_points
from core.lab.lab import Lab
from core.lab.step import Changes
from core.tomograms.source_files import check_unchanged, open_original
from core.workspace.results import DONE, FAILED, KEPT, Outcome
from core.workspace.text import check_text, check_threshold
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.queries.patches import PatchRecord, patches_in
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    get_tomogram,
    segmentations_of,
)
from db.vocabulary import ChosenBecause, NearBorder
from db.writes.patches import choose_patch
from db.writes.volumes import lock_tomogram

MANY = 5
"""Patches of one tomogram; the guide recommends two to five."""


@dataclass(frozen=True)
class CenterPreview:
    """Result of choosing a center, before it is written."""

    center: Zyx
    """Where it would be, (z, y, x)."""
    box: Box | None
    refusal: str | None = None
    """Why it cannot be chosen."""
    warnings: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    """The patches whose boxes share voxels with it."""
    shifted_center: Zyx | None = None
    """The nearest legal center, where this one is refused for the border."""


@dataclass(frozen=True)
class _Setting:
    """A tomogram, the segmentation to correct, and the patches there already."""

    tomogram: TomogramRecord
    segmentation: SegmentationRecord
    patches: tuple[PatchRecord, ...]

    @property
    def alive(self) -> tuple[PatchRecord, ...]:
        return tuple(patch for patch in self.patches if not patch.withdrawn)


def propose(
    workspace: Workspace,
    tomogram: str,
    center: Zyx,
    near_border: NearBorder = NearBorder.REFUSE,
) -> CenterPreview:
    """Say what choosing a center (z, y, x) would do.

    Errors: UnknownNameError; SegmentationError where the tomogram has no segmentation.
    """
    with workspace.catalog.read() as session:
        setting = _setting(session, tomogram, None)
    shape = Zyx(*setting.tomogram.on_disk.shape)
    try:
        placed = place_patch(Zyx(*center), shape, near_border)
    except CenterError as error:
        nearest = shifted_to_fit(Zyx(*center), shape)
        return CenterPreview(Zyx(*center), None, str(error), shifted_center=nearest)
    same = _same(setting.patches, placed)
    refusal = _already(same) if same else _source_fault(setting.tomogram)
    overlaps = tuple(_overlaps(setting.alive, placed.box, same))
    return CenterPreview(
        placed.center, placed.box, refusal, _warnings(setting, placed, same), overlaps
    )


def choose(
    lab: Lab,
    tomogram: str,
    centers: Sequence[Zyx],
    *,
    reason: ChosenBecause,
    note: str | None = None,
    segmentation_id: int | None = None,
    near_border: NearBorder = NearBorder.REFUSE,
    threshold: float | None = None,
    dry_run: bool = False,
) -> tuple[Outcome, ...]:
    """Choose patches at centers (z, y, x), in this order; one bad center stops no other.

    A center that is a patch already is kept. The patch is bound to the newest segmentation, or to
    the one that is named, and to its threshold unless one is given.

    Errors: UnknownNameError; SegmentationError where there is no segmentation to correct;
    VolumeError or RootError where the tomogram changed or is gone; NotAllowedError; StepError for
    a note that cannot be one.
    """
    note = check_text("the note", note) if note and note.strip() else None
    check_threshold(threshold)
    with lab.read(Action.CHOOSE) as session:
        check_unchanged(get_tomogram(session, tomogram).on_disk)
        if dry_run:
            return _dry(_setting(session, tomogram, segmentation_id), centers, near_border)
    with lab.change(Action.CHOOSE) as change:
        lock_tomogram(change.session, get_tomogram(change.session, tomogram).id)
        setting = _setting(change.session, tomogram, segmentation_id)
        values = _values(setting, reason, note, threshold)
        outcomes = []
        for center in centers:
            outcome, patch = _choose_one(change, setting, center, near_border, values)
            outcomes.append(outcome)
            if patch:
                setting = replace(setting, patches=(*setting.patches, patch))
                change.record(patch.name)
    return tuple(outcomes)


def read_centers(workspace: Workspace, tomogram: str, path: Path) -> Points:
    """Read the centers of a file (csv, tsv, .mod, .star, picks .json) for a tomogram.

    Errors: UnknownNameError; PointsError.
    """
    with workspace.catalog.read() as session:
        record = get_tomogram(session, tomogram)
    with open_original(record.on_disk) as volume:
        frame = frame_of(volume, record.token, record.voxel_size)
    return read_points(path, frame)


def box_of(patch: PatchRecord) -> Box | None:
    """The box of a patch in its tomogram; None where its position is unknown."""
    if patch.start is None:
        return None
    return box_at(Zyx(*patch.start), patch.shape)


def _source_fault(tomogram: TomogramRecord) -> str | None:
    """Why nothing can be cut from a tomogram any more, if so."""
    try:
        check_unchanged(tomogram.on_disk)
    except TomocurateError as error:
        return str(error)
    return None


def _setting(session: Session, tomogram: str, segmentation_id: int | None) -> _Setting:
    record = get_tomogram(session, tomogram)
    every = segmentations_of(session, record.id)
    if not every:
        raise SegmentationError(
            f"tomogram {record.name}: has no segmentation to correct; register one with "
            "tomocurate register TOMOGRAM --segmentation FILE."
        )
    chosen = every[0]
    if segmentation_id is not None:
        named = [item for item in every if item.id == segmentation_id]
        if not named:
            known = ", ".join(f"{item.id} ({item.on_disk.path})" for item in every)
            raise SegmentationError(
                f"tomogram {record.name}: has no segmentation {segmentation_id}; it has {known}."
            )
        chosen = named[0]
    return _Setting(record, chosen, patches_in(session, record.id))


def _dry(setting: _Setting, centers: Sequence[Zyx], near_border: NearBorder) -> tuple[Outcome, ...]:
    outcomes = []
    for center in centers:
        try:
            placed = place_patch(Zyx(*center), _shape(setting), near_border)
        except CenterError as error:
            outcomes.append(Outcome(_format_center(setting, center), FAILED, str(error)))
            continue
        same = _same(setting.patches, placed)
        name = same.name if same else _format_center(setting, placed.center)
        outcomes.append(_outcome(setting, placed, name, same))
    return tuple(outcomes)


def _choose_one(
    change: Changes,
    setting: _Setting,
    center: Zyx,
    near_border: NearBorder,
    values: dict[str, Any],
) -> tuple[Outcome, PatchRecord | None]:
    try:
        placed = place_patch(Zyx(*center), _shape(setting), near_border)
    except CenterError as error:
        return Outcome(_format_center(setting, center), FAILED, str(error)), None
    same = _same(setting.patches, placed)
    if same:
        return _outcome(setting, placed, same.name, same), None
    columns = values | _position(placed)
    patch = choose_patch(change.session, change.change, setting.tomogram.id, columns)
    return _outcome(setting, placed, patch.name, None), patch


def _outcome(setting: _Setting, placed: Placed, name: str, same: PatchRecord | None) -> Outcome:
    details = {"center": placed.center, "start": placed.box.start}
    findings = _warnings(setting, placed, same)
    if same is None:
        return Outcome(name, DONE, None, findings, details)
    return Outcome(name, FAILED if same.withdrawn else KEPT, _already(same), findings, details)


def _warnings(setting: _Setting, placed: Placed, same: PatchRecord | None) -> tuple[str, ...]:
    """Return warnings about a center."""
    found = []
    if placed.shifted:
        x, y, z = placed.center.to_xyz()
        found.append(f"shifted to {x},{y},{z} (x, y, z) to fit the tomogram")
    if placed.padded:
        found.append("its box leaves the tomogram: padded with the mean, its label with ignore")
    overlaps = list(_overlaps(setting.alive, placed.box, same))
    if overlaps:
        found.append(f"overlaps {', '.join(overlaps)}; both go to the same split")
    number = len(setting.alive) + (same is None)
    if same is None and number > MANY:
        found.append(
            f"is patch {number} of {setting.tomogram.name}; two to {MANY} a tomogram are "
            "recommended, other tomograms teach more"
        )
    return tuple(found)


def _overlaps(patches: Sequence[PatchRecord], box: Box, same: PatchRecord | None) -> Sequence[str]:
    return [
        patch.name
        for patch in patches
        if patch != same and (other := box_of(patch)) is not None and box.overlap(other)
    ]


def _same(patches: Sequence[PatchRecord], placed: Placed) -> PatchRecord | None:
    """The patch that has just this box already, one in work before a withdrawn one."""
    there = [patch for patch in patches if box_of(patch) == placed.box]
    return min(there, key=lambda patch: (patch.withdrawn, patch.id), default=None)


def _already(same: PatchRecord) -> str:
    if same.withdrawn:
        return f"{same.name} has this center and is withdrawn; reinstate it."
    return f"{same.name} has this center already; nothing was added."


def _values(
    setting: _Setting, reason: ChosenBecause, note: str | None, threshold: float | None
) -> dict[str, Any]:
    stated = setting.segmentation.threshold if threshold is None else threshold
    return {
        "segmentation_id": setting.segmentation.id,
        "chosen_because": reason,
        "note": note,
        "voxel_size": setting.tomogram.voxel_size,
        "threshold": stated,
    }


def _position(placed: Placed) -> dict[str, Any]:
    names = "zyx"
    columns = {f"center_{a}": v for a, v in zip(names, placed.center, strict=True)}
    columns |= {f"start_{a}": v for a, v in zip(names, placed.box.start, strict=True)}
    columns |= {f"shape_{a}": v for a, v in zip(names, placed.box.shape, strict=True)}
    return columns | {"padded": placed.padded, "shifted": placed.shifted}


def _shape(setting: _Setting) -> Zyx:
    return Zyx(*setting.tomogram.on_disk.shape)


def _format_center(setting: _Setting, center: Zyx) -> str:
    """A center that has no name yet, in (x, y, z)."""
    z, y, x = center
    return f"{setting.tomogram.name} at {x},{y},{z}"
