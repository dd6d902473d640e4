"""Take in corrections, withdraw them, note which files are gone, and add merges."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.errors import ConflictError, UnknownNameError
from db.models.corrections import CorrectionSlot, CorrectionVersion, Merge
from db.models.patches import Patch
from db.models.people import Person
from db.queries.life import MergeRecord, merge_by_id
from db.queries.patches import PatchRecord
from db.vocabulary import CorrectionKind, Origin
from db.writes.events import Change, Subject, record_event


@dataclass(frozen=True)
class Received:
    """A correction file as it was received and checked."""

    sha256: str
    size_bytes: int
    kind: CorrectionKind | None
    origin: Origin
    author_id: int | None = None
    author_account: str | None = None
    software: str | None = None
    findings: tuple[str, ...] = ()
    painted: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class MadeMerge:
    """A merge as it was made; ``inputs`` are {slot, version, sha256}."""

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


def add_correction(
    session: Session,
    change: Change,
    patch: PatchRecord,
    name: str,
    received: Received,
    *,
    expected: int | None = None,
) -> int:
    """Add the next version under a slot's name; give its number.

    The slot counts again if its file was gone or withdrawn. ``expected`` is the version that it
    replaces, 0 where none counts under the name; None replaces whatever is there.

    Errors: ConflictError where another version counts now.
    """
    slot = _slot(session, patch.id, name)
    if expected is not None:
        _check_expected(session, patch, name, slot, expected)
    if slot is None:
        slot = CorrectionSlot(patch_id=patch.id, name=name, latest=0)
        session.add(slot)
    slot.kind = received.kind
    slot.latest += 1
    slot.withdrawn = slot.missing = False
    session.flush()
    session.add(_version(slot, change, received))
    session.flush()
    _recount(session, patch.id)
    after = {"slot": name, "version": slot.latest, "sha256": received.sha256}
    after |= {"error": received.error} if received.error else {}
    record_event(session, change, "correction received", _subject(patch), None, after)
    return slot.latest


def mark_correction(
    session: Session,
    change: Change,
    patch: PatchRecord,
    name: str,
    *,
    withdrawn: bool | None = None,
    missing: bool | None = None,
) -> None:
    """Withdraw a slot, take it back, or note whether its file is in the folder.

    Errors: UnknownNameError.
    """
    slot = _slot(session, patch.id, name)
    if slot is None:
        known = select(CorrectionSlot.name).where(CorrectionSlot.patch_id == patch.id)
        raise UnknownNameError.among(f"correction of {patch.name}", name, session.scalars(known))
    before = {"withdrawn": slot.withdrawn, "missing": slot.missing}
    slot.withdrawn = slot.withdrawn if withdrawn is None else withdrawn
    slot.missing = slot.missing if missing is None else missing
    after = {"slot": name, "withdrawn": slot.withdrawn, "missing": slot.missing}
    session.flush()
    _recount(session, patch.id)
    record_event(session, change, "correction marked", _subject(patch), before, after)


def add_merge(session: Session, change: Change, patch: PatchRecord, made: MadeMerge) -> MergeRecord:
    """Add a patch's next merge; the patch itself is changed by ``change_patch``."""
    number = session.scalar(select(func.max(Merge.number)).where(Merge.patch_id == patch.id))
    row = Merge(
        patch_id=patch.id,
        number=(number or 0) + 1,
        predicted_hash=made.predicted_hash,
        inputs=[dict(item) for item in made.inputs],
        rule=made.rule,
        counts=dict(made.counts),
        values=dict(made.values),
        findings=list(made.findings),
        nothing_to_change=made.nothing_to_change,
        label_hash=made.label_hash,
        file_sha256=made.file_sha256,
        size_bytes=made.size_bytes,
        made_at=change.at,
        made_by_id=change.by_id,
    )
    session.add(row)
    session.flush()
    after = {"number": row.number, "label_hash": made.label_hash, "counts": made.counts}
    record_event(session, change, "merged", _subject(patch), None, after)
    return merge_by_id(session, row.id)


def accounts(session: Session, names: Iterable[str]) -> dict[str, int]:
    """The ids of people by the account names of this machine."""
    statement = select(Person.os_user, Person.id).where(Person.os_user.in_(set(names)))
    return {user: key for user, key in session.execute(statement) if user is not None}


def _slot(session: Session, patch_id: int, name: str) -> CorrectionSlot | None:
    return session.scalar(
        select(CorrectionSlot).where(
            CorrectionSlot.patch_id == patch_id, CorrectionSlot.name == name
        )
    )


def _check_expected(
    session: Session, patch: PatchRecord, name: str, slot: CorrectionSlot | None, expected: int
) -> None:
    now = slot.latest if slot and not (slot.withdrawn or slot.missing) else 0
    if now == expected:
        return
    if slot is None or not now:
        raise ConflictError(
            f"{patch.name}: {name} was withdrawn since you looked at it; look at it again, then "
            "repeat."
        )
    person, at = session.execute(
        select(Person.name, CorrectionVersion.received_at)
        .outerjoin_from(CorrectionVersion, Person, Person.id == CorrectionVersion.received_by_id)
        .where(CorrectionVersion.slot_id == slot.id, CorrectionVersion.number == now)
    ).one()
    raise ConflictError.since(f"{patch.name}, {name}", person, at, (now, expected))


def _version(slot: CorrectionSlot, change: Change, received: Received) -> CorrectionVersion:
    return CorrectionVersion(
        slot_id=slot.id,
        number=slot.latest,
        sha256=received.sha256,
        size_bytes=received.size_bytes,
        author_id=received.author_id,
        author_account=received.author_account,
        software=received.software,
        findings=list(received.findings),
        painted=dict(received.painted),
        error=received.error,
        origin=received.origin,
        received_at=change.at,
        received_by_id=change.by_id,
    )


def _recount(session: Session, patch_id: int) -> None:
    alive = select(func.count(CorrectionSlot.id)).where(
        CorrectionSlot.patch_id == patch_id,
        CorrectionSlot.withdrawn.is_(False),
        CorrectionSlot.missing.is_(False),
    )
    counted = update(Patch).where(Patch.id == patch_id)
    # A count is no edit: the version that others saw stays good.
    session.execute(
        counted.values(correction_count=alive.scalar_subquery()),
        execution_options={"synchronize_session": False},
    )


def _subject(patch: PatchRecord) -> Subject:
    return Subject("patch", patch.id, patch.name, patch.id)
