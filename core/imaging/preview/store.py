"""An 8-bit preview of a volume, one copy an axis, so that any plane is one short read.

A plane across the rows of a cold tomogram costs seconds; here it costs one contiguous read. Gray
previews map a window of values to 0 ... 255, label previews hold one bit a voxel. A volume whose
longest side exceeds 1024 is binned (gray: mean, label: any), by one factor for all axes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.formats.volume import Volume
from core.imaging.geometry import Box, Zyx
from core.imaging.patch import read_prediction

MAX_SIDE = 1024
SLAB = 32
"""Sections of the preview that are made at a time; a row of the copies is written this long."""
STRIP_BYTES = 64 << 20
"""Most bytes that are read at a time."""
SAMPLED_SECTIONS = 16
SAMPLED_VALUES = 1 << 20
WINDOW_PERCENT = (0.1, 99.9)
FORMAT = 1

FACTS = "preview.json"
PLANES = ("z.u8", "y.u8", "x.u8")
FILES = (FACTS, *PLANES)

Gray = NDArray[np.uint8]
Progress = Callable[[float], None]


class PlaneAxis(StrEnum):
    """The axis across which a plane lies: z is XY, y is XZ, x is YZ."""

    Z = "z"
    Y = "y"
    X = "x"

    @property
    def number(self) -> int:
        return "zyx".index(self.value)


class Look(StrEnum):
    """As what a volume is looked at."""

    GRAY = "gray"
    LABEL = "label"


@dataclass(frozen=True)
class Window:
    """The values that become black and white."""

    low: float
    high: float

    def apply(self, values: NDArray[Any]) -> Gray:
        """Map values to 0 ... 255; what lies outside is clipped, NaN is black."""
        scaled = np.asarray(values, np.float32) - np.float32(self.low)
        scaled *= np.float32(255.0 / max(self.high - self.low, 1e-30))
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        np.clip(scaled, 0, 255, out=scaled)
        return scaled.astype(np.uint8)


NO_WINDOW: tuple[Window, tuple[int, ...]] = (Window(0.0, 1.0), ())
"""A label's: nothing to stretch."""


@dataclass(frozen=True)
class PreviewFacts:
    """Content of preview.json. Shapes are (z, y, x)."""

    look: Look
    full_shape: tuple[int, int, int]
    binning: int
    window: tuple[float, float]
    """Values that are 0 and 255; (0, 1) for a label."""
    histogram: tuple[int, ...]
    """Sampled voxels of each of the 256 grays; empty for a label."""
    format: int = FORMAT

    @property
    def shape(self) -> Zyx:
        return binned_shape(Zyx(*self.full_shape), self.binning)


def preview_key(
    path: Path, look: Look, threshold: float | None = None, membrane: int | None = None
) -> str:
    """Compute the cache key of a file's preview; it changes with the file's size or time."""
    facts = path.stat()
    reading = threshold if membrane is None else (threshold, membrane)
    told = (str(path.resolve()), facts.st_size, facts.st_mtime_ns, look, reading, FORMAT)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:40]


