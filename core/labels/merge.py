"""Merge a patch's corrections into a training label: a new version each time, from the store.

The latest version of every slot that counts is taken, so that the label can be made again from its
record. A correction that cannot be read stops its own patch and no other: a label that misses a
Remove is wrong. A prediction that nobody looked at never becomes a label.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from core.access.permissions import Action
from core.corrections.add_version import read_stored
from core.corrections.folder import refused_files
from core.corrections.store import Store, Stored, copy_whole, same_bytes
from core.errors import CorrectionError
from core.files.threads import side_by_side
from core.imaging.formats.nifti import fill_nifti
from core.imaging.geometry import Grid
from core.imaging.hashes import content_hash
from core.imaging.labels import (
    MERGE_RULE,
    Label,
    LabelCounts,
    Mask,
    MergeCounts,
    MergedLabel,
    count_values,
)
from core.imaging.labels import merge as merge_label
from core.lab.file_moves import keep_standing, staged_copy
from core.lab.lab import Lab
from core.labels.inputs import Input, extracted_label, inputs_of, same_inputs
from core.patches.lifecycle import Transition, next_stage
from core.workspace.locks import patch_lock
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome, Progress, silent
from core.workspace.workspace import Workspace
from db.errors import ConflictError, StepError, TomocurateError
from db.queries.life import MergeRecord, SlotRecord, merge_by_id, slots_of
from db.queries.patches import PatchFilter, PatchRecord, all_patches, get_patch
from db.vocabulary import CorrectionKind, Stage
from db.writes.corrections import MadeMerge, add_merge

TRIES = 3
"""How often a merge begins anew because a correction came in while it ran."""


@dataclass(frozen=True)
class MergePreview:
    """Result of a merge that was not written. ``error`` says why it is not possible."""

    values: LabelCounts | None
    counts: MergeCounts | None
    findings: tuple[str, ...]
    inputs: tuple[Mapping[str, Any], ...]
    error: str | None
    label: Label | None
    """uint8 (z, y, x)."""


@dataclass(frozen=True)
class _Job:
    """A patch and how it is merged."""

    lab: Lab
    name: str
    nothing_to_change: bool
    dry_run: bool
    seen: int | None

    @property
    def action(self) -> Action:
        return Action.SUBMIT if self.nothing_to_change else Action.MERGE


@dataclass(frozen=True)
class _State:
    """A patch, its slots and its current merge, as the catalog has them."""

    patch: PatchRecord
    slots: tuple[SlotRecord, ...]
    current: MergeRecord | None

    @property
    def inputs(self) -> tuple[Input, ...]:
        return inputs_of(self.slots)

    @property
    def is_merged(self) -> bool:
        """Return whether the current merge was made of just what counts now."""
        return self.current is not None and same_inputs(self.inputs, self.current.inputs)


class _InputsChangedError(ConflictError):
    """A correction came in, or went, while the others were merged."""


def preview_merge(workspace: Workspace, patch: str) -> MergePreview:
    """Merge what counts now, in memory alone.

    Errors: UnknownNameError; what else is wrong stands in the preview.
    """
    state = _read(workspace, patch)
    try:
        merged, findings, _ = _merge(workspace, state)
    except TomocurateError as error:
        return MergePreview(
            values=None,
            counts=None,
            findings=(),
            inputs=state.inputs,
            error=str(error),
            label=None,
        )
    return MergePreview(
        values=count_values(merged.voxels),
        counts=merged.counts,
        findings=findings,
        inputs=state.inputs,
        error=None,
        label=merged.voxels,
    )


def merge(
    lab: Lab,
    names: Sequence[str] | None = None,
    *,
    nothing_to_change: bool = False,
    dry_run: bool = False,
    seen: int | None = None,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Merge patches; None are all that have corrections which their label does not hold yet.

    ``nothing_to_change`` states that somebody looked and the prediction is right as it is; the
    patches must be named. The same corrections again give no new merge.

    Errors: StepError; NotAllowedError; what concerns one patch stands in its outcome.
    """
    if nothing_to_change and names is None:
        raise StepError("nothing to change: name the patches that somebody looked at.")
    with lab.read(Action.SUBMIT if nothing_to_change else Action.MERGE) as session:
        if names is None:
            corrected = all_patches(session, PatchFilter(corrected=True))
            names = [p.name for p in corrected if p.current_merge_id is None or p.stale]
    jobs = [_Job(lab, name, nothing_to_change, dry_run, seen) for name in names]
    outcomes = []
    for outcome in side_by_side(_merge_one, jobs):
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


