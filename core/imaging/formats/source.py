"""The bytes of a volume file, plain or compressed: opened once, read by position, bounded.

Gzip and bzip2 are known by their first bytes, never by the name. A compressed file is inflated
once, on the first read, into a temporary file that has no name, and no further than its header
promises; a small one can be had in memory.
"""

import bz2
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, cast

import numpy as np
from isal import igzip_lib
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.geometry import Box, Zyx

Bytes = NDArray[np.uint8]
More = Callable[[], bytes]
"""The next compressed bytes; none at the end."""

MAGIC = {"gzip": b"\x1f\x8b", "bzip2": b"BZh"}
MAX_RATIO = {"gzip": 1100, "bzip2": 1_100_000}
"""Deflate cannot shrink more than 1032 to 1, and bzip2 zeros a million to 1; what promises more
is no honest file."""

IsalError = cast(type[Exception], igzip_lib.IsalError)
"""isal's stub calls the class an instance."""

_FED, _PIECE = 64 << 10, 4 << 20
"""Compressed bytes taken, and inflated bytes given, at a time."""

_MEMBERS, _MEMBER_BYTES = 1000, 1000
"""So many parts may be of any length, further ones are this long on average (bgzip's: 65280)."""


class _Inflater(Protocol):
    """Common interface of zlib's and bz2's decompressors."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class Source:
    """An open volume file. It may be read from several threads."""

    def __init__(self, path: Path, within: Sequence[Path] | None = None) -> None:
        """Open a regular file without waiting for anybody (a FIFO is refused, not read).

        ``within`` are folders, links resolved, of which one must hold the file that was opened:
        it is the open file that is asked, so that a link that is changed meanwhile leads nowhere.

        Errors: VolumeError.
        """
        self.path = path
        self._descriptor = _open_regular(path)
        if within is not None and not _lies_within(self._descriptor, path, within):
            os.close(self._descriptor)
            raise VolumeError(f"{path}: lies outside the folders that it may be read from.")
        self._inflated: IO[bytes] | None = None
        self._start = 0
        self._promised, self._exact = 0, False
        self._lock = threading.Lock()
        first = os.pread(self._descriptor, 3, 0)
        self.compression = next((name for name, m in MAGIC.items() if first.startswith(m)), "")

    @property
    def size(self) -> int:
        """Bytes of the file as it lies on disk."""
        return os.fstat(self._descriptor).st_size

    def head(self, count: int) -> bytes:
        """Return the first bytes, inflated; fewer where the file is shorter."""
        if not self.compression:
            return os.pread(self._descriptor, count, 0)
        return b"".join(inflate(self.compression, self.more(), count, self.path))

    def more(self, start: int = 0, stop: int | None = None) -> More:
        """Return a function that gives the bytes on disk from here on, piece by piece."""
        position = start
        end = self.size if stop is None else stop

        def give() -> bytes:
            nonlocal position
            raw = os.pread(self._descriptor, max(0, min(_FED, end - position)), position)
            position += len(raw)
            return raw

        return give

    def opened_again(self) -> BinaryIO:
        """Open the same descriptor for a library that wants a file object; the caller closes it."""
        return os.fdopen(os.dup(self._descriptor), "rb")

    def go_inside(self, compression: str, start: int) -> None:
        """From now on read what is compressed from this byte on (in NRRD, after its header)."""
        self.compression, self._start, self._exact = compression, start, True

    def promise(self, length: int) -> None:
        """State how many bytes the header says there are, inflated.

        Errors: VolumeError where the file cannot hold them.
        """
        most = (self.size - self._start) * MAX_RATIO.get(self.compression, 1)
        if length > most:
            held = f"can inflate to {most}" if self.compression else f"holds {most}"
            raise VolumeError(
                f"{self.path}: its header promises {length} bytes, but it {held}; "
                "it was cut short or its header is wrong, copy it again."
            )
        self._promised = length

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill the buffer with the bytes at an offset.

        Errors: VolumeError where the file became shorter, or does not inflate that far.
        """
        descriptor = self._plain_descriptor()
        done = 0
        while done < len(buffer):
            got = os.preadv(descriptor, [buffer[done:]], offset + done)
            if got == 0:
                raise VolumeError(f"{self.path}: was cut short while it was read; copy it again.")
            done += got

    def read_box(self, box: Box, shape: Zyx, stored: np.dtype[Any], offset: int) -> NDArray[Any]:
        """Return the box of a C-order volume that begins at an offset, as stored.

        One read a section, of its whole rows: for a patch that costs as much as copying it, and
        a third of a read for each row. Errors: as ``read_into``.
        """
        out = np.empty(box.shape, stored)
        rows = np.empty((box.shape.y, shape.x), stored)
        held = rows.reshape(-1).view(np.uint8).data
        for index, z in enumerate(range(box.start.z, box.stop.z)):
            first = (z * shape.y + box.start.y) * shape.x * stored.itemsize
            self.read_into(held, offset + first)
            out[index] = rows[:, box.start.x : box.stop.x]
        return out

    def read_all(self, length: int) -> Bytes:
        """All bytes of a small compressed file, which must inflate to exactly this length.

        Errors: VolumeError for a byte more or less, or damaged data.
        """
        return inflate_exactly(self.compression, self.more(self._start), length, self.path)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._inflated is not None:
            self._inflated.close()
            self._inflated = None

    def _plain_descriptor(self) -> int:
        if self._descriptor < 0:
            raise ValueError(f"{self.path}: is closed")
        if not self.compression:
            return self._descriptor
        with self._lock:
            if self._inflated is None:
                self._inflated = self._inflate()
        return self._inflated.fileno()

    def _inflate(self) -> IO[bytes]:
        import shutil
        import tempfile

        free = shutil.disk_usage(tempfile.gettempdir()).free
        if self._promised > free:
            raise VolumeError(
                f"{self.path}: inflates to {self._promised} bytes, but the folder for temporary "
                f"files has {free} free; inflate it yourself, or set TMPDIR to a larger disk."
            )
        # The file has no name and is gone with the process; close() ends it.
        out = tempfile.TemporaryFile(prefix="tomocurate-", buffering=0)  # noqa: SIM115
        try:
            # One byte further than promised, so that the check sum at the end is looked at.
            more, limit = self.more(self._start), self._promised + 1
            for piece in inflate(self.compression, more, limit, self.path):
                _write(out, piece, self.path)
            self._check_inflated(out.tell())
        except BaseException:
            out.close()
            raise
        return out

    def _check_inflated(self, found: int) -> None:
        if found < self._promised or self._exact:
            check_length(found, self._promised, self.path)


