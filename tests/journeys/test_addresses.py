"""What is shown is what is acted on: every picker, then an action; and Back, reload, bookmarks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

import mrcfile
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from core.access import people
from core.access.os_user import acting_person
from core.corrections.receive import receive
from core.demo.synthetic import make_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.labels import review
from core.labels.merge import merge
from core.patches import assign
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.workspace.results import count_failed
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.life import comments_of
from db.queries.patches import PatchRecord, get_patch
from db.queries.volumes import get_tomogram, permission_of
from db.vocabulary import ChosenBecause, CorrectionKind, Role, Split, Stage
from tests.dashboard.conftest import paint
from tests.journeys.driving import SIZE, chromium, go, opened_browser, served, settle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
P = [f"other_TS_001_patch{number}" for number in range(7)]
MINE, MINE_TOO, WAITS, WAITS_TOO, FREE, FREE_TOO, CHOSEN = P
FIRST, SECOND = "other/TS_001", "other/TS_002"


class Desk(NamedTuple):
    """A signed-in page, the server's address and the workspace behind it."""

    page: Page
    base: str
    workspace: Workspace

    def go(self, path: str) -> None:
        go(self.page, self.base, path)

    def press(self, name: str) -> None:
        pattern = re.compile(name.replace("/", "."))
        self.page.get_by_role("button", name=pattern).first.click()
        settle(self.page)

    def pick(self, menu: str, name: str) -> None:
        """Choose a patch in the menu of a page."""
        self.page.locator('[data-testid="stPopoverButton"]').filter(has_text=menu).click()
        entries = self.page.locator('[data-testid="stPopoverBody"]')
        entries.get_by_role("button", name=re.compile(f"{name}$")).click()
        self.shows(name)

    def click_card(self, number: int) -> None:
        """Click in the middle of the picture of a card."""
        settle(self.page)
        picture = self.page.locator('[class*="st-key-tc_card_"] img').nth(number)
        expect(picture).to_be_visible()
        self.page.wait_for_timeout(500)
        box = picture.bounding_box()
        assert box
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def shows(self, name: str, word: str = "patch") -> None:
        """Expect a patch or tomogram in the title and in the address."""
        expect(self.page.locator("h1").first).to_have_text(name, timeout=60_000)
        settle(self.page)
        assert parse_qs(urlsplit(self.page.url).query).get(word) == [name]

    def tells(self, words: str) -> None:
        told = self.page.locator('[data-testid="stAlert"]').filter(has_text=re.compile(words))
        expect(told.first).to_be_visible(timeout=60_000)
        settle(self.page)

    def patch(self, name: str) -> PatchRecord:
        with self.workspace.catalog.read() as session:
            return get_patch(session, name)

    def stages(self) -> dict[str, Stage]:
        return {name: self.patch(name).stage for name in P}

    def comments(self) -> dict[str, int]:
        return {name: count for name in P if (count := self.patch(name).comment_count)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def served_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("addresses")
    make_lab(folder)
    with served(folder / "lab") as address:
        yield folder / "lab", address


@pytest.fixture
def desk(browser: Browser, served_lab: tuple[Path, str]) -> Iterator[Desk]:
    folder, address = served_lab
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    page.goto(address)
    with open_workspace(folder) as workspace:
        yield Desk(page, address.partition("/open")[0], workspace)
    context.close()


def make_lab(folder: Path) -> None:
    """Two tomograms; two patches of mine, two in review, two of nobody, one chosen."""
    data = folder / "data"
    data.mkdir()
    made = make_tomogram(Zyx(170, 260, 260), seed=1)
    for token, turn in (("TS_001", 1), ("TS_002", -1)):
        for end, voxels in (("", made.density), ("_seg", made.prediction)):
            with mrcfile.new(data / f"{token}{end}.mrc") as file:
                file.set_data(np.ascontiguousarray(voxels[:, ::turn]))
                file.voxel_size = 10.0
    with init_workspace(folder / "lab", admin="Mia") as workspace:
        me = acting_person(workspace)
        ada = people.add(workspace, me, "Ada", Role.ANNOTATOR)
        people.add(workspace, me, "Ben", Role.REVIEWER)
        register(Lab(workspace, me), plan_registration(workspace, [data]), add_roots=True)
        centers = [Zyx(84, 90 + 12 * step, 90 + 12 * step) for step in range(len(P))]
        why = ChosenBecause.MISSED_MEMBRANE
        assert not count_failed(choose(Lab(workspace, me), "TS_001", centers, reason=why))
        assert not count_failed(extract(Lab(workspace, me), P[:-1]))
        for name, person in ((MINE, me), (MINE_TOO, me), (WAITS, ada), (WAITS_TOO, ada)):
            assign.assign(Lab(workspace, me), name, person.name)
            add = paint(workspace, name, CorrectionKind.ADD)
            receive(Lab(workspace, person), name, "Add1.nrrd", add)
        assert not count_failed(merge(Lab(workspace, ada), [WAITS, WAITS_TOO]))
        for name in (WAITS, WAITS_TOO):
            review.submit(Lab(workspace, ada), name)


def test_back_forward_reload_and_bookmarks_show_what_they_showed(desk: Desk) -> None:
    for page, menu, first, second in (
        ("correct", "My work", MINE, MINE_TOO),
        ("review", "Waiting", WAITS, WAITS_TOO),
    ):
        desk.go(page)
        desk.shows(first)
        desk.pick(menu, second)
        goes_back_and_forth(desk, first, second, "patch")
        desk.press("^Next")
        desk.shows(first)
    desk.go("patches?as=Pictures")
    desk.press(f"^{FREE}$")
    desk.shows(FREE)
    desk.page.go_back()
    expect(desk.page.locator("h1").first).to_have_text("Patches")
    settle(desk.page)
    desk.press(f"^{FREE_TOO}$")
    desk.shows(FREE_TOO)
    desk.page.reload()
    desk.shows(FREE_TOO)
    desk.go("tomograms")
    desk.press(f"^{FIRST}$")
    desk.shows(FIRST, "tomogram")
    desk.press("All tomograms")
    desk.press(f"^{SECOND}$")
    desk.shows(SECOND, "tomogram")
    desk.page.reload()
    desk.shows(SECOND, "tomogram")


def goes_back_and_forth(desk: Desk, first: str, second: str, word: str) -> None:
    desk.page.go_back()
    desk.shows(first, word)
    desk.page.go_forward()
    desk.shows(second, word)
    desk.page.reload()
    desk.shows(second, word)
    other = desk.page.context.new_page()
    other.goto(desk.page.url)
    desk._replace(page=other).shows(second, word)
    other.close()


def test_back_to_browse_shows_the_tomogram_again(desk: Desk) -> None:
    desk.go(f"browse?tomogram={quote(SECOND)}")
    desk.page.get_by_role("link", name="Patches", exact=True).click()
    expect(desk.page.locator("h1").first).to_have_text("Patches", timeout=60_000)
    settle(desk.page)
    desk.page.go_back()
    expect(desk.page.locator("h1").first).to_have_text("Browse & choose", timeout=60_000)
    settle(desk.page)
    expect(desk.page.locator('[data-testid="stException"]')).to_have_count(0)
    assert parse_qs(urlsplit(desk.page.url).query)["tomogram"] == [SECOND]
    desk.page.get_by_role("combobox", name="Tomogram").click()
    desk.page.get_by_role("option", name=FIRST).click()
    settle(desk.page)
    assert parse_qs(urlsplit(desk.page.url).query)["tomogram"] == [FIRST]


def test_the_merged_patch_is_the_one_that_was_picked(desk: Desk) -> None:
    before = desk.stages()
    desk.go("correct")
    desk.pick("My work", MINE_TOO)
    desk.page.get_by_role("radio", name="Merge and submit").click()
    desk.shows(MINE_TOO)
    desk.press("^Merge 1 correction$")
    desk.tells("1 patch merged")
    desk.shows(MINE_TOO)
    assert desk.stages() == {**before, MINE_TOO: Stage.MERGED}
    desk.page.get_by_label("Comment on this patch").fill("closed on both sides")
    desk.press("^Comment$")
    desk.tells("Comment saved")
    desk.shows(MINE_TOO)
    assert desk.comments() == {MINE_TOO: 1}


def test_the_rejected_patch_is_the_one_that_was_picked(desk: Desk) -> None:
    before = desk.stages()
    desk.go("review")
    desk.pick("Waiting", WAITS_TOO)
    desk.page.get_by_text("What is added is not accurate.").first.click()
    settle(desk.page)
    desk.shows(WAITS_TOO)
    desk.press("Reject")
    desk.tells("merge 1 rejected")
    assert desk.stages() == {**before, WAITS_TOO: Stage.CORRECTING}
    assert desk.patch(WAITS_TOO).rejected_reason == "What is added is not accurate."
    desk.shows(WAITS)
    expect(desk.page.get_by_label("Reason for rejecting")).to_have_value("")


def test_a_patch_opened_from_the_list_is_claimed_and_commented(desk: Desk) -> None:
    desk.go("patches?as=Pictures")
    desk.press(f"^{FREE_TOO}$")
    desk.shows(FREE_TOO)
    before = desk.comments()
    desk.page.get_by_label("Comment on this patch").fill("is this ice?")
    desk.press("^Comment$")
    desk.tells("Comment saved")
    desk.shows(FREE_TOO)
    assert desk.comments() == {**before, FREE_TOO: 1}
    with desk.workspace.catalog.read() as session:
        assert [each.text for each in comments_of(session, desk.patch(FREE_TOO).id)] == [
            "is this ice?"
        ]
    desk.press("^Claim$")
    desk.tells("claimed")
    desk.shows(FREE_TOO)
    assert (desk.patch(FREE_TOO).assignee, desk.patch(FREE).assignee) == ("Mia", None)


def test_the_name_in_the_table_and_the_picture_of_a_card_open_the_patch(desk: Desk) -> None:
    desk.go("patches")
    grid = desk.page.locator('[data-testid="stDataFrame"] canvas').first.bounding_box()
    assert grid
    desk.page.mouse.click(grid["x"] + 90, grid["y"] + 35 + 17)
    desk.shows(MINE)
    desk.go("patches?as=Pictures")
    desk.click_card(1)
    desk.shows(MINE_TOO)
    desk.press("All patches")
    assert parse_qs(urlsplit(desk.page.url).query)["as"] == ["Pictures"]
    desk.go("tomograms")
    desk.click_card(1)
    desk.shows(SECOND, "tomogram")


def test_a_permission_and_a_pin_go_to_the_tomogram_that_is_shown(desk: Desk) -> None:
    desk.go("tomograms")
    desk.press(f"^{SECOND}$")
    desk.shows(SECOND, "tomogram")
    desk.page.locator('[data-testid="stPopoverButton"]').filter(has_text="Set permission").click()
    desk.page.get_by_label("Approved by").fill("Prof. X")
    desk.page.locator('[data-testid="stForm"]').get_by_role("button", name="Save").click()
    desk.tells("saved by Mia")
    desk.shows(SECOND, "tomogram")
    desk.page.get_by_role("radio", name="test", exact=True).click()
    settle(desk.page)
    desk.press("^Pin to test$")
    desk.tells("saved by Mia")
    desk.shows(SECOND, "tomogram")
    with desk.workspace.catalog.read() as session:
        known = [get_tomogram(session, name) for name in (FIRST, SECOND)]
        assert [permission_of(session, each.id) is None for each in known] == [True, False]
    assert [each.split_pin for each in known] == [None, Split.TEST]