def merge_again(
    workspace: Workspace, patch: PatchRecord, inputs: Sequence[Input]
) -> tuple[MergedLabel, Grid]:
    """Make the label of recorded inputs, from the extracted label and the store.

    One correction is in memory at a time.

    Errors: LabelError, StoreError or CorrectionError where one of them is not what it was.
    """
    store = Store(workspace.folders.store)
    label, grid = extracted_label(workspace, patch)

    def masks() -> Iterator[Mapping[CorrectionKind, Mask]]:
        for entry in inputs:
            what = f"{entry['slot']} version {entry['version']}"
            path = store.checked(entry["sha256"], what)
            yield read_stored(path, entry["slot"], label, grid).masks

    return merge_label(label, masks()), grid


def _merge_one(job: _Job) -> Outcome:
    try:
        for attempt in range(TRIES):
            try:
                return _merge_now(job)
            except _InputsChangedError:
                if attempt == TRIES - 1:
                    raise
    except TomocurateError as error:
        return Outcome(job.name, FAILED, str(error))
    raise AssertionError("the last try returns or raises")


def _merge_now(job: _Job) -> Outcome:
    state = _read(job.lab.workspace, job.name)
    if not state.inputs and not job.nothing_to_change:
        return Outcome(job.name, SKIPPED, _nothing_to_merge(state))
    if state.inputs and job.nothing_to_change:
        named = ", ".join(entry["slot"] for entry in state.inputs)
        raise StepError(f"{job.name}: has corrections ({named}); merge or withdraw them.")
    _check_folder(job.lab, state)
    if state.is_merged:
        return _keep(job, state)
    return _make(job, state)


def _read(workspace: Workspace, name: str) -> _State:
    with workspace.catalog.read() as session:
        patch = get_patch(session, name)
        current = patch.current_merge_id
        return _State(
            patch=patch,
            slots=slots_of(session, patch.id),
            current=merge_by_id(session, current) if current else None,
        )


def _nothing_to_merge(state: _State) -> str:
    names = [slot.name for slot in state.slots if not slot.counts]
    left_out = f" that count ({', '.join(names)} withdrawn or gone)" if names else ""
    return (
        f"{state.patch.name}: has no corrections{left_out}; where the prediction is right as it "
        "is, say so with submit --nothing-to-change."
    )


def _check_folder(lab: Lab, state: _State) -> None:
    """Refuse to leave out a file that collecting refused before it could record it.

    Errors: CorrectionError.
    """
    folder = lab.folders.corrections_of(state.patch.name)
    if refused := refused_files(folder, lab.settings.upload_mb << 20):
        raise CorrectionError(f"{state.patch.name}: not merged without {' '.join(refused)}")


