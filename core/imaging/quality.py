"""Quality figures of a label: shares, overlap, components.

The border is ignore in every patch (49 % of 160³), so shares are given without it. Membranes are
three voxels thick, where plain Dice is harsh: one voxel more halves nothing but the score. So
surface Dice always stands beside it, with the name of its definition.
"""

from dataclasses import dataclass

import numpy as np

from core.imaging.geometry import BORDER, Zyx
from core.imaging.labels import BACKGROUND, IGNORE, MEMBRANE, Label, Mask, core_of

SURFACE_DICE_METHOD = "boundary voxels within 1 voxel (26 neighbours), ignore left out"
"""6-connected boundary voxels of each mask that lie within one voxel of the other's."""

SMALL_ISLAND = 50
"""Voxels below which a component counts as a small island."""


@dataclass(frozen=True)
class Agreement:
    """Two labels of one patch, compared where neither says ignore. None: both hold no membrane."""

    dice: float | None
    surface_dice: float | None
    compared_voxels: int
    ignore_overlap: float | None
    """Voxels that both ignore, of those that either ignores; None where neither does."""


@dataclass(frozen=True)
class Components:
    """Connected pieces of membrane (26 neighbours)."""

    count: int
    largest_fraction: float
    small_islands: int


@dataclass(frozen=True)
class Change:
    """Voxels that corrections changed, inside the border."""

    added: int
    removed: int
    ignored: int
    dice: float | None
    surface_dice: float | None


@dataclass(frozen=True)
class Quality:
    """The figures of one training label."""

    ignore_fraction_total: float
    ignore_fraction_core: float
    membrane_fraction_of_labelled: float
    labelled_voxels: int
    membrane_voxels: int
    membrane_sections: int
    """z sections of the core that show membrane."""
    components: Components
    change: Change | None
    """None where the label before the corrections is not at hand."""


def measure(label: Label, before: Label | None = None, *, core_only: bool = False) -> Quality:
    """Measure a training label (z, y, x), against the extracted one if it is given.

    ``core_only`` says that the arrays came without their border.
    """
    core = core_of(Zyx(*label.shape), 0 if core_only else BORDER)
    inside = label[core]
    values = np.bincount(inside.reshape(-1), minlength=3)
    labelled, membrane = int(values[0] + values[1]), int(values[1])
    mask = inside == MEMBRANE
    return Quality(
        ignore_fraction_total=_share(label.size - labelled, label.size),
        ignore_fraction_core=_share(int(values[IGNORE]), inside.size),
        membrane_fraction_of_labelled=_share(membrane, labelled),
        labelled_voxels=labelled,
        membrane_voxels=membrane,
        membrane_sections=int(mask.any(axis=(1, 2)).sum()),
        components=count_components(mask),
        change=None if before is None else _change(before[core], inside),
    )


def agreement(first: Label, second: Label) -> Agreement:
    """Compare two labels of the same patch (also a prediction with a label)."""
    valid = (first != IGNORE) & (second != IGNORE)
    either = int(np.count_nonzero((first == IGNORE) | (second == IGNORE)))
    both = int(np.count_nonzero((first == IGNORE) & (second == IGNORE)))
    a, b = (first == MEMBRANE) & valid, (second == MEMBRANE) & valid
    return Agreement(
        dice(a, b),
        surface_dice(a, b),
        int(np.count_nonzero(valid)),
        both / either if either else None,
    )


def dice(a: Mask, b: Mask) -> float | None:
    """Twice the common voxels over all; None where both are empty (nnU-Net: NaN)."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / total if total else None


def surface_dice(a: Mask, b: Mask) -> float | None:
    """Dice of boundaries with a tolerance of one voxel: see ``SURFACE_DICE_METHOD``."""
    edge_a, edge_b = _boundary(a), _boundary(b)
    total = int(np.count_nonzero(edge_a)) + int(np.count_nonzero(edge_b))
    if not total:
        return None
    common = np.count_nonzero(edge_a & _within_one(edge_b))
    common += np.count_nonzero(edge_b & _within_one(edge_a))
    return int(common) / total


def count_components(mask: Mask) -> Components:
    """Count connected pieces (26 neighbours) of a mask (z, y, x)."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if not count:
        return Components(0, 0.0, 0)
    sizes = np.bincount(labels.reshape(-1))[1:]
    return Components(
        count=int(count),
        largest_fraction=float(sizes.max() / sizes.sum()),
        small_islands=int((sizes < SMALL_ISLAND).sum()),
    )


def _change(before: Label, after: Label) -> Change:
    moved = before != after
    old, new = before[moved], after[moved]
    valid = after != IGNORE
    a, b = (before == MEMBRANE) & valid, (after == MEMBRANE) & valid
    return Change(
        added=int(np.count_nonzero(new == MEMBRANE)),
        removed=int(np.count_nonzero((new == BACKGROUND) & (old == MEMBRANE))),
        ignored=int(np.count_nonzero(new == IGNORE)),
        dice=dice(a, b),
        surface_dice=surface_dice(a, b),
    )


def _share(part: int, of: int) -> float:
    return part / of if of else 0.0


def _boundary(mask: Mask) -> Mask:
    """Voxels with a 6-neighbour outside the mask; the array's own faces are no boundary."""
    inner = mask.copy()
    for axis in range(3):
        out, source = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        out[1:] &= source[:-1]
        out[:-1] &= source[1:]
    return mask & ~inner


def _within_one(mask: Mask) -> Mask:
    for axis in range(3):
        grown = mask.copy()
        out, source = np.moveaxis(grown, axis, 0), np.moveaxis(mask, axis, 0)
        out[1:] |= source[:-1]
        out[:-1] |= source[1:]
        mask = grown
    return mask
