"""Queries for tomograms, their segmentations and data roots."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from db.errors import CatalogError, UnknownNameError
from db.models.patches import Patch
from db.models.people import Person
from db.models.volumes import DataRoot, Dataset, Permission, Segmentation, Tomogram
from db.queries.page import LIMIT, Page, count, page_of
from db.vocabulary import Licence, PictureState, Scope, Split, Stage

_VERSION = re.compile(
    r"([_.-](denoised|dn|deconv\w*|isonet\w*|cryocare\w*|topaz\w*|warp|filtered|corrected|raw|"
    r"sirt\d*|wbp|bin\d+|b\d+|\d+(\.\d+)?Apx))+$",
    re.IGNORECASE,
)
"""How names of reconstructions of one tilt series end."""

Shape = tuple[int, int, int]
"""(z, y, x)."""


@dataclass(frozen=True)
class FileRecord:
    """A volume file below a data root, as it was when it was registered."""

    root: str
    path: str
    shape: Shape
    dtype: str
    size_bytes: int
    mtime_ns: int
    content_hash: str | None

    @property
    def file(self) -> Path:
        return Path(self.root, self.path)


@dataclass(frozen=True)
class TomogramRecord:
    """A registered tomogram; ``voxel_size`` in angstrom, None if unknown."""

    id: int
    dataset: str
    token: str
    on_disk: FileRecord
    voxel_size: float | None
    voxel_size_is_override: bool
    header: Mapping[str, Any]
    split_pin: Split | None
    specimen: str | None
    thumbnail: PictureState
    preview: PictureState
    registered_at: datetime
    registered_by: str | None
    version: int

    @property
    def name(self) -> str:
        return f"{self.dataset}/{self.token}"


@dataclass(frozen=True)
class TomogramLine:
    """A tomogram in a list, with its patches by stage (withdrawn ones left out)."""

    tomogram: TomogramRecord
    segmentations: int
    patches: Mapping[Stage, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentationRecord:
    """A predicted label volume of a tomogram."""

    id: int
    tomogram_id: int
    on_disk: FileRecord
    model: str | None
    checkpoint: str | None
    threshold: float | None
    membrane_label: int | None
    run: int
    registered_at: datetime


@dataclass(frozen=True)
class PermissionRecord:
    """The permission that the owner of a tomogram gave for its patches."""

    tomogram_id: int
    owner: str | None
    scope: Scope
    licence: Licence | None
    approved_by: str
    until: date | None
    embargo: date | None
    version: int


@dataclass(frozen=True)
class TomogramFilter:
    """A selection of tomograms; None does not filter."""

    dataset: str | None = None
    text: str | None = None
    """Part of the token, in any case."""
    split_pin: Split | None = None
    without_patches: bool = False


def get_tomogram(session: Session, name: str) -> TomogramRecord:
    """Find the tomogram of a token, or of DATASET/TOKEN where several datasets have that token.

    Errors: UnknownNameError with the nearest tokens; CatalogError for an ambiguous one.
    """
    dataset, _, token = name.rpartition("/")
    statement = _tomograms().where(Tomogram.token == token)
    if dataset:
        statement = statement.where(Dataset.token == dataset)
    rows = session.execute(statement).all()
    if not rows:
        raise UnknownNameError.among("tomogram", name, session.scalars(select(Tomogram.token)))
    if len(rows) > 1:
        meant = " or ".join(sorted(f"{row[1]}/{token}" for row in rows))
        raise CatalogError(f"tomogram {token}: several datasets have it; write {meant}.")
    return _tomogram_record(*rows[0])


def tomogram_by_id(session: Session, tomogram_id: int) -> TomogramRecord:
    """Read the tomogram of an id that the catalog gave."""
    return _tomogram_record(*session.execute(_tomograms().where(Tomogram.id == tomogram_id)).one())


def find_tomogram(session: Session, dataset: str, token: str) -> TomogramRecord | None:
    """Find the tomogram of a dataset and token, or None."""
    statement = _tomograms().where(Dataset.token == dataset, Tomogram.token == token)
    row = session.execute(statement).one_or_none()
    return _tomogram_record(*row) if row else None


def list_tomograms(
    session: Session, wanted: TomogramFilter | None = None, offset: int = 0, limit: int = LIMIT
) -> Page[TomogramLine]:
    """Tomograms in the order of dataset and token."""
    where = list(_tomogram_conditions(wanted or TomogramFilter()))
    total = count(session, Tomogram.id, where)
    statement = _tomograms().where(*where).order_by(Dataset.token, Tomogram.token)
    records = [_tomogram_record(*row) for row in session.execute(page_of(statement, offset, limit))]
    ids = [record.id for record in records]
    segmentations = _segmentation_counts(session, ids)
    stages = _stage_counts(session, ids)
    lines = (
        TomogramLine(
            tomogram=r, segmentations=segmentations.get(r.id, 0), patches=stages.get(r.id, {})
        )
        for r in records
    )
    return Page(tuple(lines), total, offset)


def tomograms_of_size(session: Session, size_bytes: int) -> list[TomogramRecord]:
    """Tomograms whose file has this many bytes: they may be the same."""
    statement = _tomograms().where(Tomogram.size_bytes == size_bytes)
    return [_tomogram_record(*row) for row in session.execute(statement)]


def tomograms_hashed(session: Session, content_hash: str) -> list[TomogramRecord]:
    """Tomograms whose files hold just these bytes."""
    statement = _tomograms().where(Tomogram.content_hash == content_hash).order_by(Tomogram.id)
    return [_tomogram_record(*row) for row in session.execute(statement)]


def token_twin(session: Session, dataset: str, token: str) -> str | None:
    """Find a registered token that differs from this one only in capital letters.

    ``lower`` of SQLite knows ASCII alone: other letters count as they are.
    """
    statement = (
        select(Tomogram.token)
        .join(Dataset, Dataset.id == Tomogram.dataset_id)
        .where(
            func.lower(Dataset.token) == dataset.lower(),
            func.lower(Tomogram.token) == token.lower(),
        )
        .where((Dataset.token != dataset) | (Tomogram.token != token))
    )
    return session.scalar(statement.limit(1))


def likely_twins(session: Session, dataset: str, token: str) -> tuple[str, ...]:
    """List tomograms that by their token show the same specimen: TS_1 and TS_1_denoised."""
    stem = _VERSION.sub("", token)
    statement = (
        select(Tomogram.token)
        .join(Dataset, Dataset.id == Tomogram.dataset_id)
        .where(Dataset.token == dataset, Tomogram.token.startswith(stem, autoescape=True))
        .where(Tomogram.token != token)
    )
    found = [other for other in session.scalars(statement) if _VERSION.sub("", other) == stem]
    return tuple(f"{dataset}/{other}" for other in sorted(found))


def patch_count(session: Session, tomogram_id: int) -> int:
    """Count the patches of a tomogram, withdrawn ones too."""
    return count(session, Patch.id, [Patch.tomogram_id == tomogram_id])


def was_cut(
    session: Session, *, tomogram_id: int | None = None, segmentation_id: int | None = None
) -> bool:
    """Tell whether any patch was extracted from a tomogram, or from a segmentation."""
    source = (
        Patch.segmentation_id == segmentation_id
        if tomogram_id is None
        else Patch.tomogram_id == tomogram_id
    )
    return count(session, Patch.id, [source, Patch.label_hash.is_not(None)]) > 0


def tomogram_at(session: Session, file: Path) -> TomogramRecord | None:
    """Find the tomogram that is registered for a file."""
    for root_id, root in session.execute(select(DataRoot.id, DataRoot.path)):
        if file.is_relative_to(root):
            below = file.relative_to(root).as_posix()
            where = _tomograms().where(Tomogram.root_id == root_id, Tomogram.path == below)
            row = session.execute(where).one_or_none()
            if row:
                return _tomogram_record(*row)
    return None


def segmentations_of(session: Session, tomogram_id: int) -> tuple[SegmentationRecord, ...]:
    """List the segmentations of a tomogram, newest first; of each file only its last run."""
    statement = (
        select(Segmentation, DataRoot.path)
        .join(DataRoot, DataRoot.id == Segmentation.root_id)
        .where(Segmentation.tomogram_id == tomogram_id, _is_last_run())
        .order_by(Segmentation.id.desc())
    )
    return tuple(_segmentation_record(*row) for row in session.execute(statement))


def segmentation_by_id(session: Session, segmentation_id: int) -> SegmentationRecord:
    """Read the segmentation of an id that the catalog gave."""
    statement = (
        select(Segmentation, DataRoot.path)
        .join(DataRoot, DataRoot.id == Segmentation.root_id)
        .where(Segmentation.id == segmentation_id)
    )
    return _segmentation_record(*session.execute(statement).one())


def permission_of(session: Session, tomogram_id: int) -> PermissionRecord | None:
    """Read the permission of a tomogram, or None where nobody stated one."""
    row = session.scalar(select(Permission).where(Permission.tomogram_id == tomogram_id))
    if row is None:
        return None
    return PermissionRecord(
        tomogram_id=row.tomogram_id,
        owner=row.owner,
        scope=row.scope,
        licence=row.licence,
        approved_by=row.approved_by,
        until=row.until,
        embargo=row.embargo,
        version=row.version,
    )


def list_roots(session: Session) -> tuple[Path, ...]:
    """List the data roots, below which tomograms may lie."""
    return tuple(map(Path, session.scalars(select(DataRoot.path).order_by(DataRoot.path))))


def files_below(session: Session, root: Path) -> tuple[FileRecord, ...]:
    """List every registered file of a data root, tomograms first."""
    root_id = select(DataRoot.id).where(DataRoot.path == str(root)).scalar_subquery()
    tomograms = session.scalars(select(Tomogram).where(Tomogram.root_id == root_id))
    files = [_file_record(row, str(root)) for row in tomograms]
    last = select(Segmentation).where(Segmentation.root_id == root_id, _is_last_run())
    segmentations = session.scalars(last)
    return (*files, *(_file_record(row, str(root)) for row in segmentations))


def tomograms_in(session: Session, folder: Path) -> dict[str, str]:
    """DATASET/TOKEN of the tomograms whose files lie just in this folder, by file name."""
    found: dict[str, str] = {}
    for root_id, root in session.execute(select(DataRoot.id, DataRoot.path)):
        if not folder.is_relative_to(root):
            continue
        below = folder.relative_to(root).as_posix()
        start = "" if below == "." else f"{below}/"
        statement = (
            select(Tomogram.path, Dataset.token, Tomogram.token)
            .join(Dataset, Dataset.id == Tomogram.dataset_id)
            .where(Tomogram.root_id == root_id, Tomogram.path.startswith(start, autoescape=True))
        )
        for path, dataset, token in session.execute(statement):
            name = path.removeprefix(start)
            if "/" not in name:
                found[name] = f"{dataset}/{token}"
    return found


def all_tomograms(session: Session) -> tuple[TomogramRecord, ...]:
    """List every tomogram in the order of registering."""
    return tuple(
        _tomogram_record(*row) for row in session.execute(_tomograms().order_by(Tomogram.id))
    )


def tomogram_files(session: Session) -> tuple[tuple[Path, str], ...]:
    """List every tomogram's file and its DATASET/TOKEN."""
    statement = (
        select(DataRoot.path, Tomogram.path, Dataset.token, Tomogram.token)
        .join(DataRoot, DataRoot.id == Tomogram.root_id)
        .join(Dataset, Dataset.id == Tomogram.dataset_id)
        .order_by(Tomogram.id)
    )
    return tuple(
        (Path(root, path), f"{dataset}/{token}")
        for root, path, dataset, token in session.execute(statement)
    )


