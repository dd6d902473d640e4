"""Somebody looks through a tomogram in a real browser and chooses a patch center by clicking."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.access.os_user import acting_person
from core.demo.synthetic import make_tomogram, write_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.patches import PatchRecord, list_patches
from db.vocabulary import ChosenBecause
from tests.journeys.driving import SIZE, chromium, opened_browser, served

SHAPE = Zyx(170, 240, 260)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("journey")
    (folder / "data").mkdir()
    write_tomogram(folder / "data", "TS_001", make_tomogram(SHAPE))
    with init_workspace(folder / "lab") as workspace:
        pairings = plan_registration(workspace, [folder / "data"])
        register(Lab(workspace, acting_person(workspace)), pairings, add_roots=True)
    with open_workspace(folder / "lab") as workspace:
        yield workspace


@pytest.fixture(scope="module")
def address(lab: Workspace) -> Iterator[str]:
    with served(lab.folder) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A signed-in browser whose every mistake fails the test."""
    context = browser.new_context(viewport=SIZE)
    opened = context.new_page()
    opened.request.get(address)
    wrong: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert wrong == []
    assert [url for url in asked if is_elsewhere(url)] == []


def is_elsewhere(url: str) -> bool:
    return urlsplit(url).scheme.startswith("http") and urlsplit(url).hostname != "127.0.0.1"


def look(page: Page, address: str, query: str = "") -> Locator:
    """Open the Browse page straight by its address, and give the viewer once it shows something."""
    base = address.partition("/open")[0]
    page.goto(f"{base}/browse{query}")
    viewer = page.locator(".viewer[data-shown-z][data-shown-y][data-shown-x]")
    viewer.wait_for(timeout=60_000)
    return viewer


def patches(lab: Workspace) -> list[PatchRecord]:
    with lab.catalog.read() as session:
        return list(list_patches(session).rows)


def words(page: Page) -> dict[str, str]:
    """The words of the address, once the viewer has written its own there."""
    page.wait_for_function("location.search.includes('at=')")
    page.wait_for_timeout(500)
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def large(page: Page) -> dict[str, float]:
    box = page.locator(".pane.large canvas").bounding_box()
    assert box
    sides = {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}
    return {**sides, "mid_x": box["x"] + box["width"] / 2, "mid_y": box["y"] + box["height"] / 2}


def test_a_deep_link_as_the_first_visit_shows_the_page_in_its_navigation(
    page: Page, address: str
) -> None:
    look(page, address, "?tomogram=other/TS_001")
    expect(page.get_by_role("link", name="Progress")).to_be_visible()
    expect(page.locator('[data-testid="stSidebarNav"]')).to_have_count(0)


def test_wheel_and_keys_go_through_the_sections_without_running_the_page(
    page: Page, address: str
) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda sends: sent.append(sends)))
    viewer = look(page, address)
    at = large(page)
    page.mouse.move(at["mid_x"], at["mid_y"])
    page.wait_for_timeout(1500)
    before = len(sent)
    expect(viewer).to_have_attribute("data-shown-z", "85")
    page.mouse.wheel(0, 100)
    expect(viewer).to_have_attribute("data-shown-z", "86")
    page.keyboard.press("ArrowDown")
    expect(viewer).to_have_attribute("data-shown-z", "85")
    page.keyboard.press("PageUp")
    expect(viewer).to_have_attribute("data-shown-z", "95")
    page.keyboard.press("3")
    page.mouse.wheel(0, -50)
    expect(viewer).to_have_attribute("data-shown-x", "129")
    assert words(page)["plane"] == "YZ"
    page.mouse.move(at["mid_x"] + 5, at["mid_y"])
    for _ in range(20):
        page.mouse.wheel(0, 100)
    expect(viewer).to_have_attribute("data-shown-x", "149")
    assert len(sent) - before <= 4  # the look for finished jobs, every few seconds


def test_contrast_changes_by_percentile_and_by_dragging(page: Page, address: str) -> None:
    look(page, address)
    canvas = page.locator(".pane.large canvas")
    at = large(page)
    first = canvas.screenshot()
    page.get_by_role("button", name="2 %", exact=True).click()
    second = canvas.screenshot()
    assert second != first
    page.mouse.move(at["mid_x"], at["mid_y"])
    page.mouse.down(button="right")
    page.mouse.move(at["mid_x"] + 60, at["mid_y"] - 40, steps=4)
    page.mouse.up(button="right")
    assert canvas.screenshot() != second


