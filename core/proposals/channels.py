"""Channels of evidence that a voxel needs correction.

A channel counts full-resolution voxels that are likely to be added or removed. Arrays are (z, y, x)
at the working scale; lengths are in angstrom, so that any binning gives the same answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.proposals.sheet_filters import Floats, coherence, main_normals, sheet_strength, slope

Mask = NDArray[np.bool_]


class Channel(StrEnum):
    """A kind of evidence that a prediction is wrong."""

    MISSED = "missed"
    UNSUPPORTED = "unsupported"
    SMALL = "small"
    OPEN_EDGE = "open_edge"
    THICK = "thick"
    DISAGREEMENT = "disagreement"
    DOUBT = "doubt"
    UNSTABLE = "unstable"


PREDICTED = 0.25
"""Share of a binned voxel that must be predicted: a sheet of one voxel survives binning by two."""
CLEAR_OF_PREDICTION = 20.0
"""Angstrom between a predicted membrane and one that counts as missed."""
SUPPORT_REACH = 20.0
"""Angstrom in which a predicted voxel looks for evidence."""
TOLERANCE = 20.0
"""Angstrom by which two segmentations may differ at a surface."""
LEAST_MISSED = 4e5
"""Å³: 400 voxels of 10 Å, below which a piece that continues a predicted membrane is noise."""
LEAST_ISOLATED = 4e6
"""Å³, far from any predicted membrane."""
NEARBY = 60.0
"""Angstrom from a predicted membrane that a piece continues."""
SMALL_COMPONENT = 1.0e6
"""Å³: 1,000 voxels of 10 Å."""
EDGE_RADIUS = 60.0
EDGE_SIGMA = 30.0
EDGE_SHARE = 0.55
"""A flat sheet has 0, a straight open edge about 0.8."""
FADED = 0.6
"""|n_z| above which an edge is the missing wedge's, not the network's."""
THICK_FACTOR = 1.7
MOST_VARIANCE = 2 / 7
"""Of a probability over 8 flips, unbiased: MemBrain-seg's uncertainty map reaches no further."""


@dataclass(frozen=True)
class Calibration:
    """Calibration of a tomogram from a few sampled blocks."""

    spacing: float
    """Angstrom of a working voxel."""
    level: float
    spread: float
    """Median and robust deviation of the density."""
    least_curvature: float
    missed_seed: float
    missed_above: float
    """A missed sheet has evidence above this, and in some voxel above its seed."""
    unsupported_below: float
    voxels_per_evidence: float
    """Predicted voxels for each voxel of evidence where both agree."""
    separation: float
    """Share of pairs in which a predicted voxel has more evidence than one far from any (AUC)."""
    thickness: float
    """Working voxels: median side of the largest cube that fits into the prediction."""
    doubt: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Expected entropy inside, at the rim and outside of the prediction."""
    variance: float = 0.0
    """Median of the uncertainty map inside the prediction."""


@dataclass(frozen=True)
class Block:
    """The voxels of a block with its halo, at the working scale."""

    density: Floats
    predicted: Floats
    """Share of each voxel that is predicted."""
    second: Floats | None = None
    scores: Floats | None = None
    """Probabilities."""
    variance: Floats | None = None

    @property
    def mask(self) -> Mask:
        return np.asarray(self.predicted >= PREDICTED)


def evidence_of(density: Floats, level: float, spread: float, spacing: float,
                least_curvature: float, least: float = 0.0) -> tuple[Floats, Mask]:  # fmt: skip
    """Compute the sheet evidence, and which voxels lie on a ridge that the missing wedge shows.

    Densities beyond four deviations (gold) are clipped first.
    """
    clipped = np.clip((density - np.float32(level)) / np.float32(spread), -4, 4)
    tensor, curvature = sheet_strength(clipped, spacing, least_curvature)
    evidence, shown = coherence(tensor, spacing, least)
    return evidence, shown & (curvature > least_curvature)


def compute_channels(block: Block, calibration: Calibration) -> Mapping[Channel, Floats]:
    """Compute every channel that the block's files allow, in working voxels of suspicion."""
    mask, scale = block.mask, calibration
    channels = {}
    evidence, ridge = evidence_of(
        block.density, scale.level, scale.spread, scale.spacing, scale.least_curvature,
        min(scale.missed_above, scale.unsupported_below) * 0.5,
    )  # fmt: skip
    channels[Channel.MISSED] = missed(evidence, ridge, mask, scale)
    at = np.flatnonzero(mask)
    normal = normals(mask, at, scale.spacing)
    channels[Channel.UNSUPPORTED] = unsupported(evidence, block.predicted, scale)
    channels[Channel.UNSUPPORTED].ravel()[at[np.abs(normal[0]) >= FADED]] = 0
    del evidence, ridge
    channels[Channel.SMALL] = small_components(block.predicted, mask, scale.spacing)
    channels[Channel.OPEN_EDGE] = open_edges(mask, at, normal, scale.spacing)
    channels[Channel.THICK] = thick(block.predicted, mask, scale.thickness)
    if block.second is not None:
        channels[Channel.DISAGREEMENT] = disagreement(block.predicted, block.second, scale.spacing)
    if block.scores is not None:
        channels[Channel.DOUBT] = doubt(block.scores, mask, scale.doubt)
    if block.variance is not None:
        channels[Channel.UNSTABLE] = unstable(block.variance, block.predicted, scale.variance)
    return channels


