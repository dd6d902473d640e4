"""Centers from IMOD models (.mod): every point of every contour.

Formats: https://bio3d.colorado.edu/imod/doc/binspec.html and asciispec.html. imodmodel reads far
more of the binary one, but does not end on a truncated file and believes any count, so the few
bytes that hold points are walked here, each count held against the file; the tests hold it
against imodmodel.

A model says for which image it counts: the size in its header, and spacing and start in its chunk
MINX (3dmod rescales by it). A model that was drawn on another image is refused.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from core.errors import PointsError
from core.imaging.geometry import Zyx
from core.imaging.points.rows import MAX_ROWS, Frame, Origin, Rows

HEADER_BYTES = 8 + 232
"""IMODV1.2, then the model's header."""

OBJECT_BYTES, CONTOUR_BYTES, MESH_BYTES = 176, 16, 16
FLIPPED_YZ, ROTATED_X = 1 << 16, 1 << 17
"""Flags of the header (IMODF_FLIPYZ, IMODF_ROT90X in imodel.h)."""

_SIZE_AT, _FLAGS_AT = 136, 152
_MINX = struct.Struct(">18f")

XYZ = tuple[float, float, float]


@dataclass(frozen=True)
class _Image:
    """The image that a model was drawn on."""

    shape: Zyx
    spacing_xyz: XYZ | None = None
    flags: int = 0

    def __str__(self) -> str:
        spacing = self.spacing_xyz and f" of {','.join(f'{x:g}' for x in self.spacing_xyz)} Å"
        return f"{self.shape.shown()} voxels{spacing or ''} (x, y, z)"


def read_model(path: Path, frame: Frame | None = None) -> Rows:
    """Read a model's points: pixels from the corner in x and y, sections in z.

    Errors: PointsError for a model that is damaged, cut short, or drawn on another image.
    """
    raw = path.read_bytes()
    try:
        values = list(islice(_points(raw), MAX_ROWS + 1))
        image = _image(raw)
    except (struct.error, ValueError) as error:
        raise PointsError(
            f"{path}: its IMOD model is damaged or cut short ({error}); save it again in 3dmod."
        ) from error
    return _rows(values, image, frame, path)


def read_ascii_model(path: Path, frame: Frame | None = None) -> Rows:
    """Read the points of a model in its text form, as ``imodinfo -a`` writes it.

    Errors: PointsError for a line that is not what the format says, or another image.
    """
    words = (line.split() for line in path.read_text("utf-8", "replace").splitlines())
    values: list[XYZ] = []
    image, left = _Image(Zyx(0, 0, 0)), 0
    try:
        for line in words:
            if left:
                x, y, z = (float(word) for word in line[:3])
                values.append((x, y, z))
                left -= 1
            elif line[:1] == ["max"]:
                image = _Image(Zyx.from_xyz([int(float(word)) for word in line[1:4]]))
            elif line[:1] == ["contour"]:
                left = int(line[3])
            if len(values) > MAX_ROWS:
                break
    except (ValueError, IndexError) as error:
        raise PointsError(
            f"{path}: its IMOD model in text form cannot be read after {len(values)} points "
            f"({error}); save it again in 3dmod."
        ) from error
    return _rows(values, image, frame, path)


def is_ascii_model(first: bytes) -> bool:
    """Check whether a file begins like a model in text form: comments, then ``imod N``."""
    lines = (line.strip() for line in first.splitlines())
    opening = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return re.fullmatch(rb"imod\s+\d+", opening) is not None


def _rows(values: list[XYZ], image: _Image, frame: Frame | None, path: Path) -> Rows:
    if len(values) > MAX_ROWS:
        raise PointsError(f"{path}: has more than {MAX_ROWS} points; name a shorter file.")
    if image.flags & ROTATED_X:
        raise PointsError(
            f"{path}: was saved while 3dmod showed the volume rotated about x; save it again with "
            "the volume as it is."
        )
    findings: tuple[str, ...] = ()
    if image.flags & FLIPPED_YZ:
        # y counted sections then and z pixels: their conventions (corner, middle) change places.
        values = [(x, z + 0.5, y - 0.5) for x, y, z in values]
        findings = ("saved while 3dmod showed y and z flipped: they were exchanged",)
    findings += _image_findings(image, frame, path)
    return Rows(tuple(enumerate(values)), origin=Origin.PIXEL_CORNER, findings=findings)


def _image_findings(image: _Image, frame: Frame | None, path: Path) -> tuple[str, ...]:
    stated = image.shape
    if frame is None or not any(stated) or stated == frame.shape:
        return ()
    if image.flags & FLIPPED_YZ and Zyx(stated.y, stated.z, stated.x) == frame.shape:
        return ()
    own = f"this tomogram has {frame.shape.shown()}"
    if image.spacing_xyz is None:
        return (f"the model is for an image of {image}, {own}",)
    raise PointsError(
        f"{path}: was drawn on another image: {image}; {own} voxels; open the model on this "
        "tomogram in 3dmod, which rescales it, and save it again."
    )


def _image(raw: bytes) -> _Image:
    shape = Zyx.from_xyz(struct.unpack_from(">3i", raw, _SIZE_AT))
    (flags,) = struct.unpack_from(">I", raw, _FLAGS_AT)
    at = raw.rfind(b"MINX")
    if at < 0:
        return _Image(shape, flags=flags)
    x, y, z = _MINX.unpack_from(raw, at + 8)[9:12]  # cscale, after the old scale, shift and angles
    return _Image(shape, (x, y, z), flags)


def _points(raw: bytes) -> Iterator[XYZ]:
    position = HEADER_BYTES
    while (name := raw[position : position + 4]) != b"IEOF":
        if len(name) < 4:
            raise ValueError("no IEOF at its end")
        position += 4
        if name == b"CONT":
            (count,) = struct.unpack_from(">i", raw, position)
            position = _advance(raw, position, CONTOUR_BYTES)
            end = _advance(raw, position, 12 * count)
            yield from struct.iter_unpack(">3f", raw[position:end])
            position = end
        else:
            position = _advance(raw, position, _length(name, raw, position))


def _length(name: bytes, raw: bytes, position: int) -> int:
    """Bytes of a chunk after its name; most chunks state them."""
    if name == b"OBJT":
        return OBJECT_BYTES
    if name == b"MESH":
        vertices, indices = struct.unpack_from(">2i", raw, position)
        return MESH_BYTES + 12 * _count(vertices) + 4 * _count(indices)
    (length,) = struct.unpack_from(">i", raw, position)
    return 4 + _count(length)


def _advance(raw: bytes, position: int, by: int) -> int:
    if by < 0 or position + by > len(raw):
        raise ValueError(f"a count at byte {position} leads out of it")
    return position + by


def _count(stated: int) -> int:
    if stated < 0:
        raise ValueError(f"a count of {stated}")
    return stated
