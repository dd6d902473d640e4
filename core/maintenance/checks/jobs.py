"""Check that jobs are not stuck and a worker runs."""

from collections.abc import Iterator
from datetime import timedelta

from core.maintenance.checks.findings import OK, WARN, Finding, name_some
from core.workspace.workspace import Workspace
from db.queries.jobs import JobFilter, database_time, list_jobs, list_workers
from db.vocabulary import JobState

WAITS_LONG = timedelta(minutes=10)
WORKER_SILENT = timedelta(minutes=2)


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
        message = (
            f"the worker of {name_some(lost)} stopped responding; another worker takes it over."
        )
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
    """Check that a worker has sent a recent heartbeat."""
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
