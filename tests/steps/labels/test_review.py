"""Whose turn a patch is, what reviewers decide, and what the second of two people is told."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from core.access import people
from core.lab.lab import Lab
from core.labels import review
from core.labels.review import accept, comment, reinstate, reject, resolve_comment, submit, withdraw
from core.patches.assign import assign, claim, release, transfer
from core.patches.handover import hand_over, open_work
from core.patches.history import show
from core.patches.record import read_record
from db.errors import ConflictError, NotAllowedError, StepError, UnknownNameError
from db.json_values import to_json
from db.vocabulary import CorrectionKind, Origin, Role, Stage
from db.writes.corrections import MadeMerge, Received, add_correction, add_merge
from db.writes.events import Change
from db.writes.patches import change_patch, lock_patch

NAME = "other_TS_1_patch0"


def test_a_patch_is_claimed_submitted_and_accepted(workspace: Any, team: Any, patches: Any) -> None:
    patches.at(Stage.MERGED)
    assert claim(Lab(workspace, team.annika), NAME).assignee == "annika"
    assert submit(Lab(workspace, team.annika), NAME).stage is Stage.IN_REVIEW
    accepted = accept(Lab(workspace, team.rolf), NAME, merge_number=1)
    assert accepted.stage is Stage.ACCEPTED
    assert accepted.accepted_merge_id == accepted.current_merge_id
    life = show(workspace, NAME)
    assert [(r.verdict, r.reviewer, r.merge) for r in life.reviews] == [("accept", "rolf", 1)]
    assert life.accepted_merge == life.current_merge
    assert [event.action for event in life.events][-3:] == ["claimed", "submitted", "accepted"]
    assert all(event.person for event in life.events)


def test_a_step_leaves_its_sidecar(workspace: Any, team: Any, patches: Any) -> None:
    patches.at(Stage.MERGED)
    claim(Lab(workspace, team.annika), NAME)
    record = read_record(workspace.folders.record_of(NAME))
    assert record["marks"]["assignee"] == "annika"


def test_a_reviewer_accepts_straight_from_merged(workspace: Any, team: Any, patches: Any) -> None:
    patches.at(Stage.MERGED)
    assert accept(Lab(workspace, team.rolf), NAME).stage is Stage.ACCEPTED


def test_a_rejected_patch_goes_back_to_its_annotator_with_the_reason(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.IN_REVIEW)
    assign(Lab(workspace, team.cora), NAME, "anton")
    rejected = reject(Lab(workspace, team.rolf), NAME, "  the inner leaflet is missing ")
    assert (rejected.stage, rejected.assignee) == (Stage.CORRECTING, "anton")
    assert rejected.rejected_reason == "the inner leaflet is missing"


def test_a_rejected_patch_that_nobody_has_goes_to_whoever_painted_it(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.MERGED)
    assert reject(Lab(workspace, team.rolf), NAME, "too thick").assignee == "annika"


def test_the_rejection_stays_visible_until_the_patch_is_submitted_again(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.IN_REVIEW)
    reject(Lab(workspace, team.rolf), NAME, "too thick")
    patches.merge_anew(NAME)
    assert patches.mark(NAME, stage=Stage.MERGED).rejected_reason == "too thick"
    assert submit(Lab(workspace, team.annika), NAME).rejected_reason is None


@pytest.mark.parametrize("reason", ["", "   ", "\n", "x" * 2001, "a\x00b", "\u202egnihton"])
def test_a_rejection_needs_a_reason_that_can_be_read(
    workspace: Any, team: Any, patches: Any, reason: Any
) -> None:
    before = patches.at(Stage.IN_REVIEW)
    with pytest.raises(StepError, match=r"the reason for rejecting .*\.$"):
        reject(Lab(workspace, team.rolf), NAME, reason)
    assert show(workspace, NAME).patch == before


def test_a_stale_merge_is_neither_submitted_nor_accepted(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.MERGED)
    patches.mark(NAME, stale=True)
    for step in (submit, accept):
        with pytest.raises(StepError, match="its corrections changed since merge 1; merge it aga"):
            step(Lab(workspace, team.rolf), NAME)


def test_a_verdict_binds_to_the_merge_that_the_reviewer_saw(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.IN_REVIEW)
    patches.merge_anew(NAME)
    decisions: list[Callable[[], object]] = [
        lambda: accept(Lab(workspace, team.rolf), NAME, merge_number=1),
        lambda: reject(Lab(workspace, team.rolf), NAME, "no", merge_number=1),
    ]
    for decide in decisions:
        with pytest.raises(ConflictError, match=r"annika made merge 2 .* you looked at merge 1"):
            decide()
    assert accept(Lab(workspace, team.rolf), NAME, merge_number=2).stage is Stage.ACCEPTED


def test_the_second_of_two_reviewers_is_told_who_was_first(
    workspace: Any, team: Any, patches: Any
) -> None:
    seen = patches.at(Stage.IN_REVIEW).version
    accept(Lab(workspace, team.rolf), NAME, seen=seen)
    told = r"rolf changed it on .* UTC \(version 4, you saw 3\)"
    with pytest.raises(ConflictError, match=told):
        reject(Lab(workspace, team.rita), NAME, "no", seen=seen)
    with pytest.raises(ConflictError, match=r"rolf accepted merge 1 on .* UTC already"):
        accept(Lab(workspace, team.rita), NAME)
    with pytest.raises(ConflictError, match="rolf accepted merge 1"):
        reject(Lab(workspace, team.rita), NAME, "no")
    assert show(workspace, NAME).patch.stage is Stage.ACCEPTED


def test_the_second_of_two_reviewers_is_told_of_a_rejection(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.IN_REVIEW)
    reject(Lab(workspace, team.rolf), NAME, "too thick")
    with pytest.raises(ConflictError, match="rolf rejected merge 1"):
        accept(Lab(workspace, team.rita), NAME)


def test_an_acceptance_is_taken_back_on_purpose_only(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.ACCEPTED)
    with pytest.raises(ConflictError, match="rita accepted merge 1"):
        reject(Lab(workspace, team.rolf), NAME, "a hole")
    back = reject(Lab(workspace, team.rolf), NAME, "a hole", take_back=True)
    assert (back.stage, back.accepted_merge_id) == (Stage.CORRECTING, None)


def test_newer_corrections_of_an_accepted_patch_wait_and_change_no_acceptance(
    workspace: Any, team: Any, patches: Any
) -> None:
    accepted = patches.at(Stage.ACCEPTED)
    assert not accepted.newer_corrections_wait
    waiting = patches.mark(NAME, stale=True)
    assert waiting.newer_corrections_wait
    assert waiting.accepted_merge_id == accepted.accepted_merge_id


def test_nobody_reviews_their_own_work_where_the_workspace_says_so(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.IN_REVIEW)
    assign(Lab(workspace, team.cora), NAME, "rolf")
    people.change_role(workspace, team.admin, "annika", Role.REVIEWER)
    strict = dataclasses.replace(workspace.settings, nobody_reviews_own_work=True)
    workspace.settings = strict
    for person in (team.rolf, team.annika):
        with pytest.raises(NotAllowedError, match="own work"):
            accept(Lab(workspace, person), NAME)
        with pytest.raises(NotAllowedError, match="own work"):
            reject(Lab(workspace, person), NAME, "no")
    assert accept(Lab(workspace, team.rita), NAME).stage is Stage.ACCEPTED


def test_who_brought_it_does_not_review_it_but_who_merged_it_may(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.IN_REVIEW)
    painted = Received("d" * 64, 9, CorrectionKind.ADD, Origin.UPLOADED, author_id=team.annika.id)
    inputs = ({"slot": "Add2.nrrd", "version": 1, "sha256": "d" * 64},)
    made = MadeMerge("b" * 64, inputs, "rule", {}, {}, (), False, "f" * 64, "e" * 64, 100)
    with workspace.catalog.write() as session:
        patch = lock_patch(session, NAME)
        add_correction(session, Change.now(team.cora.id), patch, "Add2.nrrd", painted)
        change = Change.now(team.rolf.id)
        merge_id = add_merge(session, change, patch, made).id
        change_patch(session, change, patch, "merged", current_merge_id=merge_id)
    workspace.settings = dataclasses.replace(workspace.settings, nobody_reviews_own_work=True)
    with pytest.raises(NotAllowedError, match="own work"):
        accept(Lab(workspace, team.cora), NAME, merge_number=2)
    assert accept(Lab(workspace, team.rolf), NAME, merge_number=2).stage is Stage.ACCEPTED


def test_a_reviewer_may_review_their_own_work_where_nothing_is_said(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.IN_REVIEW)
    assign(Lab(workspace, team.cora), NAME, "rolf")
    assert accept(Lab(workspace, team.rolf), NAME).stage is Stage.ACCEPTED


def test_a_claimed_patch_is_not_claimed_by_another(workspace: Any, team: Any, patches: Any) -> None:
    patches.at(Stage.EXTRACTED)
    claim(Lab(workspace, team.annika), NAME)
    claim(Lab(workspace, team.annika), NAME)
    with pytest.raises(ConflictError, match="annika has it; ask them, or a curator transfers it"):
        claim(Lab(workspace, team.anton), NAME)


def test_a_second_click_on_claim_is_no_conflict_with_oneself(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.EXTRACTED)
    seen = show(workspace, NAME).patch.version
    first = claim(Lab(workspace, team.annika), NAME, seen=seen)
    assert claim(Lab(workspace, team.annika), NAME, seen=seen).version == first.version
    with pytest.raises(ConflictError):
        claim(Lab(workspace, team.anton), NAME, seen=seen)


def test_a_patch_is_released_by_its_owner_or_a_curator(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.EXTRACTED)
    claim(Lab(workspace, team.annika), NAME)
    with pytest.raises(NotAllowedError, match="annika has it"):
        release(Lab(workspace, team.anton), NAME)
    assert release(Lab(workspace, team.cora), NAME).assignee is None


def test_a_patch_is_handed_on_to_somebody_who_can_paint(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.EXTRACTED)
    claim(Lab(workspace, team.annika), NAME)
    assert transfer(Lab(workspace, team.annika), NAME, "anton").assignee == "anton"
    with pytest.raises(NotAllowedError):
        transfer(Lab(workspace, team.annika), NAME, "annika")
    with pytest.raises(StepError, match="vera is a viewer, who may not paint"):
        assign(Lab(workspace, team.cora), NAME, "vera")
    people.disable(workspace, team.admin, "anton")
    with pytest.raises(StepError, match="anton is disabled"):
        assign(Lab(workspace, team.cora), NAME, "anton")
    with pytest.raises(UnknownNameError, match="did you mean annika"):
        assign(Lab(workspace, team.cora), NAME, "anika")


@pytest.mark.parametrize("step", [accept, claim, submit, assign, withdraw])
def test_a_viewer_changes_nothing(workspace: Any, team: Any, patches: Any, step: Any) -> None:
    before = patches.at(Stage.MERGED)
    more = {assign: ("anton",), withdraw: ("a reason",)}.get(step, ())
    with pytest.raises(NotAllowedError, match="vera is a viewer"):
        step(Lab(workspace, team.vera), NAME, *more)
    assert show(workspace, NAME).patch == before


def test_a_change_of_role_counts_at_once(workspace: Any, team: Any, patches: Any) -> None:
    patches.at(Stage.IN_REVIEW)
    people.change_role(workspace, team.admin, "rolf", Role.VIEWER)
    with pytest.raises(NotAllowedError):
        accept(Lab(workspace, team.rolf), NAME)
    people.disable(workspace, team.admin, "rita")
    with pytest.raises(NotAllowedError, match="rita is disabled"):
        accept(Lab(workspace, team.rita), NAME)


def test_an_annotator_does_not_submit_what_another_has(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.MERGED)
    claim(Lab(workspace, team.annika), NAME)
    with pytest.raises(NotAllowedError, match="annika has it; ask them, or a reviewer does it"):
        submit(Lab(workspace, team.anton), NAME)
    assert submit(Lab(workspace, team.rolf), NAME).assignee == "annika"


def test_comments_stand_at_a_voxel_and_are_settled(workspace: Any, team: Any, patches: Any) -> None:
    seen = patches.at(Stage.IN_REVIEW)
    said = comment(Lab(workspace, team.rolf), NAME, "Is this a membrane? 🤔", at=(10, 20, 30))
    assert (said.author, said.at) == ("rolf", (10, 20, 30))
    settled = resolve_comment(Lab(workspace, team.annika), NAME, said.id)
    assert settled.resolved_by == "annika"
    after = show(workspace, NAME).patch
    assert (after.comment_count, after.version) == (1, seen.version)
    with pytest.raises(StepError, match=r"30,20,160 \(x, y, z\) lies outside"):
        comment(Lab(workspace, team.rolf), NAME, "where?", at=(160, 20, 30))
    with pytest.raises(StepError, match="the comment is missing"):
        comment(Lab(workspace, team.rolf), NAME, " ")
    with pytest.raises(UnknownNameError):
        resolve_comment(Lab(workspace, team.annika), NAME, said.id + 1)


def test_a_withdrawn_patch_comes_back_as_it_was(workspace: Any, team: Any, patches: Any) -> None:
    patches.at(Stage.ACCEPTED)
    gone = withdraw(Lab(workspace, team.cora), NAME, "the tomogram is not ours")
    assert gone.withdrawn
    with pytest.raises(StepError, match="is withdrawn, so it cannot be accepted"):
        accept(Lab(workspace, team.rolf), NAME)
    back = reinstate(Lab(workspace, team.cora), NAME)
    assert (back.withdrawn, back.stage) == (False, Stage.ACCEPTED)
    reasons = [event.reason for event in show(workspace, NAME).events]
    assert "the tomogram is not ours" in reasons


def test_every_step_checks_the_version_that_its_caller_saw(
    workspace: Any, team: Any, patches: Any
) -> None:
    old = patches.at(Stage.MERGED).version
    claim(Lab(workspace, team.annika), NAME)
    steps: list[Callable[[], object]] = [
        lambda: assign(Lab(workspace, team.cora), NAME, "anton", seen=old),
        lambda: claim(Lab(workspace, team.anton), NAME, seen=old),
        lambda: release(Lab(workspace, team.annika), NAME, seen=old),
        lambda: transfer(Lab(workspace, team.annika), NAME, "anton", seen=old),
        lambda: submit(Lab(workspace, team.annika), NAME, seen=old),
        lambda: accept(Lab(workspace, team.rolf), NAME, seen=old),
        lambda: reject(Lab(workspace, team.rolf), NAME, "no", seen=old),
        lambda: withdraw(Lab(workspace, team.cora), NAME, "no", seen=old),
    ]
    for step in steps:
        with pytest.raises(ConflictError, match="annika changed it on"):
            step()


def test_an_unknown_patch_gets_the_nearest_names(workspace: Any, team: Any, patches: Any) -> None:
    patches.at(Stage.MERGED)
    with pytest.raises(UnknownNameError, match=f"did you mean {NAME}"):
        accept(Lab(workspace, team.rolf), "other_TS_1_patch9")


def test_a_life_is_plain_json(workspace: Any, team: Any, patches: Any) -> None:
    import json

    patches.at(Stage.ACCEPTED)
    told = json.loads(json.dumps(to_json(show(workspace, NAME))))
    assert told["patch"]["stage"] == "accepted"
    assert told["slots"][0]["versions"][0]["author"] == "annika"


def test_a_step_that_fails_leaves_no_event(workspace: Any, team: Any, patches: Any) -> None:
    patches.at(Stage.CHOSEN)
    before = show(workspace, NAME).events
    with pytest.raises(StepError):
        review.submit(Lab(workspace, team.annika), NAME)
    assert show(workspace, NAME).events == before


def test_a_rejected_patch_does_not_go_to_somebody_who_left(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.IN_REVIEW)
    assign(Lab(workspace, team.cora), NAME, "annika")
    people.disable(workspace, team.admin, "annika")
    assert open_work(workspace, "annika") == (NAME,)
    assert reject(Lab(workspace, team.rolf), NAME, "the vesicle is open").assignee is None


def test_the_work_of_somebody_who_leaves_is_handed_over(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.MERGED)
    assign(Lab(workspace, team.cora), NAME, "annika")
    people.disable(workspace, team.admin, "annika")
    done = hand_over(Lab(workspace, team.cora), "annika", "anton")
    assert [(each.name, each.outcome) for each in done] == [(NAME, "done")]
    assert open_work(workspace, "annika") == ()
    assert open_work(workspace, "anton") == (NAME,)
    with pytest.raises(NotAllowedError):
        hand_over(Lab(workspace, team.rolf), "anton")
    hand_over(Lab(workspace, team.cora), "anton")
    assert open_work(workspace, "anton") == ()
