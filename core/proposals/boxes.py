"""Every box that a patch may have, and how much suspicion its core holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.imaging.geometry import BORDER, PATCH_SIDE, Zyx
from core.proposals.channels import Channel
from core.proposals.scan import Cells
from core.proposals.sheet_filters import Floats

Values = NDArray[np.float64]
Starts = NDArray[np.int64]


@dataclass(frozen=True)
class Boxes:
    """Legal patch boxes, aligned to cells."""

    starts: Starts
    """First voxels of the patches, rows of (z, y, x)."""
    parts: Mapping[Channel, Values]
    """Voxels of suspicion in each core."""
    predicted: Values
    """Predicted voxels in each core."""

    def __len__(self) -> int:
        return len(self.starts)

    def center(self, number: int) -> Zyx:
        return Zyx(*(int(a) + PATCH_SIDE // 2 for a in self.starts[number]))


def legal_boxes(cells: Cells) -> Boxes:
    """Sum the cells of every core; none where the tomogram is thinner than a patch."""
    if min(cells.shape) < PATCH_SIDE:
        return Boxes(
            np.zeros((0, 3), np.int64), {c: np.zeros(0) for c in cells.channels}, np.zeros(0)
        )
    axes = [_starts(side, cells.cell) for side in cells.shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    parts = {
        channel: core_sums(values, grid, cells.cell) for channel, values in cells.channels.items()
    }
    return Boxes(grid, parts, core_sums(cells.predicted, grid, cells.cell))


def core_sums(values: Floats, starts: Starts, cell: int) -> Values:
    """Sum cells over the core (inside the ignored border) of each patch, by a summed-area table."""
    table = np.pad(values.astype(np.float64), ((1, 0),) * 3)
    for axis in range(3):
        table.cumsum(axis=axis, out=table)
    low = np.clip((starts + BORDER) // cell, 0, values.shape)
    high = np.clip(-(-(starts + PATCH_SIDE - BORDER) // cell), 0, values.shape)
    total = np.zeros(len(starts))
    for corner in range(8):
        which = [(corner >> axis) & 1 for axis in range(3)]
        at = tuple(np.where(w, high[:, a], low[:, a]) for a, w in enumerate(which))
        total += (-1) ** (3 - sum(which)) * table[at]
    return np.maximum(total, 0)


def shared_fraction(starts: Starts, other: Sequence[int]) -> Values:
    """The share of a patch that each box has in common with one patch."""
    common = np.maximum(PATCH_SIDE - np.abs(starts - np.asarray(other)), 0)
    return np.asarray(common.prod(1) / PATCH_SIDE**3, np.float64)


def _starts(side: int, cell: int) -> Starts:
    """Patch starts along an axis, so that the core begins on a cell; at least one.

    A border of 16 voxels is a whole cell of 16, and half a cell of 32.
    """
    last = side - PATCH_SIDE
    first = -BORDER % cell
    starts = np.arange(first, last + 1, cell, dtype=np.int64)
    return starts if starts.size else np.array([last // 2], np.int64)
