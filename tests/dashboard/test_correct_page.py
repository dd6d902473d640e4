"""Correct: files are taken in with their findings, merged and submitted."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.lab.lab import Lab as ActingLab
from core.lab.lab import Lab as OpenedLab
from core.painting.draft import keep_draft
from core.workspace.results import DONE, FAILED
from dashboard.components.patch.upload import (
    DroppedFile,
    ReceivedFile,
    draw_painted,
    make_kit,
    receive_files,
    versions_of,
)
from dashboard.pages.correct import my_work, neighbours
from db.queries.life import slots_of
from db.queries.patches import PatchRecord, get_patch
from db.vocabulary import CorrectionKind, Stage
from tests.dashboard.conftest import Lab, paint, said

Open = Callable[..., AppTest]


def record(lab: Lab, name: str) -> PatchRecord:
    with lab.workspace.catalog.read() as session:
        return get_patch(session, name)


def test_several_dropped_files_are_taken_in_and_each_is_pictured(lab: Lab) -> None:
    files = [
        DroppedFile("Add1.nrrd", paint(lab.workspace, lab.extracted, CorrectionKind.ADD)),
        DroppedFile("Remove1.nrrd", paint(lab.workspace, lab.extracted, CorrectionKind.REMOVE, 6)),
    ]
    taken = receive_files(OpenedLab(lab.workspace, lab.me), lab.extracted, files, seen={})
    assert [each.outcome for each in taken] == [DONE, DONE]
    assert "saved as version 1: add" in taken[0].message
    picture = draw_painted(lab.workspace, lab.extracted, taken[0])
    assert picture
    assert Image.open(io.BytesIO(picture)).size == (480, 480)
    assert record(lab, lab.extracted).stage is Stage.CORRECTING
    assert ReceivedFile.of(taken[0].kept()) == taken[0]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("../../Add1.nrrd", b"x", "name the file alone"),
        ("/etc/Add1.nrrd", b"x", "name the file alone"),
        ("Add1<img src=x>.txt", b"x", "formats that can be read"),
        ("Add9.nrrd", b"this is no NRRD", "neither MRC"),
        ("Add1.nrrd", b"", ""),
        ("kits.zip", b"PK no zip", ""),
    ],
)
def test_a_file_that_cannot_be_taken_gets_its_sentence_and_stops_no_other(
    lab: Lab, name: str, content: bytes, sentence: str
) -> None:
    good = DroppedFile("Ignore1.nrrd", paint(lab.workspace, lab.extracted, CorrectionKind.IGNORE))
    taken = receive_files(
        OpenedLab(lab.workspace, lab.me), lab.extracted, [DroppedFile(name, content), good], {}
    )
    assert [each.outcome for each in taken] == [FAILED, DONE]
    assert sentence in taken[0].message
    assert draw_painted(lab.workspace, lab.extracted, taken[0]) is None


def test_a_file_that_replaces_another_is_held_against_what_the_page_showed(lab: Lab) -> None:
    again = DroppedFile("Add1.nrrd", paint(lab.workspace, lab.correcting, CorrectionKind.ADD, 5))
    taken = receive_files(OpenedLab(lab.workspace, lab.me), lab.correcting, [again], seen={})
    assert taken[0].outcome == FAILED
    assert "changed it" in taken[0].message
    with lab.workspace.catalog.read() as session:
        seen = versions_of(slots_of(session, record(lab, lab.correcting).id))
    both = [(lab.me, DONE, 6), (lab.ada, FAILED, 7)]
    for person, outcome, edge in both:
        file = DroppedFile(
            "Add1.nrrd", paint(lab.workspace, lab.correcting, CorrectionKind.ADD, edge)
        )
        taken = receive_files(OpenedLab(lab.workspace, person), lab.correcting, [file], seen)
        assert taken[0].outcome == outcome
    assert f"{lab.me.name} changed it" in taken[0].message
    assert "version 2, you saw 1" in taken[0].message


def test_a_kit_comes_back_sorted_by_its_folders(lab: Lab) -> None:
    content = make_kit(lab.workspace, [lab.extracted, lab.correcting])
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert any(lab.extracted in name for name in names)
    filled = io.BytesIO(content)
    with zipfile.ZipFile(filled, "a") as archive:
        folder = next(n for n in names if n.rstrip("/").endswith(f"corrections/{lab.extracted}"))
        painted = paint(lab.workspace, lab.extracted, CorrectionKind.ADD)
        archive.writestr(f"{folder.rstrip('/')}/Add7.nrrd", painted)
    dropped = [DroppedFile("kit.zip", filled.getvalue())]
    receive_files(OpenedLab(lab.workspace, lab.me), lab.correcting, dropped, seen={})
    with lab.workspace.catalog.read() as session:
        slots = slots_of(session, get_patch(session, lab.extracted).id)
    assert [slot.name for slot in slots] == ["Add7.nrrd"]


def test_my_work_is_what_is_mine_and_unfinished(lab: Lab) -> None:
    assert [patch.name for patch in my_work(OpenedLab(lab.workspace, lab.me))] == [lab.extracted]
    assert [patch.name for patch in my_work(OpenedLab(lab.workspace, lab.ada))] == [lab.correcting]


def test_one_turns_through_a_list_round_its_ends() -> None:
    assert neighbours(["a", "b", "c"], "a") == ("c", "b")
    assert neighbours(["a", "b", "c"], "elsewhere") == (None, "a")
    assert neighbours([], "a") == (None, None)


def test_corrections_are_previewed_merged_and_submitted(lab: Lab, page: Open) -> None:
    at = page("correct", patch=lab.correcting, how="Merge and submit")
    assert "Preview of the merge" in said(at)
    at.button(key=f"merge_{lab.correcting}").click().run()
    assert not at.exception
    assert "1 patch merged" in said(at)
    assert record(lab, lab.correcting).stage is Stage.MERGED
    at.button(key=f"submit_{lab.correcting}").click().run()
    assert "submitted for review" in said(at)
    assert "saved at" in said(at)
    assert record(lab, lab.correcting).stage is Stage.IN_REVIEW


def test_nothing_to_change_must_be_stated(lab: Lab, page: Open) -> None:
    at = page("correct", patch=lab.extracted, how="Merge and submit")
    assert at.button(key=f"submit_nothing_{lab.extracted}").disabled
    at.checkbox(key=f"sure_{lab.extracted}").check().run()
    at.button(key=f"submit_nothing_{lab.extracted}").click().run()
    assert not at.exception
    assert record(lab, lab.extracted).stage is Stage.IN_REVIEW


def test_a_correction_is_left_out_and_taken_back(lab: Lab, page: Open) -> None:
    at = page("correct", patch=lab.correcting, how="My own software")
    button = next(each for each in at.button if "Exclude" in each.label)
    button.click().run()
    assert "excluded from merges" in said(at)
    button = next(each for each in at.button if "Include" in each.label)
    button.click().run()
    assert "included again" in said(at)


def test_an_unknown_patch_is_told_and_leads_back(lab: Lab, page: Open) -> None:
    for name in ("../../etc", "1 OR 1=1", "<img src=x>"):
        at = page("correct", patch=name)
        assert not at.exception
        assert "there is no patch" in at.error[0].value.replace("\\", "")


def test_a_second_tab_is_told_what_the_first_one_changed(lab: Lab, page: Open) -> None:
    first = page("patches", patch=lab.correcting)
    second = page("patches", patch=lab.correcting)
    first.selectbox(key=f"give_to_{lab.correcting}").select("Mia").run()
    first.button(key=f"give_{lab.correcting}").click().run()
    assert record(lab, lab.correcting).assignee == "Mia"
    second.button(key=f"give_{lab.correcting}").click().run()
    assert "Changed meanwhile" in second.warning[0].value
    assert "Mia" in second.warning[0].value
    assert "assigned" in second.warning[0].value


def test_a_button_of_another_patch_than_the_address_names_changes_nothing(
    lab: Lab, page: Open
) -> None:
    at = page("correct", patch=lab.correcting, how="Merge and submit")
    at.button(key=f"merge_{lab.correcting}").click()
    at.query_params["patch"] = lab.extracted
    at.run()
    assert "Nothing was changed: this button was for" in at.error[0].value
    assert record(lab, lab.correcting).stage is Stage.CORRECTING


def test_the_address_names_the_patch_that_is_shown_first(lab: Lab, page: Open) -> None:
    assert page("correct").query_params == {"patch": lab.extracted}
    assert page("review").query_params == {"patch": lab.in_review}


def keep_strokes(lab: Lab, name: str) -> None:
    """Leave unsaved strokes on a patch, as the painter does when one goes to another tab."""
    voxels = np.zeros((160, 160, 160), np.uint8)
    voxels[80, 60:70, 60:70] = 1
    keep_draft(ActingLab(lab.workspace, lab.me), name, voxels, 0)


def test_nothing_is_merged_or_submitted_over_unsaved_strokes(lab: Lab, page: Open) -> None:
    keep_strokes(lab, lab.extracted)
    at = page("correct", patch=lab.extracted, how="Merge and submit")
    assert "did not save it" in at.warning[0].value
    assert not any(str(each.key).startswith(("merge", "submit")) for each in at.button)
    at.button(key=f"discard_{lab.extracted}").click().run()
    assert "discarded" in said(at)
    assert at.checkbox(key=f"sure_{lab.extracted}")


def test_strokes_that_came_after_the_page_was_drawn_stop_a_merge(lab: Lab, page: Open) -> None:
    at = page("correct", patch=lab.correcting, how="Merge and submit")
    keep_strokes(lab, lab.correcting)
    at.button(key=f"merge_{lab.correcting}").click().run()
    assert "save or discard it first" in at.error[0].value
    assert record(lab, lab.correcting).stage is Stage.CORRECTING
    at.button(key=f"to_painter_{lab.correcting}").click().run()
    assert at.query_params["how"] == "Paint here"


def test_a_freshly_claimed_patch_opens_in_the_painter(lab: Lab, page: Open) -> None:
    at = page("correct", patch=lab.chosen, how="Merge and submit")
    next(each for each in at.button if each.label == "Claim").click().run()
    assert record(lab, lab.chosen).assignee == "Mia"
    assert at.query_params == {"patch": lab.chosen}
