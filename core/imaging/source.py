"""The bytes of a volume file, plain or compressed: opened once, read by position, bounded.

Gzip and bzip2 are known by their first bytes, never by the name. A compressed file is inflated
once, on the first read, into a temporary file that has no name, and no further than its header
promises.
"""

import bz2
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol, cast

import numpy as np
from isal import igzip_lib
from numpy.typing import NDArray

from core.errors import VolumeError

Bytes = NDArray[np.uint8]

CHUNK = 1 << 20
MAGIC = {"gzip": b"\x1f\x8b", "bzip2": b"BZh"}
MAX_RATIO = 1100
"""Deflate cannot shrink more than 1032 to 1; what promises more is no honest file."""

IsalError = cast(type[Exception], igzip_lib.IsalError)
"""isal's stub calls the class an instance."""


class _Inflater(Protocol):
    """What zlib's and bz2's decompressors share."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class Source:
    """An open volume file. ``read_into`` may be called from several threads."""

    def __init__(self, path: Path) -> None:
        """Open a regular file without waiting for anybody (a FIFO is refused, not read).

        Errors: VolumeError.
        """
        self.path = path
        self._descriptor = _open_regular(path)
        self._inflated: IO[bytes] | None = None
        self._promised = 0
        self._lock = threading.Lock()
        first = os.pread(self._descriptor, 3, 0)
        self.compression = next((name for name, m in MAGIC.items() if first.startswith(m)), "")

    @property
    def size(self) -> int:
        """Bytes of the file as it lies on disk."""
        return os.fstat(self._descriptor).st_size

    def head(self, count: int) -> bytes:
        """The first bytes, inflated; fewer where the file is shorter."""
        if not self.compression:
            return os.pread(self._descriptor, count, 0)
        return b"".join(self._pieces(count))

    def promise(self, length: int) -> None:
        """State how many bytes the header says there are, inflated.

        Errors: VolumeError where the file cannot hold them.
        """
        most = self.size * MAX_RATIO if self.compression else self.size
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

    def read_all(self, length: int) -> Bytes:
        """All bytes of a small compressed file, which must inflate to exactly this length.

        Errors: VolumeError for a byte more or less, or damaged data.
        """
        if self.compression == "gzip":
            most = length + length // 64 + CHUNK  # incompressible bytes grow a little
            return inflate_exactly(os.pread(self._descriptor, most, 0), length, self.path)
        raw = b"".join(self._pieces(length + 1))
        check_length(len(raw), length, self.path)
        return np.frombuffer(bytearray(raw), np.uint8)

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
        # The file has no name and is gone with the process; close() ends it.
        out = tempfile.TemporaryFile(prefix="tomocurate-", buffering=0)  # noqa: SIM115
        try:
            for piece in self._pieces(self._promised):
                out.write(piece)
            self._check_inflated(out.tell())
        except OSError as error:
            out.close()
            raise self._damaged() from error
        except BaseException:
            out.close()
            raise
        return out

    def _check_inflated(self, found: int) -> None:
        if found < self._promised:
            raise VolumeError(
                f"{self.path}: inflates to {found} bytes, but its header promises "
                f"{self._promised}; it was cut short, copy it again."
            )

    def _pieces(self, limit: int) -> Iterator[bytes]:
        """Inflate the first ``limit`` bytes, member after member, piece by piece."""
        position = 0

        def more() -> bytes:
            nonlocal position
            raw = os.pread(self._descriptor, CHUNK, position)
            position += len(raw)
            return raw

        inflater, raw = _inflater(self.compression), more()
        try:
            while raw and limit > 0:
                piece = inflater.decompress(raw, min(limit, 4 * CHUNK))
                limit -= len(piece)
                yield piece
                while not (inflater.needs_input or inflater.eof) and limit > 0:
                    piece = inflater.decompress(b"", min(limit, 4 * CHUNK))
                    limit -= len(piece)
                    yield piece
                raw = more()
                if inflater.eof:
                    raw = inflater.unused_data + raw
                    if not raw.startswith(MAGIC[self.compression]):
                        return
                    inflater = _inflater(self.compression)
        except (IsalError, OSError, EOFError) as error:
            raise self._damaged() from error

    def _damaged(self) -> VolumeError:
        return VolumeError(
            f"{self.path}: its {self.compression} data cannot be inflated (damaged, or no space "
            "for temporary files); copy it again, or inflate it yourself."
        )


def inflate_exactly(packed: bytes, length: int, path: Path) -> Bytes:
    """Inflate gzip bytes that must be exactly this long, checked; the result is the caller's own.

    Piece by piece into one array: NumPy asks for huge pages, so that a patch costs 2 ms and not
    the 10 ms of 2,000 page faults.

    Errors: VolumeError for a byte more or less, or damaged data.
    """
    inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    out = np.empty(length + 1, np.uint8)
    done = 0
    try:
        while not inflater.eof and done <= length:
            piece = inflater.decompress(packed, min(CHUNK, length + 1 - done))
            if not piece and (not packed or inflater.needs_input) and not inflater.eof:
                break
            packed = b""
            out[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
            done += len(piece)
    except (IsalError, EOFError) as error:
        raise VolumeError(f"{path}: its gzip data is damaged; copy or save it again.") from error
    check_length(done, length, path)
    if not inflater.eof:
        raise VolumeError(f"{path}: its gzip data ends too early; copy or save it again.")
    return out[:length]


def check_length(found: int, promised: int, path: Path) -> None:
    """Hold the length of what was inflated against the header's promise."""
    if found != promised:
        held = f"{found} bytes" if found < promised else "more"
        raise VolumeError(
            f"{path}: its header promises {promised} bytes, but it holds {held}; "
            "copy or save it again."
        )


def _inflater(compression: str) -> _Inflater:
    if compression == "bzip2":
        return bz2.BZ2Decompressor()
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _open_regular(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise VolumeError(f"{path}: cannot be opened ({said}).") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise VolumeError(f"{path}: is not a regular file; name a volume file.")
    return descriptor
