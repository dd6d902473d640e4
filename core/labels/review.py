"""Whose turn a patch is, and what a reviewer says of it: assign, submit, accept, reject, comment.

A verdict binds to one merge. Each step is one transaction: it reads the role anew, takes the patch,
checks the version that its caller saw, and asks the table of legal moves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action, may, require
from core.labels.merge import merge
from core.patches.lifecycle import Transition, action_of, next_stage
from core.patches.record import write_record
from core.workspace.results import FAILED
from core.workspace.text import LONGEST_TEXT, checked_text
from core.workspace.workspace import Workspace
from db.errors import ConflictError, NotAllowedError, StepError
from db.queries.life import (
    CommentRecord,
    MergeRecord,
    authors_of_merge,
    comments_of,
    merge_by_id,
    reviews_of,
    slots_of,
)
from db.queries.patches import PatchRecord, get_patch
from db.queries.people import PersonRecord, get_person
from db.vocabulary import Origin, Role, Stage, Verdict
from db.writes import patches as writes
from db.writes.events import Change
from db.writes.patches import change_patch, lock_patch

Zyx = tuple[int, int, int]
"""(z, y, x)."""

_DECIDED = {Verdict.ACCEPT: "accepted", Verdict.REJECT: "rejected"}


@dataclass(frozen=True)
class _Taken:
    """A patch that is held for one move, in the move's own transaction."""

    session: Session
    change: Change
    by: PersonRecord
    """As the catalog has them now."""
    patch: PatchRecord
    stage: Stage
    """Where the move leads."""

    def becomes(self, action: str, **values: Any) -> PatchRecord:
        return change_patch(
            self.session, self.change, self.patch, action, stage=self.stage, **values
        )


def assign(
    workspace: Workspace, by: PersonRecord, name: str, to: str, seen: int | None = None
) -> PatchRecord:
    """Give a patch to somebody who can paint, whoever had it.

    Errors: NotAllowedError; StepError; ConflictError; UnknownNameError.
    """
    with _taken(workspace, by, name, Transition.ASSIGN, seen) as taken:
        person = _able(taken.session, to)
        patch = taken.becomes("assigned", assignee_id=person.id)
    return _recorded(workspace, patch)


def claim(
    workspace: Workspace, by: PersonRecord, name: str, seen: int | None = None
) -> PatchRecord:
    """Take a patch that nobody has; one that is one's own already stays so.

    Errors: ConflictError names who has it; otherwise as ``assign``.
    """
    try:
        with _taken(workspace, by, name, Transition.CLAIM, seen) as taken:
            owner = taken.patch.assignee_id
            if owner not in (None, by.id):
                raise ConflictError(
                    f"{name}: {taken.patch.assignee} has it; ask them, or a curator transfers it."
                )
            patch = taken.becomes("claimed", assignee_id=by.id)
    except ConflictError:
        with workspace.catalog.read() as session:
            patch = get_patch(session, name)
        if patch.assignee_id != by.id:  # else a second click, which is no conflict
            raise
        return patch
    return _recorded(workspace, patch)


def release(
    workspace: Workspace, by: PersonRecord, name: str, seen: int | None = None
) -> PatchRecord:
    """Give up a patch, so that others can claim it; a curator may do it for its owner.

    Errors: as ``assign``.
    """
    with _taken(workspace, by, name, Transition.RELEASE, seen) as taken:
        _check_owner(taken)
        patch = taken.becomes("released", assignee_id=None)
    return _recorded(workspace, patch)


def transfer(
    workspace: Workspace, by: PersonRecord, name: str, to: str, seen: int | None = None
) -> PatchRecord:
    """Hand one's own patch to somebody else; a curator may hand on anybody's.

    Errors: as ``assign``.
    """
    with _taken(workspace, by, name, Transition.TRANSFER, seen) as taken:
        _check_owner(taken)
        person = _able(taken.session, to)
        patch = taken.becomes("transferred", assignee_id=person.id)
    return _recorded(workspace, patch)


def submit(
    workspace: Workspace,
    by: PersonRecord,
    name: str,
    *,
    nothing_to_change: bool = False,
    seen: int | None = None,
) -> PatchRecord:
    """Hand a merged patch to the reviewers.

    ``nothing_to_change`` states that somebody looked and the prediction is right as it is; the
    label is then made of the prediction alone. One that nobody had becomes the submitter's.

    Errors: StepError where it is not merged, or its corrections changed since; as ``assign``.
    """
    if nothing_to_change:
        _leave_as_it_is(workspace, by, name, seen)
        seen = None
    with _taken(workspace, by, name, Transition.SUBMIT, seen) as taken:
        _check_owner(taken, or_least=Role.REVIEWER)
        _check_fresh(taken.patch, taken.session)
        owner = taken.patch.assignee_id or by.id
        patch = taken.becomes("submitted", assignee_id=owner, rejected_reason=None)
    return _recorded(workspace, patch)


