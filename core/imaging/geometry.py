"""Positions, boxes and grids: where a patch lies in its tomogram, and a voxel in the world.

Everything is (z, y, x), 0-based voxel indices, half-open boxes. (x, y, z) appears only in
names that end in ``_xyz``; ``Zyx.from_xyz`` and ``Zyx.to_xyz`` are the one conversion.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PATCH_SIDE = 160
"""Voxels along each side of a patch (MemBrain-seg's training patches)."""

BORDER = 16
"""Outer voxels of a patch that are always ignore (MemBrain-seg's extract_patches)."""

CORNER_TOLERANCE = 1e-3
"""Voxels by which any corner may differ when two grids count as the same."""


class Zyx(NamedTuple):
    """A voxel position or a shape, in (z, y, x) order."""

    z: int
    y: int
    x: int

    @classmethod
    def from_xyz(cls, xyz: Sequence[int]) -> "Zyx":
        """Take a position as a person or a file format states it: (x, y, z)."""
        x, y, z = xyz
        return cls(int(z), int(y), int(x))

    def to_xyz(self) -> tuple[int, int, int]:
        """Give the position as a person or a file format states it: (x, y, z)."""
        return self.x, self.y, self.z

    def shown(self, mark: str = ",") -> str:
        """Write the position for people, x first: 120,100,90."""
        return mark.join(map(str, self.to_xyz()))


class Box(NamedTuple):
    """A half-open box of voxels: ``start`` is inside, ``stop`` is not. Both (z, y, x)."""

    start: Zyx
    stop: Zyx

    @property
    def shape(self) -> Zyx:
        return Zyx(*(b - a for a, b in zip(self.start, self.stop, strict=True)))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index of a (z, y, x) array."""
        z, y, x = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    def lies_in(self, shape: Zyx) -> bool:
        """Check whether every voxel of the box is a voxel of a volume of this shape."""
        return all(0 <= a < b <= n for a, b, n in zip(self.start, self.stop, shape, strict=True))

    def overlap(self, other: "Box") -> "Box | None":
        """Return the voxels that both boxes hold, or None."""
        start = Zyx(*map(max, self.start, other.start))
        stop = Zyx(*map(min, self.stop, other.stop))
        return Box(start, stop) if all(a < b for a, b in zip(start, stop, strict=True)) else None

    def holds(self, position: Zyx) -> bool:
        """Check whether a voxel lies in the box."""
        return all(a <= c < b for a, c, b in zip(self.start, position, self.stop, strict=True))

    def inside(self, outer: "Box") -> "Box":
        """Return the same box, counted from the start of an outer one."""
        return self.moved(Zyx(*(-start for start in outer.start)))

    def moved(self, by: Zyx) -> "Box":
        return Box(
            Zyx(*(a + d for a, d in zip(self.start, by, strict=True))),
            Zyx(*(b + d for b, d in zip(self.stop, by, strict=True))),
        )


def whole(shape: Zyx) -> Box:
    """Return the box that holds every voxel of a volume of this shape."""
    return Box(Zyx(0, 0, 0), Zyx(*shape))


def box_at(start: Zyx, shape: Sequence[int]) -> Box:
    """Return the box of a shape that begins at a voxel."""
    return Box(start, Zyx(*(a + n for a, n in zip(start, shape, strict=True))))


def box_around(center: Zyx, side: int = PATCH_SIDE) -> Box:
    """Return the patch box of a center: center - side/2 ... center + side/2, half-open."""
    return box_at(Zyx(*(c - side // 2 for c in center)), (side,) * 3)


def legal_centers(shape: Zyx, side: int = PATCH_SIDE) -> Box | None:
    """Return the box of all centers whose patch lies in a volume, or None where it is too thin."""
    half = side // 2
    if min(shape) < side:
        return None
    return Box(Zyx(half, half, half), Zyx(*(n - side + half + 1 for n in shape)))


def shifted_to_fit(center: Zyx, shape: Zyx, side: int = PATCH_SIDE) -> Zyx | None:
    """Return the nearest center whose patch lies in a volume, or None where it is too thin."""
    legal = legal_centers(shape, side)
    if legal is None:
        return None
    return Zyx(
        *(min(max(c, a), b - 1) for c, a, b in zip(center, legal.start, legal.stop, strict=True))
    )


FARTHEST = 1e9
"""Angstrom or millimetre: no file that means a place in the world states a larger number."""


def is_possible(steps_xyz: NDArray[np.float64], origin_xyz: NDArray[np.float64]) -> bool:
    """Check whether a header's numbers can be a grid: finite, of a possible size, and not flat."""
    numbers = np.concatenate([steps_xyz.reshape(-1), origin_xyz.reshape(-1)])
    if not np.isfinite(numbers).all() or np.abs(numbers).max() > FARTHEST:
        return False
    sides = np.linalg.norm(steps_xyz, axis=0)
    flat = abs(np.linalg.det(steps_xyz)) <= 1e-9 * np.prod(sides)
    return bool(sides.min() > 1 / FARTHEST / 1000 and not flat)


@dataclass(frozen=True)
class Grid:
    """Geometry of a volume in the world (LPS, in the unit of its file).

    The voxel with index (x, y, z) lies at ``origin_xyz + steps_xyz @ (x, y, z)``: column j of
    ``steps_xyz`` is the step of one voxel along index axis j, spacing included (ITK's
    convention: direction × spacing).
    """

    origin_xyz: tuple[float, float, float]
    steps_xyz: tuple[
        tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]
    ]
    """Row-major 3 × 3."""

    @classmethod
    def of(cls, steps_xyz: NDArray[np.float64], origin_xyz: NDArray[np.float64]) -> "Grid":
        """Return a grid from a 3 × 3 array of steps and an origin."""
        x, y, z = (tuple(map(float, row)) for row in steps_xyz)
        origin = tuple(map(float, origin_xyz))
        return cls(origin, (x, y, z))  # type: ignore[arg-type]  # three numbers each

    @classmethod
    def aligned(
        cls, spacing: float = 1.0, origin_xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> "Grid":
        """Return a grid along the LPS axes with one spacing."""
        return cls(origin_xyz, ((spacing, 0.0, 0.0), (0.0, spacing, 0.0), (0.0, 0.0, spacing)))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The 4 × 4 transform from index (x, y, z, 1) to LPS."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.steps_xyz
        matrix[:3, 3] = self.origin_xyz
        return matrix

    @property
    def is_unstated(self) -> bool:
        """Return whether this is what a program writes that knows no geometry.

        Spacing 1, origin 0, identity in LPS or RAS.
        """
        steps = np.asarray(self.steps_xyz)
        identities = np.eye(3), np.diag([-1.0, -1.0, 1.0])
        return self.is_at_zero and any(np.allclose(steps, i, atol=1e-6) for i in identities)

    @property
    def is_at_zero(self) -> bool:
        """Return whether the first voxel lies at 0, 0, 0, as where a program lost the origin."""
        return bool(np.allclose(self.origin_xyz, 0))

    def __str__(self) -> str:
        steps = np.asarray(self.steps_xyz) / np.asarray(self.spacing_xyz)
        aligned = np.allclose(steps, np.eye(3))
        turned = "" if aligned else f", directions {_numbers(steps.ravel())}"
        return f"spacing {_numbers(self.spacing_xyz)}, origin {_numbers(self.origin_xyz)}{turned}"

    @property
    def spacing_xyz(self) -> tuple[float, float, float]:
        x, y, z = np.linalg.norm(np.asarray(self.steps_xyz), axis=0)
        return float(x), float(y), float(z)


def _numbers(values: Iterable[float]) -> str:
    return ",".join(f"{round(float(value), 4) + 0.0:g}" for value in values)
