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
from core.imaging.formats.segment import Segment
from core.imaging.formats.source import Source
from core.imaging.geometry import Box, Grid, Zyx


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

    def read(self, box: Box, layer: int = 0) -> NDArray[Any]:
        """The voxels of a box that lies in the volume: a new C-order (z, y, x) array."""
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


def _reader(first: bytes, path: Path) -> Callable[[Path, Source], Volume]:
    """The reader of a format; imported where it is met, so that a command starts fast."""
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
