"""Read a training-set folder that lies on a disk, ours or another group's, and check its cases.

The layout is MemBrain-seg's: ``imagesTr labelsTr imagesVal labelsVal``, an image named
``<case>_0000.nii.gz`` for every label ``<case>.nii.gz``, and nothing else among the labels. When a
network is fine-tuned, MemBrain-seg wants *old* data in ``imagesVal``, against forgetting: the
validation patches of an earlier set or bundle are copied, file by file.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ExportError, LabelError, VolumeError
from core.exports.case import FOLDERS, PlannedCase, Recipe, WrittenCase, spread
from core.exports.manifest import Entry
from core.exports.naming import IMAGE_ENDING, LABEL_ENDING, image_file, label_file
from core.exports.validate import (
    Fault,
    Rule,
    is_same_size,
    labelled_faults,
    shape_faults,
)
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.geometry import whole
from core.imaging.hashes import content_hash
from core.imaging.labels import check_label, count_values
from db.vocabulary import Split

MOST_FILES = 100_000


@dataclass(frozen=True)
class Pair:
    """A case on disk."""

    case: str
    image: Path
    label: Path
    split: Split


def list_pairs(folder: Path, split: Split) -> tuple[list[Pair], list[Fault]]:
    """The cases of one split, and what does not belong there."""
    images, labels = (folder / name for name in FOLDERS[split])
    missing = [path for path in (images, labels) if not path.is_dir()]
    if missing:
        if split is Split.TEST:
            return [], []
        message = f"{missing[0]}: is missing; MemBrain-seg needs all of imagesTr, labelsTr,"
        return [], [Fault(Rule.LAYOUT, f"{message} imagesVal and labelsVal.")]
    pairs, faults = [], []
    for label in sorted(labels.iterdir()):
        fault = _not_a_label(label, images)
        if fault is not None:
            faults.append(Fault(Rule.LAYOUT, fault))
            continue
        case = label.name.removesuffix(LABEL_ENDING)
        pairs.append(Pair(case, images / (case + IMAGE_ENDING), label, split))
    faults += _images_alone(images, {pair.image.name for pair in pairs})
    return pairs, faults


def check_pair(pair: Pair, sizes: dict[str, float] | None = None) -> list[Fault]:
    """Check one case voxel by voxel; its spacing is put into ``sizes``."""
    try:
        with open_volume(pair.image) as image, open_volume(pair.label) as label:
            faults = shape_faults(pair.case, image.shape, label.shape)
            faults += _spacing_faults(pair.case, image, label, {} if sizes is None else sizes)
            faults += _intensity_faults(pair.case, image)
            counts = count_values(check_label(label.read(whole(label.shape))))
    except LabelError as error:
        return [Fault(Rule.VALUES, f"{pair.case}: its label {error}")]
    except VolumeError as error:
        return [Fault(Rule.FILE, f"{pair.case}: {error}")]
    return faults + labelled_faults(pair.case, counts)


def _not_a_label(path: Path, images: Path) -> str | None:
    case = path.name.removesuffix(LABEL_ENDING)
    if path.is_symlink() or not path.is_file():
        return f"{path}: not a regular file; this folder holds labels only."
    if case == path.name or path.name.startswith(".") or not case:
        return f"{path}: not a label; MemBrain-seg crashes on anything but .nii.gz here."
    if not (images / (case + IMAGE_ENDING)).is_file():
        hint = " (there is one without _0000)" if (images / path.name).exists() else ""
        return f"{path}: has no image {images.name}/{case}{IMAGE_ENDING}{hint}."
    return None


def _images_alone(images: Path, wanted: set[str]) -> list[Fault]:
    return [
        Fault(Rule.LAYOUT, f"{path}: has no label, so it would not be trained on.")
        for path in sorted(images.iterdir())
        if path.name.endswith(IMAGE_ENDING) and path.name not in wanted
    ]


def _spacing_faults(
    case: str, image: Volume, label: Volume, sizes: dict[str, float]
) -> list[Fault]:
    spacing = [v.grid.spacing_xyz if v.grid else (1.0, 1.0, 1.0) for v in (image, label)]
    sizes[case] = float(np.mean(spacing[0]))
    if np.allclose(spacing[0], spacing[1], rtol=1e-4):
        return []
    shown = [",".join(f"{side:g}" for side in sides) for sides in spacing]
    message = f"{case}: its image has spacing {shown[0]}, its label {shown[1]}; nnU-Net refuses it."
    return [Fault(Rule.SPACING, message)]


def _intensity_faults(case: str, image: Volume) -> list[Fault]:
    voxels = image.read(whole(image.shape)).astype(np.float32)
    mean = float(voxels.mean(dtype=np.float64))
    if not np.isfinite(mean):
        message = f"{case}: its image holds NaN or infinite voxels, which SimpleITK reads as 0."
        return [Fault(Rule.INTENSITY, message)]
    std = spread(voxels - np.float32(mean))
    if std == 0:
        return [Fault(Rule.INTENSITY, f"{case}: its image has the same value in every voxel.")]
    if abs(mean) > 0.5 or not 0.25 < std < 4:
        message = f"{case}: its image has mean {mean:.3g} and standard deviation {std:.3g};"
        end = "MemBrain-seg expects each patch normalised to 0 and 1."
        return [Fault(Rule.INTENSITY, f"{message} {end}")]
    return []


@dataclass(frozen=True)
class Reference:
    """The validation patches of another set."""

    folder: Path
    pairs: tuple[Pair, ...]
    faults: tuple[Fault, ...]

    @property
    def entries(self) -> list[Entry]:
        """Return their manifest entries."""
        images, labels = FOLDERS[Split.VAL]
        return [
            (p.case, f"{images}/{image_file(p.case)}", f"{labels}/{label_file(p.case)}", Split.VAL)
            for p in self.pairs
        ]

    @property
    def facts(self) -> dict[str, Any]:
        """Return the case's facts for a manifest."""
        return {"cases": [pair.case for pair in self.pairs]}

    def clashes(self, cases: Sequence[PlannedCase]) -> list[Fault]:
        """Names taken twice, and tomograms that would train here and validate there."""
        names = {pair.case.casefold() for pair in self.pairs}
        tomograms = {pair.case.rpartition("_patch")[0].casefold() for pair in self.pairs}
        faults = []
        for case in cases:
            if case.case.casefold() in names:
                message = f"{case.case}: is also a validation patch of {self.folder}; leave it out."
                faults.append(Fault(Rule.NAME, message))
            elif case.case.rpartition("_patch")[0].casefold() in tomograms:
                message = (
                    f"{case.case}: its tomogram validates in {self.folder}, so it may not train."
                )
                faults.append(Fault(Rule.LEAKAGE, message))
        return faults


