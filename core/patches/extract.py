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
from functools import partial
from pathlib import Path
from typing import Any

from core.access.permissions import Action
from core.errors import OutputError
from core.files.atomic import staged_file, sync_folder
from core.files.threads import side_by_side
from core.imaging.extraction import voxel_size_findings
from core.imaging.formats.nifti import fill_nifti, same_voxels
from core.imaging.formats.volume import Volume
from core.imaging.geometry import Box, Grid, Zyx, box_at
from core.imaging.hashes import content_hash
from core.imaging.labels import count_values
from core.imaging.patch import CutPatch, Placed, cut_patch, patch_grid
from core.lab.lab import Lab
from core.patches.lifecycle import Transition
from core.tomograms.source_files import open_original
from core.workspace.folders import Folders, make_shared
from core.workspace.locks import patch_lock
from core.workspace.results import DONE, FAILED, KEPT, Outcome, Progress, silent
from core.workspace.workspace import Workspace
from db.errors import ConflictError, StepError, TomocurateError
from db.queries.patches import PatchRecord, all_patches, get_patch
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    segmentation_by_id,
    tomogram_by_id,
)
from db.vocabulary import Stage


@dataclass(frozen=True)
class _Originals:
    """Opened tomogram and segmentation that patches are cut from."""

    tomogram: TomogramRecord
    segmentation: SegmentationRecord
    volume: Volume
    labels: Volume


def extract(
    lab: Lab,
    names: Sequence[str] | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Extract patches; None are all that wait or whose files are gone. One outcome a patch.

    Errors: NotAllowedError; UnknownNameError. What concerns one patch stands in its outcome.
    """
    with lab.read(Action.EXTRACT) as session:
        if names is None:
            patches = [p for p in all_patches(session) if _is_due(lab.folders, p)]
        else:
            patches = [get_patch(session, name) for name in names]
    outcomes = []
    for together in _by_originals(patches):
        for outcome in _extract_together(lab, together, dry_run):
            outcomes.append(outcome)
            progress(outcome)
    return tuple(outcomes)


def _is_due(folders: Folders, patch: PatchRecord) -> bool:
    """It waits, or was cut and its image or label is gone, as after a restore."""
    files = folders.image_of(patch.name), folders.label_of(patch.name)
    return patch.stage is Stage.CHOSEN or not all(map(os.path.lexists, files))


def _by_originals(patches: Sequence[PatchRecord]) -> Iterator[list[PatchRecord]]:
    def pair(patch: PatchRecord) -> tuple[int, int]:
        return patch.tomogram_id or 0, patch.segmentation_id or 0

    for _, together in itertools.groupby(sorted(patches, key=pair), pair):
        yield list(together)


def _extract_together(lab: Lab, patches: Sequence[PatchRecord], dry_run: bool) -> Iterator[Outcome]:
    """Patches of one tomogram and segmentation."""
    with ExitStack() as opened:
        try:
            originals = _open(lab.workspace, patches[0], opened)
        except TomocurateError as error:
            yield from (Outcome(patch.name, FAILED, str(error)) for patch in patches)
            return

        def cut(patch: PatchRecord) -> Outcome:
            try:
                return _extract_one(lab, patch, originals, dry_run)
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
    lab: Lab,
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
    cut = cut_patch(originals.volume, originals.labels, _place(patch), threshold, label)
    hashes = {"image_hash": content_hash(cut.image), "label_hash": content_hash(cut.label)}
    if again:
        _check_same(patch, hashes)
    grid = patch_grid(_box(patch), patch.grid_spacing or voxel_size)
    outcome = _outcome(patch, cut, voxel_size)
    if dry_run:
        return outcome
    with ExitStack() as staged:
        files = _stage(lab.folders, patch.name, cut, grid, staged)
        if again:
            _bring_back(lab, patch.name, files)
            return outcome if files else _keep(outcome)
        values = {**hashes, "voxel_size": voxel_size, "threshold": threshold}
        recorded = _record(lab, patch, values, files)
    return outcome if recorded else _keep(outcome)


def _threshold(patch: PatchRecord, originals: _Originals) -> float | None:
    stated = patch.threshold
    return originals.segmentation.threshold if stated is None else stated


def _place(patch: PatchRecord) -> Placed:
    if patch.center is None:
        raise StepError(f"{patch.name}: has no center; choose it again.")
    return Placed(Zyx(*patch.center), _box(patch), patch.shifted, patch.padded)


def _box(patch: PatchRecord) -> Box:
    if patch.start is None:
        raise StepError(f"{patch.name}: its place in the tomogram is not known.")
    return box_at(Zyx(*patch.start), patch.shape)


def _check_same(patch: PatchRecord, hashes: dict[str, str]) -> None:
    for part in ("image", "label"):
        if hashes[f"{part}_hash"] != getattr(patch, f"{part}_hash"):
            raise StepError(
                f"{patch.name}: its {part} would come out otherwise than it was extracted; bring "
                "the original files back as they were."
            )


def _stage(
    folders: Folders, name: str, cut: CutPatch, grid: Grid, staged: ExitStack
) -> list[tuple[Path, Path]]:
    """Write image and label beside their targets, where they are not there yet.

    Errors: OutputError where a file of this name holds something else.
    """
    make_shared(folders.corrections_of(name))
    files = []
    pairs = ((folders.image_of(name), cut.image), (folders.label_of(name), cut.label))
    for target, voxels in pairs:
        if not os.path.lexists(target):
            fill = partial(fill_nifti, voxels=voxels, grid=grid)
            files.append((staged.enter_context(staged_file(target.parent, fill)), target))
        elif not same_voxels(target, voxels, grid):
            raise OutputError(
                f"{target}: exists and holds other voxels than {name}; move it away, or adopt its "
                "folder first."
            )
    return files


def _record(
    lab: Lab, patch: PatchRecord, values: dict[str, Any], files: list[tuple[Path, Path]]
) -> bool:
    """Record what was cut; False where somebody else has recorded the same meanwhile."""
    try:
        with lab.step(patch.name, Action.EXTRACT, Transition.EXTRACT) as step:
            now = step.patch
            if (now.start, now.segmentation_id) != (patch.start, patch.segmentation_id):
                raise ConflictError(
                    f"{patch.name}: {now.updated_by or 'somebody'} moved it meanwhile; run again."
                )
            step.set("extracted", extracted_at=step.change.at, **values)
            for staged, target in files:
                step.place(staged, target)
    except StepError:
        with lab.catalog.read() as session:
            now = get_patch(session, patch.name)
        if (now.image_hash, now.label_hash) == (values["image_hash"], values["label_hash"]):
            return False
        raise
    return True


def _bring_back(lab: Lab, name: str, files: list[tuple[Path, Path]]) -> None:
    """Place the files of a patch that was extracted before; its record stays as it is."""
    with patch_lock(lab.workspace, name):
        for staged, target in files:
            if not os.path.lexists(target):
                staged.replace(target)
                sync_folder(target.parent)


def _outcome(patch: PatchRecord, cut: CutPatch, voxel_size: float | None) -> Outcome:
    details = {"box": _box(patch), "voxel_size": voxel_size, **asdict(count_values(cut.label))}
    findings = (*cut.findings, *voxel_size_findings(voxel_size))
    return Outcome(patch.name, DONE, findings=findings, details=details)


def _keep(outcome: Outcome) -> Outcome:
    return Outcome(outcome.name, KEPT, None, outcome.findings, outcome.details)
