"""Patches and what people say of them: stage, marks, reviews, comments, holds and drafts."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Changed, one_of, together, word
from db.vocabulary import ChosenBecause, Stage, Verdict

ZYX = ("z", "y", "x")


class Patch(Changed, Base):
    """A box of a tomogram on its way to a training label."""

    __tablename__ = "patches"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    token: Mapped[str]
    """Of its tomogram; known from the name of an adopted or imported patch, too."""
    tomogram_id: Mapped[int | None] = mapped_column(ForeignKey("tomograms.id"))
    """None where an adopted patch was found in no registered tomogram: position unknown."""
    number: Mapped[int | None]
    """The last part of its name; None where an adopted name does not follow ours."""
    segmentation_id: Mapped[int | None] = mapped_column(ForeignKey("segmentations.id"))
    bundle_id: Mapped[int | None] = mapped_column(ForeignKey("bundles.id"))

    center_z: Mapped[int | None]
    center_y: Mapped[int | None]
    center_x: Mapped[int | None]
    start_z: Mapped[int | None]
    start_y: Mapped[int | None]
    start_x: Mapped[int | None]
    shape_z: Mapped[int]
    shape_y: Mapped[int]
    shape_x: Mapped[int]
    padded: Mapped[bool] = mapped_column(default=False)
    shifted: Mapped[bool] = mapped_column(default=False)
    voxel_size: Mapped[float | None]
    grid_spacing: Mapped[float | None]
    """Of its files, where the voxel size was stated after they were written: corrections that lie
    on their grid go on fitting. None is the voxel size."""
    threshold: Mapped[float | None]

    chosen_at: Mapped[datetime]
    chosen_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    chosen_because: Mapped[ChosenBecause] = word(ChosenBecause)
    note: Mapped[str | None]

    stage: Mapped[Stage] = word(Stage)
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    rejected_reason: Mapped[str | None]
    stale: Mapped[bool] = mapped_column(default=False)
    """The current merge does not hold what the correction folder holds."""
    withdrawn: Mapped[bool] = mapped_column(default=False)

    extracted_at: Mapped[datetime | None]
    image_hash: Mapped[str | None]
    """Of the extracted voxels: dtype, shape and little-endian z, y, x."""
    label_hash: Mapped[str | None]
    current_merge_id: Mapped[int | None] = mapped_column(
        ForeignKey("merges.id", use_alter=True, name="fk_patches_current_merge_id")
    )
    accepted_merge_id: Mapped[int | None] = mapped_column(
        ForeignKey("merges.id", use_alter=True, name="fk_patches_accepted_merge_id")
    )
    correction_count: Mapped[int] = mapped_column(default=0)
    merge_count: Mapped[int] = mapped_column(default=0)
    comment_count: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        one_of("stage", Stage),
        one_of("chosen_because", ChosenBecause),
        together("center", [f"center_{axis}" for axis in ZYX]),
        together("position", [f"start_{axis}" for axis in ZYX]),
        CheckConstraint("start_z IS NULL OR tomogram_id IS NOT NULL", name="position_in_tomogram"),
        CheckConstraint("shape_z > 1 AND shape_y > 1 AND shape_x > 1", name="shape"),
        CheckConstraint("stage = 'chosen' OR label_hash IS NOT NULL", name="extracted"),
        CheckConstraint(
            "stage NOT IN ('merged', 'in_review', 'accepted') OR current_merge_id IS NOT NULL",
            name="merged",
        ),
        CheckConstraint("stage <> 'accepted' OR accepted_merge_id IS NOT NULL", name="accepted"),
        CheckConstraint("length(name) BETWEEN 1 AND 250", name="name_length"),
        Index(None, "tomogram_id", "withdrawn", "stage"),
        Index(None, "dataset_id", "token", "number"),
        Index(None, "dataset_id", "withdrawn", "name"),
        Index(None, "withdrawn", "stage", "name"),
        Index(None, "withdrawn", "name"),
        Index(None, "withdrawn", "updated_at"),
        Index(None, "assignee_id", "withdrawn", "stage"),
        Index(None, "chosen_because"),
        Index(None, "segmentation_id"),
        Index(None, "image_hash"),
    )


class Review(Base):
    """A verdict on one merge version."""

    __tablename__ = "reviews"
    id: Mapped[int] = mapped_column(primary_key=True)
    patch_id: Mapped[int] = mapped_column(ForeignKey("patches.id"))
    merge_id: Mapped[int] = mapped_column(ForeignKey("merges.id"))
    verdict: Mapped[Verdict] = word(Verdict)
    reason: Mapped[str | None]
    reviewer_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    decided_at: Mapped[datetime]

    __table_args__ = (
        one_of("verdict", Verdict),
        CheckConstraint("verdict <> 'reject' OR length(reason) > 0", name="reason_stated"),
        Index(None, "patch_id"),
        Index(None, "reviewer_id", "decided_at"),
    )


class Comment(Base):
    """A comment on a patch, possibly at one voxel."""

    __tablename__ = "comments"
    id: Mapped[int] = mapped_column(primary_key=True)
    patch_id: Mapped[int] = mapped_column(ForeignKey("patches.id"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    text: Mapped[str]
    at_z: Mapped[int | None]
    at_y: Mapped[int | None]
    at_x: Mapped[int | None]
    made_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolved_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))

    __table_args__ = (
        together("place", [f"at_{axis}" for axis in ZYX]),
        CheckConstraint("length(text) BETWEEN 1 AND 10000", name="text_length"),
        Index(None, "patch_id"),
        Index(None, "resolved_at"),
    )


class Hold(Base):
    """The person who is painting on a patch; released when the heartbeat stops."""

    __tablename__ = "holds"
    patch_id: Mapped[int] = mapped_column(ForeignKey("patches.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    since: Mapped[datetime]
    heartbeat_at: Mapped[datetime]


class Draft(Base):
    """Unsaved strokes of a person on a patch; the voxels are in the drafts folder."""

    __tablename__ = "drafts"
    id: Mapped[int] = mapped_column(primary_key=True)
    patch_id: Mapped[int] = mapped_column(ForeignKey("patches.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    revision: Mapped[int] = mapped_column()
    saved_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("patch_id", "person_id"),)
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 - read once, at mapping
