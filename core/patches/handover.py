"""Hand the open work of somebody who leaves to somebody else, or let others claim it."""

from core.access.permissions import Action
from core.lab.lab import Lab
from core.patches.assign import release, transfer
from core.workspace.results import DONE, FAILED, Outcome
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.queries.patches import open_patches_of
from db.queries.people import get_person


def open_work(workspace: Workspace, name: str) -> tuple[str, ...]:
    """Return the patches that somebody has and that are not finished, by name.

    Errors: UnknownNameError.
    """
    with workspace.catalog.read() as session:
        return open_patches_of(session, get_person(session, name).id)


def hand_over(lab: Lab, name: str, to: str | None = None) -> tuple[Outcome, ...]:
    """Give all open patches of somebody to ``to``, or release them; one outcome a patch.

    Errors: NotAllowedError; UnknownNameError.
    """
    with lab.read(Action.ASSIGN) as session:
        get_person(session, name)
        if to is not None:
            get_person(session, to)
    return tuple(_hand_over(lab, patch, to) for patch in open_work(lab.workspace, name))


def _hand_over(lab: Lab, patch: str, to: str | None) -> Outcome:
    try:
        if to is None:
            release(lab, patch)
        else:
            transfer(lab, patch, to)
    except TomocurateError as error:
        return Outcome(patch, FAILED, str(error))
    return Outcome(patch, DONE, f"now {to}'s" if to else "released")
