"""Extract chosen patches: cut image and label out of the original tomogram.

They go to the guide's folders, with the voxels that the drop-in writes. The patches of one
tomogram are cut together, so that a compressed one is inflated once; one bad patch stops no other.
A patch that was extracted is cut again where its files are gone, and must come out the same.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray

from core.access.permissions import Action, require
from core.errors import OutputError
from core.files.atomic import whole_file
from core.files.threads import side_by_side
from core.imaging.extraction import voxel_size_findings
from core.imaging.formats.nifti import fill_nifti, same_voxels
from core.imaging.formats.volume import Volume
from core.imaging.geometry import Box, Grid, Zyx
from core.imaging.hashes import content_hash
from core.imaging.labels import count_values
from core.imaging.patch import CutPatch, Placed, cut_patch, patch_grid
from core.patches.lifecycle import Transition, next_stage
from core.patches.record import write_record
from core.tomograms.source_files import open_original
from core.workspace.folders import make_shared
from core.workspace.locks import patch_lock
from core.workspace.results import DONE, FAILED, KEPT, Outcome, Progress, silent
from core.workspace.workspace import Workspace
from db.errors import ConflictError, StepError, TomocurateError
from db.queries.page import MAX_LIMIT
from db.queries.patches import PatchFilter, PatchRecord, get_patch, list_patches
from db.queries.people import PersonRecord
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    segmentation_by_id,
    tomogram_by_id,
)
from db.vocabulary import Stage
from db.writes.events import Change
from db.writes.patches import change_patch, lock_patch


@dataclass(frozen=True)
class _Originals:
    """What the patches of one pair are cut from, opened."""

    tomogram: TomogramRecord
    segmentation: SegmentationRecord
    volume: Volume
    labels: Volume


def extract(
    workspace: Workspace,
    by: PersonRecord,
    names: Sequence[str] | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Extract patches; None are all that wait or whose files are gone. One outcome a patch.

    Errors: NotAllowedError; UnknownNameError. What concerns one patch stands in its outcome.
    """
    with workspace.catalog.read() as session:
        require(session, by, Action.EXTRACT)
        patches = _listed(session) if names is None else [get_patch(session, n) for n in names]
    if names is None:
        patches = [patch for patch in patches if _is_due(workspace, patch)]
    outcomes = []
    for together in _by_originals(patches):
        for outcome in _extract_together(workspace, by, together, dry_run):
            outcomes.append(outcome)
            progress(outcome)
    return tuple(outcomes)


def _listed(session: Any) -> list[PatchRecord]:
    found: list[PatchRecord] = []
    while page := list_patches(session, PatchFilter(), offset=len(found), limit=MAX_LIMIT).rows:
        found += page
    return found


def _is_due(workspace: Workspace, patch: PatchRecord) -> bool:
    """It waits, or was cut and its image or label is gone, as after a restore."""
    files = workspace.folders.image_of(patch.name), workspace.folders.label_of(patch.name)
    return patch.stage is Stage.CHOSEN or not all(map(os.path.lexists, files))


def _by_originals(patches: Sequence[PatchRecord]) -> Iterator[list[PatchRecord]]:
    def pair(patch: PatchRecord) -> tuple[int, int]:
        return patch.tomogram_id or 0, patch.segmentation_id or 0

    for _, together in itertools.groupby(sorted(patches, key=pair), pair):
        yield list(together)


def _extract_together(
    workspace: Workspace, by: PersonRecord, patches: Sequence[PatchRecord], dry_run: bool
) -> Iterator[Outcome]:
    """Patches of one tomogram and segmentation."""
    with ExitStack() as opened:
        try:
            originals = _open(workspace, patches[0], opened)
        except TomocurateError as error:
            yield from (Outcome(patch.name, FAILED, str(error)) for patch in patches)
            return

        def cut(patch: PatchRecord) -> Outcome:
            try:
                return _extract_one(workspace, by, patch, originals, dry_run)
            except TomocurateError as error:
                return Outcome(patch.name, FAILED, str(error))

        yield from side_by_side(cut, patches)


def _open(workspace: Workspace, patch: PatchRecord, opened: ExitStack) -> _Originals:
    if patch.tomogram_id is None:
        raise StepError(
            f"{patch.name}: its place in a tomogram is not known, so it cannot be cut; it keeps "
            "the image and label that it was adopted with."
        )
    if patch.segmentation_id is None:
        raise StepError(
            f"{patch.name}: has no segmentation to cut its label from; register the tomogram with "
            "--segmentation."
        )
    with workspace.catalog.read() as session:
        tomogram = tomogram_by_id(session, patch.tomogram_id)
        segmentation = segmentation_by_id(session, patch.segmentation_id)
    volume = opened.enter_context(open_original(tomogram.on_disk))
    labels = opened.enter_context(open_original(segmentation.on_disk))
    return _Originals(tomogram, segmentation, volume, labels)


