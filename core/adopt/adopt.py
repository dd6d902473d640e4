"""Adopt a folder that a lab filled by the guide: its patches become the workspace's, as they are.

Files are copied, never moved; a folder that is the workspace's own is taken in place. Names stay.
A patch that is found in no registered tomogram has an unknown position: it can be curated and
exported, and is never put back.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.access.permissions import Action
from core.adopt.guide_folders import AdoptionPlan, FoundPatch, read_folders
from core.adopt.locate_patch import Location, locate
from core.corrections.add_version import add_version
from core.corrections.collect import collect
from core.corrections.folder import owner_of
from core.corrections.store import copy_whole, same_bytes
from core.errors import AdoptionError
from core.imaging.formats.nifti import fill_nifti, write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid, whole
from core.imaging.hashes import content_hash
from core.imaging.labels import Label, count_values
from core.imaging.merging import read_label
from core.lab.file_moves import keep_standing, staged_copy
from core.lab.lab import Lab
from core.labels.inputs import inputs_of
from core.labels.merge import merge, preview_merge
from core.patches.lifecycle import Transition
from core.tomograms.voxel_size import check_voxel_size, set_voxel_size
from core.workspace.results import DONE, FAILED, KEPT, Outcome, Progress, silent
from db.errors import TomocurateError
from db.queries.patches import PatchRecord, find_patch
from db.vocabulary import ChosenBecause, Origin, Stage
from db.writes.corrections import MadeMerge, add_merge
from db.writes.patches import adopt_patch, change_patch, lock_patch

ADOPTED_RULE = "imported: merged elsewhere and adopted as it was"
"""Of a merge that cannot be made again from its corrections; ``verify`` checks its hash alone."""


@dataclass(frozen=True)
class _Volumes:
    """A patch's image and label as they were read."""

    image: NDArray[Any]
    label: Label
    image_grid: Grid
    label_grid: Grid
    voxel_size: float | None
    """Angstrom, as the image's header has it."""

    @property
    def hashes(self) -> dict[str, str]:
        return {"image_hash": content_hash(self.image), "label_hash": content_hash(self.label)}


def plan_adoption(
    folder: Path,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    corrections: Path | None = None,
    merged: Path | None = None,
) -> AdoptionPlan:
    """Say what would be adopted; nothing is written. Folders that are named are taken as such.

    Errors: AdoptionError.
    """
    return read_folders(
        folder, images=images, labels=labels, corrections=corrections, merged=merged
    )


