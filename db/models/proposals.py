"""Proposed places: where a patch is expected to correct much, and what somebody decided."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, JsonDict, one_of, word
from db.vocabulary import Dismissal, ProposalState


class Proposal(Base):
    """A proposed patch center; accepted it has a patch, whose merges tell what was corrected."""

    __tablename__ = "proposals"
    id: Mapped[int] = mapped_column(primary_key=True)
    tomogram_id: Mapped[int] = mapped_column(ForeignKey("tomograms.id"))
    segmentation_id: Mapped[int] = mapped_column(ForeignKey("segmentations.id"))
    center_z: Mapped[int]
    center_y: Mapped[int]
    center_x: Mapped[int]
    score: Mapped[float]
    """Voxels expected to be added or removed."""
    parts: Mapped[JsonDict]
    """Weighted voxels by channel."""
    evidence: Mapped[JsonDict]
    """Voxels by channel before weighting: what the weights are learned from."""
    pins: Mapped[list[Any]]
    """The largest pieces: {channel, center (z, y, x), voxels}."""
    reason: Mapped[str]
    audit: Mapped[bool]
    """Drawn at random; only such patches may judge a model."""
    rule: Mapped[str]
    seed: Mapped[int]
    round: Mapped[int]
    state: Mapped[ProposalState] = word(ProposalState, default=ProposalState.WAITING)
    patch_id: Mapped[int | None] = mapped_column(ForeignKey("patches.id"))
    dismissal: Mapped[Dismissal | None] = word(Dismissal)
    note: Mapped[str | None]
    proposed_at: Mapped[datetime]
    proposed_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))

    __table_args__ = (
        one_of("state", ProposalState),
        one_of("dismissal", Dismissal),
        CheckConstraint("(state = 'accepted') = (patch_id IS NOT NULL)", name="accepted"),
        CheckConstraint("(state = 'dismissed') = (dismissal IS NOT NULL)", name="dismissed"),
        Index(None, "state", "audit", "score"),
        Index(None, "tomogram_id", "state"),
        Index(None, "patch_id"),
    )
