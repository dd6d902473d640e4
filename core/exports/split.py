"""Split patches into train, val and test by tomogram and a stable hash.

Two patches that share voxels must be in the same split; otherwise the validation score is inflated.
Test takes only what was pinned or recorded, never a share by hash. The
unit is the source group (a tomogram, or its session), joined with every group it overlaps. A
group goes where the hash of its name says: the same everywhere, and unmoved by groups that come
later. What was exported once stays where it was; a pin by a person goes before both.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.errors import ExportError
from db.vocabulary import Split

MOST_FOLDS = 5
"""What nnU-Net trains by default."""


@dataclass(frozen=True)
class SplitRule:
    """Rule of a split. ``salt`` is public; another salt gives another split."""

    val_fraction: float = 0.2
    salt: str = "tomocurate"
    allow_leaky_val: bool = False
    """With one group only: validate on patches of the tomogram that trains. Recorded."""
    val_from_elsewhere: bool = False
    """Validation comes from another set, so that none is needed here."""


@dataclass(frozen=True)
class SplitItem:
    """A patch as the split sees it."""

    name: str
    groups: tuple[str, ...]
    """Everything that it must stay together with: source group, tomogram."""
    pinned: Split | None = None
    group_pins: frozenset[Split] = frozenset()
    """Pins of its whole group; patches of it may be absent here."""
    recorded: Split | None = None

    @property
    def pins(self) -> set[Split | None]:
        return {self.pinned, *self.group_pins} - {None}


@dataclass(frozen=True)
class SplitResult:
    """Split and unit of each patch, and notes."""

    split: Mapping[str, Split]
    unit: Mapping[str, str]
    """The name of the joined group of each patch."""
    leaky: bool = False
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass
class _Unit:
    """Groups that must stay together, and what was said about them."""

    name: str
    items: list[SplitItem] = field(default_factory=list)
    split: Split | None = None
    free: bool = True


def share_of(name: str, salt: str) -> float:
    """A number in [0, 1) that depends on the group's name and the salt alone."""
    digest = hashlib.sha256(f"{salt}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def deal(
    items: Sequence[SplitItem], rule: SplitRule, linked: Iterable[tuple[str, str]] = ()
) -> SplitResult:
    """Deal patches into training, validation and test.

    ``linked`` are pairs of patch names that must stay together. Nothing is raised: what is wrong
    stands in ``faults``, so that a page can show it.
    """
    if not 0 < rule.val_fraction < 1:
        raise ExportError(f"a validation share of {rule.val_fraction:g} is not between 0 and 1.")
    units = _join_units(items, linked)
    notes: list[str] = []
    faults = [fault for unit in units for fault in _apply_pins_and_records(unit, notes)]
    for unit in units:
        if unit.split is None:
            unit.split = _by_hash(unit, rule)
    _fill_empty(units, rule, notes)
    split = {item.name: unit.split or Split.TRAIN for unit in units for item in unit.items}
    leaky = _leak_if_allowed(units, rule, split)
    faults += _emptiness(units, split, rule)
    names = {item.name: unit.name for unit in units for item in unit.items}
    return SplitResult(split, names, leaky, tuple(notes), tuple(faults))


def folds(units: Mapping[str, str], split: Mapping[str, Split]) -> list[dict[str, list[str]]]:
    """nnU-Net's ``splits_final.json``: fold 0 is the split; every unit validates in one fold.

    Both mappings are keyed by case; test cases are in no fold.
    """
    dealt = sorted(case for case in split if split[case] is not Split.TEST)
    first = [case for case in dealt if split[case] is Split.VAL]
    parts = [first] if first else []
    training = sorted({units[case] for case in dealt if split[case] is Split.TRAIN})
    count = min(MOST_FOLDS - 1, len(training)) if len(training) > 1 else 0
    for number in range(count):
        chosen = set(training[number::count])
        parts.append([c for c in dealt if split[c] is Split.TRAIN and units[c] in chosen])
    return [
        {"train": [case for case in dealt if case not in set(part)], "val": part} for part in parts
    ]


