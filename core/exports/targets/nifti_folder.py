"""Hugging Face's ``niftifolder``: ``load_dataset("FOLDER")`` finds splits, images and labels.

Each split is a folder with its own ``metadata.jsonl``: one at the root would put all rows into
every split, and paths may not leave the split's folder.
"""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from core.exports.check_folder import Pair
from db.vocabulary import Split

SPLITS = {Split.TRAIN: "train", Split.VAL: "validation", Split.TEST: "test"}
METADATA = "metadata.jsonl"
COLUMNS = ("source_group", "voxel_size_angstrom", "licence", "attribution", "review_status")
"""Columns of a bundle's patches.csv that go along."""

CARD = """\
---
task_categories: ["image-segmentation"]
tags: ["cryo-electron tomography", "cryo-ET", "membrane", "segmentation"]
---
# Membrane patches

`load_dataset("THIS_FOLDER")` gives images and labels: 0 background, 1 membrane, 2 ignore.
"""


class NiftiFolder:
    """Images and labels as they are, and a list of them a split."""

    name = "niftifolder"
    marker = "README.md"

    def write(self, pairs: Sequence[Pair], source: Path, folder: Path) -> None:
        """Copy the volumes; a bundle's card and licence go along."""
        facts = _facts_by_case(source)
        for split, name in SPLITS.items():
            held = sorted((pair for pair in pairs if pair.split is split), key=lambda p: p.case)
            if held:
                _write_split(held, facts, folder / name)
        for page in ("README.md", "LICENSE"):
            if (source / page).is_file():
                shutil.copyfile(source / page, folder / page)
        if not (folder / self.marker).exists():
            (folder / self.marker).write_bytes(CARD.encode())

    def written(self, folder: Path) -> frozenset[str]:
        """List the pages, and what each split's ``metadata.jsonl`` names."""
        named = {self.marker, "LICENSE"}
        for split in SPLITS.values():
            listed = folder / split / METADATA
            lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
            rows = [json.loads(line) for line in lines]
            files = [row[f"{kind}_file_name"] for row in rows for kind in ("image", "label")]
            named |= {f"{split}/{name}" for name in (METADATA, *files)}
        return frozenset(named)


def _write_split(pairs: Sequence[Pair], facts: dict[str, dict[str, str]], folder: Path) -> None:
    folder.mkdir()
    lines = []
    for pair in pairs:
        shutil.copyfile(pair.image, folder / pair.image.name)
        shutil.copyfile(pair.label, folder / pair.label.name)
        files = {"image_file_name": pair.image.name, "label_file_name": pair.label.name}
        lines.append(json.dumps({**files, "patch_id": pair.case, **facts.get(pair.case, {})}))
    (folder / METADATA).write_bytes(("\n".join(lines) + "\n").encode())


def _facts_by_case(source: Path) -> dict[str, dict[str, str]]:
    """Return a bundle's facts by case; empty for a plain training set."""
    table = source / "patches.csv"
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        return {
            row["patch_id"]: {name: row[name] for name in COLUMNS} for row in csv.DictReader(file)
        }
