"""Opening what another group sends: a zip, a tar (also gzipped) or a folder, and nothing else.

Members are listed before one byte of them is written. A member that leaves the archive, a link, a
device, two names that a file system may take for one, too many, too large: the whole is refused
in one sentence. Readers are our own where Python's believe what an archive says of itself.
"""

import os
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, NamedTuple, cast

from isal import igzip

from core.errors import ArchiveError
from core.imaging.formats.source import IsalError

MOST_MEMBERS = 100_000
MOST_DEPTH = 8
MOST_RATIO = 100
"""Inflated bytes for one of an archive; a bundle's volumes are squeezed already."""

SMALL = 64 << 20
"""Whatever the ratio, so much may be inflated."""

LONGEST_NAME = 250
_PIECE = 1 << 20
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_TAIL = 22 + 65535
_BLOCK = 512
_PAX_LIMIT = 64 << 10
_KINDS = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe"}


class Member(NamedTuple):
    """A file in an archive: its path with forward slashes, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class OpenedFolder:
    """What was sent, as a folder of plain files."""

    root: Path
    files: tuple[Member, ...]

    def path(self, name: str) -> Path:
        """Where one of the files lies."""
        return self.root / name

    @property
    def names(self) -> frozenset[str]:
        return frozenset(member.name for member in self.files)


def open_archive(source: Path, into: Path) -> OpenedFolder:
    """Unpack an archive into the empty folder ``into``, or look into a folder where it lies.

    A single folder around everything is left out of the names.

    Errors: ArchiveError.
    """
    if source.is_symlink():
        raise ArchiveError(f"{source.name}: is a link; name the archive itself.")
    if source.is_dir():
        return _inside(source, _walk(source))
    kind = _kind(source)
    members = list_archive(source)
    _check_sizes(source, members, into)
    if kind == "zip":
        _unzip(source, into)
    else:
        _untar(source, into)
    return _inside(into, members)


def list_archive(source: Path) -> list[Member]:
    """The members of a zip or tar, checked; nothing is written.

    Errors: ArchiveError.
    """
    if _kind(source) == "zip":
        with _opened_zip(source) as archive:
            return _checked(source.name, _zip_members(source.name, archive))
    with _opened_tar(source) as file:
        found = (entry.member for entry in _tar_entries(source.name, file) if entry.is_file)
        return _checked(source.name, found)


def _kind(source: Path) -> str:
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise ArchiveError(f"{source.name}: is neither a folder nor a file.")
        with source.open("rb") as file:
            first = file.read(_BLOCK)
    except OSError as error:
        raise ArchiveError(f"{source.name}: cannot be read ({error.strerror}).") from error
    if first[:4] in (b"PK\3\4", b"PK\5\6"):
        return "zip"
    if first[:2] == b"\x1f\x8b" or first[257:262] == b"ustar":
        return "tar"
    raise ArchiveError(
        f"{source.name}: is no zip and no tar; a bundle comes as a .zip, a .tar, a .tar.gz or a "
        "folder."
    )


def _checked(where: str, members: Iterator[Member]) -> list[Member]:
    """All members, each with a good name of its own."""
    kept: list[Member] = []
    seen: dict[str, str] = {}
    for member in members:
        _check_name(where, member.name)
        folded = unicodedata.normalize("NFC", member.name).casefold()
        if folded in seen:
            twin = "twice" if seen[folded] == member.name else f"as {_shown(seen[folded])} too"
            raise ArchiveError(
                f"{where}: holds {_shown(member.name)} {twin}; names must differ in more than case."
            )
        seen[folded] = member.name
        kept.append(member)
        if len(kept) > MOST_MEMBERS:
            raise ArchiveError(f"{where}: holds more than {MOST_MEMBERS} files; send less.")
    _check_no_file_is_a_folder(where, seen)
    if not kept:
        raise ArchiveError(f"{where}: holds no file.")
    return kept


def _check_name(where: str, name: str) -> None:
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
    elif len(parts) > MOST_DEPTH or any(len(os.fsencode(part)) > LONGEST_NAME for part in parts):
        bad = "is too deep or too long"
    if bad:
        raise ArchiveError(f"{where}: its member {_shown(name)} {bad}; ask for a sound bundle.")


def _check_no_file_is_a_folder(where: str, seen: dict[str, str]) -> None:
    for folded, name in seen.items():
        for parent in PurePosixPath(folded).parents:
            if str(parent) in seen:
                raise ArchiveError(f"{where}: {_shown(name)} lies below a file, not a folder.")


def _check_sizes(source: Path, members: Sequence[Member], into: Path) -> None:
    total, held = sum(member.size for member in members), source.stat().st_size
    if total > SMALL + MOST_RATIO * held:
        raise ArchiveError(
            f"{source.name}: would grow from {held} to {total} bytes, which no honest bundle does."
        )
    free = shutil.disk_usage(into).free
    if total > free:
        raise ArchiveError(
            f"{source.name}: needs {total >> 20} MB, and {free >> 20} MB are free; make space."
        )


def _inside(root: Path, members: Sequence[Member]) -> OpenedFolder:
    """Without the one folder that is around everything, if there is one."""
    tops = {member.name.partition("/")[0] for member in members}
    if len(tops) == 1 and all("/" in member.name for member in members):
        top = tops.pop()
        cut = tuple(Member(m.name.partition("/")[2], m.size) for m in members)
        return _inside(root / top, cut)
    return OpenedFolder(root, tuple(sorted(members)))


def _walk(folder: Path) -> list[Member]:
    return _checked(folder.name, _files_below(folder, folder, 0))


def _files_below(root: Path, folder: Path, depth: int) -> Iterator[Member]:
    if depth > MOST_DEPTH:
        raise ArchiveError(f"{root.name}: its folders are too deep.")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            path = Path(entry.path)
            name = path.relative_to(root).as_posix()
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                yield from _files_below(root, path, depth + 1)
            elif stat.S_ISREG(state.st_mode):
                yield Member(name, state.st_size)
            else:
                raise ArchiveError(
                    f"{root.name}: {_shown(name)} is a link, a device or a pipe; put the file "
                    "itself there."
                )
    except OSError as error:
        raise ArchiveError(f"{root.name}: cannot be read ({error.strerror}).") from error


def _write(target: Path, give: Callable[[int], bytes], size: int) -> None:
    """Write just ``size`` bytes to a file that is not there yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = size
    with target.open("xb") as out:
        while left:
            piece = give(min(left, _PIECE))
            if not piece:
                raise ArchiveError(f"{_shown(target.name)}: is shorter than the archive says.")
            out.write(piece)
            left -= len(piece)
    if give(1):
        raise ArchiveError(f"{_shown(target.name)}: is longer than the archive says.")


