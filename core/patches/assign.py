"""Whose turn a patch is: assign it, claim it, release it, transfer it."""

from core.access.permissions import Action, article, may
from core.lab.lab import Lab
from core.lab.step import Step
from core.patches.lifecycle import Transition
from db.errors import ConflictError, NotAllowedError, StepError
from db.queries.patches import PatchRecord, get_patch
from db.queries.people import PersonRecord, get_person
from db.vocabulary import Role


def assign(lab: Lab, name: str, to: str, seen: int | None = None) -> PatchRecord:
    """Give a patch to somebody who can paint, whoever had it.

    Errors: NotAllowedError; StepError; ConflictError; UnknownNameError.
    """
    with lab.step(name, Action.ASSIGN, Transition.ASSIGN, seen=seen) as step:
        return step.set("assigned", assignee_id=_painter(step, to).id)


def claim(lab: Lab, name: str, seen: int | None = None) -> PatchRecord:
    """Take a patch that nobody has; one that is one's own already stays so.

    Errors: ConflictError names who has it; otherwise as ``assign``.
    """
    try:
        with lab.step(name, Action.CLAIM, Transition.CLAIM, seen=seen) as step:
            if step.patch.assignee_id not in (None, step.person.id):
                raise ConflictError(
                    f"{name}: {step.patch.assignee} has it; ask them, or a curator transfers it."
                )
            return step.set("claimed", assignee_id=step.person.id)
    except ConflictError:
        with lab.catalog.read() as session:
            patch = get_patch(session, name)
        if patch.assignee_id != lab.person.id:  # else a second click, which is no conflict
            raise
        return patch


def release(lab: Lab, name: str, seen: int | None = None) -> PatchRecord:
    """Give up a patch, so that others can claim it; a curator may do it for its owner.

    Errors: as ``assign``.
    """
    with lab.step(name, Action.RELEASE, Transition.RELEASE, seen=seen) as step:
        check_owner(step.patch, step.person)
        return step.set("released", assignee_id=None)


def transfer(lab: Lab, name: str, to: str, seen: int | None = None) -> PatchRecord:
    """Hand one's own patch to somebody else; a curator may hand on anybody's.

    Errors: as ``assign``.
    """
    with lab.step(name, Action.RELEASE, Transition.TRANSFER, seen=seen) as step:
        check_owner(step.patch, step.person)
        return step.set("transferred", assignee_id=_painter(step, to).id)


def check_owner(patch: PatchRecord, person: PersonRecord, for_others: Role = Role.CURATOR) -> None:
    """Refuse to decide on somebody else's patch, unless a person's role decides for others.

    Errors: NotAllowedError.
    """
    action = Action.ASSIGN if for_others is Role.CURATOR else Action.REVIEW
    if patch.assignee_id not in (None, person.id) and not may(person.role, action):
        raise NotAllowedError(
            f"{patch.name}: {patch.assignee} has it; ask them, or {article(for_others)} "
            f"{for_others} does it."
        )


def can_paint(person: PersonRecord) -> bool:
    """Tell whether work may be given to a person."""
    return not person.disabled and may(person.role, Action.PAINT)


def _painter(step: Step, name: str) -> PersonRecord:
    """Find a person who may paint."""
    person = get_person(step.session, name)
    if person.disabled:
        raise StepError(f"{name} is disabled; choose somebody else.")
    if not can_paint(person):
        raise StepError(
            f"{name} is {article(person.role)} {person.role}, who may not paint; choose somebody "
            "else."
        )
    return person
