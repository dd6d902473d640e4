"""Patches: the address is the filter, views are kept, bulk actions say how many they hit."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert
from streamlit.testing.v1 import AppTest

from core.lab.lab import Lab as ActingLab
from core.patches.lifecycle import Transition
from core.patches.saved_filters import list_views, save_view
from core.workspace.workspace import Workspace
from dashboard.components.patch import bulk
from dashboard.components.patch import filter as patch_filter
from dashboard.pages.patches import table_of
from db.errors import CatalogError
from db.models.patches import Patch
from db.queries.patches import PatchFilter, count_patches, get_patch, list_patches
from db.vocabulary import ChosenBecause, Role, Stage
from db.writes.events import Change
from db.writes.volumes import add_dataset
from tests.dashboard.conftest import Lab, act_as, said

Open = Callable[..., AppTest]
FILTERS: list[dict[str, Any]] = [
    {},
    {"text": "TS_001"},
    {"stage": ["Chosen", "In review"]},
    {"person": "Ada"},
    {"person": "Nobody"},
    {"within": "other/TS_001"},
    {"because": "False membrane"},
    {"mark": "Rejected"},
    {"mark": "Withdrawn"},
    {"mark": "Newer corrections wait", "text": "patch1", "stage": ["Accepted"]},
]


@pytest.mark.parametrize("words", FILTERS)
def test_a_kept_filter_shows_the_words_that_it_was_made_of(words: dict[str, Any]) -> None:
    wanted = patch_filter.filter_of(words)
    shown = patch_filter.words_of(patch_filter.rules_of(wanted))
    assert {name: value for name, value in shown.items() if value} == words
    assert patch_filter.filter_of(shown) == wanted


@pytest.mark.parametrize(
    "rules", [{"__class__": 1}, {"stage": ["nowhere"]}, {"text": 5}, {"assignee__name": "x"}]
)
def test_a_kept_filter_that_nobody_knows_is_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(CatalogError, match="filter"):
        patch_filter.words_of(rules)


def test_the_address_filters_the_list(lab: Lab, page: Open) -> None:
    at = page("patches", stage="In review")
    assert "**1 patch**" in said(at)
    assert list(at.dataframe[0].value["Patch"]) == [lab.in_review]


@pytest.mark.parametrize(
    "words",
    [
        {"stage": "nowhere"},
        {"person": "' OR 1=1"},
        {"page": "10000"},
        {"mark": "<img>"},
        {"page": "-1"},
        {"as": "../.."},
    ],
)
def test_an_address_that_was_tampered_with_shows_a_list(
    words: dict[str, str], lab: Lab, page: Open
) -> None:
    at = page("patches", **words)
    assert not at.exception
    assert "**5 patches**" in said(at)


def test_pictures_stand_beside_the_table(lab: Lab, page: Open) -> None:
    at = page("patches", **{"as": "Pictures"})
    assert not at.exception
    assert len(at.checkbox) >= 5
    next(each for each in at.checkbox if each.label == "select").check().run()
    assert "**1 patch**" in said(at)


def test_a_view_is_kept_and_shown_again(lab: Lab, page: Open) -> None:
    save_view(ActingLab(lab.workspace, lab.me), "mine to <b>do</b>", "patches", {"assignee": "Mia"})
    assert [view.name for view in list_views(ActingLab(lab.workspace, lab.me), "patches")] == [
        "mine to <b>do</b>"
    ]
    assert not list_views(ActingLab(lab.workspace, lab.ada), "patches")
    at = page("patches")
    next(each for each in at.button if "mine to" in each.label).click().run()
    assert at.selectbox(key="person").value == "Mia"
    assert "**1 patch**" in said(at)


def test_all_that_the_filter_hits_are_extracted_and_the_count_is_stated(
    lab: Lab, page: Open
) -> None:
    at = page("patches")
    at.checkbox(key="everything").check().run()
    labels = [each.label for each in at.button]
    assert "Extract 1 of 5" in labels
    assert "Merge 4 of 5" not in labels
    at.button(key="bulk_EXTRACT").click().run()
    assert not at.exception
    assert "1 patch extracted" in said(at)
    with lab.workspace.catalog.read() as session:
        assert get_patch(session, lab.chosen).stage is Stage.EXTRACTED


def test_many_patches_are_assigned_at_once(lab: Lab, page: Open) -> None:
    at = page("patches")
    at.checkbox(key="everything").check().run()
    at.selectbox(key="assign_to").select("Ben").run()
    at.button(key="bulk_assign").click().run()
    assert "assigned to Ben" in said(at)
    with lab.workspace.catalog.read() as session:
        assert count_patches(session, PatchFilter(assignee="Ben")) == 4


def test_many_extractions_become_one_batch(lab: Lab) -> None:
    from core.jobs.queue import list_jobs, submit_batch
    from db.queries.jobs import JobFilter
    from db.vocabulary import JobKind

    submit_batch(ActingLab(lab.workspace, lab.me), JobKind.EXTRACT, [f"p{n}" for n in range(9)])
    jobs = list_jobs(lab.workspace, JobFilter(active=True, top=True))
    assert "batch" in jobs.rows[0].arguments


def test_only_what_may_be_done_is_hit(lab: Lab) -> None:
    with lab.workspace.catalog.read() as session:
        patches = list_patches(session).rows
    assert bulk.hits(Transition.EXTRACT, patches, lab.ada).names == (lab.chosen,)
    assert not bulk.hits(Transition.ASSIGN, patches, lab.ada).names
    assert bulk.hits(Transition.MERGE, patches, lab.ada).label.startswith("Merge ")
    assert bulk.hits(Transition.CLAIM, patches, lab.ada).names == (lab.chosen,)


def test_a_viewer_changes_nothing(lab: Lab, page: Open) -> None:
    act_as(lab, Role.VIEWER)
    at = page("patches")
    at.checkbox(key="everything").check().run()
    assert not any(str(each.key).startswith("bulk") for each in at.button)
    at = page("patches", patch=lab.correcting)
    assert not any(str(each.key).startswith(("move", "give", "withdraw")) for each in at.button)


def test_a_patch_shows_its_whole_life(lab: Lab, page: Open) -> None:
    at = page("patches", patch=lab.accepted)
    told = said(at)
    for word in ("Merge 2", "accepted", "rejected", "Add1", "Ignore1", "History"):
        assert word in told + "".join(tab.label for tab in at.tabs)


def test_twenty_five_thousand_patches_are_shown_within_a_second(
    bare: Workspace, page: Open
) -> None:
    with bare.catalog.write() as session:
        now = datetime.now(UTC)
        dataset = add_dataset(session, Change.now(None), "many")
        session.execute(
            insert(Patch),
            [
                {
                    "name": f"many_TS_{n // 5:04}_patch{n % 5}",
                    "dataset_id": dataset,
                    "token": f"TS_{n // 5:04}",
                    "number": n % 5,
                    "shape_z": 160,
                    "shape_y": 160,
                    "shape_x": 160,
                    "chosen_at": now,
                    "updated_at": now,
                    "chosen_because": ChosenBecause.OTHER,
                    "stage": Stage.CHOSEN,
                    "stale": False,
                    "withdrawn": False,
                    "correction_count": 0,
                    "merge_count": 0,
                    "comment_count": 0,
                    "version": 1,
                }
                for n in range(25_000)
            ],
        )
    at = page("patches")
    times = []
    for _ in range(3):
        begun = time.process_time()
        at.run()
        times.append(time.process_time() - begun)
    assert "25,000 patches" in said(at)
    assert min(times) < 1.0


def test_a_table_holds_text_as_it_is(lab: Lab) -> None:
    with lab.workspace.catalog.read() as session:
        rows = table_of(list_patches(session).rows)
    assert rows[0]["Stage"] == ["Chosen"]
    assert rows[0]["Center x, y, z"] == "90, 90, 84"
