"""The whole life of a patch: corrections and their versions, merges, reviews, comments, events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from db.models.corrections import CorrectionSlot, CorrectionVersion, Merge
from db.models.patches import Comment, Hold, Patch, Review
from db.models.people import Person
from db.models.sharing import Export, ExportPatch
from db.models.work import Event
from db.queries.page import LIMIT, page_of
from db.vocabulary import CorrectionKind, ExportKind, Origin, Split, Verdict

Zyx = tuple[int, int, int]
"""(z, y, x)."""

_AUTHOR, _OTHER = aliased(Person), aliased(Person)
"""Made once: a new alias makes SQLAlchemy build the whole statement anew, ten times as long."""


@dataclass(frozen=True)
class VersionRecord:
    """The bytes that stood under a slot's name at one time."""

    number: int
    sha256: str
    size_bytes: int
    author: str | None
    author_id: int | None
    author_account: str | None
    software: str | None
    findings: tuple[str, ...]
    painted: Mapping[str, int]
    """Voxels by kind."""
    error: str | None
    origin: Origin
    received_at: datetime
    received_by: str | None


@dataclass(frozen=True)
class SlotRecord:
    """A file name in a patch's correction folder, with its versions, the latest last."""

    id: int
    name: str
    kind: CorrectionKind | None
    withdrawn: bool
    missing: bool
    versions: tuple[VersionRecord, ...]

    @property
    def latest(self) -> VersionRecord:
        return self.versions[-1]

    @property
    def counts(self) -> bool:
        """Return whether the next merge takes it."""
        return not self.withdrawn and not self.missing


@dataclass(frozen=True)
class MergeRecord:
    """A label that was made from a patch's corrections."""

    id: int
    number: int
    predicted_hash: str
    inputs: tuple[Mapping[str, Any], ...]
    rule: str
    counts: Mapping[str, int]
    values: Mapping[str, int]
    findings: tuple[str, ...]
    nothing_to_change: bool
    label_hash: str
    file_sha256: str
    size_bytes: int
    made_at: datetime
    made_by: str | None


@dataclass(frozen=True)
class ReviewRecord:
    """A verdict on one merge version."""

    merge: int
    """The merge's number."""
    verdict: Verdict
    reason: str | None
    reviewer: str | None
    decided_at: datetime


@dataclass(frozen=True)
class CommentRecord:
    """A comment, possibly at one voxel (z, y, x) of the patch."""

    id: int
    author: str | None
    text: str
    at: Zyx | None
    made_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None


@dataclass(frozen=True)
class ExportRecord:
    """An export that a patch went into."""

    kind: ExportKind
    path: str
    case: str
    merge: int
    split: Split | None
    made_at: datetime


@dataclass(frozen=True)
class HoldRecord:
    """The person who is painting on a patch."""

    person: str
    person_id: int
    since: datetime
    heartbeat_at: datetime


@dataclass(frozen=True)
class EventRecord:
    """One change."""

    id: int
    at: datetime
    person: str | None
    action: str
    subject: str
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str | None


@dataclass(frozen=True)
class EventFilter:
    """Filter of events; None does not filter."""

    patch_id: int | None = None
    person: str | None = None
    action: str | None = None
    subject: str | None = None
    subject_id: int | None = None
    since: datetime | None = None


