"""Read the scores of segmentations, and which patches a model was trained on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, cast, func, literal, or_, select
from sqlalchemy.orm import Session

from db.models.patches import Patch
from db.models.sharing import Export, ExportPatch, Score
from db.models.volumes import Segmentation
from db.queries.page import LIMIT, Page, page_of
from db.queries.sharing import first_splits
from db.vocabulary import ExportKind, Split


@dataclass(frozen=True)
class ScoreRecord:
    """Agreement of a segmentation with an accepted label of a patch."""

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
class ModelScore:
    """The scores of a model's segmentations, put together."""

    model: str
    in_training: bool
    patches: int
    dice: float | None
    surface_dice: float | None


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
    rows = session.execute(page_of(statement, offset, limit)).all()
    splits = first_splits(session, {row.patch_id for row, _, _ in rows})
    return Page(
        tuple(
            ScoreRecord(
                patch=name,
                tomogram_id=segmentation.tomogram_id,
                segmentation_id=segmentation.id,
                model=segmentation.model,
                checkpoint=segmentation.checkpoint,
                merge_id=row.merge_id,
                split=splits.get(row.patch_id),
                dice=row.dice,
                surface_dice=row.surface_dice,
                method=row.method,
                compared_voxels=row.compared_voxels,
                in_training=row.in_training,
                scored_at=row.scored_at,
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
