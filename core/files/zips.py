"""Open a zip that somebody sent: listed and bounded before anything of it is inflated.

Python's zipfile reads a directory of any size and tells nothing of twins, links and names that
leave the folder. So all that is looked at first, and the archive is refused whole. Format:
https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (end record 4.3.16, Zip64 4.3.14).
"""

import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from core.errors import ArchiveError
from core.files.atomic import open_regular

MAX_MEMBERS = 100_000
MAX_DIRECTORY_BYTES = 32 << 20
MAX_DEPTH = 8
MAX_NAME_BYTES = 250
MAX_RATIO = 100
"""Inflated bytes for one of the archive; its volumes are compressed already."""
ALWAYS_ALLOWED = 64 << 20
"""Whatever the ratio, so much may be inflated."""
MAX_KIT_BYTES = 4 << 30
"""Of masks that people painted: they shrink a thousand to one, and are read one at a time."""
MAX_DEFLATED = 1100
"""Deflate cannot shrink more than 1032 to 1."""

_END, _END_BYTES, _ZIP64_BYTES = b"PK\5\6", 22, 76
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What zipfile raises on bytes that are not what they should be."""


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
        """Open a member; no more bytes than its directory promised are given.

        Errors: ArchiveError for damaged bytes.
        """
        try:
            with self.opened.open(member.info) as file:
                yield cast(BinaryIO, file)  # zipfile says IO[bytes], which is the same
        except _DAMAGED as error:
            raise ArchiveError(f"{member.path}: is damaged ({error}); zip it again.") from error


@contextmanager
def open_zip(file: BinaryIO, name: str, allowed: int | None = None) -> Iterator[Archive]:
    """Open a zip; ``name`` is what people call it.

    ``allowed`` are bytes that it may inflate to whatever the ratio (default ALWAYS_ALLOWED).

    Errors: ArchiveError for what is no zip, not safe, or too large.
    """
    _check_directory(file, name)
    try:
        opened = zipfile.ZipFile(file)
    except _DAMAGED as error:
        raise ArchiveError(f"{name}: is a damaged zip ({error}); copy it again.") from error
    with opened:
        members = tuple(_members(opened.infolist(), name))
        check_paths(name, [str(member.path) for member in members])
        _check_size(name, members, ALWAYS_ALLOWED if allowed is None else allowed, file)
        yield Archive(members, opened)


def opened_file(path: Path) -> BinaryIO:
    """Open an archive on disk.

    Errors: ArchiveError.
    """
    try:
        return open_regular(path)
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read ({error.strerror}).") from error


def check_paths(where: str, names: Iterable[str]) -> None:
    """Check the files of an archive or folder: each has a good name of its own.

    Errors: ArchiveError for a path that leaves the archive, names that a file system may take for
    one, a file below a file, too many, or none.
    """
    seen: dict[str, str] = {}
    for name in names:
        _check_path(where, name)
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            twin = "twice" if seen[folded] == name else f"as {shown(seen[folded])} too"
            raise ArchiveError(
                f"{where}: holds {shown(name)} {twin}; names must differ in more than case."
            )
        seen[folded] = name
        if len(seen) > MAX_MEMBERS:
            raise ArchiveError(f"{where}: holds more than {MAX_MEMBERS} files; send less.")
    if not seen:
        raise ArchiveError(f"{where}: holds no file.")
    for folded, name in seen.items():
        if any(str(parent) in seen for parent in PurePosixPath(folded).parents):
            raise ArchiveError(f"{where}: {shown(name)} lies below a file, not a folder.")


def shown(name: str) -> str:
    """Quote a name for a message: short, and nothing that a terminal obeys."""
    return ascii(name)[:120]


def _check_directory(file: BinaryIO, name: str) -> None:
    """Bound and count the directory that the end record names, before zipfile reads it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES - 0xFFFF))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        raise ArchiveError(f"{name}: {_what_is_wrong(file)}.")
    end = size - len(tail) + at
    (length,) = struct.unpack_from("<I", tail, at + 12)
    if length == 0xFFFFFFFF:
        length, end = _zip64_length(file, end, name), end - _ZIP64_BYTES
    if length > MAX_DIRECTORY_BYTES or _count(file, end - length, end) > MAX_MEMBERS:
        raise ArchiveError(f"{name}: holds more than {MAX_MEMBERS} files; send less.")


