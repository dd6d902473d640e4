"""Queue work for the worker in the transaction that makes it due."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from db.errors import StepError
from db.vocabulary import JobKind
from db.writes.events import Change
from db.writes.jobs import add_job

MAX_ARGUMENTS = 1 << 20
"""Bytes of a job's arguments as JSON; files travel by their hash in the store."""


def enqueue(
    session: Session,
    change: Change,
    kind: JobKind,
    arguments: Mapping[str, Any],
    *,
    key: str,
    due_at: datetime | None = None,
    priority: int = 0,
    parent_id: int | None = None,
) -> int:
    """Queue a job and give its number; ``arguments`` are what JSON has.

    A job of the same key that is queued or running is given instead of a second one. A higher
    priority comes first; nothing starts before ``due_at``.

    Errors: StepError where the arguments are too large for a row.
    """
    if len(json.dumps(arguments)) > MAX_ARGUMENTS:
        raise StepError(f"the job {key!r} has too many arguments at once; queue it in parts.")
    return add_job(
        session, change, kind, arguments, key, due_at=due_at, priority=priority, parent_id=parent_id
    )
