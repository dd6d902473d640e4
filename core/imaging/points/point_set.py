"""Centers from MITK point sets (.mps): XML with world coordinates.

https://docs.mitk.org (GeometryOverviewPage): points are in world coordinates, so that the voxel is
what the tomogram's header makes of them; MITK takes angstrom for its millimetres.
"""

from pathlib import Path

from core.errors import PointsError
from core.imaging.points.rows import MAX_ROWS, Frame, Origin, Rows, Unit

MAX_TAGS = 12 * MAX_ROWS


def read_point_set(path: Path, frame: Frame | None = None) -> Rows:
    """Read the points of a point set.

    Errors: PointsError for other XML, or a document type (it could define entities).
    """
    from xml.etree import ElementTree

    raw = path.read_bytes()
    if b"<!" in raw.replace(b"<!--", b"") or raw.count(b"<") > MAX_TAGS:
        raise PointsError(f"{path}: is XML, but no MITK point set; save the points again as .mps.")
    try:
        root = ElementTree.fromstring(raw)  # noqa: S314 - bounded, no document type
        if root.tag != "point_set_file":
            raise ValueError(f"its root is {root.tag!r:.40}")
        points = list(root.iter("point"))
        values = [tuple(float(point.findtext(axis, "")) for axis in "xyz") for point in points]
    except (SyntaxError, ValueError, RecursionError) as error:
        text = " ".join(str(error).split())[:60]
        raise PointsError(
            f"{path}: cannot be read as an MITK point set ({text}); save the points again as .mps."
        ) from error
    if len(values) > MAX_ROWS:
        raise PointsError(f"{path}: has more than {MAX_ROWS} points; name a shorter file.")
    numbered = tuple((row, (x, y, z)) for row, (x, y, z) in enumerate(values))
    return Rows(numbered, unit=Unit.ANGSTROM, origin=Origin.WORLD)
