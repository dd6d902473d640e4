"""MRC volumes (.mrc .rec .map .st): tomograms and segmentations, read a box at a time.

Format: MRC2014 (https://www.ccpem.ac.uk/mrc_format/mrc2014.php) with IMOD's unsigned bytes. The
1024-byte header is read with mrcfile's dtype and held against the file's size before anything
else is believed; mrcfile itself would allocate what a lying header asks for.
"""

import math
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.formats.segment import Segment
from core.imaging.formats.source import Source
from core.imaging.geometry import Box, Grid, Zyx

HEADER_BYTES = 1024
MAX_SIDE = 65_535
MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
FOUR_BIT = 101
IMOD_STAMP, SIGNED_BYTES = 1146047817, 1
"""Bytes 152..159: IMOD's stamp, then flags whose bit 0 says that mode 0 is signed."""

_REFUSED_MODES = {3: "complex integers", 4: "complex numbers", 16: "RGB colours"}
_VOLUME_STACK = 401


class _Facts(NamedTuple):
    """What a header says; ``columns rows sections`` as they lie in the file."""

    sides: tuple[int, int, int]
    stored: np.dtype[Any]
    four_bit: bool
    offset: int
    axes: tuple[int, int, int]
    """The file's axis (0 sections, 1 rows, 2 columns) that is z, y and x."""
    voxel_size: float | None
    origin_xyz: tuple[float, float, float]
    nstart_xyz: tuple[int, int, int]
    warnings: tuple[str, ...]


class MrcVolume:
    """An open MRC file; ``read`` gives (z, y, x) whatever the order of its axes."""

    grid: Grid | None = None
    """MRC states no orientation that other formats share."""
    layers = 1
    segments: tuple[Segment, ...] = ()

    def __init__(self, path: Path, source: Source | None = None) -> None:
        """Open and check a file, or one that is open; ``close`` closes it.

        Errors: VolumeError for what is no MRC volume of real numbers, or is shorter than its
        header says.
        """
        self.path = path
        self._source = source or Source(path)
        try:
            self._facts = _parse(self._source.head(HEADER_BYTES), path)
            facts = self._facts
            self._source.promise(facts.offset + facts.sides[0] * self._section_bytes)
        except BaseException:
            self._source.close()
            raise
        self.shape = Zyx(*(facts.sides[axis] for axis in facts.axes))
        self.voxel_size = facts.voxel_size
        self.origin_xyz = facts.origin_xyz
        self.nstart_xyz = facts.nstart_xyz
        self.warnings = facts.warnings
        half = facts.stored.kind == "f" and facts.stored.itemsize == 2
        self.dtype = np.dtype("f4") if half else facts.stored.newbyteorder("=")

    @property
    def _row_bytes(self) -> int:
        columns = self._facts.sides[2]
        return (columns + 1) // 2 if self._facts.four_bit else columns * self._facts.stored.itemsize

    @property
    def _section_bytes(self) -> int:
        return self._facts.sides[1] * self._row_bytes

    def read(self, box: Box, layer: int = 0) -> NDArray[Any]:
        if layer != 0 or not box.lies_in(self.shape):
            raise VolumeError(
                f"{self.path}: box {tuple(box.start)} to {tuple(box.stop)} (z, y, x) leaves the "
                f"volume of shape {tuple(self.shape)}."
            )
        starts, stops = [0, 0, 0], [0, 0, 0]
        for axis, start, stop in zip(self._facts.axes, *box, strict=True):
            starts[axis], stops[axis] = start, stop
        stored = self._read_stored(Box(Zyx(*starts), Zyx(*stops)))
        return np.ascontiguousarray(stored.transpose(self._facts.axes), dtype=self.dtype)

    def _read_stored(self, box: Box) -> NDArray[Any]:
        """The box of (sections, rows, columns), as they lie in the file."""
        facts = self._facts
        if not facts.four_bit:
            return self._source.read_box(box, Zyx(*facts.sides), facts.stored, facts.offset)
        # Two values a byte, the first in the low four bits; a row ends on a whole byte.
        halved = Zyx(*facts.sides[:2], self._row_bytes)
        start, stop = box.start.x // 2, (box.stop.x + 1) // 2
        in_bytes = Box(box.start._replace(x=start), box.stop._replace(x=stop))
        held = self._source.read_box(in_bytes, halved, facts.stored, facts.offset)
        values = np.stack([held & 15, held >> 4], axis=-1).reshape(*held.shape[:2], -1)
        return values[:, :, box.start.x - 2 * start :][:, :, : box.shape.x]

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def may_be_mrc(first_bytes: bytes) -> bool:
    """Whether a file that begins (inflated) like this claims to be MRC.

    Old writers left out the word MAP, so a mode and sides that can be true are enough.
    """
    return first_bytes[208:211] == b"MAP" or _byte_order(first_bytes) is not None