def accept(
    workspace: Workspace,
    by: PersonRecord,
    name: str,
    *,
    merge_number: int | None = None,
    seen: int | None = None,
) -> PatchRecord:
    """Accept a patch's current merge: it is curated, and exports may hold it.

    ``merge_number`` is the merge that the reviewer looked at; None is the current one.

    Errors: ConflictError where somebody decided or merged first; StepError for a stale merge;
    NotAllowedError for one's own work where the workspace's settings say so; as ``assign``.
    """
    with _taken(workspace, by, name, Transition.ACCEPT, seen) as taken:
        made = _reviewed(taken, merge_number)
        _check_fresh(taken.patch, taken.session)
        _check_not_own(workspace, taken, made)
        writes.add_review(taken.session, taken.change, taken.patch, made.id, Verdict.ACCEPT)
        patch = taken.becomes("accepted", accepted_merge_id=made.id, rejected_reason=None)
    return _recorded(workspace, patch)


def reject(
    workspace: Workspace,
    by: PersonRecord,
    name: str,
    reason: str,
    *,
    merge_number: int | None = None,
    take_back: bool = False,
    seen: int | None = None,
) -> PatchRecord:
    """Send a patch back to its annotator, with the reason.

    One that nobody has goes to whoever painted its last correction, if that is known. With
    ``take_back`` it may be accepted already, and is so no longer.

    Errors: as ``accept``; StepError where the reason is missing.
    """
    reason = checked_text("the reason for rejecting", reason)
    with _taken(workspace, by, name, Transition.REJECT, seen, reason, take_back) as taken:
        made = _reviewed(taken, merge_number)
        _check_not_own(workspace, taken, made)
        writes.add_review(taken.session, taken.change, taken.patch, made.id, Verdict.REJECT)
        values: dict[str, Any] = {"rejected_reason": reason}
        if taken.patch.accepted_merge_id == made.id:
            values["accepted_merge_id"] = None
        if taken.patch.assignee_id is None:
            values["assignee_id"] = next(iter(_authors(taken, made)), None)
        patch = taken.becomes("rejected", **values)
    return _recorded(workspace, patch)


def comment(
    workspace: Workspace, by: PersonRecord, name: str, text: str, at: Zyx | None = None
) -> CommentRecord:
    """Say something about a patch, perhaps at one voxel (z, y, x) of it.

    Errors: StepError for no text, or a place outside the patch; as ``assign``.
    """
    text = checked_text("the comment", text, LONGEST_TEXT)
    with _taken(workspace, by, name, Transition.COMMENT, None) as taken:
        shape = taken.patch.shape
        if at is not None and not all(0 <= a < n for a, n in zip(at, shape, strict=True)):
            raise StepError(
                f"{name}: the place {at[2]},{at[1]},{at[0]} (x, y, z) lies outside the patch of "
                f"{shape[2]},{shape[1]},{shape[0]} voxels; count from its own corner."
            )
        said = writes.add_comment(taken.session, taken.change, taken.patch, text, at)
    write_record(workspace, name)
    return said


def resolve_comment(
    workspace: Workspace, by: PersonRecord, name: str, comment_id: int
) -> CommentRecord:
    """Mark a comment as settled; one that is settled stays as it is.

    Errors: UnknownNameError; NotAllowedError.
    """
    with _taken(workspace, by, name, Transition.COMMENT, None) as taken:
        writes.resolve_comment(taken.session, taken.change, taken.patch, comment_id)
        every = comments_of(taken.session, taken.patch.id)
        settled = next(each for each in every if each.id == comment_id)
    write_record(workspace, name)
    return settled


def withdraw(
    workspace: Workspace, by: PersonRecord, name: str, reason: str, seen: int | None = None
) -> PatchRecord:
    """Take a patch out of all work and all exports to come; nothing of it is deleted.

    Errors: StepError where the reason is missing; as ``assign``.
    """
    reason = checked_text("the reason for withdrawing", reason)
    with _taken(workspace, by, name, Transition.WITHDRAW, seen, reason) as taken:
        patch = taken.becomes("withdrawn", withdrawn=True)
    return _recorded(workspace, patch)


def reinstate(
    workspace: Workspace, by: PersonRecord, name: str, seen: int | None = None
) -> PatchRecord:
    """Take a withdrawn patch back, at the stage that it had.

    Errors: as ``assign``.
    """
    with _taken(workspace, by, name, Transition.REINSTATE, seen) as taken:
        patch = taken.becomes("reinstated", withdrawn=False)
    return _recorded(workspace, patch)


@contextmanager
def _taken(
    workspace: Workspace,
    by: PersonRecord,
    name: str,
    move: Transition,
    seen: int | None,
    reason: str | None = None,
    take_back: bool = False,
) -> Iterator[_Taken]:
    """One write transaction in which a legal move of a patch is made."""
    with workspace.catalog.write() as session:
        person = require(session, by, action_of(move))
        patch = lock_patch(session, name, seen)
        if move in (Transition.ACCEPT, Transition.REJECT) and not (take_back or patch.withdrawn):
            _check_undecided(session, patch)
        stage = next_stage(patch, move)
        yield _Taken(session, Change.now(person.id, reason), person, patch, stage)


