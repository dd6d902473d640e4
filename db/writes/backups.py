"""Record backups: made, failed, verified, removed by the keeping rule."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.models.work import Backup
from db.vocabulary import BackupKind
from db.writes.events import Change, Subject, record_event


def add_backup(
    session: Session,
    change: Change,
    kind: BackupKind,
    path: str,
    digest: tuple[str, int] | None,
    counts: Mapping[str, int] | None,
    *,
    error: str | None = None,
) -> int:
    """Record a backup; ``digest`` is sha256 and size of its archive, ``error`` why it failed."""
    sha256, size = digest or (None, None)
    row = Backup(
        kind=kind,
        path=path,
        sha256=sha256,
        size_bytes=size,
        counts=None if counts is None else dict(counts),
        made_at=change.at,
        made_by_id=change.by_id,
        error=error,
    )
    session.add(row)
    session.flush()
    action = "backup made" if error is None else "backup failed"
    after = {"kind": kind, "size_bytes": size, "error": error}
    record_event(session, change, action, Subject("backup", row.id, path), None, after)
    return row.id


def note_verified(session: Session, change: Change, path: str) -> None:
    """Record that a backup was restored on trial and found whole."""
    for row in session.scalars(select(Backup).where(Backup.path == path, Backup.error.is_(None))):
        row.verified_at = change.at
        record_event(session, change, "backup verified", Subject("backup", row.id, path))


def note_removed(session: Session, change: Change, paths: Sequence[str]) -> None:
    """Record that the files of old backups are gone."""
    statement = update(Backup).where(Backup.path.in_(paths), Backup.removed_at.is_(None))
    session.execute(statement.values(removed_at=change.at))
