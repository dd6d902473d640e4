"""A newcomer's whole way in a real browser, on the demo: from a tomogram to an accepted label.

Register, choose by a click, extract, bring corrections, merge, be rejected, correct again, be
accepted, see it in Progress. Afterwards the files equal those that the guide's own commands make.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from core.demo.annotators import paint
from core.demo.synthetic import make_tomogram, write_tomogram
from core.demo.workspace import make_demo
from core.imaging.geometry import Box, Zyx, box_around
from core.workspace.workspace import Workspace, open_workspace
from db.queries.life import merges_of, reviews_of, slots_of
from db.queries.patches import PatchRecord, find_patch
from db.vocabulary import Stage, Verdict
from tests.journeys.driving import SIZE, chromium, go, opened_browser, served, settle

TOKEN = "NEW_001"
NAME = f"other_{TOKEN}_patch0"
SHAPE = Zyx(170, 240, 260)
SEED = 42
JOB_S = 90
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]


class Way(NamedTuple):
    """A signed-in browser, the demo it looks at, and a folder to work in."""

    page: Page
    base: str
    workspace: Workspace
    folder: Path

    def go(self, path: str) -> None:
        go(self.page, self.base, path)

    def patch(self) -> PatchRecord | None:
        with self.workspace.catalog.read() as session:
            return find_patch(session, NAME)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=re.compile(name)).first.click()

    def is_told(self, words: str) -> None:
        told = self.page.locator('[data-testid="stAlert"]').filter(has_text=re.compile(words))
        expect(told.first).to_be_visible(timeout=60_000)
        settle(self.page)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture
def way(browser: Browser, tmp_path: Path) -> Iterator[Way]:
    make_demo(tmp_path / "demo", lambda words: None, tomograms=1)
    write_tomogram(tmp_path / "demo" / "tomograms", TOKEN, make_tomogram(SHAPE, SEED))
    with served(tmp_path / "demo") as address, open_workspace(tmp_path / "demo") as workspace:
        context = browser.new_context(viewport=SIZE)
        page = context.new_page()
        page.goto(address)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield Way(page, address.partition("/open")[0], workspace, tmp_path)
        context.close()
        assert wrong == []


def test_a_newcomer_goes_the_whole_way(way: Way) -> None:
    register(way)
    choose_by_a_click(way)
    extract(way)
    upload(way, "Add1.nrrd", "Remove1.nrrd", "Ignore1.nrrd")
    merge_and_submit(way, corrections=3)
    reject(way, "Ignore more at the edge of the ice")
    correct_again(way)
    merge_and_submit(way, corrections=4)
    accept_by_key(way)
    see_it_in_progress(way)
    the_record_holds_the_whole_way(way)
    the_files_equal_those_of_the_command_line(way)


def register(way: Way) -> None:
    way.go("tomograms")
    way.page.get_by_role("tab", name="Register more").click()
    way.page.get_by_role("radio", name="Pattern").click()
    field = way.page.get_by_label("Pattern below the root")
    field.fill(f"{TOKEN}*.mrc")
    field.press("Enter")
    settle(way.page)
    way.press("Show the pairs")
    settle(way.page)
    way.press("^Register 1 tomogram$")
    way.is_told("1 tomogram registered")


def choose_by_a_click(way: Way) -> None:
    way.page.goto(f"{way.base}/browse?tomogram=other/{TOKEN}")
    way.page.locator(".viewer[data-shown-z]").wait_for(timeout=60_000)
    box = way.page.locator(".pane.large canvas").bounding_box()
    assert box
    way.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    side = way.page.locator(".side")
    expect(side).to_contain_text("In doubt, Ignore.")
    side.get_by_role("button", name="Missed membrane").click()
    expect(side).to_contain_text("version 1", timeout=60_000)
    assert way.patch()


def extract(way: Way) -> None:
    way.press("Extract 1 chosen patch")
    ends = time.monotonic() + JOB_S
    while (patch := way.patch()) and patch.stage is Stage.CHOSEN:
        assert time.monotonic() < ends, "the worker did not extract the patch"
        time.sleep(0.3)
    paint(way.folder / "painted", _box(way), make_tomogram(SHAPE, SEED))


def upload(way: Way, *names: str) -> None:
    way.go(f"correct?patch={NAME}&how=My+own+software")
    files = [way.folder / "painted" / name for name in names]
    way.page.locator('input[type="file"]').set_input_files(files)
    many = f"{len(names)} correction" + ("s" if len(names) > 1 else "")
    way.is_told(f"{many} received")
    for name in names:
        expect(way.page.get_by_text(f"{name} saved as version 1").first).to_be_visible()


def merge_and_submit(way: Way, corrections: int) -> None:
    way.go(f"correct?patch={NAME}&how=Merge+and+submit")
    way.press(f"^Merge {corrections} corrections$")
    way.is_told("1 patch merged")
    way.press("Submit for review")
    way.is_told(r"submitted for review .*saved at .*by Ada, version \d+")


def reject(way: Way, reason: str) -> None:
    way.go(f"review?patch={NAME}")
    field = way.page.get_by_label("Reason for rejecting")
    field.fill(reason)
    field.press("Control+Enter")
    settle(way.page)
    way.press("Reject")
    way.is_told("merge 1 rejected")
    patch = way.patch()
    assert patch
    assert (patch.stage, patch.rejected_reason) == (Stage.CORRECTING, reason)


def correct_again(way: Way) -> None:
    shutil.copyfile(way.folder / "painted" / "Add1.nrrd", way.folder / "painted" / "Ignore2.nrrd")
    upload(way, "Ignore2.nrrd")


def accept_by_key(way: Way) -> None:
    way.go(f"review?patch={NAME}")
    way.page.locator("body").press("a")
    way.is_told("merge 2 accepted")


def see_it_in_progress(way: Way) -> None:
    way.go("")
    chart = way.page.locator(".js-plotly-plot").first
    expect(chart).to_contain_text(f"other/{TOKEN}", timeout=60_000)


def the_record_holds_the_whole_way(way: Way) -> None:
    with way.workspace.catalog.read() as session:
        patch = find_patch(session, NAME)
        assert patch
        assert patch.stage is Stage.ACCEPTED
        assert [each.verdict for each in reviews_of(session, patch.id)] == [
            Verdict.REJECT,
            Verdict.ACCEPT,
        ]
        assert [each.number for each in merges_of(session, patch.id)] == [1, 2]
        assert [each.name for each in slots_of(session, patch.id)] == [
            "Add1.nrrd",
            "Ignore1.nrrd",
            "Ignore2.nrrd",
            "Remove1.nrrd",
        ]


def the_files_equal_those_of_the_command_line(way: Way) -> None:
    folders, plain = way.workspace.folders, way.folder / "plain"
    center = _center(way)
    tomograms = way.folder / "demo" / "tomograms"
    _command(
        "extract_patches",
        "--tomogram-path",
        tomograms / f"{TOKEN}.mrc",
        "--segmentation-path",
        next(tomograms.glob(f"{TOKEN}_*.mrc")),
        "--out-folder",
        plain,
        "--ds-token",
        "other",
        "--token",
        TOKEN,
        "--x",
        center.x,
        "--y",
        center.y,
        "--z",
        center.z,
    )
    shutil.copytree(folders.corrections_of(NAME), plain / "corrections" / NAME)
    _command(
        "merge_corrections",
        "--labels-dir",
        plain / "labelsCorr",
        "--corrections-dir",
        plain / "corrections",
        "--out-dir",
        plain / "merged",
    )
    pairs = (
        (folders.image_of(NAME), plain / "imagesCorr"),
        (folders.label_of(NAME), plain / "labelsCorr"),
        (folders.merged_of(NAME), plain / "merged"),
    )
    for ours, theirs in pairs:
        assert ours.read_bytes() == (theirs / ours.name).read_bytes(), ours


def _center(way: Way) -> Zyx:
    patch = way.patch()
    assert patch
    assert patch.center
    return Zyx(*patch.center)


def _box(way: Way) -> Box:
    return box_around(_center(way))


def _command(*words: object) -> None:
    main = "from core.cli.patch_corrections import main; raise SystemExit(main())"
    subprocess.run([sys.executable, "-c", main, *map(str, words)], check=True, capture_output=True)
