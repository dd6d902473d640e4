"""Validation patches taken over from another set, as they are.

When a network is fine-tuned, MemBrain-seg wants *old* data in ``imagesVal``: it guards against
forgetting. So the validation patches of an earlier set or bundle are copied, file by file.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ExportError
from core.exports.case import FOLDERS, PlannedCase, Recipe, WrittenCase
from core.exports.check_folder import Pair, check_pair, list_pairs
from core.exports.manifest import Entry
from core.exports.naming import image_file, label_file
from core.exports.validate import Fault, Rule, is_same_size
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole
from core.imaging.hashes import content_hash
from db.vocabulary import Split


@dataclass(frozen=True)
class Reference:
    """The validation patches of another set."""

    folder: Path
    pairs: tuple[Pair, ...]
    faults: tuple[Fault, ...]

    @property
    def entries(self) -> list[Entry]:
        """What the lists need of them."""
        images, labels = FOLDERS[Split.VAL]
        return [
            (p.case, f"{images}/{image_file(p.case)}", f"{labels}/{label_file(p.case)}", Split.VAL)
            for p in self.pairs
        ]

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"cases": [pair.case for pair in self.pairs]}

    def clashes(self, cases: Sequence[PlannedCase]) -> list[Fault]:
        """Names taken twice, and tomograms that would train here and validate there."""
        names = {pair.case.casefold() for pair in self.pairs}
        tomograms = {pair.case.rpartition("_patch")[0].casefold() for pair in self.pairs}
        faults = []
        for case in cases:
            if case.case.casefold() in names:
                said = f"{case.case}: is also a validation patch of {self.folder}; leave it out."
                faults.append(Fault(Rule.NAME, said))
            elif case.case.rpartition("_patch")[0].casefold() in tomograms:
                said = f"{case.case}: its tomogram validates in {self.folder}, so it may not train."
                faults.append(Fault(Rule.LEAKAGE, said))
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
