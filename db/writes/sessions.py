"""End browser sessions before their time, and forget those that are over anyway."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from db.models.people import EndedSession
from db.writes.events import Change


def end_session(session: Session, change: Change, mark: str, expires_at: datetime) -> None:
    """Note that a session counts no more; one that is noted already is kept."""
    if session.get(EndedSession, mark) is None:
        session.add(
            EndedSession(id=mark, person_id=change.by_id, ended_at=change.at, expires_at=expires_at)
        )


def forget_ended_sessions(session: Session, now: datetime) -> None:
    """Remove the notes of sessions that are over by their own time."""
    session.execute(delete(EndedSession).where(EndedSession.expires_at < now))
