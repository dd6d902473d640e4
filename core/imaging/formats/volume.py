"""A 3D file behind one small protocol: shape, dtype, voxel size, grid, and read a box.

``open_volume`` looks at the first bytes, never at the name, and returns the reader of that
format (mrc.py, nrrd.py, nifti.py, tiff.py). A reader checks its header against the file's
size before it believes it, and reads the rows that a box needs, never the whole volume.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.formats.label_names import Segment
from core.imaging.formats.source import Source
from core.imaging.geometry import Box, Grid, Zyx

ROUNDING, LARGEST_STEP = 1e-4, 0.1
"""How far a float may lie from the whole number that it means; scores lie farther."""


class Volume(Protocol):
    """An open 3D file. A context manager; ``close`` twice is harmless."""

    path: Path
    shape: Zyx
    dtype: np.dtype[Any]
    """Of what ``read`` returns: native byte order."""
    voxel_size: float | None
    """Angstrom, if the file states one that can be true (not 0, not 1, and cubic to 1 %)."""
    grid: Grid | None
    """Where the voxels lie, if the file says so (NRRD and NIfTI can, MRC and TIFF cannot)."""
    layers: int
    """1, except for layered label files, whose further layers ``read`` takes by number."""
    segments: tuple[Segment, ...]
    """The labels that a multi-label file names."""
    warnings: tuple[str, ...]
    """What a user should know about the file, though it can be read."""
    label_zero: int
    """The stored value that means 0 in a mask: -128 in IMOD's signed bytes, else 0."""
    label_step: float
    """What the file's scaling may have moved a whole number by; 0 without scaling."""

    def read(self, box: Box, layer: int = 0) -> NDArray[Any]:
        """Return the voxels of a box that lies in the volume: a new C-order (z, y, x) array."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def open_volume(path: Path, within: Sequence[Path] | None = None) -> Volume:
    """Open a 3D file by what it holds: MRC, NRRD, NIfTI-1 or TIFF. It is opened once.

    ``within`` are folders, links resolved, of which one must hold it.

    Errors: VolumeError for what is none of these, not what it claims to be, or lies elsewhere.
    """
    source = Source(path, within)
    try:
        reader = _reader(source.head(1024), path)
    except BaseException:
        source.close()
        raise
    return reader(path, source)


def read_labels(
    volume: Volume, box: Box, layer: int = 0, *, round_floats: bool = True
) -> NDArray[Any]:
    """Read a box of labels: whole numbers that the file stored by a detour are those numbers.

    IMOD's signed bytes hold value - 128 (https://bio3d.colorado.edu/imod/doc/mrc_format.txt); a
    mask of 0 and 1 that IMOD merely stamped holds no negative value and stays. Floats within
    rounding of whole numbers (or within one step of NIfTI's slope) are rounded.
    """
    voxels = volume.read(box, layer)
    if volume.label_zero and voxels.size and voxels.min() < 0:
        return (voxels.astype(np.int16) - volume.label_zero).astype(np.uint8)
    if round_floats and voxels.dtype.kind == "f" and np.isfinite(voxels).all():
        whole_numbers: NDArray[Any] = np.rint(voxels)
        tolerance = max(ROUNDING, min(volume.label_step, LARGEST_STEP))
        if (np.abs(voxels - whole_numbers) <= tolerance).all():
            return whole_numbers
    return voxels


def _reader(first: bytes, path: Path) -> Callable[[Path, Source], Volume]:
    """Return the reader of a format; imported where it is met, so that a command starts fast."""
    if first.startswith(b"NRRD"):
        from core.imaging.formats.nrrd import NrrdVolume

        return NrrdVolume
    if first[344:347] in (b"n+1", b"ni1"):
        from core.imaging.formats.nifti import NiftiVolume

        return NiftiVolume
    if first.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        from core.imaging.formats.tiff import TiffVolume

        return TiffVolume
    from core.imaging.formats.mrc import MrcVolume, may_be_mrc

    if not may_be_mrc(first):
        held = "is empty" if not first else f"begins with {first[:8]!r}"
        raise VolumeError(f"{path}: {held}, so it is neither MRC, NRRD, NIfTI-1 nor TIFF.")
    return MrcVolume
