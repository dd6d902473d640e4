"""The lists that make a folder of volumes a data set: for nnU-Net, for MONAI, and for us.

``dataset.json`` serves nnU-Net v2 and MONAI at once, since nnU-Net leaves unknown keys alone.
JSON is written in one canonical form, so that the same facts give the same bytes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.exports.case import WrittenCase
from core.imaging.hashes import file_hash
from db.vocabulary import Split

SET_SCHEMA = "tomocurate-training-set/1"
DATASET, SPLITS, MANIFEST, SUMS = "dataset.json", "splits_final.json", "manifest.json", "SHA256SUMS"

LABEL_VALUES = {"background": 0, "membrane": 1, "ignore": 2}
"""nnU-Net wants the ignore label named so, and the highest."""

GENERATOR = {"name": "tomocurate", "format": 1}
_MONAI = {Split.TRAIN: "training", Split.VAL: "validation", Split.TEST: "test"}

Entry = tuple[str, str, str, Split]
"""Case, image and label (paths in the export), split."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, indented by one, ended by a newline."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def entries_of(cases: Iterable[WrittenCase]) -> list[Entry]:
    """Return the manifest entries of our own cases."""
    return [(c.planned.case, c.planned.image, c.planned.label, c.planned.split) for c in cases]


def dataset_json(entries: Sequence[Entry], name: str) -> dict[str, Any]:
    """nnU-Net's and MONAI's list. Test cases are for MONAI's ``test`` alone."""
    trained = [entry for entry in entries if entry[3] is not Split.TEST]
    lists = {
        word: [{"image": i, "label": lab} for _, i, lab, s in entries if s is split]
        for split, word in _MONAI.items()
    }
    return {
        "name": name,
        "channel_names": {"0": "cryoET"},
        "labels": LABEL_VALUES,
        "numTraining": len(trained),
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
        "dataset": {case: {"images": [image], "label": label} for case, image, label, _ in trained},
        **lists,
    }


def manifest_json(
    cases: Sequence[WrittenCase], files: Mapping[str, str], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the manifest of all cases for the own lab, with real names."""
    return {
        "schema_version": SET_SCHEMA,
        "generator": GENERATOR,
        **facts,
        "cases": [_case(case) for case in cases],
        "files": dict(sorted(files.items())),
    }


def listed_files(folder: Path) -> frozenset[str]:
    """List the files that an earlier export says it wrote, as relative POSIX paths.

    A training set says so in its manifest, a bundle in SHA256SUMS; neither lists itself.
    """
    facts = _load(folder / MANIFEST)
    files = facts.get("files") if isinstance(facts, dict) else None
    named = set(files) if isinstance(files, dict) else set()
    if (folder / SUMS).is_file():
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
        named |= {line.partition("  ")[2] for line in lines}
    return frozenset(named | {MANIFEST, SUMS})


def read_splits(folder: Path) -> Any:
    """Read an export's ``splits_final.json``; None where there is none that can be read."""
    return _load(folder / SPLITS)


def hash_files(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, by its relative POSIX path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in paths}


def sums_text(files: Mapping[str, str]) -> str:
    """SHA256SUMS, as ``sha256sum -c`` reads it."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()))


def _case(case: WrittenCase) -> dict[str, Any]:
    planned, patch = case.planned, case.planned.patch
    return {
        "case": planned.case,
        "split": planned.split.value,
        "patch": patch.name,
        "dataset": patch.dataset,
        "tomogram": patch.tomogram,
        "unit": planned.unit,
        "image": planned.image,
        "label": planned.label,
        "shape_zyx": list(case.shape),
        "box_start_zyx": list(patch.box.start),
        "voxel_size_angstrom": patch.voxel_size,
        "intensity_mean": case.mean,
        "intensity_std": case.std,
        "image_content_sha256": case.image_hash,
        "label_content_sha256": case.label_hash,
        "review_status": str(patch.status),
        "model": patch.model,
    }


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError):
        return None
