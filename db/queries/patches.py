"""Queries for patches and drafts: one by name, lists by filter, and how many there are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from db.errors import CatalogError, UnknownNameError
from db.models.patches import Draft, Patch
from db.models.people import Person
from db.models.volumes import Dataset, Segmentation
from db.models.work import Event
from db.queries.page import LIMIT, MAX_LIMIT, Page, count, page_of
from db.vocabulary import ChosenBecause, Stage

Zyx = tuple[int, int, int]
"""(z, y, x)."""

_ASSIGNEE, _CHOOSER, _CHANGER = aliased(Person), aliased(Person), aliased(Person)
"""Made once: a new alias makes SQLAlchemy build the whole statement anew, ten times as long."""


class PatchSort(StrEnum):
    """The order of a list of patches."""

    NAME = "name"
    UPDATED = "updated"
    """The last changed first."""
    STAGE = "stage"


@dataclass(frozen=True)
class PatchRecord:
    """A patch as the catalog has it. Positions are (z, y, x) voxels, the voxel size in angstrom."""

    id: int
    name: str
    dataset: str
    token: str
    tomogram_id: int | None
    segmentation_id: int | None
    model: str | None
    center: Zyx | None
    start: Zyx | None
    """First voxel of its box; None where the position is unknown."""
    shape: Zyx
    padded: bool
    shifted: bool
    voxel_size: float | None
    grid_spacing: float | None
    """Of its files, where it is not the voxel size."""
    threshold: float | None
    chosen_at: datetime
    chosen_by: str | None
    chosen_because: ChosenBecause
    note: str | None
    stage: Stage
    assignee: str | None
    assignee_id: int | None
    rejected_reason: str | None
    stale: bool
    withdrawn: bool
    extracted_at: datetime | None
    image_hash: str | None
    label_hash: str | None
    current_merge_id: int | None
    accepted_merge_id: int | None
    correction_count: int
    merge_count: int
    comment_count: int
    version: int
    updated_at: datetime
    updated_by: str | None

    @property
    def newer_corrections_wait(self) -> bool:
        """Return whether an accepted patch has corrections that its accepted label does not
        hold.
        """
        return self.accepted_merge_id is not None and (
            self.stale or self.current_merge_id != self.accepted_merge_id
        )


@dataclass(frozen=True)
class PatchState:
    """State of a patch, for a pass over all patches."""

    stage: Stage
    correction_count: int


@dataclass(frozen=True)
class PatchFilter:
    """Filter of patches; None does not filter."""

    dataset: str | None = None
    tomogram: str | None = None
    """A token."""
    tomogram_id: int | None = None
    stage: tuple[Stage, ...] = ()
    assignee: str | None = None
    unassigned: bool = False
    chosen_because: ChosenBecause | None = None
    model: str | None = None
    rejected: bool | None = None
    stale: bool | None = None
    newer_corrections_wait: bool | None = None
    corrected: bool | None = None
    withdrawn: bool = False
    text: str | None = None
    """Part of the name, in any case."""

    @classmethod
    def from_rules(cls, rules: Mapping[str, Any]) -> "PatchFilter":
        """Read a filter that was kept or came by a link: only what stands above may be named.

        Errors: CatalogError names what is not known.
        """
        try:
            known = dict(rules)
            if "stage" in known:
                known["stage"] = tuple(map(Stage, _as_list(known["stage"])))
            if known.get("chosen_because") is not None:
                known["chosen_because"] = ChosenBecause(known["chosen_because"])
            made = cls(**known)
        except (TypeError, ValueError) as error:
            allowed = ", ".join(cls.__dataclass_fields__)
            raise CatalogError(
                f"the filter {str(dict(rules))[:200]!r} is not known; filter by {allowed}."
            ) from error
        _check_kinds(made)
        return made


def get_patch(session: Session, name: str) -> PatchRecord:
    """The patch of a name.

    Errors: UnknownNameError with the nearest names.
    """
    patch = find_patch(session, name)
    if patch is None:
        raise unknown_patch(session, name)
    return patch


def unknown_patch(session: Session, name: str) -> UnknownNameError:
    """Make the error for a name that no patch has; a patch that was renamed is told."""
    renamed = (
        select(Patch.name)
        .join(Event, Event.patch_id == Patch.id)
        .where(Event.action == "patch renamed", Event.name == name)
    )
    now = session.scalar(renamed.order_by(Event.id.desc()).limit(1))
    if now is not None:
        return UnknownNameError(f"patch {name} was renamed with its tomogram; it is {now} now.")
    return UnknownNameError.among("patch", name, session.scalars(select(Patch.name)))


def former_names(session: Session, name: str) -> tuple[str, ...]:
    """List the names that a patch had before its tomogram was renamed."""
    renamed = (
        select(Event.name)
        .join(Patch, Patch.id == Event.patch_id)
        .where(Event.action == "patch renamed", Patch.name == name, Event.name != name)
    )
    taken = set(session.scalars(select(Patch.name).where(Patch.name.in_(renamed))))
    return tuple(old for old in session.scalars(renamed.distinct()) if old not in taken)


def find_patch(session: Session, name: str) -> PatchRecord | None:
    """The patch of a name, or None."""
    row = session.execute(_patches().where(Patch.name == name)).one_or_none()
    return patch_record(*row) if row else None


def patch_by_id(session: Session, patch_id: int) -> PatchRecord:
    """The patch of an id that the catalog gave."""
    # Counts change by statements of their own: what the session remembers of them may be old.
    statement = _patches().where(Patch.id == patch_id).execution_options(populate_existing=True)
    return patch_record(*session.execute(statement).one())


def list_patches(
    session: Session,
    wanted: PatchFilter | None = None,
    sort: PatchSort = PatchSort.NAME,
    offset: int = 0,
    limit: int = LIMIT,
) -> Page[PatchRecord]:
    """Patches that a filter hits, a page of them."""
    where = list(_conditions(wanted or PatchFilter()))
    statement = page_of(_patches().where(*where).order_by(*_ORDER[sort]), offset, limit)
    rows = tuple(patch_record(*row) for row in session.execute(statement))
    return Page(rows, count(session, Patch.id, where), offset)


def all_patches(session: Session, wanted: PatchFilter | None = None) -> Iterator[PatchRecord]:
    """Every patch that a filter hits, by name, read a page at a time."""
    offset = 0
    while page := list_patches(session, wanted, offset=offset, limit=MAX_LIMIT).rows:
        yield from page
        offset += len(page)


def patch_states(session: Session) -> dict[str, PatchState]:
    """The stage and corrections of every patch, withdrawn ones too, by name."""
    rows = session.execute(select(Patch.name, Patch.stage, Patch.correction_count))
    return {name: PatchState(stage=stage, correction_count=count) for name, stage, count in rows}


def count_patches(session: Session, wanted: PatchFilter | None = None) -> int:
    """Count the patches that match a filter, for bulk actions."""
    return count(session, Patch.id, _conditions(wanted or PatchFilter()))


def patches_in(session: Session, tomogram_id: int) -> tuple[PatchRecord, ...]:
    """Every patch of a tomogram, withdrawn ones too, in the order of choosing."""
    statement = _patches().where(Patch.tomogram_id == tomogram_id).order_by(Patch.id)
    return tuple(patch_record(*row) for row in session.execute(statement))


def next_number(session: Session, dataset_id: int, token: str) -> int:
    """The lowest patch number that no patch of this tomogram has taken yet, from 0."""
    statement = select(func.max(Patch.number)).where(
        Patch.token == token, Patch.dataset_id == dataset_id
    )
    highest = session.scalar(statement)
    return 0 if highest is None else highest + 1


def patch_record(
    row: Patch,
    dataset: str,
    model: str | None,
    assignee: str | None,
    chosen_by: str | None,
    updated_by: str | None,
) -> PatchRecord:
    """The record of a row; rows themselves do not leave ``db``."""
    return PatchRecord(
        id=row.id,
        name=row.name,
        dataset=dataset,
        token=row.token,
        tomogram_id=row.tomogram_id,
        segmentation_id=row.segmentation_id,
        model=model,
        center=_zyx(row.center_z, row.center_y, row.center_x),
        start=_zyx(row.start_z, row.start_y, row.start_x),
        shape=(row.shape_z, row.shape_y, row.shape_x),
        padded=row.padded,
        shifted=row.shifted,
        voxel_size=row.voxel_size,
        grid_spacing=row.grid_spacing,
        threshold=row.threshold,
        chosen_at=row.chosen_at,
        chosen_by=chosen_by,
        chosen_because=row.chosen_because,
        note=row.note,
        stage=row.stage,
        assignee=assignee,
        assignee_id=row.assignee_id,
        rejected_reason=row.rejected_reason,
        stale=row.stale,
        withdrawn=row.withdrawn,
        extracted_at=row.extracted_at,
        image_hash=row.image_hash,
        label_hash=row.label_hash,
        current_merge_id=row.current_merge_id,
        accepted_merge_id=row.accepted_merge_id,
        correction_count=row.correction_count,
        merge_count=row.merge_count,
        comment_count=row.comment_count,
        version=row.version,
        updated_at=row.updated_at,
        updated_by=updated_by,
    )


def open_patches_of(session: Session, person_id: int) -> tuple[str, ...]:
    """Return the patches that somebody has, neither accepted nor withdrawn, by name."""
    unfinished = Patch.stage != Stage.ACCEPTED, Patch.withdrawn.is_(False)
    statement = select(Patch.name).where(Patch.assignee_id == person_id, *unfinished)
    return tuple(session.scalars(statement.order_by(Patch.name)))


def _patches() -> Any:
    return (
        select(
            Patch, Dataset.token, Segmentation.model, _ASSIGNEE.name, _CHOOSER.name, _CHANGER.name
        )
        .join(Dataset, Dataset.id == Patch.dataset_id)
        .outerjoin(Segmentation, Segmentation.id == Patch.segmentation_id)
        .outerjoin(_ASSIGNEE, _ASSIGNEE.id == Patch.assignee_id)
        .outerjoin(_CHOOSER, _CHOOSER.id == Patch.chosen_by_id)
        .outerjoin(_CHANGER, _CHANGER.id == Patch.updated_by_id)
    )


_ORDER = {
    PatchSort.NAME: (Patch.name,),
    PatchSort.UPDATED: (Patch.updated_at.desc(), Patch.id.desc()),
    PatchSort.STAGE: (Patch.stage, Patch.name),
}


def _conditions(wanted: PatchFilter) -> Iterable[Any]:
    yield Patch.withdrawn.is_(wanted.withdrawn)
    if wanted.tomogram_id is not None:
        yield Patch.tomogram_id == wanted.tomogram_id
    if wanted.tomogram is not None:
        yield Patch.token == wanted.tomogram
    if wanted.stage:
        yield Patch.stage.in_(wanted.stage)
    if wanted.unassigned:
        yield Patch.assignee_id.is_(None)
    if wanted.chosen_because is not None:
        yield Patch.chosen_because == wanted.chosen_because
    if wanted.text:
        yield Patch.name.icontains(wanted.text, autoescape=True)
    yield from _by_name(wanted)
    yield from _marks(wanted)


def _by_name(wanted: PatchFilter) -> Iterable[Any]:
    """Conditions on what other tables name; their ids are looked up in the same statement."""
    if wanted.dataset is not None:
        named = select(Dataset.id).where(Dataset.token == wanted.dataset)
        yield Patch.dataset_id == named.scalar_subquery()
    if wanted.assignee is not None:
        person = select(Person.id).where(Person.name == wanted.assignee)
        yield Patch.assignee_id == person.scalar_subquery()
    if wanted.model is not None:
        model = select(Segmentation.id).where(Segmentation.model == wanted.model)
        yield Patch.segmentation_id.in_(model)


def _marks(wanted: PatchFilter) -> Iterable[Any]:
    waits = and_(
        Patch.accepted_merge_id.is_not(None),
        or_(Patch.stale, Patch.current_merge_id != Patch.accepted_merge_id),
    )
    marks = (
        (wanted.rejected, Patch.rejected_reason.is_not(None)),
        (wanted.stale, Patch.stale.is_(True)),
        (wanted.newer_corrections_wait, waits),
        (wanted.corrected, Patch.correction_count > 0),
    )
    for mark, condition in marks:
        if mark is not None:
            yield condition if mark else ~condition


def _zyx(z: int | None, y: int | None, x: int | None) -> Zyx | None:
    return None if z is None or y is None or x is None else (z, y, x)


def _as_list(words: object) -> list[Any]:
    return list(words) if isinstance(words, list | tuple) else [words]


def _check_kinds(made: PatchFilter) -> None:
    texts = made.dataset, made.tomogram, made.assignee, made.model, made.text
    flags = made.rejected, made.stale, made.newer_corrections_wait, made.corrected
    good = (
        all(text is None or isinstance(text, str) for text in texts)
        and all(flag is None or isinstance(flag, bool) for flag in flags)
        and all(isinstance(flag, bool) for flag in (made.unassigned, made.withdrawn))
        and (made.tomogram_id is None or type(made.tomogram_id) is int)
    )
    if not good:
        raise CatalogError("a filter holds words and true or false, nothing else.")


@dataclass(frozen=True)
class DraftRecord:
    """One person's draft on one patch; ``sha256`` and size are of its file."""

    sha256: str
    size_bytes: int
    revision: int
    saved_at: datetime


def draft_of(session: Session, patch_id: int, person_id: int) -> DraftRecord | None:
    """A person's draft on a patch, if there is one."""
    own = select(Draft).where(Draft.patch_id == patch_id, Draft.person_id == person_id)
    row = session.scalar(own)
    return (
        None
        if row is None
        else DraftRecord(
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            revision=row.revision,
            saved_at=row.saved_at,
        )
    )
