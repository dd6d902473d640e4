"""Register data roots, datasets, tomograms and segmentations; state permissions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db.errors import CatalogError, TakenNameError, UnknownNameError
from db.models.patches import Patch
from db.models.volumes import DataRoot, Dataset, Permission, Segmentation, Tomogram
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    segmentation_by_id,
    tomogram_by_id,
    tomograms_hashed,
)
from db.vocabulary import PictureState
from db.writes.events import Change, Subject, apply, check_version, record_event


@dataclass(frozen=True)
class FoundFile:
    """A volume file as it lies on disk now; ``shape`` is (z, y, x)."""

    path: Path
    shape: tuple[int, int, int]
    dtype: str
    size_bytes: int
    mtime_ns: int


def add_root(session: Session, change: Change, folder: Path) -> int:
    """Let tomograms lie below a folder; a folder that is a root already is kept."""
    row = session.scalar(select(DataRoot).where(DataRoot.path == str(folder)))
    if row is None:
        row = DataRoot(path=str(folder), added_at=change.at, added_by_id=change.by_id)
        session.add(row)
        session.flush()
        record_event(session, change, "root added", Subject("root", row.id, str(folder)))
    return row.id


def move_root(
    session: Session,
    change: Change,
    old: Path,
    new: Path,
    times: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """State that a data root moved; files keep their paths below it.

    ``times`` are the registered and the new modification times (ns) of files, by their path below
    the root.

    Errors: UnknownNameError; TakenNameError where the new folder is another root.
    """
    row = session.scalar(select(DataRoot).where(DataRoot.path == str(old)).with_for_update())
    if row is None:
        raise UnknownNameError.among("data root", str(old), session.scalars(select(DataRoot.path)))
    if session.scalar(select(DataRoot.id).where(DataRoot.path == str(new))):
        raise TakenNameError(f"{new}: is a data root already.")
    row.path = str(new)
    for path, (registered, now) in (times or {}).items():
        for table in (Tomogram, Segmentation):
            here = table.root_id == row.id, table.path == path, table.mtime_ns == registered
            session.execute(update(table).where(*here).values(mtime_ns=now))
    subject = Subject("root", row.id, str(new))
    record_event(session, change, "root moved", subject, {"path": str(old)}, {"path": str(new)})


def add_dataset(session: Session, change: Change, token: str) -> int:
    """Give the dataset of a token, made if it is not there."""
    row = session.scalar(select(Dataset).where(Dataset.token == token))
    if row is None:
        row = Dataset(token=token, created_at=change.at)
        session.add(row)
        session.flush()
        record_event(session, change, "dataset added", Subject("dataset", row.id, token))
    return row.id


def drop_unused_dataset(session: Session, token: str) -> None:
    """Drop a dataset that has no tomogram and no patch left."""
    row = session.scalar(select(Dataset).where(Dataset.token == token))
    if row is None:
        return
    for table in (Tomogram, Patch):
        if session.scalar(select(table.id).where(table.dataset_id == row.id).limit(1)):
            return
    session.execute(delete(Dataset).where(Dataset.id == row.id))


def add_tomogram(
    session: Session,
    change: Change,
    name: tuple[str, str],
    file: FoundFile,
    voxel_size: tuple[float | None, bool],
    header: Mapping[str, Any],
) -> TomogramRecord:
    """Register a tomogram; ``name`` is dataset and token, the voxel size (angstrom, is override).

    Errors: TakenNameError where the token or the file is registered; CatalogError where it lies
    below no data root.
    """
    dataset, token = name
    dataset_id = add_dataset(session, change, dataset)
    root_id, path = _below_root(session, file.path)
    _check_free(session, dataset_id, name, (root_id, path))
    row = Tomogram(
        dataset_id=dataset_id,
        token=token,
        voxel_size=voxel_size[0],
        voxel_size_is_override=voxel_size[1],
        header=dict(header),
        registered_at=change.at,
        registered_by_id=change.by_id,
        updated_at=change.at,
        updated_by_id=change.by_id,
        thumbnail=PictureState.ABSENT,
        preview=PictureState.ABSENT,
        **_on_disk(file, root_id, path),
    )
    session.add(row)
    session.flush()
    after = {"path": str(file.path), "shape": file.shape, "voxel_size": voxel_size[0]}
    subject = Subject("tomogram", row.id, f"{dataset}/{token}")
    record_event(session, change, "tomogram registered", subject, None, after)
    return tomogram_by_id(session, row.id)


def lock_tomogram(session: Session, tomogram_id: int) -> None:
    """Take a tomogram for this transaction: nobody else adds patches to it until its end."""
    session.scalar(select(Tomogram.id).where(Tomogram.id == tomogram_id).with_for_update())


def add_segmentation(
    session: Session,
    change: Change,
    tomogram: TomogramRecord,
    file: FoundFile,
    model: str | None = None,
    checkpoint: str | None = None,
    threshold: float | None = None,
    membrane_label: int | None = None,
) -> SegmentationRecord:
    """Register a segmentation of a tomogram.

    Where its path is registered already it is the next run of that prediction.

    Errors: CatalogError where it lies below no root.
    """
    root_id, path = _below_root(session, file.path)
    earlier = select(func.max(Segmentation.run)).where(
        Segmentation.tomogram_id == tomogram.id,
        Segmentation.root_id == root_id,
        Segmentation.path == path,
    )
    row = Segmentation(
        tomogram_id=tomogram.id,
        model=model,
        checkpoint=checkpoint,
        threshold=threshold,
        membrane_label=membrane_label,
        run=(session.scalar(earlier) or 0) + 1,
        registered_at=change.at,
        registered_by_id=change.by_id,
        **_on_disk(file, root_id, path),
    )
    session.add(row)
    session.flush()
    after = {"path": str(file.path), "model": model, "threshold": threshold, "run": row.run}
    subject = Subject("tomogram", tomogram.id, tomogram.name)
    record_event(session, change, "segmentation registered", subject, None, after)
    return segmentation_by_id(session, row.id)


def change_segmentation(
    session: Session, change: Change, segmentation: SegmentationRecord, action: str, **values: Any
) -> None:
    """Change columns of a segmentation."""
    row = session.get_one(Segmentation, segmentation.id, with_for_update=True)
    before = {column: getattr(row, column) for column in values}
    for column, value in values.items():
        setattr(row, column, value)
    session.flush()
    name = tomogram_by_id(session, row.tomogram_id).name
    record_event(
        session, change, action, Subject("tomogram", row.tomogram_id, name), before, values
    )


def use_newer_run(session: Session, old: SegmentationRecord, new: SegmentationRecord) -> None:
    """Bind the patches that were chosen on a prediction, but not extracted, to its next run."""
    waiting = update(Patch).where(Patch.segmentation_id == old.id, Patch.label_hash.is_(None))
    session.execute(waiting.values(segmentation_id=new.id))


def change_tomogram(
    session: Session,
    change: Change,
    tomogram_id: int,
    action: str,
    seen: int | None = None,
    **values: Any,
) -> TomogramRecord:
    """Change columns of a tomogram: voxel size, pin, hash, pictures.

    Errors: ConflictError.
    """
    row = session.get_one(Tomogram, tomogram_id, with_for_update=True, populate_existing=True)
    name = tomogram_by_id(session, tomogram_id).name
    check_version(session, row, name, seen)
    before, after = apply(row, change, values)
    session.flush()
    record_event(session, change, action, Subject("tomogram", row.id, name), before, after)
    return tomogram_by_id(session, tomogram_id)


def relocate_tomogram(
    session: Session, change: Change, tomogram: TomogramRecord, file: FoundFile
) -> TomogramRecord:
    """State where the file of a tomogram lies now.

    Errors: CatalogError where it lies below no data root; TakenNameError where it is registered.
    """
    place = _below_root(session, file.path)
    _check_file_free(session, place)
    values = _on_disk(file, *place)
    return change_tomogram(session, change, tomogram.id, "tomogram relocated", **values)


def relocate_segmentation(
    session: Session, change: Change, segmentation: SegmentationRecord, file: FoundFile
) -> None:
    """State where the file of a segmentation lies now.

    Errors: CatalogError where it lies below no data root.
    """
    values = _on_disk(file, *_below_root(session, file.path))
    change_segmentation(session, change, segmentation, "segmentation relocated", **values)


def rename_tomogram(
    session: Session, change: Change, tomogram: TomogramRecord, dataset: str, token: str
) -> TomogramRecord:
    """Give a tomogram another dataset and token; its patches are renamed by ``rename_patch``.

    Errors: TakenNameError.
    """
    dataset_id = add_dataset(session, change, dataset)
    _check_name_free(session, dataset_id, (dataset, token))
    values: dict[str, Any] = {"dataset_id": dataset_id, "token": token}
    return change_tomogram(session, change, tomogram.id, "tomogram renamed", **values)


def remove_tomogram(session: Session, change: Change, tomogram: TomogramRecord) -> None:
    """Take a tomogram that no patch is of out of the catalog, with its segmentations."""
    for table in (Segmentation, Permission):
        session.execute(delete(table).where(table.tomogram_id == tomogram.id))
    session.execute(delete(Tomogram).where(Tomogram.id == tomogram.id))
    before = {"path": str(tomogram.on_disk.file), "version": tomogram.version}
    subject = Subject("tomogram", tomogram.id, tomogram.name)
    record_event(session, change, "tomogram unregistered", subject, before)


def remove_segmentation(session: Session, change: Change, segmentation: SegmentationRecord) -> None:
    """Take a segmentation that no patch was chosen on out of the catalog."""
    session.execute(delete(Segmentation).where(Segmentation.id == segmentation.id))
    name = tomogram_by_id(session, segmentation.tomogram_id).name
    subject = Subject("tomogram", segmentation.tomogram_id, name)
    before = {"path": str(segmentation.on_disk.file), "model": segmentation.model}
    record_event(session, change, "segmentation unregistered", subject, before)


def hash_tomogram(
    session: Session, change: Change, tomogram_id: int, content_hash: str
) -> tuple[str, ...]:
    """Note the sha256 of a tomogram's file; give the tomograms that hold the same bytes.

    The version that others saw stays good; the event names the same ones, too.
    """
    noted = update(Tomogram).where(Tomogram.id == tomogram_id).values(content_hash=content_hash)
    session.execute(noted.execution_options(synchronize_session=False))
    same = [item for item in tomograms_hashed(session, content_hash) if item.id != tomogram_id]
    names = tuple(item.name for item in same)
    after = {"content_hash": content_hash} | ({"same_bytes_as": names} if names else {})
    subject = Subject("tomogram", tomogram_id, tomogram_by_id(session, tomogram_id).name)
    record_event(session, change, "hashed", subject, None, after)
    return names


def hash_segmentation(session: Session, segmentation_id: int, content_hash: str) -> None:
    """Note the sha256 of a segmentation's file."""
    session.get_one(Segmentation, segmentation_id).content_hash = content_hash


