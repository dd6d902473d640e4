"""The painter on its page: what the page around it knows of unsaved strokes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bench.painting_lab import make_lab
from tests.journeys.driving import SIZE, chromium, opened_browser, served, settle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
POINT = """(painter, voxel) => {
  const detail = { axis: 0, voxel, point: null };
  painter.dispatchEvent(new CustomEvent("askpoint", { detail }));
  return detail.point;
}"""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """The page of a patch, with its painter ready."""
    lab = make_lab(tmp_path / "lab")
    with served(lab.folder) as address, opened_browser() as browser:
        opened = browser.new_context(viewport=SIZE).new_page()
        opened.goto(address)
        opened.goto(f"{address.partition('/open')[0]}/correct?patch={lab.patch}")
        opened.locator(".painter[data-state=ready]").wait_for(timeout=60_000)
        settle(opened)
        yield opened


def stroke(page: Page, y: int) -> None:
    painter = page.locator(".painter")
    for number, x in enumerate((30, 45)):
        at = painter.evaluate(POINT, [80, y, x])
        page.mouse.move(at["x"], at["y"], steps=3)
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def test_strokes_that_are_not_saved_are_named_where_one_submits(page: Page) -> None:
    page.locator(".painter .large canvas").hover()
    page.keyboard.press("i")
    stroke(page, 40)
    stroke(page, 60)
    expect(page.locator(".painter")).to_have_attribute("data-unsaved", "2")
    page.get_by_text("Merge and submit", exact=True).first.click()
    expect(page.get_by_text("did not save it")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("No correction needed?")).to_have_count(0)
    page.get_by_role("button", name="Save in the painter").click()
    page.locator(".notice button", has_text="2 strokes kept in this browser").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".painter")).to_have_attribute("data-unsaved", "0", timeout=20_000)
    settle(page)
    page.get_by_text("Merge and submit", exact=True).first.click()
    expect(page.get_by_text("Merge 1 correction")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("did not save it")).to_have_count(0)
