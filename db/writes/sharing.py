"""Add exports, bundles that came in and their patches and scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from db.errors import UnknownNameError
from db.models.sharing import Bundle, Export, ExportPatch, Score
from db.models.volumes import Segmentation
from db.models.work import Fact
from db.queries.patches import PatchRecord, patch_by_id
from db.queries.scores import trained_in
from db.queries.sharing import IMPORTED, PSEUDONYM_KEY, SECOND
from db.vocabulary import (
    ChosenBecause,
    ExportKind,
    Licence,
    Scope,
    Split,
    Stage,
)
from db.writes.corrections import MadeMerge, add_merge
from db.writes.events import Change, Subject, record_event
from db.writes.patches import adopt_patch, change_patch


@dataclass(frozen=True)
class ExportedCase:
    """A patch in an export, with the merge that was exported."""

    patch_id: int
    merge_id: int
    case: str
    split: Split | None
    """None where the split was leaky, and is not kept."""
    image_hash: str
    """Of the voxels that were written: z-scored, perhaps rounded and cut."""


@dataclass(frozen=True)
class MadeExport:
    """An export as it was written."""

    kind: ExportKind
    path: str
    manifest_sha256: str
    options: Mapping[str, Any]
    cases: tuple[ExportedCase, ...]
    scope: Scope | None = None
    licence: Licence | None = None


@dataclass(frozen=True)
class IncomingPatch:
    """A patch of another group, whose files lie in the workspace already."""

    name: str
    dataset: str
    token: str
    number: int | None
    shape: tuple[int, int, int]
    """(z, y, x)."""
    voxel_size: float | None
    image_hash: str
    label_hash: str
    file_sha256: str
    """Of the label in the store."""
    size_bytes: int
    values: Mapping[str, int]
    origin: Mapping[str, Any]
    """Where it comes from, frozen: bundle, patch_id, source_group, licence, attribution, …"""
    note: str


@dataclass(frozen=True)
class MadeScore:
    """A segmentation held against an accepted label."""

    segmentation_id: int
    patch_id: int
    merge_id: int
    dice: float | None
    surface_dice: float | None
    method: str
    compared_voxels: int
    in_training: bool


def add_export(session: Session, change: Change, made: MadeExport) -> int:
    """Record an export and every patch that it holds; give its id."""
    row = Export(
        kind=made.kind,
        path=made.path,
        manifest_sha256=made.manifest_sha256,
        options=dict(made.options),
        scope=made.scope,
        licence=made.licence,
        patch_count=len(made.cases),
        made_at=change.at,
        made_by_id=change.by_id,
    )
    session.add(row)
    session.flush()
    session.add_all(
        ExportPatch(
            export_id=row.id,
            patch_id=case.patch_id,
            merge_id=case.merge_id,
            case=case.case,
            split=case.split,
            image_hash=case.image_hash,
        )
        for case in made.cases
    )
    after = {"kind": made.kind, "patches": len(made.cases)}
    record_event(session, change, "exported", Subject("export", row.id, made.path), None, after)
    return row.id


def keep_pseudonym_key(session: Session, key: str) -> str:
    """Keep a key of pseudonyms unless there is one already; the one that counts."""
    session.scalar(select(Fact).where(Fact.key == "catalog_id").with_for_update())
    kept = session.get(Fact, PSEUDONYM_KEY)
    if kept is None:
        session.add(Fact(key=PSEUDONYM_KEY, value=key))
        session.flush()
        return key
    return str(kept.value)


def add_bundle(
    session: Session,
    change: Change,
    bundle_id: str,
    about: tuple[str | None, str, str],
    sha256: str,
) -> int:
    """Record an imported bundle (once); ``about`` is title, licence and attribution.

    Until the end of the transaction nobody else imports anything.
    """
    session.scalar(select(Fact).where(Fact.key == "catalog_id").with_for_update())
    row = session.scalar(select(Bundle).where(Bundle.bundle_id == bundle_id))
    if row is None:
        title, licence, attribution = about
        row = Bundle(
            bundle_id=bundle_id,
            title=title,
            licence=licence,
            attribution=attribution,
            sha256=sha256,
            imported_at=change.at,
            imported_by_id=change.by_id,
        )
        session.add(row)
        session.flush()
        record_event(session, change, "bundle imported", Subject("bundle", row.id, bundle_id))
    return row.id


def import_patch(
    session: Session, change: Change, bundle_id: int, incoming: IncomingPatch
) -> PatchRecord:
    """Add a patch of an imported bundle, accepted as it came.

    Errors: TakenNameError.
    """
    z, y, x = incoming.shape
    values = {
        "token": incoming.token,
        "number": incoming.number,
        "tomogram_id": None,
        "bundle_id": bundle_id,
        "shape_z": z,
        "shape_y": y,
        "shape_x": x,
        "voxel_size": incoming.voxel_size,
        "chosen_because": ChosenBecause.OTHER,
        "note": incoming.note,
        "stage": Stage.EXTRACTED,
        "extracted_at": change.at,
        "image_hash": incoming.image_hash,
        "label_hash": incoming.label_hash,
        "padded": False,
        "shifted": False,
    }
    patch = adopt_patch(session, change, incoming.dataset, incoming.name, values)
    merge = add_merge(session, change, patch, _merge(incoming, IMPORTED))
    return change_patch(
        session,
        change,
        patch,
        "patch imported",
        stage=Stage.ACCEPTED,
        current_merge_id=merge.id,
        accepted_merge_id=merge.id,
        merge_count=1,
    )


def add_second_annotation(
    session: Session, change: Change, patch_id: int, incoming: IncomingPatch
) -> PatchRecord:
    """Keep another group's label of a patch that is there already; it never becomes current."""
    patch = patch_by_id(session, patch_id)
    add_merge(session, change, patch, _merge(incoming, SECOND))
    return patch_by_id(session, patch_id)


