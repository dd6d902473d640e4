"""Add proposed places, and what somebody decided about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.errors import StepError, UnknownNameError
from db.models.proposals import Proposal
from db.vocabulary import Dismissal, ProposalState
from db.writes.events import Change, Subject, record_event


@dataclass(frozen=True)
class MadeProposal:
    """A proposal as it was made; ``center`` is (z, y, x)."""

    center: tuple[int, int, int]
    score: float
    parts: Mapping[str, int]
    evidence: Mapping[str, int]
    pins: Sequence[Mapping[str, Any]]
    reason: str
    audit: bool
    rule: str
    seed: int
    round: int


def add_proposals(
    session: Session,
    change: Change,
    tomogram: tuple[int, str],
    segmentation_id: int,
    made: Sequence[MadeProposal],
) -> None:
    """Add a tomogram's proposals; waiting ones for another segmentation leave.

    ``tomogram`` is its id and name.
    """
    number, name = tomogram
    session.execute(
        delete(Proposal).where(
            Proposal.tomogram_id == number,
            Proposal.segmentation_id != segmentation_id,
            Proposal.state == ProposalState.WAITING,
        )
    )
    for proposal in made:
        z, y, x = proposal.center
        session.add(
            Proposal(
                tomogram_id=number,
                segmentation_id=segmentation_id,
                center_z=z,
                center_y=y,
                center_x=x,
                score=proposal.score,
                parts=dict(proposal.parts),
                evidence=dict(proposal.evidence),
                pins=[dict(pin) for pin in proposal.pins],
                reason=proposal.reason,
                audit=proposal.audit,
                rule=proposal.rule,
                seed=proposal.seed,
                round=proposal.round,
                proposed_at=change.at,
                proposed_by_id=change.by_id,
            )
        )
    after = {"proposals": len(made), "audits": sum(proposal.audit for proposal in made)}
    record_event(session, change, "places proposed", Subject("tomogram", number, name), None, after)


def accept_proposal(session: Session, change: Change, number: int, patch: tuple[int, str]) -> None:
    """Note that a proposal became a patch (its id and name); noting it twice is noting it once.

    Errors: UnknownNameError; StepError where it was dismissed meanwhile.
    """
    row = _lock(session, number)
    if row.state is ProposalState.ACCEPTED:
        return
    if row.state is ProposalState.DISMISSED:
        raise StepError(f"proposal {number} was dismissed meanwhile.")
    row.patch_id = patch[0]
    _decide(row, change, ProposalState.ACCEPTED)
    after = {"proposal": number, "score": row.score, "audit": row.audit, "rule": row.rule}
    subject = Subject("proposal", number, patch[1], patch[0])
    record_event(session, change, "proposal accepted", subject, None, after)


def dismiss_proposal(
    session: Session, change: Change, number: int, dismissal: Dismissal, note: str | None
) -> bool:
    """Note why a proposal is none; False where it was dismissed already.

    Errors: UnknownNameError; StepError where it is a patch.
    """
    row = _lock(session, number)
    if row.state is ProposalState.DISMISSED:
        return False
    if row.state is ProposalState.ACCEPTED:
        raise StepError(f"proposal {number} is a patch already; withdraw the patch.")
    row.dismissal, row.note = dismissal, note
    _decide(row, change, ProposalState.DISMISSED)
    after = {"dismissal": dismissal, "note": note}
    subject = Subject("proposal", number, f"proposal {number}")
    record_event(session, change, "proposal dismissed", subject, None, after)
    return True


def _decide(row: Proposal, change: Change, state: ProposalState) -> None:
    row.state, row.decided_at, row.decided_by_id = state, change.at, change.by_id


def _lock(session: Session, number: int) -> Proposal:
    row = session.scalar(select(Proposal).where(Proposal.id == number).with_for_update())
    if row is None:
        raise UnknownNameError(f"there is no proposal {number}; see: tomocurate proposals.")
    return row
