"""Choose a patch, change its stage and marks, review it, comment on it, hold it for painting."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from db.errors import ConflictError, TakenNameError, UnknownNameError
from db.models.patches import Comment, Draft, Hold, Patch, Review
from db.models.people import Person
from db.models.volumes import Dataset, Tomogram
from db.queries.life import CommentRecord, HoldRecord, comments_of, hold_on
from db.queries.patches import PatchRecord, next_number, patch_by_id, unknown_patch
from db.vocabulary import Stage, Verdict
from db.writes.events import Change, Subject, apply, check_version, record_event
from db.writes.volumes import add_dataset

HOLD_LASTS = timedelta(minutes=10)
"""A hold whose heartbeat is older counts as given up."""


def choose_patch(
    session: Session, change: Change, tomogram_id: int, values: Mapping[str, Any]
) -> PatchRecord:
    """Add a patch of a tomogram, named with its next free number; columns as in the table."""
    tomogram = session.get_one(Tomogram, tomogram_id, with_for_update=True)
    number = next_number(session, tomogram.dataset_id, tomogram.token)
    dataset = session.get_one(Dataset, tomogram.dataset_id).token
    name = f"{dataset}_{tomogram.token}_patch{number}"
    row = Patch(
        name=name,
        dataset_id=tomogram.dataset_id,
        token=tomogram.token,
        number=number,
        tomogram_id=tomogram_id,
        stage=Stage.CHOSEN,
        **_chosen_columns(change),
        **values,
    )
    return _add(session, change, row, "patch chosen")


def adopt_patch(
    session: Session, change: Change, dataset: str, name: str, values: Mapping[str, Any]
) -> PatchRecord:
    """Add a patch that was cut elsewhere, under the name it has; columns as in the table.

    Errors: TakenNameError.
    """
    if session.scalar(select(Patch.id).where(Patch.name == name)):
        raise TakenNameError(f"patch {name}: is in the catalog already.")
    dataset_id = add_dataset(session, change, dataset)
    row = Patch(name=name, dataset_id=dataset_id, **_chosen_columns(change), **values)
    return _add(session, change, row, "patch adopted")


def lock_patch(session: Session, name: str, seen: int | None = None) -> PatchRecord:
    """Read a patch that will be changed in this transaction; nobody else can until its end.

    Errors: UnknownNameError; ConflictError where it is not at the version that was seen.
    """
    row = session.scalar(select(Patch).where(Patch.name == name).with_for_update())
    if row is None:
        raise unknown_patch(session, name)
    check_version(session, row, name, seen)
    return patch_by_id(session, row.id)


def change_patch(
    session: Session, change: Change, patch: PatchRecord, action: str, **values: Any
) -> PatchRecord:
    """Change columns of a patch that is at the version of ``patch``.

    Errors: ConflictError.
    """
    row = session.get_one(Patch, patch.id)
    check_version(session, row, patch.name, patch.version)
    before, after = apply(row, change, values)
    try:
        session.flush()
    except StaleDataError as error:
        versions = patch.version + 1, patch.version
        raise ConflictError.since(patch.name, None, change.at, versions) from error
    record_event(session, change, action, _subject(patch), before, after)
    return patch_by_id(session, patch.id)


def rename_patch(
    session: Session, change: Change, patch: PatchRecord, name: str, tomogram: tuple[str, str]
) -> PatchRecord:
    """Give a patch the name that follows from its tomogram's new dataset and token.

    Errors: TakenNameError; ConflictError.
    """
    if name != patch.name and session.scalar(select(Patch.id).where(Patch.name == name)):
        raise TakenNameError(f"patch {name}: is in the catalog already; choose another token.")
    values = {
        "name": name,
        "dataset_id": add_dataset(session, change, tomogram[0]),
        "token": tomogram[1],
    }
    return change_patch(session, change, patch, "patch renamed", **values)


def add_review(
    session: Session, change: Change, patch: PatchRecord, merge_id: int, verdict: Verdict
) -> None:
    """Add a verdict on a merge; the reason is the change's."""
    session.add(
        Review(
            patch_id=patch.id,
            merge_id=merge_id,
            verdict=verdict,
            reason=change.reason,
            reviewer_id=change.by_id,
            decided_at=change.at,
        )
    )


