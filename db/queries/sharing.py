"""Read what was exported and imported, what owners permit, and what no bundle may tell."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models.corrections import CorrectionVersion, Merge
from db.models.patches import Patch
from db.models.people import Person
from db.models.sharing import Bundle, Export, ExportPatch
from db.models.volumes import Permission, Tomogram
from db.models.work import Fact, Host
from db.queries.page import LIMIT, page_of
from db.queries.volumes import list_roots, segmentations_of
from db.vocabulary import ExportKind, Licence, Scope, Split

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
    """Permission of a tomogram's owner, and the day it was stated."""

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
class KnownNames:
    """Names in the whole catalog."""

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


def labels_by_id(session: Session, ids: Iterable[int]) -> dict[int, LabelRecord]:
    """Merged labels by their id."""
    return {
        row.id: label_record(row)
        for part in in_parts(ids)
        for row in session.scalars(select(Merge).where(Merge.id.in_(part)))
    }


def permission_with_day(session: Session, tomogram_id: int) -> OwnerPermission | None:
    """The permission of a tomogram with the day it was stated, or None."""
    return owner_permissions(session, [tomogram_id]).get(tomogram_id)


def list_exports(
    session: Session, kind: ExportKind | None = None, limit: int = LIMIT
) -> tuple[MadeExportRecord, ...]:
    """Exports, the latest first."""
    statement = select(Export, Person.name).outerjoin(Person, Person.id == Export.made_by_id)
    if kind is not None:
        statement = statement.where(Export.kind == kind)
    rows = session.execute(page_of(statement.order_by(Export.id.desc()), 0, limit))
    return tuple(
        MadeExportRecord(
            id=row.id,
            kind=row.kind,
            path=row.path,
            manifest_sha256=row.manifest_sha256,
            options=row.options,
            scope=row.scope,
            licence=row.licence,
            patch_count=row.patch_count,
            made_at=row.made_at,
            made_by=name,
        )
        for row, name in rows
    )


def export_path(session: Session, number: int) -> str | None:
    """Find the folder of an export; None where there is no such export."""
    return session.scalar(select(Export.path).where(Export.id == number))


def export_is_known(session: Session, path: str, manifest_sha256: str) -> bool:
    """Return whether just this export is recorded already."""
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
        bundle_record(row, name, held.get(row.id, 0)) for row, name in session.execute(statement)
    )


def bundle_of(session: Session, patch_id: int) -> BundleRecord | None:
    """The bundle that a patch came with; None for one of our own."""
    statement = (
        select(Bundle, Person.name)
        .join(Patch, Patch.bundle_id == Bundle.id)
        .outerjoin(Person, Person.id == Bundle.imported_by_id)
        .where(Patch.id == patch_id)
    )
    row = session.execute(statement).one_or_none()
    return None if row is None else bundle_record(row[0], row[1], 0)


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
    for part in in_parts(hashes):
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
        for part in in_parts(patch_ids)
        for patch_id, label_hash in session.execute(
            select(Merge.patch_id, Merge.label_hash).where(Merge.patch_id.in_(part))
        )
    }


def taken_names(session: Session) -> set[str]:
    """The names of all patches, in lower case: a file system may not tell cases apart."""
    return {name.casefold() for name in session.scalars(select(Patch.name))}


def first_splits(session: Session, patch_ids: Iterable[int]) -> dict[int, Split]:
    """Return the split of patches at their first export."""
    first: dict[int, Split] = {}
    for part in in_parts(patch_ids):
        statement = (
            select(ExportPatch.patch_id, ExportPatch.split)
            .where(ExportPatch.patch_id.in_(part), ExportPatch.split.is_not(None))
            .order_by(ExportPatch.export_id)
        )
        for patch_id, split in session.execute(statement):
            if split is not None:
                first.setdefault(patch_id, split)
    return first


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
    for part in in_parts(patch_ids):
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
    return SharedSource(token=tomogram.token, paths=tuple(paths), days=frozenset())


def owner_permissions(session: Session, tomogram_ids: Iterable[int]) -> dict[int, OwnerPermission]:
    """The permissions of tomograms, by the tomogram's id."""
    return {
        row.tomogram_id: OwnerPermission(
            owner=row.owner,
            scope=row.scope,
            licence=row.licence,
            approved_by=row.approved_by,
            approved_on=row.updated_at.date(),
            until=row.until,
            embargo=row.embargo,
            version=row.version,
        )
        for part in in_parts(tomogram_ids)
        for row in session.scalars(select(Permission).where(Permission.tomogram_id.in_(part)))
    }


def in_parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Deal values, each once, into lists that one statement can take."""
    left = iter(dict.fromkeys(items))
    while part := list(islice(left, AT_ONCE)):
        yield part


def label_record(row: Merge) -> LabelRecord:
    """The record of a merge's label."""
    return LabelRecord(
        id=row.id,
        patch_id=row.patch_id,
        number=row.number,
        inputs=tuple(row.inputs),
        rule=row.rule,
        counts=row.counts,
        values=row.values,
        label_hash=row.label_hash,
        file_sha256=row.file_sha256,
        made_at=row.made_at,
    )


def bundle_record(row: Bundle, imported_by: str | None, patches: int) -> BundleRecord:
    """The record of an imported bundle."""
    return BundleRecord(
        id=row.id,
        bundle_id=row.bundle_id,
        title=row.title,
        licence=row.licence,
        attribution=row.attribution,
        sha256=row.sha256,
        imported_at=row.imported_at,
        imported_by=imported_by,
        patches=patches,
    )
