"""Give up a draft: its strokes were saved, or its painter does not want them."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from db.models.patches import Draft


def drop_draft(session: Session, patch_id: int, person_id: int) -> None:
    """Forget a person's draft on a patch; it is no record of anything."""
    session.execute(delete(Draft).where(Draft.patch_id == patch_id, Draft.person_id == person_id))
