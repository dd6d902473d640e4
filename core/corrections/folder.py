"""Scan a patch's correction folder: the files as they are now, and whose they are."""

import hashlib
import os
import pwd
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from core.corrections.names import check_slot_name
from core.corrections.store import check_size, open_steadily, same_moment
from core.errors import CorrectionError, FileChangedError, StoreError
from core.imaging.correction import may_be_correction
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.writes.corrections import accounts

_PIECE = 1 << 20


@dataclass(frozen=True)
class Author:
    """Author of a correction: a person, else the account that owns the file, else unknown."""

    id: int | None = None
    account: str | None = None


@dataclass(frozen=True)
class FileSnapshot:
    """A file as it was when it was read."""

    sha256: str
    size: int
    uid: int
    moment: tuple[int, int, int]
    """Its inode, time of change and size."""


@dataclass(frozen=True)
class FolderListing:
    """The corrections in a folder by name, and the names of what is none."""

    files: tuple[Path, ...]
    ignored_files: tuple[str, ...]


def snapshot(path: Path, limit: int | None = None) -> FileSnapshot:
    """Read a file once, whole, unless it is larger than ``limit`` bytes.

    Errors: StoreError where it is too large, a link, or cannot be read; FileChangedError where it
    changes meanwhile.
    """
    with open_steadily(path) as file:
        before = os.fstat(file.fileno())
        check_size(before.st_size, limit, path.name)
        digest = hashlib.sha256()
        try:
            while piece := file.read(_PIECE):
                digest.update(piece)
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror}).") from error
        if not same_moment(before, os.fstat(file.fileno())):
            raise FileChangedError(
                f"{path}: file changed while being read; it will be picked up once it is stable."
            )
    return FileSnapshot(digest.hexdigest(), before.st_size, before.st_uid, _moment(before))


def is_unchanged(path: Path, seen: FileSnapshot) -> bool:
    """Tell whether a file is still the one that a snapshot was taken of."""
    try:
        return _moment(path.lstat()) == seen.moment
    except OSError:
        return False


def list_folder(folder: Path) -> FolderListing:
    """List a correction folder; hidden files and folders are passed over.

    Errors: StoreError where it is a symbolic link or cannot be read.
    """
    if folder.is_symlink():
        raise StoreError(f"{folder}: is a symbolic link; replace it by a folder.")
    try:
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise StoreError(f"{folder}: cannot be listed ({error.strerror}).") from error
    seen = [
        path
        for path in paths
        if not path.name.startswith(".") and (not path.is_dir() or may_be_correction(path))
    ]
    files = tuple(path for path in seen if path.is_symlink() or may_be_correction(path))
    return FolderListing(files, tuple(path.name for path in seen if path not in files))


def check_file(file: Path, limit: int) -> None:
    """Refuse, without reading it, a file that cannot become a version as it is.

    Errors: CorrectionError for its name; StoreError for a link, its size, or its permissions.
    """
    if check_slot_name(file.name) != file.name:
        name = unicodedata.normalize("NFC", file.name)
        raise CorrectionError(
            f"{file.name!r}: rename it to {name!r}, with composed letters (Unicode NFC)."
        )
    try:
        status = file.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{file}: cannot be read ({error.strerror}).") from error
    if stat.S_ISLNK(status.st_mode):
        raise StoreError(f"{file}: is a symbolic link; copy the file itself.")
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{file}: not a regular file; save the correction as a file.")
    check_size(status.st_size, limit, file.name)
    if not os.access(file, os.R_OK, effective_ids=True):
        raise StoreError(
            f"{file}: cannot be read (Permission denied); its owner must let the group read it."
        )


def refused_files(folder: Path, limit: int) -> list[str]:
    """Say of each file in a correction folder that cannot become a version why it cannot.

    Errors: StoreError where the folder is a symbolic link or cannot be listed.
    """
    messages = []
    for file in list_folder(folder).files:
        try:
            check_file(file, limit)
        except TomocurateError as error:
            messages.append(str(error))
    return messages


def owner_of(workspace: Workspace, uid: int) -> Author:
    """Find the person whose account owns a file, else the account; never whoever collects."""
    try:
        account = pwd.getpwuid(uid).pw_name
    except KeyError:
        return Author(None, f"uid {uid}")
    with workspace.catalog.read() as session:
        person = accounts(session, [account]).get(account)
    return Author(person, account)


def _moment(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size