def list_datasets(session: Session) -> tuple[str, ...]:
    """List the tokens of all datasets."""
    return tuple(session.scalars(select(Dataset.token).order_by(Dataset.token)))


def tomogram_names(session: Session) -> tuple[str, ...]:
    """List every DATASET/TOKEN, for a picker."""
    statement = (
        select(Dataset.token, Tomogram.token)
        .join(Dataset, Dataset.id == Tomogram.dataset_id)
        .order_by(Dataset.token, Tomogram.token)
    )
    return tuple(f"{dataset}/{token}" for dataset, token in session.execute(statement))


def _tomograms() -> Any:
    registrar = aliased(Person)
    return (
        select(Tomogram, Dataset.token, DataRoot.path, registrar.name)
        .join(Dataset, Dataset.id == Tomogram.dataset_id)
        .join(DataRoot, DataRoot.id == Tomogram.root_id)
        .outerjoin(registrar, registrar.id == Tomogram.registered_by_id)
    )


def _tomogram_conditions(wanted: TomogramFilter) -> Iterable[Any]:
    if wanted.dataset is not None:
        dataset = select(Dataset.id).where(Dataset.token == wanted.dataset).scalar_subquery()
        yield Tomogram.dataset_id == dataset
    if wanted.text:
        yield Tomogram.token.icontains(wanted.text, autoescape=True)
    if wanted.split_pin is not None:
        yield Tomogram.split_pin == wanted.split_pin
    if wanted.without_patches:
        yield ~exists().where(Patch.tomogram_id == Tomogram.id)


