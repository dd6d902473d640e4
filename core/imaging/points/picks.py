"""Centers from copick picks (.json): location.x, y, z in angstrom."""

import json
from pathlib import Path

from core.errors import PointsError
from core.imaging.points.rows import MAX_ROWS, Rows, Unit

MAX_VALUES = 40 * MAX_ROWS
"""A pick with its 4 × 4 matrix has about thirty."""


def read_picks(path: Path, token: str = "") -> Rows:
    """Read the points of a picks file.

    Errors: PointsError for another kind of JSON.
    """
    raw = path.read_bytes()
    if sum(map(raw.count, (b"{", b"[", b","))) > MAX_VALUES:
        raise PointsError(f"{path}: holds far more than picks; name a copick picks file.")
    try:
        picks = json.loads(raw)
        points = picks["points"]
        if not isinstance(points, list):
            raise TypeError("points is no list")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PointsError(f"{path}: is no copick picks file (points: [...]).") from error
    if len(points) > MAX_ROWS:
        raise PointsError(f"{path}: has more than {MAX_ROWS} points; name a shorter file.")
    values, failed = [], []
    for row, point in enumerate(points):
        try:
            location = point["location"]
            values.append((row, (float(location["x"]), float(location["y"]), float(location["z"]))))
        except (KeyError, TypeError, ValueError, OverflowError):
            shown = json.dumps(point)[:60]
            failed.append(
                (row, f"{path}, point {row}: {shown} has no location with numbers x, y and z.")
            )
    return Rows(tuple(values), tuple(failed), Unit.ANGSTROM)