def read_reference(folder: Path) -> Reference:
    """List and check another set's validation patches (its training patches if it has none).

    Errors: ExportError where the folder is no training set.
    """
    pairs: list[Pair] = []
    faults: list[Fault] = []
    for split in (Split.VAL, Split.TRAIN):
        if not pairs and all((folder / name).is_dir() for name in FOLDERS[split]):
            pairs, faults = list_pairs(folder, split)
    if not pairs:
        raise ExportError(
            f"{folder}: holds no validation patches; name a training set or an unpacked bundle "
            "with imagesVal and labelsVal."
        )
    faults += [fault for pair in pairs for fault in check_pair(pair)]
    return Reference(folder, tuple(pairs), tuple(faults))


def copy_reference(
    reference: Reference,
    cases: Sequence[WrittenCase],
    voxel_size: float | None,
    recipe: Recipe,
    folder: Path,
) -> None:
    """Copy the patches into an export's validation folders; any spacing where ours differ.

    Errors: ExportError for another voxel size, or a patch that trains here under another name.
    """
    spacing = 1.0 if recipe.unit_spacing else voxel_size
    trained = {case.image_hash: case.planned.case for case in cases}
    for pair in reference.pairs:
        with open_volume(pair.image) as volume:
            stated = volume.grid.spacing_xyz[0] if volume.grid else 1.0
            same = trained.get(content_hash(volume.read(whole(volume.shape))))
        if spacing is not None and not is_same_size(stated, spacing):
            raise ExportError(
                f"{pair.case}: of {reference.folder} has spacing {stated:g}, this export "
                f"{spacing:g}; export with the same voxel size and spacing unit."
            )
        if same is not None:
            raise ExportError(
                f"{pair.case}: of {reference.folder} is the same image as {same}, which would "
                "train and validate; leave that one out."
            )
        shutil.copyfile(pair.image, folder / FOLDERS[Split.VAL][0] / image_file(pair.case))
        shutil.copyfile(pair.label, folder / FOLDERS[Split.VAL][1] / label_file(pair.case))
