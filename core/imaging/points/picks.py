"""Centers from JSON: copick picks, the CryoET Data Portal's points, 3D Slicer's markups.

copick (.json): ``points``, each with location.x, y, z in angstrom. The portal (.ndjson): one
object a line with location in voxels (https://chanzuckerberg.github.io/cryoet-data-portal,
annotations). 3D Slicer (.mrk.json): ``markups``, controlPoints with a position in the world, LPS
or RAS.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from core.errors import PointsError
from core.imaging.points.rows import MAX_ROWS, Frame, Origin, Rows, Unit

MAX_VALUES = 40 * MAX_ROWS
"""A pick with its 4 × 4 matrix has about thirty."""

XYZ = tuple[float, float, float]
_WRONG = (KeyError, TypeError, ValueError, OverflowError)


def read_picks(path: Path, frame: Frame | None = None) -> Rows:
    """Read the points of a JSON file.

    Errors: PointsError for another kind of JSON.
    """
    raw = path.read_bytes()
    if sum(map(raw.count, (b"{", b"[", b","))) > MAX_VALUES:
        raise PointsError(f"{path}: holds far more than picks; name a copick picks file.")
    try:
        return _read(raw, path)
    except (*_WRONG, RecursionError) as error:
        raise PointsError(
            f"{path}: is not a copick picks file (points: [...]), nor points of the CryoET Data "
            "Portal (.ndjson), nor markups of 3D Slicer."
        ) from error


def _read(raw: bytes, path: Path) -> Rows:
    try:
        held = json.loads(raw)
    except ValueError:
        return _portal(raw, path)
    if "location" in held:
        return _portal(raw, path)
    if "markups" in held:
        return _slicer(held["markups"], path)
    if not isinstance(held["points"], list):
        raise TypeError("points is no list")
    return _rows(held["points"], _location, path, unit=Unit.ANGSTROM)


def _portal(raw: bytes, path: Path) -> Rows:
    lines = [line for line in raw.splitlines() if line.strip()]
    if "location" not in json.loads(lines[0]):
        raise ValueError("no location")
    return _rows(lines, lambda line: _location(json.loads(line)), path, unit=Unit.VOXEL)


def _slicer(markups: list[Any], path: Path) -> Rows:
    points = [
        (point, str(markup.get("coordinateSystem", "LPS")))
        for markup in markups
        for point in markup["controlPoints"]
    ]
    return _rows(points, _position, path, unit=Unit.ANGSTROM, origin=Origin.WORLD)


def _location(point: Any) -> XYZ:
    location = point["location"]
    return float(location["x"]), float(location["y"]), float(location["z"])


def _position(point: tuple[Any, str]) -> XYZ:
    """Return a control point in LPS; 3D Slicer before 4.11 wrote RAS, also as 0."""
    x, y, z = (float(value) for value in point[0]["position"])
    return (-x, -y, z) if point[1] in ("RAS", "0") else (x, y, z)


def _rows(
    points: Iterable[Any],
    locate: Callable[[Any], XYZ],
    path: Path,
    *,
    unit: Unit,
    origin: Origin = Origin.VOXEL,
) -> Rows:
    values, failed = [], []
    for row, point in enumerate(points):
        if row == MAX_ROWS:
            raise PointsError(f"{path}: has more than {MAX_ROWS} points; name a shorter file.")
        try:
            values.append((row, locate(point)))
        except _WRONG:
            shown = point.decode("utf-8", "replace") if isinstance(point, bytes) else repr(point)
            failed.append(
                (row, f"{path}, point {row}: {shown[:60]} has no location with numbers x, y and z.")
            )
    return Rows(tuple(values), tuple(failed), unit, origin)
