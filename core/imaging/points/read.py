"""Patch centers from a coordinate file, whatever program wrote it.

One reader a format gives raw rows and says what they mean; here they become voxel positions, and
what was assumed (unit, origin, axis order, rounding) is told. A bad row stops no other and keeps
its number.
"""

import math
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import PointsError
from core.imaging.formats.volume import Volume
from core.imaging.geometry import Grid, Zyx
from core.imaging.points.rows import Frame, Origin, Rows, Unit
from core.imaging.points.tomogram_names import rows_of_tomogram

MAX_BYTES = 50 << 20
MAX_POSITION = 1 << 24
"""Voxels; no tomogram is as wide."""


@dataclass(frozen=True)
class Center:
    """A patch center and the number of its row, from 0."""

    position: Zyx
    row: int


@dataclass(frozen=True)
class FailedRow:
    """A row without a usable center."""

    row: int
    error: str


@dataclass(frozen=True)
class Points:
    """The centers of a file, and how it was read."""

    centers: tuple[Center, ...]
    failed: tuple[FailedRow, ...]
    unit: str
    origin: str
    axis_order: str
    findings: tuple[str, ...]


def read_points(path: Path, frame: Frame | None = None) -> Points:
    """Read a csv, tsv or space-separated file, IMOD .mod, RELION .star, napari csv, copick json,
    portal .ndjson, MITK .mps or 3D Slicer .mrk.json.

    Errors: PointsError where no row holds a center, the rows are of other tomograms, or the
    coordinates need a tomogram's size or voxel size that is not known.
    """
    rows = _reader(path)(path, frame)
    if not rows.values and not rows.failed:
        raise PointsError(f"{path}: holds no coordinates; a row is x,y,z of one center.")
    rows = rows_of_tomogram(rows, frame, path)
    _check_frame(rows, frame, path)
    _check_not_normalised(rows, path)
    rows = _in_own_pixels(rows, frame)
    centers, failed, rounded = [], [FailedRow(*row) for row in rows.failed], 0
    for number, xyz in rows.values:
        try:
            position, exact = _position(xyz, rows, frame)
            centers.append(Center(position, number))
            rounded += not exact
        except PointsError as error:
            failed.append(FailedRow(number, f"{path}, {rows.place(number)}: {error}"))
    if not centers:
        raise PointsError(min(failed, key=lambda row: row.row).error)
    findings = list(rows.findings)
    if rounded:
        findings.append(f"{rounded} of {len(centers)} centers were rounded to whole voxels")
    failed.sort(key=lambda row: row.row)
    return Points(
        tuple(centers),
        tuple(failed),
        rows.unit.value,
        rows.origin.value,
        rows.axis_order,
        tuple(findings),
    )


def frame_of(tomogram: Volume, token: str, voxel_size: float | None = None) -> Frame:
    """Return the frame of an open tomogram; ``voxel_size`` in angstrom overrides its header's.

    MRC places its first voxel by its header's origin, as ITK (MITK, 3D Slicer) reads it.
    """
    size = voxel_size or tomogram.voxel_size
    origin = getattr(tomogram, "origin_xyz", None)
    aligned = Grid.aligned(size, origin) if size and origin else None
    return Frame(tomogram.shape, size, token, tomogram.path.name, tomogram.grid or aligned)


def _reader(path: Path) -> Callable[[Path, Frame | None], Rows]:
    """Return the reader of a format, by content first and name second; imported only then."""
    first = _first_bytes(path).removeprefix(b"\xef\xbb\xbf")
    if first.startswith(b"IMODV"):
        from core.imaging.points.imod import read_model

        return read_model
    if first.lstrip()[:1] == b"<":
        from core.imaging.points.point_set import read_point_set

        return read_point_set
    if first.lstrip()[:1] in (b"{", b"["):
        from core.imaging.points.picks import read_picks

        return read_picks
    if path.suffix.lower() == ".star" or re.search(rb"(^|[\r\n])loop_", first):
        from core.imaging.points.star import read_star

        return read_star
    from core.imaging.points.imod import is_ascii_model, read_ascii_model
    from core.imaging.points.text import read_text

    return read_ascii_model if is_ascii_model(first) else read_text


