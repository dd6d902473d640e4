"""Rows of (x, y, z) numbers and their meaning, as every coordinate reader returns them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.imaging.geometry import Grid, Zyx

MAX_ROWS = 100_000
"""Far more than anybody chooses centers; what is longer is another file."""


class Unit(StrEnum):
    """Unit of a coordinate."""

    VOXEL = "voxel"
    ANGSTROM = "angstrom"


class Origin(StrEnum):
    """Origin of a coordinate file's counting."""

    VOXEL = "first voxel is 0"
    PIXEL_CORNER = "corner of the first pixel is 0 in x and y, first section is 0 (IMOD)"
    CENTER = "center of the tomogram is 0"
    WORLD = "world coordinates, as the tomogram's header places it"


@dataclass(frozen=True)
class Frame:
    """The tomogram that centers belong to: what its coordinates and names are held against."""

    shape: Zyx
    voxel_size: float | None = None
    """Angstrom."""
    token: str = ""
    file_name: str = ""
    """Token and file name choose the tomogram's rows in a file that names tomograms."""
    grid: Grid | None = None
    """Where its voxels lie in the world; None counts as along the axes from 0, 0, 0."""


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
    tomograms: Mapping[int, str] = field(default_factory=dict)
    """The tomogram that a row names, where the file names any."""
    pixel_size: float | None = None
    """Angstrom: the size that the file states for the pixels it counts in."""

    def place(self, row: int) -> str:
        return f"line {self.lines[row]}" if row in self.lines else f"point {row}"