def add_scores(session: Session, change: Change, made: Sequence[MadeScore]) -> None:
    """Record scores; one of the same segmentation and label is measured anew."""
    for score in made:
        row = session.scalar(
            select(Score).where(
                Score.segmentation_id == score.segmentation_id, Score.merge_id == score.merge_id
            )
        )
        if row is None:
            row = Score(segmentation_id=score.segmentation_id, merge_id=score.merge_id)
            session.add(row)
        row.patch_id, row.dice, row.surface_dice = score.patch_id, score.dice, score.surface_dice
        row.method, row.compared_voxels = score.method, score.compared_voxels
        row.in_training, row.scored_at = score.in_training, change.at
    session.flush()
    by_segmentation: dict[int, int] = {}
    for score in made:
        by_segmentation[score.segmentation_id] = by_segmentation.get(score.segmentation_id, 0) + 1
    for segmentation_id, count in sorted(by_segmentation.items()):
        subject = Subject("segmentation", segmentation_id, f"segmentation {segmentation_id}")
        record_event(session, change, "scored", subject, None, {"patches": count})


def note_model(session: Session, change: Change, export_id: int, model: str) -> int:
    """Note that a model was trained on an exported set; how many scores that marks.

    Errors: UnknownNameError.
    """
    export = session.get(Export, export_id)
    if export is None or export.kind is not ExportKind.TRAINING_SET or not model:
        raise UnknownNameError.among("training set", str(export_id), ())
    models = sorted({*map(str, export.options.get("models", ())), model})
    export.options = {**export.options, "models": models}
    named = select(Segmentation.id).where(
        or_(Segmentation.model == model, Segmentation.checkpoint == model)
    )
    marked = session.scalars(
        select(Score).where(
            Score.segmentation_id.in_(named), Score.patch_id.in_(trained_in(session, export_id))
        )
    ).all()
    for score in marked:
        score.in_training = True
    subject = Subject("export", export.id, export.path)
    record_event(session, change, "model trained", subject, None, {"model": model})
    return len(marked)


def _merge(incoming: IncomingPatch, rule: str) -> MadeMerge:
    return MadeMerge(
        predicted_hash=incoming.label_hash,
        inputs=(dict(incoming.origin),),
        rule=rule,
        counts={},
        values=dict(incoming.values),
        findings=(),
        nothing_to_change=False,
        label_hash=incoming.label_hash,
        file_sha256=incoming.file_sha256,
        size_bytes=incoming.size_bytes,
    )