def _first_bytes(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PointsError(f"{path}: cannot be opened ({reason}).") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PointsError(f"{path}: is not a regular file; name a coordinate file.")
        if status.st_size > MAX_BYTES:
            raise PointsError(f"{path}: has {status.st_size} bytes; centers need far fewer.")
        return os.pread(descriptor, 4096, 0)
    finally:
        os.close(descriptor)


def _check_frame(rows: Rows, frame: Frame | None, path: Path) -> None:
    """Refuse coordinates that need what nobody stated."""
    if rows.origin in (Origin.CENTER, Origin.WORLD) and frame is None:
        raise PointsError(
            f"{path}: its coordinates are of a place in the tomogram; name the tomogram."
        )
    if rows.unit is Unit.ANGSTROM and not (frame and frame.voxel_size):
        raise PointsError(
            f"{path}: its coordinates are in angstrom and the tomogram's voxel size is unknown; "
            "state --voxel-size."
        )


def _check_not_normalised(rows: Rows, path: Path) -> None:
    """Refuse shares of the tomogram's sides, as Warp's --normalized_coords writes them."""
    numbers = [number for _, xyz in rows.values for number in xyz]
    if rows.unit is Unit.VOXEL and rows.origin is Origin.VOXEL and numbers:
        shares = all(0 <= number <= 1 for number in numbers)
        if shares and any(number % 1 for number in numbers):
            raise PointsError(
                f"{path}: its coordinates lie between 0 and 1, so they are shares of the sides, "
                "not voxels; multiply them by the tomogram's size."
            )


def _in_own_pixels(rows: Rows, frame: Frame | None) -> Rows:
    """Coordinates in pixels of another size as this tomogram's voxels."""
    stated, own = rows.pixel_size, frame.voxel_size if frame else None
    if rows.unit is not Unit.VOXEL or stated is None:
        return rows
    if own is None:
        finding = f"in pixels of {stated:g} Å, taken as voxels: the tomogram's size is unknown"
        return replace(rows, findings=(*rows.findings, finding))
    if abs(stated - own) <= 0.01 * own:
        return rows
    scale = stated / own
    values = tuple((row, (x * scale, y * scale, z * scale)) for row, (x, y, z) in rows.values)
    finding = f"converted from pixels of {stated:g} Å, as the file states, to voxels of {own:g} Å"
    return replace(rows, values=values, findings=(*rows.findings, finding))


def _position(xyz: tuple[float, float, float], rows: Rows, frame: Frame | None) -> tuple[Zyx, bool]:
    """Return a row as a voxel position (z, y, x), and whether it was a whole one already."""
    if not all(map(math.isfinite, xyz)):
        raise PointsError(f"{_plain(xyz)} is not finite; state three numbers x, y, z.")
    voxels = list(xyz)
    if frame and rows.origin is Origin.WORLD:
        grid = frame.grid or Grid.aligned(frame.voxel_size or 1.0)
        voxels = np.round(np.linalg.solve(grid.matrix, (*xyz, 1.0))[:3], 6).tolist()
    elif frame and frame.voxel_size and rows.unit is Unit.ANGSTROM:
        voxels = [value / frame.voxel_size for value in voxels]
    if frame and rows.origin is Origin.CENTER:
        sides = frame.shape.to_xyz()
        voxels = [value + side / 2 for value, side in zip(voxels, sides, strict=True)]
    if any(abs(value) > MAX_POSITION for value in voxels):
        raise PointsError(f"{_plain(xyz)} lies outside every tomogram; a row is x, y, z.")
    # IMOD counts x and y from the pixel's corner: 438.5 is the middle of pixel 438.
    halves = (0.0, 0.0, 0.5) if rows.origin is Origin.PIXEL_CORNER else (0.5, 0.5, 0.5)
    whole = [math.floor(value + half) for value, half in zip(voxels, halves, strict=True)]
    exact = rows.origin is Origin.PIXEL_CORNER or whole == voxels
    return Zyx.from_xyz(whole), exact


def _plain(xyz: tuple[float, float, float]) -> str:
    return ",".join(f"{value:g}" for value in xyz)
