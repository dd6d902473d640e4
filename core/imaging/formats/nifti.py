"""NIfTI-1 (.nii, .nii.gz): read any label or image volume, write patches and labels.

Small on purpose: NIfTI-1's header is 348 bytes (https://nifti.nimh.nih.gov/nifti-1), and a bounded
reader of our own starts in no time, where a library takes 0.18 s. The tests hold it against nibabel
and SimpleITK. A file is written with the number of angstrom as its spacing (NIfTI knows no
angstrom; ITK reads "mm"), directions LPS identity, no date, no name: the same voxels give the
same bytes.
"""

import math
import struct
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from core.errors import VolumeError
from core.files.atomic import whole_file
from core.imaging.formats.label_names import Segment
from core.imaging.formats.source import Source
from core.imaging.formats.voxel_size import one_voxel_size
from core.imaging.geometry import Box, Grid, Zyx, is_possible, whole

HEADER_BYTES = 348
DATA_OFFSET = 352
MAX_SIDE = 65_535
MAX_IN_MEMORY = 64 << 20
"""A compressed file up to here (a patch) is inflated into memory, and exactly."""

DTYPES = {
    2: "u1",
    256: "i1",
    4: "i2",
    512: "u2",
    8: "i4",
    768: "u4",
    1024: "i8",
    1280: "u8",
    16: "f4",
    64: "f8",
}
"""NIfTI-1 datatype codes that hold one real number a voxel."""

_UNITS = {1: "m", 2: "mm", 3: "micron"}
"""Codes of xyzt_units in nifti1.h."""

SAME_PLACE = 0.05
"""Voxels by which qform and sform may differ: single precision does."""

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_CHUNK = 1 << 20
_HEADER = struct.Struct("<i10s18sihBB8h3fhhhh8ffffhBBffffii80s24shh6f4f4f4f16s4s")


class _Facts(NamedTuple):
    """Fields of a header."""

    shape: Zyx
    stored: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    spacing_xyz: tuple[float, float, float]
    grid: Grid | None
    unit: str


class NiftiVolume:
    """An open NIfTI-1 file; ``read`` gives (z, y, x). Compressed files are inflated once."""

    layers = 1
    segments: tuple[Segment, ...] = ()
    label_zero = 0

    def __init__(self, path: Path, source: Source | None = None) -> None:
        """Open and check a file, or one that is open; ``close`` closes it.

        Errors: VolumeError for what is no NIfTI-1, no 3D volume of real numbers, or shorter or
        longer than its header says.
        """
        self.path = path
        self._source = source or Source(path)
        try:
            self._open()
        except BaseException:
            self._source.close()
            raise

    def _open(self) -> None:
        self._facts = facts = _parse_header(self._source.head(HEADER_BYTES), self.path)
        self._length = facts.offset + math.prod(facts.shape) * facts.stored.itemsize
        self._source.promise(self._length)
        self._in_memory = bool(self._source.compression) and self._length <= MAX_IN_MEMORY
        self._voxels: NDArray[Any] | None = None
        self.shape = facts.shape
        scaled = (facts.slope, facts.intercept) != (1.0, 0.0)
        self.dtype = np.dtype("f4") if scaled else facts.stored.newbyteorder("=")
        self.grid = facts.grid
        self.label_step = abs(facts.slope) if scaled else 0.0
        self.voxel_size, self.warnings = one_voxel_size(facts.spacing_xyz, facts.unit)
        if self._in_memory:
            self._voxels = self._inflate()

    def read(self, box: Box, layer: int = 0) -> NDArray[Any]:
        if layer != 0 or not box.lies_in(self.shape):
            raise VolumeError(
                f"{self.path}: box {box.start} to {box.stop} (z, y, x) leaves the volume "
                f"of shape {tuple(self.shape)}."
            )
        stored = self._inflate_box(box) if self._in_memory else self._rows(box)
        if (self._facts.slope, self._facts.intercept) != (1.0, 0.0):
            return (stored * self._facts.slope + self._facts.intercept).astype("f4")
        return np.ascontiguousarray(stored, dtype=self.dtype)

    def _inflate_box(self, box: Box) -> NDArray[Any]:
        """Return the box of the inflated voxels; the whole of them is handed over, not copied."""
        if self._voxels is None:
            self._voxels = self._inflate()
        if box != whole(self.shape):
            return np.array(self._voxels[box.slices])
        voxels, self._voxels = self._voxels, None
        return voxels

    def _inflate(self) -> NDArray[Any]:
        raw = self._source.read_all(self._length)
        return raw[self._facts.offset :].view(self._facts.stored).reshape(self.shape)

    def _rows(self, box: Box) -> NDArray[Any]:
        return self._source.read_box(box, self.shape, self._facts.stored, self._facts.offset)

    def close(self) -> None:
        self._voxels = None
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def is_nifti(first_bytes: bytes) -> bool:
    """Check whether a file that begins (inflated, 348 bytes) like this is NIfTI-1."""
    return len(first_bytes) >= HEADER_BYTES and first_bytes[344:347] in (b"n+1", b"ni1")


