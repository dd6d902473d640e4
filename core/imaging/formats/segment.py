"""A label that a file names: MITK and 3D Slicer say in the header what their values mean."""

from typing import NamedTuple


class Segment(NamedTuple):
    """One named label of a multi-label file (MITK, 3D Slicer)."""

    name: str
    value: int
    layer: int
