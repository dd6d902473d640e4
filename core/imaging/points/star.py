"""Centers from RELION .star files (versions 3, 4 and 5) and plain x, y, z tables, by starfile.

RELION 3 and 4 write rlnCoordinateX/Y/Z in pixels of the tomogram; RELION 5 writes
rlnCenteredCoordinateXAngst/YAngst/ZAngst: angstrom from the tomogram's center
(https://relion.readthedocs.io, "Particle set coordinates").
"""

import warnings
from pathlib import Path
from typing import Any

from core.errors import PointsError
from core.imaging.points.rows import Origin, Rows, Unit

_COLUMNS = (
    (("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"), Unit.VOXEL, Origin.VOXEL),
    (tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"), Unit.ANGSTROM, Origin.CENTER),
    (("x", "y", "z"), Unit.VOXEL, Origin.VOXEL),
)  # fmt: skip
_TOMOGRAM_NAMES = ("rlnTomoName", "rlnMicrographName")


def read_star(path: Path, token: str = "") -> Rows:
    """Read the coordinates of a table; of several tomograms, the rows of the one named.

    Errors: PointsError for a file without coordinates, or of several tomograms of which none is
    the wanted one.
    """
    for table in _tables(path):
        for names, unit, origin in _COLUMNS:
            if all(name in table for name in names):
                kept, findings = _of_tomogram(table, token, path)
                values, failed = _values(kept, names, path)
                return Rows(values, failed, unit, origin, findings=findings)
    raise PointsError(
        f"{path}: has no columns rlnCoordinateX, Y, Z (or rlnCenteredCoordinateXAngst, or x, y, z)."
    )


def _tables(path: Path) -> list[Any]:
    import starfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            blocks = starfile.read(path, always_dict=True)
    except Exception as error:  # starfile raises whatever its parsing trips over
        text = " ".join(str(error).split())[:80]
        raise PointsError(f"{path}: cannot be read as a .star file ({text}).") from error
    return [block for block in blocks.values() if hasattr(block, "columns")]


def _of_tomogram(table: Any, token: str, path: Path) -> tuple[Any, tuple[str, ...]]:
    column = next((name for name in _TOMOGRAM_NAMES if name in table), None)
    if column is None:
        return table, ()
    names = sorted(set(table[column].astype(str)))
    if len(names) == 1:
        return table, ()
    stems = {name: Path(name.replace("\\", "/")).name.split(".")[0] for name in names}
    wanted = [name for name, stem in stems.items() if token in (name, stem)]
    if len(wanted) != 1:
        shown = ", ".join(stems[name] for name in names[:5])
        raise PointsError(
            f"{path}: lists {len(names)} tomograms ({shown} ...), none of them just "
            f"{token or 'this one'!r}; state --token, or split the file."
        )
    kept = table[table[column].astype(str) == wanted[0]]
    return kept, (f"{len(kept)} of {len(table)} rows are of {stems[wanted[0]]}",)


def _values(
    table: Any, names: tuple[str, ...], path: Path
) -> tuple[tuple[tuple[int, tuple[float, float, float]], ...], tuple[tuple[int, str], ...]]:
    values, failed = [], []
    for row, cells in enumerate(zip(*(table[name].tolist() for name in names), strict=True)):
        try:
            x, y, z = (float(cell) for cell in cells)
            values.append((row, (x, y, z)))
        except (TypeError, ValueError):
            failed.append((row, f"{path}, point {row}: {cells!r:.60} are no three numbers."))
    return tuple(values), tuple(failed)
