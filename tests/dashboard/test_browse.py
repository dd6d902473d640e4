"""The Browse page opens the tomogram of its address, and saves what a browser may choose."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.access.os_user import acting_person
from core.imaging.geometry import Zyx
from core.lab.lab import Lab as ActingLab
from core.workspace.workspace import Workspace
from dashboard.components.viewer import Said, viewer_data
from dashboard.pages.browse import open_tomogram, save_choice, scene_of
from db.queries.jobs import JobFilter, list_jobs
from db.queries.patches import find_patch
from db.vocabulary import ChosenBecause, JobKind, Role, Stage
from tests.dashboard.conftest import PROBE, Lab, act_as, said

Open = Callable[..., AppTest]
NEW = {"center_xyz": [90, 180, 84], "why": "false_membrane", "near_border": "refuse"}


def picker(at: AppTest) -> str:
    return str(at.selectbox(key="browse_tomogram").value)


def test_an_empty_workspace_says_the_next_step(bare: Workspace, page: Open) -> None:
    at = page("browse")
    assert not at.exception
    assert "Register one" in said(at)


@pytest.mark.parametrize("role", list(Role))
def test_the_page_starts_for_every_role(role: Role, lab: Lab, page: Open) -> None:
    act_as(lab, role)
    at = page("browse")
    assert not at.exception
    assert not at.error
    here = open_tomogram(lab.workspace, "TS_001")
    scene = scene_of(here, acting_person(lab.workspace), None, None)
    assert scene.may_choose is (role is not Role.VIEWER)


@pytest.mark.parametrize("address", ["other/TS_002", "TS_002"])
def test_the_address_names_the_tomogram(lab: Lab, page: Open, address: str) -> None:
    at = page("browse", tomogram=address)
    assert not at.exception
    assert picker(at) == "other/TS_002"


def test_an_unknown_tomogram_in_the_address_is_said(lab: Lab, page: Open) -> None:
    at = page("browse", tomogram=PROBE)
    assert not at.exception
    assert picker(at) == "other/TS_001"
    assert "No tomogram is called" in said(at)


def test_opening_a_tomogram_asks_once_for_its_previews(lab: Lab, page: Open) -> None:
    page("browse", tomogram="TS_001").run()
    with lab.workspace.catalog.read() as session:
        jobs = list_jobs(session, JobFilter(kind=JobKind.PREVIEW)).rows
    wanted = [job.arguments["object"] for job in jobs]
    assert len(wanted) == len(set(wanted))
    assert {"tomogram-1", "segmentation-1"} <= set(wanted)


def test_a_click_becomes_a_patch_with_its_reason(lab: Lab) -> None:
    name, told = save_choice(ActingLab(lab.workspace, lab.ada), "other/TS_001", NEW, None)
    assert told.saved
    assert "by Ada, version 1" in told.sentence
    with lab.workspace.catalog.read() as session:
        patch = find_patch(session, str(name))
    assert patch is not None
    assert (patch.center, patch.chosen_by, patch.stage) == ((84, 180, 90), "Ada", Stage.CHOSEN)
    assert patch.chosen_because is ChosenBecause.FALSE_MEMBRANE


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"center_xyz": [10, 180, 84]}, "legal are x 80..180"),
        ({"center_xyz": [90, 180]}, "a choice has a center"),
        ({"center_xyz": "90,180,84"}, "a choice has a center"),
        ({"center_xyz": [1e400, 0, 0]}, "a choice has a center"),
        ({"why": "<script>"}, "a choice has a center"),
        ({"near_border": "ignore"}, "a choice has a center"),
    ],
)
def test_a_choice_that_is_none_is_refused_in_one_sentence(
    lab: Lab, change: dict[str, Any], sentence: str
) -> None:
    name, told = save_choice(ActingLab(lab.workspace, lab.ada), "other/TS_001", NEW | change, None)
    assert (name, told.saved) == (None, False)
    assert sentence in told.sentence


def test_a_center_may_be_shifted_or_padded_on_request(lab: Lab) -> None:
    near = NEW | {"center_xyz": [10, 180, 84], "near_border": "shift"}
    _, told = save_choice(ActingLab(lab.workspace, lab.ada), "other/TS_001", near, None)
    assert told.saved
    assert "shifted to 80,180,84" in told.sentence


def test_who_may_only_look_cannot_choose_by_a_forged_click(lab: Lab) -> None:
    act_as(lab, Role.VIEWER)
    name, told = save_choice(ActingLab(lab.workspace, lab.me), "other/TS_001", NEW, None)
    assert (name, told.saved) == (None, False)


def test_the_viewer_is_told_what_to_draw(lab: Lab) -> None:
    here = open_tomogram(lab.workspace, "TS_001")
    data = viewer_data(scene_of(here, lab.me, lab.chosen, Said("saved", True)))
    assert data["selected"] == lab.chosen
    assert [patch["label"] for patch in data["patches"]] == [f"patch{n}" for n in range(5)]
    assert data["patches"][0]["center"] == list(Zyx(84, 90, 90))
    assert data["patches"][0]["start"] == [4, 10, 10]
    assert data["tomogram"]["object"].startswith("tomogram-")
    assert len(data["segmentations"]) == 1
