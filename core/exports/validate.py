"""Refuse patches on which a consumer would fail or train wrongly.

Each rule comes from a run of MemBrain-seg's, nnU-Net's or MONAI's own code. Some of them crash
on it (a stray file among the labels); most accept it and go wrong (an all-ignore patch makes the
loss NaN, a label of 3 becomes a regression target, an empty validation set saves no checkpoint).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from core.errors import LabelError, VolumeError
from core.exports.patch import ACCEPTED, CuratedPatch
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Zyx, whole
from core.imaging.labels import Label, LabelCounts, check_label, count_values
from db.vocabulary import Split

LEAST_LABELLED = 0.01
"""Share of a patch's voxels that must say background or membrane."""

SAME_SIZE = 0.01
"""Voxel sizes that differ by up to this share are one."""


class Rule(StrEnum):
    """Rule that a fault violates."""

    REVIEW = "review"
    FILE = "file"
    SHAPE = "shape"
    VALUES = "label values"
    LABELLED = "labelled voxels"
    INTENSITY = "intensity"
    VOXEL_SIZE = "voxel size"
    SPACING = "spacing"
    NAME = "name"
    SPLIT = "split"
    LEAKAGE = "leakage"
    BALANCE = "balance"
    LAYOUT = "layout"
    PERMISSION = "permission"
    PRIVACY = "privacy"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: one sentence."""

    rule: Rule
    message: str


@dataclass(frozen=True)
class Inspected:
    """Facts of a patch's files, without the image's voxels."""

    name: str
    shape: Zyx | None = None
    counts: LabelCounts | None = None
    faults: tuple[Fault, ...] = field(default=())


def inspect_patch(patch: CuratedPatch, *, accepted_only: bool = True) -> Inspected:
    """Look into a patch's files: the label, and the image's header.

    Where the catalog has the label's counts, nothing is read: ``write_case`` checks every voxel.
    """
    faults = list(_record_faults(patch, accepted_only))
    try:
        shape, counts, wrong = _read_recorded(patch) if patch.counts else _read(patch)
    except LabelError as error:
        fault = Fault(Rule.VALUES, f"{patch.name}: its label {error}")
        return Inspected(patch.name, faults=(*faults, fault))
    except VolumeError as error:
        fault = Fault(Rule.FILE, f"{patch.name}: {error}")
        return Inspected(patch.name, faults=(*faults, fault))
    faults += [*wrong, *labelled_faults(patch.name, counts)]
    if patch.box.shape != shape:
        message = (
            f"{patch.name}: its record says {patch.box.shape.shown('×')} voxels (x, y, z), but its"
        )
        faults.append(
            Fault(Rule.SHAPE, f"{message} image has {shape.shown('×')}; extract it again.")
        )
    return Inspected(patch.name, shape, counts, tuple(faults))


def _read_recorded(patch: CuratedPatch) -> tuple[Zyx, LabelCounts, list[Fault]]:
    missing = [path for path in (patch.image_path, patch.label_path) if not path.is_file()]
    if missing:
        raise VolumeError(f"{missing[0]}: is missing; restore it from a backup.")
    shape = patch.box.shape
    return shape, patch.counts or LabelCounts(0, 0, 0), shape_faults(patch.name, shape, shape)


def _read(patch: CuratedPatch) -> tuple[Zyx, LabelCounts, list[Fault]]:
    with open_volume(patch.image_path) as image, open_volume(patch.label_path) as label:
        counts = count_values(check_label(label.read(whole(label.shape))))
        return image.shape, counts, shape_faults(patch.name, image.shape, label.shape)


def shape_faults(name: str, image: Zyx, label: Zyx) -> list[Fault]:
    """Image and label of one shape, and cubic: MemBrain-seg asserts it."""
    faults = []
    if image != label:
        shapes = f"image has {image.shown('×')} voxels (x, y, z), its label {label.shown('×')}"
        faults.append(Fault(Rule.SHAPE, f"{name}: its {shapes}; they must be of one shape."))
    if len(set(image)) != 1:
        message = f"{name}: has {image.shown('×')} voxels (x, y, z);"
        faults.append(Fault(Rule.SHAPE, f"{message} MemBrain-seg trains on cubes alone."))
    return faults


def labelled_faults(name: str, counts: LabelCounts) -> list[Fault]:
    """At least one voxel in a hundred is labelled: an all-ignore patch makes the loss NaN."""
    labelled = counts.background + counts.membrane
    total = labelled + counts.ignore
    if labelled >= LEAST_LABELLED * total:
        return []
    share = "every voxel is" if not labelled else f"all but {labelled} of {total} voxels are"
    return [
        Fault(
            Rule.LABELLED,
            f"{name}: {share} ignore, so there is nothing to learn and the loss becomes NaN; "
            "label it or leave it out.",
        )
    ]


def voxel_size_faults(
    sizes: Mapping[str, float | None], *, mixed: bool = False
) -> tuple[float | None, list[Fault]]:
    """Find the one voxel size of all patches (keyed by name), or what is wrong.

    With ``mixed`` several sizes are no fault, and None is their common size.
    """
    unknown = sorted(name for name, size in sizes.items() if size is None)
    faults = []
    if unknown:
        message = (
            f"{_some(unknown)}: the voxel size is unknown; state it (tomocurate voxel-size), or "
        )
        faults.append(Fault(Rule.VOXEL_SIZE, f"{message}export with --voxel-size ANGSTROM."))
    groups = size_groups({name: size for name, size in sizes.items() if size is not None})
    if len(groups) > 1 and not mixed:
        message = (
            f"voxel sizes are mixed ({listed_sizes(groups)}); choose one with --voxel-size, or"
        )
        faults.append(Fault(Rule.VOXEL_SIZE, f"{message} take all with --mixed-voxel-sizes."))
    return (groups[0][0] if len(groups) == 1 and not unknown else None), faults


def listed_sizes(groups: Sequence[tuple[float, Sequence[str]]]) -> str:
    """List voxel sizes and the patches that have them, for a sentence."""
    return "; ".join(f"{size:g} Å: {_some(names)}" for size, names in groups)


def is_same_size(size: float | None, other: float) -> bool:
    """Compare two voxel sizes: ±1 % is one."""
    return size is not None and abs(size - other) <= SAME_SIZE * other


def size_groups(sizes: Mapping[str, float]) -> list[tuple[float, list[str]]]:
    """Patches by voxel size (median, angstrom), where ±1 % is one size."""
    groups: list[list[tuple[float, str]]] = []
    for size, name in sorted((size, name) for name, size in sizes.items()):
        if groups and size <= groups[-1][0][0] * (1 + SAME_SIZE):
            groups[-1].append((size, name))
        else:
            groups.append([(size, name)])
    return [
        (round(float(np.median([s for s, _ in group])), 3), [n for _, n in group])
        for group in groups
    ]


def balance_faults(counts: Iterable[tuple[Split, LabelCounts]]) -> list[Fault]:
    """Training and validation each show membrane."""
    membrane: dict[Split, int] = {}
    for split, count in counts:
        membrane[split] = membrane.get(split, 0) + count.membrane
    words = {Split.TRAIN: "training", Split.VAL: "validation", Split.TEST: "test"}
    return [
        Fault(
            Rule.BALANCE,
            f"{words[split]} holds no voxel of membrane; pin another tomogram to {split}.",
        )
        for split, voxels in membrane.items()
        if not voxels
    ]


def leakage_faults(units: Mapping[str, str], split: Mapping[str, Split]) -> list[Fault]:
    """No group lies in two splits (both keyed by patch)."""
    held: dict[str, set[Split]] = {}
    for name, unit in units.items():
        held.setdefault(unit, set()).add(split[name])
    return [
        Fault(
            Rule.LEAKAGE,
            f"{unit}: its patches lie in {' and '.join(sorted(splits))}, so the score would be "
            "measured on what was trained on; keep a tomogram in one split.",
        )
        for unit, splits in sorted(held.items())
        if len(splits) > 1
    ]


def read_label(path: Path) -> Label:
    """A whole training label, uint8 (z, y, x). Errors: VolumeError, LabelError."""
    with open_volume(path) as volume:
        return check_label(volume.read(whole(volume.shape)))


def _record_faults(patch: CuratedPatch, accepted_only: bool) -> Sequence[Fault]:
    if not accepted_only or patch.status == ACCEPTED:
        return []
    message = f"{patch.name}: is {patch.status}, not accepted; review it, or force it and say so."
    return [Fault(Rule.REVIEW, message)]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
