"""Corrections and merges: slots (file names), their versions, and the labels made from them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, JsonDict, one_of, word
from db.vocabulary import CorrectionKind, Origin


class CorrectionSlot(Base):
    """A file name in a patch's correction folder; changed bytes are its next version."""

    __tablename__ = "correction_slots"
    id: Mapped[int] = mapped_column(primary_key=True)
    patch_id: Mapped[int] = mapped_column(ForeignKey("patches.id"))
    name: Mapped[str]
    kind: Mapped[CorrectionKind | None] = word(CorrectionKind)
    """None where the labels inside the file state the kinds."""
    latest: Mapped[int] = mapped_column(default=0)
    """Number of its latest version."""
    withdrawn: Mapped[bool] = mapped_column(default=False)
    missing: Mapped[bool] = mapped_column(default=False)
    """The file is gone from the folder; the next merge leaves it out."""

    __table_args__ = (
        one_of("kind", CorrectionKind),
        UniqueConstraint("patch_id", "name"),
        CheckConstraint("length(name) BETWEEN 1 AND 255", name="name_length"),
    )


class CorrectionVersion(Base):
    """The bytes that stood under a slot's name at one time; they stay in the store."""

    __tablename__ = "correction_versions"
    id: Mapped[int] = mapped_column(primary_key=True)
    slot_id: Mapped[int] = mapped_column(ForeignKey("correction_slots.id"))
    number: Mapped[int]
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    """Who painted it: the file's owner, or who uploaded it; None is unknown."""
    author_account: Mapped[str | None]
    software: Mapped[str | None]
    findings: Mapped[list[Any]]
    painted: Mapped[JsonDict]
    """Voxels by kind."""
    error: Mapped[str | None]
    """Why it cannot be merged; None where it can."""
    origin: Mapped[Origin] = word(Origin)
    received_at: Mapped[datetime]
    received_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))

    __table_args__ = (
        one_of("origin", Origin),
        UniqueConstraint("slot_id", "number"),
        CheckConstraint("length(sha256) = 64", name="sha256"),
        Index(None, "sha256"),
        Index(None, "author_id", "received_at"),
        Index(None, "received_at"),
    )


class Merge(Base):
    """A label that was made from a patch's corrections; never changed, only followed."""

    __tablename__ = "merges"
    id: Mapped[int] = mapped_column(primary_key=True)
    patch_id: Mapped[int] = mapped_column(ForeignKey("patches.id"))
    number: Mapped[int]
    predicted_hash: Mapped[str]
    """Of the extracted label it started from."""
    inputs: Mapped[list[Any]]
    """A list of {slot, version, sha256}, in the order they were merged."""
    rule: Mapped[str]
    counts: Mapped[JsonDict]
    values: Mapped[JsonDict]
    """Voxels of background, membrane and ignore."""
    findings: Mapped[list[Any]]
    nothing_to_change: Mapped[bool] = mapped_column(default=False)
    label_hash: Mapped[str]
    """Of the merged voxels."""
    file_sha256: Mapped[str]
    """Of the file in the store."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime]
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))

    __table_args__ = (
        UniqueConstraint("patch_id", "number"),
        CheckConstraint("length(file_sha256) = 64", name="file_sha256"),
        Index(None, "made_at"),
        Index(None, "file_sha256"),
    )
