"""The store: every submitted correction and merged label, whole, under the sha256 of its bytes.

Nothing in it is ever changed or removed, so that a label can be made again from what its record
names. Files lie under store/ab/cdef..., read-only. What arrives lies under no final name until it
is kept.
"""

import filecmp
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.errors import FileChangedError, OutputError, StoreError
from core.files.atomic import PARTIAL, sync_folder, whole_file
from core.imaging.hashes import file_hash
from core.workspace.folders import make_shared

READ_ONLY = 0o444
MAX_REFUSED = 1000
MAX_REFUSED_BYTES = 1 << 30
"""Of refused files so many are kept, the latest ones."""

_PIECE = 1 << 20


@dataclass(frozen=True)
class Stored:
    """A file of the store: its identity, its size in bytes, and where it lies."""

    sha256: str
    size: int
    path: Path


@dataclass(frozen=True)
class Arrived:
    """A copy of what was brought, before anybody looked into it."""

    path: Path
    sha256: str
    size: int


class Store:
    """A folder of files that are named by what they hold. Any number of processes may add."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, sha256: str) -> Path:
        """Return the path for a hash."""
        return self.folder / sha256[:2] / sha256[2:]

    def holds(self, sha256: str) -> bool:
        return self.path_of(sha256).is_file()

    def put_bytes(self, data: bytes) -> Stored:
        """Keep bytes; the same bytes are kept once.

        Errors: OutputError.
        """
        with self.arrive(data) as arrived:
            return self.keep(arrived)

    def put_file(self, path: Path) -> Stored:
        """Keep a copy of a file as it is now; the file itself stays where it is.

        Errors: OutputError; StoreError where it cannot be read.
        """
        with self.arrive(path) as arrived:
            return self.keep(arrived)

    def put_made(self, fill: Callable[[Path], None]) -> Stored:
        """Keep what a function writes to the path that it is given.

        Errors: OutputError.
        """
        make_shared(self.folder)
        partial = self._partial()
        try:
            fill(partial)
            return self.keep(Arrived(partial, file_hash(partial), partial.stat().st_size))
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        finally:
            with suppress(OSError):
                partial.unlink()

    @contextmanager
    def arrive(
        self, source: Path | bytes | BinaryIO, limit: int | None = None
    ) -> Iterator[Arrived]:
        """Copy what somebody brings beside the store; it leaves with the block unless kept.

        Errors: OutputError; StoreError for what cannot be read, is no regular file, changes while
        it is read, or holds more bytes than the limit.
        """
        make_shared(self.folder)
        partial = self._partial()
        try:
            yield _copy_in(source, partial, limit)
        finally:
            with suppress(OSError):
                partial.unlink()

    def keep(self, arrived: Arrived) -> Stored:
        """Give what arrived its name for ever; a stored copy that was damaged is replaced.

        Errors: OutputError.
        """
        target = self.path_of(arrived.sha256)
        if not _holds(target, arrived):
            if not target.parent.is_dir():
                make_shared(target.parent)
                sync_folder(self.folder)
            _publish(arrived, target)
        return Stored(arrived.sha256, arrived.size, target)

    def checked(self, sha256: str, what: str) -> Path:
        """Return the path of a hash after verifying its bytes; ``what`` names them in errors.

        Errors: StoreError where the file is gone or holds other bytes.
        """
        path = self.path_of(sha256)
        try:
            found = file_hash(path)
        except OSError as error:
            raise StoreError(
                f"{what}: its file is gone from the store ({path}: {error.strerror}); restore it "
                "from a backup."
            ) from error
        if found != sha256:
            raise StoreError(
                f"{what}: its file in the store has other bytes than were kept ({path} has sha256 "
                f"{found[:12]}…); restore it from a backup."
            )
        return path

    def _partial(self) -> Path:
        return self.folder / f"{PARTIAL}{os.getpid()}-{os.urandom(6).hex()}"


def refuse(arrived: Arrived, folder: Path) -> None:
    """Keep a file that cannot be used apart, for whoever wants to know why; old ones leave.

    Errors: OutputError.
    """
    make_shared(folder)
    target = folder / arrived.sha256
    if not _holds(target, arrived):
        _publish(arrived, target)
    _make_room(folder)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all, over what is there.

    Errors: OutputError.
    """
    with whole_file(target) as partial:
        shutil.copyfile(source, partial)


def same_bytes(path: Path, other: Path) -> bool:
    """Return whether two files are there and hold the same."""
    try:
        return path.stat().st_size == other.stat().st_size and filecmp.cmp(path, other, False)
    except OSError:
        return False


def open_steadily(path: Path) -> BinaryIO:
    """Open a regular file to read, without waiting for anybody and through no link.

    Errors: StoreError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise StoreError(f"{path}: is a symbolic link; copy the file itself.") from error
        raise StoreError(f"{path}: cannot be read ({error.strerror}).") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(f"{path}: not a regular file; save the correction as a file.")
    return os.fdopen(descriptor, "rb")


def same_moment(before: os.stat_result, after: os.stat_result) -> bool:
    """Return whether a file was left alone between two looks at it."""
    return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def _copy_in(source: Path | bytes | BinaryIO, partial: Path, limit: int | None) -> Arrived:
    try:
        with partial.open("xb") as out:
            if isinstance(source, bytes):
                check_size(len(source), limit, "the file")
                out.write(source)
                return Arrived(partial, hashlib.sha256(source).hexdigest(), len(source))
            if not isinstance(source, Path):
                return Arrived(partial, *_pour(source, out, limit, "the file"))
            with open_steadily(source) as file:
                return Arrived(partial, *_copy_bounded(source, file, out, limit))
    except OSError as error:
        raise _cannot_write(partial.parent, error) from error


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{folder}: cannot be written ({error.strerror or error}); make space, and let the group "
        "write there."
    )


def _copy_bounded(
    source: Path, file: BinaryIO, out: BinaryIO, limit: int | None
) -> tuple[str, int]:
    before = os.fstat(file.fileno())
    check_size(before.st_size, limit, source.name)
    poured = _pour(file, out, limit, source.name)
    if not same_moment(before, os.fstat(file.fileno())):
        raise FileChangedError(f"{source}: changed while it was read; try again when it is saved.")
    return poured


def _pour(file: BinaryIO, out: BinaryIO, limit: int | None, name: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        digest.update(piece)
        size += out.write(piece)
        check_size(size, limit, name)
    return digest.hexdigest(), size


def check_size(size: int, limit: int | None, name: str) -> None:
    """Refuse what is larger than a workspace takes.

    Errors: StoreError.
    """
    if limit is not None and size > limit:
        raise StoreError(
            f"{name}: holds more than the {limit >> 20} MB that this workspace takes (upload_mb); "
            "save it compressed, or only the patch."
        )


def _publish(arrived: Arrived, target: Path) -> None:
    with whole_file(target) as beside:
        arrived.path.replace(beside)
        beside.chmod(READ_ONLY)


def _holds(path: Path, arrived: Arrived) -> bool:
    with suppress(OSError):
        return path.stat().st_size == arrived.size and file_hash(path) == arrived.sha256
    return False


def _make_room(folder: Path) -> None:
    """Let the oldest refused files leave until the rest is within bounds."""
    found = [(entry.stat().st_mtime_ns, entry) for entry in os.scandir(folder) if entry.is_file()]
    kept = total = 0
    for _, entry in sorted(found, key=lambda each: each[0], reverse=True):
        kept, total = kept + 1, total + entry.stat().st_size
        if (kept > MAX_REFUSED or total > MAX_REFUSED_BYTES) and kept > 1:
            Path(entry).unlink(missing_ok=True)
