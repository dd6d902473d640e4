"""Datasets, data roots, tomograms and their segmentations: files that stay where they are."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Changed, JsonDict, one_of, word
from db.vocabulary import Licence, PictureState, Scope, Split


class Dataset(Base):
    """A group of tomograms; its token is the first part of every file name."""

    __tablename__ = "datasets"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("length(token) BETWEEN 1 AND 120", name="token_length"),)


class DataRoot(Base):
    """A folder below which tomograms may lie; they move with it."""

    __tablename__ = "data_roots"
    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(unique=True)
    added_at: Mapped[datetime]
    added_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))


class OnDisk:
    """A volume file below a data root, and what it was when it was registered."""

    root_id: Mapped[int] = mapped_column(ForeignKey("data_roots.id"))
    path: Mapped[str]
    """Below the root, with forward slashes."""
    shape_z: Mapped[int]
    shape_y: Mapped[int]
    shape_x: Mapped[int]
    dtype: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    content_hash: Mapped[str | None]
    """sha256 of the file's bytes; None until a job has read it."""


class Tomogram(OnDisk, Changed, Base):
    """A 3D reconstruction, known by a token that is unique in its dataset."""

    __tablename__ = "tomograms"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    token: Mapped[str]
    voxel_size: Mapped[float | None]
    """Angstrom; None is unknown."""
    voxel_size_is_override: Mapped[bool] = mapped_column(default=False)
    header: Mapped[JsonDict]
    """What the file says of itself that we do not use: warnings of its reader."""
    split_pin: Mapped[Split | None] = word(Split)
    specimen: Mapped[str | None]
    """Tomograms of one specimen (a tilt series, a denoised twin) stay together in a split."""
    thumbnail: Mapped[PictureState] = word(PictureState, default=PictureState.ABSENT)
    preview: Mapped[PictureState] = word(PictureState, default=PictureState.ABSENT)
    registered_at: Mapped[datetime]
    registered_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))

    __table_args__ = (
        UniqueConstraint("dataset_id", "token"),
        UniqueConstraint("root_id", "path"),
        CheckConstraint("shape_z > 0 AND shape_y > 0 AND shape_x > 0", name="shape"),
        CheckConstraint("voxel_size > 0", name="voxel_size"),
        one_of("split_pin", Split),
        one_of("thumbnail", PictureState),
        one_of("preview", PictureState),
        Index(None, "token"),
        Index(None, "content_hash"),
        Index(None, "specimen"),
        Index(None, "size_bytes"),
        Index(None, "registered_at"),
    )


class Segmentation(OnDisk, Base):
    """A predicted label volume of a tomogram; there may be several."""

    __tablename__ = "segmentations"
    id: Mapped[int] = mapped_column(primary_key=True)
    tomogram_id: Mapped[int] = mapped_column(ForeignKey("tomograms.id"))
    model: Mapped[str | None]
    checkpoint: Mapped[str | None]
    threshold: Mapped[float | None]
    membrane_label: Mapped[int | None]
    """The value that is membrane in a multi-class volume; None takes every value above 0."""
    run: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """Counts predictions that were written to the same path; patches keep the run they are of."""
    registered_at: Mapped[datetime]
    registered_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))

    __table_args__ = (
        UniqueConstraint("tomogram_id", "root_id", "path", "run"),
        CheckConstraint("run > 0", name="run"),
        CheckConstraint("shape_z > 0 AND shape_y > 0 AND shape_x > 0", name="shape"),
        Index(None, "model"),
    )


class Permission(Changed, Base):
    """Permission of a tomogram's owner to share its patches; one per tomogram."""

    __tablename__ = "permissions"
    id: Mapped[int] = mapped_column(primary_key=True)
    tomogram_id: Mapped[int] = mapped_column(ForeignKey("tomograms.id"), unique=True)
    owner: Mapped[str | None]
    scope: Mapped[Scope] = word(Scope)
    licence: Mapped[Licence | None] = word(Licence)
    approved_by: Mapped[str]
    until: Mapped[date | None]
    """The permission ends after this day."""
    embargo: Mapped[date | None]
    """Nothing leaves before this day."""

    __table_args__ = (
        one_of("scope", Scope),
        one_of("licence", Licence),
        CheckConstraint("scope = 'internal' OR licence IS NOT NULL", name="licence_stated"),
    )
