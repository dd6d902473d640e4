"""Queries for the catalog itself: its identity, its soundness, the machines that wrote to it."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.work import Event, Fact, Host

RECENT = 1000
FAULTS = 20
"""So many are told."""


def catalog_id(session: Session) -> str:
    """Return the identity that a catalog got when it was made; a copy keeps it."""
    return str(session.scalars(select(Fact.value).where(Fact.key == "catalog_id")).first() or "")


def last_event(session: Session, patch_id: int) -> tuple[int, datetime] | None:
    """Return id and time of a patch's latest event."""
    statement = select(Event.id, Event.at).where(Event.patch_id == patch_id)
    row = session.execute(statement.order_by(Event.id.desc()).limit(1)).first()
    return (row.id, row.at) if row else None


def has_event(session: Session, event_id: int, at: datetime) -> bool:
    """Return whether this very event is part of the catalog's history."""
    return session.scalar(select(Event.at).where(Event.id == event_id)) == at


def latest_time(session: Session) -> datetime | None:
    """Return the latest time of any of the last events."""
    recent = select(Event.at).order_by(Event.id.desc()).limit(RECENT)
    return max(session.scalars(recent), default=None)


def unsound(session: Session) -> tuple[str, ...]:
    """What is broken inside a SQLite catalog; PostgreSQL looks after itself."""
    if session.get_bind().dialect.name != "sqlite":
        return ()
    connection = session.connection()
    pages = connection.exec_driver_sql(f"PRAGMA integrity_check({FAULTS})").scalars().all()
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()[:FAULTS]
    broken = [f"a row of {row[0]} without its {row[2]}" for row in rows]
    return tuple([str(said) for said in pages if said != "ok"] + broken)


def machines(session: Session) -> tuple[tuple[str, datetime], ...]:
    """The machines that wrote to a SQLite catalog, and when each was last seen."""
    statement = select(Host.name, Host.last_seen).order_by(Host.last_seen.desc())
    return tuple((name, at) for name, at in session.execute(statement))
