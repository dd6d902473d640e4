"""Training labels: 0 background, 1 membrane, 2 ignore; how a prediction becomes one.

The merge rule is MemBrain-seg's (its annotation guide): start from the extracted label, remove,
then add, then ignore, then the border. What wins: border over ignore over add over remove.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LabelError, SegmentationError
from core.imaging.geometry import BORDER, Zyx
from db.vocabulary import CorrectionKind

BACKGROUND, MEMBRANE, IGNORE = 0, 1, 2

EQUAL_IN_COMPONENTS, SCORE_VALUES = 0.99, 10
"""Share of touching voxels that are equal in components; different values that scores have."""

Label = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_IN_ORDER = (
    (CorrectionKind.REMOVE, BACKGROUND),
    (CorrectionKind.ADD, MEMBRANE),
    (CorrectionKind.IGNORE, IGNORE),
)

MERGE_RULE = "extracted label; remove to 0; add to 1; ignore to 2; 16-voxel border to 2"


@dataclass(frozen=True)
class LabelCounts:
    """Voxels of each value in a label."""

    background: int
    membrane: int
    ignore: int


@dataclass(frozen=True)
class MergeCounts:
    """Voxel counts of a merge; the first four inside the border only."""

    added: int
    """Not membrane before, membrane now."""
    removed: int
    """Membrane before, background now."""
    ignored: int
    """Not ignore before, ignore now."""
    contested: int
    """Claimed by more than one kind of correction."""
    lost_in_border: int
    """Painted in the border, where every voxel is ignore: work without effect."""


@dataclass(frozen=True)
class MergedLabel:
    """A training label, uint8 (z, y, x), and what the merge did to make it."""

    voxels: Label
    counts: MergeCounts


def core_of(shape: Zyx, border: int = BORDER) -> tuple[slice, slice, slice]:
    """Index the voxels inside the border of a (z, y, x) array; empty if it is thin."""
    z, y, x = (slice(min(border, n), max(n - border, min(border, n))) for n in shape)
    return z, y, x


def ignore_border(label: Label, border: int = BORDER) -> None:
    """Set the outer voxels to ignore, in place."""
    z, y, x = core_of(Zyx(*label.shape), border)
    label[: z.start] = label[z.stop :] = IGNORE
    label[:, : y.start] = label[:, y.stop :] = IGNORE
    label[:, :, : x.start] = label[:, :, x.stop :] = IGNORE


def label_from_prediction(
    prediction: NDArray[Any], threshold: float | None = None, value: int | None = None
) -> tuple[Label, tuple[str, ...]]:
    """Binarise a predicted segmentation: uint8 {0, 1}, and findings for the user.

    With a threshold, membrane is score > threshold (as MemBrain-seg has it); with a value,
    membrane is the voxels of that value, and nothing else. Without: {0, 1} as they are; whole
    numbers above 1 (connected components) and -1 (255 read as signed) count as membrane, and a
    finding says so.

    Errors: SegmentationError for real-valued or scaled scores without a threshold, NaN, other
    negatives, or both a threshold and a value.
    """
    if threshold is not None and value is not None:
        raise SegmentationError("state --threshold (for scores) or --label (a value), not both.")
    if prediction.dtype.kind == "f" and np.isnan(prediction).any():
        raise SegmentationError("holds NaN; predict this tomogram again.")
    if threshold is not None:
        return (prediction > threshold).astype(np.uint8), ()
    if prediction.dtype.kind not in "iub" and not _is_whole(prediction):
        raise SegmentationError(
            "holds real-valued scores; state which are membrane with --threshold (MemBrain-seg "
            "takes scores above 0)."
        )
    if value is not None:
        label = (prediction == value).astype(np.uint8)
        return label, () if label.any() else (f"no voxel of this patch has the value {value}",)
    return (prediction != 0).astype(np.uint8), _value_findings(prediction)


def check_label(label: NDArray[Any]) -> Label:
    """Take an extracted label as uint8 (z, y, x), any 3D shape.

    Errors: LabelError for values other than 0, 1 and 2.
    """
    if label.ndim != 3 or min(label.shape) < 2:
        raise LabelError(f"has shape {tuple(label.shape)}; a label is a 3D volume.")
    if label.dtype == np.uint8 and label.max() <= IGNORE:
        return np.ascontiguousarray(label)
    wrong = (label != BACKGROUND) & (label != MEMBRANE) & (label != IGNORE)
    if wrong.any():
        tolist = np.unique(label[wrong])[:5].tolist()
        raise LabelError(
            f"holds the values {', '.join(map(str, tolist))}; a label holds 0 background, "
            "1 membrane and 2 ignore."
        )
    return np.ascontiguousarray(label, dtype=np.uint8)


def merge(label: Label, corrections: Iterable[Mapping[CorrectionKind, Mask]]) -> MergedLabel:
    """Merge corrections into an extracted label; the inputs are left as they are.

    All arrays are (z, y, x) of one shape; every correction is a mask for each kind it paints. An
    iterator may read one correction after the other: three masks are held, however many there are.
    """
    painted = _union_by_kind(corrections)
    claims = {kind: painted_voxels(mask) for kind, mask in painted.items()}
    merged = label.copy()
    flat = merged.reshape(-1)
    for kind, value in _IN_ORDER:
        if kind in claims:
            flat[claims[kind]] = value
    counts = _merge_counts(label, merged, painted, claims)
    ignore_border(merged)
    return MergedLabel(merged, counts)


def painted_voxels(mask: Mask) -> NDArray[np.intp]:
    """Return where a mask is set, as positions in the flat array, ascending.

    Painted voxels are few: eight at a time are looked at, three times as fast as voxel by voxel.
    """
    flat = np.ascontiguousarray(mask).reshape(-1)
    if flat.size % 8:
        return np.flatnonzero(flat)
    eights = np.flatnonzero(flat.view(np.uint64) != 0)
    if len(eights) > flat.size // 64:
        return np.flatnonzero(flat)
    row, voxel = np.nonzero(flat.reshape(-1, 8)[eights])
    return eights[row] * 8 + voxel


def count_values(label: Label) -> LabelCounts:
    """Count background, membrane and ignore."""
    membrane, ignore = (int(np.count_nonzero(label == value)) for value in (MEMBRANE, IGNORE))
    return LabelCounts(label.size - membrane - ignore, membrane, ignore)


def _union_by_kind(
    corrections: Iterable[Mapping[CorrectionKind, Mask]],
) -> dict[CorrectionKind, Mask]:
    union: dict[CorrectionKind, Mask] = {}
    for correction in corrections:
        for kind, mask in correction.items():
            if kind in union:
                union[kind] |= mask
            else:
                union[kind] = mask.copy()
    return union


def _merge_counts(
    before: Label,
    after: Label,
    painted: Mapping[CorrectionKind, Mask],
    claims: Mapping[CorrectionKind, NDArray[np.intp]],
) -> MergeCounts:
    """Count by the painted voxels alone: they are few, the patch is not."""
    core = _core_mask(Zyx(*before.shape))
    old, new = before.reshape(-1), after.reshape(-1)
    added = removed = ignored = contested = lost = 0
    earlier: list[Mask] = []
    for kind, mask in painted.items():
        claimed = claims[kind]
        inside = claimed[core[claimed]]
        lost += len(claimed) - len(inside)
        again = _claims(earlier, inside)
        contested += int(np.count_nonzero(again == 1))
        first = inside[again == 0]  # each voxel is counted once, with the first kind that claims it
        was, became = old[first], new[first]
        added += int(np.count_nonzero((was != MEMBRANE) & (became == MEMBRANE)))
        removed += int(np.count_nonzero((was == MEMBRANE) & (became == BACKGROUND)))
        ignored += int(np.count_nonzero((was != IGNORE) & (became == IGNORE)))
        earlier.append(mask.reshape(-1))
    return MergeCounts(added, removed, ignored, contested, lost)


def _claims(masks: list[Mask], voxels: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return how many of the masks hold each voxel."""
    claims = np.zeros(len(voxels), np.uint8)
    for mask in masks:
        claims += mask[voxels]
    return claims


