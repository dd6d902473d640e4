"""Back up a workspace: its catalog, its corrections and its labels.

A backup is a copy of the catalog, a manifest beside it (written last: without one it is none),
and the files of the store, kept once for all backups under ``store/``, by their sha256.
Tomograms are not in it, nor images that can be cut from them again.

    backups/catalog-20261125T211955Z-daily.sqlite      or .pgdump
    backups/catalog-20261125T211955Z-daily.json
    backups/store/ab/cdef...
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from core.access.permissions import Action, require
from core.corrections.store import Store
from core.errors import BackupError
from core.files.atomic import whole_file
from core.imaging.hashes import file_hash
from core.maintenance.kept_files import has, link_or_copy
from core.maintenance.manifest import (
    ARCHIVES,
    NAME,
    STAMP,
    STORE,
    Manifest,
    own_manifests,
    read_manifest,
    time_of,
    write_manifest,
)
from core.maintenance.retention import backups_to_keep
from core.maintenance.verify_backup import try_backup
from core.patches.record import refresh_records
from core.workspace.folders import DRAFT, make_shared
from core.workspace.locks import patch_lock
from core.workspace.settings import FILE_NAME
from core.workspace.workspace import Workspace
from db import backup as copies
from db.engine import show_url
from db.errors import CatalogError, TomocurateError
from db.queries.maintenance import BackupRecord, last_verified_backup
from db.queries.maintenance import list_backups as backups_of
from db.queries.people import PersonRecord
from db.vocabulary import BackupKind
from db.writes.backups import add_backup, note_removed
from db.writes.events import Change

DRILL_EVERY = timedelta(days=7)
"""How often the daily backup is also restored on trial."""

BACKUP_MODE = 0o640
"""Of a catalog's copy and its manifest, less the umask: the group reads them, nobody edits them."""

ASKED_STAYS = timedelta(days=7)
"""One that somebody asked for, or that was made before a migration, stays so long at least."""

Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Made:
    """A backup that was made; warnings are whole sentences."""

    name: str
    path: Path
    size_bytes: int
    files: int
    """Of the store, in all."""
    new_files: int
    warnings: tuple[str, ...]


def make_backup(
    workspace: Workspace, by: PersonRecord, kind: BackupKind = BackupKind.ASKED
) -> Made:
    """Make a backup, as an admin.

    Errors: NotAllowedError; BackupError.
    """
    with workspace.catalog.read() as session:
        require(session, by, Action.BACK_UP)
    return back_up(workspace, by.id, kind)


def back_up(
    workspace: Workspace,
    by_id: int | None,
    kind: BackupKind,
    tell: Tell = lambda share, said: None,
    now: datetime | None = None,
) -> Made:
    """Make a backup, then remove what the keeping rule no longer keeps.

    A failed one is recorded with its reason. Errors: BackupError.
    """
    change = Change(by_id, now or datetime.now(UTC))
    try:
        if kind == BackupKind.DAILY:
            refresh_records(workspace)
        made = write_backup(workspace, kind, change.at, tell)
    except TomocurateError as error:
        _record_failure(workspace, change, kind, str(error))
        raise BackupError(f"the backup failed: {error}") from error
    record_backup(workspace, change, made)
    if kind == BackupKind.DAILY and _drill_is_due(workspace, change.at):
        tell(0.9, "restores it on trial")
        try_backup(workspace, by_id, made.name)
    _remove_old(workspace, change)
    return made


def record_backup(workspace: Workspace, change: Change, made: Made) -> None:
    """Note in the catalog that a backup was made."""
    manifest = read_manifest(made.path)
    digest = manifest.sha256, manifest.size_bytes
    kind = BackupKind(manifest.kind)
    with workspace.catalog.write() as session:
        add_backup(session, change, kind, str(made.path), digest, manifest.counts)


