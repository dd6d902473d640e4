"""The record of all that happened, and what machines do: events, jobs, workers, backups."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, JsonDict, one_of, word
from db.vocabulary import BackupKind, JobKind, JobState

BIG = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only under the plain name INTEGER."""


class Event(Base):
    """One change: who, when, what, before and after. Added, never changed (triggers see to it)."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    at: Mapped[datetime]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    action: Mapped[str]
    subject: Mapped[str]
    """The kind of thing that changed, such as patch or tomogram."""
    subject_id: Mapped[int | None]
    name: Mapped[str]
    patch_id: Mapped[int | None] = mapped_column(ForeignKey("patches.id"))
    before: Mapped[JsonDict | None] = mapped_column(JSON)
    after: Mapped[JsonDict | None] = mapped_column(JSON)
    reason: Mapped[str | None]

    __table_args__ = (
        Index(None, "patch_id", "id"),
        Index(None, "person_id", "id"),
        Index(None, "action", "id"),
        Index(None, "subject", "subject_id", "id"),
        Index(None, "at"),
    )


class Job(Base):
    """A piece of work that survives the process that does it."""

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[JobKind] = word(JobKind)
    arguments: Mapped[JsonDict]
    idempotency_key: Mapped[str]
    state: Mapped[JobState] = word(JobState, default=JobState.QUEUED)
    priority: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    due_at: Mapped[datetime]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    progress: Mapped[float] = mapped_column(default=0.0)
    message: Mapped[str | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    input_hashes: Mapped[JsonDict | None] = mapped_column(JSON)
    result: Mapped[JsonDict | None] = mapped_column(JSON)
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("kind", JobKind),
        one_of("state", JobState),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        CheckConstraint("state <> 'running' OR lease_until IS NOT NULL", name="leased"),
        Index(
            "uq_jobs_idempotency_key_active",
            "idempotency_key",
            unique=True,
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index(None, "state", "due_at"),
        Index(None, "state", "lease_until"),
        Index(None, "created_at"),
        Index(None, "parent_id"),
    )


class JobEvent(Base):
    """Event of a job: claimed, failed, cancelled, finished."""

    __tablename__ = "job_events"
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    at: Mapped[datetime]
    action: Mapped[str]
    detail: Mapped[JsonDict | None] = mapped_column(JSON)

    __table_args__ = (Index(None, "job_id", "id"),)


class Worker(Base):
    """A worker process that claims jobs."""

    __tablename__ = "workers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]


class Host(Base):
    """A machine that has written to this catalog; SQLite is for one of them."""

    __tablename__ = "hosts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    boot_id: Mapped[str | None]
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]


class Backup(Base):
    """A backup that was made, and whether it was restored on trial."""

    __tablename__ = "backups"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[BackupKind] = word(BackupKind)
    path: Mapped[str]
    sha256: Mapped[str | None]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    counts: Mapped[JsonDict | None] = mapped_column(JSON)
    made_at: Mapped[datetime]
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    verified_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    error: Mapped[str | None]

    __table_args__ = (one_of("kind", BackupKind), Index(None, "made_at"))


class Fact(Base):
    """Identity of this catalog, and the program that made it."""

    __tablename__ = "facts"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
