"""Finding the same place twice: exact copies, near duplicates, and patches that overlap.

Three measures, each for what it can do: the content hash finds copies; a coarse fingerprint
finds the same patch rescaled, requantised, filtered, flipped or turned; phase correlation finds
two patches that share a part of a tomogram. Thresholds come from synthetic tomograms.
"""

import base64
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import BundleError
from core.imaging.geometry import BORDER
from db.vocabulary import LikenessKind

CELLS = 8
"""Cells along each side of a fingerprint: 20 voxels of a 160-voxel patch."""

NEAR_DUPLICATE = 0.98
"""Correlation of fingerprints above which two patches are the same place."""

OVERLAP_SIGMA = 15.0
"""Height of the phase correlation's peak: unrelated patches reach 8.5, overlaps 46 and more."""

BIN = 4
FINGERPRINT_PREFIX = "f8i8:"
FINGERPRINT_STEP = 1 / 16

Fingerprint = NDArray[np.float32]
Waves = NDArray[np.complex64]


@dataclass(frozen=True)
class Overlap:
    """Where the second patch lies in the first, and how sure that is."""

    shift_zyx: tuple[int, int, int]
    """Voxels (a multiple of four) that the second patch's start lies after the first's."""
    sigma: float


def fingerprint(image: NDArray[Any]) -> Fingerprint:
    """Means over 8 × 8 × 8 cells, normalised to mean 0 and length 1."""
    sides = [n // CELLS for n in image.shape]
    if min(sides) < 1:
        raise BundleError(f"an image of shape {image.shape} is too small for a fingerprint.")
    cut = image[tuple(slice(0, side * CELLS) for side in sides)]
    cells = cut
    for axis, side in reversed(list(enumerate(sides))):
        starts = np.arange(0, side * CELLS, side)
        cells = np.add.reduceat(cells, starts, axis=axis, dtype=np.float32)
    return _unit(cells)


def pack(print_: Fingerprint) -> str:
    """A fingerprint as text for a table: one signed byte a cell, base64."""
    scaled = print_ * np.float32(CELLS**1.5 / FINGERPRINT_STEP)
    stored = np.clip(np.rint(scaled), -127, 127).astype(np.int8)
    return FINGERPRINT_PREFIX + base64.b64encode(stored.tobytes()).decode("ascii")


def unpack(text: str) -> Fingerprint:
    """The fingerprint that ``pack`` wrote.

    Errors: BundleError for anything else.
    """
    try:
        raw = base64.b64decode(text.removeprefix(FINGERPRINT_PREFIX), validate=True)
    except ValueError as error:
        raise BundleError("a fingerprint is no base64; export the bundle again.") from error
    if not text.startswith(FINGERPRINT_PREFIX) or len(raw) != CELLS**3:
        raise BundleError(f"a fingerprint does not hold {CELLS}³ cells; export the bundle again.")
    cells = np.frombuffer(raw, np.int8).reshape(CELLS, CELLS, CELLS)
    return _unit(cells.astype(np.float32))


def similarities(
    print_: Fingerprint, others: Sequence[Fingerprint] | NDArray[Any]
) -> NDArray[np.float32]:
    """The best correlation with each of the others, over all 48 flips and turns."""
    known = np.asarray(others, np.float32).reshape(len(others), -1)
    turned = print_.reshape(-1)[_orientations()]
    best: NDArray[np.float32] = (turned @ known.T).max(axis=0)
    return best


def waves_of(image: NDArray[Any]) -> Waves:
    """What ``find_overlap`` compares: the whitened spectrum of the image, binned by four."""
    sides = [n // BIN * BIN for n in image.shape]
    small = image[tuple(slice(0, n) for n in sides)]
    for axis in (2, 1, 0):
        starts = np.arange(0, small.shape[axis], BIN)
        small = np.add.reduceat(small, starts, axis=axis, dtype=np.float32)
    small = (small - small.mean()) * _taper(small.shape)
    waves = np.fft.rfftn(small)
    waves /= np.abs(waves) + 1e-6 * float(np.abs(waves).max() + 1e-30)
    return waves.astype(np.complex64)


def find_overlap(first: Waves, second: Waves) -> Overlap | None:
    """Whether two patches of one shape share voxels, by phase correlation; None if not.

    Patches are compared as they lie (turned copies are found by their fingerprint).
    """
    if first.shape != second.shape:
        return None
    side = first.shape[0]
    peaks = np.fft.irfftn(first * np.conj(second), (side, side, side), axes=(0, 1, 2))
    at = np.unravel_index(int(peaks.argmax()), peaks.shape)
    sigma = float((peaks[at] - peaks.mean()) / (peaks.std() + 1e-30))
    if sigma < OVERLAP_SIGMA:
        return None
    z, y, x = (int((i if i <= side // 2 else i - side) * BIN) for i in at)
    return Overlap((z, y, x), sigma)


@dataclass(frozen=True)
class Look:
    """What is compared of an image: fingerprints of it whole and without its border, and waves."""

    side: int
    """Voxels along the first axis."""
    prints: Mapping[int, Fingerprint] = field(repr=False)
    """By the side of what was looked at: a patch may come with its border or without."""
    waves: Waves = field(repr=False)


class Likeness(NamedTuple):
    """How two images are alike, and how much."""

    kind: LikenessKind
    measure: float
    """Correlation of near duplicates, shared part of an overlap."""


def look_at(image: NDArray[Any]) -> Look:
    """Look at a patch's image once, to compare it with many."""
    side = image.shape[0]
    prints = {side: fingerprint(image)}
    inner = side - 2 * BORDER
    if inner >= CELLS:
        prints[inner] = fingerprint(image[(slice(BORDER, -BORDER),) * 3])
    return Look(side, prints, waves_of(image))


def likeness(first: Look, second: Look, *, overlaps: bool = True) -> Likeness | None:
    """Whether two images show the same place, or part of it."""
    common = first.prints.keys() & second.prints.keys()
    alike = max(
        (float(similarities(first.prints[s], [second.prints[s]])[0]) for s in common), default=0.0
    )
    if alike >= NEAR_DUPLICATE:
        return Likeness(LikenessKind.NEAR_DUPLICATE, alike)
    found = find_overlap(first.waves, second.waves) if overlaps else None
    if found is None:
        return None
    shared = np.prod([max(0.0, 1 - abs(shift) / first.side) for shift in found.shift_zyx])
    return Likeness(LikenessKind.OVERLAP, float(shared))


def _unit(cells: NDArray[Any]) -> Fingerprint:
    centered = cells.astype(np.float32) - np.float32(cells.mean(dtype=np.float64))
    length = float(np.sqrt(np.square(centered, dtype=np.float64).sum()))
    return centered / np.float32(length) if length > 0 else centered


@cache
def _orientations() -> NDArray[np.intp]:
    """Indices of the cells for each of the 48 flips and turns of a cube: (48, 512)."""
    cells = np.arange(CELLS**3).reshape(CELLS, CELLS, CELLS)
    return np.array(
        [
            np.flip(cells.transpose(axes), tuple(a for a in range(3) if flips >> a & 1)).reshape(-1)
            for axes in itertools.permutations(range(3))
            for flips in range(8)
        ]
    )


def _taper(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Fades the faces, which else correlate with each other in every patch."""
    z, y, x = (np.hanning(n + 2)[1:-1] ** 0.5 for n in shape)
    return (z[:, None, None] * y[:, None] * x).astype(np.float32)
