"""Restore a backup to a new folder: a whole workspace, its catalog migrated if it is older."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from core.corrections.store import Store
from core.errors import BackupError, OutputError
from core.files.atomic import sync_folder, whole_file
from core.maintenance.kept_files import link_or_copy
from core.maintenance.manifest import (
    STORE,
    Manifest,
    check_archive,
    check_files,
    find_backup,
    read_manifest,
)
from core.patches.record import refresh_records
from core.workspace.folders import Folders, make_shared
from core.workspace.settings import FILE_NAME, Settings
from core.workspace.workspace import Workspace, bind
from db import backup as copies
from db.engine import parse_url, sqlite_url
from db.queries.maintenance import FileOfPatch, current_labels, latest_corrections
from db.schema import migrate, open_catalog


def restore(backup: Path, to: Path, catalog_url: str | None = None) -> Path:
    """Make a workspace out of a backup, in a new or empty folder; give the folder.

    ``backup`` is a manifest, a catalog's copy, or a folder of backups (its newest). A PostgreSQL
    backup goes into the empty database of ``catalog_url``. An older schema is migrated after.

    Errors: BackupError for a damaged backup or a folder that is not empty; CatalogError.
    """
    path = find_backup(backup, None) if backup.is_dir() else backup.with_suffix(".json")
    manifest = read_manifest(path)
    to = to.absolute()
    _check_empty(to)
    check_archive(path, manifest)
    check_files(path.parent, manifest)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=to.parent))
    try:
        _unpack(path.parent, manifest, partial, catalog_url)
        partial.replace(to)
        sync_folder(to.parent)
    except OSError as error:
        raise OutputError(
            f"{to}: cannot be written ({error.strerror or error}); make space."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return to


def _unpack(kept: Path, manifest: Manifest, folder: Path, catalog_url: str | None) -> None:
    """Fill a folder: catalog, settings, store, and the guide's folders out of the store."""
    make_shared(folder)
    folder.chmod(0o2775)
    folders = Folders(folder)
    folders.make()
    url = parse_url(catalog_url) if catalog_url else sqlite_url(folder / "catalog.sqlite")
    copies.load(kept / manifest.archive, url)
    migrate(url)
    copies.make_independent(url)
    _write_settings(folder, manifest, catalog_url)
    for sha256 in manifest.stored:
        link_or_copy(Store(kept / STORE).path_of(sha256), Store(folders.store), sha256)
    for hashes, path_of in (
        (manifest.labels, folders.label_of),
        (manifest.images, folders.image_of),
        (manifest.drafts, folders.drafts.joinpath),
    ):
        for name, sha256 in hashes.items():
            make_shared(path_of(name).parent)
            shutil.copyfile(Store(kept / STORE).path_of(sha256), path_of(name))
    with Workspace(folder, Settings(), open_catalog(url)) as workspace:
        bind(workspace)
        put_files_back(workspace)
        refresh_records(workspace)


def put_files_back(workspace: Workspace) -> None:
    """Lay the latest corrections and labels of a catalog into the guide's folders, from the store.

    A file that is there already is left as it is.
    """
    folders, store = workspace.folders, Store(workspace.folders.store)
    with workspace.catalog.read() as session:
        corrections = latest_corrections(session)
        labels = current_labels(session)
    for correction in corrections:
        inside = folders.withdrawn_of if correction.withdrawn else folders.corrections_of
        if not correction.missing:
            make_shared(folders.corrections_of(correction.patch))
            make_shared(inside(correction.patch))
            _lay(store, correction, inside(correction.patch) / correction.name)
    for correction in labels:
        _lay(store, correction, folders.merged_of(correction.patch))


def _lay(store: Store, patch: FileOfPatch, target: Path) -> None:
    source = store.path_of(patch.sha256)
    if source.is_file() and not os.path.lexists(target):
        shutil.copyfile(source, target)


def _write_settings(folder: Path, manifest: Manifest, catalog_url: str | None) -> None:
    """Write the settings as they were, with the catalog where it lies now.

    ``backup_dir`` is commented out: it is the folder of the original's backups.
    """
    stated = catalog_url or "catalog.sqlite"
    line = "catalog = " + _quote_toml(stated)
    kept = re.sub(r"(?m)^(\s*backup_dir\s*=)", r"# of the original: \1", manifest.settings)
    kept = re.sub(r"(?m)^\s*catalog\s*=.*$", lambda _: line, kept, count=1)
    text = kept if line in kept else f"{line}\n{kept}"
    mode = 0o600 if Settings(catalog=stated).holds_password else 0o664
    with whole_file(folder / FILE_NAME, mode=mode) as partial:
        partial.write_text(text, encoding="utf-8")


def _quote_toml(text: str) -> str:
    """A TOML basic string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check_empty(to: Path) -> None:
    if not to.parent.is_dir():
        raise BackupError(f"{to.parent}: is no folder; make it first.")
    if os.path.lexists(to) and (not to.is_dir() or any(to.iterdir())):
        raise BackupError(f"{to}: is not empty; a backup is restored to a new folder.")