def slots_of(session: Session, patch_id: int) -> tuple[SlotRecord, ...]:
    """The correction slots of a patch by name, in two statements."""
    slots = session.scalars(
        select(CorrectionSlot)
        .where(CorrectionSlot.patch_id == patch_id)
        .order_by(CorrectionSlot.name)
    ).all()
    versions: dict[int, list[VersionRecord]] = {slot.id: [] for slot in slots}
    statement = (
        select(CorrectionVersion, _AUTHOR.name, _OTHER.name)
        .outerjoin(_AUTHOR, _AUTHOR.id == CorrectionVersion.author_id)
        .outerjoin(_OTHER, _OTHER.id == CorrectionVersion.received_by_id)
        .where(CorrectionVersion.slot_id.in_(versions))
        .order_by(CorrectionVersion.slot_id, CorrectionVersion.number)
    )
    for row, author_name, receiver_name in session.execute(statement):
        versions[row.slot_id].append(_version_record(row, author_name, receiver_name))
    return tuple(
        SlotRecord(
            id=slot.id,
            name=slot.name,
            kind=slot.kind,
            withdrawn=slot.withdrawn,
            missing=slot.missing,
            versions=tuple(versions[slot.id]),
        )
        for slot in slots
    )


def collected_slot_names(session: Session) -> tuple[tuple[str, str], ...]:
    """Patch and file name of every correction that counts in a merge."""
    statement = (
        select(Patch.name, CorrectionSlot.name)
        .join(Patch, Patch.id == CorrectionSlot.patch_id)
        .where(CorrectionSlot.withdrawn.is_(False), CorrectionSlot.missing.is_(False))
        .order_by(Patch.name, CorrectionSlot.name)
    )
    return tuple((patch, slot) for patch, slot in session.execute(statement))


def merges_of(session: Session, patch_id: int) -> tuple[MergeRecord, ...]:
    """The merges of a patch, the latest last."""
    return tuple(
        _merge_record(*row)
        for row in session.execute(
            _merges().where(Merge.patch_id == patch_id).order_by(Merge.number)
        )
    )


def merge_by_id(session: Session, merge_id: int) -> MergeRecord:
    """The merge of an id that the catalog gave."""
    return _merge_record(*session.execute(_merges().where(Merge.id == merge_id)).one())


def authors_of_merge(session: Session, patch_id: int, merge: MergeRecord) -> tuple[int, ...]:
    """The ids of who painted what a merge holds, the latest correction's author first."""
    wanted = {(item["slot"], item["version"]) for item in merge.inputs if "slot" in item}
    statement = (
        select(CorrectionSlot.name, CorrectionVersion.number, CorrectionVersion.author_id)
        .join(CorrectionSlot, CorrectionSlot.id == CorrectionVersion.slot_id)
        .where(CorrectionSlot.patch_id == patch_id, CorrectionVersion.author_id.is_not(None))
        .order_by(CorrectionVersion.received_at.desc(), CorrectionVersion.id.desc())
    )
    authors = (a for slot, number, a in session.execute(statement) if (slot, number) in wanted)
    return tuple(dict.fromkeys(author for author in authors if author is not None))


def reviews_of(session: Session, patch_id: int) -> tuple[ReviewRecord, ...]:
    """The verdicts on a patch, the latest last."""
    statement = (
        select(Review, Merge.number, Person.name)
        .join(Merge, Merge.id == Review.merge_id)
        .outerjoin(Person, Person.id == Review.reviewer_id)
        .where(Review.patch_id == patch_id)
        .order_by(Review.id)
    )
    return tuple(
        ReviewRecord(
            merge=number,
            verdict=row.verdict,
            reason=row.reason,
            reviewer=reviewer,
            decided_at=row.decided_at,
        )
        for row, number, reviewer in session.execute(statement)
    )


def comments_of(session: Session, patch_id: int) -> tuple[CommentRecord, ...]:
    """The comments on a patch, the latest last."""
    statement = (
        select(Comment, _AUTHOR.name, _OTHER.name)
        .outerjoin(_AUTHOR, _AUTHOR.id == Comment.author_id)
        .outerjoin(_OTHER, _OTHER.id == Comment.resolved_by_id)
        .where(Comment.patch_id == patch_id)
        .order_by(Comment.id)
    )
    return tuple(_comment_record(*row) for row in session.execute(statement))


