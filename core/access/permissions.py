"""Who may do what: one table of every step and the least role that may take it.

Pages, /api and the command line all pass through ``check_may``, which reads the role anew in the
step's own transaction, so that a change of role counts at once and everywhere.
"""

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy.orm import Session

from db.errors import NotAllowedError
from db.queries.people import PersonRecord, person_by_id
from db.vocabulary import Role


class Step(StrEnum):
    """Everything that somebody can do; the words stand in messages and in the docs."""

    VIEW = "look"
    COMMENT = "comment"
    SAVE_VIEW = "keep a view"
    CLAIM = "claim a patch"
    RELEASE = "release a patch"
    CHOOSE = "choose a center"
    EXTRACT = "extract patches"
    COLLECT = "collect corrections"
    SUBMIT_CORRECTION = "submit a correction"
    WITHDRAW_CORRECTION = "withdraw a correction"
    PAINT = "paint"
    MERGE = "merge corrections"
    SUBMIT = "submit for review"
    REVIEW = "accept or reject"
    ASSIGN = "assign work to others"
    REGISTER = "register tomograms"
    ADOPT = "adopt a folder"
    WITHDRAW = "withdraw or reinstate a patch"
    PIN = "pin a tomogram to a split"
    PERMIT = "state a permission"
    PUT_BACK = "put labels back"
    EXPORT = "export"
    IMPORT = "import a bundle"
    SCORE = "score segmentations"
    MANAGE_JOBS = "cancel or repeat others' jobs"
    ADD_ROOT = "add a data root"
    MANAGE_PEOPLE = "change people and roles"
    BACK_UP = "make or verify a backup"
    READ_LOG = "export the event log"
    EXAMINE = "examine the installation"


LEAST_ROLE: Mapping[Step, Role] = {
    Step.VIEW: Role.VIEWER,
    Step.COMMENT: Role.ANNOTATOR,
    Step.SAVE_VIEW: Role.VIEWER,
    Step.CLAIM: Role.ANNOTATOR,
    Step.RELEASE: Role.ANNOTATOR,
    Step.CHOOSE: Role.ANNOTATOR,
    Step.EXTRACT: Role.ANNOTATOR,
    Step.COLLECT: Role.ANNOTATOR,
    Step.SUBMIT_CORRECTION: Role.ANNOTATOR,
    Step.WITHDRAW_CORRECTION: Role.ANNOTATOR,
    Step.PAINT: Role.ANNOTATOR,
    Step.MERGE: Role.ANNOTATOR,
    Step.SUBMIT: Role.ANNOTATOR,
    Step.REVIEW: Role.REVIEWER,
    Step.ASSIGN: Role.CURATOR,
    Step.REGISTER: Role.CURATOR,
    Step.ADOPT: Role.CURATOR,
    Step.WITHDRAW: Role.CURATOR,
    Step.PIN: Role.CURATOR,
    Step.PERMIT: Role.CURATOR,
    Step.PUT_BACK: Role.CURATOR,
    Step.EXPORT: Role.CURATOR,
    Step.IMPORT: Role.CURATOR,
    Step.SCORE: Role.CURATOR,
    Step.MANAGE_JOBS: Role.CURATOR,
    Step.ADD_ROOT: Role.ADMIN,
    Step.MANAGE_PEOPLE: Role.ADMIN,
    Step.BACK_UP: Role.ADMIN,
    Step.READ_LOG: Role.ADMIN,
    Step.EXAMINE: Role.ADMIN,
}
"""Every step has its line; a step without one is nobody's (a test looks)."""

_RANK = {role: rank for rank, role in enumerate(Role)}


def may(role: Role, step: Step) -> bool:
    """Whether a role suffices for a step."""
    return _RANK[role] >= _RANK[LEAST_ROLE[step]]


def check_may(session: Session, by: PersonRecord, step: Step) -> PersonRecord:
    """The person as the catalog has them now, who may take this step.

    Errors: NotAllowedError for somebody who is gone, disabled, or of a lesser role.
    """
    person = person_by_id(session, by.id)
    if person is None or person.disabled:
        raise NotAllowedError(f"{by.name} is disabled; ask an admin.")
    if not may(person.role, step):
        least = LEAST_ROLE[step]
        raise NotAllowedError(
            f"{person.name} is {_article(person.role)} {person.role}; to {step} takes "
            f"{_article(least)} {least} or more; ask an admin."
        )
    return person


def _article(role: Role) -> str:
    return "an" if role in (Role.ANNOTATOR, Role.ADMIN) else "a"
