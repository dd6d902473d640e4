"""Look through a tomogram once and count suspicion in cells; keep its largest pieces.

A pure function of files: it knows no catalog, and the same files give the same cells.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.imaging.geometry import Box, Zyx
from core.proposals.channels import (
    Block,
    Calibration,
    Channel,
    compute_channels,
    dilate,
    entropy,
    evidence_of,
    rings,
)
from core.proposals.reading import Files, Inputs, Reader, Scale
from core.proposals.sheet_filters import Floats

SAMPLE = Zyx(56, 80, 80)
SAMPLES = 8
CURVED_SHARE = 85.0
"""Percentile of curvature above which a voxel may lie on a sheet."""
SEED_SHARE, MISSED_SHARE = 99.97, 99.5
"""Percentiles of the evidence for bright sheets, of which there are none: what noise reaches."""
SEED_OF_PREDICTED, MISSED_OF_PREDICTED = 30.0, 10.0
"""Percentiles of the evidence on predicted voxels: what this tomogram's membranes reach."""
SUPPORT_SHARE = 60.0
FAR = 60.0
"""Angstrom from the prediction, where evidence is taken for noise."""
LEAST_SEPARATION = 0.65
"""Below it the image tells predicted voxels from others hardly better than a coin (0.5)."""
LEAST_PREDICTED = 200
"""Working voxels in all samples, without which nothing can be compared."""
KEPT_PIECES = 400
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Piece:
    """A connected piece of suspicion."""

    channel: Channel
    center: Zyx
    """Full-resolution voxel, (z, y, x)."""
    voxels: int


@dataclass(frozen=True)
class Cells:
    """Suspicion of a tomogram in cells."""

    shape: Zyx
    """Of the tomogram."""
    cell: int
    """Voxels along a cell."""
    channels: Mapping[Channel, Floats]
    """Full-resolution voxels of suspicion in each cell, (z, y, x)."""
    predicted: Floats
    """Predicted voxels in each cell."""
    pieces: tuple[Piece, ...]
    """The largest, descending."""
    separation: float
    findings: tuple[str, ...] = ()

    @property
    def has_image_evidence(self) -> bool:
        return self.separation >= LEAST_SEPARATION


def scan(inputs: Inputs, progress: Progress = lambda share: None) -> Cells:
    """Look through a tomogram; ``progress`` is told the share done, and may raise to stop.

    Errors: VolumeError, SegmentationError.
    """
    with Files.open(inputs) as files:
        scale = Scale.of(files.tomogram.shape, inputs.voxel_size)
        reader = Reader(files, scale)
        calibration = calibrate(reader, scale)
        cells = _scan(reader, scale, calibration, progress)
        return replace(cells, findings=_findings(files, reader, calibration))


def calibrate(reader: Reader, scale: Scale) -> Calibration:
    """Read a few blocks and see what evidence predicted voxels have, and those far from any."""
    blocks = [(box, reader.read(scale.padded(box))) for box in scale.samples(SAMPLE, SAMPLES)]
    level, spread = _level(blocks)
    reader.set_fill(level)
    first = Calibration(
        spacing=scale.spacing,
        level=level,
        spread=spread,
        least_curvature=0.0,
        missed_seed=0.0,
        missed_above=0.0,
        unsupported_below=0.0,
        voxels_per_evidence=1.0,
        separation=0.5,
        thickness=3.0,
    )
    curvature = _curvature_limit(blocks, first)
    return _thresholds(blocks, scale, replace(first, least_curvature=curvature))


def _level(blocks: list[tuple[Box, Block]]) -> tuple[float, float]:
    values = np.concatenate([block.density.ravel()[::7] for _, block in blocks])
    level = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - level)))
    return level, spread or 1.0


def _curvature_limit(blocks: list[tuple[Box, Block]], first: Calibration) -> float:
    from core.proposals.sheet_filters import sheet_strength

    values = []
    for _, block in blocks:
        clipped = np.clip(
            (block.density - np.float32(first.level)) / np.float32(first.spread), -4, 4
        )
        values.append(sheet_strength(clipped, first.spacing, np.inf)[1].ravel()[::7])
    return float(np.percentile(np.concatenate(values), CURVED_SHARE))


