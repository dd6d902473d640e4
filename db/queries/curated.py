"""Read patches with an accepted label, and what is known about both, in few statements."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.corrections import CorrectionSlot, CorrectionVersion, Merge
from db.models.patches import Patch, Review
from db.models.people import Person
from db.models.sharing import Bundle, ExportPatch
from db.models.volumes import Dataset, Segmentation, Tomogram
from db.queries.patches import PatchFilter, PatchRecord, all_patches
from db.queries.sharing import (
    IMPORTED,
    SECOND,
    BundleRecord,
    LabelRecord,
    OwnerPermission,
    bundle_record,
    first_splits,
    in_parts,
    label_record,
    labels_by_id,
    owner_permissions,
)
from db.queries.volumes import TomogramRecord, tomogram_by_id
from db.vocabulary import CorrectionKind, Split, Verdict


class _Member(NamedTuple):
    id: int
    dataset: str
    token: str
    specimen: str | None
    content_hash: str | None
    split_pin: Split | None


@dataclass(frozen=True)
class SplitUnit:
    """Tomograms that a split must not tear apart.

    They share a specimen, or their files hold the same bytes, or both in a chain.
    """

    name: str
    """DATASET/TOKEN of the first one."""
    tomograms: tuple[str, ...]
    tomogram_ids: tuple[int, ...]
    pins: frozenset[Split]
    """What its tomograms are pinned to; more than one is a contradiction."""


def split_units(session: Session) -> dict[int, SplitUnit]:
    """Group all tomograms by specimen and by the hash of their file; by tomogram id."""
    statement = (
        select(
            Tomogram.id,
            Dataset.token,
            Tomogram.token,
            Tomogram.specimen,
            Tomogram.content_hash,
            Tomogram.split_pin,
        )
        .join(Dataset, Dataset.id == Tomogram.dataset_id)
        .order_by(Dataset.token, Tomogram.token)
    )
    groups: dict[str, list[_Member]] = {}
    for number, dataset, token, specimen, content_hash, pin in session.execute(statement):
        member = _Member(
            id=number,
            dataset=dataset,
            token=token,
            specimen=specimen,
            content_hash=content_hash,
            split_pin=pin,
        )
        keys = list(_keys(member))
        # one list may stand under several keys
        old = {id(groups[key]): groups[key] for key in keys if key in groups}
        joined = [*chain.from_iterable(old.values()), member]
        groups |= {key: joined for item in joined for key in _keys(item)}
    units = {id(group): _unit(group) for group in groups.values()}
    return {item.id: units[id(group)] for group in groups.values() for item in group}


def split_unit(session: Session, tomogram_id: int) -> SplitUnit:
    """Give the unit of one tomogram."""
    return split_units(session)[tomogram_id]


def list_specimens(session: Session) -> tuple[str, ...]:
    """List the names of all specimens."""
    named = select(Tomogram.specimen).where(Tomogram.specimen.is_not(None)).distinct()
    return tuple(name for name in session.scalars(named.order_by(Tomogram.specimen)) if name)


def _keys(member: _Member) -> Iterator[str]:
    yield f"id {member.id}"
    if member.specimen is not None:
        yield f"specimen {member.specimen}"
    if member.content_hash is not None:
        yield f"bytes {member.content_hash}"


def _unit(group: list[_Member]) -> SplitUnit:
    members = sorted(group, key=lambda member: (member.dataset, member.token))
    names = tuple(f"{member.dataset}/{member.token}" for member in members)
    return SplitUnit(
        name=names[0],
        tomograms=names,
        tomogram_ids=tuple(member.id for member in members),
        pins=frozenset(member.split_pin for member in members if member.split_pin is not None),
    )


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
class AcceptedLabel:
    """Voxel counts of an accepted label."""

    patch: str
    tomogram: str
    model: str | None
    shape: tuple[int, int, int]
    """(z, y, x)."""
    values: Mapping[str, int]
    """Of background, membrane and ignore."""
    changes: Mapping[str, int]
    """What the merge added, removed and ignored."""
    split: Split | None
    """Where the patch went when it was first exported."""


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
    return tuple(_curate(session, kept))


def accepted_labels(session: Session) -> tuple[AcceptedLabel, ...]:
    """Return the counts of every accepted label by patch name."""
    statement = (
        select(Patch, Dataset.token, Segmentation.model, Merge.values, Merge.counts)
        .join(Merge, Merge.id == Patch.accepted_merge_id)
        .join(Dataset, Dataset.id == Patch.dataset_id)
        .outerjoin(Segmentation, Segmentation.id == Patch.segmentation_id)
        .where(Patch.withdrawn.is_(False))
        .order_by(Patch.name)
    )
    went: dict[int, Split] = {}
    for patch_id, split in session.execute(
        select(ExportPatch.patch_id, ExportPatch.split)
        .where(ExportPatch.split.is_not(None))
        .order_by(ExportPatch.export_id)
    ):
        if split is not None:
            went.setdefault(patch_id, split)
    return tuple(
        AcceptedLabel(
            patch=row.name,
            tomogram=f"{dataset}/{row.token}",
            model=model,
            shape=(row.shape_z, row.shape_y, row.shape_x),
            values=values,
            changes=counts,
            split=went.get(row.id),
        )
        for row, dataset, model, values, counts in session.execute(statement)
    )


def _merged_only(session: Session, patches: Sequence[PatchRecord]) -> dict[int, int | None]:
    """The current merge of each patch, but none that was rejected last, by the patch's id."""
    current = [patch.current_merge_id for patch in patches if patch.current_merge_id is not None]
    last: dict[int, Verdict] = {}
    for part in in_parts(current):
        statement = select(Review.merge_id, Review.verdict).where(Review.merge_id.in_(part))
        for merge_id, verdict in session.execute(statement.order_by(Review.id)):
            last[merge_id] = verdict
    rejected = {merge_id for merge_id, verdict in last.items() if verdict is Verdict.REJECT}
    return {p.id: p.current_merge_id for p in patches if p.current_merge_id not in rejected}