def test_a_center_whose_box_leaves_the_tomogram_is_shown_with_the_way_out(
    page: Page, address: str, lab: Workspace
) -> None:
    look(page, address)
    at = large(page)
    page.mouse.click(at["mid_x"] - at["height"] / 2, at["mid_y"])
    side = page.locator(".side")
    expect(side).to_contain_text("The box leaves the tomogram in x.")
    expect(side.get_by_role("button", name="Missed membrane")).to_have_count(0)
    side.get_by_role("button", name="Shift to fit").click()
    expect(side).to_contain_text(re.compile(r"Center 80, 1\d\d, 85 "))
    page.keyboard.press("Escape")
    expect(side).to_contain_text("Choose a patch")
    assert patches(lab) == []


def test_two_clicks_choose_a_patch_and_its_address_restores_the_place(
    page: Page, address: str, lab: Workspace
) -> None:
    viewer = look(page, address)
    at = large(page)
    page.mouse.click(at["mid_x"], at["mid_y"])
    side = page.locator(".side")
    expect(side).to_contain_text("In doubt, Ignore.")
    side.get_by_role("button", name="False membrane").click()
    expect(side).to_contain_text("version 1", timeout=60_000)
    expect(viewer).to_have_attribute("data-patches", "1")
    made = patches(lab)
    assert [patch.chosen_because for patch in made] == [ChosenBecause.FALSE_MEMBRANE]
    center = made[0].center
    assert center
    assert all(abs(a - b) <= 1 for a, b in zip(center, (85, 120, 130), strict=True))

    page.keyboard.press("2")
    page.mouse.move(at["mid_x"], at["mid_y"])
    page.mouse.wheel(0, 500)
    told = words(page)
    assert (told["patch"], told["plane"]) == (made[0].name, "XZ")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    viewer.wait_for(timeout=60_000)
    expect(page.locator(".pane.large .caption")).to_contain_text("XZ  y = ")
    assert words(page) == told
    expect(page.locator(".side")).to_contain_text(made[0].name)


def test_a_tomogram_whose_file_is_gone_says_so_in_its_pane_and_is_shown_when_it_is_back(
    page: Page, address: str, lab: Workspace
) -> None:
    source = lab.folder.parent / "data" / "TS_001.mrc"
    away = source.with_suffix(".away")
    source.rename(away)
    try:
        page.goto(f"{address.partition('/open')[0]}/browse")
        failure = page.locator(".viewer .large .failure")
        expect(failure).to_contain_text("TS_001", timeout=30_000)
        box = page.locator(".viewer").bounding_box()
        assert box
        page.mouse.move(box["x"] + 200, box["y"] + 300)
        page.mouse.wheel(0, 300)
        page.wait_for_timeout(300)
        expect(failure).to_be_visible()
    finally:
        away.rename(source)
    failure.get_by_role("button", name="Try again").click()
    expect(page.locator(".viewer[data-shown-z]")).to_be_visible(timeout=30_000)
    expect(failure).to_be_hidden()


def test_keys_and_gestures_are_those_of_the_painter(page: Page, address: str) -> None:
    viewer = look(page, address)
    at = large(page)
    page.mouse.move(at["mid_x"], at["mid_y"])
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 100)
    expect(viewer).to_have_attribute("data-shown-z", "95")
    page.mouse.move(at["mid_x"] + 40, at["mid_y"])
    page.mouse.down()
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(viewer).not_to_have_attribute("data-shown-x", "130")
    expect(page.locator(".side")).to_contain_text("Choose a patch")
    page.keyboard.press("Shift+G")
    page.keyboard.type("11, 22, 33")
    page.keyboard.press("Enter")
    expect(viewer).to_have_attribute("data-shown-z", "33")
    expect(viewer).to_have_attribute("data-shown-y", "22")
    expect(viewer).to_have_attribute("data-shown-x", "11")


def test_question_mark_shows_one_list_of_keys_of_page_and_viewer(page: Page, address: str) -> None:
    look(page, address)
    at = large(page)
    page.mouse.move(at["mid_x"], at["mid_y"])
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_have_count(1)
    expect(page.locator("dialog[open]")).to_contain_text("y up, as 3dmod shows it")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.get_by_role("button", name="?", exact=True).click()
    expect(page.locator("dialog[open]")).to_contain_text("run this page again")
