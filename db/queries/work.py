"""Whether a catalog is sound, and which machines have written to it."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.work import Host

FAULTS = 20
"""So many are told."""


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
