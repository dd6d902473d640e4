"""A volume as one looks at it: 8-bit planes, from its preview where there is one, else its file.

Planes are binned as the preview is (preview.py), so a page sees the same positions before and
after the preview is made. XY may also be had in full resolution, which always comes from the file.
"""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from core.errors import VolumeError
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.geometry import Box, Zyx
from core.imaging.preview.store import (
    Gray,
    Look,
    PlaneAxis,
    Preview,
    PreviewFacts,
    Window,
    bin_values,
    binning_for,
    look_over,
    read_membrane,
)

MAX_FULL_SIDE = 8192
"""A full plane is binned to at most this side (JPEG ends at 65,500; browsers earlier)."""


@dataclass(frozen=True)
class ViewedFile:
    """A file, and as what it is looked at."""

    path: Path
    look: Look
    threshold: float | None = None
    membrane: int | None = None
    within: tuple[Path, ...] | None = None
    """Folders of which one must hold it; None asks for none."""

    def open(self) -> Volume:
        """Errors: VolumeError."""
        return open_volume(self.path, self.within)


class VolumeView:
    """An open volume and its preview. ``plane`` may be called from several threads."""

    def __init__(self, file: ViewedFile, preview: Path | None = None) -> None:
        """Open a file, and the folder of its preview if that is there.

        Errors: VolumeError for what is no volume, or changed since its preview was made.
        """
        self.path, self.look, self._threshold = file.path, file.look, file.threshold
        self._file = file
        self._preview = Preview(preview) if preview else None
        self._volume: Volume | None = None
        self._lock = threading.Lock()
        try:
            with file.open() as volume:
                self.shape, self.voxel_size = volume.shape, volume.voxel_size
                self.facts = self._preview.facts if self._preview else look_over(volume, self.look)
            self.version = self._version()
        except BaseException:
            self.close()
            raise
        if Zyx(*self.facts.full_shape) != self.shape:
            self.close()
            raise VolumeError(f"{self.path}: its preview shows another shape; make it again.")

    @property
    def has_preview(self) -> bool:
        return self._preview is not None

    def plane(self, axis: PlaneAxis, index: int) -> Gray:
        """Return a plane of the binned volume: gray, or packed bits of a label (see Preview.plane).

        Errors: VolumeError for an index that the volume does not have.
        """
        side = self.facts.shape[axis.number]
        if not 0 <= index < side:
            raise VolumeError(
                f"{self.path.name}: plane {axis} = {index} is not in 0 to {side - 1}."
            )
        if self._preview:
            return self._preview.plane(axis, index)
        return self._from_file(axis, index, self.facts.binning)

    def full_plane(self, index: int) -> Gray:
        """Return an XY plane in full resolution, from the file.

        Errors: VolumeError for an index that the volume does not have.
        """
        if not 0 <= index < self.shape.z:
            raise VolumeError(
                f"{self.path.name}: section z = {index} is not in 0 to {self.shape.z - 1}."
            )
        box = Box(Zyx(index, 0, 0), Zyx(index + 1, self.shape.y, self.shape.x))
        factor = binning_for(Zyx(1, self.shape.y, self.shape.x), MAX_FULL_SIDE)
        return self._drawn(box, PlaneAxis.Z, factor)

    def close(self) -> None:
        if self._preview:
            self._preview.close()
        with self._lock:
            if self._volume:
                self._volume.close()
            self._volume = None

    def _from_file(self, axis: PlaneAxis, index: int, factor: int) -> Gray:
        """Read one voxel layer in the middle of the bin, so that browsing reads little."""
        start, stop = [0, 0, 0], list(self.shape)
        middle = min(index * factor + factor // 2, self.shape[axis.number] - 1)
        start[axis.number], stop[axis.number] = middle, middle + 1
        return self._drawn(Box(Zyx(*start), Zyx(*stop)), axis, factor)

    def _drawn(self, box: Box, axis: PlaneAxis, factor: int) -> Gray:
        volume = self._opened()
        if self.look is Look.LABEL:
            label = read_membrane(volume, box, self._threshold, self._file.membrane)
            return np.packbits(bin_values(label.squeeze(axis.number), factor, self.look), 1)
        values = volume.read(box).squeeze(axis.number)
        return Window(*self.facts.window).apply(bin_values(values, factor, self.look))

    def _opened(self) -> Volume:
        with self._lock:
            if self._volume is None:
                self._volume = self._file.open()
            return self._volume

    def _version(self) -> str:
        """Changes whenever a plane could look different: it stands in the planes' addresses."""
        stat = self.path.stat()
        facts: PreviewFacts = self.facts
        reading = self._threshold, self._file.membrane
        seen = (stat.st_size, stat.st_mtime_ns, facts, reading, self.has_preview)
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