def add_comment(
    session: Session,
    change: Change,
    patch: PatchRecord,
    text: str,
    at: tuple[int, int, int] | None = None,
) -> CommentRecord:
    """Say something about a patch, perhaps at one voxel (z, y, x) of it."""
    z, y, x = at or (None, None, None)
    comment = Comment(
        patch_id=patch.id,
        author_id=change.by_id,
        text=text,
        at_z=z,
        at_y=y,
        at_x=x,
        made_at=change.at,
    )
    session.add(comment)
    # A count is no edit: the version that others saw stays good.
    more = update(Patch).where(Patch.id == patch.id).values(comment_count=Patch.comment_count + 1)
    session.execute(more.execution_options(synchronize_session=False))
    session.flush()
    record_event(
        session, change, "commented", _subject(patch), None, {"text": text, "at": at and tuple(at)}
    )
    return comments_of(session, patch.id)[-1]


def resolve_comment(session: Session, change: Change, patch: PatchRecord, comment_id: int) -> None:
    """Mark a comment of a patch as settled; one that is settled stays as it is.

    Errors: UnknownNameError.
    """
    comment = session.get(Comment, comment_id)
    if comment is None or comment.patch_id != patch.id:
        raise UnknownNameError.among(f"comment on {patch.name}", str(comment_id), ())
    if comment.resolved_at is None:
        comment.resolved_at, comment.resolved_by_id = change.at, change.by_id
        record_event(session, change, "comment settled", _subject(patch), None, {"id": comment_id})


def hold_patch(
    session: Session, change: Change, patch: PatchRecord, *, take_over: bool = False
) -> HoldRecord:
    """Hold a patch for painting, or renew the hold (call it again as a heartbeat).

    Errors: ConflictError names who holds it, unless that hold ended or is taken over.
    """
    session.scalar(select(Patch.id).where(Patch.id == patch.id).with_for_update())
    hold = session.get(Hold, patch.id)
    if hold is None:
        hold = Hold(patch_id=patch.id, person_id=change.by_id, since=change.at)
        session.add(hold)
    elif hold.person_id != change.by_id:
        ended = hold_ended(hold.heartbeat_at, change.at)
        if not (ended or take_over):
            holder = session.scalar(select(Person.name).where(Person.id == hold.person_id))
            raise ConflictError(
                f"{patch.name}: {holder} paints on it since {hold.since:%H:%M} UTC; ask them, or "
                "take it over."
            )
        hold.person_id, hold.since = change.by_id or 0, change.at
    hold.heartbeat_at = change.at
    session.flush()
    held = hold_on(session, patch.id)
    if held is None:
        raise AssertionError("a hold that was just written is there")
    return held


def hold_ended(heartbeat_at: datetime, now: datetime) -> bool:
    """Return whether a hold counts no more: it is old, or was noted by a clock that was ahead."""
    return abs(now - heartbeat_at) > HOLD_LASTS


def release_hold(session: Session, change: Change, patch: PatchRecord) -> None:
    """Give up one's own hold."""
    hold = session.get(Hold, patch.id)
    if hold is not None and hold.person_id == change.by_id:
        session.delete(hold)


def save_draft(
    session: Session,
    change: Change,
    patch: PatchRecord,
    stored: tuple[str, int],
    seen_revision: int,
) -> int:
    """Note what somebody painted and did not submit; give its revision.

    ``stored`` is sha256 and size of its file in the store.

    Errors: ConflictError where another tab kept one, saved or gave it up since.
    """
    own = select(Draft).where(Draft.patch_id == patch.id, Draft.person_id == change.by_id)
    draft = session.scalar(own.with_for_update())
    if draft is None and seen_revision != 0:
        raise ConflictError(
            f"draft of {patch.name}: was saved or given up since; look at the patch again."
        )
    if draft is None:
        draft = Draft(patch_id=patch.id, person_id=change.by_id)
        session.add(draft)
    elif draft.revision != seen_revision:
        owner = session.scalar(select(Person.name).where(Person.id == change.by_id))
        name = f"draft of {patch.name}"
        versions = draft.revision, seen_revision
        raise ConflictError.since(name, owner, draft.saved_at, versions)
    draft.sha256, draft.size_bytes = stored
    draft.saved_at = change.at
    session.flush()
    return draft.revision


def _chosen_columns(change: Change) -> dict[str, Any]:
    return {
        "chosen_at": change.at,
        "chosen_by_id": change.by_id,
        "updated_at": change.at,
        "updated_by_id": change.by_id,
        "stale": False,
        "withdrawn": False,
        "correction_count": 0,
        "merge_count": 0,
        "comment_count": 0,
    }


def _add(session: Session, change: Change, row: Patch, action: str) -> PatchRecord:
    session.add(row)
    session.flush()
    patch = patch_by_id(session, row.id)
    after = {"center": patch.center, "because": patch.chosen_because, "note": patch.note}
    record_event(session, change, action, _subject(patch), None, after)
    return patch


def _subject(patch: PatchRecord) -> Subject:
    return Subject("patch", patch.id, patch.name, patch.id)