def _leave_as_it_is(workspace: Workspace, by: PersonRecord, name: str, seen: int | None) -> None:
    """Make the label of the prediction alone, if the patch may be submitted by this person."""
    with workspace.catalog.read() as session:
        person = require(session, by, Action.SUBMIT)
        patch = get_patch(session, name)
    stage = next_stage(patch, Transition.LEAVE_AS_IT_IS)
    _check_owner(_Taken(session, Change.now(by.id), person, patch, stage), or_least=Role.REVIEWER)
    if patch.correction_count:
        raise StepError(
            f"{name}: has corrections ({patch.correction_count}), so there is something to change; "
            "merge them, or withdraw them first."
        )
    made = merge(workspace, by, [name], nothing_to_change=True, seen=seen)[0]
    if made.outcome == FAILED:
        raise StepError(made.message or f"{name}: could not be merged.")


def _check_owner(taken: _Taken, or_least: Role = Role.CURATOR) -> None:
    """The patch is one's own or nobody's, or one may do it for others."""
    owner = taken.patch.assignee_id
    step = Action.ASSIGN if or_least is Role.CURATOR else Action.REVIEW
    if owner not in (None, taken.by.id) and not may(taken.by.role, step):
        raise NotAllowedError(
            f"{taken.patch.name}: {taken.patch.assignee} has it; ask them, or {_an(or_least)} "
            "does it."
        )


def _check_fresh(patch: PatchRecord, session: Session) -> None:
    """The current merge holds what was collected; a file that nobody collected yet is not in it."""
    if patch.stale and patch.current_merge_id is not None:
        number = merge_by_id(session, patch.current_merge_id).number
        raise StepError(
            f"{patch.name}: its corrections changed since merge {number}; merge it again first."
        )


def _reviewed(taken: _Taken, merge_number: int | None) -> MergeRecord:
    """The current merge, which is the one that the reviewer looked at."""
    current = taken.patch.current_merge_id
    if current is None:
        raise StepError(f"{taken.patch.name}: has no merge to review; merge it first.")
    merge = merge_by_id(taken.session, current)
    if merge_number not in (None, merge.number):
        raise ConflictError(
            f"{taken.patch.name}: {merge.made_by or 'somebody'} made merge {merge.number} on "
            f"{merge.made_at:%Y-%m-%d at %H:%M:%S} UTC, you looked at merge {merge_number}; look "
            "at the new one."
        )
    return merge


def _check_undecided(session: Session, patch: PatchRecord) -> None:
    """Two reviewers decide on one merge: the second is told who was first."""
    if patch.stage not in (Stage.CORRECTING, Stage.ACCEPTED) or patch.current_merge_id is None:
        return
    reviews = reviews_of(session, patch.id)
    if not reviews or reviews[-1].merge != merge_by_id(session, patch.current_merge_id).number:
        return
    first = reviews[-1]
    raise ConflictError(
        f"{patch.name}: {first.reviewer or 'somebody'} {_DECIDED[first.verdict]} merge "
        f"{first.merge} on {first.decided_at:%Y-%m-%d at %H:%M:%S} UTC already; look at it again."
    )


def _check_not_own(workspace: Workspace, taken: _Taken, merge: MergeRecord) -> None:
    """Nobody reviews what they had, painted or brought, where the settings say so.

    To run collect or merge for others is no work on the label.
    """
    if not workspace.settings.nobody_reviews_own_work:
        return
    own = taken.patch.assignee_id == taken.by.id
    own = own or (merge.nothing_to_change and merge.made_by == taken.by.name)
    own = own or taken.by.name in _bringers(taken, merge)
    if own or taken.by.id in _authors(taken, merge):
        raise NotAllowedError(
            f"{taken.patch.name}: is {taken.by.name}'s own work; in this workspace somebody else "
            "reviews it."
        )


def _authors(taken: _Taken, merge: MergeRecord) -> tuple[int, ...]:
    return authors_of_merge(taken.session, taken.patch.id, merge)


def _bringers(taken: _Taken, merge: MergeRecord) -> set[str | None]:
    """Who sent what a merge holds; a collected file was saved by its owner."""
    wanted = {(each["slot"], each["version"]) for each in merge.inputs}
    return {
        version.received_by
        for slot in slots_of(taken.session, taken.patch.id)
        for version in slot.versions
        if (slot.name, version.number) in wanted and version.origin is not Origin.COLLECTED
    }


def _able(session: Session, name: str) -> PersonRecord:
    """A person who may paint."""
    person = get_person(session, name)
    if person.disabled:
        raise StepError(f"{name} is disabled; choose somebody else.")
    if not may(person.role, Action.PAINT):
        raise StepError(f"{name} is {_an(person.role)}, who may not paint; choose somebody else.")
    return person


def _an(role: Role) -> str:
    return f"an {role}" if role in (Role.ANNOTATOR, Role.ADMIN) else f"a {role}"


def _recorded(workspace: Workspace, patch: PatchRecord) -> PatchRecord:
    write_record(workspace, patch.name)
    return patch