def _extract_one(
    workspace: Workspace,
    by: PersonRecord,
    patch: PatchRecord,
    originals: _Originals,
    dry_run: bool,
) -> Outcome:
    if patch.withdrawn:
        raise StepError(f"{patch.name}: is withdrawn; reinstate it first.")
    again = patch.stage is not Stage.CHOSEN
    threshold = patch.threshold if again else _threshold(patch, originals)
    voxel_size = patch.voxel_size if again else originals.tomogram.voxel_size
    label = originals.segmentation.membrane_label
    cut = cut_patch(originals.volume, originals.labels, _placed(patch), threshold, label)
    hashes = {"image_hash": content_hash(cut.image), "label_hash": content_hash(cut.label)}
    if again:
        _check_same(patch, hashes)
    grid = patch_grid(_box(patch), patch.grid_spacing or voxel_size)
    outcome = _outcome(patch, cut, voxel_size)
    if dry_run:
        return outcome
    with patch_lock(workspace, patch.name):
        written = _write(workspace, patch.name, cut, grid)
        if again:
            return outcome if written else _kept(outcome)
        values = {**hashes, "voxel_size": voxel_size, "threshold": threshold}
        recorded = _record(workspace, by, patch, values)
    write_record(workspace, patch.name)
    return outcome if recorded else _kept(outcome)


def _threshold(patch: PatchRecord, originals: _Originals) -> float | None:
    stated = patch.threshold
    return originals.segmentation.threshold if stated is None else stated


def _placed(patch: PatchRecord) -> Placed:
    if patch.center is None:
        raise StepError(f"{patch.name}: has no center; choose it again.")
    return Placed(Zyx(*patch.center), _box(patch), patch.shifted, patch.padded)


def _box(patch: PatchRecord) -> Box:
    if patch.start is None:
        raise StepError(f"{patch.name}: its place in the tomogram is not known.")
    stop = Zyx(*(a + n for a, n in zip(patch.start, patch.shape, strict=True)))
    return Box(Zyx(*patch.start), stop)


def _check_same(patch: PatchRecord, hashes: dict[str, str]) -> None:
    for part in ("image", "label"):
        if hashes[f"{part}_hash"] != getattr(patch, f"{part}_hash"):
            raise StepError(
                f"{patch.name}: its {part} would come out otherwise than it was extracted; bring "
                "the original files back as they were."
            )


def _write(workspace: Workspace, name: str, cut: CutPatch, grid: Grid) -> bool:
    """Write image and label where they are not there; whether anything was written.

    Errors: OutputError where a file of this name holds something else.
    """
    folders = workspace.folders
    make_shared(folders.corrections_of(name))
    pairs = ((folders.image_of(name), cut.image), (folders.label_of(name), cut.label))
    absent: list[tuple[Any, NDArray[Any]]] = []
    for path, voxels in pairs:
        if not os.path.lexists(path):
            absent.append((path, voxels))
        elif not same_voxels(path, voxels, grid):
            raise OutputError(
                f"{path}: exists and holds other voxels than {name}; move it away, or adopt its "
                "folder first."
            )
    with ExitStack() as files:
        for path, voxels in absent:
            fill_nifti(files.enter_context(whole_file(path, exist_ok=False)), voxels, grid)
    return bool(absent)


def _record(
    workspace: Workspace, by: PersonRecord, patch: PatchRecord, values: dict[str, Any]
) -> bool:
    """Note what was cut; False where somebody else has noted the same meanwhile."""
    with workspace.catalog.write() as session:
        require(session, by, Action.EXTRACT)
        now = lock_patch(session, patch.name)
        if (now.image_hash, now.label_hash) == (values["image_hash"], values["label_hash"]):
            return False
        if (now.start, now.segmentation_id) != (patch.start, patch.segmentation_id):
            raise ConflictError(
                f"{patch.name}: {now.updated_by or 'somebody'} moved it meanwhile; run again."
            )
        stage = next_stage(now, Transition.EXTRACT)
        change = Change.now(by.id)
        change_patch(
            session, change, now, "extracted", stage=stage, extracted_at=change.at, **values
        )
    return True


def _outcome(patch: PatchRecord, cut: CutPatch, voxel_size: float | None) -> Outcome:
    details = {"box": _box(patch), "voxel_size": voxel_size, **asdict(count_values(cut.label))}
    findings = (*cut.findings, *voxel_size_findings(voxel_size))
    return Outcome(patch.name, DONE, findings=findings, details=details)


def _kept(outcome: Outcome) -> Outcome:
    return Outcome(outcome.name, KEPT, None, outcome.findings, outcome.details)
