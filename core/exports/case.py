"""One case of an export: a patch's image and label, as a consumer gets them.

MemBrain-seg normalises tomograms when it predicts but not when it loads training patches, so each
image is z-scored by the mean and standard deviation of its voxels in the tomogram; padding
becomes 0, which is the mean.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import ExportError
from core.exports.naming import image_file, label_file
from core.exports.patch import CuratedPatch, core_box
from core.exports.validate import read_label, shape_faults
from core.imaging.formats.nifti import fill_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Grid, Zyx, whole
from core.imaging.hashes import content_hash
from core.imaging.labels import IGNORE, Label
from core.imaging.quality import Agreement, Quality, agreement, measure
from db.vocabulary import Split

FOLDERS = {
    Split.TRAIN: ("imagesTr", "labelsTr"),
    Split.VAL: ("imagesVal", "labelsVal"),
    Split.TEST: ("imagesTs", "labelsTs"),
}
"""Where images and labels lie; MemBrain-seg wants the first two pairs, nnU-Net calls test Ts."""

QUANTUM = 1 / 256
"""Standard deviations: rounding to this halves the file and lies far below the noise."""

Image = NDArray[np.float32]

CELLS = 8
"""Cells along each side of a fingerprint: 20 voxels of a 160-voxel patch."""


class ZScored(NamedTuple):
    """A float32 (z, y, x) image, and what was taken off and divided by."""

    voxels: Image
    mean: float
    std: float


@dataclass(frozen=True)
class Recipe:
    """Conversion of voxels for an export."""

    core_only: bool = False
    """Without the border, which is ignore anyway: MemBrain-seg's loader pads it back."""
    quantise: bool = False
    """Round the image to 1/256 standard deviation: half the size."""
    keep_origin: bool = True
    """Write the patch's place in its tomogram into the header."""
    unit_spacing: bool = False
    """Spacing 1, as MemBrain-seg writes, instead of the number of angstrom."""
    measured: bool = False
    """Also measure the label's quality and the image's fingerprint."""


@dataclass(frozen=True)
class PlannedCase:
    """A patch, what it will be called, and where it goes."""

    patch: CuratedPatch
    case: str
    group: str
    """The group as the reader of the export sees it."""
    unit: str
    """The joined group that the split keeps together (real name)."""
    split: Split

    @property
    def image(self) -> str:
        """The image's path in the export."""
        return f"{FOLDERS[self.split][0]}/{image_file(self.case)}"

    @property
    def label(self) -> str:
        """The label's path in the export."""
        return f"{FOLDERS[self.split][1]}/{label_file(self.case)}"


@dataclass(frozen=True)
class WrittenCase:
    """A case as it was written."""

    planned: PlannedCase
    shape: Zyx
    mean: float
    std: float
    """What was taken off the tomogram's intensities, and divided by."""
    image_hash: str
    label_hash: str
    fingerprint: str = ""
    quality: Quality | None = None
    agreement: Agreement | None = None
    """With a second annotator's label, where there is one."""


def write_case(case: PlannedCase, voxel_size: float, recipe: Recipe, folder: Path) -> WrittenCase:
    """Write a case's two files into an export's folder, which has its subfolders.

    ``voxel_size`` (angstrom) becomes the spacing.

    Errors: ExportError, one sentence that names the patch.
    """
    patch = case.patch
    cut = core_box(patch.box.shape) if recipe.core_only and not patch.core_only else None
    try:
        scored = _image(patch, cut, quantise=recipe.quantise)
    except ExportError as error:
        raise ExportError(f"{patch.name}: its image {error}") from error
    label = read_label(patch.label_path)
    _check_same(f"{patch.name}: its label ", label, patch.label_hash)
    label = _crop(label, cut)
    for fault in shape_faults(patch.name, Zyx(*scored.voxels.shape), Zyx(*label.shape)):
        raise ExportError(fault.message)
    _ignore_padding(label, _real(patch, cut))
    grid = _grid(patch, voxel_size, recipe, cut)
    fill_nifti(folder / case.image, scored.voxels, grid)
    fill_nifti(folder / case.label, label, grid)
    return WrittenCase(
        planned=case,
        shape=Zyx(*label.shape),
        mean=scored.mean,
        std=scored.std,
        image_hash=content_hash(scored.voxels),
        label_hash=content_hash(label),
        fingerprint=fingerprint(scored.voxels) if recipe.measured else "",
        quality=_quality(patch, label, cut) if recipe.measured else None,
        agreement=_agreement(patch, label, cut) if recipe.measured else None,
    )


def z_score(image: NDArray[Any], real: Box, *, quantise: bool = False) -> ZScored:
    """Normalise an image over its real voxels; what lies outside ``real`` becomes 0.

    Errors: ExportError for NaN or infinite voxels, and for an image that is flat.
    """
    out = np.zeros(image.shape, np.float32)
    inside = out[real.slices]
    inside[...] = image[real.slices]
    mean = float(inside.mean(dtype=np.float64))
    if not np.isfinite(mean):
        raise ExportError("holds NaN or infinite voxels; extract it again from a sound tomogram.")
    inside -= np.float32(mean)
    std = spread(inside)
    if not np.isfinite(std) or std <= 1e-30:
        raise ExportError("has the same value in every voxel; a network cannot learn from it.")
    inside /= np.float32(std)
    if quantise:
        round_to_quantum(out)
    return ZScored(out, mean, std)