def inflate(compression: str, more: More, limit: int, path: Path) -> Iterator[bytes]:
    """Inflate the first ``limit`` bytes, piece by piece.

    Errors: VolumeError for data that is damaged, or ends too early.
    """
    try:
        yield from _members(compression, more, limit)
    except (IsalError, OSError, EOFError) as error:
        raise VolumeError(
            f"{path}: its {compression} data is damaged ({error}); copy or save it again."
        ) from error


def inflate_exactly(compression: str, more: More, length: int, path: Path) -> Bytes:
    """Inflate what must be exactly this long, check sum and all; the result is the caller's own.

    Piece by piece into one array: NumPy asks for huge pages, so that a patch costs 2 ms and not
    the 10 ms of 2,000 page faults.

    Errors: VolumeError for a byte more or less, or damaged data.
    """
    out = np.empty(length + 1, np.uint8)
    done = 0
    for piece in inflate(compression, more, length + 1, path):
        out[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    check_length(done, length, path)
    return out[:length]


def check_length(found: int, promised: int, path: Path) -> None:
    """Hold the length of what was inflated against the header's promise."""
    if found != promised:
        held = f"{found} bytes" if found < promised else "more"
        raise VolumeError(
            f"{path}: its header promises {promised} bytes, but it holds {held}; "
            "copy or save it again."
        )


def _members(compression: str, more: More, limit: int) -> Iterator[bytes]:
    """Inflate parts that follow one another (bgzip, pbzip2); what comes after them is left."""
    done, members, raw = 0, 0, more()
    while members == 0 or raw.startswith(MAGIC.get(compression, b"none")):
        members += 1
        if members > _MEMBERS + done // _MEMBER_BYTES:
            raise EOFError("it is in too many parts")
        inflater = _inflater(compression)
        while not inflater.eof:
            if done == limit:
                return
            raw = _next_bytes(inflater, raw, more)
            piece = inflater.decompress(raw, min(limit - done, _PIECE))
            done, raw = done + len(piece), b""
            yield piece
        raw = inflater.unused_data
        raw = raw if len(raw) > len("BZh") else raw + more()


def _next_bytes(inflater: _Inflater, raw: bytes, more: More) -> bytes:
    """Feed it the next piece, or nothing while it still holds some."""
    if raw or not inflater.needs_input:
        return raw
    raw = more()
    if not raw:
        raise EOFError("it ends too early")
    return raw


def _inflater(compression: str) -> _Inflater:
    if compression == "bzip2":
        return bz2.BZ2Decompressor()
    kinds = {"gzip": igzip_lib.DECOMP_GZIP, "zlib": igzip_lib.DECOMP_ZLIB}
    return igzip_lib.IgzipDecompressor(flag=kinds[compression])


def _write(out: IO[bytes], piece: bytes, path: Path) -> None:
    try:
        rest = memoryview(piece)
        while rest:
            rest = rest[out.write(rest) :]
    except OSError as error:
        raise VolumeError(
            f"{path}: no space for its inflated voxels in the folder for temporary files "
            f"({error.strerror}); inflate it yourself, or set TMPDIR to a larger disk."
        ) from error


def _lies_within(descriptor: int, path: Path, folders: Sequence[Path]) -> bool:
    """Check whether an open file lies in one of the folders.

    Linux tells the path of an open file; elsewhere the path is resolved again and must still be
    that very file.
    """
    link = Path(f"/proc/self/fd/{descriptor}")
    if link.is_symlink():
        real = link.readlink()
    else:
        real = path.resolve()
        found, opened = real.stat(), os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
            return False
    return any(real.is_relative_to(folder) for folder in folders)


def _open_regular(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VolumeError(f"{path}: cannot be opened ({reason}).") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise VolumeError(f"{path}: is not a regular file; name a volume file.")
    return descriptor