def _parse(raw: bytes, path: Path) -> _Facts:
    if len(raw) < HEADER_BYTES:
        raise VolumeError(
            f"{path}: holds {len(raw)} bytes, an MRC header alone is {HEADER_BYTES}; copy it again."
        )
    order = _byte_order(raw)
    if order is None:
        raise VolumeError(f"{path}: its MRC header states impossible sides or mode.")
    header = np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order), 1)[0]
    mode = int(header["mode"])
    stored = np.dtype("u1") if mode == FOUR_BIT else _stored(header, mode, path).newbyteorder(order)
    sides = int(header["nz"]), int(header["ny"]), int(header["nx"])
    _check_kind(header, path)
    voxel_size, warnings = _voxel_size(header)
    origin = (float(header["origin"][axis]) for axis in "xyz")
    x, y, z = origin
    nstart = int(header["nxstart"]), int(header["nystart"]), int(header["nzstart"])
    return _Facts(
        sides,
        stored,
        mode == FOUR_BIT,
        HEADER_BYTES + max(0, int(header["nsymbt"])),
        _axes(header, path),
        voxel_size,
        (x, y, z),
        nstart,
        warnings,
    )


def _byte_order(raw: bytes) -> Literal["<", ">"] | None:
    """The order in which mode and sides make sense; the machine stamp is often wrong."""
    if len(raw) < 16:
        return None
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        nx, ny, nz, mode = np.frombuffer(raw, order + "i4", 4).tolist()
        known = mode in MODES or mode == FOUR_BIT or mode in _REFUSED_MODES
        if known and all(1 <= side <= MAX_SIDE for side in (nx, ny, nz)):
            return order
    return None


def _stored(header: Any, mode: int, path: Path) -> np.dtype[Any]:
    if mode in _REFUSED_MODES:
        raise VolumeError(
            f"{path}: MRC mode {mode} holds {_REFUSED_MODES[mode]}; a tomogram holds one real "
            "number a voxel (mode 0, 1, 2, 6, 12)."
        )
    extra = header["extra2"].tobytes()[152 - 112 :]
    stamp, flags = np.frombuffer(extra[:8], header["mode"].dtype).tolist()
    if mode == 0 and stamp == IMOD_STAMP and not flags & SIGNED_BYTES:
        return np.dtype("u1")
    return np.dtype(MODES[mode])


def _check_kind(header: Any, path: Path) -> None:
    if int(header["ispg"]) >= _VOLUME_STACK:
        raise VolumeError(
            f"{path}: is a stack of volumes (space group {int(header['ispg'])}); save each "
            "tomogram as a file of its own."
        )
    if not 0 <= int(header["nsymbt"]) <= 1 << 30:
        raise VolumeError(
            f"{path}: header states {int(header['nsymbt'])} bytes of extended header; "
            "it is damaged."
        )


def _axes(header: Any, path: Path) -> tuple[int, int, int]:
    """The file's axis that is z, y, x: mapc, mapr, maps say what columns, rows, sections are."""
    spoken = int(header["mapc"]), int(header["mapr"]), int(header["maps"])
    if spoken == (0, 0, 0):
        spoken = (1, 2, 3)
    if sorted(spoken) != [1, 2, 3]:
        raise VolumeError(
            f"{path}: header states axes mapc, mapr, maps = {spoken}; they are 1, 2, 3 in some "
            "order."
        )
    return 2 - spoken.index(3), 2 - spoken.index(2), 2 - spoken.index(1)


def _voxel_size(header: Any) -> tuple[float | None, tuple[str, ...]]:
    """One voxel size in angstrom; 0 and 1 mean unknown, and so do axes that differ."""
    cell = [float(header["cella"][axis]) for axis in "xyz"]
    counts = [int(header[name]) for name in ("mx", "my", "mz")]
    if not all(math.isfinite(side) and side > 0 for side in cell) or min(counts) < 1:
        return None, ()
    sizes = [side / count for side, count in zip(cell, counts, strict=True)]
    if max(sizes) > 1.01 * min(sizes):
        found = ", ".join(f"{size:g}" for size in sizes)
        return None, (f"voxel size differs by axis: {found} Å (x, y, z); taken as unknown",)
    size = round(sum(sizes) / 3, 4)
    return (None if size in (0.0, 1.0) else size), ()
