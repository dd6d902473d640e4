"""Data roots: the folders below which tomograms lie, and nothing outside them is ever opened."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.access.permissions import Action, require
from core.errors import RootError, VolumeError
from core.lab.lab import Lab
from core.workspace.workspace import Workspace
from db.errors import UnknownNameError
from db.queries import volumes as queries
from db.queries.volumes import FileRecord
from db.writes import volumes as writes
from db.writes.events import Change

MAX_ENTRIES = 5_000
"""Of one folder that is shown; a longer one says that it was cut."""

VOLUMES = (".mrc", ".rec", ".map", ".st", ".mrc.gz", ".rec.gz", ".mrc.bz2", ".rec.bz2")
_NEVER = ("/", "/proc", "/sys", "/dev", "/etc", "/run", "/boot")
"""No folder of data, and much that is nobody's to read."""


@dataclass(frozen=True)
class ListedFile:
    """A file in a data root."""

    name: str
    size_bytes: int
    is_volume: bool
    """By its name; ``register`` looks inside."""
    registered_as: str | None
    """DATASET/TOKEN of the tomogram that it is."""


@dataclass(frozen=True)
class Listing:
    """The contents of a folder below a data root."""

    root: Path
    below: str
    """The folder's path below the root, with forward slashes; empty is the root itself."""
    folders: tuple[str, ...]
    files: tuple[ListedFile, ...]
    was_cut: bool = False


def list_roots(workspace: Workspace) -> tuple[Path, ...]:
    """List the data roots."""
    with workspace.catalog.read() as session:
        return queries.list_roots(session)


def add_root(lab: Lab, folder: Path) -> Path:
    """Let tomograms lie below a folder; one that is a root already is kept.

    Errors: RootError where it is no folder of data; NotAllowedError for all but admins.
    """
    resolved = checked_root(folder)
    with lab.catalog.write() as session:
        require(session, lab.person, Action.ADD_ROOT)
        writes.add_root(session, Change.now(lab.person.id), resolved)
    return resolved


def move_root(lab: Lab, old: Path, new: Path) -> int:
    """State that a data root moved, with all its files; give how many are registered below it.

    Errors: RootError where a registered file is not there, or has another size;
    UnknownNameError; NotAllowedError.
    """
    with lab.catalog.read() as session:
        require(session, lab.person, Action.ADD_ROOT)
        files = queries.files_below(session, old)
    resolved = checked_root(new)
    for file in files:
        _check_moved(resolved / file.path, file.size_bytes)
    # a copy on another disk has new times; without a hash its size is all there is to compare
    touched = {
        file.path: (file.mtime_ns, (resolved / file.path).stat().st_mtime_ns)
        for file in files
        if file.content_hash is None
    }
    with lab.catalog.write() as session:
        require(session, lab.person, Action.ADD_ROOT)
        writes.move_root(session, Change.now(lab.person.id), old, resolved, touched)
    return len(files)


def checked_root(folder: Path) -> Path:
    """Resolve a folder that is to be a data root.

    Errors: RootError where it is none, or one that holds the system.
    """
    resolved = _resolve(folder)
    if not resolved.is_dir():
        raise RootError(f"{folder}: not a folder; name the folder that tomograms lie in.")
    if any(resolved == Path(never) for never in _NEVER) or _below_system(resolved):
        raise RootError(f"{folder}: belongs to the system; name the folder that tomograms lie in.")
    return resolved


def resolve_below_root(workspace: Workspace, path: Path | str) -> Path:
    """Resolve all links of a path that must lie below a data root.

    Errors: RootError for what lies outside, does not exist, or is no regular file.
    """
    roots = list_roots(workspace)
    return resolve_below(roots, path)


def resolve_below(roots: tuple[Path, ...], path: Path | str) -> Path:
    """Resolve a path as ``contained`` does, for known roots."""
    # Whether something is there is told only below the roots.
    resolved = _resolve(path, strict=False)
    if not any(resolved.is_relative_to(root) for root in roots):
        raise RootError(
            f"{path}: lies below no data root; an admin adds its folder by registering on the "
            "command line."
        )
    check_regular(resolved)
    return resolved


