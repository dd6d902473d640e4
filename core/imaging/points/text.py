"""Centers from text: csv, tsv, semicolons, pipes or spaces; header or none; napari's points csv."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from core.errors import PointsError
from core.imaging.points.rows import MAX_ROWS, Frame, Rows, Unit

DELIMITERS = ";\t|,"
MAX_LINE = 65536
"""Characters."""
MAX_LINES = 10 * MAX_ROWS
"""With the blank ones and comments."""

_WORD = "(?:coord(?:inate)?s?|pos(?:ition)?|cent(?:er|re)|point|location|loc)"
_VOXEL_UNIT = "px|pix|pixels?|vox|voxels?"
_ANGSTROM_UNIT = "å|ang|angst|angstroms?"
_NAME = re.compile(
    rf"_?(?:rln)?(?:{_WORD}[_ .-]?)?(?P<axis>[xyz])(?:[_ .-]?{_WORD})?"
    rf"(?:[_ ]?[(\[]?(?:{_VOXEL_UNIT}|(?P<angstrom>{_ANGSTROM_UNIT}))[)\]]?)?"
)
"""A column of positions; direction_x, shift_x or x (nm) are none that we could read as voxels."""

_TOMOGRAM = re.compile(
    r"_?(?:rln)?(?:tomo(?:gram)?|micrograph|run|ts|tilt[_ -]?series)[_ -]?(?:name|id|file)?"
)
"""A column that says which tomogram a row is of."""
_SHAPES = {"shape-type", "vertex-index"}
"""Columns of a napari shapes layer (https://napari.org, builtin shapes writer)."""
_SEPARATOR = re.compile(r"\ufeff?sep=(.)\s*")
"""Excel's first line that states the delimiter."""
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")

Line = tuple[int, str]
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Columns:
    """Columns of x, y and z."""

    xyz: tuple[int, int, int] = (0, 1, 2)
    named: bool = False
    """By a header; without one a row has just three cells."""
    unit: Unit = Unit.VOXEL
    axis_order: str = "x, y, z"
    commented: bool = False
    """By a comment before the first row."""
    tomogram: int | None = None
    """The cell that names the row's tomogram."""
    count: int = 3
    """Cells that the header names."""


def read_text(path: Path, frame: Frame | None = None) -> Rows:
    """Read rows of x, y, z; a header may name them, and napari's axis-0, 1, 2 are z, y, x.

    Errors: PointsError for a file that is no text, is far too long, or whose columns cannot be
    told apart.
    """
    raw, encoding = _text(path)
    stated = _SEPARATOR.fullmatch(next(_lines(raw, encoding, path), (0, ""))[1])

    def lines() -> Iterator[Line]:
        return islice(_lines(raw, encoding, path), 1 if stated else 0, None)

    comment, first = _opening(lines())
    delimiter = next((mark for mark in DELIMITERS if mark in first.strip()), None)
    delimiter = stated[1] if stated and stated[1] in first else delimiter
    rows = _cells(lines(), delimiter, path)
    head = next(rows, None)
    if head is None:
        return Rows(())
    columns = _header_in_comment(comment, head[1])
    if columns is None:
        columns = _columns(head, path)
    rows = rows if columns.named and not columns.commented else chain([head], rows)
    return _make_rows(rows, columns, delimiter, path)


def _make_rows(rows: Iterable[Row], columns: Columns, delimiter: str | None, path: Path) -> Rows:
    values, failed, numbers, tomograms = [], [], {}, {}
    for row, (line, cells) in enumerate(rows):
        numbers[row] = line
        if columns.tomogram is not None and len(cells) > columns.tomogram:
            tomograms[row] = cells[columns.tomogram]
        try:
            values.append((row, _numbers(cells, columns, delimiter)))
        except ValueError as error:
            failed.append((row, f"{path}, line {line}: {error}"))
    return Rows(
        tuple(values),
        tuple(failed),
        columns.unit,
        axis_order=columns.axis_order,
        lines=numbers,
        tomograms=tomograms,
    )


def _text(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a file and their encoding."""
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in raw:
        raise PointsError(
            f"{path}: is not a text file; name a csv, .mod, .star or picks .json file."
        )
    else:
        encoding = "utf-8-sig"
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
    return raw, encoding


def _lines(raw: bytes, encoding: str, path: Path) -> Iterator[Line]:
    """Lines with their number from 1, however they end."""
    text = io.TextIOWrapper(io.BytesIO(raw), encoding)
    for number in range(1, MAX_LINES + 1):
        line = text.readline(MAX_LINE)
        if not line:
            return
        if len(line) == MAX_LINE:
            raise PointsError(f"{path}, line {number}: is far too long; a row is x, y, z.")
        yield number, line
    raise PointsError(f"{path}: has more than {MAX_LINES} lines; name a shorter file.")


def _opening(lines: Iterator[Line]) -> tuple[str, str]:
    """Return the last comment before the first row, and that row."""
    comment = ""
    for _, line in lines:
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            return comment, line
        comment = stripped or comment
    return comment, ""


def _cells(lines: Iterator[Line], delimiter: str | None, path: Path) -> Iterator[Row]:
    kept = 0
    for number, line in lines:
        stripped = line.strip(" \r\n\ufeff" if delimiter == "\t" else None)
        if not stripped or stripped.startswith("#"):
            continue
        kept += 1
        if kept > MAX_ROWS:
            raise PointsError(f"{path}: has more than {MAX_ROWS} rows; name a shorter file.")
        yield number, [cell.strip().strip('"').strip() for cell in _split(stripped, delimiter)]


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None or '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))


def _columns(head: Row, path: Path) -> Columns:
    """Return which columns are x, y, z, by a header or by there being just three."""
    number, cells = head
    if not _is_header(cells):
        return Columns()
    names = [cell.lower() for cell in cells]
    if _SHAPES & set(names):
        raise PointsError(
            f"{path}: is a napari shapes layer, whose rows are corners, not centers; save a "
            "points layer."
        )
    columns = _columns_by_name(names)
    if columns is None:
        raise PointsError(
            f"{path}, line {number}: the header {', '.join(cells)[:80]!r} does not name x, y and z "
            "in voxels or angstrom just once; name the columns x, y and z."
        )
    return columns


def _header_in_comment(comment: str, cells: list[str]) -> Columns | None:
    """Read the header in a comment, as numpy.savetxt writes it, if it fits the cells."""
    names = re.split(r"[\s,;|]+", comment.lower().lstrip("# "))
    columns = _columns_by_name(names) if len(names) == len(cells) else None
    return columns and replace(columns, commented=True)


def _columns_by_name(names: list[str]) -> Columns | None:
    """Columns plainly called x, y, z; else the only ones that are called like it."""
    tomogram = next((i for i, name in enumerate(names) if _TOMOGRAM.fullmatch(name)), None)
    columns = _position_columns(names)
    return columns and replace(columns, tomogram=tomogram, count=len(names))


def _position_columns(names: list[str]) -> Columns | None:
    if "axis-0" in names:
        return _napari_columns(names)
    if all(names.count(axis) == 1 for axis in "xyz"):
        x, y, z = (names.index(axis) for axis in "xyz")
        return Columns((x, y, z), True)
    found = [(i, match) for i, name in enumerate(names) if (match := _NAME.fullmatch(name))]
    by_axis = {match["axis"]: i for i, match in found}
    units = {match["angstrom"] is not None for _, match in found}
    if len(found) != 3 or len(by_axis) != 3 or len(units) != 1:
        return None
    unit = Unit.ANGSTROM if units == {True} else Unit.VOXEL
    return Columns((by_axis["x"], by_axis["y"], by_axis["z"]), True, unit)


def _napari_columns(names: list[str]) -> Columns | None:
    """Columns of a napari points layer, unless it has a time axis or is flat."""
    axes = sorted(name for name in names if name.startswith("axis-"))
    if axes != ["axis-0", "axis-1", "axis-2"]:
        return None
    z, y, x = (names.index(axis) for axis in axes)
    return Columns((x, y, z), True, axis_order="z, y, x (napari: axis-0, 1, 2)")


def _is_header(cells: list[str]) -> bool:
    """Recognise a row of words; one with any number is data, and perhaps bad data."""
    if any(_as_number(cell) is not None for cell in cells):
        return False
    return any(re.search("[A-Za-z]", cell) for cell in cells)


def _numbers(
    cells: list[str], columns: Columns, delimiter: str | None
) -> tuple[float, float, float]:
    if not columns.named and len(cells) != 3 and len([cell for cell in cells if cell]) != 3:
        raise ValueError(
            f"{_quote_cells(cells, delimiter)} has {len(cells)} columns; "
            "a row is x, y, z of one center."
        )
    if columns.named and any(cells[columns.count :]):
        raise ValueError(
            f"{_quote_cells(cells, delimiter)} has {len(cells)} values "
            f"under {columns.count} headings; "
            "write decimal points, or separate the columns by semicolons."
        )
    if len(cells) <= max(columns.xyz):
        raise ValueError(
            f"{_quote_cells(cells, delimiter)} has {len(cells)} columns; the header names more."
        )
    x, y, z = (_number(cells[column], delimiter) for column in columns.xyz)
    return x, y, z


def _quote_cells(cells: list[str], delimiter: str | None) -> str:
    return repr((delimiter or " ").join(cells)[:80])


def _number(cell: str, delimiter: str | None) -> float:
    if re.fullmatch(r"[+-]?\d+,\d+", cell):  # a decimal comma, in quotes between commas
        if delimiter == "," and _THOUSANDS.fullmatch(cell):
            raise ValueError(f"{cell!r} may be a decimal or a thousands' comma; write a point.")
        cell = cell.replace(",", ".")
    value = _as_number(cell)
    if value is None:
        raise ValueError(f"{cell[:40]!r} is not a number; a row is x, y, z of one center.")
    return value


def _as_number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
