"""The backups that were made, the newest first, and whether each was restored on trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.people import Person
from db.models.work import Backup
from db.queries.page import LIMIT
from db.vocabulary import BackupKind


@dataclass(frozen=True)
class BackupRecord:
    """A backup that was made; ``removed_at`` says when its files left by the keeping rule."""

    id: int
    kind: BackupKind
    path: str
    sha256: str | None
    size_bytes: int | None
    counts: Mapping[str, int] | None
    made_at: datetime
    made_by: str | None
    verified_at: datetime | None
    removed_at: datetime | None
    error: str | None


def list_backups(session: Session, limit: int = LIMIT) -> tuple[BackupRecord, ...]:
    """Backups and failed ones, the newest first."""
    rows = session.execute(_backups().order_by(Backup.id.desc()).limit(limit))
    return tuple(_record(row, person) for row, person in rows)


def last_backup(session: Session) -> BackupRecord | None:
    """The newest backup that succeeded and is still there."""
    good = Backup.error.is_(None), Backup.removed_at.is_(None)
    newest = _backups().where(*good).order_by(Backup.id.desc()).limit(1)
    found = session.execute(newest).one_or_none()
    return _record(found[0], found[1]) if found else None


def last_verified_backup(session: Session) -> BackupRecord | None:
    """The backup that was last restored on trial and is still there."""
    good = Backup.verified_at.is_not(None), Backup.removed_at.is_(None)
    newest = _backups().where(*good).order_by(Backup.id.desc()).limit(1)
    found = session.execute(newest).one_or_none()
    return _record(found[0], found[1]) if found else None


def _backups() -> Any:
    return select(Backup, Person.name).outerjoin(Person, Person.id == Backup.made_by_id)


def _record(row: Backup, person: str | None) -> BackupRecord:
    return BackupRecord(
        row.id,
        row.kind,
        row.path,
        row.sha256,
        row.size_bytes,
        row.counts,
        row.made_at,
        person,
        row.verified_at,
        row.removed_at,
        row.error,
    )
