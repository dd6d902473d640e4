"""Queue jobs, claim, finish, cancel and repeat them.

A claim is a lease that its worker renews, with a fence that grows at each claim: a worker that
was silent too long finds the fence passed, and its result is refused. Times are the database's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from db.errors import ConflictError, StepError, UnknownNameError
from db.models.work import Job, JobEvent, Worker
from db.queries.jobs import ACTIVE, JobRecord, claimable, database_time, job_by_id, lease_is_over
from db.vocabulary import JobKind, JobState
from db.writes.events import Change, Subject, record_event

MAX_ATTEMPTS = 3
BACK_OFF = timedelta(seconds=5)
"""Pause before the second attempt; it doubles with each further one."""


@dataclass(frozen=True)
class Claim:
    """A job that a worker has taken, and the fence it must still have at its end."""

    job: JobRecord
    worker: str
    fence: int


def add_job(
    session: Session,
    change: Change,
    kind: JobKind,
    arguments: Mapping[str, Any],
    key: str,
    *,
    due_at: datetime | None = None,
    priority: int = 0,
    max_attempts: int = MAX_ATTEMPTS,
    parent_id: int | None = None,
) -> int:
    """Queue a job; while one of this key is queued or running, that one is given instead."""
    values = {
        "kind": kind,
        "arguments": dict(arguments),
        "idempotency_key": key,
        "state": JobState.QUEUED,
        "priority": priority,
        "attempts": 0,
        "max_attempts": max_attempts,
        "due_at": due_at or change.at,
        "fence": 0,
        "progress": 0.0,
        "cancel_requested": False,
        "parent_id": parent_id,
        "created_at": change.at,
        "created_by_id": change.by_id,
    }
    insert = _insert_for(session)(Job).values(values).on_conflict_do_nothing().returning(Job.id)
    active = select(Job.id).where(Job.idempotency_key == key, Job.state.in_(ACTIVE))
    for _ in range(3):  # the job that was in the way may have ended since
        added: int | None = session.scalar(insert)
        if added is not None:
            _note(session, added, change.at, "queued")
            return added
        there = session.scalar(active)
        if there is not None:
            return there
    raise ConflictError(f"the job {key!r} is queued by others again and again; try again.")


def claim_job(session: Session, worker: str, lease: timedelta) -> Claim | None:
    """Take the most urgent job that is due; None where there is none.

    One whose workers died ``max_attempts`` times fails here, one that was cancelled ends here.
    """
    now = database_time(session)
    order = Job.priority.desc(), Job.due_at, Job.id
    statement = select(Job).where(claimable(now)).order_by(*order).limit(1)
    while (row := session.scalar(statement.with_for_update(skip_locked=True))) is not None:
        if _ended(session, row, now):
            continue
        if row.state == JobState.RUNNING:
            _note(session, row.id, now, "taken up again", {"silent": row.lease_owner})
        row.state, row.lease_owner, row.lease_until = JobState.RUNNING, worker, now + lease
        row.fence, row.attempts = row.fence + 1, row.attempts + 1
        row.started_at, row.progress, row.message = now, 0.0, None
        _note(session, row.id, now, "claimed", {"worker": worker, "attempt": row.attempts})
        session.flush()
        return Claim(job=job_by_id(session, row.id), worker=worker, fence=row.fence)
    return None


def renew_lease(session: Session, claim: Claim, lease: timedelta) -> bool:
    """Stay the owner of a job; tell whether somebody wants it cancelled.

    Errors: ConflictError where another worker has it now.
    """
    row = _mine(session, claim)
    row.lease_until = database_time(session) + lease
    return row.cancel_requested


def tell_progress(session: Session, claim: Claim, progress: float, message: str) -> bool:
    """Write how far a job is (0 to 1); tell whether somebody wants it cancelled.

    Errors: ConflictError where another worker has it now.
    """
    row = _mine(session, claim)
    row.progress, row.message = min(1.0, max(0.0, progress)), message
    return row.cancel_requested


def finish_job(session: Session, claim: Claim, result: Mapping[str, Any], message: str) -> None:
    """Record a job as done.

    Errors: ConflictError where another worker has it now; nothing is recorded then.
    """
    row = _mine(session, claim)
    row.result, row.progress, row.message = dict(result), 1.0, message
    _end(session, row, JobState.DONE, database_time(session))


def fail_job(
    session: Session,
    claim: Claim,
    error: str,
    *,
    again: bool,
    result: Mapping[str, Any] | None = None,
) -> JobState:
    """Record a failure; with ``again`` the job is queued anew while it has attempts left.

    Errors: ConflictError where another worker has it now.
    """
    row, now = _mine(session, claim), database_time(session)
    row.error, row.result = error, None if result is None else dict(result)
    if not again or row.attempts >= row.max_attempts or row.cancel_requested:
        _end(session, row, JobState.FAILED, now, {"error": error})
        return JobState.FAILED
    row.due_at = now + BACK_OFF * 2 ** (row.attempts - 1)
    _queue_again(row)
    _note(session, row.id, now, "failed once", {"error": error, "attempt": row.attempts})
    return JobState.QUEUED


def give_back_job(session: Session, claim: Claim) -> None:
    """Queue a job again at once, as if it had not been tried: its worker is told to end.

    Errors: ConflictError where another worker has it now.
    """
    row, now = _mine(session, claim), database_time(session)
    row.attempts, row.due_at = row.attempts - 1, now
    _queue_again(row)
    _note(session, row.id, now, "given back", {"worker": claim.worker})


def end_cancelled_job(session: Session, claim: Claim) -> None:
    """Record that a running job stopped because somebody cancelled it.

    Errors: ConflictError where another worker has it now.
    """
    _end(session, _mine(session, claim), JobState.CANCELLED, database_time(session))


def cancel_job(session: Session, change: Change, job_id: int) -> JobRecord:
    """Cancel a job and the parts of a batch: queued ones at once, running ones as they notice.

    One that has ended already stays as it is. Errors: UnknownNameError.
    """
    row = _lock(session, job_id)
    now = database_time(session)
    statement = select(Job).where(Job.parent_id == job_id, Job.state.in_(ACTIVE)).order_by(Job.id)
    parts = session.scalars(statement.with_for_update()).all()
    for item in (*parts, row):
        if item.state == JobState.QUEUED or lease_is_over(item.lease_until, now):
            _end(session, item, JobState.CANCELLED, now)
        elif item.state == JobState.RUNNING and not item.cancel_requested:
            item.cancel_requested = True
            _note(session, item.id, now, "asked to stop")
    record_event(session, change, "job cancelled", Subject("job", row.id, row.idempotency_key))
    session.flush()
    return job_by_id(session, job_id)


def repeat_job(session: Session, change: Change, job_id: int) -> JobRecord:
    """Queue a failed or cancelled job again, with all its attempts.

    Errors: UnknownNameError; StepError for one that is done or not ended, or has a successor.
    """
    row = _lock(session, job_id)
    if row.state not in (JobState.FAILED, JobState.CANCELLED):
        raise StepError(
            f"job {job_id}: is {row.state}; only a failed or cancelled job can be repeated."
        )
    key = select(Job.id).where(Job.idempotency_key == row.idempotency_key, Job.state.in_(ACTIVE))
    if (there := session.scalar(key)) is not None:
        raise StepError(f"job {job_id}: job {there} does the same already; look at that one.")
    row.attempts, row.due_at = 0, database_time(session)
    row.cancel_requested, row.error, row.result, row.finished_at = False, None, None, None
    _queue_again(row)
    _note(session, row.id, row.due_at, "queued again")
    record_event(session, change, "job repeated", Subject("job", row.id, row.idempotency_key))
    session.flush()
    return job_by_id(session, job_id)


def start_worker(session: Session, name: str, host: str, pid: int) -> None:
    """Record a worker process."""
    now = database_time(session)
    session.add(Worker(name=name, host=host, pid=pid, started_at=now, heartbeat_at=now))


def beat(session: Session, name: str) -> None:
    """Record that a worker lives."""
    values = {"heartbeat_at": database_time(session), "stopped_at": None}
    session.execute(update(Worker).where(Worker.name == name).values(values))


def stop_worker(session: Session, name: str) -> None:
    """Record that a worker ended by itself."""
    now = database_time(session)
    session.execute(
        update(Worker).where(Worker.name == name).values(heartbeat_at=now, stopped_at=now)
    )


def _insert_for(session: Session) -> Any:
    postgres = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert if postgres else sqlite.insert


def _lock(session: Session, job_id: int) -> Job:
    row = session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    if row is None:
        last = session.scalars(select(Job.id).order_by(Job.id.desc()).limit(20))
        raise UnknownNameError.among("job", str(job_id), map(str, last))
    return row


def _mine(session: Session, claim: Claim) -> Job:
    """The row of a claimed job, locked, if the claim still holds."""
    statement = select(Job).where(
        Job.id == claim.job.id, Job.fence == claim.fence, Job.state == JobState.RUNNING
    )
    row = session.scalar(statement.with_for_update())
    if row is None:
        raise ConflictError(
            f"job {claim.job.id}: {claim.worker} was silent for too long and does not have it any "
            "more; its result is not taken."
        )
    return row


def _ended(session: Session, row: Job, now: datetime) -> bool:
    """End a job that nobody may start: cancelled, or the end of too many workers."""
    if row.cancel_requested:
        _end(session, row, JobState.CANCELLED, now)
    elif row.attempts >= row.max_attempts:
        row.error = (
            f"its worker died or hung {row.attempts} times, the last was {row.lease_owner}; "
            "look into the worker's log, then repeat it."
        )
        _end(session, row, JobState.FAILED, now, {"error": row.error})
    else:
        return False
    session.flush()
    return True


def _end(session: Session, row: Job, state: JobState, now: datetime, detail: Any = None) -> None:
    row.state, row.finished_at, row.lease_owner, row.lease_until = state, now, None, None
    _note(session, row.id, now, state.value, detail)


def _queue_again(row: Job) -> None:
    row.state, row.lease_owner, row.lease_until = JobState.QUEUED, None, None
    row.progress, row.message = 0.0, None


def _note(session: Session, job_id: int, at: datetime, action: str, detail: Any = None) -> None:
    session.add(JobEvent(job_id=job_id, at=at, action=action, detail=detail))
