"""Accept a proposed place, which becomes a chosen patch; or dismiss it, with a reason."""

from collections.abc import Callable, Sequence

from core.access.permissions import Action, require
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.patches.choose import choose
from core.proposals.channels import Channel
from core.workspace.results import DONE, FAILED, KEPT, Outcome
from core.workspace.text import check_text
from db.errors import NotAllowedError, TomocurateError
from db.queries.patches import get_patch
from db.queries.proposals import ProposalRecord, proposal_by_id
from db.vocabulary import ChosenBecause, Dismissal, ProposalState
from db.writes.events import Change
from db.writes.proposals import accept_proposal, dismiss_proposal

BECAUSE = {
    Channel.MISSED: ChosenBecause.MISSED_MEMBRANE,
    Channel.OPEN_EDGE: ChosenBecause.MISSED_MEMBRANE,
    Channel.UNSUPPORTED: ChosenBecause.FALSE_MEMBRANE,
    Channel.SMALL: ChosenBecause.FALSE_MEMBRANE,
    Channel.THICK: ChosenBecause.FALSE_MEMBRANE,
}
"""Why a patch was chosen, by the kind that is expected to need most."""


def accept(lab: Lab, ids: Sequence[int]) -> tuple[Outcome, ...]:
    """Make a chosen patch of each proposal; nothing is extracted. One bad one stops no other.

    Doing it twice is doing it once, also where the first was killed midway.

    Errors: NotAllowedError.
    """
    return tuple(_each(number, lambda n: _accept(lab, n)) for number in ids)


def dismiss(
    lab: Lab,
    ids: Sequence[int],
    reason: Dismissal,
    note: str | None = None,
) -> tuple[Outcome, ...]:
    """Dismiss proposals; "nothing wrong" teaches the ranking that nothing is to be corrected there.

    Errors: NotAllowedError; StepError for a note that cannot be one.
    """
    note = check_text("the note", note) if note and note.strip() else None
    return tuple(_each(n, lambda n: _dismiss(lab, n, reason, note)) for n in ids)


def _each(number: int, decide: Callable[[int], Outcome]) -> Outcome:
    try:
        return decide(number)
    except NotAllowedError:
        raise
    except TomocurateError as error:
        return Outcome(f"proposal {number}", FAILED, str(error))


def _accept(lab: Lab, number: int) -> Outcome:
    with lab.catalog.read() as session:
        require(session, lab.person, Action.CHOOSE)
        proposal = proposal_by_id(session, number)
    name = f"proposal {number}"
    if proposal.state is ProposalState.DISMISSED:
        return Outcome(name, FAILED, f"was dismissed ({proposal.dismissal}).")
    if proposal.patch is not None:
        return Outcome(proposal.patch, KEPT, f"{name} is this patch already")
    (chosen,) = choose(
        lab,
        proposal.tomogram,
        [Zyx(*proposal.center)],
        reason=_because(proposal),
        note=_note(proposal),
        segmentation_id=proposal.segmentation_id,
    )
    if chosen.outcome == FAILED:
        return Outcome(name, FAILED, chosen.message)
    with lab.catalog.write() as session:
        person = require(session, lab.person, Action.CHOOSE)
        patch = get_patch(session, chosen.name)
        accept_proposal(session, Change.now(person.id), number, (patch.id, patch.name))
    return Outcome(chosen.name, DONE, f"{name}: {proposal.reason}", chosen.findings)


def _dismiss(lab: Lab, number: int, reason: Dismissal, note: str | None) -> Outcome:
    with lab.catalog.write() as session:
        person = require(session, lab.person, Action.CHOOSE)
        done = dismiss_proposal(session, Change.now(person.id), number, reason, note)
    name = f"proposal {number}"
    return Outcome(name, DONE if done else KEPT, None if done else "was dismissed already")


def _because(proposal: ProposalRecord) -> ChosenBecause:
    if proposal.audit or not proposal.parts:
        return ChosenBecause.OTHER
    largest = max(proposal.parts, key=lambda channel: proposal.parts[channel])
    return BECAUSE.get(Channel(largest), ChosenBecause.OTHER)


def _note(proposal: ProposalRecord) -> str:
    audit = " (audit)" if proposal.audit else ""
    return f"proposal {proposal.id}{audit}, {proposal.rule}: {proposal.reason}"
