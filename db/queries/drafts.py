"""Drafts: what somebody painted on a patch and did not save yet."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.patches import Draft


@dataclass(frozen=True)
class DraftRecord:
    """One person's draft on one patch; ``sha256`` and size are of its file."""

    sha256: str
    size_bytes: int
    revision: int
    saved_at: datetime


def draft_of(session: Session, patch_id: int, person_id: int) -> DraftRecord | None:
    """A person's draft on a patch, if there is one."""
    own = select(Draft).where(Draft.patch_id == patch_id, Draft.person_id == person_id)
    row = session.scalar(own)
    return (
        None if row is None else DraftRecord(row.sha256, row.size_bytes, row.revision, row.saved_at)
    )
