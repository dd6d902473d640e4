"""Say how much of each tomogram a bundle gives away: volume, overlaps, what can be put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from core.exports.case import PlannedCase, Recipe, shipped_box
from core.imaging.geometry import Box, Zyx


@dataclass(frozen=True)
class Disclosure:
    """Amount of data that a bundle discloses of one group (a tomogram, or a contributor)."""

    group: str
    """As the reader of the bundle knows it."""
    patches: int
    voxels: int
    """Of all patches, inside the tomogram; where they overlap, counted for each."""
    share: float
    """Of the tomogram's voxels, at most."""
    overlapping_pairs: int
    largest_box: Zyx
    """Around the patches that can be put together because they overlap."""


def disclosures(cases: Sequence[PlannedCase], recipe: Recipe) -> list[Disclosure]:
    """Measure each group of our own; imported patches have no place here.

    A group that hides several tomograms has their counts added, and the worst share and box.
    """
    by_group: dict[str, dict[tuple[str, str], list[PlannedCase]]] = {}
    for case in cases:
        if case.patch.imported is None:
            tomograms = by_group.setdefault(case.group, {})
            tomograms.setdefault((case.patch.dataset, case.patch.tomogram), []).append(case)
    return [
        _of_group(group, [_of_tomogram(group, held, recipe) for held in tomograms.values()])
        for group, tomograms in sorted(by_group.items())
    ]


def _of_tomogram(group: str, cases: Sequence[PlannedCase], recipe: Recipe) -> Disclosure:
    shape = cases[0].patch.tomogram_shape
    inside = Box(Zyx(0, 0, 0), shape)
    boxes = [shipped_box(case.patch, recipe) for case in cases]
    held = [cut for box in boxes if (cut := box.overlap(inside)) is not None]
    voxels, whole = sum(_volume(box.shape) for box in held), _volume(shape)
    return Disclosure(
        group=group,
        patches=len(cases),
        voxels=min(voxels, whole),
        share=min(1.0, voxels / whole),
        overlapping_pairs=sum(a.overlap(b) is not None for a, b in combinations(held, 2)),
        largest_box=max((box.shape for box in _put_together(held)), key=_volume, default=shape),
    )


def _of_group(group: str, parts: Sequence[Disclosure]) -> Disclosure:
    return Disclosure(
        group=group,
        patches=sum(part.patches for part in parts),
        voxels=sum(part.voxels for part in parts),
        share=max(part.share for part in parts),
        overlapping_pairs=sum(part.overlapping_pairs for part in parts),
        largest_box=max((part.largest_box for part in parts), key=_volume),
    )


def _put_together(boxes: Sequence[Box]) -> list[Box]:
    """Join boxes that share voxels, time and again, into the boxes around them."""
    joined: list[tuple[Box, list[Box]]] = []
    for box in boxes:
        touching = [item for item in joined if any(box.overlap(part) for part in item[1])]
        parts = [box, *(part for _, others in touching for part in others)]
        joined = [item for item in joined if item not in touching]
        joined.append((_around(parts), parts))
    return [around for around, _ in joined]


def _around(boxes: Sequence[Box]) -> Box:
    start = Zyx(*map(min, zip(*(box.start for box in boxes), strict=True)))
    return Box(start, Zyx(*map(max, zip(*(box.stop for box in boxes), strict=True))))


def _volume(shape: Zyx) -> int:
    return shape.z * shape.y * shape.x
