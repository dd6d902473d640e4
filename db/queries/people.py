"""Queries for people and their browser sessions."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import UnknownNameError
from db.models.people import BrowserSession, Person
from db.vocabulary import Role


@dataclass(frozen=True)
class PersonRecord:
    """Someone who works on the catalog."""

    id: int
    name: str
    role: Role
    os_user: str | None = None
    issuer: str | None = None
    subject: str | None = None
    disabled: bool = False
    version: int = 1


def get_person(session: Session, name: str) -> PersonRecord:
    """The person of a name.

    Errors: UnknownNameError with the nearest names.
    """
    row = session.scalar(select(Person).where(Person.name == name))
    if row is None:
        raise UnknownNameError.among("person", name, session.scalars(select(Person.name)))
    return person_record(row)


def person_by_id(session: Session, person_id: int) -> PersonRecord | None:
    """The person of an id, read anew; None where there is none."""
    row = session.get(Person, person_id, populate_existing=True)
    return person_record(row) if row else None


def person_by_account(session: Session, os_user: str) -> PersonRecord | None:
    """The person whose account on this machine or cluster has this name."""
    row = session.scalar(select(Person).where(Person.os_user == os_user))
    return person_record(row) if row else None


def person_by_identity(session: Session, issuer: str, subject: str) -> PersonRecord | None:
    """The person whom an OpenID provider knows as this subject."""
    row = session.scalar(select(Person).where(Person.issuer == issuer, Person.subject == subject))
    return person_record(row) if row else None


def list_people(session: Session) -> tuple[PersonRecord, ...]:
    """Everybody by name, disabled people too."""
    return tuple(map(person_record, session.scalars(select(Person).order_by(Person.name))))


def person_record(row: Person) -> PersonRecord:
    """The record of a row; rows themselves do not leave ``db``."""
    return PersonRecord(
        id=row.id,
        name=row.name,
        role=row.role,
        os_user=row.os_user,
        issuer=row.issuer,
        subject=row.subject,
        disabled=row.disabled,
        version=row.version,
    )


CLOCK_TOLERANCE = timedelta(minutes=10)


def person_of_session(
    session: Session, mark: str, server: str, now: datetime, lasts: timedelta
) -> PersonRecord | None:
    """Return whose session this is; None where it is over, another server's, or not there.

    It lasts no longer than the settings say now. One that begins in the future was opened by a
    clock that was ahead, and does not count.
    """
    statement = select(BrowserSession, Person).join(Person).where(BrowserSession.id == mark)
    found = session.execute(statement).one_or_none()
    if found is None:
        return None
    row, person = found
    ends_at = min(row.ends_at, row.began_at + lasts)
    counts = row.ended_at is None and row.began_at - CLOCK_TOLERANCE <= now < ends_at
    return person_record(person) if counts and row.server == server else None
