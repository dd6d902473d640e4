"""Submit a patch for review, accept or reject its merge, comment on it, withdraw it.

A verdict binds to one merge: the one that the reviewer looked at.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action
from core.lab.lab import Lab
from core.lab.step import Step
from core.labels.merge import merge
from core.patches.assign import can_paint, check_owner
from core.patches.lifecycle import Transition, next_stage
from core.workspace.results import FAILED
from core.workspace.text import LONGEST_TEXT, check_text
from db.errors import ConflictError, NotAllowedError, StepError
from db.queries.life import (
    CommentRecord,
    MergeRecord,
    authors_of_merge,
    comments_of,
    merge_by_id,
    reviews_of,
)
from db.queries.patches import PatchRecord, Zyx, get_patch
from db.queries.people import person_by_id
from db.vocabulary import Origin, Role, Stage, Verdict
from db.writes import patches as writes

_DECIDED = {Verdict.ACCEPT: "accepted", Verdict.REJECT: "rejected"}


def submit(
    lab: Lab, name: str, *, nothing_to_change: bool = False, seen: int | None = None
) -> PatchRecord:
    """Hand a merged patch to the reviewers.

    ``nothing_to_change`` states that somebody looked and the prediction is right as it is; the
    label is then made of the prediction alone. One that nobody had becomes the submitter's.

    Errors: StepError where it is not merged, or its corrections changed since; NotAllowedError;
    ConflictError; UnknownNameError.
    """
    if nothing_to_change:
        _merge_prediction(lab, name, seen)
        seen = None
    with lab.step(name, Action.SUBMIT, Transition.SUBMIT, seen=seen) as step:
        check_owner(step.patch, step.person, for_others=Role.REVIEWER)
        _check_fresh(step)
        owner = step.patch.assignee_id or step.person.id
        return step.set("submitted", assignee_id=owner, rejected_reason=None)


def accept(
    lab: Lab, name: str, *, merge_number: int | None = None, seen: int | None = None
) -> PatchRecord:
    """Accept a patch's current merge: it is curated, and exports may hold it.

    ``merge_number`` is the merge that the reviewer looked at. Without it, and without ``seen``,
    the only merge is accepted: of several it must be named, since another may have been made after
    the reviewer looked.

    Errors: ConflictError where somebody decided or merged first; StepError for a stale merge, or
    one of several that is not named; NotAllowedError for one's own work where the workspace's
    settings say so; UnknownNameError.
    """
    with _decide(lab, name, Transition.ACCEPT, seen) as step:
        made = _shown_merge(step, merge_number, is_stated=seen is not None)
        _check_fresh(step)
        _check_not_own(lab, step, made)
        writes.add_review(step.session, step.change, step.patch, made.id, Verdict.ACCEPT)
        return step.set("accepted", accepted_merge_id=made.id, rejected_reason=None)


def reject(
    lab: Lab,
    name: str,
    reason: str,
    *,
    merge_number: int | None = None,
    take_back: bool = False,
    seen: int | None = None,
) -> PatchRecord:
    """Send a patch back to its annotator, with the reason.

    One that nobody has, or somebody who is disabled, goes to whoever painted its last correction,
    if they still paint. With ``take_back`` it may be accepted already, and is so no longer.

    Errors: as ``accept``; StepError where the reason is missing.
    """
    reason = check_text("the reason for rejecting", reason)
    with _decide(lab, name, Transition.REJECT, seen, reason) as step:
        if not take_back and (conflict := _decision_conflict(step.session, step.patch)):
            raise conflict
        made = _shown_merge(step, merge_number, is_stated=True)
        _check_not_own(lab, step, made)
        writes.add_review(step.session, step.change, step.patch, made.id, Verdict.REJECT)
        values: dict[str, Any] = {"rejected_reason": reason}
        if step.patch.accepted_merge_id == made.id:
            values["accepted_merge_id"] = None
        values["assignee_id"] = _next_assignee(step, made)
        return step.set("rejected", **values)


def comment(lab: Lab, name: str, text: str, at: Zyx | None = None) -> CommentRecord:
    """Add a comment to a patch, perhaps at one voxel (z, y, x) of it.

    Errors: StepError for no text, or a place outside the patch; NotAllowedError; UnknownNameError.
    """
    text = check_text("the comment", text, LONGEST_TEXT)
    with lab.step(name, Action.COMMENT, Transition.COMMENT) as step:
        shape = step.patch.shape
        if at is not None and not all(0 <= a < n for a, n in zip(at, shape, strict=True)):
            raise StepError(
                f"{name}: the place {at[2]},{at[1]},{at[0]} (x, y, z) lies outside the patch of "
                f"{shape[2]},{shape[1]},{shape[0]} voxels; count from its own corner."
            )
        return writes.add_comment(step.session, step.change, step.patch, text, at)


def resolve_comment(lab: Lab, name: str, comment_id: int) -> CommentRecord:
    """Mark a comment as resolved; one that is resolved stays as it is.

    Errors: UnknownNameError; NotAllowedError.
    """
    with lab.step(name, Action.COMMENT, Transition.COMMENT) as step:
        writes.resolve_comment(step.session, step.change, step.patch, comment_id)
        comments = comments_of(step.session, step.patch.id)
        return next(record for record in comments if record.id == comment_id)


def withdraw(lab: Lab, name: str, reason: str, seen: int | None = None) -> PatchRecord:
    """Take a patch out of all work and all exports to come; nothing of it is deleted.

    Errors: StepError where the reason is missing; NotAllowedError; ConflictError;
    UnknownNameError.
    """
    reason = check_text("the reason for withdrawing", reason)
    with lab.step(name, Action.WITHDRAW, Transition.WITHDRAW, seen=seen, reason=reason) as step:
        return step.set("withdrawn", withdrawn=True)


def reinstate(lab: Lab, name: str, seen: int | None = None) -> PatchRecord:
    """Take a withdrawn patch back, at the stage that it had.

    Errors: NotAllowedError; StepError; ConflictError; UnknownNameError.
    """
    with lab.step(name, Action.WITHDRAW, Transition.REINSTATE, seen=seen) as step:
        return step.set("reinstated", withdrawn=False)


def _merge_prediction(lab: Lab, name: str, seen: int | None) -> None:
    """Make the label of the prediction alone, if the patch may be submitted by this person."""
    with lab.read(Action.SUBMIT) as session:
        patch = get_patch(session, name)
    next_stage(patch, Transition.LEAVE_AS_IT_IS)
    check_owner(patch, lab.person, for_others=Role.REVIEWER)
    if patch.correction_count:
        raise StepError(
            f"{name}: has corrections ({patch.correction_count}), so there is something to change; "
            "merge them, or withdraw them first."
        )
    made = merge(lab, [name], nothing_to_change=True, seen=seen)[0]
    if made.outcome == FAILED:
        raise StepError(made.message or f"{name}: could not be merged.")


def _check_fresh(step: Step) -> None:
    """Refuse where the current merge does not hold what was collected."""
    if step.patch.stale and step.patch.current_merge_id is not None:
        number = merge_by_id(step.session, step.patch.current_merge_id).number
        raise StepError(
            f"{step.patch.name}: its corrections changed since merge {number}; merge it again "
            "first."
        )


def _shown_merge(step: Step, number: int | None, *, is_stated: bool) -> MergeRecord:
    """Give the current merge, if it is the one that the reviewer looked at.

    Errors: ConflictError where it is another; StepError where it is one of several and the
    reviewer did not say which they saw.
    """
    name, current = step.patch.name, step.patch.current_merge_id
    if current is None:
        raise StepError(f"{name}: has no merge to review; merge it first.")
    merge = merge_by_id(step.session, current)
    made = f"{merge.made_by or 'somebody'} made merge {merge.number} on"
    made += f" {merge.made_at:%Y-%m-%d at %H:%M:%S} UTC"
    if number not in (None, merge.number):
        raise ConflictError(f"{name}: {made}, you looked at merge {number}; look at the new one.")
    if number is None and not is_stated and merge.number > 1:
        raise StepError(
            f"{name}: has {merge.number} merges; {made}. State the one you looked at, e.g. --merge "
            f"{merge.number}."
        )
    return merge


@contextmanager
def _decide(
    lab: Lab, name: str, transition: Transition, seen: int | None, reason: str | None = None
) -> Iterator[Step]:
    """Take a reviewer's step; the second of two who decide on one merge is told who was first."""
    try:
        with lab.step(name, Action.REVIEW, transition, seen=seen, reason=reason) as step:
            yield step
    except StepError:
        with lab.catalog.read() as session:
            conflict = _decision_conflict(session, get_patch(session, name))
        if conflict:
            raise conflict from None
        raise


