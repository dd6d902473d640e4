"""One voxel size in angstrom from what a header states: three spacings and perhaps a unit."""

import math

ANGSTROM = {"angstrom": 1.0, "nm": 10.0, "micron": 1e4, "mm": 1e7, "m": 1e10}
"""Angstrom in one of each unit."""

SMALLEST, LARGEST = 0.1, 1000.0
"""Angstrom: voxels of a tomogram that can be true."""

Stated = tuple[float | None, tuple[str, ...]]


def one_voxel_size(spacing_xyz: tuple[float, float, float], unit: str = "") -> Stated:
    """Return the voxel size in angstrom, or None where it is unknown, and warnings for the user.

    0 and 1 mean unknown. Axes that differ by more than 1 % have no one size. Without a unit the
    number is angstrom; so it is with "mm" where angstrom can be true and mm cannot, since ITK and
    most programs of the field write the number of angstrom as mm.
    """
    low, high = min(spacing_xyz), max(spacing_xyz)
    if not math.isfinite(high) or low <= 0 or (low == high == 1.0 and unit in ("", "mm")):
        return None, ()
    shown = f"{unit or 'Å'} (x, y, z)"
    if high > 1.01 * low:
        found = ", ".join(f"{size:g}" for size in spacing_xyz)
        return None, (f"voxel size differs by axis: {found} {shown}; taken as unknown",)
    size = sum(spacing_xyz) / 3
    stated = size * ANGSTROM.get(unit, 1.0)
    if SMALLEST <= stated <= LARGEST:
        return _unknown_if_one(stated, unit)
    if unit == "mm" and SMALLEST <= size <= LARGEST:
        return _unknown_if_one(size, unit)
    return None, (f"voxel size {size:g} {unit or 'Å'} cannot be true; taken as unknown",)


def _unknown_if_one(angstrom: float, unit: str) -> Stated:
    size = round(angstrom, 4)
    return (None if size == 1.0 and unit in ("", "mm") else size), ()
