"""The server is restarted under an open page: the page comes back by itself, to the same place."""

import socket
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.access.os_user import acting_person
from core.demo.synthetic import make_tomogram, write_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.patches.choose import choose
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import init_workspace
from db.vocabulary import ChosenBecause
from tests.journeys.driving import SIZE, chromium, go, opened_browser, served, settle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
P0, P1 = (f"other_TS_001_patch{number}" for number in range(2))
CONNECTED = '[data-testid="stApp"][data-test-connection-state="CONNECTED"]'
BACK_MS, SLOW_MS = 90_000, 30_000
"""The browser tries again by itself, each time a little later."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    write_tomogram(tmp_path / "data", "TS_001", make_tomogram(Zyx(170, 220, 220)))
    with init_workspace(tmp_path / "lab", admin="Mia") as workspace:
        me = acting_person(workspace)
        register(
            Lab(workspace, me), plan_registration(workspace, [tmp_path / "data"]), add_roots=True
        )
        centers = [Zyx(84, 90, 90), Zyx(84, 110, 110)]
        choose(Lab(workspace, me), "TS_001", centers, reason=ChosenBecause.OTHER)
    return tmp_path / "lab"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def filtered(page: Page, base: str) -> None:
    """The list of patches, filtered by a name."""
    go(page, base, "patches?as=Pictures")
    page.get_by_placeholder("part of the name").fill("patch1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/patches?*text=patch1*")
    settle(page)
    expect(page.get_by_role("button", name=P1)).to_have_count(1, timeout=SLOW_MS)
    expect(page.get_by_role("button", name=P0)).to_have_count(0, timeout=SLOW_MS)


def test_open_pages_come_back_to_the_same_place(folder: Path) -> None:
    port = free_port()
    with opened_browser() as browser:
        context = browser.new_context(viewport=SIZE)
        with served(folder, port) as opening:
            base = opening.partition("/open")[0]
            context.request.get(opening)
            listed, looked = context.new_page(), context.new_page()
            filtered(listed, base)
            looked.goto(f"{base}/browse?tomogram=other/TS_001&at=100,110,90&patch={P1}")
            viewer = looked.locator(".viewer[data-shown-z]")
            viewer.wait_for(timeout=60_000)
            expect(viewer).to_have_attribute("data-shown-z", "90", timeout=SLOW_MS)
            looked.wait_for_url("**plane=XY*")
        places = listed.url, looked.url
        with served(folder, port) as again:
            context.request.get(again)  # as serve does in the person's own browser
            for page in (listed, looked):
                page.locator(CONNECTED).wait_for(timeout=BACK_MS)
                settle(page)
            assert listed.url == places[0]
            expect(listed.get_by_placeholder("part of the name")).to_have_value("patch1")
            expect(listed.get_by_role("button", name=P1)).to_have_count(1, timeout=SLOW_MS)
            expect(listed.get_by_role("button", name=P0)).to_have_count(0)
            listed.get_by_role("button", name="Clear", exact=True).click()
            expect(listed.get_by_role("button", name=P0)).to_have_count(1, timeout=SLOW_MS)
            assert looked.url == places[1]
            large = looked.locator(".pane.large canvas").bounding_box()
            assert large
            looked.mouse.move(large["x"] + 200, large["y"] + 200)
            looked.mouse.wheel(0, 100)
            expect(viewer).to_have_attribute("data-shown-z", "91", timeout=SLOW_MS)
        context.close()
