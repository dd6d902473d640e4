"""The legal moves of a patch: at which stage somebody may do what, and where it leads.

    chosen → extracted → correcting → merged → in review → accepted

The marks stand beside the stage: a correction that comes after a merge makes it stale and moves
nothing, a rejection moves back and stays visible until the patch is submitted or accepted. What is
withdrawn can only be reinstated and commented on.
"""

from collections.abc import Mapping
from enum import StrEnum

from core.access.permissions import LEAST_ROLE, Step
from db.errors import StepError
from db.queries.patches import PatchRecord
from db.vocabulary import Role, Stage


class Move(StrEnum):
    """What can happen to a patch, as its messages say it."""

    EXTRACT = "extracted"
    CORRECT = "corrected"
    MERGE = "merged"
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

_LEADS_TO: Mapping[Move, tuple[Step, tuple[Stage | None, ...]]] = {
    # move               who may                 chosen extr. corr. merged review accepted
    Move.EXTRACT:        (Step.EXTRACT,            (EXT,   ___,   ___,   ___,   ___,   ___)),
    Move.CORRECT:        (Step.SUBMIT_CORRECTION,  (___,   COR,   COR,   MER,   REV,   ACC)),
    Move.MERGE:          (Step.MERGE,              (___,   ___,   MER,   MER,   REV,   MER)),
    Move.LEAVE_AS_IT_IS: (Step.SUBMIT,             (___,   MER,   MER,   ___,   ___,   ___)),
    Move.SUBMIT:         (Step.SUBMIT,             (___,   ___,   ___,   REV,   ___,   ___)),
    Move.ACCEPT:         (Step.REVIEW,             (___,   ___,   ___,   ACC,   ACC,   ___)),
    Move.REJECT:         (Step.REVIEW,             (___,   ___,   ___,   COR,   COR,   COR)),
    Move.ASSIGN:         (Step.ASSIGN,             (CHO,   EXT,   COR,   MER,   REV,   ___)),
    Move.CLAIM:          (Step.CLAIM,              (CHO,   EXT,   COR,   MER,   ___,   ___)),
    Move.RELEASE:        (Step.RELEASE,            (CHO,   EXT,   COR,   MER,   REV,   ACC)),
    Move.TRANSFER:       (Step.RELEASE,            (CHO,   EXT,   COR,   MER,   REV,   ___)),
    Move.COMMENT:        (Step.COMMENT,            (CHO,   EXT,   COR,   MER,   REV,   ACC)),
    Move.WITHDRAW:       (Step.WITHDRAW,           (CHO,   EXT,   COR,   MER,   REV,   ACC)),
    Move.REINSTATE:      (Step.WITHDRAW,           (CHO,   EXT,   COR,   MER,   REV,   ACC)),
}  # fmt: skip

LEGAL: Mapping[Move, Mapping[Stage, Stage]] = {
    move: {at: to for at, to in zip(Stage, row, strict=True) if to is not None}
    for move, (_, row) in _LEADS_TO.items()
}
"""Stage before and after, of every legal move."""

_OF_THE_WITHDRAWN = frozenset({Move.REINSTATE, Move.COMMENT})

_WAY_OUT: Mapping[tuple[Move, Stage], str] = {
    (Move.CORRECT, CHO): "extract it first",
    (Move.MERGE, CHO): "extract it first",
    (Move.MERGE, EXT): "correct it first, or submit it with nothing to change",
    (Move.LEAVE_AS_IT_IS, CHO): "extract it first",
    (Move.LEAVE_AS_IT_IS, MER): "it has corrections; submit it as it is merged",
    (Move.SUBMIT, CHO): "extract it first",
    (Move.SUBMIT, EXT): "correct and merge it first, or submit it with nothing to change",
    (Move.SUBMIT, COR): "merge it first",
    (Move.SUBMIT, REV): "a reviewer has it",
    (Move.ACCEPT, COR): "merge it first",
    (Move.CLAIM, REV): "a reviewer has it",
}


def step_of(move: Move) -> Step:
    """The step whose least role a move takes."""
    return _LEADS_TO[move][0]


def least_role(move: Move) -> Role:
    """The least role that may make a move."""
    return LEAST_ROLE[step_of(move)]


def is_legal(patch: PatchRecord, move: Move) -> bool:
    """Whether a move is legal at a patch's stage, whoever makes it; pages show only these."""
    if move is Move.REINSTATE:
        return patch.withdrawn
    if patch.withdrawn and move not in _OF_THE_WITHDRAWN:
        return False
    return patch.stage in LEGAL[move]


def next_stage(patch: PatchRecord, move: Move) -> Stage:
    """The stage that a move leads to.

    Errors: StepError says at which stage the patch is, and what would be legal.
    """
    if is_legal(patch, move):
        return LEGAL[move][patch.stage]
    if move is Move.REINSTATE:
        raise StepError(f"{patch.name}: is not withdrawn, so it cannot be reinstated.")
    if patch.withdrawn:
        raise StepError(
            f"{patch.name}: is withdrawn, so it cannot be {move}; a curator reinstates it first."
        )
    way_out = _WAY_OUT.get((move, patch.stage)) or _legal_at(move)
    raise StepError(f"{patch.name}: is {said(patch.stage)}, so it cannot be {move}; {way_out}.")


def said(stage: Stage) -> str:
    """A stage as a sentence has it."""
    return "being corrected" if stage is COR else stage.value.replace("_", " ")


def _legal_at(move: Move) -> str:
    stages = " or ".join(map(said, LEGAL[move]))
    return f"that is legal while it is {stages}"
