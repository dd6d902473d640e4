"""Patch centers are proposed, chosen in order, and told about; then their whole way is walked."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import PointsError, RootError, SegmentationError, VolumeError
from core.imaging.geometry import Zyx, box_around
from core.imaging.merging import read_label
from core.lab.lab import Lab
from core.labels.review import accept, reject, submit, withdraw
from core.patches.choose import choose, propose, read_centers
from core.patches.extract import extract
from core.patches.history import show
from core.tomograms.register import plan_registration, register
from core.workspace.results import DONE, FAILED, KEPT
from db.errors import NotAllowedError, StepError, UnknownNameError
from db.queries.patches import PatchFilter, list_patches
from db.vocabulary import ChosenBecause, NearBorder, Stage

MIDDLE = Zyx(88, 110, 120)
WHY: dict[str, Any] = {"reason": ChosenBecause.MISSED_MEMBRANE}


def names(workspace: Any) -> Any:
    with workspace.catalog.read() as session:
        return [patch.name for patch in list_patches(session, PatchFilter())]


def test_centers_become_patches_in_their_order(workspace: Any, team: Any, registered: Any) -> None:
    registered("TS_1")
    outcomes = choose(
        Lab(workspace, team.annika), "TS_1", [MIDDLE, Zyx(88, 110, 130)], **WHY, note="a hole 🕳"
    )
    assert [(o.name, o.outcome) for o in outcomes] == [
        ("other_TS_1_patch0", DONE),
        ("other_TS_1_patch1", DONE),
    ]
    assert outcomes[1].findings == ("overlaps other_TS_1_patch0; both go to the same split",)
    life = show(workspace, "other_TS_1_patch0")
    patch = life.patch
    assert (patch.center, patch.start, patch.shape) == (MIDDLE, (8, 30, 40), (160, 160, 160))
    assert (patch.chosen_by, patch.chosen_because, patch.note) == (
        "annika",
        ChosenBecause.MISSED_MEMBRANE,
        "a hole 🕳",
    )
    assert (patch.stage, patch.voxel_size, patch.model) == (Stage.CHOSEN, 10.0, "model")
    assert workspace.folders.record_of(patch.name).is_file()


def test_one_bad_center_stops_no_other(workspace: Any, team: Any, registered: Any) -> None:
    registered("TS_1")
    outcomes = choose(Lab(workspace, team.annika), "TS_1", [Zyx(0, 0, 0), MIDDLE], **WHY)
    assert [o.outcome for o in outcomes] == [FAILED, DONE]
    assert outcomes[0].name == "other/TS_1 at 0,0,0"
    assert "legal are x 80..170, y 80..160, z 80..96" in (outcomes[0].message or "")


def test_the_same_center_again_is_kept_and_said(workspace: Any, team: Any, registered: Any) -> None:
    registered("TS_1")
    choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)
    outcome = choose(Lab(workspace, team.anton), "TS_1", [MIDDLE], **WHY)[0]
    assert (outcome.outcome, outcome.name) == (KEPT, "other_TS_1_patch0")
    assert "has this center already" in (outcome.message or "")
    assert names(workspace) == ["other_TS_1_patch0"]


def test_a_withdrawn_center_is_to_be_reinstated(workspace: Any, team: Any, registered: Any) -> None:
    registered("TS_1")
    choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)
    withdraw(Lab(workspace, team.cora), "other_TS_1_patch0", "a mistake")
    outcome = choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)[0]
    assert (outcome.outcome, outcome.message) == (
        FAILED,
        "other_TS_1_patch0 has this center and is withdrawn; reinstate it.",
    )


def test_near_the_border_a_center_is_shifted_or_padded_when_asked(
    workspace: Any, team: Any, registered: Any
) -> None:
    registered("TS_1")
    low = Zyx(70, 110, 120)
    told = propose(workspace, "TS_1", low)
    assert told.refusal
    assert told.shifted_center == (80, 110, 120)
    shifted = choose(
        Lab(workspace, team.annika), "TS_1", [low], near_border=NearBorder.SHIFT, **WHY
    )[0]
    assert shifted.findings == ("shifted to 120,110,80 (x, y, z) to fit the tomogram",)
    padded = choose(Lab(workspace, team.annika), "TS_1", [low], near_border=NearBorder.PAD, **WHY)[
        0
    ]
    patch = show(workspace, padded.name).patch
    assert (patch.padded, patch.start) == (True, (-10, 30, 40))


def test_a_proposal_names_box_and_overlaps_and_writes_nothing(
    workspace: Any, team: Any, registered: Any
) -> None:
    registered("TS_1")
    choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)
    told = propose(workspace, "other/TS_1", Zyx(90, 112, 125))
    assert told.box == box_around(Zyx(90, 112, 125))
    assert (told.refusal, told.overlaps) == (None, ("other_TS_1_patch0",))
    assert "already" in (propose(workspace, "TS_1", MIDDLE).refusal or "")
    assert names(workspace) == ["other_TS_1_patch0"]


def test_more_than_five_patches_of_a_tomogram_are_warned_about(
    workspace: Any, team: Any, registered: Any
) -> None:
    registered("TS_1")
    centers = [Zyx(88, 110, 100 + step) for step in range(6)]
    outcomes = choose(Lab(workspace, team.annika), "TS_1", centers, **WHY)
    warned = [any("two to 5 a tomogram" in f for f in o.findings) for o in outcomes]
    assert warned == [False] * 5 + [True]


def test_a_dry_run_chooses_nothing(workspace: Any, team: Any, registered: Any) -> None:
    registered("TS_1")
    outcomes = choose(
        Lab(workspace, team.annika), "TS_1", [MIDDLE, Zyx(0, 0, 0)], dry_run=True, **WHY
    )
    assert [o.outcome for o in outcomes] == [DONE, FAILED]
    assert names(workspace) == []


def test_a_patch_is_bound_to_the_segmentation_that_is_named(
    workspace: Any, team: Any, registered: Any, files: Any
) -> None:
    registered("TS_1")
    files.segmentation("TS_1_newer.ckpt_segmented.mrc")
    register(Lab(workspace, team.cora), plan_registration(workspace, [files.folder]))
    newest = choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)[0]
    older = choose(
        Lab(workspace, team.annika), "TS_1", [Zyx(88, 111, 120)], segmentation_id=1, **WHY
    )[0]
    models = [show(workspace, o.name).patch.model for o in (newest, older)]
    assert models == ["newer", "model"]
    with pytest.raises(SegmentationError, match="has no segmentation 99; it has 2"):
        choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], segmentation_id=99, **WHY)


def test_a_tomogram_without_segmentation_has_nothing_to_correct(
    workspace: Any, team: Any, files: Any
) -> None:
    plan = plan_registration(workspace, [files.tomogram("TS_1.mrc")])
    register(Lab(workspace, team.admin), plan, add_roots=True)
    with pytest.raises(SegmentationError, match="has no segmentation to correct"):
        choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)


def test_a_tomogram_that_changed_or_is_gone_is_told_before_one_chooses_in_it(
    workspace: Any, team: Any, registered: Any, files: Any
) -> None:
    path = registered("TS_1")
    files.tomogram("TS_1.mrc", voxel_size=12.0)
    with pytest.raises(VolumeError, match="changed since it was registered"):
        choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)
    assert "changed since" in (propose(workspace, "TS_1", MIDDLE).refusal or "")
    path.unlink()
    with pytest.raises((VolumeError, RootError), match="TS_1"):
        choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)
    assert names(workspace) == []


def test_unknown_tomograms_and_viewers_choose_nothing(
    workspace: Any, team: Any, registered: Any
) -> None:
    registered("TS_1")
    with pytest.raises(UnknownNameError, match="did you mean TS_1"):
        choose(Lab(workspace, team.annika), "TS_7", [MIDDLE], **WHY)
    with pytest.raises(NotAllowedError, match="vera is a viewer"):
        choose(Lab(workspace, team.vera), "TS_1", [MIDDLE], **WHY)
    with pytest.raises(StepError, match="the note holds the character U\\+0007"):
        choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], note="\a", **WHY)
    with pytest.raises(StepError, match="the threshold nan is no number"):
        choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], threshold=float("nan"), **WHY)


def test_centers_come_from_a_file(
    workspace: Any, team: Any, registered: Any, tmp_path: Path
) -> None:
    registered("TS_1")
    table = tmp_path / "centers.csv"
    table.write_text("x,y,z\n120,110,88\nnonsense,1,2\n")
    points = read_centers(workspace, "TS_1", table)
    assert [center.position for center in points.centers] == [MIDDLE]
    assert len(points.failed) == 1
    table.write_text("x,y,z\n")
    with pytest.raises(PointsError):
        read_centers(workspace, "TS_1", table)


def test_a_looked_at_prediction_becomes_a_label_only_when_somebody_says_so(
    workspace: Any, team: Any, registered: Any
) -> None:
    registered("TS_1")
    name = choose(Lab(workspace, team.annika), "TS_1", [MIDDLE], **WHY)[0].name
    with pytest.raises(StepError, match="extract it first"):
        submit(Lab(workspace, team.annika), name, nothing_to_change=True)
    assert [o.outcome for o in extract(Lab(workspace, team.annika), [name])] == [DONE]
    with pytest.raises(StepError, match="submit it with nothing to change"):
        submit(Lab(workspace, team.annika), name)
    submitted = submit(Lab(workspace, team.annika), name, nothing_to_change=True)
    assert (submitted.stage, submitted.assignee) == (Stage.IN_REVIEW, "annika")
    accept(Lab(workspace, team.rolf), name, merge_number=1)
    life = show(workspace, name)
    assert life.accepted_merge is not None
    assert life.accepted_merge.nothing_to_change
    merged, _ = read_label(workspace.folders.merged_of(name))
    extracted, _ = read_label(workspace.folders.label_of(name))
    assert (merged == extracted).all()


def test_the_whole_way_runs_on_each_database(
    any_workspace: Any, any_patches: Any, files: Any
) -> None:
    team = any_patches.team
    files.tomogram("TS_1.mrc")
    files.segmentation("TS_1_model.ckpt_segmented.mrc")
    plan = plan_registration(any_workspace, [files.folder])
    register(Lab(any_workspace, team.admin), plan, add_roots=True)
    name = choose(Lab(any_workspace, team.annika), "TS_1", [MIDDLE], **WHY)[0].name
    assert [o.outcome for o in extract(Lab(any_workspace, team.annika))] == [DONE]
    submit(Lab(any_workspace, team.annika), name, nothing_to_change=True)
    reject(Lab(any_workspace, team.rolf), name, "look again at the left")
    submit(Lab(any_workspace, team.annika), name, nothing_to_change=True)
    assert accept(Lab(any_workspace, team.rolf), name).stage is Stage.ACCEPTED
    assert [review.verdict for review in show(any_workspace, name).reviews] == ["reject", "accept"]


def test_a_patch_with_corrections_has_something_to_change(
    workspace: Any, team: Any, patches: Any
) -> None:
    patches.at(Stage.CORRECTING)
    with pytest.raises(StepError, match=r"has corrections .1., so there is something to change"):
        submit(Lab(workspace, team.annika), "other_TS_1_patch0", nothing_to_change=True)
