"""MRC volumes (.mrc .rec .map .st): tomograms and segmentations, read a box at a time.

Format: MRC2014 (https://www.ccpem.ac.uk/mrc_format/mrc2014.php) with IMOD's bytes
(https://bio3d.colorado.edu/imod/doc/mrc_format.txt). mrcfile reads the header, from 1024 bytes
whose sides, mode and extended header were checked first: it would allocate what a damaged header
asks for. The voxels are read by us, as far as the file's size allows.
"""

import io
import math
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from mrcfile.mrcinterpreter import MrcInterpreter
from mrcfile.utils import machine_stamp_from_byte_order, spacegroup_is_volume_stack
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.formats.label_names import Segment
from core.imaging.formats.source import Source
from core.imaging.formats.voxel_size import one_voxel_size
from core.imaging.geometry import Box, Grid, Zyx

HEADER_BYTES = 1024
MAX_SIDE = 65_535
MAX_EXTENDED = 1 << 30
MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
FOUR_BIT = 101
IMOD_STAMP, SIGNED_BYTES = 1146047817, 1
"""Bytes 152..159: IMOD's stamp, then flags whose bit 0 says that mode 0 is signed."""

_REFUSED_MODES = {3: "complex integers", 4: "complex numbers", 16: "RGB colours"}
_NSYMBT, _MAP, _MACHST = slice(92, 96), slice(208, 212), slice(212, 216)


class _Facts(NamedTuple):
    """Fields of an MRC header; ``columns rows sections`` in file order."""

    sides: tuple[int, int, int]
    stored: np.dtype[Any]
    four_bit: bool
    offset: int
    axes: tuple[int, int, int]
    """The file's axis (0 sections, 1 rows, 2 columns) that is z, y and x."""
    voxel_size: float | None
    origin_xyz: tuple[float, float, float]
    nstart_xyz: tuple[int, int, int]
    zero: int
    warnings: tuple[str, ...]


