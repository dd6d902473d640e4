"""Open a zip that somebody sent: listed and bounded before anything of it is inflated.

Python's zipfile reads a directory of any size, follows what a Zip64 record claims, and tells
nothing of twins, links and names that leave the folder. So all that is looked at first, and the
archive is refused whole.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from core.errors import ArchiveError
from core.files.atomic import opened_regular

MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 4 << 20
MAX_INFLATED = 4 << 30
MAX_RATIO = 1100
"""Deflate cannot shrink more than 1032 to 1."""

_END, _END_64, _END_BYTES = b"PK\x05\x06", b"PK\x06\x07", 22
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Member:
    """A file in an archive, by its path with forward slashes."""

    path: PurePosixPath
    size: int
    info: zipfile.ZipInfo


@dataclass(frozen=True)
class Archive:
    """An opened archive that was found safe."""

    members: tuple[Member, ...]
    opened: zipfile.ZipFile

    @contextmanager
    def read(self, member: Member) -> Iterator[BinaryIO]:
        """A member's bytes; no more than its directory promised are given.

        Errors: ArchiveError for damaged bytes.
        """
        try:
            with self.opened.open(member.info) as file:
                yield cast(BinaryIO, file)  # zipfile says IO[bytes], which is the same
        except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
            raise ArchiveError(f"{member.path}: is damaged ({error}); zip it again.") from error


@contextmanager
def open_archive(file: BinaryIO, name: str) -> Iterator[Archive]:
    """Open a zip; ``name`` is what people call it.

    Errors: ArchiveError for what is no zip, not safe, or too large.
    """
    _check_directory(file, name)
    try:
        opened = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise ArchiveError(f"{name}: cannot be read as a zip ({error}).") from error
    with opened:
        yield Archive(tuple(_members(opened, name)), opened)


def _check_directory(file: BinaryIO, name: str) -> None:
    """The end record, before the directory that it names is read."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_BYTES - 0xFFFF - 20))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        raise ArchiveError(f'{name}: is no zip; zip the folder "corrections" and send that.')
    entries, length = struct.unpack_from("<HI", tail, at + 10)
    if tail[max(0, at - 20) : at].startswith(_END_64) or length > MAX_DIRECTORY_BYTES:
        raise ArchiveError(f"{name}: claims to hold far more than corrections; zip them alone.")
    if entries > MAX_MEMBERS:
        raise ArchiveError(f"{name}: holds {entries} files, more than {MAX_MEMBERS}.")


def _members(opened: zipfile.ZipFile, name: str) -> Iterator[Member]:
    seen: set[str] = set()
    total = 0
    infos = opened.infolist()
    if len(infos) > MAX_MEMBERS:
        raise ArchiveError(f"{name}: holds {len(infos)} files, more than {MAX_MEMBERS}.")
    for info in infos:
        _check_name(info, name)
        _check_kind(info, name)
        folded = info.filename.rstrip("/").casefold()
        if folded in seen:
            raise ArchiveError(f"{name}: holds {_shown(info)} twice, perhaps in another case.")
        seen.add(folded)
        total += info.file_size
        if total > MAX_INFLATED or info.file_size > MAX_RATIO * max(info.compress_size, 1):
            raise ArchiveError(
                f"{name}: {_shown(info)} claims to inflate to {info.file_size} bytes; that is no "
                "honest archive."
            )
        if not info.is_dir():
            yield Member(PurePosixPath(info.filename), info.file_size, info)


def _check_name(info: zipfile.ZipInfo, name: str) -> None:
    stored = info.orig_filename
    parts = stored.rstrip("/").split("/")
    leaves = stored.startswith("/") or "\\" in stored or ":" in parts[0]
    if leaves or any(part in ("", ".", "..") for part in parts) or "\0" in stored:
        raise ArchiveError(f"{name}: holds {_shown(info)}, a name that leaves its folder.")


def _check_kind(info: zipfile.ZipInfo, name: str) -> None:
    mode = info.external_attr >> 16
    if info.header_offset < 0:  # its directory counts from a beginning that is not there
        raise ArchiveError(f"{name}: was cut short; copy or zip it again.")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"{name}: holds {_shown(info)}, which is a link or no file at all.")
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveError(f"{name}: is encrypted; zip it without a password.")
    if info.compress_type not in _METHODS:
        raise ArchiveError(f"{name}: {_shown(info)} is packed in a way that few can read; use zip.")


def _shown(info: zipfile.ZipInfo) -> str:
    return repr(info.orig_filename[:80])


def opened_file(path: Path) -> BinaryIO:
    """Open an archive on disk.

    Errors: ArchiveError.
    """
    try:
        return opened_regular(path)
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read ({error.strerror}).") from error