def adopt(
    lab: Lab,
    folder: Path,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    corrections: Path | None = None,
    merged: Path | None = None,
    voxel_size: float | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Adopt every patch of a folder; one that is adopted already is kept, and completed.

    Each patch gets the stage that its files show: extracted, correcting or merged. Corrections
    are their file owners' work. ``voxel_size`` (angstrom) is of patches that are found in no
    tomogram.

    Errors: AdoptionError; VolumeError for a voxel size that cannot be one; NotAllowedError; what
    concerns one patch stands in its outcome.
    """
    check_voxel_size(voxel_size)
    with lab.read(Action.ADOPT):
        pass  # whoever may not is refused before anything is read
    plan = plan_adoption(
        Path(folder), images=images, labels=labels, corrections=corrections, merged=merged
    )
    good = [patch for patch in plan.patches if patch.error is None]
    places = locate(lab.workspace, good)
    outcomes = []
    for patch in plan.patches:
        place = places.get(patch.name)
        outcome = _adopt_one(lab, plan, patch, place, dry_run)
        if voxel_size and place is None and not dry_run and outcome.outcome != FAILED:
            outcome = _with_voxel_size(lab, outcome, voxel_size)
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


def _adopt_one(
    lab: Lab,
    plan: AdoptionPlan,
    patch: FoundPatch,
    place: Location | None,
    dry_run: bool,
) -> Outcome:
    try:
        volumes = _read(patch)
        findings = [_position_said(place), *_strays_said(patch)]
        if dry_run:
            return Outcome(patch.name, DONE, None, tuple(findings), _details(patch, place))
        was_there = _enter(lab, patch, volumes, place)
        taken, said = _take_corrections(lab, plan, patch)
        label, label_said = _take_merged(lab, patch)
    except TomocurateError as error:
        return Outcome(patch.name, FAILED, str(error))
    changed = not was_there or taken or label
    details = _details(patch, place) | {"corrections_taken": taken}
    findings += [*said, *label_said]
    return Outcome(patch.name, DONE if changed else KEPT, None, tuple(findings), details)


def _with_voxel_size(lab: Lab, outcome: Outcome, voxel_size: float) -> Outcome:
    """State the voxel size of a patch that was adopted now or before."""
    try:
        stated = set_voxel_size(lab, [outcome.name], voxel_size)[0]
    except TomocurateError as error:
        return replace(outcome, findings=(*outcome.findings, str(error)))
    done = DONE if stated.outcome == DONE else outcome.outcome
    return replace(outcome, outcome=done, findings=(*outcome.findings, *stated.findings))


def _read(patch: FoundPatch) -> _Volumes:
    """Read image and label of a patch, which must have one shape.

    Errors: AdoptionError; VolumeError; LabelError.
    """
    if patch.error or patch.image is None or patch.label is None:
        raise AdoptionError(patch.error or f"{patch.name}: needs both an image and a label.")
    with open_volume(patch.image) as volume:
        image, grid, size = volume.read(whole(volume.shape)), volume.grid, volume.voxel_size
    label, label_grid = read_label(patch.label)
    if label.shape != image.shape or min(image.shape) < 2:
        raise AdoptionError(
            f"{patch.name}: its image is {_xyz(image.shape)} voxels (x, y, z) and its label "
            f"{_xyz(label.shape)}; they belong to different patches."
        )
    grid = grid or Grid.aligned(size or 1.0)
    return _Volumes(image, label, grid, label_grid or grid, size)


def _enter(
    lab: Lab,
    patch: FoundPatch,
    volumes: _Volumes,
    place: Location | None,
) -> bool:
    """Bring a patch's volumes and its row; tell whether it was there already.

    Errors: AdoptionError where another patch has its name.
    """
    with lab.catalog.read() as session:
        there = find_patch(session, patch.name)
    if there is not None:
        now = {"image_hash": there.image_hash, "label_hash": there.label_hash}
        if now != volumes.hashes:
            raise AdoptionError(
                f"{patch.name}: another patch has this name in the workspace; rename one of them."
            )
        return (
            place is None
            or there.tomogram_id is not None
            or not _place_late(lab, there, volumes, place)
        )
    folders = lab.folders
    _bring(patch.image, folders.image_of(patch.name), volumes.image, volumes.image_grid)
    _bring(patch.label, folders.label_of(patch.name), volumes.label, volumes.label_grid)
    with lab.change(Action.ADOPT) as change:
        values = _columns(patch, volumes, place)
        adopt_patch(change.session, change.change, patch.named.dataset, patch.name, values)
        change.record(patch.name)
    return False


def _place_late(lab: Lab, patch: PatchRecord, volumes: _Volumes, place: Location) -> bool:
    """Give an adopted patch its place in a tomogram that was registered since."""
    with lab.change(Action.ADOPT) as change:
        locked = lock_patch(change.session, patch.name)
        if locked.tomogram_id is None:
            values = _place_columns(volumes, place)
            change_patch(change.session, change.change, locked, "place found", **values)
            change.record(patch.name)
    return locked.tomogram_id is None


def _bring(source: Path | None, target: Path, voxels: NDArray[Any], grid: Grid) -> None:
    """Copy a volume into the workspace, as .nii.gz; the one that stands there is no other's."""
    if source is None or same_bytes(source, target):
        return
    if target.exists():
        with open_volume(target) as there:
            if np.array_equal(there.read(whole(there.shape)), voxels):
                return
        raise AdoptionError(f"{target}: holds another patch's voxels; move it away, or rename one.")
    if source.name.lower().endswith(".nii.gz"):
        copy_whole(source, target)
    else:
        write_nifti(target, voxels, grid, exist_ok=False)


def _columns(patch: FoundPatch, volumes: _Volumes, place: Location | None) -> Mapping[str, Any]:
    written = patch.image.stat().st_mtime if patch.image else 0.0
    values: dict[str, Any] = {
        "token": patch.named.token,
        "number": patch.named.number,
        "stage": Stage.EXTRACTED,
        "chosen_because": ChosenBecause.OTHER,
        "voxel_size": volumes.voxel_size,
        "extracted_at": datetime.fromtimestamp(written, UTC),
        **volumes.hashes,
        **dict(zip(("shape_z", "shape_y", "shape_x"), volumes.image.shape, strict=True)),
    }
    return values if place is None else {**values, **_place_columns(volumes, place)}


def _place_columns(volumes: _Volumes, place: Location) -> dict[str, Any]:
    values: dict[str, Any] = {}
    center = [a + n // 2 for a, n in zip(place.box.start, place.box.shape, strict=True)]
    for axis, first, middle in zip("zyx", place.box.start, center, strict=True):
        values |= {f"start_{axis}": first, f"center_{axis}": middle}
    if place.tomogram.voxel_size not in (None, volumes.voxel_size):
        values["grid_spacing"] = volumes.label_grid.spacing_xyz[0]
    return values | {
        "tomogram_id": place.tomogram.id,
        "segmentation_id": place.segmentation_id,
        "threshold": place.threshold,
        "voxel_size": place.tomogram.voxel_size or volumes.voxel_size,
    }


def _take_corrections(lab: Lab, plan: AdoptionPlan, patch: FoundPatch) -> tuple[int, list[str]]:
    """Take in a patch's corrections; give how many are new, and what is said of them."""
    own = lab.folders.corrections.resolve()
    if plan.corrections is not None and plan.corrections.resolve() == own:
        outcomes = collect(lab, [patch.name])
        files = [item for outcome in outcomes for item in outcome.details.get("files", ())]
        new = [file for file in files if _describe_entry(file, "outcome") in ("new", "changed")]
        said = [_describe_entry(file, "message") for file in files]
        return len(new), [sentence for sentence in said if sentence]
    taken, told = 0, []
    for path in patch.corrections:
        try:
            outcome = _take_correction(lab, patch.name, path)
        except TomocurateError as error:
            told.append(str(error))
            continue
        taken += outcome.outcome == DONE
        told += [f"{path.name}: {finding}" for finding in outcome.findings]
        told += [outcome.message] if outcome.message else []
    return taken, told


def _take_correction(lab: Lab, name: str, path: Path) -> Outcome:
    """Add one file; its owner is its author, whoever adopts."""
    author = owner_of(lab.workspace, path.stat().st_uid)
    with lab.store.arrive(path) as arrived:
        return add_version(lab, name, path.name, arrived, Origin.IMPORTED, author)


def _take_merged(lab: Lab, patch: FoundPatch) -> tuple[bool, list[str]]:
    """Take the merged label that is there: as the merge of its corrections where it is just that,
    else as one that was made elsewhere. Give whether it is new, and what is said of it.
    """
    with lab.catalog.read() as session:
        record = find_patch(session, patch.name)
    if patch.merged is None or record is None or record.current_merge_id is not None:
        return False, []
    label, grid = read_label(patch.merged)
    if label.shape != record.shape:
        raise AdoptionError(
            f"{patch.merged}: is {_xyz(label.shape)} voxels (x, y, z), but {patch.name} is "
            f"{_xyz(record.shape)}; it belongs to another patch."
        )
    preview = preview_merge(lab.workspace, patch.name)
    if preview.inputs and preview.label is not None and np.array_equal(preview.label, label):
        made = merge(lab, [patch.name])[0]
        if made.outcome in (DONE, KEPT):
            return True, []
    difference = _difference(preview.label if preview.inputs else None, label, preview.error)
    _record_label(lab, record, label, grid or Grid.aligned(), difference)
    return True, difference


def _record_label(
    lab: Lab, patch: PatchRecord, label: Label, grid: Grid, findings: list[str]
) -> None:
    """Keep a label that was merged elsewhere as the patch's first merge."""
    stored = lab.store.put_made(lambda path: fill_nifti(path, label, grid))
    target = lab.folders.merged_of(patch.name)
    keep_standing(lab.store, target)
    with (
        staged_copy(stored.path, target.parent) as staged,
        lab.step(patch.name, Action.ADOPT, Transition.ADOPT_LABEL) as step,
    ):
        made = MadeMerge(
            predicted_hash=step.patch.label_hash or "",
            inputs=inputs_of(step.slots.values()),
            rule=ADOPTED_RULE,
            counts={},
            values=asdict(count_values(label)),
            findings=tuple(findings),
            nothing_to_change=False,
            label_hash=content_hash(label),
            file_sha256=stored.sha256,
            size_bytes=stored.size,
        )
        merge_id = add_merge(step.session, step.change, step.patch, made).id
        step.set(
            "label adopted",
            stale=False,
            current_merge_id=merge_id,
            merge_count=step.patch.merge_count + 1,
        )
        step.place(staged, target)


def _difference(again: Label | None, label: Label, error: str | None) -> list[str]:
    if error:
        return [f"its label cannot be made again: {error}"]
    if again is None:
        return ["its label was merged elsewhere; no corrections are there to make it again"]
    differing = int((again != label).sum())
    return [f"its label differs in {differing} voxels from what its corrections give; it was kept"]


def _position_said(place: Location | None) -> str:
    if place is None:
        return "position unknown: found in no registered tomogram; it is never put back"
    z, y, x = (a + n // 2 for a, n in zip(place.box.start, place.box.shape, strict=True))
    return f"found in {place.tomogram.name}, center {x},{y},{z} (x, y, z)"


def _strays_said(patch: FoundPatch) -> list[str]:
    return [f"{name}: not a correction file; it is left out" for name in patch.strays]


def _details(patch: FoundPatch, place: Location | None) -> dict[str, Any]:
    return {
        "tomogram": place.tomogram.name if place else None,
        "start": place.box.start if place else None,
        "corrections": [path.name for path in patch.corrections],
        "merged": patch.merged is not None,
    }


def _describe_entry(entry: Any, name: str) -> Any:
    return entry.get(name) if isinstance(entry, Mapping) else getattr(entry, name, None)


def _xyz(shape: tuple[int, ...]) -> str:
    return ",".join(map(str, shape[::-1]))
