"""Queries for browser sessions."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.people import BrowserSession, Person
from db.queries.people import PersonRecord, person_record

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
