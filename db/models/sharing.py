"""Exports, bundles that came in, and scores of segmentations."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, JsonDict, one_of, word
from db.vocabulary import ExportKind, Licence, Scope, Split


class Export(Base):
    """A training set or bundle that was written."""

    __tablename__ = "exports"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[ExportKind] = word(ExportKind)
    path: Mapped[str]
    manifest_sha256: Mapped[str]
    options: Mapped[JsonDict]
    scope: Mapped[Scope | None] = word(Scope)
    licence: Mapped[Licence | None] = word(Licence)
    patch_count: Mapped[int]
    made_at: Mapped[datetime]
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))

    __table_args__ = (
        one_of("kind", ExportKind),
        one_of("scope", Scope),
        one_of("licence", Licence),
        Index(None, "made_at"),
    )


class ExportPatch(Base):
    """A patch in an export, with the merge that was exported."""

    __tablename__ = "export_patches"
    export_id: Mapped[int] = mapped_column(ForeignKey("exports.id"), primary_key=True)
    patch_id: Mapped[int] = mapped_column(ForeignKey("patches.id"), primary_key=True)
    merge_id: Mapped[int] = mapped_column(ForeignKey("merges.id"))
    case: Mapped[str]
    """Its name in the export."""
    split: Mapped[Split | None] = word(Split)
    image_hash: Mapped[str | None]
    """Of the voxels that were written, by which the patch is known when it comes back."""

    __table_args__ = (
        one_of("split", Split),
        Index(None, "patch_id"),
        Index(None, "image_hash"),
    )


class Bundle(Base):
    """A bundle from another group, imported with its licence and attribution."""

    __tablename__ = "bundles"
    id: Mapped[int] = mapped_column(primary_key=True)
    bundle_id: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str | None]
    licence: Mapped[str]
    attribution: Mapped[str]
    sha256: Mapped[str]
    imported_at: Mapped[datetime]
    imported_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))


class Score(Base):
    """Agreement of a segmentation with an accepted label, outside ignored voxels."""

    __tablename__ = "scores"
    id: Mapped[int] = mapped_column(primary_key=True)
    segmentation_id: Mapped[int] = mapped_column(ForeignKey("segmentations.id"))
    patch_id: Mapped[int] = mapped_column(ForeignKey("patches.id"))
    merge_id: Mapped[int] = mapped_column(ForeignKey("merges.id"))
    dice: Mapped[float | None]
    surface_dice: Mapped[float | None]
    method: Mapped[str]
    compared_voxels: Mapped[int]
    in_training: Mapped[bool]
    """The patch was in the training set of the segmentation's model."""
    scored_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("segmentation_id", "merge_id"),
        Index(None, "patch_id"),
    )
