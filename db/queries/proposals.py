"""Proposed places: one by its number, lists by expected gain, and what became of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.errors import UnknownNameError
from db.models.corrections import Merge
from db.models.patches import Patch
from db.models.people import Person
from db.models.proposals import Proposal
from db.models.volumes import Dataset, Tomogram
from db.queries.page import LIMIT, Page, count, page_of
from db.vocabulary import Dismissal, ProposalState

Zyx = tuple[int, int, int]

AT_ONCE = 500
"""Ids in one statement."""

_PROPOSER, _DECIDER = aliased(Person), aliased(Person)


@dataclass(frozen=True)
class ProposalRecord:
    """A proposed place; ``center`` is (z, y, x)."""

    id: int
    tomogram_id: int
    dataset: str
    token: str
    segmentation_id: int
    center: Zyx
    score: float
    parts: Mapping[str, int]
    evidence: Mapping[str, int]
    pins: Sequence[Mapping[str, Any]]
    reason: str
    audit: bool
    rule: str
    seed: int
    round: int
    state: ProposalState
    patch: str | None
    dismissal: Dismissal | None
    note: str | None
    corrected: int | None
    """Voxels that its patch's accepted label added and removed."""
    proposed_at: datetime
    proposed_by: str | None
    decided_at: datetime | None
    decided_by: str | None

    @property
    def tomogram(self) -> str:
        return f"{self.dataset}/{self.token}"


@dataclass(frozen=True)
class ProposalFilter:
    """Filter of proposals; None does not filter."""

    state: ProposalState | None = ProposalState.WAITING
    tomogram_id: int | None = None
    dataset: str | None = None
    corrected: bool = False
    """Those whose patch has an accepted label alone."""


def list_proposals(
    session: Session,
    wanted: ProposalFilter | None = None,
    offset: int = 0,
    limit: int = LIMIT,
) -> Page[ProposalRecord]:
    """Proposals, those first that are expected to correct most; audits last."""
    where = list(_conditions(wanted or ProposalFilter()))
    total = session.scalar(_narrow(select(func.count(Proposal.id)), wanted).where(*where)) or 0
    order = Proposal.audit, Proposal.score.desc(), Proposal.id
    # Numbers first: an index holds them in this order, and the long rows are few.
    numbers = _narrow(select(Proposal.id), wanted).where(*where).order_by(*order)
    shown = list(session.scalars(page_of(numbers, offset, limit)))
    rows: list[ProposalRecord] = []
    for start in range(0, len(shown), AT_ONCE):
        some = _proposals().where(Proposal.id.in_(shown[start : start + AT_ONCE])).order_by(*order)
        rows += [_record(*row) for row in session.execute(some)]
    return Page(tuple(rows), total, offset)


def proposal_by_id(session: Session, number: int) -> ProposalRecord:
    """The proposal of a number.

    Errors: UnknownNameError.
    """
    row = session.execute(_proposals().where(Proposal.id == number)).one_or_none()
    if row is None:
        raise UnknownNameError(f"there is no proposal {number}; see: tomocurate proposals.")
    return _record(*row)


def count_waiting(session: Session) -> int:
    """Count the proposals that nobody has decided on."""
    return count(session, Proposal.id, [Proposal.state == ProposalState.WAITING])


def count_proposed(session: Session) -> int:
    """Count all proposals that were made."""
    return count(session, Proposal.id, [])


def decided_rounds(session: Session, tomogram_id: int) -> int:
    """The highest round of a tomogram of which something was decided; 0 where nothing was."""
    decided = Proposal.state != ProposalState.WAITING
    statement = select(func.max(Proposal.round)).where(Proposal.tomogram_id == tomogram_id, decided)
    return session.scalar(statement) or 0


def _narrow(statement: Any, wanted: ProposalFilter | None) -> Any:
    """Join what the filter looks at, and no more."""
    if wanted is not None and wanted.dataset is not None:
        statement = statement.join(Tomogram, Proposal.tomogram_id == Tomogram.id)
        statement = statement.join(Dataset, Tomogram.dataset_id == Dataset.id)
    if wanted is not None and wanted.corrected:
        statement = statement.join(Patch, Proposal.patch_id == Patch.id)
    return statement


def _conditions(wanted: ProposalFilter) -> Iterable[Any]:
    if wanted.state is not None:
        yield Proposal.state == wanted.state
    if wanted.tomogram_id is not None:
        yield Proposal.tomogram_id == wanted.tomogram_id
    if wanted.dataset is not None:
        yield Dataset.token == wanted.dataset
    if wanted.corrected:
        yield Patch.accepted_merge_id.is_not(None)


def _proposals() -> Any:
    return (
        select(
            Proposal,
            Dataset.token,
            Tomogram.token,
            Patch.name,
            Merge.counts,
            _PROPOSER.name,
            _DECIDER.name,
        )
        .join(Tomogram, Proposal.tomogram_id == Tomogram.id)
        .join(Dataset, Tomogram.dataset_id == Dataset.id)
        .outerjoin(Patch, Proposal.patch_id == Patch.id)
        .outerjoin(Merge, Patch.accepted_merge_id == Merge.id)
        .outerjoin(_PROPOSER, Proposal.proposed_by_id == _PROPOSER.id)
        .outerjoin(_DECIDER, Proposal.decided_by_id == _DECIDER.id)
    )


def _record(
    row: Proposal,
    dataset: str,
    token: str,
    patch: str | None,
    counts: Mapping[str, int] | None,
    proposed_by: str | None,
    decided_by: str | None,
) -> ProposalRecord:
    corrected = None
    if counts is not None:
        corrected = int(counts.get("added", 0)) + int(counts.get("removed", 0))
    return ProposalRecord(
        id=row.id,
        tomogram_id=row.tomogram_id,
        dataset=dataset,
        token=token,
        segmentation_id=row.segmentation_id,
        center=(row.center_z, row.center_y, row.center_x),
        score=row.score,
        parts=row.parts,
        evidence=row.evidence,
        pins=tuple(row.pins),
        reason=row.reason,
        audit=row.audit,
        rule=row.rule,
        seed=row.seed,
        round=row.round,
        state=row.state,
        patch=patch,
        dismissal=row.dismissal,
        note=row.note,
        corrected=corrected,
        proposed_at=row.proposed_at,
        proposed_by=proposed_by,
        decided_at=row.decided_at,
        decided_by=decided_by,
    )
