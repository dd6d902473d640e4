"""Centers from RELION .star files (versions 3, 4 and 5) and plain x, y, z tables, by starfile.

RELION 3 writes rlnCoordinateX/Y/Z in pixels of the tomogram. RELION 4 writes them in pixels of the
unbinned tilt series, whose size its optics table states (rlnTomoTiltSeriesPixelSize): such files
are converted by it. RELION 5 writes rlnCenteredCoordinateXAngst/YAngst/ZAngst, angstrom from the
tomogram's center, so that voxel = coordinate / voxel size + side / 2
(https://relion.readthedocs.io, metadata labels of relion_refine --print_metadata_labels).
"""

import math
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import PointsError
from core.imaging.points.rows import MAX_ROWS, Origin, Rows, Unit

_COLUMNS = (
    (("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"), Unit.VOXEL, Origin.VOXEL),
    (tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"), Unit.ANGSTROM, Origin.CENTER),
    (("x", "y", "z"), Unit.VOXEL, Origin.VOXEL),
)
MAX_NAMES = 20_000
"""Of blocks and columns together."""
_PIXEL_SIZE = "rlnTomoTiltSeriesPixelSize"
_TOMOGRAM_NAMES = ("rlnTomoName", "rlnMicrographName")


def read_star(path: Path, token: str = "") -> Rows:
    """Read the coordinates of a table; of several tomograms, the rows of the one named.

    Errors: PointsError for a file without coordinates, or of several tomograms of which none is
    the wanted one.
    """
    tables = _tables(path)
    pixel_sizes = _pixel_sizes(tables)
    for table in tables:
        for names, unit, origin in _COLUMNS:
            if all(name in table for name in names):
                kept, findings = _of_tomogram(table, token, path)
                if len(kept) > MAX_ROWS:
                    raise PointsError(f"{path}: has more than {MAX_ROWS} rows; split the file.")
                values, failed = _values(kept, names, path)
                rows = Rows(values, failed, unit, origin, findings=findings)
                return rows if unit is Unit.ANGSTROM else _unbinned(rows, pixel_sizes, path)
    raise PointsError(
        f"{path}: has no columns rlnCoordinateX, Y, Z (or rlnCenteredCoordinateXAngst, or x, y, z)."
    )


def _tables(path: Path) -> list[Any]:
    import starfile

    # starfile takes minutes over what no program writes, so that is refused first.
    if len(re.findall(rb"(?:^|[\r\n])\s*[_d]", path.read_bytes())) > MAX_NAMES:
        raise PointsError(f"{path}: has over {MAX_NAMES} names; state one particle table.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            blocks = starfile.read(path, always_dict=True)
    except Exception as error:  # starfile raises whatever its parsing trips over
        text = " ".join(str(error).split())[:80]
        raise PointsError(f"{path}: cannot be read as a .star file ({text}).") from error
    tables = [block for block in blocks.values() if hasattr(block, "columns")]
    if not all(table.columns.is_unique for table in tables):
        raise PointsError(f"{path}: a table names a column twice; keep one.")
    return tables


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


def _pixel_sizes(tables: list[Any]) -> set[float]:
    """What the tables state as the size of an unbinned pixel, in angstrom."""
    stated = (table[_PIXEL_SIZE].tolist() for table in tables if _PIXEL_SIZE in table)
    return {float(size) for sizes in stated for size in sizes if _is_size(size)}


def _is_size(size: object) -> bool:
    return isinstance(size, int | float) and 0 < size < math.inf


def _unbinned(rows: Rows, pixel_sizes: set[float], path: Path) -> Rows:
    """RELION 4's coordinates as angstrom; others as they are."""
    if not pixel_sizes:
        return rows
    if len(pixel_sizes) > 1:
        shown = ", ".join(f"{size:g}" for size in sorted(pixel_sizes)[:5])
        raise PointsError(
            f"{path}: states several pixel sizes ({shown} angstrom); split it by optics group."
        )
    (size,) = pixel_sizes
    values = tuple((row, (x * size, y * size, z * size)) for row, (x, y, z) in rows.values)
    said = f"coordinates were taken in unbinned pixels of {size:g} angstrom ({_PIXEL_SIZE})"
    return replace(rows, values=values, unit=Unit.ANGSTROM, findings=(*rows.findings, said))


def _values(
    table: Any, names: tuple[str, ...], path: Path
) -> tuple[tuple[tuple[int, tuple[float, float, float]], ...], tuple[tuple[int, str], ...]]:
    values, failed = [], []
    for row, cells in enumerate(zip(*(table[name].tolist() for name in names), strict=True)):
        try:
            x, y, z = (float(cell) for cell in cells)
            values.append((row, (x, y, z)))
        except (TypeError, ValueError):
            failed.append(
                (row, f"{path}, point {row}: {cells!r:.60} are no three numbers x, y, z.")
            )
    return tuple(values), tuple(failed)
