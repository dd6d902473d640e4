"""Whether a browser session was ended before its time."""

from sqlalchemy.orm import Session

from db.models.people import EndedSession


def session_ended(session: Session, mark: str) -> bool:
    """Whether the session of this mark was signed out."""
    return session.get(EndedSession, mark) is not None
