"""Centers from IMOD models (.mod): every point of every contour.

Format: https://bio3d.colorado.edu/imod/doc/binspec.html. imodmodel reads far more of it, but does
not end on a truncated file and believes any count, so the few bytes that hold points are walked
here, each count held against the file; the tests hold it against imodmodel.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from core.errors import PointsError
from core.imaging.points.rows import MAX_ROWS, Origin, Rows

HEADER_BYTES = 8 + 232
"""IMODV1.2, then the model's header."""

OBJECT_BYTES, CONTOUR_BYTES, MESH_BYTES = 176, 16, 16


def read_model(path: Path, token: str = "") -> Rows:
    """Read a model's points: pixels from the corner in x and y, sections in z.

    Errors: PointsError for a model that is damaged or cut short.
    """
    raw = path.read_bytes()
    try:
        values = tuple(enumerate(islice(_points(raw), MAX_ROWS + 1)))
    except (struct.error, ValueError) as error:
        raise PointsError(
            f"{path}: its IMOD model is damaged or cut short ({error}); save it again in 3dmod."
        ) from error
    if len(values) > MAX_ROWS:
        raise PointsError(f"{path}: has more than {MAX_ROWS} points; name a shorter file.")
    return Rows(values, origin=Origin.PIXEL_CORNER)


def _points(raw: bytes) -> Iterator[tuple[float, float, float]]:
    position = HEADER_BYTES
    while (name := raw[position : position + 4]) != b"IEOF":
        if len(name) < 4:
            raise ValueError("no IEOF at its end")
        position += 4
        if name == b"CONT":
            (count,) = struct.unpack_from(">i", raw, position)
            position = _advanced(raw, position, CONTOUR_BYTES)
            end = _advanced(raw, position, 12 * count)
            yield from struct.iter_unpack(">3f", raw[position:end])
            position = end
        else:
            position = _advanced(raw, position, _length(name, raw, position))


def _length(name: bytes, raw: bytes, position: int) -> int:
    """Bytes of a chunk after its name; most chunks state them."""
    if name == b"OBJT":
        return OBJECT_BYTES
    if name == b"MESH":
        vertices, indices = struct.unpack_from(">2i", raw, position)
        return MESH_BYTES + 12 * _count(vertices) + 4 * _count(indices)
    (length,) = struct.unpack_from(">i", raw, position)
    return 4 + _count(length)


def _advanced(raw: bytes, position: int, by: int) -> int:
    if by < 0 or position + by > len(raw):
        raise ValueError(f"a count at byte {position} leads out of it")
    return position + by


def _count(stated: int) -> int:
    if stated < 0:
        raise ValueError(f"a count of {stated}")
    return stated
