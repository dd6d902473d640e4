"""Merge a patch's corrections into a training label: a new version each time, from the store.

The latest version of every slot that counts is taken, so that the label can be made again from its
record. A correction that cannot be read stops its own patch and no other: a label that misses a
Remove is wrong. A prediction that nobody looked at never becomes a label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.access.permissions import Action, require
from core.corrections.add_version import read_stored
from core.corrections.store import Store, Stored, copy_whole, in_place, same_bytes
from core.errors import CorrectionError
from core.files.threads import side_by_side
from core.imaging.formats.nifti import fill_nifti
from core.imaging.geometry import Grid
from core.imaging.hashes import content_hash
from core.imaging.labels import (
    MERGE_RULE,
    Label,
    LabelCounts,
    MergeCounts,
    MergedLabel,
    count_values,
)
from core.imaging.labels import merge as merge_label
from core.labels.inputs import Input, extracted_label, inputs_of, same_inputs
from core.patches.lifecycle import Transition, next_stage
from core.patches.record import write_record
from core.workspace.locks import patch_lock
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome, Progress, silent
from core.workspace.workspace import Workspace
from db.errors import ConflictError, StepError, TomocurateError
from db.queries.life import MergeRecord, SlotRecord, merge_by_id, slots_of
from db.queries.page import MAX_LIMIT
from db.queries.patches import PatchFilter, PatchRecord, get_patch, list_patches
from db.queries.people import PersonRecord
from db.vocabulary import Stage
from db.writes.corrections import MadeMerge, add_merge
from db.writes.events import Change
from db.writes.patches import change_patch, lock_patch

TRIES = 3
"""How often a merge begins anew because a correction came in while it ran."""


@dataclass(frozen=True)
class MergePreview:
    """What a merge would give now; nothing was written. ``error`` says why it cannot be."""

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

    workspace: Workspace
    by: PersonRecord
    name: str
    nothing_to_change: bool
    dry_run: bool
    seen: int | None

    @property
    def store(self) -> Store:
        return Store(self.workspace.folders.store)


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
        """Whether the current merge was made of just what counts now."""
        return self.current is not None and same_inputs(self.inputs, self.current.inputs)


class _CameInError(ConflictError):
    """A correction came in while the others were merged."""


def preview_merge(workspace: Workspace, patch: str) -> MergePreview:
    """Merge what counts now, in memory alone.

    Errors: UnknownNameError; what else is wrong stands in the preview.
    """
    state = _read(workspace, patch)
    try:
        merged, findings, _ = _merged(workspace, state)
    except TomocurateError as error:
        return MergePreview(None, None, (), state.inputs, str(error), None)
    values = count_values(merged.voxels)
    return MergePreview(values, merged.counts, findings, state.inputs, None, merged.voxels)


def merge(
    workspace: Workspace,
    by: PersonRecord,
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
    with workspace.catalog.read() as session:
        require(session, by, Action.SUBMIT if nothing_to_change else Action.MERGE)
    jobs = [
        _Job(workspace, by, name, nothing_to_change, dry_run, seen)
        for name in (_due(workspace) if names is None else names)
    ]
    outcomes = []
    for outcome in side_by_side(_merge_one, jobs):
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


def made_again(
    workspace: Workspace, patch: PatchRecord, inputs: Sequence[Input]
) -> tuple[MergedLabel, Grid]:
    """The label that recorded inputs give, from the extracted label and the store.

    Errors: LabelError, StoreError or CorrectionError where one of them is not what it was.
    """
    store = Store(workspace.folders.store)
    label, grid = extracted_label(workspace, patch)
    masks = []
    for each in inputs:
        path = store.checked(each["sha256"], f"{each['slot']} version {each['version']}")
        masks.append(read_stored(path, each["slot"], label, grid).masks)
    return merge_label(label, masks), grid


def _due(workspace: Workspace) -> list[str]:
    found: list[PatchRecord] = []
    with workspace.catalog.read() as session:
        wanted = PatchFilter(corrected=True)
        while page := list_patches(session, wanted, offset=len(found), limit=MAX_LIMIT).rows:
            found += page
    return [patch.name for patch in found if patch.current_merge_id is None or patch.stale]


def _merge_one(job: _Job) -> Outcome:
    try:
        with patch_lock(job.workspace, job.name):
            outcome = _merge_now(job)
        if not job.dry_run:
            write_record(job.workspace, job.name)
        return outcome
    except TomocurateError as error:
        return Outcome(job.name, FAILED, str(error))


def _merge_now(job: _Job) -> Outcome:
    for attempt in range(TRIES):
        state = _read(job.workspace, job.name)
        if not state.inputs and not job.nothing_to_change:
            return Outcome(job.name, SKIPPED, _nothing_to_merge(state))
        if state.inputs and job.nothing_to_change:
            named = ", ".join(each["slot"] for each in state.inputs)
            raise StepError(f"{job.name}: has corrections ({named}); merge or withdraw them.")
        if state.is_merged:
            return _kept(job, state)
        try:
            return _made(job, state)
        except _CameInError:
            if attempt == TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


def _read(workspace: Workspace, name: str) -> _State:
    with workspace.catalog.read() as session:
        patch = get_patch(session, name)
        current = patch.current_merge_id
        return _State(
            patch, slots_of(session, patch.id), merge_by_id(session, current) if current else None
        )


def _nothing_to_merge(state: _State) -> str:
    return (
        f"{state.patch.name}: has no corrections{_left_out(state)}; where the prediction is right "
        "as it is, say so with submit --nothing-to-change."
    )


def _left_out(state: _State) -> str:
    names = [slot.name for slot in state.slots if not slot.counts]
    return f" that count ({', '.join(names)} withdrawn or gone)" if names else ""


def _made(job: _Job, state: _State) -> Outcome:
    move = Transition.LEAVE_AS_IT_IS if job.nothing_to_change else Transition.MERGE
    if job.nothing_to_change and state.current is not None:
        move = (
            Transition.MERGE
        )  # its corrections are withdrawn: it may be left as it is at any stage
    next_stage(state.patch, move)
    merged, findings, grid = _merged(job.workspace, state)
    outcome = _outcome(job, state, merged, findings)
    if job.dry_run:
        return outcome
    stored = job.store.put_made(lambda path: fill_nifti(path, merged.voxels, grid))
    made = _described(state, merged, findings, stored, job.nothing_to_change)
    with in_place(job.store, stored.path, job.workspace.folders.merged_of(job.name)):
        number = _record(job, state, made, move)
    return Outcome(job.name, DONE, None, findings, {**outcome.details, "merge": number})


def _merged(workspace: Workspace, state: _State) -> tuple[MergedLabel, tuple[str, ...], Grid]:
    """The label of what counts now, and what a person should know about it."""
    refused = [slot.latest.error for slot in state.slots if slot.counts and slot.latest.error]
    if refused:
        raise CorrectionError(" ".join(refused))
    merged, grid = made_again(workspace, state.patch, state.inputs)
    findings = [
        f"{slot.name}: {finding}"
        for slot in state.slots
        if slot.counts
        for finding in slot.latest.findings
    ]
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


def _described(
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


def _record(job: _Job, state: _State, made: MadeMerge, move: Transition) -> int:
    """Note the merge, if nothing came in since its corrections were read."""
    with job.workspace.catalog.write() as session:
        require(session, job.by, Action.SUBMIT if job.nothing_to_change else Action.MERGE)
        patch = lock_patch(session, job.name, job.seen)
        if not same_inputs(inputs_of(slots_of(session, patch.id)), state.inputs):
            raise _CameInError(
                f"{job.name}: corrections keep coming in while it is merged; merge again later."
            )
        stage = next_stage(patch, move)
        change = Change.now(job.by.id)
        record = add_merge(session, change, patch, made)
        change_patch(
            session,
            change,
            patch,
            "label made",
            stage=stage,
            stale=False,
            current_merge_id=record.id,
            merge_count=patch.merge_count + 1,
        )
    return record.number


def _kept(job: _Job, state: _State) -> Outcome:
    """The label is there already; a rejected one that somebody merges again is merged."""
    current = state.current
    if current is None:
        raise AssertionError("what is kept was made")
    details = {"merge": current.number, "counts": current.counts, "values": current.values}
    if not job.dry_run:
        _restore(job, current)
        if state.patch.stage is Stage.CORRECTING:
            _move_on(job)
    return Outcome(job.name, KEPT, None, current.findings, details)


def _restore(job: _Job, current: MergeRecord) -> None:
    """Bring the current label back to its folder where it is not there."""
    target = job.workspace.folders.merged_of(job.name)
    if not same_bytes(target, job.store.path_of(current.file_sha256)):
        kept = job.store.checked(current.file_sha256, f"{job.name} merge {current.number}")
        copy_whole(kept, target)


def _move_on(job: _Job) -> None:
    with job.workspace.catalog.write() as session:
        require(session, job.by, Action.MERGE)
        patch = lock_patch(session, job.name, job.seen)
        stage = next_stage(patch, Transition.MERGE)
        change_patch(session, Change.now(job.by.id), patch, "merged as it was", stage=stage)


def _outcome(job: _Job, state: _State, merged: MergedLabel, findings: tuple[str, ...]) -> Outcome:
    details = {
        "corrections": [each["slot"] for each in state.inputs],
        "counts": asdict(merged.counts),
        "values": asdict(count_values(merged.voxels)),
    }
    return Outcome(job.name, DONE, None, findings, details)
