"""The queue as people see it: hand in work, watch it, cancel it, repeat it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.lab.lab import Lab
from core.workspace.enqueue import enqueue
from core.workspace.workspace import Workspace
from db.queries import jobs as queries
from db.queries.jobs import JobEventRecord, JobFilter, JobRecord, WorkerRecord
from db.queries.page import LIMIT, Page
from db.queries.people import PersonRecord
from db.vocabulary import JobKind
from db.writes.events import Change
from db.writes.jobs import cancel_job, repeat_job

STEP_OF: Mapping[JobKind, Action] = {
    JobKind.EXTRACT: Action.EXTRACT,
    JobKind.MERGE: Action.MERGE,
    JobKind.COLLECT: Action.COLLECT,
    JobKind.HASH: Action.REGISTER,
    JobKind.PREVIEW: Action.REGISTER,
    JobKind.EXPORT: Action.EXPORT,
    JobKind.IMPORT: Action.IMPORT,
    JobKind.SCORE: Action.SCORE,
    JobKind.BACKUP: Action.BACK_UP,
    JobKind.PROPOSE: Action.CHOOSE,
}
"""What one must be allowed to do oneself to let a worker do it."""


def submit(
    lab: Lab,
    kind: JobKind,
    arguments: Mapping[str, Any],
    key: str | None = None,
    due_at: datetime | None = None,
) -> int:
    """Queue a job and give its number; asked twice for the same, it is one job.

    Errors: NotAllowedError.
    """
    key = key or key_of(kind, arguments)
    with lab.catalog.write() as session:
        require(session, lab.person, STEP_OF[kind])
        return enqueue(session, Change.now(lab.person.id), kind, arguments, key=key, due_at=due_at)


def submit_batch(
    lab: Lab,
    kind: JobKind,
    names: Sequence[str],
    arguments: Mapping[str, Any] | None = None,
) -> int:
    """Queue one job a name, and one that reports when all have ended; give the latter's number.

    Each gets ``arguments`` and {"names": [name]}. One that fails stops no other.

    Errors: NotAllowedError.
    """
    batch = {"batch": len(names), "of": key_of(kind, {"names": sorted(names)})}
    with lab.catalog.write() as session:
        require(session, lab.person, STEP_OF[kind])
        change = Change.now(lab.person.id)
        parent = enqueue(session, change, kind, batch, key=f"batch {batch['of']}")
        for name in names:
            item = {**(arguments or {}), "names": [name]}
            enqueue(session, change, kind, item, key=key_of(kind, item), parent_id=parent)
        return parent


def key_of(kind: JobKind, arguments: Mapping[str, Any]) -> str:
    """The key under which two requests for the same work are one job."""
    message = json.dumps(arguments, sort_keys=True)
    return f"{kind} {hashlib.sha256(message.encode()).hexdigest()[:16]}"


def list_jobs(
    workspace: Workspace, wanted: JobFilter | None = None, offset: int = 0, limit: int = LIMIT
) -> Page[JobRecord]:
    """A page of jobs, the newest first."""
    with workspace.catalog.read() as session:
        return queries.list_jobs(session, wanted, offset, limit)


def job(workspace: Workspace, job_id: int) -> JobRecord:
    """One job.

    Errors: UnknownNameError.
    """
    with workspace.catalog.read() as session:
        return queries.job_by_id(session, job_id)


def what_happened(workspace: Workspace, job_id: int) -> tuple[JobEventRecord, ...]:
    """The events of a job, the latest last."""
    with workspace.catalog.read() as session:
        return queries.job_events(session, job_id)


def list_workers(workspace: Workspace) -> tuple[WorkerRecord, ...]:
    """Workers, the one last heard of first."""
    with workspace.catalog.read() as session:
        return queries.list_workers(session)


def cancel(lab: Lab, job_id: int) -> JobRecord:
    """Cancel a job: a queued one at once, a running one at its next step.

    Errors: UnknownNameError; NotAllowedError for somebody else's job.
    """
    with lab.catalog.write() as session:
        _check_owner(session, lab.person, job_id)
        return cancel_job(session, Change.now(lab.person.id), job_id)


def repeat(lab: Lab, job_id: int) -> JobRecord:
    """Queue a failed or cancelled job again.

    Errors: UnknownNameError; StepError for one that may not; NotAllowedError.
    """
    with lab.catalog.write() as session:
        _check_owner(session, lab.person, job_id)
        return repeat_job(session, Change.now(lab.person.id), job_id)


def _check_owner(session: Session, by: PersonRecord, job_id: int) -> None:
    mine = queries.job_by_id(session, job_id).created_by_id == by.id
    require(session, by, Action.VIEW if mine else Action.MANAGE_JOBS)