def _what_is_wrong(file: BinaryIO) -> str:
    file.seek(0)
    first = file.read(512)
    if first[:4] == b"PK\3\4":
        return "is a zip that was cut short; copy it again"
    if first[257:262] == b"ustar" or first[:2] == b"\x1f\x8b":
        return "is a tar or gzip, not a zip; unpack it and name the folder"
    return "is not a zip file; zip the folder, or name the folder itself"


def _zip64_length(file: BinaryIO, end: int, name: str) -> int:
    file.seek(max(0, end - _ZIP64_BYTES))
    record = file.read(56)
    if len(record) < 56 or record[:4] != b"PK\6\6":
        raise ArchiveError(f"{name}: is a damaged zip; copy it again.")
    return int(struct.unpack_from("<Q", record, 40)[0])


def _count(file: BinaryIO, start: int, end: int) -> int:
    """Return how many members a directory lists; no more than one too many are counted."""
    count, at = 0, max(0, start)
    while at < end and count <= MAX_MEMBERS:
        file.seek(at)
        raw = file.read(_CENTRAL.size)
        if len(raw) < _CENTRAL.size or raw[:4] != b"PK\1\2":
            break
        name, extra, comment = struct.unpack_from("<3H", raw, 28)
        at += _CENTRAL.size + name + extra + comment
        count += 1
    return count


def _members(infos: list[zipfile.ZipInfo], name: str) -> Iterator[Member]:
    # Windows PowerShell 5 writes backslashes between folders, against 4.4.17.1 of the format.
    windows = not any("/" in info.orig_filename for info in infos)
    for info in infos:
        stored = info.orig_filename
        path = stored.replace("\\", "/") if windows else stored
        _check_kind(info, name)
        if path.endswith("/"):
            _check_path(name, path.rstrip("/") or "/")
        else:
            _check_path(name, path)
            yield Member(PurePosixPath(path), info.file_size, info)


def _check_kind(info: zipfile.ZipInfo, name: str) -> None:
    member = shown(info.orig_filename)
    if info.header_offset < 0:  # its directory counts from a beginning that is not there
        raise ArchiveError(f"{name}: was cut short; copy it again.")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"{name}: {member} is a link or a device, not a file.")
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveError(f"{name}: {member} is encrypted; zip it without a password.")
    if info.compress_type not in _METHODS:
        raise ArchiveError(f"{name}: {member} is compressed with an unusual method; use deflate.")


def _check_size(name: str, members: tuple[Member, ...], allowed: int, file: BinaryIO) -> None:
    inflated, held = sum(member.size for member in members), file.seek(0, os.SEEK_END)
    lies = any(m.size > MAX_DEFLATED * max(m.info.compress_size, 1) for m in members)
    if lies or inflated > allowed + MAX_RATIO * held:
        raise ArchiveError(
            f"{name}: expands from {held} to {inflated} bytes (ratio above {MAX_RATIO}); refused "
            "as a possible zip bomb."
        )


def _check_path(where: str, name: str) -> None:
    parts = name.split("/")
    bad = None
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        bad = "is an absolute path"
    elif ".." in parts:
        bad = "leaves the archive"
    elif "\\" in name or not name.isprintable():
        bad = "holds a backslash or a character that cannot be shown"
    elif "" in parts or "." in parts:
        bad = "has an empty part"
    elif len(parts) > MAX_DEPTH or any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts):
        bad = "is too deep or too long"
    if bad:
        raise ArchiveError(f"{where}: its member {shown(name)} {bad}; zip it again.")