class MrcVolume:
    """An open MRC file; ``read`` gives (z, y, x) whatever the order of its axes."""

    grid: Grid | None = None
    """MRC states no orientation that other formats share."""
    layers = 1
    segments: tuple[Segment, ...] = ()
    label_step = 0.0

    def __init__(self, path: Path, source: Source | None = None) -> None:
        """Open and check a file, or one that is open; ``close`` closes it.

        Errors: VolumeError for what is no MRC volume of real numbers, or is shorter than its
        header says.
        """
        self.path = path
        self._source = source or Source(path)
        try:
            self._facts = _parse(self._source.head(HEADER_BYTES), path)
            self._facts = facts = self._with_true_offset()
            self._source.promise(facts.offset + facts.sides[0] * self._section_bytes)
        except BaseException:
            self._source.close()
            raise
        self.shape = Zyx(*(facts.sides[axis] for axis in facts.axes))
        self.voxel_size = facts.voxel_size
        self.origin_xyz = facts.origin_xyz
        self.nstart_xyz = facts.nstart_xyz
        self.warnings = facts.warnings
        self.label_zero = facts.zero
        half = facts.stored.kind == "f" and facts.stored.itemsize == 2
        self.dtype = np.dtype("f4") if half else facts.stored.newbyteorder("=")

    def _with_true_offset(self) -> _Facts:
        """Find voxels that follow the header where the extended header it states is missing.

        cryoCARE before 2024 copied a header without its extended header
        (https://github.com/juglab/cryoCARE_pip/issues/29). The file's length tells.
        """
        facts, size = self._facts, self._source.size
        voxels = facts.sides[0] * self._section_bytes
        if self._source.compression or facts.offset == HEADER_BYTES:
            return facts
        missing = f"an extended header of {facts.offset - HEADER_BYTES} bytes"
        if size == HEADER_BYTES + voxels:
            warning = (
                f"the header states {missing} that is not in the file; the voxels are complete"
            )
            return facts._replace(offset=HEADER_BYTES, warnings=(*facts.warnings, warning))
        if HEADER_BYTES + voxels < size < facts.offset + voxels:
            raise VolumeError(
                f"{self.path}: its header promises {missing} and {voxels} bytes of voxels, but "
                f"the file holds {size}; set NSYMBT or write the file again."
            )
        return facts

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
        """Return the box of (sections, rows, columns), as they lie in the file."""
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
    """Check whether a file that begins (inflated) like this claims to be MRC.

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
    extended = int(np.frombuffer(raw[_NSYMBT], order + "i4")[0])
    if not 0 <= extended <= MAX_EXTENDED:
        raise VolumeError(
            f"{path}: header states {extended} bytes of extended header; it is damaged."
        )
    mrc = _read_header(raw, order)
    header, mode = mrc.header, int(mrc.header.mode)
    if mode in _REFUSED_MODES:
        raise VolumeError(
            f"{path}: MRC mode {mode} holds {_REFUSED_MODES[mode]}; a tomogram holds one real "
            "number a voxel (mode 0, 1, 2, 6, 12)."
        )
    if spacegroup_is_volume_stack(int(header.ispg)):
        raise VolumeError(
            f"{path}: is a stack of volumes (space group {int(header.ispg)}); save each tomogram "
            "as a file of its own."
        )
    name, zero, byte_warnings = _byte_type(header) if mode == 0 else (MODES.get(mode, "u1"), 0, ())
    voxel_size, size_warnings = _voxel_size(mrc)
    x, y, z = (float(value) for value in header.origin.item())
    return _Facts(
        sides=(int(header.nz), int(header.ny), int(header.nx)),
        stored=np.dtype(name).newbyteorder(order),
        four_bit=mode == FOUR_BIT,
        offset=HEADER_BYTES + extended,
        axes=_axes(header, path),
        voxel_size=voxel_size,
        origin_xyz=(x, y, z),
        nstart_xyz=(int(header.nxstart), int(header.nystart), int(header.nzstart)),
        zero=zero,
        warnings=(*byte_warnings, *size_warnings),
    )


def _byte_order(raw: bytes) -> Literal["<", ">"] | None:
    """Return the order in which mode and sides make sense; the machine stamp is often wrong."""
    if len(raw) < 16:
        return None
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        nx, ny, nz, mode = np.frombuffer(raw, order + "i4", 4).tolist()
        known = mode in MODES or mode == FOUR_BIT or mode in _REFUSED_MODES
        if known and all(1 <= side <= MAX_SIDE for side in (nx, ny, nz)):
            return order
    return None


def _read_header(raw: bytes, order: Literal["<", ">"]) -> Any:
    """Read 1024 bytes by mrcfile, with the byte order and map id that careless writers leave out.

    The extended header stays in the file: mrcfile would read it.
    """
    mended = bytearray(raw[:HEADER_BYTES])
    mended[_NSYMBT] = bytes(4)
    mended[_MAP], mended[_MACHST] = b"MAP ", bytes(machine_stamp_from_byte_order(order))
    return MrcInterpreter(io.BytesIO(mended), header_only=True)


def _byte_type(header: Any) -> tuple[str, int, tuple[str, ...]]:
    """Decide what the bytes of mode 0 are: their type, the value of 0 in a mask, and doubts.

    IMOD's stamp decides. Without it MRC2014 says signed, but older writers mean unsigned: no signed
    byte reaches a maximum above 127 (the rule of ITK's MRCImageIO and of the CryoET Data Portal:
    https://github.com/InsightSoftwareConsortium/ITK/pull/2088,
    https://github.com/chanzuckerberg/cryoet-data-portal/issues/691).
    """
    low, high = float(header.dmin), float(header.dmax)
    looks_unsigned = 127 < high < math.inf
    stated = f"the header's minimum and maximum are {low:g} and {high:g}"
    stamp, flags = np.frombuffer(
        header.extra2.tobytes()[152 - 112 :][:8], header.mode.dtype
    ).tolist()
    if stamp != IMOD_STAMP:
        if looks_unsigned:
            return "u1", 0, (f"mode 0 read as unsigned bytes: {stated}",)
        return "i1", 0, ()
    if flags & SIGNED_BYTES:
        doubt = f"mode 0 read as signed bytes by IMOD's stamp, but {stated}"
        return "i1", -128, ((doubt,) if looks_unsigned else ())
    doubt = f"mode 0 read as unsigned bytes by IMOD's stamp, but {stated}"
    return "u1", 0, ((doubt,) if low < 0 and high >= low else ())


def _axes(header: Any, path: Path) -> tuple[int, int, int]:
    """Find the file's axes z, y, x: mapc, mapr, maps say what columns, rows, sections are."""
    stated = int(header.mapc), int(header.mapr), int(header.maps)
    if stated == (0, 0, 0):
        stated = (1, 2, 3)
    if sorted(stated) != [1, 2, 3]:
        raise VolumeError(
            f"{path}: header states axes mapc, mapr, maps = {stated}; they are 1, 2, 3 in some "
            "order."
        )
    return 2 - stated.index(3), 2 - stated.index(2), 2 - stated.index(1)


def _voxel_size(mrc: Any) -> tuple[float | None, tuple[str, ...]]:
    """Return one voxel size in angstrom; 0 and 1 mean unknown, and so do axes that differ."""
    header = mrc.header
    if min(int(header.mx), int(header.my), int(header.mz)) < 1:
        return None, ()
    x, y, z = (float(size) for size in mrc.voxel_size.item())
    if not all(math.isfinite(size) and size > 0 for size in (x, y, z)):
        return None, ()
    return one_voxel_size((x, y, z))