def take_normalised(image: NDArray[Any], *, quantise: bool = False) -> ZScored:
    """Ship an image that is z-scored already, bit for bit (rounded only if asked).

    Errors: ExportError where it is not finite, or not normalised at all.
    """
    voxels = np.ascontiguousarray(image, dtype=np.float32)
    mean = float(voxels.mean(dtype=np.float64))
    std = spread(voxels - np.float32(mean)) if np.isfinite(mean) else float("nan")
    if not np.isfinite(std):
        raise ExportError("holds NaN or infinite voxels; ask the sender for it again.")
    if not (abs(mean) < 0.5 and 0.25 < std < 4):
        raise ExportError(
            f"has mean {mean:.3g} and standard deviation {std:.3g} but is marked as normalised; "
            "they should be near 0 and 1."
        )
    if quantise:
        round_to_quantum(voxels)
    return ZScored(voxels, mean, std)


def round_to_quantum(voxels: Image) -> None:
    """Round to 1/256 standard deviation, in place."""
    voxels /= np.float32(QUANTUM)
    np.rint(voxels, out=voxels)
    voxels *= np.float32(QUANTUM)
    voxels += np.float32(0.0)  # -0.0 becomes 0.0


def spread(centered: Image) -> float:
    """The root mean square, in double precision and little memory."""
    squares = (float(np.square(section, dtype=np.float64).sum()) for section in centered)
    return float(np.sqrt(sum(squares) / centered.size))


def fingerprint(image: NDArray[np.float32]) -> str:
    """Describe an image by the means over 8 × 8 × 8 cells, as text for a table.

    The means are shifted to mean 0, scaled to variance 1, and rounded to sixteenths (a signed
    byte each, base64). It finds rescaled or filtered copies of a patch in other bundles.
    """
    sides = [n // CELLS for n in image.shape]
    cells: NDArray[Any] = image[tuple(slice(0, side * CELLS) for side in sides)]
    for axis, side in reversed(list(enumerate(sides))):
        starts = np.arange(0, side * CELLS, side)
        cells = np.add.reduceat(cells, starts, axis=axis, dtype=np.float32)
    cells = cells - np.float32(cells.mean(dtype=np.float64))
    length = np.float32(np.sqrt(np.square(cells, dtype=np.float64).sum()))
    scaled = cells / (length or np.float32(1)) * np.float32(CELLS**1.5 * 16)
    stored = np.clip(np.rint(scaled), -127, 127).astype(np.int8)
    return "f8i8:" + base64.b64encode(stored.tobytes()).decode("ascii")


def shipped_box(patch: CuratedPatch, recipe: Recipe) -> Box:
    """The box in the tomogram that a case gives away (may leave it where it is padded)."""
    if not recipe.core_only or patch.core_only:
        return patch.box
    return core_box(patch.box.shape).moved(patch.box.start)


def _image(patch: CuratedPatch, cut: Box | None, *, quantise: bool) -> ZScored:
    with open_volume(patch.image_path) as volume:
        image = volume.read(whole(volume.shape))
    _check_same("", image, patch.image_hash)
    image = _crop(image, cut)
    if patch.normalised and cut is None:
        return take_normalised(image, quantise=quantise)
    return z_score(image, _real(patch, cut), quantise=quantise)


def _real(patch: CuratedPatch, cut: Box | None) -> Box:
    """The voxels of the shipped array that lie in the tomogram."""
    real = patch.real_box if patch.padded else whole(patch.box.shape)
    if cut is None:
        return real
    inside = real.overlap(cut)
    if inside is None:
        raise ExportError("lies entirely in the padding; leave it out.")
    return inside.moved(Zyx(*(-start for start in cut.start)))


def _check_same(what: str, voxels: NDArray[Any], expected: str | None) -> None:
    if expected is not None and content_hash(voxels) != expected:
        raise ExportError(f"{what}differs from the recorded voxels; restore it from a backup.")


def _crop(voxels: NDArray[Any], cut: Box | None) -> NDArray[Any]:
    return voxels if cut is None else np.ascontiguousarray(voxels[cut.slices])


def _ignore_padding(label: Label, real: Box) -> None:
    """Set a label to ignore where the image is padded."""
    if real == whole(Zyx(*label.shape)):
        return
    kept = label[real.slices].copy()
    label[...] = IGNORE
    label[real.slices] = kept


def _quality(patch: CuratedPatch, label: Label, cut: Box | None) -> Quality:
    core_only = patch.core_only or cut is not None
    before = None
    if patch.prediction_path is not None:
        before = _crop(read_label(patch.prediction_path), cut)
    return measure(label, before, core_only=core_only)


def _agreement(patch: CuratedPatch, label: Label, cut: Box | None) -> Agreement | None:
    if patch.second_label_path is None:
        return None
    second = read_label(patch.second_label_path)
    _check_same(f"{patch.name}: its second label ", second, patch.second_label_hash)
    second = _crop(second, cut)
    if second.shape != label.shape:
        raise ExportError(f"{patch.name}: its second label has another shape than its first.")
    return agreement(label, second)


def _grid(patch: CuratedPatch, voxel_size: float, recipe: Recipe, cut: Box | None) -> Grid:
    spacing = 1.0 if recipe.unit_spacing else voxel_size
    if not recipe.keep_origin:
        return Grid.aligned(spacing)
    start = patch.box.start if cut is None else cut.moved(patch.box.start).start
    x, y, z = start.to_xyz()
    return Grid.aligned(spacing, (x * spacing, y * spacing, z * spacing))