def check_regular(path: Path) -> None:
    """Check that a path is a regular file, not a folder, pipe or device.

    Errors: RootError.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise RootError(f"{path}: cannot be read ({error.strerror}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise RootError(f"{path}: is not a regular file; name a volume file.")


def check_there(on_disk: FileRecord) -> None:
    """Check that a registered file is where it was registered.

    Errors: VolumeError says what to do.
    """
    if not on_disk.file.exists():
        raise VolumeError(
            f"{on_disk.file}: is gone. If its folder moved, an admin runs: tomocurate roots move "
            f"{on_disk.root} NEW_FOLDER; if only this file did: tomocurate relocate TOMOGRAM FILE"
        )


def browse(lab: Lab, root: Path, below: str = "") -> Listing:
    """List a folder of a data root; links that lead out of it are left out.

    Errors: RootError for a folder that is not there or outside; UnknownNameError for no root.
    """
    with lab.catalog.read() as session:
        require(session, lab.person, Action.REGISTER)
    roots = list_roots(lab.workspace)
    if root not in roots:
        raise UnknownNameError.among("data root", str(root), map(str, roots))
    folder = _resolve(root / below)
    if not folder.is_relative_to(root) or not folder.is_dir():
        raise RootError(f"{below[:200]!r}: not a folder below {root}; go back to the root.")
    entries, was_cut = _entries(folder)
    inside = [entry for entry in entries if _stays_in(entry, root)]
    folders = sorted(entry.name for entry in inside if entry.is_dir())
    files = tuple(
        _list_entries(lab.workspace, folder, [entry for entry in inside if entry.is_file()])
    )
    return Listing(root, _relative(folder, root), tuple(folders), files, was_cut)


def is_volume_name(name: str) -> bool:
    """Tell a volume file by its name."""
    return name.lower().endswith(VOLUMES)


def _list_entries(
    workspace: Workspace, folder: Path, entries: list[os.DirEntry[str]]
) -> Iterator[ListedFile]:
    with workspace.catalog.read() as session:
        registered = queries.tomograms_in(session, folder)
    for entry in sorted(entries, key=lambda entry: entry.name):
        size = entry.stat().st_size
        yield ListedFile(entry.name, size, is_volume_name(entry.name), registered.get(entry.name))


def _entries(folder: Path) -> tuple[list[os.DirEntry[str]], bool]:
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not _is_text(entry.name):
                    continue
                if len(found) == MAX_ENTRIES:
                    return found, True
                found.append(entry)
    except OSError as error:
        raise RootError(f"{folder}: cannot be listed ({error.strerror}).") from error
    return found, False


def _stays_in(entry: os.DirEntry[str], root: Path) -> bool:
    if not entry.is_symlink():
        return True
    try:
        return Path(entry.path).resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _check_moved(path: Path, size_bytes: int) -> None:
    check_regular(path)
    size = path.stat().st_size
    if size != size_bytes:
        raise RootError(
            f"{path}: has {size} bytes, but {size_bytes} were registered; another file; name "
            "the folder that the files moved to."
        )


def _resolve(path: Path | str, *, strict: bool = True) -> Path:
    text = os.fspath(path)
    if "\0" in text or "://" in text or text.startswith("\\\\"):
        raise RootError(f"{text[:200]!r}: not a local path; name a file or folder.")
    if not _is_text(text):
        raise RootError(f"{text[:200]!r}: its name is not UTF-8; rename it.")
    try:
        return Path(text).resolve(strict=strict)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "a link that leads to itself"
        raise RootError(f"{text[:300]}: cannot be read ({reason}); check the path.") from error


def _is_text(name: str) -> bool:
    """Tell whether a file name can be written down (Linux takes any bytes for one)."""
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def _below_system(folder: Path) -> bool:
    return any(folder.is_relative_to(never) for never in _NEVER if never not in ("/", "/run"))


def _relative(folder: Path, root: Path) -> str:
    below = folder.relative_to(root).as_posix()
    return "" if below == "." else below