def write_backup(
    workspace: Workspace, kind: BackupKind, at: datetime, tell: Tell = lambda share, said: None
) -> Made:
    """Write a backup, one at a time; the catalog is only read, and may be of an older schema.

    Errors: OutputError; CatalogError; ConflictError where another one takes too long.
    """
    make_shared(workspace.backup_folder)
    with patch_lock(workspace, "backup", "backup"):
        return _write_backup(workspace, _free_name(workspace.backup_folder, kind, at), tell)


def list_backups(workspace: Workspace) -> tuple[BackupRecord, ...]:
    """Backups that were made, failed and removed, the newest first."""
    with workspace.catalog.read() as session:
        return backups_of(session)


def _write_backup(workspace: Workspace, path: Path, tell: Tell) -> Made:
    """The catalog's copy, then the files, then the manifest."""
    kind, at = path.stem.split("-", 2)[2], time_of(path)
    archive = path.with_suffix(copies.suffix(workspace.catalog.url))
    tell(0.0, "copies the catalog")
    with whole_file(archive, exist_ok=False, mode=BACKUP_MODE) as partial:
        held = copies.dump(workspace.catalog.url, partial)
        digest = file_hash(partial), partial.stat().st_size
    tell(0.2, f"keeps {len(held.stored)} files")
    store = Store(path.parent / STORE)
    fresh, lost = _keep_stored(workspace, store, held.stored)
    folders = workspace.folders
    drafts, newest = _keep_drafts(store, folders.drafts)
    labels, more = _keep_extracted(store, held.extracted, folders.label_of)
    images, most = _keep_extracted(store, held.unplaced, folders.image_of)
    manifest = Manifest(
        name=path.stem,
        made_at=at.isoformat(),
        kind=kind,
        program=version("tomocurate"),
        schema=held.schema,
        archive=archive.name,
        sha256=digest[0],
        size_bytes=digest[1],
        counts=held.counts,
        stored=held.stored,
        labels=labels,
        images=images,
        settings=_public_settings(workspace),
        catalog=show_url(workspace.catalog.url),
        catalog_id=workspace.catalog_id,
        drafts=drafts,
    )
    with whole_file(path, exist_ok=False, mode=BACKUP_MODE) as partial:
        write_manifest(partial, manifest)
    warnings = tuple(_warnings(workspace, path.parent, lost))
    return Made(
        name=manifest.name,
        path=path,
        size_bytes=digest[1],
        files=manifest.files,
        new_files=fresh + more + most + newest,
        warnings=warnings,
    )


def _free_name(folder: Path, kind: BackupKind, at: datetime) -> Path:
    """The manifest of this second, or of the next that has no backup."""
    while True:
        path = folder / f"catalog-{at.strftime(STAMP)}-{kind}.json"
        if not any(path.with_suffix(end).exists() for end in (".json", *ARCHIVES)):
            return path
        at += timedelta(seconds=1)


def _keep_stored(
    workspace: Workspace, kept_in: Store, stored: Mapping[str, int]
) -> tuple[int, list[str]]:
    """Take every file of the store that is not kept yet; give their number, and what is lost."""
    live = Store(workspace.folders.store)
    fresh, lost = 0, []
    for sha256, size in stored.items():
        if has(kept_in, sha256, size):
            continue
        source = live.path_of(sha256)
        if not source.is_file() or file_hash(source) != sha256:
            lost.append(sha256)
            continue
        link_or_copy(source, kept_in, sha256)
        fresh += 1
    return fresh, lost


def _keep_extracted(
    kept_in: Store, patches: Sequence[str], path_of: Callable[[str], Path]
) -> tuple[dict[str, str], int]:
    """Copy what was cut (a person may write over it, so it is never linked)."""
    hashes, fresh = {}, 0
    for patch in patches:
        source = path_of(patch)
        if not source.is_file():
            continue
        hashes[patch] = sha256 = file_hash(source)
        if not kept_in.holds(sha256):
            hashes[patch] = kept_in.put_file(source).sha256
            fresh += 1
    return hashes, fresh


