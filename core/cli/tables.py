"""Tables for people and JSON for machines, from the same values."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import click

from core.cli.run import printable
from db.json_values import to_json


def say_json(value: Any) -> None:
    """Print a value of dataclasses, enums and paths as JSON."""
    import json

    text = json.dumps(to_json(value), indent=2, ensure_ascii=False)
    if any("\ud800" <= char <= "\udfff" for char in text):  # of a file name that is no UTF-8
        text = json.dumps(to_json(value), indent=2)
    click.echo(text)


def say_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under headings; numbers to the right, nothing where there are no rows."""
    if not rows:
        return
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(headings, *cells, strict=True)]
    right = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(headings))]
    click.echo(_line(headings, widths, right))
    click.echo(_line(["─" * width for width in widths], widths, right))
    for row in cells:
        click.echo(_line(row, widths, right))


def _cell(value: Any) -> str:
    return "" if value is None else printable(str(to_json(value)))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    aligned = []
    for cell, width, to_right in zip(cells, widths, right, strict=True):
        space = " " * (width - _width(cell))
        aligned.append(space + cell if to_right else cell + space)
    return "  ".join(aligned).rstrip()


def _width(text: str) -> int:
    """Columns on a terminal: Chinese and Japanese characters take two, accents none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
