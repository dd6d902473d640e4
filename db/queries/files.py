"""Which file a catalog expects where: the latest corrections, the current labels, all hashes."""

from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from db.models.corrections import CorrectionSlot, CorrectionVersion, Merge
from db.models.patches import Patch


@dataclass(frozen=True)
class FileOfPatch:
    """A file of a patch; ``name`` is its name in the folder it belongs to."""

    patch: str
    name: str
    sha256: str
    withdrawn: bool = False
    missing: bool = False
    """It is gone from its folder, and the catalog knows."""


def latest_corrections(session: Session) -> tuple[FileOfPatch, ...]:
    """The latest readable version of every correction slot; what was refused never lay there."""
    newest = (
        select(CorrectionVersion.slot_id, func.max(CorrectionVersion.number).label("number"))
        .where(CorrectionVersion.error.is_(None))
        .group_by(CorrectionVersion.slot_id)
        .subquery()
    )
    latest = and_(
        CorrectionVersion.slot_id == newest.c.slot_id, CorrectionVersion.number == newest.c.number
    )
    statement = (
        select(
            Patch.name,
            CorrectionSlot.name,
            CorrectionVersion.sha256,
            CorrectionSlot.withdrawn,
            CorrectionSlot.missing,
        )
        .join(CorrectionSlot, CorrectionSlot.patch_id == Patch.id)
        .join(newest, newest.c.slot_id == CorrectionSlot.id)
        .join(CorrectionVersion, latest)
        .order_by(Patch.name, CorrectionSlot.name)
    )
    return tuple(FileOfPatch(*row) for row in session.execute(statement))


def current_labels(session: Session) -> tuple[FileOfPatch, ...]:
    """The current merged label of every patch that has one."""
    statement = (
        select(Patch.name, Merge.file_sha256)
        .join(Merge, Merge.id == Patch.current_merge_id)
        .order_by(Patch.name)
    )
    rows = session.execute(statement)
    return tuple(FileOfPatch(patch, f"{patch}.nii.gz", sha256) for patch, sha256 in rows)


def extracted_patches(session: Session) -> tuple[tuple[str, str | None, str | None], ...]:
    """Name, image hash and label hash of every patch that has been cut."""
    statement = select(Patch.name, Patch.image_hash, Patch.label_hash)
    rows = session.execute(statement.where(Patch.label_hash.is_not(None)).order_by(Patch.name))
    return tuple((name, image, label) for name, image, label in rows)


def patch_names(session: Session) -> tuple[str, ...]:
    """The name of every patch."""
    return tuple(session.scalars(select(Patch.name).order_by(Patch.name)))


def stored_hashes(session: Session) -> dict[str, int]:
    """sha256 and size of every file that the catalog expects in the store.

    Corrections that could not be read lie apart, and only for a while.
    """
    corrections = select(CorrectionVersion.sha256, CorrectionVersion.size_bytes).where(
        CorrectionVersion.error.is_(None)
    )
    merges = select(Merge.file_sha256, Merge.size_bytes)
    return {row[0]: row[1] for row in (*session.execute(corrections), *session.execute(merges))}
