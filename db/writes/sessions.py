"""Open and end browser sessions."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models.people import BrowserSession
from db.writes.events import Change

KEPT = timedelta(days=30)
"""How long the row of a session that is over stays."""


def add_session(
    session: Session, change: Change, mark: str, person_id: int, server: str, ends_at: datetime
) -> None:
    """Open a session; rows of those that were over long ago leave."""
    session.execute(delete(BrowserSession).where(BrowserSession.ends_at < change.at - KEPT))
    session.add(
        BrowserSession(
            id=mark, person_id=person_id, server=server, began_at=change.at, ends_at=ends_at
        )
    )


def end_session(session: Session, change: Change, mark: str) -> int | None:
    """End a session for good, and return whose it was; None where it is not there or over."""
    row = session.get(BrowserSession, mark)
    if row is None or row.ended_at is not None:
        return None
    row.ended_at = change.at
    return row.person_id


def end_sessions_of(session: Session, change: Change, person_id: int) -> int:
    """End all of a person's sessions for good, and return how many there were."""
    own = select(BrowserSession).where(BrowserSession.person_id == person_id)
    rows = session.scalars(own.where(BrowserSession.ended_at.is_(None))).all()
    for row in rows:
        row.ended_at = change.at
    return len(rows)
