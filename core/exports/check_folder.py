"""A training-set folder that lies on a disk, ours or another group's: list it and check it.

The layout is MemBrain-seg's: ``imagesTr labelsTr imagesVal labelsVal``, an image named
``<case>_0000.nii.gz`` for every label ``<case>.nii.gz``, and nothing else among the labels.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import LabelError, VolumeError
from core.exports.case import FOLDERS
from core.exports.intensity import spread
from core.exports.manifest import DATASET, LABEL_VALUES, SPLITS
from core.exports.naming import IMAGE_ENDING, LABEL_ENDING
from core.exports.validate import (
    Fault,
    Rule,
    labelled_faults,
    shape_faults,
    size_groups,
)
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.geometry import whole
from core.imaging.labels import check_label, count_values
from db.vocabulary import Split

NEEDED = (Split.TRAIN, Split.VAL)
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
        said = f"{missing[0]}: is missing; MemBrain-seg needs all of imagesTr, labelsTr,"
        return [], [Fault(Rule.LAYOUT, f"{said} imagesVal and labelsVal.")]
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


def check_layout(folder: Path) -> list[Fault]:
    """Everything that would make a consumer fail on a folder, or go wrong in silence.

    Reads every voxel; memory is one case's.
    """
    faults: list[Fault] = []
    pairs: list[Pair] = []
    for split in Split:
        found, wrong = list_pairs(folder, split)
        pairs += found
        faults += wrong
    faults += _empty_faults(folder, pairs) + _name_faults(pairs)
    sizes: dict[str, float] = {}
    for pair in pairs:
        faults += check_pair(pair, sizes)
    groups = size_groups(sizes)
    if len(groups) > 1:
        listed = "; ".join(f"{size:g}: {len(names)} cases" for size, names in groups)
        said = f"{folder}: spacings are mixed ({listed}); nnU-Net would resample in silence."
        faults.append(Fault(Rule.VOXEL_SIZE, said))
    return [*faults, *_list_faults(folder, pairs)]


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
        return f"{path}: is a link or no file; only labels may lie here."
    if case == path.name or path.name.startswith(".") or not case:
        return f"{path}: is no label; MemBrain-seg crashes on anything but .nii.gz here."
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


def _empty_faults(folder: Path, pairs: Sequence[Pair]) -> list[Fault]:
    held = {pair.split for pair in pairs}
    return [
        Fault(
            Rule.SPLIT,
            f"{folder / FOLDERS[split][1]}: is empty; without "
            f"{'training' if split is Split.TRAIN else 'validation'} patches MemBrain-seg saves "
            "no useful checkpoint.",
        )
        for split in NEEDED
        if split not in held and (folder / FOLDERS[split][1]).is_dir()
    ]


def _name_faults(pairs: Sequence[Pair]) -> list[Fault]:
    seen: dict[str, Pair] = {}
    faults = []
    for pair in pairs:
        other = seen.setdefault(pair.case.casefold(), pair)
        if other is not pair:
            said = f"{pair.case}: is also in {other.label.parent.name} as {other.case};"
            faults.append(Fault(Rule.NAME, f"{said} a case has one name and one place."))
    return faults


def _spacing_faults(
    case: str, image: Volume, label: Volume, sizes: dict[str, float]
) -> list[Fault]:
    spacing = [v.grid.spacing_xyz if v.grid else (1.0, 1.0, 1.0) for v in (image, label)]
    sizes[case] = float(np.mean(spacing[0]))
    if np.allclose(spacing[0], spacing[1], rtol=1e-4):
        return []
    shown = [",".join(f"{side:g}" for side in sides) for sides in spacing]
    said = f"{case}: its image has spacing {shown[0]}, its label {shown[1]}; nnU-Net refuses it."
    return [Fault(Rule.SPACING, said)]


def _intensity_faults(case: str, image: Volume) -> list[Fault]:
    voxels = image.read(whole(image.shape)).astype(np.float32)
    mean = float(voxels.mean(dtype=np.float64))
    if not np.isfinite(mean):
        said = f"{case}: its image holds NaN or infinite voxels, which SimpleITK reads as 0."
        return [Fault(Rule.INTENSITY, said)]
    std = spread(voxels - np.float32(mean))
    if std == 0:
        return [Fault(Rule.INTENSITY, f"{case}: its image has the same value in every voxel.")]
    if abs(mean) > 0.5 or not 0.25 < std < 4:
        said = f"{case}: its image has mean {mean:.3g} and standard deviation {std:.3g};"
        end = "MemBrain-seg expects each patch normalised to 0 and 1."
        return [Fault(Rule.INTENSITY, f"{said} {end}")]
    return []


def _list_faults(folder: Path, pairs: Sequence[Pair]) -> list[Fault]:
    """``dataset.json`` and ``splits_final.json``, where they are there, tell the truth."""
    said: list[str] = []
    if (folder / DATASET).exists():
        said += _dataset_faults(_load(folder / DATASET), pairs)
    if (folder / SPLITS).exists():
        said += _fold_faults(_load(folder / SPLITS), pairs)
    return [Fault(Rule.LAYOUT, f"{folder}: {sentence}") for sentence in said]


def _dataset_faults(facts: Any, pairs: Sequence[Pair]) -> Iterator[str]:
    if not isinstance(facts, dict):
        yield f"{DATASET} is no object of JSON."
        return
    trained = {pair.case for pair in pairs if pair.split is not Split.TEST}
    listed = facts.get("dataset")
    if facts.get("labels") != LABEL_VALUES:
        yield f"{DATASET} names the labels {facts.get('labels')!r}; nnU-Net needs {LABEL_VALUES}."
    if isinstance(listed, dict) and set(listed) != trained:
        other = sorted(set(listed) ^ trained)
        yield f"{DATASET} and the folders disagree on {', '.join(other[:3])}."
    if facts.get("numTraining") != len(trained):
        yield f"{DATASET} counts {facts.get('numTraining')!r} cases, there are {len(trained)}."
    if facts.get("file_ending") != LABEL_ENDING or not facts.get("channel_names"):
        yield f"{DATASET} lacks file_ending .nii.gz or channel_names."


def _fold_faults(folds: Any, pairs: Sequence[Pair]) -> Iterator[str]:
    trained = {pair.case for pair in pairs if pair.split is not Split.TEST}
    if not isinstance(folds, list) or not all(isinstance(fold, dict) for fold in folds):
        yield f"{SPLITS} is no list of folds."
        return
    for number, fold in enumerate(folds):
        train, val = (set(map(str, fold.get(word, []))) for word in ("train", "val"))
        if train & val:
            yield f"{SPLITS} fold {number} trains and validates on {min(train & val)}."
        if (train | val) != trained:
            yield f"{SPLITS} fold {number} does not deal {min((train | val) ^ trained)}."


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        return None