def missed(evidence: Floats, ridge: Mask, mask: Mask, calibration: Calibration) -> Floats:
    """Find sheets that the image shows and the prediction lacks, in pieces of some size."""
    spacing = calibration.spacing
    off = ~dilate(mask, CLEAR_OF_PREDICTION / spacing)
    found = (evidence > calibration.missed_above) & ridge & off
    pieces = Pieces.of(found)
    least = np.where(pieces.hold(dilate(mask, NEARBY / spacing)), LEAST_MISSED, LEAST_ISOLATED)
    keep = (pieces.sizes >= least / spacing**3) & pieces.hold(evidence > calibration.missed_seed)
    kept = pieces.select(keep)
    return kept.astype(np.float32) * np.float32(calibration.voxels_per_evidence)


def unsupported(evidence: Floats, predicted: Floats, calibration: Calibration) -> Floats:
    """Find predicted voxels with no sheet in the image near by."""
    from scipy import ndimage

    reach = 2 * max(1, round(SUPPORT_REACH / calibration.spacing)) + 1
    best = ndimage.maximum_filter(evidence, reach, mode="nearest")
    return np.where(best < calibration.unsupported_below, predicted, np.float32(0))


def small_components(predicted: Floats, mask: Mask, spacing: float) -> Floats:
    """Find components too small for a membrane; those that reach the block's face are spared."""
    pieces = Pieces.of(mask)
    small = (pieces.sizes < SMALL_COMPONENT / spacing**3) & ~pieces.reach_a_face()
    return np.where(pieces.select(small), predicted, np.float32(0))


def normals(mask: Mask, at: NDArray[np.intp], spacing: float) -> list[Floats]:
    """Compute the predicted sheet's unit normals (z, y, x) at flat positions."""
    from scipy import ndimage

    sigma = EDGE_SIGMA / spacing
    fine = ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest", truncate=2.5)
    return main_normals(-fine, at)


def open_edges(mask: Mask, at: NDArray[np.intp], normal: list[Floats], spacing: float) -> Floats:
    """Find rims where a predicted sheet ends, except where the missing wedge ends it."""
    from scipy import ndimage

    radius = EDGE_RADIUS / spacing
    wide = ndimage.gaussian_filter(mask.astype(np.float32), radius, mode="nearest", truncate=2.5)
    slopes = [slope(wide, axis).ravel()[at] for axis in range(3)]
    across = sum((n * s for n, s in zip(normal, slopes, strict=True)), np.float32(0))
    squared = sum((s * s for s in slopes), np.float32(0)) - across**2
    share = radius * np.sqrt(np.maximum(squared, 0)) / np.maximum(wide.ravel()[at], 1e-6)
    result = np.zeros(mask.shape, np.float32)
    result.ravel()[at] = (share > EDGE_SHARE) & (np.abs(normal[0]) < FADED)
    _clear_faces(result, 2 * radius)
    return result