def _is_last_run() -> Any:
    """Leave out predictions whose file was overwritten by a later one."""
    later = aliased(Segmentation)
    return ~exists().where(
        later.tomogram_id == Segmentation.tomogram_id,
        later.root_id == Segmentation.root_id,
        later.path == Segmentation.path,
        later.run > Segmentation.run,
    )


def _segmentation_counts(session: Session, ids: list[int]) -> dict[int, int]:
    statement = (
        select(Segmentation.tomogram_id, func.count())
        .where(Segmentation.tomogram_id.in_(ids), _is_last_run())
        .group_by(Segmentation.tomogram_id)
    )
    return dict(session.execute(statement).all())


def _stage_counts(session: Session, ids: list[int]) -> dict[int, dict[Stage, int]]:
    statement = (
        select(Patch.tomogram_id, Patch.stage, func.count())
        .where(Patch.tomogram_id.in_(ids), Patch.withdrawn.is_(False))
        .group_by(Patch.tomogram_id, Patch.stage)
    )
    counts: dict[int, dict[Stage, int]] = {}
    for tomogram, stage, number in session.execute(statement):
        if tomogram is not None:
            counts.setdefault(tomogram, {})[stage] = number
    return counts


def _file_record(row: Tomogram | Segmentation, root: str) -> FileRecord:
    shape = row.shape_z, row.shape_y, row.shape_x
    return FileRecord(
        root=root,
        path=row.path,
        shape=shape,
        dtype=row.dtype,
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        content_hash=row.content_hash,
    )


def _tomogram_record(
    row: Tomogram, dataset: str, root: str, registered_by: str | None
) -> TomogramRecord:
    return TomogramRecord(
        id=row.id,
        dataset=dataset,
        token=row.token,
        on_disk=_file_record(row, root),
        voxel_size=row.voxel_size,
        voxel_size_is_override=row.voxel_size_is_override,
        header=row.header,
        split_pin=row.split_pin,
        specimen=row.specimen,
        thumbnail=row.thumbnail,
        preview=row.preview,
        registered_at=row.registered_at,
        registered_by=registered_by,
        version=row.version,
    )


def _segmentation_record(row: Segmentation, root: str) -> SegmentationRecord:
    return SegmentationRecord(
        id=row.id,
        tomogram_id=row.tomogram_id,
        on_disk=_file_record(row, root),
        model=row.model,
        checkpoint=row.checkpoint,
        threshold=row.threshold,
        membrane_label=row.membrane_label,
        run=row.run,
        registered_at=row.registered_at,
    )
