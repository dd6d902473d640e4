"""The table of legal moves: what it allows happens, what it does not gets a sentence."""

import dataclasses
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from core.patches.lifecycle import LEGAL, Transition, action_of, is_legal, least_role, next_stage
from db.errors import StepError
from db.queries.patches import PatchRecord
from db.vocabulary import ChosenBecause, Role, Stage

EVERY = list(itertools.product(Transition, Stage))
NOW = datetime(2026, 11, 25, tzinfo=UTC)
PATCH = PatchRecord(
    id=1,
    name="other_TS_1_patch0",
    dataset="other",
    token="TS_1",
    tomogram_id=None,
    segmentation_id=None,
    model=None,
    center=None,
    start=None,
    shape=(160, 160, 160),
    padded=False,
    shifted=False,
    voxel_size=10.0,
    grid_spacing=None,
    threshold=None,
    chosen_at=NOW,
    chosen_by=None,
    chosen_because=ChosenBecause.OTHER,
    note=None,
    stage=Stage.CHOSEN,
    assignee=None,
    assignee_id=None,
    rejected_reason=None,
    stale=False,
    withdrawn=False,
    extracted_at=None,
    image_hash=None,
    label_hash=None,
    current_merge_id=None,
    accepted_merge_id=None,
    correction_count=0,
    merge_count=0,
    comment_count=0,
    version=1,
    updated_at=NOW,
    updated_by=None,
)


def at(stage: Stage, **marks: Any) -> PatchRecord:
    return dataclasses.replace(PATCH, stage=stage, **marks)


@pytest.mark.parametrize(("move", "stage"), EVERY)
def test_every_move_at_every_stage_is_legal_or_gets_a_sentence(
    move: Transition, stage: Stage
) -> None:
    patch = at(stage, withdrawn=move is Transition.REINSTATE)
    if stage in LEGAL[move]:
        assert is_legal(patch, move)
        assert next_stage(patch, move) is LEGAL[move][stage]
        return
    assert not is_legal(patch, move)
    with pytest.raises(
        StepError, match=rf"^other_TS_1_patch0: is .*, so it cannot be {move}; .*\.$"
    ):
        next_stage(patch, move)


@pytest.mark.parametrize(("move", "stage"), EVERY)
def test_what_is_withdrawn_can_only_be_reinstated_and_commented_on(
    move: Transition, stage: Stage
) -> None:
    patch = at(stage, withdrawn=True)
    if move in (Transition.REINSTATE, Transition.COMMENT):
        assert next_stage(patch, move) is stage
        return
    with pytest.raises(StepError, match="is withdrawn"):
        next_stage(patch, move)


def test_the_life_of_a_patch_leads_from_chosen_to_accepted() -> None:
    patch = at(Stage.CHOSEN)
    for move in (
        Transition.EXTRACT,
        Transition.CORRECT,
        Transition.MERGE,
        Transition.SUBMIT,
        Transition.ACCEPT,
    ):
        patch = at(next_stage(patch, move))
    assert patch.stage is Stage.ACCEPTED


def test_a_patch_that_nobody_looked_at_cannot_be_merged() -> None:
    with pytest.raises(StepError, match="submit it with nothing to change"):
        next_stage(at(Stage.EXTRACTED), Transition.MERGE)


def test_new_corrections_move_no_accepted_patch() -> None:
    assert next_stage(at(Stage.ACCEPTED), Transition.CORRECT) is Stage.ACCEPTED


def test_a_patch_that_is_not_withdrawn_cannot_be_reinstated() -> None:
    with pytest.raises(StepError, match="is not withdrawn"):
        next_stage(at(Stage.CHOSEN), Transition.REINSTATE)


def test_every_move_belongs_to_a_step_with_a_least_role() -> None:
    assert {move: least_role(move) for move in Transition}[Transition.ACCEPT] is Role.REVIEWER
    assert all(action_of(move) for move in Transition)
