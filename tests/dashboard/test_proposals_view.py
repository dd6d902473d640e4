"""The Proposals view of Browse & choose, Quality and Progress with proposals."""

import base64
from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.lab.lab import Lab as ActingLab
from core.lab.lab import Lab as OpenedLab
from core.proposals.channels import Channel
from core.proposals.propose import propose
from dashboard.components.proposals import decide, heat_data, proposed_data, waiting
from db.queries.jobs import JobFilter, list_jobs
from db.queries.patches import PatchFilter, get_patch, list_patches
from db.queries.volumes import get_tomogram
from db.vocabulary import JobKind, Role
from db.writes.events import Change
from db.writes.proposals import accept_proposal
from tests.dashboard.conftest import Lab, act_as, said

Open = Callable[..., AppTest]


@pytest.fixture
def proposed(lab: Lab) -> Lab:
    """The lab, with places proposed in the tomogram that has no patches yet."""
    propose(ActingLab(lab.workspace, lab.ada), ["TS_002"])
    return lab


def test_a_lab_without_proposals_is_told_how_to_get_them(lab: Lab, page: Open) -> None:
    at = page("browse")
    assert [toggle.label for toggle in at.toggle] == ["Proposals (0)"]
    at.toggle[0].set_value(True).run()
    assert "No open proposals" in said(at)
    at.button(key="propose_here").click().run()
    with lab.workspace.catalog.read() as session:
        (job,) = list_jobs(session, JobFilter(kind=JobKind.PROPOSE)).rows
    assert job.arguments["names"] == ["other/TS_001"]
    assert not at.exception


def test_the_list_tells_why_and_the_address_brings_one_into_focus(
    proposed: Lab, page: Open
) -> None:
    (first, *_) = waiting(proposed.workspace)
    at = page("browse", tomogram="TS_002", proposal=str(first.id))
    assert not at.exception
    assert at.toggle[0].value
    assert first.reason.endswith(tuple(at.dataframe[0].value["why"]))
    assert "default weights" in said(at)


def test_the_viewer_is_told_the_places_their_pins_and_the_heat(proposed: Lab) -> None:
    workspace = proposed.workspace
    with workspace.catalog.read() as session:
        tomogram = get_tomogram(session, "TS_002")
    told = proposed_data(workspace, tomogram.id, proposed.ada)
    assert told["mayDecide"]
    assert all(place["pins"] and "voxels" in place["reason"] for place in told["places"])
    assert told["places"][0]["stop"][0] - told["places"][0]["start"][0] == 160
    heat = heat_data(workspace, tomogram, Channel.MISSED)
    assert heat is not None
    cells = np.frombuffer(base64.b64decode(heat["values"]), np.uint8)
    assert cells.size == np.prod(heat["shape"])
    assert cells.max() == 255
    assert heat_data(workspace, tomogram, None) is None
    assert heat_data(workspace, tomogram, Channel.DOUBT) is None


def test_accepting_and_dismissing_by_a_key_saves_and_goes_on(proposed: Lab) -> None:
    workspace = proposed.workspace
    before = waiting(workspace)
    told = decide(OpenedLab(workspace, proposed.ada), {"id": before[0].id, "decision": "accept"})
    assert told.saved
    assert before[0].reason in told.sentence
    if len(before) > 1:
        assert decide(
            OpenedLab(workspace, proposed.ada), {"id": before[1].id, "decision": "nothing_wrong"}
        ).saved
    assert len(waiting(workspace)) == max(0, len(before) - 2)
    with workspace.catalog.read() as session:
        assert list_patches(session, PatchFilter(tomogram="TS_002")).total == 1


@pytest.mark.parametrize(
    "told", [None, {}, {"id": "x", "decision": "accept"}, {"id": 1}, {"id": 1, "decision": "burn"}]
)
def test_what_is_no_decision_changes_nothing(proposed: Lab, told: object) -> None:
    before = waiting(proposed.workspace)
    assert not decide(OpenedLab(proposed.workspace, proposed.ada), told).saved
    assert waiting(proposed.workspace) == before


def test_who_may_only_look_decides_nothing(proposed: Lab) -> None:
    act_as(proposed, Role.VIEWER)
    number = waiting(proposed.workspace)[0].id
    assert not decide(
        OpenedLab(proposed.workspace, proposed.me), {"id": number, "decision": "accept"}
    ).saved
    assert not decide(
        OpenedLab(proposed.workspace, proposed.me), {"id": number, "decision": "nothing_wrong"}
    ).saved


def test_progress_says_how_many_wait_and_leads_to_the_first(proposed: Lab, page: Open) -> None:
    at = page("progress")
    assert not at.exception
    number = len(waiting(proposed.workspace))
    words = "proposed place" if number == 1 else "proposed places"
    links = [element.proto.label for element in at.get("page_link")]
    assert f"{number} {words} to look at" in links


def test_quality_shows_expected_against_corrected(proposed: Lab, page: Open) -> None:
    (first, *_) = waiting(proposed.workspace)
    with proposed.workspace.catalog.write() as session:
        patch = get_patch(session, proposed.accepted)
        accept_proposal(session, Change.now(proposed.ada.id), first.id, (patch.id, patch.name))
    at = page("quality")
    assert not at.exception
    assert "Proposals: expected and corrected" in [each.value for each in at.subheader]
    assert "default weights" in said(at)
