"""Jobs and the workers that do them: lists, one job with what happened to it, what is due."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from db.errors import UnknownNameError
from db.models.people import Person
from db.models.work import Job, JobEvent, Worker
from db.queries.page import LIMIT, Page, count, page_of
from db.vocabulary import JobKind, JobState

LONGEST_WAIT = timedelta(days=2)
"""No job is queued for later than this; the daily backup is due after a day."""

LONGEST_LEASE = timedelta(hours=1)
ACTIVE = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class JobRecord:
    """A piece of work in the queue; ``lost`` says that its worker fell silent."""

    id: int
    kind: JobKind
    arguments: Mapping[str, Any]
    key: str
    state: JobState
    priority: int
    attempts: int
    max_attempts: int
    due_at: datetime
    worker: str | None
    lease_until: datetime | None
    progress: float
    message: str | None
    cancel_requested: bool
    parent_id: int | None
    result: Mapping[str, Any] | None
    error: str | None
    created_at: datetime
    created_by_id: int | None
    created_by: str | None
    started_at: datetime | None
    finished_at: datetime | None
    lost: bool

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE


@dataclass(frozen=True)
class JobFilter:
    """Filter of jobs; None does not filter. ``top`` leaves out the parts of batches."""

    state: JobState | None = None
    kind: JobKind | None = None
    parent_id: int | None = None
    active: bool | None = None
    top: bool = False


@dataclass(frozen=True)
class JobEventRecord:
    """Event of a job."""

    at: datetime
    action: str
    detail: Mapping[str, Any] | None


@dataclass(frozen=True)
class WorkerRecord:
    """A worker process, and when it was last heard of."""

    name: str
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None


def database_time(session: Session) -> datetime:
    """Now (UTC), by the clock that leases are told by: PostgreSQL's, or this machine's."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now.astimezone(UTC)


def list_jobs(
    session: Session, wanted: JobFilter | None = None, offset: int = 0, limit: int = LIMIT
) -> Page[JobRecord]:
    """A page of jobs, the newest first, in three statements."""
    where = list(_conditions(wanted or JobFilter()))
    now = database_time(session)
    statement = page_of(_jobs().where(*where).order_by(Job.id.desc()), offset, limit)
    rows = tuple(_record(row, name, now) for row, name in session.execute(statement))
    return Page(_with_parts(session, rows), count(session, Job.id, where), offset)


def job_by_id(session: Session, job_id: int) -> JobRecord:
    """The job of a number.

    Errors: UnknownNameError with the last numbers.
    """
    found = session.execute(_jobs().where(Job.id == job_id)).one_or_none()
    if found is None:
        last = session.scalars(select(Job.id).order_by(Job.id.desc()).limit(20))
        raise UnknownNameError.among("job", str(job_id), map(str, last))
    row, name = found
    return _with_parts(session, (_record(row, name, database_time(session)),))[0]


def job_events(session: Session, job_id: int) -> tuple[JobEventRecord, ...]:
    """Return the events of a job, the latest last."""
    statement = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.id)
    return tuple(
        JobEventRecord(at=e.at, action=e.action, detail=e.detail)
        for e in session.scalars(statement)
    )


def parts_of(session: Session, parent_id: int) -> tuple[JobRecord, ...]:
    """All jobs of a batch, in the order they were queued."""
    statement = _jobs().where(Job.parent_id == parent_id).order_by(Job.id)
    now = database_time(session)
    return tuple(_record(row, name, now) for row, name in session.execute(statement))


def jobs_by_state(session: Session) -> dict[JobState, int]:
    """Count jobs by state."""
    statement = select(Job.state, func.count()).group_by(Job.state)
    return dict(session.execute(statement).all())


def active_job(session: Session, key: str) -> JobRecord | None:
    """The job of a key that is queued or running, if any."""
    statement = _jobs().where(Job.idempotency_key == key, Job.state.in_(ACTIVE))
    row = session.execute(statement).one_or_none()
    return _record(row[0], row[1], database_time(session)) if row else None