def write_nifti(path: Path, voxels: NDArray[Any], grid: Grid, *, exist_ok: bool = True) -> None:
    """Write a (z, y, x) array as ``.nii.gz`` (or plain ``.nii``), whole or not at all.

    The grid's spacing is the number of angstrom. float16 becomes float32 and bool uint8, since
    NIfTI has neither. The same voxels and grid give the same bytes.

    Errors: OutputError where it cannot be written; with ``exist_ok=False`` also where ``path``
    exists.
    """
    with whole_file(path, exist_ok=exist_ok) as temporary:
        fill_nifti(temporary, voxels, grid, compressed=path.suffix == ".gz")


def fill_nifti(path: Path, voxels: NDArray[Any], grid: Grid, *, compressed: bool = True) -> None:
    """Write the bytes of ``write_nifti`` into a temporary file that its caller publishes."""
    voxels = storable(voxels)
    header = encode_header(Zyx(*voxels.shape), voxels.dtype, grid)
    with path.open("wb") as out:
        if compressed:
            _write_gzip(out, header, voxels)
        else:
            out.write(header)
            out.write(voxels.data.cast("B"))


def same_voxels(path: Path, voxels: NDArray[Any], grid: Grid) -> bool:
    """Check whether a NIfTI file holds just these voxels on this grid."""
    try:
        with NiftiVolume(path) as volume:
            if volume.shape != voxels.shape or volume.dtype != voxels.dtype:
                return False
            if volume.grid is None or not np.allclose(volume.grid.matrix, grid.matrix, atol=1e-3):
                return False
            return volume.read(whole(volume.shape)).tobytes() == voxels.tobytes()
    except VolumeError:
        return False