def _keep_drafts(kept_in: Store, folder: Path) -> tuple[dict[str, str], int]:
    """Copy what people paint just now; a draft that is replaced meanwhile is left out."""
    hashes, fresh = {}, 0
    for source in sorted(folder.glob(f"*{DRAFT}")):
        with suppress(OSError):
            body = source.read_bytes()
            hashes[source.name] = sha256 = hashlib.sha256(body).hexdigest()
            if not kept_in.holds(sha256):
                kept_in.put_bytes(body)
                fresh += 1
    return hashes, fresh


def _warnings(workspace: Workspace, folder: Path, lost: list[str]) -> list[str]:
    said = []
    if on_same_disk(workspace):
        said.append(
            f"{folder}: is on the same disk as the catalog, so one broken disk takes both; set "
            f"backup_dir in {FILE_NAME} to a folder of another disk."
        )
    if lost:
        said.append(
            f"{len(lost)} files are gone from the store or changed, the first {lost[0][:12]}...; "
            "tomocurate doctor lists them."
        )
    return said


def on_same_disk(workspace: Workspace) -> bool:
    """Return whether backups lie on the disk of the catalog (of the workspace, with PostgreSQL)."""
    beside = workspace.catalog_folder if workspace.catalog.file else workspace.folder
    with suppress(OSError):
        return workspace.backup_folder.stat().st_dev == beside.stat().st_dev
    return False


def _record_failure(workspace: Workspace, change: Change, kind: BackupKind, message: str) -> None:
    folder = str(workspace.backup_folder)
    with suppress(CatalogError), workspace.catalog.write() as session:
        add_backup(session, change, kind, folder, None, None, error=message)


def _drill_is_due(workspace: Workspace, now: datetime) -> bool:
    with workspace.catalog.read() as session:
        last = last_verified_backup(session)
    if last is None or last.verified_at is None:
        return True
    return not now - DRILL_EVERY <= last.verified_at <= now  # a date in the future is wrong


def _remove_old(workspace: Workspace, change: Change) -> None:
    """Remove what the rule no longer keeps; the last verified backup always stays.

    Backups of other catalogs in the same folder are theirs to remove.
    """
    there = own_manifests(workspace.backup_folder, workspace.catalog_id, workspace.catalog.name)
    with workspace.catalog.read() as session:
        verified = last_verified_backup(session)
    protected = {Path(verified.path).name} if verified else set()
    times = {path: time_of(path) for path in there}
    asked_since = change.at - ASKED_STAYS
    protected |= {
        path.name
        for path in there
        if times[path] > asked_since and not path.stem.endswith(f"-{BackupKind.DAILY}")
    }
    keep = backups_to_keep(times)
    gone = [path for path in there if path not in keep and path.name not in protected]
    for path in gone:
        _remove(path)
    for path in _unfinished_backups(workspace.backup_folder, change.at):
        _remove(path)
    if gone:
        with workspace.catalog.write() as session:
            note_removed(session, change, [str(path) for path in gone])


def _unfinished_backups(folder: Path, now: datetime) -> list[Path]:
    """Backups of yesterday or before whose manifest was never written: their writer was killed."""
    found = [path for end in ARCHIVES for path in folder.glob(f"catalog-*{end}")]
    ours = [path for path in found if NAME.match(path.stem) and not path.is_symlink()]
    old = [path for path in ours if time_of(path) < now - timedelta(days=1)]
    return [path for path in old if not path.with_suffix(".json").exists()]


def _remove(path: Path) -> None:
    """Remove a backup, its manifest first: without one it is none."""
    for end in (".json", *ARCHIVES):
        with suppress(OSError):
            path.with_suffix(end).unlink()


def _public_settings(workspace: Workspace) -> str:
    """The settings without passwords: those of an address, and lines that speak of secrets."""
    text = (workspace.folder / FILE_NAME).read_text(encoding="utf-8")
    text = re.sub(r"(?m)^.*(secret|password|token).*\n?", "", text)
    return re.sub(r"://([^:/@\s]+):[^@\s]*@", r"://\1@", text)
