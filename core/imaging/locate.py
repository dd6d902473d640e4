"""Find where patches were cut from a tomogram, by their voxels: exactly, or not at all."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.imaging.formats.volume import Volume
from core.imaging.geometry import Box, Zyx, box_at
from core.imaging.patch import storable_image


def find_patches(tomogram: Volume, images: Mapping[str, NDArray[Any]]) -> dict[str, Box]:
    """Return the boxes of the patches that hold just these voxels of a tomogram.

    ``images`` are (z, y, x) arrays as they were extracted, by name. The tomogram is read once,
    section by section, whatever the number of patches; a patch is looked for by one of its rows
    and then held against all its voxels. Equal values count whatever their type (a script may
    have written int8 as float32). A patch that was padded, resampled or normalised, or that fits
    two places alike, is not found.
    """
    probes = {}
    for name, image in images.items():
        same = as_dtype(image, stored_dtype(tomogram))
        fits = all(a <= b for a, b in zip(image.shape, tomogram.shape, strict=True))
        if same is not None and fits:
            probes[name] = _Probe(same)
    candidates: dict[str, list[Zyx]] = {name: [] for name in probes}
    for z in range(tomogram.shape.z):
        section = _section(tomogram, z)
        raw = section.tobytes()
        for name, probe in probes.items():
            candidates[name] += probe.starts_in(raw, z, tomogram.shape)
    return _confirm(tomogram, images, candidates)


def stored_dtype(tomogram: Volume) -> np.dtype[Any]:
    """Return the type that an extracted image of this tomogram has."""
    return storable_image(np.empty(0, tomogram.dtype)).dtype


def as_dtype(image: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the same values in another type, or None where it cannot hold them."""
    if image.dtype == dtype:
        return image
    with np.errstate(invalid="ignore", over="ignore"):
        same = image.astype(dtype)
    return same if np.array_equal(same, image, equal_nan=image.dtype.kind == "f") else None


class _Probe:
    """The row of a patch that differs most, and where it lies in it."""

    def __init__(self, image: NDArray[Any]) -> None:
        middle = image.shape[0] // 2
        spread = image[middle].astype(np.float64).std(axis=1)
        y = int(spread.argmax())
        self.at = Zyx(middle, y, 0)
        self.row = np.ascontiguousarray(image[middle, y])
        self.flat = not spread[y] > 0

    def starts_in(self, section: bytes, z: int, shape: Zyx) -> list[Zyx]:
        """Return the patch's possible starts, if its row lies in this section."""
        if self.flat or not z - self.at.z >= 0:
            return []
        needle, size, starts = self.row.tobytes(), self.row.itemsize, []
        position = section.find(needle)
        while position >= 0:
            y, x = divmod(position // size, shape.x)
            inside = position % size == 0 and x + len(self.row) <= shape.x and y >= self.at.y
            if inside:
                starts.append(Zyx(z - self.at.z, y - self.at.y, x))
            position = section.find(needle, position + 1)
        return starts


def _section(tomogram: Volume, z: int) -> NDArray[Any]:
    shape = tomogram.shape
    section = tomogram.read(Box(Zyx(z, 0, 0), Zyx(z + 1, shape.y, shape.x)))
    return storable_image(section).reshape(shape[1:])


def _confirm(
    tomogram: Volume, images: Mapping[str, NDArray[Any]], candidates: Mapping[str, list[Zyx]]
) -> dict[str, Box]:
    found = {}
    for name, starts in candidates.items():
        boxes = [box_at(start, images[name].shape) for start in starts]
        same = [box for box in boxes if _holds(tomogram, box, images[name])]
        if len(same) == 1:
            found[name] = same[0]
    return found


def _holds(tomogram: Volume, box: Box, image: NDArray[Any]) -> bool:
    if not box.lies_in(tomogram.shape):
        return False
    same = as_dtype(image, stored_dtype(tomogram))
    return same is not None and storable_image(tomogram.read(box)).tobytes() == same.tobytes()
