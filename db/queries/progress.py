"""Queries for how far the work is: counts by stage, person and week, what waits, saved views."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models.corrections import Merge
from db.models.patches import Patch, Review
from db.models.people import Person, SavedView
from db.models.volumes import Dataset, Tomogram
from db.vocabulary import Stage, Verdict


@dataclass(frozen=True)
class Progress:
    """The work at one glance; withdrawn patches are left out."""

    tomograms: int
    patches: Mapping[Stage, int]
    rejected: int
    stale: int
    unassigned: int


@dataclass(frozen=True)
class Waiting:
    """A patch that waits for a reviewer."""

    name: str
    since: datetime


@dataclass(frozen=True)
class Rejection:
    """A verdict that sent a patch back."""

    name: str
    reason: str
    at: datetime


def progress(session: Session) -> Progress:
    """Count the work, in four statements."""
    alive = Patch.withdrawn.is_(False)
    by_stage = select(Patch.stage, func.count()).where(alive).group_by(Patch.stage)
    marks = select(
        func.count(Patch.rejected_reason),
        func.count().filter(Patch.stale),
        func.count().filter(Patch.assignee_id.is_(None)),
    ).where(alive)
    rejected, stale, unassigned = session.execute(marks).one()
    stages = dict(session.execute(by_stage).all())
    tomograms = session.scalar(select(func.count(Tomogram.id))) or 0
    return Progress(
        tomograms=tomograms,
        patches={stage: stages.get(stage, 0) for stage in Stage},
        rejected=rejected,
        stale=stale,
        unassigned=unassigned,
    )


def stages_by_person(session: Session) -> dict[str, dict[Stage, int]]:
    """Patches of each assignee by stage."""
    statement = (
        select(Person.name, Patch.stage, func.count())
        .join(Person, Person.id == Patch.assignee_id)
        .where(Patch.withdrawn.is_(False))
        .group_by(Person.name, Patch.stage)
        .order_by(Person.name)
    )
    return _nest(list(session.execute(statement)))


def stages_by_dataset(session: Session) -> dict[str, dict[Stage, int]]:
    """Patches of each dataset by stage."""
    statement = (
        select(Dataset.token, Patch.stage, func.count())
        .join(Dataset, Dataset.id == Patch.dataset_id)
        .where(Patch.withdrawn.is_(False))
        .group_by(Dataset.token, Patch.stage)
        .order_by(Dataset.token)
    )
    return _nest(list(session.execute(statement)))


def verdicts_by_week(
    session: Session, now: datetime, weeks: int = 12
) -> dict[datetime, dict[Verdict, int]]:
    """Verdicts of the last weeks, by the Monday (UTC) that each week began with."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=today.weekday(), weeks=weeks - 1)
    counts: dict[datetime, dict[Verdict, int]] = {
        first + timedelta(weeks=week): {} for week in range(weeks)
    }
    statement = select(Review.decided_at, Review.verdict).where(Review.decided_at >= first)
    for decided_at, verdict in session.execute(statement):
        week = counts.setdefault(first + timedelta(weeks=(decided_at - first).days // 7), {})
        week[verdict] = week.get(verdict, 0) + 1
    return counts


def waiting_reviews(session: Session, limit: int = 20) -> tuple[Waiting, ...]:
    """Patches in review, the one that waits longest first."""
    statement = (
        select(Patch.name, Patch.updated_at)
        .where(Patch.withdrawn.is_(False), Patch.stage == Stage.IN_REVIEW)
        .order_by(Patch.updated_at)
        .limit(limit)
    )
    return tuple(Waiting(name=name, since=since) for name, since in session.execute(statement))


def rejections(session: Session, limit: int = 100) -> tuple[Rejection, ...]:
    """The last rejections with their reasons."""
    statement = (
        select(Patch.name, Review.reason, Review.decided_at)
        .join(Patch, Patch.id == Review.patch_id)
        .where(Review.verdict == Verdict.REJECT)
        .order_by(Review.id.desc())
        .limit(limit)
    )
    return tuple(
        Rejection(name=name, reason=reason or "", at=at)
        for name, reason, at in session.execute(statement)
    )


def _nest(rows: list[tuple[str, Stage, int]]) -> dict[str, dict[Stage, int]]:
    nested: dict[str, dict[Stage, int]] = {}
    for name, stage, number in rows:
        nested.setdefault(name, {})[stage] = number
    return nested


LABELS = ("membrane", "background", "ignore")
"""What a voxel of a training label is, as a merge's values name it."""


@dataclass(frozen=True)
class ViewRecord:
    """A filter that somebody keeps under a name."""

    name: str
    owner: str
    page: str
    rules: Mapping[str, object]
    shared: bool
    mine: bool = field(default=False)


def stages_by_tomogram(session: Session, limit: int = 40) -> dict[str, dict[Stage, int]]:
    """Patches by stage of the tomograms with the most unfinished ones, as DATASET/TOKEN."""
    unfinished = func.count().filter(Patch.stage != Stage.ACCEPTED)
    alive = Patch.withdrawn.is_(False) & Patch.tomogram_id.is_not(None)
    busiest = (
        select(Patch.tomogram_id)
        .where(alive)
        .group_by(Patch.tomogram_id)
        .order_by(unfinished.desc(), Patch.tomogram_id)
        .limit(limit)
    )
    ids = list(session.scalars(busiest))
    statement = (
        select(Dataset.token, Tomogram.token, Patch.stage, func.count())
        .join(Tomogram, Tomogram.id == Patch.tomogram_id)
        .join(Dataset, Dataset.id == Tomogram.dataset_id)
        .where(alive, Patch.tomogram_id.in_(ids))
        .group_by(Dataset.token, Tomogram.token, Patch.stage)
        .order_by(Dataset.token, Tomogram.token)
    )
    nested: dict[str, dict[Stage, int]] = {}
    for dataset, token, stage, number in session.execute(statement):
        nested.setdefault(f"{dataset}/{token}", {})[stage] = number
    return nested


def label_balance(session: Session) -> dict[str, int]:
    """Voxels of membrane, background and ignore in the current labels of all patches."""
    sums = [func.sum(Merge.values[name].as_integer()) for name in LABELS]
    statement = (
        select(*sums)
        .join(Patch, Patch.current_merge_id == Merge.id)
        .where(Patch.withdrawn.is_(False))
    )
    row = session.execute(statement).one()
    return {name: int(total) for name, total in zip(LABELS, row, strict=True) if total is not None}


def reject_reasons(session: Session, limit: int = 8) -> list[tuple[str, int]]:
    """The reasons that were given most often, and how often."""
    number = func.count()
    statement = (
        select(Review.reason, number)
        .where(Review.verdict == Verdict.REJECT)
        .group_by(Review.reason)
        .order_by(number.desc(), Review.reason)
        .limit(limit)
    )
    return [(reason or "", times) for reason, times in session.execute(statement)]


def saved_views(session: Session, person_id: int, page: str) -> tuple[ViewRecord, ...]:
    """The views of a page that somebody keeps, or that others share, by name."""
    statement = (
        select(SavedView, Person.name)
        .join(Person, Person.id == SavedView.owner_id)
        .where(SavedView.page == page)
        .where((SavedView.owner_id == person_id) | SavedView.shared.is_(True))
        .order_by(SavedView.name, SavedView.id)
    )
    return tuple(
        ViewRecord(
            name=row.name,
            owner=owner,
            page=row.page,
            rules=row.rules,
            shared=row.shared,
            mine=row.owner_id == person_id,
        )
        for row, owner in session.execute(statement)
    )
