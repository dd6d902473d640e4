"""Whole files or none: write beside the target, flush to disk, then rename."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import OutputError

_SHARED = stat.S_ISGID | stat.S_IWGRP
"""Mode bits of a folder that a group works in."""

PARTIAL = ".partial-"
"""How the name of a file begins while it is written; a killed process can leave one."""


@contextmanager
def whole_file(target: Path, *, exist_ok: bool = True, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary path beside ``target``; on success it becomes the target, at once.

    On any error, an interrupt included, nothing is left behind. With ``exist_ok=False`` a target
    that appeared meanwhile is kept. The file has ``mode`` from its first byte, less the umask; in
    a folder that a group shares the umask does not take away the group's part.

    Errors: OutputError names the folder or file and what would make it writable.
    """
    temporary = target.with_name(f"{PARTIAL}{os.getpid()}-{os.urandom(6).hex()}")
    try:
        _create(temporary, mode)
    except OSError as error:
        raise _cannot_write(target, error) from error
    try:
        yield temporary
        _publish(temporary, target, exist_ok)
    except FileExistsError as error:
        raise OutputError(f"{target}: appeared while it was being written; run again.") from error
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _create(path: Path, mode: int) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        if path.parent.stat().st_mode & _SHARED == _SHARED:
            os.fchmod(descriptor, os.fstat(descriptor).st_mode | mode & 0o060)
    finally:
        os.close(descriptor)


@contextmanager
def staged_file(folder: Path, fill: Callable[[Path], object]) -> Iterator[Path]:
    """Write a file in a folder under a temporary name, on disk to the last byte.

    Whoever renames it within the block keeps it; otherwise it is removed.

    Errors: OutputError.
    """
    temporary = folder / f"{PARTIAL}{os.getpid()}-{os.urandom(6).hex()}"
    try:
        _create(temporary, 0o666)
        fill(temporary)
        _sync(temporary)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise _cannot_write(folder, error) from error
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink()


def open_regular(path: Path) -> BinaryIO:
    """Open a file that somebody brings; a pipe or device is refused, not waited for.

    Errors: OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    return os.fdopen(descriptor, "rb")


def make_folder(folder: Path) -> None:
    """Make one folder; its parent must be there already (a mistyped path makes no tree)."""
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        raise OutputError(
            f"{folder}: its parent folder {folder.parent} does not exist; make it first."
        ) from error
    except FileExistsError as error:
        raise OutputError(f"{folder}: a file is in the way; name a folder.") from error
    except OSError as error:
        raise _cannot_write(folder, error) from error


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    _sync(folder)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(temporary: Path, target: Path, exist_ok: bool) -> None:
    _sync(temporary)
    if exist_ok:
        temporary.replace(target)
    else:
        os.link(temporary, target)
    sync_folder(target.parent)


def _cannot_write(target: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{target}: cannot be written ({error.strerror or error}); "
        "name a folder that exists, may be written to and has space."
    )
