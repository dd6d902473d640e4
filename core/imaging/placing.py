"""Place an array on a patch by the geometry of both: re-order, flip, paste; exactly or not at all.

Only what needs no interpolation is placed: the same grid, or one flipped, permuted or cropped on
it. Everything else is somebody else's grid, and a label resampled in silence is a wrong label.
"""

from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.imaging.geometry import CORNER_TOLERANCE, FARTHEST, Box, Grid, Zyx, whole


@dataclass(frozen=True)
class Placement:
    """Mapping of a file's axes to the patch's, all (z, y, x).

    Output axis i is the file's axis ``axes[i]``, reversed where ``flipped[i]``; the result lies at
    ``box`` in the patch (its start may be negative where the file reaches beyond the patch).
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    box: Box

    @property
    def reorders(self) -> bool:
        return self.axes != (0, 1, 2) or any(self.flipped)

    def apply(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Return the file's voxels in the patch's axis order, as a view; its shape is the box's."""
        ordered = voxels.transpose(self.axes)
        z, y, x = (slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return ordered[z, y, x]


def identity(shape: Zyx) -> Placement:
    """Return the placement of a file on the patch's own grid."""
    return Placement((0, 1, 2), (False, False, False), whole(shape))


def place(shape: Zyx, grid: Grid, patch_grid: Grid) -> Placement | None:
    """Find how a file of this shape and grid lies on a patch; None where it fits no voxel grid.

    Tolerance: no corner of the file is further than 1e-3 voxel from a voxel of the patch.
    """
    # From the file's index (x, y, z, 1) to the patch's.
    solve = np.linalg.solve(patch_grid.matrix, grid.matrix)
    exact = np.rint(solve)
    if not _is_signed_permutation(exact[:3, :3]):
        return None
    corners = np.array([*product(*((0, n - 1) for n in shape.to_xyz()))], dtype=float)
    corners = np.column_stack([corners, np.ones(8)]).T
    placed = (exact @ corners)[:3]
    far = np.abs(placed).max() > FARTHEST
    if far or np.abs((solve @ corners)[:3] - placed).max() > CORNER_TOLERANCE:
        return None
    return _placement(exact[:3, :3], placed)


def orientations(side_shape: Zyx) -> list[Placement]:
    """Return the 48 ways to lay a file of this shape onto a patch (fewer where sides differ)."""
    box = whole(side_shape)
    return [
        Placement((a, b, c), (flip_z, flip_y, flip_x), box)
        for a, b, c in permutations(range(3))
        if (side_shape[a], side_shape[b], side_shape[c]) == tuple(side_shape)
        for flip_z, flip_y, flip_x in product((False, True), repeat=3)
    ]


def _is_signed_permutation(matrix: NDArray[np.float64]) -> bool:
    sizes = np.abs(matrix)
    return bool((sizes.sum(0) == 1).all() and (sizes.sum(1) == 1).all())


def _placement(turn_xyz: NDArray[np.float64], corners_xyz: NDArray[np.float64]) -> Placement:
    turn = turn_xyz[::-1, ::-1]  # rows: the patch's z, y, x; columns: the file's
    a, b, c = (int(axis) for axis in np.abs(turn).argmax(axis=1))
    flips = turn.sum(axis=1) < 0
    low = corners_xyz.min(axis=1)[::-1].astype(int)
    high = corners_xyz.max(axis=1)[::-1].astype(int) + 1
    box = Box(Zyx(*map(int, low)), Zyx(*map(int, high)))
    return Placement((a, b, c), (bool(flips[0]), bool(flips[1]), bool(flips[2])), box)
