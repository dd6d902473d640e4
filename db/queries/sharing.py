"""What an export needs of the catalog, in few statements; what was exported, imported, scored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import String, cast, func, literal, or_, select
from sqlalchemy.orm import Session

from db.models.corrections import CorrectionSlot, CorrectionVersion, Merge
from db.models.patches import Patch, Review
from db.models.people import Person
from db.models.sharing import Bundle, Export, ExportPatch, Score
from db.models.volumes import Permission, Segmentation, Tomogram
from db.models.work import Fact, Host
from db.queries.page import LIMIT, MAX_LIMIT, Page, paged
from db.queries.patches import PatchFilter, PatchRecord, list_patches
from db.queries.specimens import SplitUnit, split_units
from db.queries.volumes import TomogramRecord, list_roots, segmentations_of, tomogram_by_id
from db.vocabulary import CorrectionKind, ExportKind, Licence, Scope, Split, Verdict

AT_ONCE = 500
"""Ids in one statement."""

SECOND = "imported second annotation"
"""The rule of a merge that is another group's label of a patch that was there already."""

IMPORTED = "imported"
"""The rule of a merge that came with an imported patch."""

PSEUDONYM_KEY = "pseudonym_key"

Item = TypeVar("Item")


@dataclass(frozen=True)
class LabelRecord:
    """A merged label: enough to find its file and to say how it was made."""

    id: int
    patch_id: int
    number: int
    inputs: tuple[Mapping[str, Any], ...]
    rule: str
    counts: Mapping[str, int]
    values: Mapping[str, int]
    label_hash: str
    file_sha256: str
    made_at: datetime


@dataclass(frozen=True)
class OwnerPermission:
    """What the owner of a tomogram allows, and the day it was stated."""

    owner: str | None
    scope: Scope
    licence: Licence | None
    approved_by: str
    approved_on: date
    until: date | None
    embargo: date | None
    version: int


@dataclass(frozen=True)
class BundleRecord:
    """An imported bundle."""

    id: int
    bundle_id: str
    title: str | None
    licence: str
    attribution: str
    sha256: str
    imported_at: datetime
    imported_by: str | None
    patches: int = 0


@dataclass(frozen=True)
class CuratedRecord:
    """A patch with the label that an export takes, and what is known about both."""

    patch: PatchRecord
    label: LabelRecord
    second: LabelRecord | None
    tomogram: TomogramRecord | None
    unit: SplitUnit | None
    """What the tomogram stays together with in a split."""
    permission: OwnerPermission | None
    kinds: tuple[CorrectionKind, ...]
    annotators: tuple[str, ...]
    reviewer: str | None
    recorded: Split | None
    bundle: BundleRecord | None
    origin: Mapping[str, Any]
    """What was frozen when an imported patch came in; empty for our own."""


@dataclass(frozen=True)
class MadeExportRecord:
    """A training set or bundle that was written."""

    id: int
    kind: ExportKind
    path: str
    manifest_sha256: str
    options: Mapping[str, Any]
    scope: Scope | None
    licence: Licence | None
    patch_count: int
    made_at: datetime
    made_by: str | None


@dataclass(frozen=True)
class ScoreRecord:
    """How well a segmentation agrees with an accepted label of a patch."""

    patch: str
    tomogram_id: int | None
    segmentation_id: int
    model: str | None
    checkpoint: str | None
    merge_id: int
    split: Split | None
    """Where the patch went when it was first exported."""
    dice: float | None
    surface_dice: float | None
    method: str
    compared_voxels: int
    in_training: bool
    scored_at: datetime


@dataclass(frozen=True)
class KnownNames:
    """What the whole catalog names."""

    people: frozenset[str]
    """Names and accounts."""
    hosts: frozenset[str]
    roots: tuple[Path, ...]


@dataclass(frozen=True)
class SharedSource:
    """A tomogram that patches come from, by what could tell it."""

    token: str
    paths: tuple[str, ...]
    """Of its file and its segmentations', below their data root."""
    days: frozenset[date]


@dataclass(frozen=True)
class ModelScore:
    """The scores of a model's segmentations, put together."""

    model: str
    in_training: bool
    patches: int
    dice: float | None
    surface_dice: float | None


