"""How far the work is: patches by stage, by person and stage, by week; what waits; why rejected."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models.patches import Patch, Review
from db.models.people import Person
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
        tomograms, {stage: stages.get(stage, 0) for stage in Stage}, rejected, stale, unassigned
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
    return _nested(list(session.execute(statement)))


def stages_by_dataset(session: Session) -> dict[str, dict[Stage, int]]:
    """Patches of each dataset by stage."""
    statement = (
        select(Dataset.token, Patch.stage, func.count())
        .join(Dataset, Dataset.id == Patch.dataset_id)
        .where(Patch.withdrawn.is_(False))
        .group_by(Dataset.token, Patch.stage)
        .order_by(Dataset.token)
    )
    return _nested(list(session.execute(statement)))


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
    return tuple(Waiting(name, since) for name, since in session.execute(statement))


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
        Rejection(name, reason or "", at) for name, reason, at in session.execute(statement)
    )


def _nested(rows: list[tuple[str, Stage, int]]) -> dict[str, dict[Stage, int]]:
    nested: dict[str, dict[Stage, int]] = {}
    for name, stage, number in rows:
        nested.setdefault(name, {})[stage] = number
    return nested