def _opened_zip(source: Path) -> zipfile.ZipFile:
    _bound_central_directory(source)
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise ArchiveError(f"{source.name}: is a damaged zip; copy it again.") from error


def _bound_central_directory(source: Path) -> None:
    """Count a zip's members before Python makes an object of each."""
    with source.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read(_TAIL)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) < at + 22:
            raise ArchiveError(f"{source.name}: is a zip that was cut short; copy it again.")
        end = max(0, size - _TAIL) + at
        length = struct.unpack_from("<I", tail, at + 12)[0]
        if length == 0xFFFFFFFF:
            length = _zip64_length(file, end, source.name)
            end -= 76
        count = _entries(file, end - length, end)
    if count > MOST_MEMBERS:
        raise ArchiveError(f"{source.name}: holds more than {MOST_MEMBERS} files; send less.")


def _zip64_length(file: BinaryIO, end: int, name: str) -> int:
    file.seek(max(0, end - 76))
    record = file.read(56)
    if len(record) < 56 or record[:4] != b"PK\6\6":
        raise ArchiveError(f"{name}: is a damaged zip; copy it again.")
    return int(struct.unpack_from("<Q", record, 40)[0])


def _entries(file: BinaryIO, start: int, end: int) -> int:
    """How many members a central directory lists; no more than one too many are counted."""
    count, at = 0, max(0, start)
    while at < end and count <= MOST_MEMBERS:
        file.seek(at)
        raw = file.read(_CENTRAL.size)
        if len(raw) < _CENTRAL.size or raw[:4] != b"PK\1\2":
            break
        name, extra, comment = struct.unpack_from("<3H", raw, 28)
        at += _CENTRAL.size + name + extra + comment
        count += 1
    return count


