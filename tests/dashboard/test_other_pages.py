"""Progress, Activity and Settings; and nobody's words are shown as HTML, Markdown or a link."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.access import people
from core.jobs import queue
from core.lab.lab import Lab as ActingLab
from core.lab.lab import Lab as OpenedLab
from core.tomograms.data_roots import list_roots
from core.workspace.workspace import Workspace
from dashboard.pages.progress import read_board, target_of
from dashboard.ui.job_notices import active_now, newly_finished
from dashboard.ui.plots import stages_by
from db.queries.people import get_person
from db.vocabulary import JobKind, JobState, Role, Stage
from tests.dashboard.conftest import PROBE, Lab, act_as, said

Open = Callable[..., AppTest]


def test_progress_tells_my_work_first_and_what_waits(lab: Lab, page: Open) -> None:
    board = read_board(OpenedLab(lab.workspace, lab.me), datetime.now(UTC))
    assert [patch.name for patch in board.mine] == [lab.extracted]
    assert [waiting.name for waiting in board.to_review] == [lab.in_review]
    assert board.by_tomogram["other/TS_001"][Stage.ACCEPTED] == 1
    assert set(board.balance) == {"background", "membrane", "ignore"}
    assert board.reasons == [(PROBE, 1)]
    assert "1 patch to correct" in said(page("progress"))


def test_a_click_on_a_bar_asks_for_its_patches() -> None:
    figure = stages_by({"other/TS_001": {Stage.IN_REVIEW: 2}}, "patches")
    bar = next(each for each in figure.data if each.name == "In review")
    point = {"customdata": list(bar.customdata[0])}
    assert target_of([point], "tomogram") == {"tomogram": "other/TS_001", "stage": "In review"}
    assert target_of([], "tomogram") is None


def test_a_plot_shows_names_as_text() -> None:
    figure = stages_by({'<a href="http://evil.test">x</a>': {Stage.CHOSEN: 1}}, "patches")
    assert "<a" not in str(figure.data[0].y)


def test_a_job_is_cancelled_and_tried_again(lab: Lab, page: Open) -> None:
    job = queue.submit(ActingLab(lab.workspace, lab.me), JobKind.EXTRACT, {"names": [lab.chosen]})
    at = page("activity")
    assert "No worker is running" in said(at)
    at.button(key=f"cancel_{job}").click().run()
    assert queue.job(lab.workspace, job).state is JobState.CANCELLED
    at.button(key=f"repeat_{job}").click().run()
    assert not at.exception
    assert queue.job(lab.workspace, job).state is JobState.QUEUED


def test_somebody_elses_job_has_no_button_for_an_annotator(lab: Lab, page: Open) -> None:
    job = queue.submit(ActingLab(lab.workspace, lab.ada), JobKind.EXTRACT, {"names": [lab.chosen]})
    act_as(lab, Role.ANNOTATOR)
    assert not any(str(each.key) == f"cancel_{job}" for each in page("activity").button)


def test_the_log_is_filtered_and_paged(lab: Lab, page: Open) -> None:
    at = page("activity", activity_tab="Who did what", who="Ada", what="patch")
    table = next(each.value for each in at.dataframe if "Who" in each.value)
    assert set(table["Who"]) == {"Ada"}


def test_only_jobs_that_ended_since_are_told(lab: Lab) -> None:
    job = queue.submit(ActingLab(lab.workspace, lab.me), JobKind.EXTRACT, {"names": [lab.chosen]})
    before = active_now(queue.list_jobs(lab.workspace).rows, lab.me)
    assert before == [job] or job in before
    queue.cancel(ActingLab(lab.workspace, lab.me), job)
    jobs = queue.list_jobs(lab.workspace).rows
    assert [each.id for each in newly_finished(jobs, lab.me, before)] == [job]
    assert not newly_finished(jobs, lab.ada, before)
    assert not newly_finished(jobs, lab.me, [])


def test_an_admin_adds_and_changes_people(lab: Lab, page: Open) -> None:
    at = page("settings")
    at.text_input[0].input("Dora")
    next(each for each in at.button if each.label == "Add").click().run()
    assert "**Dora** added as" in said(at)
    at.selectbox(key="whom").select("Dora").run()
    dora = next(each for each in people.list_people(lab.workspace) if each.name == "Dora")
    at.selectbox(key=f"role_{dora.id}").select(Role.CURATOR).run()
    at.button(key="save_role").click().run()
    at.button(key="access").click().run()
    assert not at.exception
    with lab.workspace.catalog.read() as session:
        changed = get_person(session, "Dora")
    assert (changed.role, changed.disabled) == (Role.CURATOR, True)


def test_the_last_admin_stays_admin(lab: Lab, page: Open) -> None:
    at = page("settings")
    at.selectbox(key="whom").select("Mia").run()
    at.selectbox(key=f"role_{lab.me.id}").select(Role.VIEWER).run()
    at.button(key="save_role").click().run()
    assert "last admin" in at.error[0].value


def test_a_backup_is_made_verified_and_listed(lab: Lab, page: Open) -> None:
    at = page("settings", settings_tab="Backups")
    at.button(key="back_up").click().run()
    assert not at.exception
    assert "made by Mia" in said(at)
    at.button(key="verify").click().run()
    assert not at.exception
    assert "verified by a trial restore" in said(at)


def test_the_doctor_says_what_was_found(lab: Lab, page: Open) -> None:
    at = page("settings", settings_tab="Doctor")
    at.button(key="examine").click().run()
    assert not at.exception
    assert ":material/check_circle:" in said(at)


def test_who_manages_nobody_sees_people_and_no_forms(lab: Lab, page: Open) -> None:
    act_as(lab, Role.CURATOR)
    for tab in ("People", "Data roots", "Backups", "Doctor"):
        at = page("settings", settings_tab=tab)
        assert not at.exception
        assert not {"save_role", "access", "back_up", "examine"} & {str(b.key) for b in at.button}
        assert not any("Add data root" in each.label for each in at.button)


def test_a_tab_stays_open_when_a_message_appears(lab: Lab, page: Open) -> None:
    at = page("settings", settings_tab="Backups")
    at.button(key="back_up").click().run()
    assert "made by Mia" in said(at)
    at.run()
    assert at.session_state["settings_tab"] == "Backups"
    assert at.query_params["settings_tab"] == "Backups"


def test_an_admin_adds_a_data_root_in_the_browser(
    bare: Workspace, page: Open, tmp_path: Path
) -> None:
    folder = tmp_path / "tomograms"
    folder.mkdir()
    at = page("tomograms", tomograms_tab="Register more")
    assert "No data root yet" in said(at)
    at.text_input(key="new_root").input("tomograms")
    next(each for each in at.button if each.label == "Add data root").click().run()
    assert "not an absolute path" in at.error[0].value
    at.text_input(key="new_root").input(str(folder))
    next(each for each in at.button if each.label == "Add data root").click().run()
    assert not at.exception
    assert "added by Mia" in said(at)
    assert list_roots(bare) == (folder,)
    assert at.segmented_control(key="register_how").value == "Browse"


PLACES: list[tuple[str, dict[str, str]]] = [
    ("progress", {}),
    ("tomograms", {}),
    ("tomograms", {"tomogram": "other/TS_001"}),
    ("patches", {}),
    ("patches", {"as": "Pictures"}),
    ("patches", {"patch": "other_TS_001_patch4"}),
    ("patches", {"patch": PROBE}),
    ("correct", {"patch": "other_TS_001_patch2"}),
    ("correct", {"patch": "other_TS_001_patch2", "how": "My own software"}),
    ("review", {"patch": "other_TS_001_patch3"}),
    ("activity", {}),
    ("settings", {}),
]
AS_IT_IS = (
    "text",
    "dataframe",
    "arrow_data_frame",
    "selectbox",
    "text_area",
    "text_input",
    "unknown",
)
"""Elements that show text as it is, and fields that hold it."""


@pytest.mark.parametrize(("name", "words"), PLACES)
def test_hostile_text_is_nowhere_html_markdown_or_a_link(
    name: str, words: dict[str, str], lab: Lab, page: Open
) -> None:
    people.add(lab.workspace, lab.me, PROBE, Role.REVIEWER)
    at = page(name, **words)
    assert not at.exception
    for element in elements(at):
        if element.type in AS_IT_IS:
            continue
        shown = str(element.proto).replace("\\\\", "\\")
        assert not re.search(r"(?<!\\)<img", shown), element.type
        if element.type != "plotly_chart":  # Plotly knows no Markdown
            assert not re.search(r"(?<!\\)\]\\?\((javascript:|http://evil)", shown), element.type


def elements(at: AppTest) -> Iterator[Any]:
    """Every element of a page."""
    waiting: list[Any] = [at._tree]
    while waiting:
        node = waiting.pop()
        if hasattr(node, "children"):
            waiting += node.children.values()
        elif hasattr(node, "proto"):
            yield node


def test_time_is_told_as_a_clock_shows_it() -> None:
    from dashboard.ui.times import format_age, format_time

    now = datetime(2026, 11, 25, 14, 3, tzinfo=UTC)
    assert format_time(now, now) == "14:03"
    assert format_time(now - timedelta(days=1), now) == "24 Nov 2026, 14:03"
    assert [format_age(now - timedelta(seconds=s), now) for s in (5, 120, 7200, 200000)] == [
        "just now",
        "2 min",
        "2 h",
        "2 d",
    ]
