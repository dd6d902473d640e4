"""Centers from RELION .star files (versions 3, 4 and 5) and plain x, y, z tables, by starfile.

RELION 3 writes rlnCoordinateX/Y/Z in pixels of the tomogram; pytom-match-pick and Warp state the
size of those pixels (rlnDetectorPixelSize, rlnPixelSize, rlnImagePixelSize). RELION 4 writes them
in pixels of the unbinned tilt series, whose size its optics table states
(rlnTomoTiltSeriesPixelSize): such files are converted by it. RELION 5 writes
rlnCenteredCoordinateXAngst/YAngst/ZAngst, angstrom from the tomogram's center, so that
voxel = coordinate / voxel size + side / 2
(https://relion.readthedocs.io, metadata labels of relion_refine --print_metadata_labels).
"""

import math
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import PointsError
from core.imaging.points.rows import MAX_ROWS, Frame, Origin, Rows, Unit

_COLUMNS = (
    (("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"), Unit.VOXEL, Origin.VOXEL),
    (tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"), Unit.ANGSTROM, Origin.CENTER),
    (("x", "y", "z"), Unit.VOXEL, Origin.VOXEL),
)
MAX_NAMES = 20_000
"""Of blocks and columns together."""
_UNBINNED_SIZE = "rlnTomoTiltSeriesPixelSize"
_DETECTOR_SIZE, _MAGNIFICATION = "rlnDetectorPixelSize", "rlnMagnification"
_PIXEL_SIZES = ("rlnPixelSize", "rlnImagePixelSize")
_TOMOGRAM_NAMES = ("rlnTomoName", "rlnMicrographName")


def read_star(path: Path, frame: Frame | None = None) -> Rows:
    """Read the coordinates of a table, and the tomogram that each row names.

    Errors: PointsError for a file without coordinates.
    """
    tables = read_tables(path)
    for table in tables:
        for names, unit, origin in _COLUMNS:
            if all(name in table for name in names):
                if len(table) > MAX_ROWS:
                    raise PointsError(f"{path}: has more than {MAX_ROWS} rows; split the file.")
                values, failed = _values(table, names, path)
                rows = Rows(values, failed, unit, origin, tomograms=_tomograms(table))
                return rows if unit is Unit.ANGSTROM else _with_pixel_size(rows, tables, path)
    raise PointsError(
        f"{path}: has no columns rlnCoordinateX, Y, Z (or rlnCenteredCoordinateXAngst, or x, y, z)."
    )


def read_tables(path: Path) -> list[Any]:
    """Read every table of a .star file, as pandas tables.

    Errors: PointsError.
    """
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
    tables = [_as_table(block) for block in blocks.values()]
    if not all(table.columns.is_unique for table in tables):
        raise PointsError(f"{path}: a table names a column twice; keep one.")
    return tables


def _as_table(block: Any) -> Any:
    """Take a block without loop_ as a table of one row: starfile gives it as a dict."""
    if hasattr(block, "columns"):
        return block
    import pandas

    return pandas.DataFrame([block])


def _tomograms(table: Any) -> dict[int, str]:
    column = next((name for name in _TOMOGRAM_NAMES if name in table), None)
    return dict(enumerate(table[column].astype(str))) if column else {}


def _with_pixel_size(rows: Rows, tables: list[Any], path: Path) -> Rows:
    """Rows with the size of the pixels they count in; RELION 4's unbinned ones as angstrom."""
    unbinned = _one_size(_stated_values(tables, _UNBINNED_SIZE), path)
    if unbinned is None:
        return replace(rows, pixel_size=_one_size(_pixel_sizes(tables), path))
    values = tuple(
        (row, (x * unbinned, y * unbinned, z * unbinned)) for row, (x, y, z) in rows.values
    )
    finding = (
        f"coordinates were taken in unbinned pixels of {unbinned:g} angstrom ({_UNBINNED_SIZE})"
    )
    return replace(rows, values=values, unit=Unit.ANGSTROM, findings=(*rows.findings, finding))


def _pixel_sizes(tables: list[Any]) -> set[float]:
    """Pixel sizes in angstrom; a detector's is in micrometre, before magnification."""
    union = set.union(*(_stated_values(tables, name) for name in _PIXEL_SIZES))
    for table in tables:
        if _DETECTOR_SIZE in table:
            (detector, enlarged) = (
                _stated_values([table], name) for name in (_DETECTOR_SIZE, _MAGNIFICATION)
            )
            factor = 1e4 / enlarged.pop() if len(enlarged) == 1 else 1.0
            union |= {round(size * factor, 6) for size in detector}
    return union


def _stated_values(tables: list[Any], name: str) -> set[float]:
    columns = (table[name].tolist() for table in tables if name in table)
    return {float(size) for sizes in columns for size in sizes if _is_size(size)}


def _is_size(size: object) -> bool:
    return isinstance(size, int | float) and 0 < size < math.inf


def _one_size(sizes: set[float], path: Path) -> float | None:
    if len(sizes) > 1 and max(sizes) > 1.01 * min(sizes):
        shown = ", ".join(f"{size:g}" for size in sorted(sizes)[:5])
        raise PointsError(
            f"{path}: states several pixel sizes ({shown} angstrom); split it by optics group."
        )
    return min(sizes, default=None)


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
