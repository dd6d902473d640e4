"""The record of changes: each write adds who, when, what, before and after, in its transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import ConflictError
from db.json_values import to_json
from db.models.base import Changed
from db.models.people import Person
from db.models.work import Event


@dataclass(frozen=True)
class Change:
    """Person, time (UTC) and reason of a change."""

    by_id: int | None
    at: datetime
    reason: str | None = None

    @classmethod
    def now(cls, by_id: int | None, reason: str | None = None) -> "Change":
        return cls(by_id, datetime.now(UTC), reason)


@dataclass(frozen=True)
class Subject:
    """Subject of an event: kind, id and name, and the patch it belongs to."""

    kind: str
    id: int | None
    name: str
    patch_id: int | None = None


def record_event(
    session: Session,
    change: Change,
    action: str,
    subject: Subject,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add an event; words, times and tuples become what JSON has."""
    session.add(
        Event(
            at=change.at,
            person_id=change.by_id,
            action=action,
            subject=subject.kind,
            subject_id=subject.id,
            name=subject.name,
            patch_id=subject.patch_id,
            before=None if before is None else to_json(before),
            after=None if after is None else to_json(after),
            reason=change.reason,
        )
    )


def check_version(session: Session, row: Changed, name: str, seen: int | None) -> None:
    """Check that a row is at the version that the caller saw; None skips the check.

    Errors: ConflictError names who changed it and when.
    """
    if seen is not None and row.version != seen:
        person = session.scalar(select(Person.name).where(Person.id == row.updated_by_id))
        raise ConflictError.since(name, person, row.updated_at, (row.version, seen))


def apply(row: Changed, change: Change, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """Set columns of a row; give what they were and what they are, of those that differ."""
    before = {column: getattr(row, column) for column in values}
    changed = {column: value for column, value in values.items() if before[column] != value}
    for column, value in changed.items():
        setattr(row, column, value)
    row.updated_at, row.updated_by_id = change.at, change.by_id
    return {column: before[column] for column in changed}, changed