def storable(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return the same voxels in C order, little-endian, in a dtype that NIfTI has."""
    name = {"f2": "f4", "b1": "u1"}.get(voxels.dtype.str[1:], voxels.dtype.str[1:])
    return np.ascontiguousarray(voxels, dtype=np.dtype("<" + name))


def encode_header(shape: Zyx, dtype: np.dtype[Any], grid: Grid) -> bytes:
    """Return the 352 bytes before the voxels of a single-file NIfTI-1."""
    code = next((code for code, name in DTYPES.items() if name == dtype.str[1:]), None)
    if code is None:
        raise VolumeError(f"voxels of type {dtype} cannot be kept in NIfTI; use a real number.")
    ras = _LPS_FROM_RAS @ grid.matrix
    qfac, quaternion = _quaternion(ras)
    x, y, z = shape.to_xyz()
    return _HEADER.pack(
        HEADER_BYTES,
        b"",
        b"",
        0,
        0,
        ord("r"),
        0,
        3,
        x,
        y,
        z,
        1,
        1,
        1,
        1,
        0.0,
        0.0,
        0.0,
        0,
        code,
        dtype.itemsize * 8,
        0,
        qfac,
        *grid.spacing_xyz,
        0.0,
        0.0,
        0.0,
        0.0,
        float(DATA_OFFSET),
        1.0,
        0.0,
        0,
        0,
        10,
        0.0,
        0.0,
        0.0,
        0.0,
        0,
        0,
        b"",
        b"",
        1,
        1,
        *quaternion,
        *ras[:3, 3],
        *ras[0],
        *ras[1],
        *ras[2],
        b"",
        b"n+1\0",
    ) + bytes(DATA_OFFSET - HEADER_BYTES)


def _write_gzip(out: BinaryIO, header: bytes, voxels: NDArray[Any]) -> None:
    """Level 1 of igzip: 15 times faster than zlib on float noise, and smaller."""
    squeeze = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    out.write(squeeze.compress(header))
    raw = voxels.data.cast("B")
    for start in range(0, len(raw), _CHUNK):
        out.write(squeeze.compress(raw[start : start + _CHUNK]))
    out.write(squeeze.flush())


def _parse_header(raw: bytes, path: Path) -> _Facts:
    if not is_nifti(raw):
        raise VolumeError(f"{path}: is not a NIfTI-1 file; save it as .nii.gz.")
    order = "<" if struct.unpack_from("<i", raw)[0] == HEADER_BYTES else ">"
    dims = struct.unpack_from(order + "8h", raw, 40)
    code = struct.unpack_from(order + "h", raw, 70)[0]
    pixdim = struct.unpack_from(order + "8f", raw, 76)
    offset, slope, intercept = struct.unpack_from(order + "3f", raw, 108)
    if raw[344:347] == b"ni1":
        raise VolumeError(f"{path}: keeps its voxels in another file; save one .nii.gz.")
    if code not in DTYPES:
        raise VolumeError(f"{path}: NIfTI datatype {code} is not one real number per voxel.")
    if not DATA_OFFSET <= offset <= _CHUNK:
        raise VolumeError(f"{path}: header puts the voxels at byte {offset:g}, 352 is usual.")
    if not (np.isfinite(slope) and slope != 0):
        slope, intercept = 1.0, 0.0
    spacing_x, spacing_y, spacing_z = (abs(float(value)) for value in pixdim[1:4])
    shape = _shape(dims, path)
    grid = _grid(raw, order, pixdim, shape, path)
    return _Facts(
        shape=shape,
        stored=np.dtype(order + DTYPES[code]),
        offset=int(offset),
        slope=slope,
        intercept=intercept,
        spacing_xyz=grid.spacing_xyz if grid else (spacing_x, spacing_y, spacing_z),
        grid=grid,
        unit=_UNITS.get(raw[123] & 7, ""),
    )


def _shape(dims: tuple[int, ...], path: Path) -> Zyx:
    count, sides = dims[0], dims[1:]
    if not 1 <= count <= 7 or any(side > 1 for side in sides[3:count]) or count < 3:
        raise VolumeError(f"{path}: has dimensions {dims[1 : max(count, 0) + 1]}, not one volume.")
    if not all(1 <= side <= MAX_SIDE for side in sides[:3]):
        raise VolumeError(f"{path}: header states impossible sides {sides[:3]} (x, y, z).")
    return Zyx.from_xyz(sides[:3])


def _grid(raw: bytes, order: str, pixdim: tuple[float, ...], shape: Zyx, path: Path) -> Grid | None:
    """Return the place that the header states by its sform or qform; NIfTI speaks RAS, Grid LPS.

    Where both are stated, nibabel and FSL go by the sform and ITK (MITK, 3D Slicer) by the qform
    unless the sform's code is 1 (itkNiftiImageIO.cxx), so both must say the same.
    """
    qform, sform = struct.unpack_from(order + "2h", raw, 252)
    by_sform = _lps_grid(np.reshape(struct.unpack_from(order + "12f", raw, 280), (3, 4)))
    by_qform = _lps_grid(_qform(raw, order, pixdim)) if qform > 0 else None
    if sform <= 0 or by_sform is None:
        return by_qform
    if by_qform is not None and _farthest(by_qform, by_sform, shape) > SAME_PLACE:
        raise VolumeError(
            f"{path}: states two places (its qform and sform differ), so programs show it in "
            "different places; save it again with one (in nibabel: set_sform and set_qform)."
        )
    return by_sform


def _qform(raw: bytes, order: str, pixdim: tuple[float, ...]) -> NDArray[np.float64]:
    b, c, d, *offset = struct.unpack_from(order + "6f", raw, 256)
    scale = np.array(pixdim[1:4]) * (1, 1, -1 if pixdim[0] < 0 else 1)
    return np.column_stack([_rotation(b, c, d) * scale, offset])


def _farthest(grid: Grid, other: Grid, shape: Zyx) -> float:
    """Return the largest distance between the same corner on two grids, in voxels."""
    ends = np.array([*product(*((0, n - 1) for n in shape.to_xyz()))], dtype=float)
    corners = np.column_stack([ends, np.ones(8)]).T
    apart = np.linalg.solve(grid.matrix, other.matrix) @ corners - corners
    return float(np.abs(apart).max())


def _lps_grid(ras: NDArray[np.float64]) -> Grid | None:
    """Return the grid of a 3 × 4 matrix to RAS, if its numbers can be one."""
    lps = _LPS_FROM_RAS[:3, :3] @ ras
    if not is_possible(lps[:, :3], lps[:, 3]):
        return None
    return Grid.of(lps[:, :3], lps[:, 3])


def _rotation(b: float, c: float, d: float) -> NDArray[np.float64]:
    """Return the rotation of a NIfTI quaternion (nifti1.h, method 2)."""
    rest, length = 1.0 - (b * b + c * c + d * d), np.sqrt(b * b + c * c + d * d)
    a = np.sqrt(rest) if rest > 1e-6 else 0.0
    if not a:  # a half turn, blurred by single precision
        b, c, d = b / length, c / length, d / length
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )


def _quaternion(ras: NDArray[np.float64]) -> tuple[float, tuple[float, float, float]]:
    """qfac and (b, c, d) of a grid's rotation (nifti1_io's mat44_to_quatern, for rotations)."""
    rotation = ras[:3, :3] / np.linalg.norm(ras[:3, :3], axis=0)
    qfac = 1.0 if np.linalg.det(rotation) > 0 else -1.0
    rotation[:, 2] *= qfac
    # The eigenvector of the largest eigenvalue of this matrix is the quaternion (Bar-Itzhack).
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    quaternion = np.linalg.eigh(symmetric)[1][:, -1]
    leading = next(value for value in quaternion if abs(value) > 1e-9)
    _, b, c, d = quaternion * np.sign(leading)
    return qfac, (float(b), float(c), float(d))