def _decision_conflict(session: Session, patch: PatchRecord) -> ConflictError | None:
    """Say who decided on the current merge, if it was decided on."""
    decided = patch.stage in (Stage.CORRECTING, Stage.ACCEPTED) and not patch.withdrawn
    if not decided or patch.current_merge_id is None:
        return None
    reviews = reviews_of(session, patch.id)
    if not reviews or reviews[-1].merge != merge_by_id(session, patch.current_merge_id).number:
        return None
    first = reviews[-1]
    return ConflictError(
        f"{patch.name}: {first.reviewer or 'somebody'} {_DECIDED[first.verdict]} merge "
        f"{first.merge} on {first.decided_at:%Y-%m-%d at %H:%M:%S} UTC already; look at it again."
    )


def _check_not_own(lab: Lab, step: Step, merge: MergeRecord) -> None:
    """Refuse to review what one had, painted or sent, where the settings say so.

    To run collect or merge for others is no work on the label.
    """
    if not lab.settings.nobody_reviews_own_work:
        return
    person = step.person
    own = step.patch.assignee_id == person.id
    own = own or (merge.nothing_to_change and merge.made_by == person.name)
    own = own or person.name in _senders(step, merge)
    if own or person.id in authors_of_merge(step.session, step.patch.id, merge):
        raise NotAllowedError(
            f"{step.patch.name}: is {person.name}'s own work; in this workspace somebody else "
            "reviews it."
        )


def _next_assignee(step: Step, merge: MergeRecord) -> int | None:
    """Give who works on a rejected patch: its assignee, else who painted it, if they still may."""
    authors = authors_of_merge(step.session, step.patch.id, merge)
    for person_id in (step.patch.assignee_id, *authors):
        person = person_by_id(step.session, person_id) if person_id is not None else None
        if person is not None and can_paint(person):
            return person.id
    return None


def _senders(step: Step, merge: MergeRecord) -> set[str | None]:
    """Name who sent what a merge holds; a collected file was saved by its owner."""
    wanted = {(entry["slot"], entry["version"]) for entry in merge.inputs if "slot" in entry}
    return {
        version.received_by
        for slot in step.slots.values()
        for version in slot.versions
        if (slot.name, version.number) in wanted and version.origin is not Origin.COLLECTED
    }
