"""The legal moves of a patch: at which stage somebody may do what, and where it leads.

    chosen → extracted → correcting → merged → in review → accepted

The marks stand beside the stage: a correction that comes after a merge makes it stale and moves
nothing, a rejection moves back and stays visible until the patch is submitted or accepted. What is
withdrawn can only be reinstated and commented on.
"""

from collections.abc import Mapping
from enum import StrEnum

from core.access.permissions import REQUIRED_ROLE, Action
from db.errors import StepError
from db.queries.patches import PatchRecord
from db.vocabulary import Role, Stage


class Transition(StrEnum):
    """Transition of a patch; the values appear in messages."""

    EXTRACT = "extracted"
    CORRECT = "corrected"
    MERGE = "merged"
    ADOPT_LABEL = "given the label it was adopted with"
    LEAVE_AS_IT_IS = "left as it is"
    SUBMIT = "submitted for review"
    ACCEPT = "accepted"
    REJECT = "rejected"
    ASSIGN = "assigned"
    CLAIM = "claimed"
    RELEASE = "released"
    TRANSFER = "transferred"
    COMMENT = "commented on"
    WITHDRAW = "withdrawn"
    REINSTATE = "reinstated"


CHO, EXT, COR, MER, REV, ACC = Stage
___ = None

_LEADS_TO: Mapping[Transition, tuple[Action, tuple[Stage | None, ...]]] = {
    # transition                who may                     chosen ext. corr. merged review accepted
    Transition.EXTRACT:         (Action.EXTRACT,            (EXT,  ___,  ___,  ___,  ___,  ___)),
    Transition.CORRECT:         (Action.SUBMIT_CORRECTION,  (___,  COR,  COR,  MER,  REV,  ACC)),
    Transition.MERGE:           (Action.MERGE,              (___,  ___,  MER,  MER,  REV,  MER)),
    Transition.ADOPT_LABEL:    (Action.ADOPT,             (___,  MER,  MER,  ___,  ___,  ___)),
    Transition.LEAVE_AS_IT_IS:  (Action.SUBMIT,             (___,  MER,  MER,  ___,  ___,  ___)),
    Transition.SUBMIT:          (Action.SUBMIT,             (___,  ___,  ___,  REV,  ___,  ___)),
    Transition.ACCEPT:          (Action.REVIEW,             (___,  ___,  ___,  ACC,  ACC,  ___)),
    Transition.REJECT:          (Action.REVIEW,             (___,  ___,  ___,  COR,  COR,  COR)),
    Transition.ASSIGN:          (Action.ASSIGN,             (CHO,  EXT,  COR,  MER,  REV,  ___)),
    Transition.CLAIM:           (Action.CLAIM,              (CHO,  EXT,  COR,  MER,  ___,  ___)),
    Transition.RELEASE:         (Action.RELEASE,            (CHO,  EXT,  COR,  MER,  REV,  ACC)),
    Transition.TRANSFER:        (Action.RELEASE,            (CHO,  EXT,  COR,  MER,  REV,  ___)),
    Transition.COMMENT:         (Action.COMMENT,            (CHO,  EXT,  COR,  MER,  REV,  ACC)),
    Transition.WITHDRAW:        (Action.WITHDRAW,           (CHO,  EXT,  COR,  MER,  REV,  ACC)),
    Transition.REINSTATE:       (Action.WITHDRAW,           (CHO,  EXT,  COR,  MER,  REV,  ACC)),
}  # fmt: skip

LEGAL: Mapping[Transition, Mapping[Stage, Stage]] = {
    transition: {at: to for at, to in zip(Stage, row, strict=True) if to is not None}
    for transition, (_, row) in _LEADS_TO.items()
}
"""Stage before and after, of every legal transition."""

_OF_THE_WITHDRAWN = frozenset({Transition.REINSTATE, Transition.COMMENT})

_WAY_OUT: Mapping[tuple[Transition, Stage], str] = {
    (Transition.CORRECT, CHO): "extract it first",
    (Transition.MERGE, CHO): "extract it first",
    (Transition.MERGE, EXT): "correct it first, or submit it with nothing to change",
    (Transition.LEAVE_AS_IT_IS, CHO): "extract it first",
    (Transition.LEAVE_AS_IT_IS, MER): "it has corrections; submit it as it is merged",
    (Transition.SUBMIT, CHO): "extract it first",
    (Transition.SUBMIT, EXT): "correct and merge it first, or submit it with nothing to change",
    (Transition.SUBMIT, COR): "merge it first",
    (Transition.SUBMIT, REV): "a reviewer has it",
    (Transition.ACCEPT, COR): "merge it first",
    (Transition.CLAIM, REV): "a reviewer has it",
}


def action_of(transition: Transition) -> Action:
    """The step whose least role a transition takes."""
    return _LEADS_TO[transition][0]


def least_role(transition: Transition) -> Role:
    """The least role that may make a transition."""
    return REQUIRED_ROLE[action_of(transition)]


def is_legal(patch: PatchRecord, transition: Transition) -> bool:
    """Return whether a transition is legal at a patch's stage, whoever makes it; pages show only
    these.
    """
    if transition is Transition.REINSTATE:
        return patch.withdrawn
    if patch.withdrawn and transition not in _OF_THE_WITHDRAWN:
        return False
    return patch.stage in LEGAL[transition]


def next_stage(patch: PatchRecord, transition: Transition) -> Stage:
    """The stage that a transition leads to.

    Errors: StepError says at which stage the patch is, and what would be legal.
    """
    if is_legal(patch, transition):
        return LEGAL[transition][patch.stage]
    if transition is Transition.REINSTATE:
        raise StepError(f"{patch.name}: is not withdrawn, so it cannot be reinstated.")
    if patch.withdrawn:
        raise StepError(
            f"{patch.name}: is withdrawn, so it cannot be {transition}; a curator reinstates it "
            "first."
        )
    way_out = _WAY_OUT.get((transition, patch.stage)) or _legal_at(transition)
    raise StepError(
        f"{patch.name}: is {stage_text(patch.stage)}, so it cannot be {transition}; {way_out}."
    )


def stage_text(stage: Stage) -> str:
    """A stage as a sentence has it."""
    return "being corrected" if stage is COR else stage.value.replace("_", " ")


def _legal_at(transition: Transition) -> str:
    stages = " or ".join(map(stage_text, LEGAL[transition]))
    return f"that is legal while it is {stages}"
