"""What stands in a patch's correction folder: files as they are now, and whose they are."""

import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from core.corrections.store import open_steadily, same_moment
from core.errors import StoreError
from core.imaging.correction import may_be_correction
from core.workspace.workspace import Workspace
from db.writes.corrections import accounts

_PIECE = 1 << 20


@dataclass(frozen=True)
class Author:
    """Who painted a correction: a person, or the account that owns the file, or nobody knows."""

    id: int | None = None
    account: str | None = None


@dataclass(frozen=True)
class Look:
    """A file as it was when somebody looked."""

    sha256: str
    size: int
    uid: int


@dataclass(frozen=True)
class Listed:
    """The corrections in a folder by name, and the names of what is none."""

    files: tuple[Path, ...]
    strays: tuple[str, ...]


def look(path: Path) -> Look:
    """Read a file once, whole.

    Errors: StoreError where it cannot be read, is a link, or changes meanwhile.
    """
    with open_steadily(path) as file:
        before = os.fstat(file.fileno())
        digest = hashlib.sha256()
        while piece := file.read(_PIECE):
            digest.update(piece)
        if not same_moment(before, os.fstat(file.fileno())):
            raise StoreError(f"{path}: changes while it is read; it is taken when it rests.")
    return Look(digest.hexdigest(), before.st_size, before.st_uid)


def list_folder(folder: Path) -> Listed:
    """What lies in a correction folder; hidden files and folders are not told.

    Errors: StoreError where it cannot be read.
    """
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
    return Listed(files, tuple(path.name for path in seen if path not in files))


def owner_of(workspace: Workspace, uid: int) -> Author:
    """The person whose account owns a file, else the account; never whoever looks."""
    try:
        account = pwd.getpwuid(uid).pw_name
    except KeyError:
        return Author(None, f"uid {uid}")
    with workspace.catalog.read() as session:
        person = accounts(session, [account]).get(account)
    return Author(person, account)
