"""Everything that would make a consumer fail on a training-set folder, as its own code does."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.exports.case import FOLDERS
from core.exports.check_folder import Pair, check_pair, list_pairs
from core.exports.manifest import DATASET, LABEL_VALUES, SPLITS
from core.exports.naming import LABEL_ENDING
from core.exports.validate import (
    Fault,
    Rule,
    size_groups,
)
from db.vocabulary import Split


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


NEEDED = (Split.TRAIN, Split.VAL)
