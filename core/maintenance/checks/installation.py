"""Examine what a workspace stands on: disks, folders, versions, secrets."""

import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.maintenance.checks.findings import BAD, OK, WARN, Finding, name_some
from core.workspace.folders import Folders
from core.workspace.workspace import Workspace
from db.engine import wal_is_safe
from db.filesystems import mount_of

FLOORS: Mapping[str, tuple[int, ...]] = {
    "streamlit": (1, 67),
    "starlette": (0, 49, 1),
    "sqlalchemy": (2, 0, 30),
    "alembic": (1, 13),
    "pillow": (10, 3),
    "numpy": (1, 26),
}
"""Older ones lack what we use, or have known holes (starlette: CVE-2025-62727)."""

LITTLE_BYTES, TOO_LITTLE_BYTES = 5 << 30, 1 << 30
NOT_DURABLE = ("tmpfs", "ramfs", "overlay")
SECRETS = ("*.key", "*.secret", "secrets.toml", "*.pgpass")


def file_systems(workspace: Workspace, mountinfo: str | None = None) -> Iterator[Finding]:
    """Check the file systems of catalog and workspace; ``mountinfo`` as in ``mount_of``."""
    file = workspace.catalog.file
    if file is not None:
        yield _catalog_disk(file, mountinfo)
    mount = mount_of(workspace.folder, mountinfo)
    if mount is None:
        yield Finding("workspace", WARN, f"{workspace.folder}: its file system is not known.")
    elif mount.is_network:
        yield Finding(
            "workspace", OK, f"{workspace.folder}: is shared over a network ({mount.kind})."
        )
    else:
        yield Finding("workspace", OK, f"{workspace.folder}: is on a local disk ({mount.kind}).")


def _catalog_disk(file: Path, mountinfo: str | None) -> Finding:
    mount = mount_of(file.parent, mountinfo)
    if mount is None:
        return Finding("catalog disk", WARN, f"{file}: its file system is not known.")
    if mount.is_network:
        message = (
            f"{file}: lies on a network file system ({mount.kind} at {mount.point}), where SQLite "
            "loses data; put it on a local disk, or use PostgreSQL."
        )
        return Finding("catalog disk", BAD, message)
    if mount.kind in NOT_DURABLE:
        message = f"{file}: lies on {mount.kind}, which does not outlive this machine or container."
        return Finding("catalog disk", WARN, message)
    return Finding("catalog disk", OK, f"{file}: is on a local disk ({mount.kind}).")


def sqlite_library(workspace: Workspace) -> Iterator[Finding]:
    """The SQLite library, and the journal that the catalog keeps because of it."""
    if workspace.catalog.file is None:
        return
    safe = wal_is_safe(sqlite3.sqlite_version_info)
    with workspace.catalog.read() as session:
        journal = str(session.connection().exec_driver_sql("PRAGMA journal_mode").scalar())
    message = f"SQLite {sqlite3.sqlite_version} with journal {journal.upper()}"
    if safe:
        yield Finding("sqlite", OK, f"{message}.")
    elif journal.lower() == "wal":
        message += ": this library can corrupt a WAL catalog; SQLite 3.51.3 does not."
        yield Finding("sqlite", BAD, message)
    else:
        yield Finding("sqlite", OK, f"{message}: chosen since this library's WAL is not safe.")


def versions(floors: Mapping[str, tuple[int, ...]]) -> Iterator[Finding]:
    """Check that installed packages are not older than required."""
    old = []
    for name, floor in floors.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            old.append(f"{name} is not installed")
            continue
        if _numbers(found) < floor:
            old.append(f"{name} {found} is older than {'.'.join(map(str, floor))}")
    if old:
        yield Finding("versions", BAD, f"{'; '.join(old)}: install tomocurate anew.")
    else:
        yield Finding("versions", OK, "every library is new enough.")


def versions_of(workspace: Workspace) -> Iterator[Finding]:
    """Check the installed libraries, whatever the workspace."""
    del workspace
    yield from versions(FLOORS)


def folders_of(workspace: Workspace) -> Iterator[Finding]:
    """The folders are there, ours to write, and a group's to share."""
    folders = Folders(workspace.folder)
    expected = (
        folders.images,
        folders.labels,
        folders.records,
        folders.corrections,
        folders.merged,
        folders.exports,
        folders.store,
        folders.cache,
        workspace.backup_folder,
    )
    missing = [str(item) for item in expected if not item.is_dir()]
    there = [item for item in expected if item.is_dir()]
    closed = [str(item) for item in there if not os.access(item, os.W_OK | os.X_OK)]
    shared = stat.S_IWGRP | stat.S_ISGID
    alone = [str(item) for item in there if item.stat().st_mode & shared != shared]
    if missing:
        yield Finding(
            "folders", WARN, f"not there: {name_some(missing)}; they are made when needed."
        )
    if closed:
        yield Finding("folders", BAD, f"not writable for this account: {name_some(closed)}.")
    if alone:
        message = (
            f"not group-writable with setgid: {name_some(alone)}; chmod g+ws lets a group share."
        )
        yield Finding("folders", WARN, message)
    if not (missing or closed or alone):
        yield Finding("folders", OK, "every folder is there, writable and shared with its group.")


def disk_space(workspace: Workspace) -> Iterator[Finding]:
    """Room on the disks of workspace, catalog and backups."""
    places = {workspace.folder, workspace.catalog_folder, workspace.backup_folder}
    free: dict[int, tuple[int, Path]] = {}
    for place in sorted(places):
        if place.is_dir():
            free[place.stat().st_dev] = (shutil.disk_usage(place).free, place)
    for bytes_free, place in free.values():
        message = f"{bytes_free / 1e9:.1f} GB are free at {place}"
        if bytes_free < TOO_LITTLE_BYTES:
            yield Finding("disk space", BAD, f"only {message}; make space before work is lost.")
        elif bytes_free < LITTLE_BYTES:
            yield Finding("disk space", WARN, f"only {message}; make space soon.")
        else:
            yield Finding("disk space", OK, f"{message}.")


def secrets_of(workspace: Workspace) -> Iterator[Finding]:
    """Secrets are their owner's alone to read."""
    folder = workspace.catalog_folder
    found = [path for pattern in SECRETS for path in folder.glob(pattern)]
    open_to = [str(path) for path in found if path.stat().st_mode & 0o077]
    if open_to:
        message = f"others may read {name_some(open_to)}; chmod 600, and renew what they hold."
        yield Finding("secrets", BAD, message)
    else:
        yield Finding("secrets", OK, f"{len(found)} secrets, readable by their owner alone.")


def _numbers(message: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", message.split("+")[0])[:3])
