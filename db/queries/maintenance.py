"""Queries for backups, stored files, and whether the catalog is sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from db.models.corrections import CorrectionSlot, CorrectionVersion, Merge
from db.models.patches import Patch
from db.models.people import Person
from db.models.work import Backup, Event, Fact, Host
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
    row = session.execute(newest).one_or_none()
    return _record(row[0], row[1]) if row else None


def last_verified_backup(session: Session) -> BackupRecord | None:
    """The backup that was last restored on trial and is still there."""
    good = Backup.verified_at.is_not(None), Backup.removed_at.is_(None)
    newest = _backups().where(*good).order_by(Backup.id.desc()).limit(1)
    row = session.execute(newest).one_or_none()
    return _record(row[0], row[1]) if row else None


def _backups() -> Any:
    return select(Backup, Person.name).outerjoin(Person, Person.id == Backup.made_by_id)


def _record(row: Backup, person: str | None) -> BackupRecord:
    return BackupRecord(
        id=row.id,
        kind=row.kind,
        path=row.path,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        counts=row.counts,
        made_at=row.made_at,
        made_by=person,
        verified_at=row.verified_at,
        removed_at=row.removed_at,
        error=row.error,
    )


@dataclass(frozen=True)
class FileOfPatch:
    """A file of a patch; ``name`` is its name in the folder it belongs to."""

    patch: str
    name: str
    sha256: str
    withdrawn: bool = False
    missing: bool = False
    """It is gone from its folder, and the catalog knows."""


def latest_corrections(session: Session) -> tuple[FileOfPatch, ...]:
    """The latest readable version of every correction slot; what was refused never lay there."""
    newest = (
        select(CorrectionVersion.slot_id, func.max(CorrectionVersion.number).label("number"))
        .where(CorrectionVersion.error.is_(None))
        .group_by(CorrectionVersion.slot_id)
        .subquery()
    )
    latest = and_(
        CorrectionVersion.slot_id == newest.c.slot_id, CorrectionVersion.number == newest.c.number
    )
    statement = (
        select(
            Patch.name,
            CorrectionSlot.name,
            CorrectionVersion.sha256,
            CorrectionSlot.withdrawn,
            CorrectionSlot.missing,
        )
        .join(CorrectionSlot, CorrectionSlot.patch_id == Patch.id)
        .join(newest, newest.c.slot_id == CorrectionSlot.id)
        .join(CorrectionVersion, latest)
        .order_by(Patch.name, CorrectionSlot.name)
    )
    return tuple(FileOfPatch(*row) for row in session.execute(statement))


def current_labels(session: Session) -> tuple[FileOfPatch, ...]:
    """The current merged label of every patch that has one."""
    statement = (
        select(Patch.name, Merge.file_sha256)
        .join(Merge, Merge.id == Patch.current_merge_id)
        .order_by(Patch.name)
    )
    rows = session.execute(statement)
    return tuple(
        FileOfPatch(patch=patch, name=f"{patch}.nii.gz", sha256=sha256) for patch, sha256 in rows
    )


def extracted_patches(session: Session) -> tuple[tuple[str, str | None, str | None], ...]:
    """Name, image hash and label hash of every patch that has been cut."""
    statement = select(Patch.name, Patch.image_hash, Patch.label_hash)
    rows = session.execute(statement.where(Patch.label_hash.is_not(None)).order_by(Patch.name))
    return tuple((name, image, label) for name, image, label in rows)


def patch_names(session: Session) -> tuple[str, ...]:
    """The name of every patch."""
    return tuple(session.scalars(select(Patch.name).order_by(Patch.name)))


def stored_hashes(session: Session) -> dict[str, int]:
    """sha256 and size of every file that the catalog expects in the store.

    Corrections that could not be read lie apart, and only for a while.
    """
    corrections = select(CorrectionVersion.sha256, CorrectionVersion.size_bytes).where(
        CorrectionVersion.error.is_(None)
    )
    merges = select(Merge.file_sha256, Merge.size_bytes)
    return {row[0]: row[1] for row in (*session.execute(corrections), *session.execute(merges))}


RECENT = 1000
FAULTS = 20
"""So many are told."""


def catalog_id(session: Session) -> str:
    """Return the identity that a catalog got when it was made; a copy keeps it."""
    return str(session.scalars(select(Fact.value).where(Fact.key == "catalog_id")).first() or "")


def last_event(session: Session, patch_id: int) -> tuple[int, datetime] | None:
    """Return id and time of a patch's latest event."""
    statement = select(Event.id, Event.at).where(Event.patch_id == patch_id)
    row = session.execute(statement.order_by(Event.id.desc()).limit(1)).first()
    return (row.id, row.at) if row else None


def has_event(session: Session, event_id: int, at: datetime) -> bool:
    """Return whether this very event is part of the catalog's history."""
    return session.scalar(select(Event.at).where(Event.id == event_id)) == at


def latest_time(session: Session) -> datetime | None:
    """Return the latest time of any of the last events."""
    recent = select(Event.at).order_by(Event.id.desc()).limit(RECENT)
    return max(session.scalars(recent), default=None)


def unsound(session: Session) -> tuple[str, ...]:
    """Return what is broken inside a SQLite catalog; PostgreSQL checks itself."""
    if session.get_bind().dialect.name != "sqlite":
        return ()
    connection = session.connection()
    pages = connection.exec_driver_sql(f"PRAGMA integrity_check({FAULTS})").scalars().all()
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()[:FAULTS]
    broken = [f"a row of {row[0]} without its {row[2]}" for row in rows]
    return tuple([str(said) for said in pages if said != "ok"] + broken)


def machines(session: Session) -> tuple[tuple[str, datetime], ...]:
    """The machines that wrote to a SQLite catalog, and when each was last seen."""
    statement = select(Host.name, Host.last_seen).order_by(Host.last_seen.desc())
    return tuple((name, at) for name, at in session.execute(statement))
