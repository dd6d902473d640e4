"""Cut a patch: the tomogram's voxels and the predicted label around a center.

The voxels are those that MemBrain-seg's extract_patches writes; the header is our own and true
(voxel size, and the patch's place in its tomogram).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import CenterError, SegmentationError
from core.imaging.formats.volume import Volume, read_labels
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
from core.imaging.placing import place
from db.vocabulary import NearBorder


@dataclass(frozen=True)
class Placed:
    """A patch's position: center, box, and how it was made to fit."""

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
    thick. A center that is no voxel of the tomogram is never near its border: it counts in
    another unit or belongs to another tomogram.

    Errors: CenterError names the legal range, in (x, y, z) as people state centers.
    """
    box = box_around(center, side)
    if box.lies_in(shape):
        return Placed(center, box)
    if not whole(shape).holds(center):
        raise CenterError(
            f"center {center.shown()} (x, y, z): lies outside the tomogram of {shape.shown()} "
            f"voxels{_legal(shape, side)}; is it of another tomogram, binning or unit?"
        )
    shifted = shifted_to_fit(center, shape, side)
    if near_border is NearBorder.SHIFT and shifted is not None:
        return Placed(shifted, box_around(shifted, side), shifted=True)
    if near_border is NearBorder.PAD:
        return Placed(center, box, padded=True)
    raise CenterError(_outside(center, shape, side))


def cut_patch(
    tomogram: Volume,
    segmentation: Volume,
    placed: Placed,
    threshold: float | None = None,
    membrane: int | None = None,
) -> CutPatch:
    """Read a patch's image and label, (z, y, x) arrays of the box's shape.

    ``membrane`` is the value of the segmentation that means membrane (None: all but 0). Outside the
    tomogram (padded): image is the mean of the voxels inside, label is ignore.

    Errors: SegmentationError (see ``check_pair`` and ``label_from_prediction``).
    """
    check_pair(tomogram, segmentation)
    inside = placed.box.overlap(whole(tomogram.shape))
    if inside is None:
        raise CenterError(f"the box {placed.box} holds no voxel of the tomogram.")
    image = storable_image(tomogram.read(inside))
    label, findings = read_prediction(segmentation, inside, threshold, membrane)
    if placed.padded:
        image = _pad(image, placed.box, inside, _mean(image))
        label = _pad(label, placed.box, inside, IGNORE)
    ignore_border(label)
    return CutPatch(image, label, findings)


def read_prediction(
    segmentation: Volume, box: Box, threshold: float | None = None, membrane: int | None = None
) -> tuple[Label, tuple[str, ...]]:
    """Read a box of a predicted segmentation as uint8 {0, 1}, and findings for the user.

    Errors: SegmentationError (see ``label_from_prediction``).
    """
    voxels = read_labels(segmentation, box, round_floats=threshold is None)
    try:
        label, findings = label_from_prediction(voxels, threshold, membrane)
    except SegmentationError as error:
        raise SegmentationError(f"{segmentation.path}: {error}") from error
    names = ", ".join(f"{segment.value} {segment.name}" for segment in segmentation.segments)
    if len(segmentation.segments) > 1 and membrane is None:
        findings += (f"its labels ({names:.200}) all count as membrane; --label N takes one",)
    return label, findings


def check_pair(tomogram: Volume, segmentation: Volume) -> tuple[str, ...]:
    """Check that a segmentation lies on its tomogram, and tell what is doubtful about it.

    Errors: SegmentationError for another shape, several layers, or headers that state different
    places.
    """
    if segmentation.shape != tomogram.shape:
        raise SegmentationError(
            f"{segmentation.path}: is {segmentation.shape.shown()} voxels (x, y, z), but the "
            f"tomogram {tomogram.path} is {tomogram.shape.shown()}; a segmentation has its "
            "tomogram's size (MemBrain-seg: predict with --out-folder on this very file)."
        )
    if segmentation.layers != 1:
        raise SegmentationError(
            f"{segmentation.path}: holds {segmentation.layers} layers; save the membrane as a 3D "
            "volume of its own."
        )
    return (*_place_findings(tomogram, segmentation), *_size_findings(tomogram, segmentation))


def _place_findings(tomogram: Volume, segmentation: Volume) -> tuple[str, ...]:
    """Return what the headers say of where both lie; MRC and TIFF say nothing."""
    grid = segmentation.grid
    if grid is None:
        return ()
    reference = tomogram.grid or Grid.aligned(float(np.mean(grid.spacing_xyz)))
    placement = place(segmentation.shape, grid, reference)
    covers = placement is not None and placement.box == whole(tomogram.shape)
    if placement is not None and covers and not placement.reorders:
        return ()
    if tomogram.grid is None:
        turned = placement is not None and (placement.axes != (0, 1, 2) or covers)
        if not turned:
            return ()
    elif grid.is_unstated or tomogram.grid.is_unstated:
        return ("one header states no place: segmentation taken as the tomogram's own",)
    elif placement is not None and not placement.reorders and grid.is_at_zero:
        return ("the segmentation's origin is 0, 0, 0: taken as the tomogram's own",)
    raise SegmentationError(
        f"{segmentation.path}: its header states another place or orientation than the tomogram's: "
        f"{grid}; expected {reference} (x, y, z); save it on the tomogram's own grid."
    )


def _size_findings(tomogram: Volume, segmentation: Volume) -> tuple[str, ...]:
    own, other = tomogram.voxel_size, segmentation.voxel_size
    if own is None or other is None or abs(own - other) <= 0.01 * own:
        return ()
    return (f"the segmentation states {other:g} Å a voxel, the tomogram {own:g} Å",)


def storable_image(image: NDArray[Any]) -> NDArray[Any]:
    """Voxels as an extracted image keeps them: float16 as float32, since NIfTI has no float16."""
    return image.astype(np.float32) if image.dtype == np.float16 else image


def patch_grid(box: Box, voxel_size: float | None) -> Grid:
    """Return a patch's place in its tomogram: spacing in angstrom, origin the box's start.

    An unknown voxel size counts as 1, so that the origin is in voxels.
    """
    size = voxel_size or 1.0
    x, y, z = box.start.to_xyz()
    return Grid.aligned(size, (x * size, y * size, z * size))


def _outside(center: Zyx, shape: Zyx, side: int) -> str:
    center_text = f"center {center.shown()} (x, y, z): its {side}-voxel box leaves the tomogram of"
    if legal_centers(shape, side) is None:
        return (
            f"{center_text} {shape.shown()} voxels, which is thinner than a patch; cut it with "
            "--near-border pad."
        )
    return f"{center_text} {shape.shown()} voxels{_legal(shape, side)}, or --near-border shift."


def _legal(shape: Zyx, side: int) -> str:
    legal = legal_centers(shape, side)
    if legal is None:
        return ""
    x, y, z = (f"{a}..{b - 1}" for a, b in zip(legal.start[::-1], legal.stop[::-1], strict=True))
    return f"; legal are x {x}, y {y}, z {z}"


def _mean(image: NDArray[Any]) -> Any:
    mean = image.mean(dtype=np.float64, where=np.isfinite(image))
    return image.dtype.type(np.rint(mean) if image.dtype.kind in "iu" else mean)


def _pad(voxels: NDArray[Any], box: Box, inside: Box, value: Any) -> NDArray[Any]:
    out = np.full(box.shape, value, voxels.dtype)
    out[inside.inside(box).slices] = voxels
    return out