def _join_units(items: Sequence[SplitItem], linked: Iterable[tuple[str, str]]) -> list[_Unit]:
    """Union-find over groups; a unit is named after its groups' lowest name."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    def join(a: str, b: str) -> None:
        low, high = sorted((root(a), root(b)))
        parent[high] = low

    first_group = {item.name: item.groups[0] for item in items}
    for item in items:
        for group in item.groups:
            join(item.groups[0], group)
    for a, b in linked:
        if a in first_group and b in first_group:
            join(first_group[a], first_group[b])
    units: dict[str, _Unit] = {}
    for item in sorted(items, key=lambda item: item.name):
        name = root(item.groups[0])
        units.setdefault(name, _Unit(name)).items.append(item)
    return sorted(units.values(), key=lambda unit: unit.name)


def _apply_pins_and_records(unit: _Unit, notes: list[str]) -> Iterator[str]:
    """Send a unit where it is pinned, else where its patches went before; give the faults.

    Patches that went apart before it was known that they show the same all train: a model may
    have seen one of them, so none can measure it.
    """
    pins = {pin for item in unit.items for pin in item.pins if pin}
    records = {item.recorded for item in unit.items if item.recorded}
    if pins or records:
        unit.free = False
        unit.split = min(pins or records)
    if len(pins) > 1:
        yield (
            f"{unit.name}: its tomograms are pinned to {' and '.join(sorted(pins))}, but they "
            "belong together; pin them to one."
        )
    elif len(records) > 1 and not pins:
        unit.split = Split.TRAIN
        notes.append(
            f"{unit.name}: its patches went to {' and '.join(sorted(records))} before it was "
            "known that they belong together; now all train"
        )


def _by_hash(unit: _Unit, rule: SplitRule) -> Split:
    if rule.val_from_elsewhere:
        return Split.TRAIN
    return Split.VAL if share_of(unit.name, rule.salt) < rule.val_fraction else Split.TRAIN


def _fill_empty(units: list[_Unit], rule: SplitRule, notes: list[str]) -> None:
    """Validation is never empty: the free group with the lowest hash goes there."""
    free = sorted((u for u in units if u.free), key=lambda u: share_of(u.name, rule.salt))
    held = {split: [u for u in units if u.split is split] for split in Split}
    if rule.val_from_elsewhere:
        return
    if not held[Split.VAL] and free and len(held[Split.TRAIN]) > 1:
        free[0].split = Split.VAL
        notes.append(f"{free[0].name} validates, since the hash alone left validation empty")
    elif not held[Split.TRAIN] and free:
        free[-1].split = Split.TRAIN
        notes.append(f"{free[-1].name} trains, since the hash alone left training empty")


def _leak_if_allowed(units: list[_Unit], rule: SplitRule, split: dict[str, Split]) -> bool:
    """One unit: on request its patches are dealt one by one, and the set says so."""
    dealt = [unit for unit in units if unit.split is not Split.TEST]
    if not rule.allow_leaky_val or rule.val_from_elsewhere or len(dealt) != 1:
        return False
    items = sorted(dealt[0].items, key=lambda item: share_of(item.name, rule.salt))
    if len(items) < 2:
        return False
    validating = max(1, round(rule.val_fraction * len(items)))
    for number, item in enumerate(items):
        split[item.name] = Split.VAL if number < validating else Split.TRAIN
    return True


def _emptiness(units: list[_Unit], split: Mapping[str, Split], rule: SplitRule) -> list[str]:
    held = set(split.values())
    faults = []
    if Split.TRAIN not in held:
        faults.append("training is empty; pin a tomogram to train, or accept patches of another.")
    if Split.VAL not in held and not rule.val_from_elsewhere:
        faults.append(
            "validation is empty, and MemBrain-seg would save no checkpoint: "
            + _what_fills_validation(units)
        )
    return faults


def _what_fills_validation(units: list[_Unit]) -> str:
    if len(units) == 1 and len(units[0].items) == 1:
        return (
            f"{units[0].items[0].name} is the only patch; accept patches of a second tomogram, or "
            "take validation from another set (--val-from)."
        )
    if len(units) == 1:
        return (
            f"all patches come from {units[0].name}; accept patches of a second tomogram, or "
            "take validation from another set (--val-from), or accept leakage "
            "(--allow-leaky-val)."
        )
    return "pin one of the tomograms to val, or take validation from another set (--val-from)."
