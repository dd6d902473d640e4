"""The catalog's accepted patches as the values that an export takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core.access.permissions import Action
from core.corrections.store import Store
from core.exports.patch import ACCEPTED, CuratedPatch, Imported, Method, Permission
from core.imaging.geometry import Box, Zyx, box_at
from core.imaging.labels import LabelCounts
from core.lab.lab import Lab
from core.workspace.workspace import Workspace
from db.queries.curated import CuratedRecord, curated_records
from db.queries.patches import PatchFilter
from db.queries.sharing import OwnerPermission
from db.vocabulary import Licence, Split


@dataclass(frozen=True)
class Choice:
    """Selection of patches for an export."""

    wanted: PatchFilter = field(default_factory=PatchFilter)
    names: tuple[str, ...] | None = None
    """Only these; None takes all that the filter hits."""
    merged_too: bool = False
    """Also patches that nobody has accepted yet; the export says so."""


@dataclass(frozen=True)
class Chosen:
    """The chosen patches, and what the catalog knows besides."""

    patches: tuple[CuratedPatch, ...]
    linked: tuple[tuple[str, str], ...]
    """Names of patches whose voxels are equal: they lie on one side of a split."""
    ids: Mapping[str, tuple[int, int]]
    """Patch id and merge id, by the patch's name."""


def choose_curated(lab: Lab, choice: Choice) -> Chosen:
    """Read the chosen patches.

    Errors: NotAllowedError.
    """
    with lab.read(Action.EXPORT) as session:
        records = curated_records(
            session, choice.wanted, choice.names, merged_too=choice.merged_too
        )
    return Chosen(
        patches=tuple(curated_patch(lab.workspace, record) for record in records),
        linked=tuple(_same_voxels(records)),
        ids={record.patch.name: (record.patch.id, record.label.id) for record in records},
    )


def _same_voxels(records: Sequence[CuratedRecord]) -> Iterator[tuple[str, str]]:
    """Pairs of patches whose images, or whose labels with membrane, are equal voxel by voxel."""
    first: dict[str, str] = {}
    for record in records:
        hashes = [record.patch.image_hash]
        if record.label.values.get("membrane"):
            hashes.append(record.label.label_hash)
        for voxels in filter(None, hashes):
            other = first.setdefault(voxels, record.patch.name)
            if other != record.patch.name:
                yield other, record.patch.name


def curated_patch(workspace: Workspace, record: CuratedRecord) -> CuratedPatch:
    """One patch as a value, with the paths of its files."""
    patch, folders, store = record.patch, workspace.folders, Store(workspace.folders.store)
    imported = record.bundle is not None
    token = patch.token if record.tomogram is None else record.tomogram.token
    unit = record.unit
    curated = CuratedPatch(
        name=patch.name,
        dataset=patch.dataset,
        tomogram=token,
        source_group=f"{patch.dataset}/{token}" if unit is None else unit.name,
        image_path=folders.image_of(patch.name),
        label_path=store.path_of(record.label.file_sha256),
        box=_box(record),
        tomogram_shape=_tomogram_shape(record),
        voxel_size=patch.voxel_size,
        prediction_path=None if imported else folders.label_of(patch.name),
        second_label_path=_second(record, store),
        padded=patch.padded,
        model=patch.model,
        method=Method(record.kinds, record.annotators, record.reviewer),
        permission=_permission(record.permission),
        pinned=None if record.tomogram is None else record.tomogram.split_pin,
        group_pins=frozenset() if unit is None else unit.pins,
        recorded=record.recorded,
        image_hash=patch.image_hash,
        label_hash=record.label.label_hash,
        second_label_hash=None if record.second is None else record.second.label_hash,
        counts=_counts(record),
        newer_corrections=patch.newer_corrections_wait,
        status=ACCEPTED if patch.accepted_merge_id == record.label.id else str(patch.stage),
    )
    return _as_it_came(curated, record.origin) if imported else curated


def _as_it_came(patch: CuratedPatch, origin: Mapping[str, Any]) -> CuratedPatch:
    """An imported patch: what was frozen when it came in, whoever corrected it since."""
    imported = Imported(
        bundle_id=str(origin["bundle"]),
        patch_id=str(origin["patch_id"]),
        source_group=str(origin["source_group"]),
        licence=Licence(origin["licence"]),
        attribution=str(origin["attribution"]),
        doi=origin.get("doi"),
        level=str(origin.get("level", "public")),
    )
    split = origin.get("split")
    return replace(
        patch,
        source_group=f"{imported.bundle_id}/{imported.source_group}",
        imported=imported,
        normalised=bool(origin.get("normalised", True)),
        core_only=bool(origin.get("core_only")),
        model=origin.get("model"),
        recorded=patch.recorded or (Split(split) if split else None),
    )


def _counts(record: CuratedRecord) -> LabelCounts | None:
    """The counts that the merge recorded; None for a merge of before there were any."""
    names = [field.name for field in fields(LabelCounts)]
    values = record.label.values
    return (
        LabelCounts(**{name: values[name] for name in names}) if set(names) <= set(values) else None
    )


def _second(record: CuratedRecord, store: Store) -> Path | None:
    return None if record.second is None else store.path_of(record.second.file_sha256)


def _permission(stated: OwnerPermission | None) -> Permission | None:
    if stated is None:
        return None
    return Permission(
        owner=stated.owner or stated.approved_by,
        scope=stated.scope,
        licence=stated.licence,
        approved_by=stated.approved_by,
        approved_on=stated.approved_on,
        embargo_until=stated.embargo,
        until=stated.until,
    )


def _box(record: CuratedRecord) -> Box:
    """Return the box of a patch; from 0 if unknown."""
    start = Zyx(*(record.patch.start or (0, 0, 0)))
    return box_at(start, record.patch.shape)


def _tomogram_shape(record: CuratedRecord) -> Zyx:
    if record.tomogram is None:
        return Zyx(*record.patch.shape)
    return Zyx(*record.tomogram.on_disk.shape)
