"""Put accepted labels back into a copy of the segmentation they were cut from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.access.permissions import Action
from core.corrections.store import Store
from core.errors import OutputError
from core.imaging.geometry import Zyx, box_at
from core.imaging.merging import read_label
from core.imaging.pasting import PlacedLabel, paste_labels
from core.lab.lab import Lab
from core.tomograms.source_files import open_original
from core.workspace.workspace import Workspace
from db.errors import StepError
from db.queries.life import MergeRecord, merge_by_id, reviews_of
from db.queries.patches import PatchFilter, PatchRecord, all_patches
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    get_tomogram,
    segmentation_by_id,
)
from db.vocabulary import Verdict
from db.writes.events import Subject, record_event

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PutBack:
    """A segmentation that people's labels were pasted into."""

    out: Path
    segmentation: Path
    patches: tuple[str, ...]
    """In the order they were pasted: the later acceptance wins."""
    changed: int | None
    """Voxels that differ from the segmentation now; None on a dry run."""


@dataclass(frozen=True)
class _Accepted:
    patch: PatchRecord
    merge: MergeRecord
    at: datetime


def put_back(
    lab: Lab,
    tomogram: str,
    out: Path,
    *,
    segmentation_id: int | None = None,
    dry_run: bool = False,
) -> PutBack:
    """Write a copy of a tomogram's segmentation with its accepted labels in it, as MRC.

    Only background and membrane are pasted, ignore keeps the prediction; of labels that overlap
    the later acceptance wins. Patches of several segmentations: one must be named.

    Errors: StepError where nothing is accepted; OutputError where ``out`` exists; VolumeError
    where the segmentation changed; StoreError; NotAllowedError; UnknownNameError.
    """
    with lab.read(Action.PUT_BACK) as session:
        record = get_tomogram(session, tomogram)
        accepted = _read_accepted(session, record)
        segmentation = segmentation_by_id(
            session, _one_segmentation(record, accepted, segmentation_id)
        )
    accepted = [item for item in accepted if item.patch.segmentation_id == segmentation.id]
    if not accepted:
        raise StepError(f"{record.name}: no patch of this segmentation is accepted.")
    if out.exists() or out.is_symlink():
        raise OutputError(f"{out}: exists; name another file, nothing is overwritten.")
    labels = [_place_label(lab.workspace, item) for item in accepted]
    names = tuple(item.patch.name for item in accepted)
    with open_original(segmentation.on_disk) as volume:
        changed = None
        if not dry_run:
            changed = paste_labels(volume, labels, out, _threshold(segmentation, accepted))
            _note(lab, record, out, names)
    return PutBack(out, segmentation.on_disk.file, names, changed)


def _read_accepted(session: Any, tomogram: TomogramRecord) -> list[_Accepted]:
    wanted = PatchFilter(tomogram_id=tomogram.id)
    accepted = [
        _Accepted(patch, merge_by_id(session, patch.accepted_merge_id), _at(session, patch))
        for patch in all_patches(session, wanted)
        if patch.accepted_merge_id is not None and patch.start is not None
    ]
    if not accepted:
        raise StepError(f"{tomogram.name}: no patch of it is accepted, so nothing goes back.")
    return sorted(accepted, key=lambda each: (each.at, each.patch.id))


def _at(session: Any, patch: PatchRecord) -> datetime:
    """Return when the patch was last accepted."""
    verdicts = [r.decided_at for r in reviews_of(session, patch.id) if r.verdict is Verdict.ACCEPT]
    return verdicts[-1] if verdicts else _NEVER


def _one_segmentation(
    tomogram: TomogramRecord, accepted: Sequence[_Accepted], wanted: int | None
) -> int:
    ids = {item.patch.segmentation_id for item in accepted} - {None}
    if wanted is not None:
        return wanted
    if len(ids) != 1:
        models = ", ".join(sorted({item.patch.model or "no model named" for item in accepted}))
        raise StepError(
            f"{tomogram.name}: its accepted patches were cut from {len(ids)} segmentations "
            f"({models}); name one."
        )
    (only,) = ids
    if only is None:
        raise AssertionError("None was taken out")
    return only


def _threshold(segmentation: SegmentationRecord, accepted: Sequence[_Accepted]) -> float | None:
    stated = [item.patch.threshold for item in accepted if item.patch.threshold is not None]
    return stated[-1] if stated else segmentation.threshold


def _place_label(workspace: Workspace, accepted: _Accepted) -> PlacedLabel:
    patch, merge = accepted.patch, accepted.merge
    if patch.start is None:
        raise AssertionError("only patches with a place are taken")
    path = Store(workspace.folders.store).checked(
        merge.file_sha256, f"{patch.name} merge {merge.number}"
    )
    voxels, _ = read_label(path)
    return PlacedLabel(box_at(Zyx(*patch.start), patch.shape), voxels)


def _note(lab: Lab, tomogram: TomogramRecord, out: Path, names: Sequence[str]) -> None:
    with lab.change(Action.PUT_BACK) as change:
        subject = Subject("tomogram", tomogram.id, tomogram.name)
        after = {"file": str(out), "patches": list(names)}
        record_event(change.session, change.change, "labels put back", subject, None, after)
