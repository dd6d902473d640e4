"""A proxy serves the dashboard below a path: pages, websocket, scripts and slices follow."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.access.os_user import acting_person
from core.demo.synthetic import make_tomogram, write_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import init_workspace
from tests.journeys.driving import SIZE, chromium, go, opened_browser, served

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]


def test_pages_and_the_viewer_work_below_a_path(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_tomogram(tmp_path / "data", "TS_001", make_tomogram(Zyx(170, 220, 220)))
    with init_workspace(tmp_path / "lab") as workspace:
        plan = plan_registration(workspace, [tmp_path / "data"])
        register(Lab(workspace, acting_person(workspace)), plan, add_roots=True)
    with (
        served(tmp_path / "lab", 0, "--base-path", "/lab") as opening,
        opened_browser() as browser,
    ):
        base = opening.partition("/open")[0]
        assert base.endswith("/lab")
        page = browser.new_context(viewport=SIZE).new_page()
        page.goto(opening)
        page.wait_for_url(f"{base}/")
        go(page, base, "browse?tomogram=other/TS_001&at=100,110,90")
        viewer = page.locator(".viewer[data-shown-z]")
        viewer.wait_for(timeout=60_000)
        expect(viewer).to_have_attribute("data-shown-z", "90", timeout=60_000)
        assert page.request.get(base.removesuffix("/lab") + "/api/volumes/tomogram-1").status == 401
