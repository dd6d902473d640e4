"""axe-core finds nothing serious on any page in either theme; each page says what and who it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.driving import SIZE, chromium, go, opened_browser, served
from tests.journeys.screenshots import DRAWN, addresses
from tests.journeys.test_addresses import make_lab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
AXE = (Path(__file__).with_name("axe") / "axe.min.js").read_text()
"""axe-core 4.10.3 of Deque Systems, MPL-2.0: see LICENSE beside it."""
SERIOUS = """
async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter((found) => ["serious", "critical"].includes(found.impact))
  .flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.html.slice(0, 120)} `
    + (node.any[0] ?? node.all[0] ?? {message: ""}).message))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("accessible")
    make_lab(folder)
    with served(folder / "lab") as address:
        yield folder / "lab", address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as opened:
        yield opened


def signed_in(browser: Browser, address: str, theme: str) -> Page:
    page = browser.new_context(viewport=SIZE, color_scheme=theme).new_page()  # type: ignore[arg-type]
    page.goto(address)
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    browser: Browser, lab: tuple[Path, str], theme: str
) -> None:
    folder, address = lab
    page, base = signed_in(browser, address, theme), address.partition("/open")[0]
    found = {}
    for name, path in addresses(folder).items():
        if path.endswith("=none"):
            continue
        go(page, base, path)
        page.wait_for_timeout(2500 if name in DRAWN else 300)
        page.evaluate(AXE)
        serious = page.evaluate(SERIOUS)
        if serious:
            found[name] = serious
    page.context.close()
    assert found == {}


def test_a_tab_names_its_page_and_the_frame_names_the_person(
    browser: Browser, lab: tuple[Path, str]
) -> None:
    _, address = lab
    page, base = signed_in(browser, address, "light"), address.partition("/open")[0]
    for path, title in (
        ("", "Progress"),
        ("patches", "Patches"),
        ("correct?patch=other_TS_001_patch0", "other_TS_001_patch0"),
        ("tomograms?tomogram=other/TS_001", "other/TS_001"),
        ("browse?tomogram=other/TS_001", "Browse other/TS_001"),
    ):
        go(page, base, path)
        expect(page).to_have_title(f"{title} · tomocurate")
        account = page.locator(".st-key-tc_account")
        expect(account).to_contain_text("Mia · admin")
    page.context.close()
