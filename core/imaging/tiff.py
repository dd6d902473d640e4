"""TIFF label volumes (.tif): stacks that napari, Fiji and Amira save; pages are sections.

tifffile reads the tags; the pages must be one 3D stack of one plain number a voxel, and the whole
must be what the file can hold.
"""

import math
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.geometry import Box, Grid, Zyx
from core.imaging.source import Source
from core.imaging.volume import Segment

MAX_VOXEL_BYTES = 1 << 30
"""A TIFF is read whole: a label of a patch is far smaller."""

MAX_PAGES = 65_535
MAX_RATIO = 1100


class TiffVolume:
    """An open TIFF stack; ``read`` gives (z, y, x). The voxels are read once, on first use."""

    grid: Grid | None = None
    layers = 1
    segments: tuple[Segment, ...] = ()
    warnings: tuple[str, ...] = ()
    voxel_size: float | None = None
    """TIFF's resolution is dots an inch or nothing; it is not believed."""

    def __init__(self, path: Path) -> None:
        """Open and check a file.

        Errors: VolumeError for what is no 3D stack of real numbers.
        """
        self.path = path
        self._voxels: NDArray[Any] | None = None
        source = Source(path)  # refuses what is no regular file
        try:
            self._size = source.size
        finally:
            source.close()
        with self._opened() as tiff:
            self.shape, self.dtype = self._described(tiff)

    def _opened(self) -> Any:
        import tifffile

        try:
            return tifffile.TiffFile(self.path)
        except Exception as error:  # tifffile raises whatever its parsing trips over
            raise self._unreadable(error) from error

    def _described(self, tiff: Any) -> tuple[Zyx, np.dtype[Any]]:
        try:
            series = tiff.series[0]
            shape, dtype = tuple(int(side) for side in series.shape), np.dtype(series.dtype)
            several = len(tiff.series) > 1
        except Exception as error:
            raise self._unreadable(error) from error
        if several or len(shape) != 3 or "S" in series.axes or dtype.kind not in "iuf":
            raise VolumeError(
                f"{self.path}: is {' × '.join(map(str, shape))} {series.axes}, not one stack of "
                "gray sections; save a 3D stack without colours or channels."
            )
        length = math.prod(shape) * dtype.itemsize
        if length > min(MAX_VOXEL_BYTES, self._size * MAX_RATIO) or max(shape) > MAX_PAGES:
            raise VolumeError(
                f"{self.path}: promises {length} bytes of voxels in a file of {self._size}; "
                "its tags are wrong, or it is no label of a patch."
            )
        return Zyx(*shape), dtype.newbyteorder("=")

    def read(self, box: Box, layer: int = 0) -> NDArray[Any]:
        if layer != 0 or not box.lies_in(self.shape):
            raise VolumeError(
                f"{self.path}: box {tuple(box.start)} to {tuple(box.stop)} (z, y, x) leaves the "
                f"volume of shape {tuple(self.shape)}."
            )
        if self._voxels is None:
            with self._opened() as tiff:
                try:
                    self._voxels = np.asarray(tiff.series[0].asarray(maxworkers=1))
                except Exception as error:
                    raise self._unreadable(error) from error
        return np.array(self._voxels[box.slices], dtype=self.dtype, order="C")

    def _unreadable(self, error: Exception) -> VolumeError:
        text = " ".join(str(error).split())[:80]
        return VolumeError(
            f"{self.path}: cannot be read as TIFF ({text}); save it uncompressed, or as NRRD."
        )

    def close(self) -> None:
        self._voxels = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