def _zip_members(where: str, archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        kind = stat.S_IFMT(mode)
        name = info.orig_filename
        if info.is_dir() and kind in (0, stat.S_IFDIR):
            _check_name(where, name.rstrip("/") or "/")
            continue
        if kind not in (0, stat.S_IFREG):
            raise ArchiveError(f"{where}: {_shown(name)} is a link or a device, not a file.")
        if info.flag_bits & 1:
            raise ArchiveError(f"{where}: {_shown(name)} is encrypted; send it without a password.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError(f"{where}: {_shown(name)} is squeezed in no usual way; use zip -0.")
        yield Member(name, info.file_size)


def _unzip(source: Path, into: Path) -> None:
    with _opened_zip(source) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            try:
                with archive.open(info) as held:
                    _write(into / info.filename, held.read, info.file_size)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
                raise ArchiveError(
                    f"{source.name}: {_shown(info.filename)} is damaged; copy it again."
                ) from error


def _opened_tar(source: Path) -> IO[bytes]:
    with source.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return (
        cast(IO[bytes], cast(Any, igzip).IGzipFile(source, "rb")) if packed else source.open("rb")
    )


class _Entry(NamedTuple):
    """One header of a tar."""

    name: str
    size: int
    is_file: bool

    @property
    def member(self) -> Member:
        return Member(self.name, self.size)


def _untar(source: Path, into: Path) -> None:
    with _opened_tar(source) as file:
        for entry in _tar_entries(source.name, file, skip=False):
            if not entry.is_file:
                continue
            left = entry.size

            def give(count: int) -> bytes:
                nonlocal left
                piece = _read(source.name, file, min(count, left))
                left -= len(piece)
                return piece

            _write(into / entry.name, give, entry.size)
            _read(source.name, file, -entry.size % _BLOCK)


def _tar_entries(where: str, file: IO[bytes], *, skip: bool = True) -> Iterator[_Entry]:
    """The files and folders of a tar, headers bounded; ``skip`` passes over their bytes.

    Without it the caller reads each file's bytes, and their padding, before it goes on.
    """
    longer: str | None = None
    budget = SMALL + MOST_RATIO * os.fstat(file.fileno()).st_size
    while any(header := _read(where, file, _BLOCK)):
        kind, size = header[156:157], _number(where, header[124:136])
        budget -= _BLOCK + size
        if budget < 0:
            raise ArchiveError(f"{where}: grows larger than any honest bundle does.")
        if kind in (b"x", b"g", b"L"):
            longer = _longer_name(where, file, kind, size) or longer
            continue
        name = longer or _tar_name(header)
        longer = None
        if kind not in (b"0", b"\0", b"5"):
            what = _KINDS.get(kind, "something other than a file")
            raise ArchiveError(f"{where}: {_shown(name)} is {what}; a bundle holds plain files.")
        if kind == b"5":
            folder = name.removeprefix("./").rstrip("/")
            _check_name(where, folder or "folder")
            continue
        yield _Entry(name.removeprefix("./"), size, True)
        if skip:
            _pass_over(where, file, size + -size % _BLOCK)


def _longer_name(where: str, file: IO[bytes], kind: bytes, size: int) -> str | None:
    """The path in a PAX or GNU header, which stands before its file's own."""
    if size > _PAX_LIMIT:
        raise ArchiveError(f"{where}: has a header of {size} bytes; make the tar anew.")
    raw = _read(where, file, size + -size % _BLOCK)[:size]
    if kind == b"L":
        return raw.rstrip(b"\0").decode("utf-8", "replace")
    found = None
    for line in raw.split(b"\n"):
        _, _, said = line.partition(b" ")
        key, _, value = said.partition(b"=")
        if key == b"path":
            found = value.decode("utf-8", "replace")
        if key == b"size" or key.startswith(b"GNU.sparse"):
            raise ArchiveError(f"{where}: holds a sparse or huge file; make the tar anew.")
    return None if kind == b"g" else found


def _tar_name(header: bytes) -> str:
    name, prefix = (part.split(b"\0")[0] for part in (header[:100], header[345:500]))
    joined = prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name
    return joined.decode("utf-8", "replace")


def _number(where: str, field: bytes) -> int:
    text = field.strip(b" \0")
    try:
        return int(text or b"0", 8)
    except ValueError as error:
        raise ArchiveError(f"{where}: is a damaged tar; copy it again.") from error


def _read(where: str, file: IO[bytes], count: int) -> bytes:
    try:
        raw = file.read(count)
    except (OSError, EOFError, IsalError, zlib.error) as error:
        raise ArchiveError(f"{where}: is damaged; copy it again.") from error
    if len(raw) < count:
        raise ArchiveError(f"{where}: was cut short; copy it again.")
    return raw


def _pass_over(where: str, file: IO[bytes], count: int) -> None:
    while count:
        count -= len(_read(where, file, min(count, _PIECE)))


def _shown(name: Any) -> str:
    """A name for a sentence: short, in quotes, nothing that a terminal obeys."""
    return ascii(str(name))[:120]