@functools.lru_cache(maxsize=2)
def _core_mask(shape: Zyx) -> Mask:
    """Return which voxels of a flat label lie inside the border."""
    mask: Mask = np.zeros(shape, bool)
    mask[core_of(shape)] = True
    mask.flags.writeable = False
    return mask.reshape(-1)


def _is_whole(voxels: NDArray[Any]) -> bool:
    return bool(np.isfinite(voxels).all() and (np.rint(voxels) == voxels).all())


def _check_components(prediction: NDArray[Any]) -> None:
    """Tell components from scaled scores: touching voxels of one component are equal.

    Errors: SegmentationError for scores such as easymode's (probability × 127 or 255).
    """
    touching = equal = 0
    for axis in range(prediction.ndim):
        along = np.moveaxis(prediction, axis, 0)
        both = (along[1:] > 0) & (along[:-1] > 0)
        touching += int(np.count_nonzero(both))
        equal += int(np.count_nonzero(both & (along[1:] == along[:-1])))
    if equal >= EQUAL_IN_COMPONENTS * touching:
        return
    if len(np.unique(prediction[prediction > 0])) < SCORE_VALUES:
        return  # a few classes side by side
    raise SegmentationError(
        "holds scaled scores (touching voxels differ, so these are not components); state which "
        "are membrane with --threshold (easymode: 64 of 127)."
    )


def _value_findings(prediction: NDArray[Any]) -> tuple[str, ...]:
    low, high = int(prediction.min(initial=0)), int(prediction.max(initial=0))
    if low < -1:
        raise SegmentationError(
            f"holds the value {low}; a segmentation holds 0 and 1 (or whole component numbers)."
        )
    findings = []
    if low == -1:
        findings.append("-1 counts as membrane (255 read as a signed number)")
    if high > 1:
        _check_components(prediction)
        findings.append(
            f"values up to {high} count as membrane (connected components); "
            "--label N takes one of them"
        )
    return tuple(findings)