@dataclass(frozen=True)
class _Sample:
    """Statistics of one sampled block, without its halo."""

    evidence: Floats
    ridge: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    predicted: Floats
    far: NDArray[np.bool_]
    """Far from any prediction."""
    bright: Floats
    """Evidence for bright sheets, of which there are none."""
    doubt: tuple[float, ...]
    variance: Floats


def _sample(box: Box, block: Block, scale: Scale, first: Calibration) -> _Sample:
    facts = first.spread, first.spacing, first.least_curvature
    evidence, ridge = evidence_of(block.density, first.level, *facts)
    bright, _ = evidence_of(-block.density, -first.level, *facts)
    inner = _inner(box, scale)
    mask = block.mask[inner]
    return _Sample(
        evidence=evidence[inner],
        ridge=ridge[inner],
        mask=mask,
        predicted=block.predicted[inner],
        far=~dilate(block.mask, FAR / scale.spacing)[inner],
        bright=bright[inner],
        doubt=() if block.scores is None else _ring_doubt(block.scores[inner], mask),
        variance=np.zeros(0, np.float32) if block.variance is None else block.variance[inner][mask],
    )


def _thresholds(blocks: list[tuple[Box, Block]], scale: Scale, first: Calibration) -> Calibration:
    samples = [_sample(box, block, scale, first) for box, block in blocks]
    there = np.concatenate([sample.evidence[sample.mask] for sample in samples])
    away = np.concatenate([sample.evidence[sample.far] for sample in samples])
    if len(there) < LEAST_PREDICTED or len(away) < LEAST_PREDICTED:
        return replace(
            first, missed_seed=np.inf, missed_above=np.inf, unsupported_below=-1, separation=0
        )
    bright = np.concatenate([sample.bright[sample.far] for sample in samples])
    noise = np.percentile(bright, (SEED_SHARE, MISSED_SHARE))
    seed, high = np.maximum(noise, np.percentile(there, (SEED_OF_PREDICTED, MISSED_OF_PREDICTED)))
    positive = away[away > 0]
    sides = [side for sample in samples if (side := _cube_side(sample.mask))]
    variances = np.concatenate([sample.variance for sample in samples])
    return replace(
        first,
        missed_seed=float(seed),
        missed_above=float(high),
        unsupported_below=float(np.percentile(positive, SUPPORT_SHARE)) if positive.size else 0.0,
        voxels_per_evidence=_voxels_per_evidence(samples, float(high)),
        separation=_separation(there, away),
        thickness=float(np.median(sides or [3.0])),
        doubt=_doubt([sample.doubt for sample in samples if sample.doubt]),
        variance=float(np.median(variances)) if variances.size else 0.0,
    )


def _voxels_per_evidence(samples: list[_Sample], high: float) -> float:
    """Return the number of predicted voxels per ridge voxel where both agree."""
    predicted = ridges = 0.0
    for sample in samples:
        strong = (sample.evidence > high) & sample.ridge & dilate(sample.mask, 1)
        predicted += float(sample.predicted[dilate(strong, 2)].sum())
        ridges += float(np.count_nonzero(strong))
    return predicted / max(ridges, 1.0)


def _ring_doubt(scores: Floats, mask: NDArray[np.bool_]) -> tuple[float, ...]:
    held = entropy(scores)
    return tuple(float(np.median(held[k])) if k.any() else np.nan for k in rings(mask))


def _doubt(rows: list[tuple[float, ...]]) -> tuple[float, ...]:
    if not rows:
        return (0.0, 0.0, 0.0)
    columns = np.asarray(rows, float).T
    return tuple(float(np.nanmedian(c)) if np.isfinite(c).any() else 0.0 for c in columns)