def exports_of(session: Session, patch_id: int) -> tuple[ExportRecord, ...]:
    """The exports that a patch went into, the latest last."""
    statement = (
        select(Export, ExportPatch, Merge.number)
        .join(ExportPatch, ExportPatch.export_id == Export.id)
        .join(Merge, Merge.id == ExportPatch.merge_id)
        .where(ExportPatch.patch_id == patch_id)
        .order_by(Export.id)
    )
    return tuple(
        ExportRecord(
            kind=export.kind,
            path=export.path,
            case=entry.case,
            merge=number,
            split=entry.split,
            made_at=export.made_at,
        )
        for export, entry, number in session.execute(statement)
    )


def hold_on(session: Session, patch_id: int) -> HoldRecord | None:
    """Return who is painting on a patch, if anybody."""
    statement = select(Hold, Person.name).join(Person).where(Hold.patch_id == patch_id)
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    hold, person = row
    return HoldRecord(
        person=person,
        person_id=hold.person_id,
        since=hold.since,
        heartbeat_at=hold.heartbeat_at,
    )


def list_events(
    session: Session,
    wanted: EventFilter | None = None,
    before_id: int | None = None,
    limit: int = LIMIT,
) -> tuple[EventRecord, ...]:
    """Events, the latest first; the next page is before the last one's id."""
    statement = select(Event, Person.name).outerjoin(Person, Person.id == Event.person_id)
    for condition in _event_conditions(wanted or EventFilter()):
        statement = statement.where(condition)
    if before_id is not None:
        statement = statement.where(Event.id < before_id)
    rows = session.execute(page_of(statement.order_by(Event.id.desc()), 0, limit))
    return tuple(
        EventRecord(
            id=row.id,
            at=row.at,
            person=person,
            action=row.action,
            subject=row.subject,
            name=row.name,
            before=row.before,
            after=row.after,
            reason=row.reason,
        )
        for row, person in rows
    )


def _event_conditions(wanted: EventFilter) -> Sequence[Any]:
    conditions: list[Any] = []
    for column in ("patch_id", "action", "subject", "subject_id"):
        value = getattr(wanted, column)
        if value is not None:
            conditions.append(getattr(Event, column) == value)
    if wanted.person is not None:
        person = select(Person.id).where(Person.name == wanted.person)
        conditions.append(Event.person_id == person.scalar_subquery())
    if wanted.since is not None:
        conditions.append(Event.at >= wanted.since)
    return conditions


def _merges() -> Any:
    return select(Merge, Person.name).outerjoin(Person, Person.id == Merge.made_by_id)


def _merge_record(row: Merge, made_by: str | None) -> MergeRecord:
    return MergeRecord(
        id=row.id,
        number=row.number,
        predicted_hash=row.predicted_hash,
        inputs=tuple(row.inputs),
        rule=row.rule,
        counts=row.counts,
        values=row.values,
        findings=tuple(row.findings),
        nothing_to_change=row.nothing_to_change,
        label_hash=row.label_hash,
        file_sha256=row.file_sha256,
        size_bytes=row.size_bytes,
        made_at=row.made_at,
        made_by=made_by,
    )


def _version_record(
    row: CorrectionVersion, author: str | None, received_by: str | None
) -> VersionRecord:
    return VersionRecord(
        number=row.number,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        author=author,
        author_id=row.author_id,
        author_account=row.author_account,
        software=row.software,
        findings=tuple(row.findings),
        painted=row.painted,
        error=row.error,
        origin=row.origin,
        received_at=row.received_at,
        received_by=received_by,
    )


def _comment_record(row: Comment, author: str | None, resolved_by: str | None) -> CommentRecord:
    at = None
    if row.at_z is not None and row.at_y is not None and row.at_x is not None:
        at = (row.at_z, row.at_y, row.at_x)
    return CommentRecord(
        id=row.id,
        author=author,
        text=row.text,
        at=at,
        made_at=row.made_at,
        resolved_at=row.resolved_at,
        resolved_by=resolved_by,
    )