def _curate(
    session: Session, kept: Sequence[tuple[PatchRecord, LabelRecord]]
) -> Iterator[CuratedRecord]:
    ids = [patch.id for patch, _ in kept]
    tomogram_ids = {patch.tomogram_id for patch, _ in kept if patch.tomogram_id is not None}
    tomograms = {key: tomogram_by_id(session, key) for key in sorted(tomogram_ids)}
    permissions = owner_permissions(session, tomogram_ids)
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


def _second_labels(session: Session, ids: Iterable[int]) -> dict[int, LabelRecord]:
    return {
        row.patch_id: label_record(row)
        for part in in_parts(ids)
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
        for part in in_parts(ids)
        for row in session.scalars(
            select(Merge).where(Merge.patch_id.in_(part), Merge.rule == IMPORTED)
        )
    }


def _authors(
    session: Session, ids: Iterable[int]
) -> dict[tuple[int, Any, Any], list[tuple[CorrectionKind | None, str | None]]]:
    """Kind and author of every version of every slot, by (patch id, slot, version)."""
    found: dict[tuple[int, Any, Any], list[tuple[CorrectionKind | None, str | None]]] = {}
    for part in in_parts(ids):
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
        for part in in_parts(merge_ids)
        for merge_id, name in session.execute(
            select(Review.merge_id, Person.name)
            .join(Person, Person.id == Review.reviewer_id)
            .where(Review.merge_id.in_(part), Review.verdict == Verdict.ACCEPT)
            .order_by(Review.id)
        )
    }


def _bundles_of(session: Session, ids: Iterable[int]) -> dict[int, BundleRecord]:
    return {
        patch_id: bundle_record(row, None, 0)
        for part in in_parts(ids)
        for patch_id, row in session.execute(
            select(Patch.id, Bundle)
            .join(Bundle, Bundle.id == Patch.bundle_id)
            .where(Patch.id.in_(part))
        )
    }
