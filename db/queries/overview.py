"""What waits for whom, and what the labels hold in all: the numbers of the first page."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models.corrections import Merge
from db.models.patches import Patch, Review
from db.models.people import Person, SavedView
from db.models.volumes import Dataset, Tomogram
from db.vocabulary import Stage, Verdict

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
        ViewRecord(row.name, owner, row.page, row.rules, row.shared, row.owner_id == person_id)
        for row, owner in session.execute(statement)
    )
