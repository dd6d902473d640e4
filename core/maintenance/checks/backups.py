"""Check that there is a recent, verified backup on another disk."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from core.maintenance.backup import on_same_disk
from core.maintenance.checks.findings import BAD, OK, WARN, Finding
from core.workspace.workspace import Workspace
from db.queries.jobs import database_time
from db.queries.maintenance import (
    last_backup,
    last_verified_backup,
    list_backups,
)

BACKUP_LATE = timedelta(hours=26)
BACKUP_OLD = timedelta(days=7)
VERIFIED_OLD = timedelta(days=30)


def backups_of(workspace: Workspace) -> Iterator[Finding]:
    """There is a fresh backup, it was tried out, and it lies on another disk."""
    with workspace.catalog.read() as session:
        last, verified = last_backup(session), last_verified_backup(session)
        newest, now = list_backups(session, limit=1), database_time(session)
    if newest and newest[0].error:
        yield Finding("backup", BAD, f"the last one failed: {newest[0].error}")
    if last is None:
        message = "there is none yet; let a worker run (tomocurate serve), or tomocurate backup."
        yield Finding("backup", WARN, message)
        return
    yield _age(last.made_at, now)
    if not Path(last.path).is_file():
        yield Finding("backup", BAD, f"{last.path}: is gone; make a new one.")
    if verified is None or verified.verified_at is None:
        message = "no backup has been test-restored yet; run tomocurate backup verify."
        yield Finding("backup", WARN, message)
    elif verified.verified_at < now - VERIFIED_OLD:
        message = (
            f"the last test restore was on {verified.verified_at:%Y-%m-%d}; "
            "run tomocurate backup verify."
        )
        yield Finding("backup", WARN, message)
    if on_same_disk(workspace):
        message = (
            "lies on the same disk as the catalog; set backup_dir to a folder of another disk."
        )
        yield Finding("backup", WARN, message)


def _age(made_at: datetime, now: datetime) -> Finding:
    message = f"the last one was made on {made_at:%Y-%m-%d at %H:%M} UTC"
    if made_at < now - BACKUP_OLD:
        return Finding("backup", BAD, f"{message}, more than a week ago; see that a worker runs.")
    if made_at < now - BACKUP_LATE:
        return Finding("backup", WARN, f"{message}, more than a day ago; see that a worker runs.")
    return Finding("backup", OK, f"{message}.")
