"""Examine a workspace and say what somebody should see to; it changes nothing."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from core.maintenance.backup import on_same_disk
from core.maintenance.checks import files, installation, security
from core.maintenance.checks.findings import BAD, OK, WARN, Finding, name_some
from core.workspace.workspace import Workspace, open_workspace
from db.engine import HOST_QUIET
from db.errors import TomocurateError
from db.queries.jobs import JobFilter, database_time, list_jobs, list_workers
from db.queries.maintenance import (
    last_backup,
    last_verified_backup,
    latest_time,
    list_backups,
    machines,
    unsound,
)
from db.vocabulary import JobState

__all__ = ["BAD", "OK", "WARN", "Finding", "examine", "examine_folder"]

BACKUP_LATE = timedelta(hours=26)
BACKUP_OLD = timedelta(days=7)
VERIFIED_OLD = timedelta(days=30)
WAITS_LONG = timedelta(minutes=10)
CLOCK_TOLERANCE = timedelta(minutes=10)
WORKER_SILENT = timedelta(minutes=2)


def examine(workspace: Workspace, *, thorough: bool = False) -> tuple[Finding, ...]:
    """All findings on a workspace; ``thorough`` reads the extracted images, too."""
    return tuple(_examine(workspace, thorough))


def examine_folder(folder: Path, *, thorough: bool = False) -> tuple[Finding, ...]:
    """All findings on a folder, also where its catalog does not open."""
    try:
        with open_workspace(folder, network_file_ok=True) as workspace:
            return examine(workspace, thorough=thorough)
    except TomocurateError as error:
        return (Finding("catalog", BAD, str(error)),)


def _examine(workspace: Workspace, thorough: bool) -> Iterator[Finding]:
    for name, check in CHECKS.items():
        try:
            yield from check(workspace)
        except (TomocurateError, OSError) as error:
            yield Finding(name, BAD, f"this check could not be made: {error}")
    if thorough:
        yield from files.images_of(workspace)


def catalog_of(workspace: Workspace) -> Iterator[Finding]:
    """The catalog is sound from its first page to its last, and may be written."""
    name, file = workspace.catalog.name, workspace.catalog.file
    with workspace.catalog.read() as session:
        faults = unsound(session)
    if faults:
        message = f"{name}: is damaged ({name_some(faults)}); restore the last backup."
        yield Finding("catalog", BAD, message)
    elif file is not None and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        message = f"{name}: is read-only for this account; make the file and its folder writable."
        yield Finding("catalog", BAD, message)
    else:
        yield Finding("catalog", OK, f"{name}: is sound.")


def clock_of(workspace: Workspace) -> Iterator[Finding]:
    """Nothing was recorded in the future: then the clock is wrong, or was."""
    with workspace.catalog.read() as session:
        latest, now = latest_time(session), database_time(session)
        backup = last_backup(session)
    times = [latest] if latest else []
    times += [backup.made_at] if backup else []
    if times and max(times) > now + CLOCK_TOLERANCE:
        message = (
            f"something was recorded for {max(times):%Y-%m-%d at %H:%M} UTC, and now it is "
            f"{now:%Y-%m-%d at %H:%M}: the clock is wrong, or was; set it right."
        )
        yield Finding("clock", BAD, message)
    else:
        yield Finding("clock", OK, "nothing is recorded for a time to come.")


def machines_of(workspace: Workspace) -> Iterator[Finding]:
    """A SQLite catalog is written by one machine."""
    if workspace.catalog.file is None:
        return
    with workspace.catalog.read() as session:
        seen, now = machines(session), database_time(session)
    lately = [name for name, at in seen if now - HOST_QUIET < at < now + HOST_QUIET]
    if len(lately) > 1:
        message = (
            f"{name_some(lately)} all wrote to this SQLite file lately; let one machine do so."
        )
        yield Finding("machines", BAD, message)
    elif len(seen) > 1:
        names = name_some(name for name, _ in seen)
        yield Finding("machines", WARN, f"{names} have written to this SQLite file, not at once.")
    else:
        yield Finding("machines", OK, "one machine writes to this SQLite file.")


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
        message = "none was restored on trial yet; tomocurate backup verify does."
        yield Finding("backup", WARN, message)
    elif verified.verified_at < now - VERIFIED_OLD:
        message = (
            f"the last trial was on {verified.verified_at:%Y-%m-%d}; tomocurate backup verify."
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


def jobs_of(workspace: Workspace) -> Iterator[Finding]:
    """No job is stuck, and none waits for a worker that is not there."""
    with workspace.catalog.read() as session:
        running = list_jobs(session, JobFilter(state=JobState.RUNNING)).rows
        failed = list_jobs(session, JobFilter(state=JobState.FAILED), limit=1)
        queued = list_jobs(session, JobFilter(state=JobState.QUEUED), limit=1000).rows
        now = database_time(session)
    lost = [f"job {job.id} ({job.kind})" for job in running if job.lost]
    late = [job for job in queued if job.due_at < now - WAITS_LONG and "batch" not in job.arguments]
    if lost:
        message = f"the worker of {name_some(lost)} fell silent; a running worker takes it up."
        yield Finding("jobs", WARN, message)
    if late:
        message = f"{len(late)} jobs wait for more than ten minutes; start a worker, or more."
        yield Finding("jobs", WARN, message)
    if failed.total:
        message = (
            f"{failed.total} failed, the last is job {failed.rows[0].id}: {failed.rows[0].error}"
        )
        yield Finding("jobs", WARN, message)
    if not (lost or late):
        yield Finding("jobs", OK, f"{len(running)} run, {len(queued)} wait.")


def workers_of(workspace: Workspace) -> Iterator[Finding]:
    """A worker lives."""
    with workspace.catalog.read() as session:
        workers, now = list_workers(session), database_time(session)
    alive = [worker for worker in workers if worker.stopped_at is None]
    fresh = [item.name for item in alive if abs(now - item.heartbeat_at) < WORKER_SILENT]
    if fresh:
        yield Finding("workers", OK, f"{len(fresh)} alive: {name_some(fresh)}.")
    else:
        heard = f"{workers[0].heartbeat_at:%Y-%m-%d at %H:%M} UTC" if workers else "never"
        message = f"none runs (last heard of: {heard}); tomocurate serve starts one."
        yield Finding("workers", WARN, message)


CHECKS: Mapping[str, Callable[[Workspace], Iterator[Finding]]] = {
    "catalog": catalog_of,
    "clock": clock_of,
    "machines": machines_of,
    "backup": backups_of,
    "jobs": jobs_of,
    "workers": workers_of,
    "disks": installation.file_systems,
    "sqlite": installation.sqlite_library,
    "versions": installation.versions_of,
    "folders": installation.folders_of,
    "disk space": installation.disk_space,
    "secrets": installation.secrets_of,
    "openness": security.openness_of,
    "store": files.store_of,
    "patches": files.check_extracted,
    "merged": files.check_merged,
    "records": files.records_of,
    "tomograms": files.originals_of,
    "partial files": files.check_partial_files,
}
"""Every check of doctor, in the order of its report; a new one is a line here."""