def thick(predicted: Floats, mask: Mask, thickness: float) -> Floats:
    """Find what is much thicker than the tomogram's membranes: gold, carbon, ice."""
    from scipy import ndimage

    side = int(np.ceil(THICK_FACTOR * (thickness + 1))) | 1
    inner = ndimage.minimum_filter(mask, side, mode="nearest")
    if not inner.any():
        return np.zeros(mask.shape, np.float32)
    return np.where(ndimage.maximum_filter(inner, side, mode="nearest"), predicted, np.float32(0))


def disagreement(first: Floats, second: Floats, spacing: float) -> Floats:
    """Find what one segmentation has and the other lacks, beyond a tolerance at surfaces."""
    a, b = first >= PREDICTED, second >= PREDICTED
    reach = TOLERANCE / spacing
    only_first = np.where(dilate(b, reach), np.float32(0), first)
    return only_first + np.where(dilate(a, reach), np.float32(0), second)


def doubt(scores: Floats, mask: Mask, expected: tuple[float, ...]) -> Floats:
    """Entropy of the scores beyond what every rim has."""
    surplus = entropy(scores)
    for ring, usual in zip(rings(mask), expected, strict=True):
        surplus[ring] -= np.float32(usual)
    return np.asarray(np.maximum(surplus, 0), np.float32)


def unstable(variance: Floats, predicted: Floats, usual: float) -> Floats:
    """Variance over flips beyond the usual, inside the prediction, as a share of the possible."""
    surplus = (variance - np.float32(usual)) / np.float32(max(MOST_VARIANCE - usual, 1e-3))
    inside = np.where(predicted >= PREDICTED, predicted, np.float32(0))
    return np.asarray(np.clip(surplus, 0, 1) * inside, np.float32)


def entropy(scores: Floats) -> Floats:
    """Compute the entropy of probabilities, in nats."""
    p = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(-p * np.log(p) - (1 - p) * np.log(1 - p), np.float32)


def rings(mask: Mask) -> tuple[Mask, Mask, Mask]:
    """Split voxels into the prediction's inside, its rim, and the outside."""
    from scipy import ndimage

    inside = ndimage.minimum_filter(mask, 3, mode="nearest")
    around = ndimage.maximum_filter(mask, 3, mode="nearest")
    return inside, around & ~inside, ~around


def dilate(mask: Mask, reach: float) -> Mask:
    """Grow a mask by a cube of that reach in voxels, at least one."""
    from scipy import ndimage

    side = 2 * max(1, round(reach)) + 1
    return np.asarray(ndimage.maximum_filter(mask, side, mode="nearest"))


@dataclass(frozen=True)
class Pieces:
    """The 26-connected pieces of a mask; number 0 is what lies outside."""

    labels: NDArray[np.int32]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, mask: Mask) -> Self:
        from scipy import ndimage

        labels, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
        return cls(labels, np.bincount(labels.ravel(), minlength=count + 1))

    def hold(self, where: Mask) -> Mask:
        """Return the pieces that contain a voxel of a mask."""
        zeros = np.zeros(len(self.sizes), bool)
        zeros[self.labels[where]] = True
        return zeros

    def reach_a_face(self) -> Mask:
        """Return the pieces that reach the array's face, so that their size is unknown."""
        zeros = np.zeros(len(self.sizes), bool)
        for axis in range(3):
            for face in (0, -1):
                zeros[np.take(self.labels, face, axis)] = True
        return zeros

    def select(self, keep: Mask) -> Mask:
        keep = keep.copy()
        keep[0] = False
        return np.asarray(keep[self.labels])


def _clear_faces(values: Floats, reach: float) -> None:
    width = int(np.ceil(reach))
    for axis in range(3):
        along = np.moveaxis(values, axis, 0)
        along[:width] = along[max(len(along) - width, 0) :] = 0
