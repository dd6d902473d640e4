"""Centers from text: csv, tsv, semicolons, pipes or spaces; header or none; napari's points csv."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from core.errors import PointsError
from core.imaging.points.rows import Rows

MAX_ROWS = 1_000_000
DELIMITERS = ";\t|,"
_ORDERS = {
    ("x", "y", "z"): re.compile(r"(?:.*[_ .-])?(?:coord(?:inate)?[_ ]?)?([xyz])(?:[ _(\[].*)?"),
    ("axis-2", "axis-1", "axis-0"): re.compile(r"(axis-[012])"),
}

Line = tuple[int, list[str]]


def read_text(path: Path, token: str = "") -> Rows:
    """Read rows of x, y, z; a header may name them, and napari's axis-0, 1, 2 are z, y, x.

    Errors: PointsError for a file that is no text, or whose columns cannot be told apart.
    """
    text = _decoded(path)
    delimiter = _delimiter(text)
    lines = list(_cells(text, delimiter, path))
    if not lines:
        return Rows(())
    columns, order, lines = _columns(lines, path)
    values, failed, numbers = [], [], {}
    for row, (line, cells) in enumerate(lines):
        numbers[row] = line
        try:
            values.append((row, _numbers(cells, columns, delimiter)))
        except ValueError as error:
            failed.append((row, f"{path}, line {line}: {error}"))
    return Rows(tuple(values), tuple(failed), axis_order=order, lines=numbers)


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in raw:
        raise PointsError(f"{path}: is no text; name a csv, .mod, .star or picks .json file.")
    else:
        encoding = "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _delimiter(text: str) -> str | None:
    """The first of ; tab | , that a row of data holds; None means spaces."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            return next((mark for mark in DELIMITERS if mark in line.strip()), None)
    return None


def _cells(text: str, delimiter: str | None, path: Path) -> Iterator[Line]:
    kept = 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip(" \r\n\ufeff" if delimiter == "\t" else None)
        if not stripped or stripped.startswith("#"):
            continue
        kept += 1
        if kept > MAX_ROWS:
            raise PointsError(f"{path}: has more than {MAX_ROWS} rows.")
        if delimiter is None:
            cells = stripped.split()
        else:
            try:
                cells = next(csv.reader([stripped], delimiter=delimiter, skipinitialspace=True))
            except csv.Error as error:
                raise PointsError(f"{path}, line {number}: {error}.") from error
        cells = [cell.strip().strip('"').strip() for cell in cells]
        yield number, cells


def _columns(lines: list[Line], path: Path) -> tuple[tuple[int, int, int], str, list[Line]]:
    """Which columns are x, y, z, by a header or by there being just three."""
    number, first = lines[0]
    if not _is_header(first):
        return (0, 1, 2), "x, y, z", lines
    names = [name.lower() for name in first]
    for wanted, pattern in _ORDERS.items():
        found = {match[1]: i for i, name in reversed([*enumerate(names)])
                 if (match := pattern.fullmatch(name))}  # fmt: skip
        if all(name in found for name in wanted):
            x, y, z = (found[name] for name in wanted)
            order = "x, y, z" if wanted[0] == "x" else "z, y, x (napari: axis-0, 1, 2)"
            return (x, y, z), order, lines[1:]
    raise PointsError(
        f"{path}, line {number}: the header {', '.join(first)[:80]!r} names no columns x, y and z."
    )


def _is_header(cells: list[str]) -> bool:
    return any(re.search("[A-Za-z]", cell) and _as_number(cell) is None for cell in cells)


def _numbers(
    cells: list[str], columns: tuple[int, int, int], delimiter: str | None
) -> tuple[float, float, float]:
    if columns == (0, 1, 2) and len([cell for cell in cells if cell]) != 3 and len(cells) != 3:
        given = (delimiter or " ").join(cells)[:80]
        raise ValueError(f"{given!r} has {len(cells)} columns; a row is x, y, z of one center.")
    if len(cells) <= max(columns):
        raise ValueError(f"has {len(cells)} columns; x, y or z is missing.")
    x, y, z = (_number(cells[column], delimiter) for column in columns)
    return x, y, z


def _number(cell: str, delimiter: str | None) -> float:
    if delimiter in (";", "\t") and re.fullmatch(r"[+-]?\d+,\d+", cell):
        cell = cell.replace(",", ".")  # a decimal comma
    value = _as_number(cell)
    if value is None:
        raise ValueError(f"{cell[:40]!r} is no number.")
    return value


def _as_number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
