"""Review: a verdict is saved with its version, a reason is needed, somebody else may be first."""

import io
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.imaging.geometry import Zyx
from core.lab.lab import Lab as ActingLab
from core.labels import review
from dashboard.components.patch.planes import (
    ADDED,
    IGNORED,
    REMOVED,
    UNCHANGED,
    PatchPicture,
    Shown,
    difference,
    most_changed,
    plane_png,
)
from dashboard.pages.review import next_of, previous_of
from db.queries.patches import PatchRecord, get_patch
from db.queries.progress import Waiting
from db.vocabulary import Role, Stage
from tests.dashboard.conftest import Lab, act_as, said

Open = Callable[..., AppTest]


def record(lab: Lab, name: str) -> PatchRecord:
    with lab.workspace.catalog.read() as session:
        return get_patch(session, name)


def test_a_reviewer_accepts_and_sees_what_was_saved(lab: Lab, page: Open) -> None:
    at = page("review")
    assert lab.in_review.replace("_", "\\_") in at.title[0].value
    at.button(key=f"accept_{lab.in_review}_1").click().run()
    assert not at.exception
    assert "merge 1 accepted" in said(at)
    assert "by Mia, version" in said(at)
    assert record(lab, lab.in_review).stage is Stage.ACCEPTED


def test_rejecting_needs_a_reason(lab: Lab, page: Open) -> None:
    at = page("review", patch=lab.in_review)
    at.button(key=f"reject_{lab.in_review}_1").click().run()
    assert "Write the reason for rejecting" in at.error[0].value
    assert record(lab, lab.in_review).stage is Stage.IN_REVIEW
    at.text_area(key=f"reason_{lab.in_review}_1").input("not closed").run()
    at.button(key=f"reject_{lab.in_review}_1").click().run()
    assert "returned to its annotator" in said(at)
    patch = record(lab, lab.in_review)
    assert (patch.stage, patch.rejected_reason) == (Stage.CORRECTING, "not closed")


def test_a_common_reason_is_one_click(lab: Lab, page: Open) -> None:
    at = page("review", patch=lab.in_review)
    at.pills(key=f"pills_reason_{lab.in_review}_1").select("A membrane is missed.").run()
    assert at.text_area(key=f"reason_{lab.in_review}_1").value == "A membrane is missed."


def test_a_verdict_of_somebody_else_meanwhile_is_shown_and_not_overwritten(
    lab: Lab, page: Open
) -> None:
    at = page("review", patch=lab.in_review)
    review.reject(ActingLab(lab.workspace, lab.ben), lab.in_review, "too thick")
    at.button(key=f"accept_{lab.in_review}_1").click().run()
    assert "Changed meanwhile" in at.warning[0].value
    assert "Ben" in at.warning[0].value
    assert "too thick" in at.warning[0].value
    assert record(lab, lab.in_review).rejected_reason == "too thick"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANNOTATOR])
def test_who_may_not_decide_sees_no_buttons(role: Role, lab: Lab, page: Open) -> None:
    act_as(lab, role)
    at = page("review", patch=lab.in_review)
    assert not any(str(each.key).startswith(("accept", "reject")) for each in at.button)
    assert "Only reviewers accept" in said(at)


def test_a_role_that_was_taken_away_meanwhile_counts_at_once(lab: Lab, page: Open) -> None:
    at = page("review", patch=lab.in_review)
    act_as(lab, Role.VIEWER)
    at.button(key=f"accept_{lab.in_review}_1").click().run()
    assert record(lab, lab.in_review).stage is Stage.IN_REVIEW
    assert "reviewer or more" in at.error[0].value


def test_keys_one_to_four_change_what_is_drawn(lab: Lab, page: Open) -> None:
    at = page("review", patch=lab.in_review)
    next(each for each in at.button if each.label == "Before").click().run()
    assert not at.exception
    assert at.session_state["shown"][1] == "Before"


def test_the_queue_turns_round_its_ends() -> None:
    now = datetime.now(UTC)
    queue = tuple(Waiting(name, now) for name in ("a", "b", "c"))
    assert [next_of(queue, name) for name in ("a", "c", "elsewhere")] == ["b", "a", "a"]
    assert [previous_of(queue, name) for name in ("a", "b")] == ["c", "a"]
    assert next_of(queue[:1], "a") is None


def test_a_difference_has_one_code_for_each_meaning() -> None:
    before = np.array([[[1, 0, 1, 1, 0, 0]]], np.uint8)
    after = np.array([[[1, 1, 0, 2, 2, 0]]], np.uint8)
    codes = difference(before, after)[0, 0].tolist()
    assert codes == [UNCHANGED, ADDED, REMOVED, IGNORED, IGNORED, 0]


def test_one_looks_first_where_most_was_changed() -> None:
    before = np.zeros((40, 48, 56), np.uint8)
    after = before.copy()
    after[20, 21:23, 22:24] = 1
    after[0:10] = 2
    assert most_changed(before, after) == Zyx(20, 21, 22)
    assert most_changed(before, before) == Zyx(20, 24, 28)


@pytest.mark.parametrize("shown", list(Shown))
def test_every_plane_of_every_kind_can_be_drawn(shown: Shown) -> None:
    rng = np.random.default_rng(1)
    gray, before, after = (rng.integers(0, high, (40, 48, 56), np.uint8) for high in (255, 3, 3))
    for label in (after, None):
        picture = PatchPicture(gray, before, label)
        for axis in range(3):
            assert plane_png(picture, shown, axis, Zyx(20, 20, 20)).startswith(b"\x89PNG")


def test_yz_is_drawn_with_y_to_the_right_and_z_down() -> None:
    gray = np.zeros((40, 48, 56), np.uint8)
    gray[35, 20, 30] = 255
    picture = PatchPicture(gray, np.zeros_like(gray), None)
    drawn = np.asarray(Image.open(io.BytesIO(plane_png(picture, Shown.IMAGE, 2, Zyx(5, 5, 30)))))
    assert drawn.shape[:2] == (3 * 40, 3 * 48)
    z, y = np.unravel_index(drawn[:, :, 0].argmax(), drawn.shape[:2])
    assert (int(z) // 3, int(y) // 3) == (35, 20)
