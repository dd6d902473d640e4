"""Decided proposals of the catalog, for learning and for the pages."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from core.proposals.channels import Channel
from core.proposals.score import Corrected, Learned, learn
from db.queries.page import MAX_LIMIT
from db.queries.proposals import ProposalFilter, ProposalRecord, list_proposals
from db.vocabulary import Dismissal, ProposalState


def corrected_patches(session: Session) -> tuple[Corrected, ...]:
    """Proposals whose patch was accepted in review; "nothing wrong" counts as nothing corrected."""
    told = []
    for proposal in corrected_proposals(session):
        told.append(_corrected(proposal, proposal.corrected or 0))
    wanted = ProposalFilter(state=ProposalState.DISMISSED)
    for proposal in list_proposals(session, wanted, limit=MAX_LIMIT):
        if proposal.dismissal is Dismissal.NOTHING_WRONG:
            told.append(_corrected(proposal, 0))
    return tuple(told)


def corrected_proposals(session: Session) -> Sequence[ProposalRecord]:
    """Accepted proposals whose patch has an accepted label: expected and actual corrections."""
    wanted = ProposalFilter(state=ProposalState.ACCEPTED, corrected=True)
    return list_proposals(session, wanted, limit=MAX_LIMIT).rows


def learned_weights(session: Session, dataset: str | None = None) -> Learned:
    """The weights that the next round will use, and how well they predict."""
    return learn(corrected_patches(session), dataset)


def calibration_sentence(learned: Learned) -> str:
    """Tell how far the ranking can be trusted."""
    if not learned.patches:
        return (
            "The ranking uses its default weights; after ten corrected patches it learns from "
            "your corrections."
        )
    fitted = f"The weights are fitted to {learned.patches} corrected patches"
    if learned.correlation is None:
        return f"{fitted}; with patches of three tomograms it can be told how well they predict."
    message = (
        f"{fitted}; rank correlation {learned.correlation:.2f}, each tomogram left out in turn."
    )
    if not learned.predicts:
        message += " The ranking does not predict your corrections: places are drawn at random."
    return message


def _corrected(proposal: ProposalRecord, voxels: int) -> Corrected:
    known = {channel.value: channel for channel in Channel}
    evidence = {known[k]: float(v) for k, v in proposal.evidence.items() if k in known}
    return Corrected(proposal.tomogram, proposal.dataset, evidence, voxels)