def curated_records(
    session: Session,
    wanted: PatchFilter,
    names: Iterable[str] | None = None,
    *,
    merged_too: bool = False,
) -> tuple[CuratedRecord, ...]:
    """Patches with an accepted label, by name; with ``merged_too`` also those merely merged."""
    only = None if names is None else set(names)
    patches = [p for p in all_patches(session, wanted) if only is None or p.name in only]
    taken = {patch.id: patch.accepted_merge_id for patch in patches}
    if merged_too:
        taken |= _merged_only(session, [p for p in patches if p.accepted_merge_id is None])
    labels = labels_by_id(session, [merge for merge in taken.values() if merge is not None])
    kept = [(patch, labels[merge]) for patch in patches if (merge := taken[patch.id]) in labels]
    return tuple(_curated(session, kept))


def labels_by_id(session: Session, ids: Iterable[int]) -> dict[int, LabelRecord]:
    """Merged labels by their id."""
    return {
        row.id: _label(row)
        for part in _parts(ids)
        for row in session.scalars(select(Merge).where(Merge.id.in_(part)))
    }


def permission_with_day(session: Session, tomogram_id: int) -> OwnerPermission | None:
    """The permission of a tomogram with the day it was stated, or None."""
    return _permissions(session, [tomogram_id]).get(tomogram_id)


def list_exports(
    session: Session, kind: ExportKind | None = None, limit: int = LIMIT
) -> tuple[MadeExportRecord, ...]:
    """Exports, the latest first."""
    statement = select(Export, Person.name).outerjoin(Person, Person.id == Export.made_by_id)
    if kind is not None:
        statement = statement.where(Export.kind == kind)
    rows = session.execute(paged(statement.order_by(Export.id.desc()), 0, limit))
    return tuple(
        MadeExportRecord(
            row.id,
            row.kind,
            row.path,
            row.manifest_sha256,
            row.options,
            row.scope,
            row.licence,
            row.patch_count,
            row.made_at,
            name,
        )
        for row, name in rows
    )


def export_is_known(session: Session, path: str, manifest_sha256: str) -> bool:
    """Whether just this export is recorded already."""
    statement = select(Export.id).where(
        Export.path == path, Export.manifest_sha256 == manifest_sha256
    )
    return session.scalar(statement.limit(1)) is not None


def list_bundles(session: Session) -> tuple[BundleRecord, ...]:
    """Imported bundles, the latest first."""
    held = dict(
        session.execute(select(Patch.bundle_id, func.count()).group_by(Patch.bundle_id)).all()
    )
    statement = (
        select(Bundle, Person.name)
        .outerjoin(Person, Person.id == Bundle.imported_by_id)
        .order_by(Bundle.id.desc())
    )
    return tuple(
        _bundle(row, name, held.get(row.id, 0)) for row, name in session.execute(statement)
    )


def bundle_of(session: Session, patch_id: int) -> BundleRecord | None:
    """The bundle that a patch came with; None for one of our own."""
    statement = (
        select(Bundle, Person.name)
        .join(Patch, Patch.bundle_id == Bundle.id)
        .outerjoin(Person, Person.id == Bundle.imported_by_id)
        .where(Patch.id == patch_id)
    )
    found = session.execute(statement).one_or_none()
    return None if found is None else _bundle(found[0], found[1], 0)


def own_bundle(session: Session, bundle_id: str) -> dict[str, int]:
    """The patches of a bundle that we made ourselves, by the case they were called there."""
    made = session.scalars(select(Export).where(Export.kind == ExportKind.BUNDLE))
    ids = [export.id for export in made if export.options.get("bundle_id") == bundle_id]
    statement = select(ExportPatch.case, ExportPatch.patch_id).where(ExportPatch.export_id.in_(ids))
    return dict(session.execute(statement).all())


