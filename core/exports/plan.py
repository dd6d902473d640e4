"""Plan a folder that MemBrain-seg, nnU-Net v2 and MONAI train on as it is.

Everything is decided that can be decided without the images' voxels, and what is wrong is listed;
a page shows the plan. ``write`` checks every voxel while it writes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from core.errors import ExportError
from core.exports.case import PlannedCase, Recipe
from core.exports.check_folder import Reference, read_reference
from core.exports.naming import Naming, RealNames, name_cases
from core.exports.patch import CuratedPatch
from core.exports.split import SplitItem, SplitRule, deal, folds
from core.exports.validate import (
    Fault,
    Inspected,
    Rule,
    balance_faults,
    inspect_patch,
    is_same_size,
    leakage_faults,
    listed_sizes,
    size_groups,
    voxel_size_faults,
)
from core.imaging.labels import LabelCounts
from db.vocabulary import Split

THREADS = 2
"""Cases at once: both cores of a small server, and 150 MB of memory."""

BYTES_A_VOXEL = {False: 3.75, True: 1.85}
"""Compressed, by whether the image is rounded; measured on noise (0.03 for the label)."""

MIXED = "MemBrain-seg trains on them as they are, nnU-Net resamples them to one size"


@dataclass(frozen=True)
class SetOptions:
    """Options of an export."""

    rule: SplitRule = field(default_factory=SplitRule)
    recipe: Recipe = field(default_factory=Recipe)
    val_from: Path | None = None
    """A training set or unpacked bundle whose validation patches are taken over."""
    voxel_size: float | None = None
    """Angstrom: only patches of this size; a size that nobody stated is taken to be this."""
    mixed_voxel_sizes: bool = False
    """Several voxel sizes in one set: MemBrain-seg's loader looks at no spacing."""
    accepted_only: bool = True
    naming: Naming = field(default_factory=RealNames)


@dataclass(frozen=True)
class TrainingSetPlan:
    """Plan of a training set, before anything is written."""

    options: SetOptions
    cases: tuple[PlannedCase, ...]
    voxel_size: float | None
    """Angstrom, of all cases; None where they differ."""
    counts: Mapping[str, LabelCounts]
    """Of each patch's label, by its real name."""
    folds: tuple[Mapping[str, Sequence[str]], ...]
    reference: Reference | None
    leaky: bool
    notes: tuple[str, ...]
    """What a person should know now."""
    recorded_notes: tuple[str, ...]
    """Those that follow from the set itself, and stand in its manifest."""
    faults: tuple[Fault, ...]

    @property
    def patches_by_split(self) -> dict[Split, int]:
        """Return the number of cases by split, including reference cases."""
        held = Counter(case.split for case in self.cases)
        held[Split.VAL] += len(self.reference.pairs) if self.reference else 0
        return dict(held)

    @property
    def bytes_estimate(self) -> int:
        """Size on disk, about."""
        rate = BYTES_A_VOXEL[self.options.recipe.quantise] + 0.03
        return round(sum(rate * _voxels(case, self.options.recipe) for case in self.cases))

    def balance(self, split: Split) -> LabelCounts:
        """Voxels of each value over a split's own labels."""
        counts = [
            self.counts[c.patch.name]
            for c in self.cases
            if c.split is split and c.patch.name in self.counts
        ]
        return LabelCounts(
            sum(c.background for c in counts),
            sum(c.membrane for c in counts),
            sum(c.ignore for c in counts),
        )

    def check(self) -> None:
        """Errors: ExportError where the plan has faults; it holds them all."""
        refuse(fault.message for fault in self.faults)


def plan_training_set(
    patches: Sequence[CuratedPatch],
    options: SetOptions | None = None,
    linked: Iterable[tuple[str, str]] = (),
) -> TrainingSetPlan:
    """Plan an export. ``linked`` are pairs of patch names known to overlap across tomograms.

    Labels are read (for counts), images only as far as their headers. Nothing is raised for bad
    patches: the plan's ``faults`` tell, and ``write_training_set`` refuses them.
    """
    options = options or SetOptions()
    patches = sorted(patches, key=lambda patch: patch.name)
    patches, notes = _of_voxel_size(patches, options.voxel_size)
    faults, reference = [*_twice(patches), *_nothing(patches)], None
    if options.val_from is not None:
        reference = read_reference(options.val_from)
        faults += reference.faults
    with ThreadPoolExecutor(THREADS) as pool:
        looked = list(
            pool.map(lambda p: inspect_patch(p, accepted_only=options.accepted_only), patches)
        )
    faults += [fault for item in looked for fault in item.faults]
    sizes = {patch.name: patch.voxel_size for patch in patches}
    size, wrong = voxel_size_faults(sizes, mixed=options.mixed_voxel_sizes)
    faults += wrong
    if options.mixed_voxel_sizes and size is None and not wrong:
        known = {name: item for name, item in sizes.items() if item is not None}
        notes.append(f"several voxel sizes ({listed_sizes(size_groups(known))}): {MIXED}")
    return _dealt(patches, options, linked, _Looked(looked, size, reference, faults, notes))


