"""Actions and the role that each requires, in one table.

Pages, /api and the command line all pass through ``require``, which reads the role anew in the
step's own transaction, so that a change of role counts at once and everywhere.
"""

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy.orm import Session

from db.errors import NotAllowedError
from db.queries.people import PersonRecord, person_by_id
from db.vocabulary import Role


class Action(StrEnum):
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


REQUIRED_ROLE: Mapping[Action, Role] = {
    Action.VIEW: Role.VIEWER,
    Action.COMMENT: Role.ANNOTATOR,
    Action.SAVE_VIEW: Role.VIEWER,
    Action.CLAIM: Role.ANNOTATOR,
    Action.RELEASE: Role.ANNOTATOR,
    Action.CHOOSE: Role.ANNOTATOR,
    Action.EXTRACT: Role.ANNOTATOR,
    Action.COLLECT: Role.ANNOTATOR,
    Action.SUBMIT_CORRECTION: Role.ANNOTATOR,
    Action.WITHDRAW_CORRECTION: Role.ANNOTATOR,
    Action.PAINT: Role.ANNOTATOR,
    Action.MERGE: Role.ANNOTATOR,
    Action.SUBMIT: Role.ANNOTATOR,
    Action.REVIEW: Role.REVIEWER,
    Action.ASSIGN: Role.CURATOR,
    Action.REGISTER: Role.CURATOR,
    Action.ADOPT: Role.CURATOR,
    Action.WITHDRAW: Role.CURATOR,
    Action.PIN: Role.CURATOR,
    Action.PERMIT: Role.CURATOR,
    Action.PUT_BACK: Role.CURATOR,
    Action.EXPORT: Role.CURATOR,
    Action.IMPORT: Role.CURATOR,
    Action.SCORE: Role.CURATOR,
    Action.MANAGE_JOBS: Role.CURATOR,
    Action.ADD_ROOT: Role.ADMIN,
    Action.MANAGE_PEOPLE: Role.ADMIN,
    Action.BACK_UP: Role.ADMIN,
    Action.READ_LOG: Role.ADMIN,
    Action.EXAMINE: Role.ADMIN,
}
"""Each action has its role (a test compares). Reviews have a second rule,
``nobody_reviews_own_work``: core/labels/review.py."""

_RANK = {role: rank for rank, role in enumerate(Role)}


def may(role: Role, action: Action) -> bool:
    """Tell whether a role suffices for an action."""
    return _RANK[role] >= _RANK[REQUIRED_ROLE[action]]


def require(session: Session, by: PersonRecord, action: Action) -> PersonRecord:
    """Give the person as the catalog has them now, if they may take an action.

    Errors: NotAllowedError for somebody who is gone, disabled, or of a lesser role.
    """
    person = person_by_id(session, by.id)
    if person is None:
        raise NotAllowedError(f"{by.name} is disabled; ask an admin.")
    require_role(person, action)
    return person


def require_role(person: PersonRecord, action: Action) -> None:
    """Refuse a person whose role, as it was read, does not suffice for an action.

    Errors: NotAllowedError.
    """
    if person.disabled:
        raise NotAllowedError(f"{person.name} is disabled; ask an admin.")
    if not may(person.role, action):
        least = REQUIRED_ROLE[action]
        raise NotAllowedError(
            f"{person.name} is {article(person.role)} {person.role}; to {action} takes "
            f"{article(least)} {least} or more; ask an admin."
        )


def article(role: Role) -> str:
    """Give the article of a role's name in a sentence."""
    return "an" if role in (Role.ANNOTATOR, Role.ADMIN) else "a"