def known_hashes(session: Session, hashes: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Find the patches whose image has one of these content hashes, or was exported with it.

    Withdrawn ones too: by hash, their ids in order.
    """
    found: dict[str, set[int]] = {}
    for part in _parts(hashes):
        for column, patch in (
            (Patch.image_hash, Patch.id),
            (ExportPatch.image_hash, ExportPatch.patch_id),
        ):
            for image_hash, patch_id in session.execute(
                select(column, patch).where(column.in_(part)).distinct()
            ):
                found.setdefault(str(image_hash), set()).add(patch_id)
    return {image_hash: tuple(sorted(ids)) for image_hash, ids in found.items()}


def label_hashes(session: Session, patch_ids: Iterable[int]) -> set[tuple[int, str]]:
    """Every (patch id, content hash of a merged label) of these patches."""
    return {
        (patch_id, label_hash)
        for part in _parts(patch_ids)
        for patch_id, label_hash in session.execute(
            select(Merge.patch_id, Merge.label_hash).where(Merge.patch_id.in_(part))
        )
    }


def taken_names(session: Session) -> set[str]:
    """The names of all patches, in lower case: a file system may not tell cases apart."""
    return {name.casefold() for name in session.scalars(select(Patch.name))}


def first_splits(session: Session, patch_ids: Iterable[int]) -> dict[int, Split]:
    """Where patches went when they were first exported."""
    first: dict[int, Split] = {}
    for part in _parts(patch_ids):
        statement = (
            select(ExportPatch.patch_id, ExportPatch.split)
            .where(ExportPatch.patch_id.in_(part), ExportPatch.split.is_not(None))
            .order_by(ExportPatch.export_id)
        )
        for patch_id, split in session.execute(statement):
            if split is not None:
                first.setdefault(patch_id, split)
    return first


def trained_patches(session: Session) -> dict[str, set[int]]:
    """The patches that models were trained on, as people stated it, by the model's name."""
    found: dict[str, set[int]] = {}
    for export in session.scalars(select(Export).where(Export.kind == ExportKind.TRAINING_SET)):
        for model in export.options.get("models", ()):
            found.setdefault(str(model), set()).update(trained_in(session, export.id))
    return found


def trained_in(session: Session, export_id: int) -> set[int]:
    """The patches in the training part of an export."""
    statement = select(ExportPatch.patch_id).where(
        ExportPatch.export_id == export_id, ExportPatch.split == Split.TRAIN
    )
    return set(session.scalars(statement))


def list_scores(
    session: Session, offset: int = 0, limit: int = LIMIT, models: Iterable[str] = ()
) -> Page[ScoreRecord]:
    """A page of the scores of segmentations, by patch; of some models alone, if any are named."""
    named = list(models)
    known = or_(Segmentation.model.in_(named), Segmentation.checkpoint.in_(named))
    where = [known] if named else []
    total = session.scalar(
        select(func.count(Score.id))
        .join(Segmentation, Segmentation.id == Score.segmentation_id)
        .where(*where)
    )
    statement = (
        select(Score, Patch.name, Segmentation)
        .join(Patch, Patch.id == Score.patch_id)
        .join(Segmentation, Segmentation.id == Score.segmentation_id)
        .where(*where)
        .order_by(Patch.name, Score.segmentation_id)
    )
    rows = session.execute(paged(statement, offset, limit)).all()
    splits = first_splits(session, {row.patch_id for row, _, _ in rows})
    return Page(
        tuple(
            ScoreRecord(
                name,
                segmentation.tomogram_id,
                segmentation.id,
                segmentation.model,
                segmentation.checkpoint,
                row.merge_id,
                splits.get(row.patch_id),
                row.dice,
                row.surface_dice,
                row.method,
                row.compared_voxels,
                row.in_training,
                row.scored_at,
            )
            for row, name, segmentation in rows
        ),
        total or 0,
        offset,
    )


def scores_by_model(session: Session) -> tuple[ModelScore, ...]:
    """Each model's mean scores, apart for patches that it was trained on; one statement."""
    name = func.coalesce(
        Segmentation.model,
        Segmentation.checkpoint,
        literal("segmentation ") + cast(Segmentation.id, String),
    )
    statement = (
        select(
            name,
            Score.in_training,
            func.count(),
            func.avg(Score.dice),
            func.avg(Score.surface_dice),
        )
        .join(Segmentation, Segmentation.id == Score.segmentation_id)
        .group_by(name, Score.in_training)
        .order_by(name, Score.in_training)
    )
    return tuple(ModelScore(*row) for row in session.execute(statement))


def scored_pairs(session: Session) -> set[tuple[int, int]]:
    """Every (segmentation id, merge id) that has a score."""
    statement = select(Score.segmentation_id, Score.merge_id)
    return {(segmentation, merge) for segmentation, merge in session.execute(statement)}


def pseudonym_key(session: Session) -> str | None:
    """The key of the pseudonyms in bundles, in hexadecimal; None before the first bundle."""
    fact = session.get(Fact, PSEUDONYM_KEY)
    return None if fact is None else str(fact.value)


def names_to_keep(session: Session) -> KnownNames:
    """Names of people, their accounts, the machines and the data roots: no bundle tells them."""
    people = session.execute(select(Person.name, Person.os_user)).all()
    accounts = session.scalars(select(CorrectionVersion.author_account).distinct())
    return KnownNames(
        people=frozenset(
            {name for row in people for name in row if name} | {a for a in accounts if a}
        ),
        hosts=frozenset(session.scalars(select(Host.name))),
        roots=list_roots(session),
    )


def sources_of(session: Session, patch_ids: Iterable[int]) -> tuple[SharedSource, ...]:
    """The tomograms of patches: their files and the days on which somebody worked on them."""
    found: dict[int, SharedSource] = {}
    for part in _parts(patch_ids):
        statement = (
            select(Tomogram, Patch.chosen_at, Patch.extracted_at, Patch.updated_at)
            .join(Patch, Patch.tomogram_id == Tomogram.id)
            .where(Patch.id.in_(part))
        )
        for tomogram, *times in session.execute(statement):
            days = {at.date() for at in (*times, tomogram.registered_at) if at is not None}
            known = found.get(tomogram.id) or _source(session, tomogram)
            found[tomogram.id] = replace(known, days=known.days | days)
    return tuple(found[key] for key in sorted(found))


def _source(session: Session, tomogram: Tomogram) -> SharedSource:
    paths = [tomogram.path, *(s.on_disk.path for s in segmentations_of(session, tomogram.id))]
    return SharedSource(tomogram.token, tuple(paths), frozenset())


def _merged_only(session: Session, patches: Sequence[PatchRecord]) -> dict[int, int | None]:
    """The current merge of each patch, but none that was rejected last, by the patch's id."""
    current = [patch.current_merge_id for patch in patches if patch.current_merge_id is not None]
    last: dict[int, Verdict] = {}
    for part in _parts(current):
        statement = select(Review.merge_id, Review.verdict).where(Review.merge_id.in_(part))
        for merge_id, verdict in session.execute(statement.order_by(Review.id)):
            last[merge_id] = verdict
    rejected = {merge_id for merge_id, verdict in last.items() if verdict is Verdict.REJECT}
    return {p.id: p.current_merge_id for p in patches if p.current_merge_id not in rejected}


def all_patches(session: Session, wanted: PatchFilter) -> Iterator[PatchRecord]:
    """Read every patch that a filter hits, a page at a time."""
    offset = 0
    while True:
        page = list_patches(session, wanted, offset=offset, limit=MAX_LIMIT)
        yield from page
        offset += len(page)
        if not len(page) or offset >= page.total:
            return


def _curated(
    session: Session, kept: Sequence[tuple[PatchRecord, LabelRecord]]
) -> Iterator[CuratedRecord]:
    ids = [patch.id for patch, _ in kept]
    tomogram_ids = {patch.tomogram_id for patch, _ in kept if patch.tomogram_id is not None}
    tomograms = {key: tomogram_by_id(session, key) for key in sorted(tomogram_ids)}
    permissions = _permissions(session, tomogram_ids)
    seconds = _second_labels(session, ids)
    authors, reviewers = _authors(session, ids), _reviewers(session, [m.id for _, m in kept])
    recorded, bundles = first_splits(session, ids), _bundles_of(session, ids)
    origins, units = _origins(session, bundles), split_units(session)
    for patch, label in kept:
        made = [
            (kind, author)
            for slot in label.inputs
            for kind, author in authors.get((patch.id, slot.get("slot"), slot.get("version")), ())
        ]
        yield CuratedRecord(
            patch=patch,
            label=label,
            second=seconds.get(patch.id),
            tomogram=tomograms.get(patch.tomogram_id or 0),
            unit=units.get(patch.tomogram_id or 0),
            permission=permissions.get(patch.tomogram_id or 0),
            kinds=tuple(sorted({kind for kind, _ in made if kind is not None})),
            annotators=tuple(sorted({author for _, author in made if author})),
            reviewer=reviewers.get(label.id),
            recorded=recorded.get(patch.id),
            bundle=bundles.get(patch.id),
            origin=origins.get(patch.id, {}),
        )


def _permissions(session: Session, tomogram_ids: Iterable[int]) -> dict[int, OwnerPermission]:
    return {
        row.tomogram_id: OwnerPermission(
            row.owner,
            row.scope,
            row.licence,
            row.approved_by,
            row.updated_at.date(),
            row.until,
            row.embargo,
            row.version,
        )
        for part in _parts(tomogram_ids)
        for row in session.scalars(select(Permission).where(Permission.tomogram_id.in_(part)))
    }


def _second_labels(session: Session, ids: Iterable[int]) -> dict[int, LabelRecord]:
    return {
        row.patch_id: _label(row)
        for part in _parts(ids)
        for row in session.scalars(
            select(Merge)
            .where(Merge.patch_id.in_(part), Merge.rule == SECOND)
            .order_by(Merge.number)
        )
    }


def _origins(session: Session, ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
    """The only input of the merge that each imported patch came with, by the patch's id."""
    return {
        row.patch_id: row.inputs[0]
        for part in _parts(ids)
        for row in session.scalars(
            select(Merge).where(Merge.patch_id.in_(part), Merge.rule == IMPORTED)
        )
    }


def _authors(
    session: Session, ids: Iterable[int]
) -> dict[tuple[int, Any, Any], list[tuple[CorrectionKind | None, str | None]]]:
    """Kind and author of every version of every slot, by (patch id, slot, version)."""
    found: dict[tuple[int, Any, Any], list[tuple[CorrectionKind | None, str | None]]] = {}
    for part in _parts(ids):
        statement = (
            select(CorrectionSlot, CorrectionVersion, Person.name)
            .join(CorrectionVersion, CorrectionVersion.slot_id == CorrectionSlot.id)
            .outerjoin(Person, Person.id == CorrectionVersion.author_id)
            .where(CorrectionSlot.patch_id.in_(part))
        )
        for slot, version, author in session.execute(statement):
            kinds = [CorrectionKind(k) for k in version.painted if k in set(CorrectionKind)]
            key = slot.patch_id, slot.name, version.number
            who = author or version.author_account
            found[key] = [(kind, who) for kind in kinds] or [(slot.kind, who)]
    return found


def _reviewers(session: Session, merge_ids: Iterable[int]) -> dict[int, str]:
    return {
        merge_id: name
        for part in _parts(merge_ids)
        for merge_id, name in session.execute(
            select(Review.merge_id, Person.name)
            .join(Person, Person.id == Review.reviewer_id)
            .where(Review.merge_id.in_(part), Review.verdict == Verdict.ACCEPT)
            .order_by(Review.id)
        )
    }


def _bundles_of(session: Session, ids: Iterable[int]) -> dict[int, BundleRecord]:
    return {
        patch_id: _bundle(row, None, 0)
        for part in _parts(ids)
        for patch_id, row in session.execute(
            select(Patch.id, Bundle)
            .join(Bundle, Bundle.id == Patch.bundle_id)
            .where(Patch.id.in_(part))
        )
    }


def _parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(dict.fromkeys(items))
    while part := list(islice(left, AT_ONCE)):
        yield part


def _label(row: Merge) -> LabelRecord:
    return LabelRecord(
        row.id,
        row.patch_id,
        row.number,
        tuple(row.inputs),
        row.rule,
        row.counts,
        row.values,
        row.label_hash,
        row.file_sha256,
        row.made_at,
    )


def _bundle(row: Bundle, imported_by: str | None, patches: int) -> BundleRecord:
    return BundleRecord(
        row.id,
        row.bundle_id,
        row.title,
        row.licence,
        row.attribution,
        row.sha256,
        row.imported_at,
        imported_by,
        patches,
    )