def refuse(faults: Iterable[str]) -> None:
    """Raise one ExportError for all faults, if there are any."""
    messages = tuple(faults)
    if messages:
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        raise ExportError(messages[0] + more, messages)


@dataclass(frozen=True)
class _Looked:
    """Patches inspected before the split."""

    inspected: Sequence[Inspected]
    voxel_size: float | None
    reference: Reference | None
    faults: list[Fault]
    notes: list[str]


def _dealt(
    patches: Sequence[CuratedPatch],
    options: SetOptions,
    linked: Iterable[tuple[str, str]],
    looked: _Looked,
) -> TrainingSetPlan:
    dealt = deal([_item(patch) for patch in patches], options.rule, linked)
    names, clashes = name_cases(patches, dealt.split, options.naming)
    cases = tuple(
        PlannedCase(
            patch=p,
            case=names[p.name].case,
            group=names[p.name].group,
            unit=dealt.unit[p.name],
            split=dealt.split[p.name],
        )
        for p in patches
        if p.name in names
    )
    counts = {item.name: item.counts for item in looked.inspected if item.counts is not None}
    faults = looked.faults + [Fault(Rule.NAME, message) for message in clashes]
    faults += [Fault(Rule.SPLIT, message) for message in dealt.faults if patches]
    if not dealt.leaky:
        faults += leakage_faults(dealt.unit, dealt.split)
    faults += balance_faults((dealt.split[name], count) for name, count in counts.items())
    if looked.reference is not None:
        faults += looked.reference.clashes(cases)
    return TrainingSetPlan(
        options=options,
        cases=cases,
        voxel_size=looked.voxel_size,
        counts=counts,
        folds=tuple(_folds(cases, looked.reference)),
        reference=looked.reference,
        leaky=dealt.leaky,
        notes=(*looked.notes, *dealt.notes, *_state_notes(patches)),
        recorded_notes=tuple(looked.notes),
        faults=tuple(faults),
    )


def _item(patch: CuratedPatch) -> SplitItem:
    groups = (patch.source_group, f"{patch.dataset}/{patch.tomogram}")
    return SplitItem(patch.name, groups, patch.pinned, patch.group_pins, patch.recorded)


def _folds(cases: Sequence[PlannedCase], reference: Reference | None) -> list[dict[str, list[str]]]:
    units = {case.case: case.unit for case in cases}
    split = {case.case: case.split for case in cases}
    for pair in reference.pairs if reference else ():
        units[pair.case], split[pair.case] = "reference", Split.VAL
    if reference is not None:
        return folds(units, split)[:1]
    return folds(units, split)


def _of_voxel_size(
    patches: Sequence[CuratedPatch], size: float | None
) -> tuple[list[CuratedPatch], list[str]]:
    """Take the patches of one voxel size (angstrom); an unknown one is taken to be it."""
    if size is None:
        return list(patches), []
    unknown = [patch.name for patch in patches if patch.voxel_size is None]
    stated = [patch if patch.voxel_size else replace(patch, voxel_size=size) for patch in patches]
    taken = [patch for patch in stated if is_same_size(patch.voxel_size, size)]
    notes = [f"{name}: its voxel size was unknown and taken to be {size:g} Å" for name in unknown]
    if len(taken) < len(patches):
        left = len(patches) - len(taken)
        notes.append(f"{left} of {len(patches)} patches left out: not of {size:g} Å")
    return taken, notes


def _state_notes(patches: Sequence[CuratedPatch]) -> list[str]:
    """Name patches and tomograms whose state somebody should know before the set is used."""
    today = datetime.now(UTC).date()
    notes = [
        f"{patch.name}: has corrections that its accepted label does not hold; merge and review "
        "it again, or leave it out"
        for patch in patches
        if patch.newer_corrections
    ]
    embargoes = {
        f"{patch.dataset}/{patch.tomogram}": patch.permission.embargo_until
        for patch in patches
        if patch.permission is not None and patch.permission.embargo_until is not None
    }
    return notes + [
        f"{name}: under embargo until {day}; the set holds its name and positions, so keep it in "
        "the lab"
        for name, day in sorted(embargoes.items())
        if today < day
    ]


def _twice(patches: Sequence[CuratedPatch]) -> list[Fault]:
    again = sorted(name for name, n in Counter(p.name for p in patches).items() if n > 1)
    return [Fault(Rule.NAME, f"{name}: is listed twice.") for name in again]


def _nothing(patches: Sequence[CuratedPatch]) -> list[Fault]:
    message = "no patch matches the selection; accept patches first, or select others."
    return [] if patches else [Fault(Rule.REVIEW, message)]


def _voxels(case: PlannedCase, recipe: Recipe) -> int:
    shape = case.patch.box.shape
    border = 32 if recipe.core_only and not case.patch.core_only else 0
    return (shape.z - border) * (shape.y - border) * (shape.x - border)
