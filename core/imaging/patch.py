"""Cut a patch: the tomogram's voxels and the predicted label around a center.

The voxels are those that MemBrain-seg's extract_patches writes; the header is our own and true
(voxel size, and the patch's place in its tomogram).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import CenterError, SegmentationError
from core.imaging.formats.volume import Volume
from core.imaging.geometry import (
    PATCH_SIDE,
    Box,
    Grid,
    Zyx,
    box_around,
    legal_centers,
    shifted_to_fit,
    whole,
)
from core.imaging.labels import IGNORE, Label, ignore_border, label_from_prediction
from db.vocabulary import NearBorder


@dataclass(frozen=True)
class Placed:
    """Where a patch will be cut: its center, its box, and what was done to make it fit."""

    center: Zyx
    box: Box
    """May leave the tomogram on the sides that are padded."""
    shifted: bool = False
    padded: bool = False


@dataclass(frozen=True)
class CutPatch:
    """A patch's image (dtype of the tomogram, float16 as float32) and label (uint8)."""

    image: NDArray[Any]
    label: Label
    findings: tuple[str, ...]


def place_patch(
    center: Zyx, shape: Zyx, near_border: NearBorder = NearBorder.REFUSE, side: int = PATCH_SIDE
) -> Placed:
    """Place the patch of a center in a tomogram of a shape.

    Near the border: refuse (the default), shift the center to the nearest legal one, or pad the
    part outside. The last legal position is legal, also where the tomogram is just one patch
    thick.

    Errors: CenterError names the legal range, in (x, y, z) as people state centers.
    """
    box = box_around(center, side)
    if box.lies_in(shape):
        return Placed(center, box)
    shifted = shifted_to_fit(center, shape, side)
    if near_border is NearBorder.SHIFT and shifted is not None:
        return Placed(shifted, box_around(shifted, side), shifted=True)
    if near_border is NearBorder.PAD and box.overlap(whole(shape)) is not None:
        return Placed(center, box, padded=True)
    raise CenterError(_outside(center, shape, near_border, side))


def cut_patch(
    tomogram: Volume, segmentation: Volume, placed: Placed, threshold: float | None = None
) -> CutPatch:
    """Read a patch's image and label, (z, y, x) arrays of the box's shape.

    Outside the tomogram (padded): image is the mean of the voxels inside, label is ignore.

    Errors: SegmentationError (see ``check_pair`` and ``label_from_prediction``).
    """
    check_pair(tomogram, segmentation)
    inside = placed.box.overlap(whole(tomogram.shape))
    if inside is None:
        raise CenterError(f"the box {placed.box} holds no voxel of the tomogram.")
    image = storable_image(tomogram.read(inside))
    try:
        label, findings = label_from_prediction(segmentation.read(inside), threshold)
    except SegmentationError as error:
        raise SegmentationError(f"{segmentation.path}: {error}") from error
    if placed.padded:
        image = _padded(image, placed.box, inside, _mean(image))
        label = _padded(label, placed.box, inside, IGNORE)
    ignore_border(label)
    return CutPatch(image, label, findings)


def check_pair(tomogram: Volume, segmentation: Volume) -> None:
    """A segmentation has its tomogram's shape.

    Errors: SegmentationError with both shapes, in (x, y, z).
    """
    if segmentation.shape != tomogram.shape:
        raise SegmentationError(
            f"{segmentation.path}: is {_xyz(segmentation.shape)} voxels (x, y, z), but the "
            f"tomogram {tomogram.path} is {_xyz(tomogram.shape)}; a segmentation has its "
            "tomogram's size (MemBrain-seg: predict with --out-folder on this very file)."
        )


def storable_image(image: NDArray[Any]) -> NDArray[Any]:
    """Voxels as an extracted image keeps them: float16 as float32, since NIfTI has no float16."""
    return image.astype(np.float32) if image.dtype == np.float16 else image


def patch_grid(box: Box, voxel_size: float | None) -> Grid:
    """A patch's place in its tomogram: spacing in angstrom, origin the box's start.

    An unknown voxel size counts as 1, so that the origin is in voxels.
    """
    size = voxel_size or 1.0
    x, y, z = box.start.to_xyz()
    return Grid.aligned(size, (x * size, y * size, z * size))


def _outside(center: Zyx, shape: Zyx, near_border: NearBorder, side: int) -> str:
    legal = legal_centers(shape, side)
    said = f"center {_xyz(center)} (x, y, z): its {side}-voxel box leaves the tomogram of"
    if legal is None:
        thin = f"{said} {_xyz(shape)} voxels, which is thinner than a patch; "
        pad = "the box does not touch it at all." if near_border is NearBorder.PAD else "pad it."
        return thin + pad.replace("pad it.", "cut it with --near-border pad.")
    x, y, z = (f"{a}..{b - 1}" for a, b in zip(legal.start[::-1], legal.stop[::-1], strict=True))
    return f"{said} {_xyz(shape)} voxels; legal are x {x}, y {y}, z {z}, or --near-border shift."


def _mean(image: NDArray[Any]) -> Any:
    mean = image.mean(dtype=np.float64, where=np.isfinite(image))
    return image.dtype.type(np.rint(mean) if image.dtype.kind in "iu" else mean)


def _padded(voxels: NDArray[Any], box: Box, inside: Box, value: Any) -> NDArray[Any]:
    out = np.full(box.shape, value, voxels.dtype)
    out[inside.moved(Zyx(*(-start for start in box.start))).slices] = voxels
    return out


def _xyz(zyx: Zyx) -> str:
    return ",".join(map(str, zyx.to_xyz()))
