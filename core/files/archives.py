"""Open a bundle that another group sends, a folder or a zip, as a folder of plain files.

Members are listed and checked before one byte of them is written; what could do harm is refused
whole, in one sentence.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from core.errors import ArchiveError
from core.files.zips import MAX_DEPTH, Archive, check_paths, open_zip, opened_file, shown

_PIECE = 1 << 20


class Member(NamedTuple):
    """A file of a bundle: its path with forward slashes, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class OpenedFolder:
    """An opened archive, as a folder of plain files."""

    root: Path
    files: tuple[Member, ...]

    def path(self, name: str) -> Path:
        """Return where one of the files lies."""
        return self.root / name

    @property
    def names(self) -> frozenset[str]:
        return frozenset(member.name for member in self.files)


def open_archive(source: Path, into: Path) -> OpenedFolder:
    """Unpack a zip into the empty folder ``into``, or look into a folder where it lies.

    A single folder around everything is left out of the names.

    Errors: ArchiveError.
    """
    if source.is_symlink():
        raise ArchiveError(f"{source.name}: is a link; name the archive itself.")
    if source.is_dir():
        members = list(_files_below(source, source, 0))
        check_paths(source.name, [member.name for member in members])
        return _inside(source, members)
    with opened_file(source) as file, open_zip(file, source.name) as archive:
        return _inside(into, _unpack(archive, source.name, into))


def _unpack(archive: Archive, name: str, into: Path) -> list[Member]:
    members = []
    total, free = sum(m.size for m in archive.members), shutil.disk_usage(into).free
    if total > free:
        raise ArchiveError(f"{name}: needs {total >> 20} MB, and {free >> 20} MB are free.")
    for member in archive.members:
        with archive.read(member) as file:
            _write(into / member.path, file, member.size)
        members.append(Member(str(member.path), member.size))
    return members


def _write(target: Path, file: BinaryIO, size: int) -> None:
    """Write just ``size`` bytes to a file that is not there yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("xb") as out:
        while piece := file.read(_PIECE):
            written += len(piece)
            if written > size:
                break
            out.write(piece)
    if written != size:
        raise ArchiveError(f"{shown(target.name)}: is damaged, not of its stated length.")


def _inside(root: Path, members: Sequence[Member]) -> OpenedFolder:
    """Leave out the one folder that is around everything, if there is one."""
    tops = {member.name.partition("/")[0] for member in members}
    if len(tops) == 1 and all("/" in member.name for member in members):
        top = tops.pop()
        cut = tuple(Member(m.name.partition("/")[2], m.size) for m in members)
        return _inside(root / top, cut)
    return OpenedFolder(root, tuple(sorted(members)))


def _files_below(root: Path, folder: Path, depth: int) -> Iterator[Member]:
    if depth > MAX_DEPTH:
        raise ArchiveError(f"{root.name}: its folders are too deep.")
    try:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(entry.path)
            name = path.relative_to(root).as_posix()
            state = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                yield from _files_below(root, path, depth + 1)
            elif stat.S_ISREG(state.st_mode):
                yield Member(name, state.st_size)
            else:
                raise ArchiveError(
                    f"{root.name}: {shown(name)} is a link, a device or a pipe; put the file "
                    "itself there."
                )
    except OSError as error:
        raise ArchiveError(f"{root.name}: cannot be read ({error.strerror}).") from error
