"""What every reader of coordinates gives: rows of (x, y, z) numbers, and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MAX_ROWS = 100_000
"""Far more than anybody chooses centers; what is longer is another file."""


class Unit(StrEnum):
    """What one step of a coordinate is."""

    VOXEL = "voxel"
    ANGSTROM = "angstrom"


class Origin(StrEnum):
    """Where a coordinate file counts from."""

    VOXEL = "first voxel is 0"
    PIXEL_CORNER = "corner of the first pixel is 0 in x and y, first section is 0 (IMOD)"
    CENTER = "center of the tomogram is 0"


@dataclass(frozen=True)
class Rows:
    """Raw coordinates with the number of their row, from 0; bad rows keep their number."""

    values: tuple[tuple[int, tuple[float, float, float]], ...]
    failed: tuple[tuple[int, str], ...] = ()
    unit: Unit = Unit.VOXEL
    origin: Origin = Origin.VOXEL
    axis_order: str = "x, y, z"
    findings: tuple[str, ...] = ()
    lines: Mapping[int, int] = field(default_factory=dict)
    """The line of a row, from 1, where the format has lines."""

    def place(self, row: int) -> str:
        return f"line {self.lines[row]}" if row in self.lines else f"point {row}"
