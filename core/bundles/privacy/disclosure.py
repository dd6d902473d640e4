"""How much of each tomogram a bundle gives away: volume, overlaps, what can be put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.exports.case import PlannedCase, Recipe, shipped_box
from core.imaging.geometry import Box, Zyx


@dataclass(frozen=True)
class Exposure:
    """What a bundle tells of one group: a tomogram, or where that is hidden, a contributor."""

    group: str
    """As the reader of the bundle knows it."""
    patches: int
    voxels: int
    """Of the union of all patches, inside the tomogram."""
    share: float
    """Of the tomogram's voxels."""
    overlapping_pairs: int
    largest_box: Zyx
    """Around the patches that can be put together because they overlap."""


def exposures(cases: Sequence[PlannedCase], recipe: Recipe) -> list[Exposure]:
    """One figure for each group of our own; imported patches have no place here."""
    by_group: dict[str, dict[tuple[str, str], list[PlannedCase]]] = {}
    for case in cases:
        if case.patch.imported is None:
            tomograms = by_group.setdefault(case.group, {})
            tomograms.setdefault((case.patch.dataset, case.patch.tomogram), []).append(case)
    return [
        _together(group, [_exposure(group, held, recipe) for held in tomograms.values()])
        for group, tomograms in sorted(by_group.items())
    ]


def union_voxels(boxes: Sequence[Box]) -> int:
    """Voxels that lie in any of the boxes."""
    edges = sorted({edge for box in boxes for edge in (box.start.z, box.stop.z)})
    total = 0
    for low, high in pairwise(edges):
        here = [box for box in boxes if box.start.z <= low and box.stop.z >= high]
        total += (high - low) * _union_area(here)
    return total


def overlapping(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """Pairs of boxes that share voxels."""
    return [
        (a, b)
        for a in range(len(boxes))
        for b in range(a + 1, len(boxes))
        if boxes[a].overlap(boxes[b])
    ]


def _exposure(group: str, cases: Sequence[PlannedCase], recipe: Recipe) -> Exposure:
    shape = cases[0].patch.tomogram_shape
    inside = Box(Zyx(0, 0, 0), shape)
    boxes = [shipped_box(case.patch, recipe) for case in cases]
    held = [cut for box in boxes if (cut := box.overlap(inside)) is not None]
    pairs = overlapping(held)
    voxels = union_voxels(held)
    return Exposure(
        group,
        len(cases),
        voxels,
        voxels / (shape.z * shape.y * shape.x),
        len(pairs),
        _largest(held, pairs),
    )


def _together(group: str, parts: Sequence[Exposure]) -> Exposure:
    """A group that hides several tomograms: counts added, the worst share and box."""
    return Exposure(
        group,
        sum(part.patches for part in parts),
        sum(part.voxels for part in parts),
        max(part.share for part in parts),
        sum(part.overlapping_pairs for part in parts),
        max((part.largest_box for part in parts), key=lambda side: side.z * side.y * side.x),
    )


def _union_area(boxes: Sequence[Box]) -> int:
    edges = sorted({edge for box in boxes for edge in (box.start.y, box.stop.y)})
    total = 0
    for low, high in pairwise(edges):
        spans = sorted(
            (box.start.x, box.stop.x) for box in boxes if box.start.y <= low and box.stop.y >= high
        )
        total += (high - low) * _union_length(spans)
    return total


def _union_length(spans: Sequence[tuple[int, int]]) -> int:
    total, reached = 0, None
    for start, stop in spans:
        begin = start if reached is None else max(start, reached)
        total += max(0, stop - begin)
        reached = stop if reached is None else max(stop, reached)
    return total


def _largest(boxes: Sequence[Box], pairs: Sequence[tuple[int, int]]) -> Zyx:
    joined = list(range(len(boxes)))
    for a, b in pairs:
        old, new = joined[b], joined[a]
        joined = [new if each == old else each for each in joined]
    around = []
    for name in set(joined):
        held = [box for box, own in zip(boxes, joined, strict=True) if own == name]
        sides = [
            max(box.stop[axis] for box in held) - min(box.start[axis] for box in held)
            for axis in range(3)
        ]
        around.append(Zyx(*sides))
    return max(around, key=lambda side: side.z * side.y * side.x, default=Zyx(0, 0, 0))
