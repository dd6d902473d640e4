"""What is done by the clock: the daily backup, as a job that is due tomorrow."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from core.workspace.enqueue import enqueue
from core.workspace.workspace import Workspace
from db.queries.backups import last_backup
from db.queries.jobs import database_time, last_job
from db.vocabulary import BackupKind, JobKind
from db.writes.events import Change

DAILY = "daily backup"
EVERY = timedelta(days=1)
AGAIN = timedelta(hours=1)
"""After one that failed."""

FIRST = timedelta(minutes=5)
"""After a worker first sees the catalog."""


def plan_daily_backup(workspace: Workspace) -> None:
    """Queue the next daily backup if none is queued; nothing is written if one is."""
    with workspace.catalog.read() as session:
        due_at = _due_at(session)
    if due_at is None:
        return
    with workspace.catalog.write() as session:
        change = Change(None, database_time(session))
        arguments = {"kind": BackupKind.DAILY.value}
        enqueue(session, change, JobKind.BACKUP, arguments, key=DAILY, due_at=due_at)


def _due_at(session: Session) -> datetime | None:
    """When the next one is due; None where it is queued already."""
    before = last_job(session, DAILY)
    if before is not None and before.is_active:
        return None
    made = last_backup(session)
    now = database_time(session)  # what lies after it was noted by a wrong clock
    times = [now + FIRST] if made is None else [min(made.made_at, now) + EVERY]
    if before is not None and before.finished_at is not None:
        times.append(min(before.finished_at, now) + AGAIN)
    return max(times)