def _make(job: _Job, state: _State) -> Outcome:
    transition = Transition.LEAVE_AS_IT_IS if job.nothing_to_change else Transition.MERGE
    if job.nothing_to_change and state.current is not None:
        # its corrections are withdrawn: it may be left as it is at any stage
        transition = Transition.MERGE
    next_stage(state.patch, transition)
    merged, findings, grid = _merge(job.lab.workspace, state)
    details = {
        "corrections": [entry["slot"] for entry in state.inputs],
        "counts": asdict(merged.counts),
        "values": asdict(count_values(merged.voxels)),
    }
    if job.dry_run:
        return Outcome(job.name, DONE, None, findings, details)
    stored = job.lab.store.put_made(lambda path: fill_nifti(path, merged.voxels, grid))
    made = _describe(state, merged, findings, stored, job.nothing_to_change)
    target = job.lab.folders.merged_of(job.name)
    keep_standing(job.lab.store, target)
    with ExitStack() as staged:
        copy = staged.enter_context(staged_copy(stored.path, target.parent))
        step = staged.enter_context(job.lab.step(job.name, job.action, transition, seen=job.seen))
        same = same_inputs(inputs_of(step.slots.values()), state.inputs)
        if not same or step.patch.current_merge_id != state.patch.current_merge_id:
            raise _InputsChangedError(
                f"{job.name}: corrections keep coming in while it is merged; merge again later."
            )
        record = add_merge(step.session, step.change, step.patch, made)
        step.set(
            "label made",
            stale=False,
            current_merge_id=record.id,
            merge_count=step.patch.merge_count + 1,
        )
        step.place(copy, target)
    return Outcome(job.name, DONE, None, findings, details | {"merge": record.number})


def _merge(workspace: Workspace, state: _State) -> tuple[MergedLabel, tuple[str, ...], Grid]:
    """Make the label of what counts now, and say what a person should know about it.

    Errors: CorrectionError where one that counts cannot be merged; as ``merge_again``.
    """
    counting = [slot for slot in state.slots if slot.counts]
    if refused := [slot.latest.error for slot in counting if slot.latest.error]:
        raise CorrectionError(" ".join(refused))
    merged, grid = merge_again(workspace, state.patch, state.inputs)
    findings = [f"{slot.name}: {text}" for slot in counting for text in slot.latest.findings]
    findings += [
        f"{slot.name} is {'withdrawn' if slot.withdrawn else 'gone from the folder'}: left out"
        for slot in state.slots
        if not slot.counts
    ]
    counts = merged.counts
    if counts.contested:
        findings.append(f"{counts.contested} voxels are claimed by several kinds")
    if counts.lost_in_border:
        findings.append(f"{counts.lost_in_border} painted voxels are lost in the border")
    if not state.inputs:
        findings.append("nothing to change: the label is the prediction")
    return merged, tuple(findings), grid


def _describe(
    state: _State,
    merged: MergedLabel,
    findings: tuple[str, ...],
    stored: Stored,
    nothing_to_change: bool,
) -> MadeMerge:
    return MadeMerge(
        predicted_hash=state.patch.label_hash or "",
        inputs=state.inputs,
        rule=MERGE_RULE,
        counts=asdict(merged.counts),
        values=asdict(count_values(merged.voxels)),
        findings=findings,
        nothing_to_change=nothing_to_change,
        label_hash=content_hash(merged.voxels),
        file_sha256=stored.sha256,
        size_bytes=stored.size,
    )


def _keep(job: _Job, state: _State) -> Outcome:
    """Keep the label that is there; a rejected one that somebody merges again is merged."""
    current = state.current
    if current is None:
        raise AssertionError("what is kept was made")
    details = {"merge": current.number, "counts": current.counts, "values": current.values}
    if not job.dry_run:
        _restore_file(job)
        if state.patch.stage is Stage.CORRECTING:
            with job.lab.step(job.name, job.action, Transition.MERGE, seen=job.seen) as step:
                step.set("merged as it was")
    return Outcome(job.name, KEPT, None, current.findings, details)


def _restore_file(job: _Job) -> None:
    """Bring the current label back to its folder where it is not there."""
    target, store = job.lab.folders.merged_of(job.name), job.lab.store
    with patch_lock(job.lab.workspace, job.name):
        current = _read(job.lab.workspace, job.name).current
        if current and not same_bytes(target, store.path_of(current.file_sha256)):
            what = f"{job.name} merge {current.number}"
            copy_whole(store.checked(current.file_sha256, what), target)