def binning_for(shape: Zyx, most: int = MAX_SIDE) -> int:
    """Return the smallest whole factor that makes every side at most ``most``."""
    return -(-max(shape) // most)


def binned_shape(shape: Zyx, factor: int) -> Zyx:
    """Return the shape after binning; an incomplete last bin counts."""
    return Zyx(*(-(-side // factor) for side in shape))


def bin_values(values: NDArray[Any], factor: int, look: Look) -> NDArray[Any]:
    """Bin every axis by a factor: gray by the mean, label by any; the last bin is filled up."""
    if factor == 1:
        return values
    short = [(0, -side % factor) for side in values.shape]
    padded = np.pad(values, short, mode="edge")
    split = padded.reshape([n for side in padded.shape for n in (side // factor, factor)])
    within = tuple(range(1, split.ndim, 2))
    if look is Look.LABEL:
        return np.asarray(split.any(axis=within))
    return np.asarray(split.mean(axis=within, dtype=np.float32))


def choose_window(volume: Volume, binning: int) -> tuple[Window, tuple[int, ...]]:
    """Choose the window between two percentiles of sampled sections, and its histogram."""
    values = _sample(volume, binning)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return NO_WINDOW
    low, high = (float(v) for v in np.percentile(values, WINDOW_PERCENT))
    window = Window(low, high if high > low else low + 1.0)
    counts = np.bincount(window.apply(values), minlength=256)
    return window, tuple(counts.tolist())


def look_over(volume: Volume, look: Look) -> PreviewFacts:
    """Return the facts of a volume's preview, from a few sections of it."""
    binning = binning_for(volume.shape)
    window, histogram = NO_WINDOW
    if look is Look.GRAY:
        window, histogram = choose_window(volume, binning)
    z, y, x = volume.shape
    return PreviewFacts(look, (z, y, x), binning, (window.low, window.high), histogram)


def write_preview(
    volume: Volume,
    folder: Path,
    look: Look,
    threshold: float | None = None,
    progress: Progress = lambda share: None,
    *,
    membrane: int | None = None,
) -> PreviewFacts:
    """Make the files of a preview in a folder, within some 200 MiB of memory whatever the volume.

    ``progress`` is told the share that is done, and may raise to stop.

    Errors: SegmentationError for real-valued scores without a threshold; VolumeError.
    """
    facts = look_over(volume, look)
    descriptors = [os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o666) for name in PLANES]
    try:
        for start, slab in _slabs(volume, facts, threshold, membrane):
            _write_slab(descriptors, facts, start, slab)
            progress((start + len(slab)) / facts.shape.z)
        for descriptor in descriptors:
            os.fsync(descriptor)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    (folder / FACTS).write_text(json.dumps(asdict(facts)))
    return facts


class Preview:
    """An open preview. ``plane`` may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        """Open the three copies.

        Errors: VolumeError where the folder holds no whole preview.
        """
        try:
            self.facts = _read_facts(folder / FACTS)
            self._descriptors = [os.open(folder / name, os.O_RDONLY) for name in PLANES]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise VolumeError(
                f"{folder}: the preview is incomplete; it will be made again."
            ) from error

    def plane(self, axis: PlaneAxis, index: int) -> Gray:
        """Return one plane, rows down: XY as (y, x), XZ as (z, x), YZ as (z, y).

        A label plane is packed, eight voxels a byte, each row ending on a whole byte.
        """
        rows, columns = plane_shape(self.facts.shape, axis)
        width = _row_bytes(columns, self.facts.look)
        raw = os.pread(self._descriptors[axis.number], rows * width, index * rows * width)
        if len(raw) != rows * width:
            raise VolumeError(f"preview: plane {axis} = {index} is not there; make it again.")
        return np.frombuffer(raw, np.uint8).reshape(rows, width)

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def plane_shape(shape: Zyx, axis: PlaneAxis) -> tuple[int, int]:
    """Rows and columns of a plane: XY (y, x), XZ (z, x), YZ (z, y)."""
    rows, columns = (side for number, side in enumerate(shape) if number != axis.number)
    return rows, columns


def read_membrane(
    volume: Volume, box: Box, threshold: float | None, membrane: int | None = None
) -> NDArray[np.bool_]:
    """Mark the voxels of a box that are membrane, by the one rule of labels.py."""
    return read_prediction(volume, box, threshold, membrane)[0].astype(np.bool_)


def _read_facts(path: Path) -> PreviewFacts:
    held = json.loads(path.read_text())
    z, y, x = held["full_shape"]
    low, high = held["window"]
    if held["format"] != FORMAT:
        raise ValueError("another format")
    return PreviewFacts(
        Look(held["look"]), (z, y, x), held["binning"], (low, high), tuple(held["histogram"])
    )


def _row_bytes(columns: int, look: Look) -> int:
    return -(-columns // 8) if look is Look.LABEL else columns


def _sample(volume: Volume, binning: int) -> NDArray[np.float32]:
    """Values of evenly spread sections, binned as the preview is, at most a few million."""
    depth, height, width = volume.shape
    count = min(SAMPLED_SECTIONS, max(1, depth // binning))
    starts = np.unique(np.linspace(0, depth - min(binning, depth), count).astype(int))
    # Few rows of very large sections are enough, and keep the read small.
    rows = min(height, max(binning, STRIP_BYTES // (binning * width * volume.dtype.itemsize)))
    top = (height - rows) // 2
    kept = []
    for z in starts.tolist():
        box = Box(Zyx(z, top, 0), Zyx(min(z + binning, depth), top + rows, width))
        values = bin_values(volume.read(box), binning, Look.GRAY).ravel()
        kept.append(values[:: max(1, values.size * len(starts) // SAMPLED_VALUES)])
    return np.concatenate(kept).astype(np.float32)


def _slabs(
    volume: Volume, facts: PreviewFacts, threshold: float | None, membrane: int | None
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Start and voxels of slabs of the preview: uint8 grays, or bool labels."""
    window = Window(*facts.window)
    step = SLAB * facts.binning
    for start in range(0, volume.shape.z, step):
        stop = min(start + step, volume.shape.z)
        parts = []
        for box in _strips(volume, start, stop, facts.binning):
            if facts.look is Look.LABEL:
                label = read_membrane(volume, box, threshold, membrane)
                parts.append(bin_values(label, facts.binning, facts.look))
            else:
                parts.append(window.apply(bin_values(volume.read(box), facts.binning, facts.look)))
        yield start // facts.binning, np.concatenate(parts, axis=1)


def _strips(volume: Volume, start: int, stop: int, binning: int) -> Iterator[Box]:
    """Boxes of whole rows that together are the sections, each within the bytes to read."""
    _, height, width = volume.shape
    row = (stop - start) * width * max(4, volume.dtype.itemsize)
    rows = max(1, STRIP_BYTES // (row * binning)) * binning
    for top in range(0, height, rows):
        yield Box(Zyx(start, top, 0), Zyx(stop, min(top + rows, height), width))


def _write_slab(
    descriptors: list[int], facts: PreviewFacts, start: int, slab: NDArray[Any]
) -> None:
    """Put sections into the three copies: whole planes of z, runs of rows of y and x."""
    for axis, descriptor in zip(PlaneAxis, descriptors, strict=True):
        planes = np.moveaxis(slab, axis.number, 0)
        if facts.look is Look.LABEL:
            planes = np.packbits(planes, axis=2)
        planes = np.ascontiguousarray(planes)
        if axis is PlaneAxis.Z:
            _write_at(descriptor, planes, start * planes[0].nbytes)
            continue
        row = planes.shape[2]
        for index, plane in enumerate(planes):
            _write_at(descriptor, plane, (index * facts.shape.z + start) * row)


def _write_at(descriptor: int, values: Gray, offset: int) -> None:
    left = values.data.cast("B")
    while left:
        done = os.pwrite(descriptor, left, offset)
        left, offset = left[done:], offset + done