def last_job(session: Session, key: str) -> JobRecord | None:
    """The newest job of a key, whatever its state."""
    statement = _jobs().where(Job.idempotency_key == key).order_by(Job.id.desc()).limit(1)
    row = session.execute(statement).one_or_none()
    return _record(row[0], row[1], database_time(session)) if row else None


def something_is_due(session: Session) -> bool:
    """Return whether a worker would find a job now."""
    return (
        session.scalar(select(Job.id).where(claimable(database_time(session))).limit(1)) is not None
    )


def claimable(now: datetime) -> ColumnElement[bool]:
    """Select jobs that are queued and due, or given up by a silent worker.

    A batch comes after its parts. Times too far in the future were noted by a wrong clock and do
    not count.
    """
    part = aliased(Job)
    open_part = exists().where(part.parent_id == Job.id, part.state.in_(ACTIVE))
    due = or_(Job.due_at <= now, Job.due_at > now + LONGEST_WAIT)
    expired = or_(Job.lease_until < now, Job.lease_until > now + LONGEST_LEASE)
    queued = and_(Job.state == JobState.QUEUED, due)
    silent = and_(Job.state == JobState.RUNNING, expired)
    return and_(or_(queued, silent), ~open_part)


def lease_is_over(lease_until: datetime | None, now: datetime) -> bool:
    """Return whether a lease ended, or cannot be: it was given by a clock that was ahead."""
    return lease_until is not None and not now <= lease_until <= now + LONGEST_LEASE


def list_workers(session: Session, limit: int = LIMIT) -> tuple[WorkerRecord, ...]:
    """Workers, the one last heard of first."""
    statement = select(Worker).order_by(Worker.heartbeat_at.desc()).limit(limit)
    return tuple(
        WorkerRecord(
            name=w.name,
            host=w.host,
            pid=w.pid,
            started_at=w.started_at,
            heartbeat_at=w.heartbeat_at,
            stopped_at=w.stopped_at,
        )
        for w in session.scalars(statement)
    )


def _jobs() -> Any:
    return select(Job, Person.name).outerjoin(Person, Person.id == Job.created_by_id)


def _conditions(wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (Job.state, wanted.state),
        (Job.kind, wanted.kind),
        (Job.parent_id, wanted.parent_id),
    ):
        if value is not None:
            yield column == value
    if wanted.active is not None:
        yield Job.state.in_(ACTIVE) if wanted.active else Job.state.not_in(ACTIVE)
    if wanted.top:
        yield Job.parent_id.is_(None)


def _with_parts(session: Session, jobs: tuple[JobRecord, ...]) -> tuple[JobRecord, ...]:
    """Batches that wait for their parts show the parts' progress."""
    waiting = [job.id for job in jobs if job.state == JobState.QUEUED and "batch" in job.arguments]
    if not waiting:
        return jobs
    open_parts = func.count().filter(Job.state.in_(ACTIVE))
    statement = (
        select(Job.parent_id, func.count(), open_parts)
        .where(Job.parent_id.in_(waiting))
        .group_by(Job.parent_id)
    )
    told = {parent: (total, left) for parent, total, left in session.execute(statement)}
    return tuple(_told(job, *told[job.id]) if job.id in told else job for job in jobs)


def _told(job: JobRecord, total: int, left: int) -> JobRecord:
    return replace(job, progress=(total - left) / total, message=f"{total - left} of {total}")


def _record(row: Job, person: str | None, now: datetime) -> JobRecord:
    lost = row.state == JobState.RUNNING and lease_is_over(row.lease_until, now)
    return JobRecord(
        id=row.id,
        kind=row.kind,
        arguments=row.arguments,
        key=row.idempotency_key,
        state=row.state,
        priority=row.priority,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        due_at=row.due_at,
        worker=row.lease_owner,
        lease_until=row.lease_until,
        progress=row.progress,
        message=row.message,
        cancel_requested=row.cancel_requested,
        parent_id=row.parent_id,
        result=row.result,
        error=row.error,
        created_at=row.created_at,
        created_by_id=row.created_by_id,
        created_by=person,
        started_at=row.started_at,
        finished_at=row.finished_at,
        lost=lost,
    )
