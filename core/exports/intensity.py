"""The image as a network is trained on it: z-scored float32, optionally rounded.

MemBrain-seg normalises tomograms when it predicts but not when it loads training patches, so the
patches must come normalised: each by its own mean and standard deviation over the voxels that
lie in the tomogram; padding becomes 0, which is the mean.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import ExportError
from core.imaging.geometry import Box

QUANTUM = 1 / 256
"""Standard deviations: rounding to this halves the file and lies far below the noise."""

Image = NDArray[np.float32]


class ZScored(NamedTuple):
    """A float32 (z, y, x) image, and what was taken off and divided by."""

    voxels: Image
    mean: float
    std: float


def z_score(image: NDArray[Any], real: Box, *, quantise: bool = False) -> ZScored:
    """Normalise an image over its real voxels; what lies outside ``real`` becomes 0.

    Errors: ExportError for NaN or infinite voxels, and for an image that is flat.
    """
    out = np.zeros(image.shape, np.float32)
    inside = out[real.slices]
    inside[...] = image[real.slices]
    mean = float(inside.mean(dtype=np.float64))
    if not np.isfinite(mean):
        raise ExportError("holds NaN or infinite voxels; extract it again from a sound tomogram.")
    inside -= np.float32(mean)
    std = spread(inside)
    if not np.isfinite(std) or std <= 1e-30:
        raise ExportError("has the same value in every voxel; a flat image teaches nothing.")
    inside /= np.float32(std)
    if quantise:
        round_to_quantum(out)
    return ZScored(out, mean, std)


def take_normalised(image: NDArray[Any], *, quantise: bool = False) -> ZScored:
    """Ship an image that is z-scored already, bit for bit (rounded only if asked).

    Errors: ExportError where it is not finite, or not normalised at all.
    """
    voxels = np.ascontiguousarray(image, dtype=np.float32)
    mean = float(voxels.mean(dtype=np.float64))
    std = spread(voxels - np.float32(mean)) if np.isfinite(mean) else float("nan")
    if not np.isfinite(std):
        raise ExportError("holds NaN or infinite voxels; ask for it again where it came from.")
    if not (abs(mean) < 0.5 and 0.25 < std < 4):
        raise ExportError(
            f"has mean {mean:.3g} and standard deviation {std:.3g} but is said to be normalised; "
            "they should be near 0 and 1."
        )
    if quantise:
        round_to_quantum(voxels)
    return ZScored(voxels, mean, std)


def round_to_quantum(voxels: Image) -> None:
    """Round to 1/256 standard deviation, in place."""
    voxels /= np.float32(QUANTUM)
    np.rint(voxels, out=voxels)
    voxels *= np.float32(QUANTUM)
    voxels += np.float32(0.0)  # -0.0 becomes 0.0


def spread(centered: Image) -> float:
    """The root mean square, in double precision and little memory."""
    squares = (float(np.square(section, dtype=np.float64).sum()) for section in centered)
    return float(np.sqrt(sum(squares) / centered.size))
