"""Centers from copick picks (.json): location.x, y, z in angstrom."""

import json
from pathlib import Path

from core.errors import PointsError
from core.imaging.points.rows import Rows, Unit


def read_picks(path: Path, token: str = "") -> Rows:
    """Read the points of a picks file.

    Errors: PointsError for another kind of JSON.
    """
    try:
        picks = json.loads(path.read_bytes())
        points = picks["points"]
        if not isinstance(points, list):
            raise TypeError("points is no list")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PointsError(f"{path}: is no copick picks file (points: [...]).") from error
    values, failed = [], []
    for row, point in enumerate(points):
        try:
            location = point["location"]
            values.append((row, (float(location["x"]), float(location["y"]), float(location["z"]))))
        except (KeyError, TypeError, ValueError):
            failed.append((row, f"{path}, point {row}: has no location with x, y and z."))
    return Rows(tuple(values), tuple(failed), Unit.ANGSTROM)
