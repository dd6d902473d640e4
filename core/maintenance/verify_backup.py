"""Try a backup out: restore it to a temporary place and compare rows and hashes."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.access.permissions import Action, require
from core.errors import BackupError
from core.maintenance.manifest import (
    Manifest,
    check_archive,
    check_files,
    find_backup,
    own_manifests,
    read_manifest,
)
from core.workspace.workspace import Workspace
from db import backup as copies
from db.queries.people import PersonRecord
from db.writes.backups import note_verified
from db.writes.events import Change


@dataclass(frozen=True)
class Verified:
    """A backup that was restored on trial, and what was compared."""

    name: str
    rows: int
    files: int


def verify_backup(workspace: Workspace, by: PersonRecord, name: str | None = None) -> Verified:
    """Restore a backup (the newest, unless named) to a temporary place and compare it, as an admin.

    Errors: NotAllowedError; BackupError says what differs.
    """
    with workspace.catalog.read() as session:
        require(session, by, Action.BACK_UP)
    return try_backup(workspace, by.id, name)


def try_backup(workspace: Workspace, by_id: int | None, name: str | None = None) -> Verified:
    """Restore a backup (the newest, unless named) to a temporary place, compare it, record it.

    Errors: BackupError says what differs.
    """
    path = _newest(workspace) if name is None else find_backup(workspace.backup_folder, name)
    manifest = read_manifest(path)
    check_archive(path, manifest)
    check_files(path.parent, manifest)
    _try_out(path.parent / manifest.archive, manifest, workspace)
    with workspace.catalog.write() as session:
        note_verified(session, Change.now(by_id), str(path))
    return Verified(manifest.name, sum(manifest.counts.values()), manifest.files)


def _newest(workspace: Workspace) -> Path:
    """Return the newest backup of this catalog; the folder may hold another's too."""
    folder, name = workspace.backup_folder, workspace.catalog.name
    own = [path.stem for path in own_manifests(folder, workspace.catalog_id, name)]
    newest = find_backup(folder, None)
    return newest if newest.stem in own or not own else find_backup(folder, own[-1])


def _try_out(archive: Path, manifest: Manifest, workspace: Workspace) -> None:
    """Restore the catalog to a temporary place and count it there."""
    if archive.suffix == ".sqlite":
        with tempfile.TemporaryDirectory(prefix="tomocurate-") as folder:
            copy = Path(shutil.copy(archive, folder))
            held = copies.look_into(copy)
    else:
        copies.check_archive(archive)
        with copies.trial_database(workspace.catalog.url) as url:
            copies.load(archive, url)
            held = copies.contents(url)
    if held.counts != manifest.counts or held.stored != manifest.stored:
        raise BackupError(f"{archive}: restores, but to other rows than its manifest counts.")