def state_permission(
    session: Session,
    change: Change,
    tomogram: TomogramRecord,
    seen: int | None = None,
    **values: Any,
) -> None:
    """State how far a tomogram's patches may go.

    Values: scope, licence, approved_by, owner, until, embargo.

    Errors: ConflictError.
    """
    row = session.scalar(
        select(Permission).where(Permission.tomogram_id == tomogram.id).with_for_update()
    )
    subject = Subject("tomogram", tomogram.id, tomogram.name)
    if row is None:
        row = Permission(
            tomogram_id=tomogram.id, updated_at=change.at, updated_by_id=change.by_id, **values
        )
        session.add(row)
        before: Any = None
        after: Any = values
    else:
        check_version(session, row, tomogram.name, seen)
        before, after = apply(row, change, values)
    session.flush()
    record_event(session, change, "permission stated", subject, before, after)


def _below_root(session: Session, file: Path) -> tuple[int, str]:
    """Find the deepest data root above a file, and the path below it."""
    roots = session.execute(select(DataRoot.id, DataRoot.path)).all()
    above = [(len(Path(path).parts), key, path) for key, path in roots if file.is_relative_to(path)]
    if not above:
        raise CatalogError(f"{file}: lies below no data root; an admin registers its folder first.")
    _, root_id, root = max(above)
    return root_id, file.relative_to(root).as_posix()


def _check_free(
    session: Session, dataset_id: int, name: tuple[str, str], place: tuple[int, str]
) -> None:
    _check_name_free(session, dataset_id, name)
    _check_file_free(session, place)


def _check_name_free(session: Session, dataset_id: int, name: tuple[str, str]) -> None:
    taken = select(Tomogram.id).where(Tomogram.dataset_id == dataset_id, Tomogram.token == name[1])
    if session.scalar(taken):
        raise TakenNameError(
            f"tomogram {'/'.join(name)}: another file is registered under this token; name "
            "another with --token."
        )


def _check_file_free(session: Session, place: tuple[int, str]) -> None:
    file = select(Tomogram.token).where(Tomogram.root_id == place[0], Tomogram.path == place[1])
    taken = session.scalar(file)
    if taken:
        raise TakenNameError(f"{place[1]}: is registered already, as tomogram {taken}.")


def _on_disk(file: FoundFile, root_id: int, path: str) -> dict[str, Any]:
    z, y, x = file.shape
    return {
        "root_id": root_id,
        "path": path,
        "shape_z": z,
        "shape_y": y,
        "shape_x": x,
        "dtype": file.dtype,
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
    }
