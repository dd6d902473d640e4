"""Plan what is done by the clock: a daily backup, and collecting what people saved."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from core.access.os_user import acting_person
from core.access.permissions import Action, may
from core.workspace.enqueue import enqueue
from core.workspace.workspace import Workspace
from db.errors import NotAllowedError
from db.queries.jobs import database_time, last_job
from db.queries.maintenance import last_backup
from db.vocabulary import BackupKind, JobKind
from db.writes.events import Change

DAILY = "daily backup"
COLLECT = "collect what was saved"
Files = frozenset[tuple[str, int, int]]
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


class CollectPlan:
    """Queues collecting once files of the correction folders changed, and then rested a round."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._seen: Files | None = None
        self._collected: Files = frozenset()

    def plan(self) -> None:
        """Look at the folders; call it about once a minute.

        Nothing is queued where the account of the worker may not collect.
        """
        now = files_below(self._workspace.folders.corrections)
        rests = now == self._seen
        self._seen = now
        if not rests or now == self._collected or not self._may_collect():
            return
        self._collected = now
        with self._workspace.catalog.write() as session:
            change = Change(None, database_time(session))
            enqueue(session, change, JobKind.COLLECT, {"names": None}, key=COLLECT)

    def _may_collect(self) -> bool:
        try:
            return may(acting_person(self._workspace).role, Action.COLLECT)
        except NotAllowedError:
            return False


def files_below(folder: Path) -> Files:
    """Return path, size and time of every file in the folders of a folder, but hidden ones."""
    found = set()
    for path in folder.glob("[!.]*/[!.]*"):
        with suppress(OSError):
            facts = path.lstat()
            found.add((str(path), facts.st_size, facts.st_mtime_ns))
    return frozenset(found)


def _due_at(session: Session) -> datetime | None:
    """Return when the next job is due, or None if it is queued already."""
    before = last_job(session, DAILY)
    if before is not None and before.is_active:
        return None
    made = last_backup(session)
    now = database_time(session)  # what lies after it was noted by a wrong clock
    times = [now + FIRST] if made is None else [min(made.made_at, now) + EVERY]
    if before is not None and before.finished_at is not None:
        times.append(min(before.finished_at, now) + AGAIN)
    return max(times)
