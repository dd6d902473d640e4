"""Write the lives of patches back into a new catalog, from the records that lie beside them.

A record is what core.patches.record writes: people by name, merges by number, times as ISO
text in UTC. Rows get new ids; everything that people see is as it was.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.models.corrections import CorrectionSlot, CorrectionVersion, Merge
from db.models.patches import Comment, Patch, Review
from db.models.sharing import Bundle, Export, ExportPatch
from db.models.volumes import DataRoot, Permission, Segmentation, Tomogram
from db.vocabulary import (
    ChosenBecause,
    CorrectionKind,
    ExportKind,
    Licence,
    Origin,
    PictureState,
    Scope,
    Split,
    Stage,
    Verdict,
)
from db.writes.events import Change, Subject, record_event
from db.writes.volumes import add_dataset

Record = Mapping[str, Any]
People = Mapping[str, int]
"""Ids by name."""


def rebuild_patch(session: Session, change: Change, record: Record, people: People) -> None:
    """Add a patch with all that its record holds, and what it was cut from.

    Errors: KeyError, TypeError and ValueError for a record that lacks something; SQLAlchemy's for
    one that breaks a rule of the catalog.
    """
    dataset_id = add_dataset(session, change, record["dataset"])
    tomogram = _tomogram(session, change, dataset_id, record, people)
    segmentation = _segmentation(session, change, tomogram, record)
    patch = _patch(session, dataset_id, record, people)
    patch.tomogram_id = tomogram.id if tomogram else None
    patch.segmentation_id = segmentation.id if segmentation else None
    patch.bundle_id = _bundle_id(session, record, people)
    if record["start"] is not None:
        patch.start_z, patch.start_y, patch.start_x = record["start"]
    session.flush()
    _add_slots(session, patch, record, people)
    merges = _add_merges(session, patch, record, people)
    _add_reviews(session, patch, merges, record, people)
    _add_comments(session, patch, record, people)
    _add_exports(session, patch, merges, record)
    session.flush()
    _set_standing(session, patch, merges, record, people)
    subject = Subject("patch", patch.id, patch.name, patch.id)
    record_event(session, change, "patch rebuilt from its record", subject)


def _patch(session: Session, dataset_id: int, record: Record, people: People) -> Patch:
    chosen, marks, extracted = record["chosen"], record["marks"], record["extracted"]
    patch = Patch(
        name=record["name"],
        dataset_id=dataset_id,
        token=record["token"],
        number=record["number"],
        padded=record["padded"],
        shifted=record["shifted"],
        voxel_size=record["voxel_size"],
        grid_spacing=record.get("grid_spacing"),
        threshold=record["threshold"],
        chosen_at=_moment(chosen["at"]),
        chosen_by_id=people.get(chosen["by"]),
        chosen_because=ChosenBecause(chosen["because"]),
        note=chosen["note"],
        stage=Stage.EXTRACTED if extracted else Stage.CHOSEN,
        assignee_id=people.get(marks["assignee"]),
        rejected_reason=marks["rejected_reason"],
        stale=marks["stale"],
        withdrawn=marks["withdrawn"],
        updated_at=_moment(record["updated_at"]),
        updated_by_id=people.get(record["updated_by"]),
        correction_count=sum(_counts(slot) for slot in record["slots"]),
        merge_count=len(record["merges"]),
        comment_count=len(record["comments"]),
    )
    patch.shape_z, patch.shape_y, patch.shape_x = record["shape"]
    if record["center"] is not None:
        patch.center_z, patch.center_y, patch.center_x = record["center"]
    if extracted:
        patch.extracted_at = _moment(extracted["at"]) if extracted["at"] else None
        patch.image_hash, patch.label_hash = extracted["image_hash"], extracted["label_hash"]
    session.add(patch)
    return patch


def _counts(slot: Record) -> bool:
    return not slot["withdrawn"] and not slot["missing"]


def _tomogram(
    session: Session, change: Change, dataset_id: int, record: Record, people: People
) -> Tomogram | None:
    said = record["tomogram"]
    if said is None:
        return None
    token = Tomogram.dataset_id == dataset_id, Tomogram.token == record["token"]
    row = session.scalar(select(Tomogram).where(*token))
    if row is not None:
        return row
    registered_at, by = _moment(said["registered_at"]), people.get(said["registered_by"])
    row = Tomogram(
        dataset_id=dataset_id,
        token=record["token"],
        voxel_size=said["voxel_size"],
        voxel_size_is_override=said["voxel_size_is_override"],
        header=said["header"],
        split_pin=Split(said["split_pin"]) if said["split_pin"] else None,
        specimen=said.get("specimen"),
        thumbnail=PictureState.ABSENT,
        preview=PictureState.ABSENT,
        registered_at=registered_at,
        registered_by_id=by,
        updated_at=registered_at,
        updated_by_id=by,
        **_on_disk(session, change, said),
    )
    session.add(row)
    session.flush()
    if said["permission"]:
        _add_permission(session, change, row, said["permission"])
    return row


def _segmentation(
    session: Session, change: Change, tomogram: Tomogram | None, record: Record
) -> Segmentation | None:
    said = record["segmentation"]
    if said is None or tomogram is None:
        return None
    values = _on_disk(session, change, said)
    row = session.scalar(
        select(Segmentation).where(
            Segmentation.tomogram_id == tomogram.id,
            Segmentation.root_id == values["root_id"],
            Segmentation.path == values["path"],
        )
    )
    if row is None:
        row = Segmentation(
            tomogram_id=tomogram.id,
            model=said["model"],
            checkpoint=said["checkpoint"],
            threshold=said["threshold"],
            registered_at=_moment(said["registered_at"]),
            **values,
        )
        session.add(row)
        session.flush()
    return row


def _bundle_id(session: Session, record: Record, people: People) -> int | None:
    """The bundle of another group that an imported patch came with; None for our own."""
    message = record.get("bundle")
    if message is None:
        return None
    row = session.scalar(select(Bundle).where(Bundle.bundle_id == message["bundle_id"]))
    if row is None:
        same = ("bundle_id", "title", "licence", "attribution", "sha256")
        row = Bundle(
            imported_at=_moment(message["imported_at"]),
            imported_by_id=people.get(message["imported_by"]),
            **{name: message[name] for name in same},
        )
        session.add(row)
        session.flush()
    return row.id


def _on_disk(session: Session, change: Change, record: Record) -> dict[str, Any]:
    root = session.scalar(select(DataRoot).where(DataRoot.path == record["root"]))
    if root is None:
        root = DataRoot(path=record["root"], added_at=change.at, added_by_id=change.by_id)
        session.add(root)
        session.flush()
    z, y, x = record["shape"]
    return {
        "root_id": root.id,
        "path": record["path"],
        "shape_z": z,
        "shape_y": y,
        "shape_x": x,
        "dtype": record["dtype"],
        "size_bytes": record["size_bytes"],
        "mtime_ns": record["mtime_ns"],
        "content_hash": record["content_hash"],
    }


def _add_permission(session: Session, change: Change, tomogram: Tomogram, record: Record) -> None:
    days = {
        name: date.fromisoformat(record[name]) if record[name] else None
        for name in ("until", "embargo")
    }
    session.add(
        Permission(
            tomogram_id=tomogram.id,
            owner=record["owner"],
            scope=Scope(record["scope"]),
            licence=Licence(record["licence"]) if record["licence"] else None,
            approved_by=record["approved_by"],
            updated_at=change.at,
            updated_by_id=change.by_id,
            **days,
        )
    )


def _add_slots(session: Session, patch: Patch, record: Record, people: People) -> None:
    for said in record["slots"]:
        slot = CorrectionSlot(
            patch_id=patch.id,
            name=said["name"],
            kind=CorrectionKind(said["kind"]) if said["kind"] else None,
            latest=max((version["number"] for version in said["versions"]), default=0),
            withdrawn=said["withdrawn"],
            missing=said["missing"],
        )
        session.add(slot)
        session.flush()
        same = (
            "number",
            "sha256",
            "size_bytes",
            "author_account",
            "software",
            "findings",
            "painted",
            "error",
        )
        for version in said["versions"]:
            session.add(
                CorrectionVersion(
                    slot_id=slot.id,
                    author_id=people.get(version["author"]),
                    origin=Origin(version["origin"]),
                    received_at=_moment(version["received_at"]),
                    received_by_id=people.get(version["received_by"]),
                    **{name: version[name] for name in same},
                )
            )


def _add_merges(session: Session, patch: Patch, record: Record, people: People) -> dict[int, int]:
    """Add the merges; give their ids by number."""
    same = (
        "number",
        "predicted_hash",
        "inputs",
        "rule",
        "counts",
        "values",
        "findings",
        "nothing_to_change",
        "label_hash",
        "file_sha256",
        "size_bytes",
    )
    rows = [
        Merge(
            patch_id=patch.id,
            made_at=_moment(said["made_at"]),
            made_by_id=people.get(said["made_by"]),
            **{name: said[name] for name in same},
        )
        for said in record["merges"]
    ]
    session.add_all(rows)
    session.flush()
    return {row.number: row.id for row in rows}


def _add_reviews(
    session: Session, patch: Patch, merges: Mapping[int, int], record: Record, people: People
) -> None:
    for said in record["reviews"]:
        session.add(
            Review(
                patch_id=patch.id,
                merge_id=merges[said["merge"]],
                verdict=Verdict(said["verdict"]),
                reason=said["reason"],
                reviewer_id=people.get(said["reviewer"]),
                decided_at=_moment(said["decided_at"]),
            )
        )
        session.flush()


def _add_comments(session: Session, patch: Patch, record: Record, people: People) -> None:
    for said in record["comments"]:
        z, y, x = said["at"] or (None, None, None)
        session.add(
            Comment(
                patch_id=patch.id,
                author_id=people.get(said["author"]),
                text=said["text"],
                at_z=z,
                at_y=y,
                at_x=x,
                made_at=_moment(said["made_at"]),
                resolved_at=_moment(said["resolved_at"]) if said["resolved_at"] else None,
                resolved_by_id=people.get(said["resolved_by"]),
            )
        )
        session.flush()


def _add_exports(session: Session, patch: Patch, merges: Mapping[int, int], record: Record) -> None:
    """Exports are found together again by kind, path and time; their options are not known."""
    for said in record["exports"]:
        made_at, kind = _moment(said["made_at"]), ExportKind(said["kind"])
        same = Export.kind == kind, Export.path == said["path"], Export.made_at == made_at
        row = session.scalar(select(Export).where(*same))
        if row is None:
            row = Export(
                kind=kind,
                path=said["path"],
                made_at=made_at,
                manifest_sha256="",
                options={"rebuilt": True},
                patch_count=0,
            )
            session.add(row)
            session.flush()
        row.patch_count += 1
        split = Split(said["split"]) if said["split"] else None
        entry = {"case": said["case"], "split": split, "merge_id": merges[said["merge"]]}
        session.add(ExportPatch(export_id=row.id, patch_id=patch.id, **entry))


def _set_standing(
    session: Session, patch: Patch, merges: Mapping[int, int], record: Record, people: People
) -> None:
    """Stage and version last: the catalog's rules ask for the merges first."""
    values = {
        "stage": Stage(record["stage"]),
        "version": record["version"],
        "current_merge_id": merges[record["current_merge"]] if record["current_merge"] else None,
        "accepted_merge_id": merges[record["accepted_merge"]] if record["accepted_merge"] else None,
    }
    statement = update(Patch).where(Patch.id == patch.id).values(values)
    session.execute(statement.execution_options(synchronize_session=False))
    session.expire(patch)


def _moment(message: str) -> datetime:
    return datetime.fromisoformat(message)