def _separation(there: Floats, away: Floats) -> float:
    """The chance that a predicted voxel has more evidence than one far away (ties count half)."""
    there, away = (
        there[:: max(1, len(there) // 20_000)],
        np.sort(away[:: max(1, len(away) // 20_000)]),
    )
    below = np.searchsorted(away, there, "left") + np.searchsorted(away, there, "right")
    return float(below.mean() / (2 * len(away)))


def _cube_side(mask: NDArray[np.bool_]) -> float:
    """The median side of the largest cubes that fit into a mask, seen along x, y and z."""
    from scipy import ndimage

    if not mask.any():
        return 0.0
    depth = ndimage.distance_transform_cdt(mask, "chessboard")
    ridge = mask & (depth == ndimage.maximum_filter(depth, 3))
    return float(2 * np.median(depth[ridge]) - 1)


def _scan(reader: Reader, scale: Scale, calibration: Calibration, progress: Progress) -> Cells:
    blocks = list(scale.blocks())
    reader.not_finite = 0
    sums: dict[Channel, Floats] = {}
    predicted = np.zeros(scale.cells, np.float32)
    pieces: list[tuple[int, tuple[int, ...], Channel]] = []
    for number, box in enumerate(blocks):
        block = reader.read(scale.padded(box))
        inner, at = _inner(box, scale), _cell_slices(box, scale)
        predicted[at] = _cell_sums(block.predicted[inner], scale)
        for channel, values in compute_channels(block, calibration).items():
            if channel not in sums:
                sums[channel] = np.zeros(scale.cells, np.float32)
            sums[channel][at] = _cell_sums(values[inner], scale)
            for piece in _pieces(values[inner], box, scale):
                heapq.heappush(pieces, (*piece, channel))
                if len(pieces) > KEPT_PIECES:
                    heapq.heappop(pieces)
        progress((number + 1) / len(blocks))
    largest = sorted(pieces, key=lambda piece: (-piece[0], piece[1], piece[2]))
    return Cells(
        scale.shape, scale.cell, sums, predicted,
        tuple(Piece(channel, Zyx(*at), voxels) for voxels, at, channel in largest),
        calibration.separation,
    )  # fmt: skip


def _pieces(values: Floats, box: Box, scale: Scale) -> list[tuple[int, tuple[int, ...]]]:
    """The largest few pieces of a channel in a block, each with a voxel of its own."""
    from scipy import ndimage

    labels, count = ndimage.label(values > 0, np.ones((3, 3, 3), bool))
    if count == 0:
        return []
    sizes = np.bincount(labels.ravel(), weights=values.ravel()) * scale.factor**3
    best = np.argsort(-sizes, kind="stable")[:12]
    found = []
    boxes = ndimage.find_objects(labels)
    for label in best[sizes[best] >= 1].tolist():
        if label == 0:
            continue
        local = np.argwhere(labels[boxes[label - 1]] == label)
        middle = local[np.argmin(((local - local.mean(0)) ** 2).sum(1))]
        offset = [s.start for s in boxes[label - 1]]
        at = (middle + offset + np.asarray(box.start)) * scale.factor + scale.factor // 2
        at = np.minimum(at, np.asarray(scale.shape) - 1)
        found.append((int(sizes[label]), tuple(int(v) for v in at)))
    return found


def _inner(box: Box, scale: Scale) -> tuple[slice, slice, slice]:
    """The block's own voxels, as an index of the block with its halo."""
    start = scale.padded(box).start
    return box.moved(Zyx(*(-a for a in start))).slices


def _cell_slices(box: Box, scale: Scale) -> tuple[slice, slice, slice]:
    width = scale.cell // scale.factor
    z, y, x = (slice(a // width, -(-b // width)) for a, b in zip(box.start, box.stop, strict=True))
    return z, y, x


def _cell_sums(values: Floats, scale: Scale) -> Floats:
    width = scale.cell // scale.factor
    starts = [np.arange(0, side, width) for side in values.shape]
    sums = values
    for axis, start in enumerate(starts):
        sums = np.add.reduceat(sums, start, axis=axis)
    return np.asarray(sums * np.float32(scale.factor**3), np.float32)


def _findings(files: Files, reader: Reader, calibration: Calibration) -> tuple[str, ...]:
    findings = list(files.findings)
    if files.inputs.voxel_size is None:
        findings.append("the voxel size is unknown; 10 Å is assumed.")
    if reader.not_finite:
        findings.append(
            f"{files.inputs.tomogram.name}: about {reader.not_finite} voxels are no numbers "
            "(NaN or infinite) and count as background."
        )
    if calibration.separation == 0.0:
        findings.append("too little is predicted to compare the image with; draws at random.")
    elif calibration.separation < LEAST_SEPARATION:
        findings.append(
            "the image shows no more at predicted membranes than elsewhere "
            f"(separation {calibration.separation:.2f}, 0.5 is chance); draws at random."
        )
    return tuple(findings)
