"""Read a table of tomograms to register, as CSV or TSV."""

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.errors import VolumeError
from core.files.atomic import open_regular
from core.tomograms.discovery.pairing import Pairing, Predicted, predicted
from db.errors import TomocurateError

MAX_MANIFEST = 16 << 20
"""Bytes."""

COLUMNS = (
    "tomogram",
    "segmentation",
    "token",
    "dataset",
    "voxel_size",
    "threshold",
    "label",
    "model",
    "checkpoint",
)


def read_manifest(path: Path) -> tuple[Pairing, ...]:
    """Read a CSV or TSV table of tomograms; paths count from the table's folder.

    Rows of the same tomogram add segmentations to it.

    Errors: VolumeError for a table without a tomogram column, or with columns nobody knows.
    """
    rows = _rows(path)
    pairings: dict[str, Pairing] = {}
    for number, row in rows:
        key = row.get("tomogram", "") or f"row {number}"
        try:
            made = _of_row(path, row)
        except TomocurateError as error:
            message = f"{path}, line {number}: {error}"
            pairings[f"{key} {number}"] = Pairing(None, key, row.get("dataset", ""), error=message)
            continue
        there = pairings.get(key)
        pairings[key] = made if there is None else _added(there, made)
    if not pairings:
        raise VolumeError(f"{path}: has no rows; a row names a tomogram.")
    return tuple(pairings.values())


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of a manifest with their line numbers; cells are stripped."""
    try:
        with open_regular(path) as file:
            raw = file.read(MAX_MANIFEST + 1)
        if len(raw) > MAX_MANIFEST:
            raise VolumeError(f"{path}: is larger than {MAX_MANIFEST >> 20} MiB; not a manifest.")
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VolumeError(f"{path}: cannot be read as text ({error}).") from error
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        _check_header(path, header)
        return [
            (reader.line_num, dict(zip(header, map(str.strip, row), strict=False)))
            for row in reader
            if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#")
        ]
    except csv.Error as error:
        raise VolumeError(f"{path}, line {reader.line_num}: not a CSV file ({error}).") from error


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _check_header(path: Path, header: Sequence[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if "tomogram" not in header or unknown or len(set(header)) < len(header):
        wrong = (
            f"the column {unknown[0][:60]!r} is not known" if unknown else "its columns are wrong"
        )
        raise VolumeError(
            f"{path}: {wrong}; the first line is {','.join(COLUMNS)}, of which tomogram is needed."
        )


def _of_row(table: Path, row: dict[str, str]) -> Pairing:
    if not row.get("tomogram"):
        raise VolumeError("names no tomogram; fill the column tomogram.")
    tomogram = _beside(table, row["tomogram"])
    segmentations: tuple[Predicted, ...] = ()
    if row.get("segmentation"):
        told = predicted(tomogram, _beside(table, row["segmentation"]))
        told = replace(
            told,
            model=row.get("model") or told.model,
            checkpoint=row.get("checkpoint") or told.checkpoint,
            threshold=_number(row, "threshold"),
            membrane_label=_whole(row, "label"),
        )
        segmentations = (told,)
    return Pairing(
        tomogram,
        row.get("token", ""),
        row.get("dataset", ""),
        _number(row, "voxel_size"),
        segmentations,
    )


def _added(there: Pairing, more: Pairing) -> Pairing:
    """Add a further row of a tomogram: another segmentation, no contradiction."""
    said = (
        (there.token, there.dataset, there.voxel_size),
        (more.token, more.dataset, more.voxel_size),
    )
    if said[0] != said[1]:
        error = f"{there.tomogram}: two rows name different tokens, datasets or voxel sizes; agree."
        return replace(there, error=error)
    return replace(there, segmentations=(*there.segmentations, *more.segmentations))


def _beside(table: Path, message: str) -> Path:
    if "\0" in message or "://" in message:
        raise VolumeError(f"{message[:200]!r} is not a local path; name a file.")
    return (table.parent / message).absolute()


def _number(row: dict[str, str], column: str) -> float | None:
    message = row.get(column)
    if not message:
        return None
    try:
        number = float(message)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise VolumeError(f"{column} is {message[:40]!r}; write a number.")
    return number


def _whole(row: dict[str, str], column: str) -> int | None:
    number = _number(row, column)
    if number is not None and not number.is_integer():
        raise VolumeError(f"{column} is {row[column][:40]!r}; write a whole number.")
    return None if number is None else int(number)
