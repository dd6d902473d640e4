"""A person paints with a real pointer in a real browser; what was painted is where it was painted.

The painter is served by our own routes alone (bench/painting_lab.py), so that its server can be
killed in the middle and be back in a moment.
"""

import gzip
import hashlib
import json
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from bench.painting_lab import Lab, Server, cookie_of, make_lab
from core.access.os_user import acting_person
from core.cli.patch_corrections import main as patch_corrections
from core.imaging.formats.nifti import NiftiVolume
from core.imaging.geometry import whole
from core.lab.lab import Lab as ActingLab
from core.labels.merge import merge
from core.painting.open import open_painting, own_drawing
from core.painting.save import save_painting
from core.workspace.workspace import Workspace
from db.queries.life import merges_of, slots_of
from db.queries.patches import get_patch
from db.queries.people import get_person
from tests.journeys.driving import SIZE, chromium, opened_browser

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]

ADD, REMOVE, IGNORE = 1, 2, 3
SHAPE = (160, 160, 160)
NO_WEBGL = """
const asked = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === "webgl2" ? null : asked.call(this, kind, ...more);
};
"""


class Easel:
    """The painter of one person in one window."""

    def __init__(self, page: Any, server: Server, patch: str, query: str = "") -> None:
        self.page, self.address = page, f"{server.address}/paint/{patch}{query}"
        self.open()

    def open(self) -> None:
        self.page.goto(self.address)
        self.wait("state && state !== 'opening'")

    def wait(self, condition: str, timeout: float = 60_000) -> None:
        names = "const {state, unsaved, kept, at} = window.painter?.dataset ?? {};"
        self.page.wait_for_function(f"() => {{ {names} return {condition}; }}", timeout=timeout)

    def go(self, z: int, y: int, x: int) -> None:
        """Move all planes to a voxel, by the pointer: Shift and a press in two planes."""
        self.page.keyboard.down("Shift")
        self.click(0, (self.at[0], y, x))
        self.click(1, (z, y, x))
        self.page.keyboard.up("Shift")
        self.wait(f"at === '{z},{y},{x}'")

    @property
    def at(self) -> tuple[int, ...]:
        return tuple(map(int, self.data("at").split(",")))

    def data(self, name: str) -> str:
        return str(self.page.evaluate(f"window.painter.dataset.{name}"))

    def point(self, axis: int, voxel: tuple[int, ...]) -> tuple[float, float]:
        found = self.page.evaluate("([axis, voxel]) => window.pointOf(axis, voxel)", [axis, voxel])
        return found["x"], found["y"]

    def click(self, axis: int, voxel: tuple[int, ...]) -> None:
        self.page.mouse.click(*self.point(axis, voxel))

    def drag(self, axis: int, *voxels: tuple[int, ...]) -> None:
        """Press at the first voxel, go over the others, release."""
        mouse = self.page.mouse
        mouse.move(*self.point(axis, voxels[0]))
        mouse.down()
        for voxel in voxels[1:]:
            mouse.move(*self.point(axis, voxel), steps=4)
        mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def fine(self, kind: str) -> None:
        """One voxel wide, in this slice, anywhere."""
        self.press(kind, "b", *["["] * 20, *[","] * 4)
        for _ in range(3):
            if self.page.get_by_title("Where this brush paints").input_value() == "anywhere":
                return
            self.press("w")

    def save(self) -> None:
        self.press("s")
        self.wait("unsaved === '0' && state === 'ready'")

    def choose(self, words: str) -> None:
        self.page.locator(".notice button", has_text=words).click()

    def says(self, words: str) -> None:
        self.page.locator(".painter", has_text=words).wait_for(timeout=60_000)

    def count(self, name: str) -> int:
        cell = self.page.locator(f'[data-count="{name}"] .number')
        return int(cell.text_content().replace(",", ""))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def lab(made: Lab, tmp_path: Path) -> Lab:
    shutil.copytree(made.folder, tmp_path / "work")
    return Lab(tmp_path / "work", made.patch)


@pytest.fixture
def workspace(lab: Lab) -> Iterator[Workspace]:
    with lab.open() as opened:
        yield opened


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    serving = Server(lab)
    serving.start()
    yield serving
    serving.kill()


@pytest.fixture
def person(browser: Any, workspace: Workspace, server: Server) -> Iterator[Callable[[str], Any]]:
    """A browser of its own for each name; the same name twice is another browser."""
    opened = []

    def sign_in(name: str) -> Any:
        context = browser.new_context(viewport=SIZE)
        context.add_cookies([cookie_of(workspace, name, server.port)])
        opened.append(context)
        return context

    yield sign_in
    for context in opened:
        context.close()


@pytest.fixture
def anna(person: Callable[[str], Any], server: Server, lab: Lab) -> Easel:
    return Easel(person("anna").new_page(), server, lab.patch)


def drawing_of(workspace: Workspace, name: str, patch: str) -> np.ndarray:
    with workspace.catalog.read() as session:
        by = get_person(session, name)
    return own_drawing(workspace, open_painting(ActingLab(workspace, by), patch))


def painted(drawing: np.ndarray, kind: int) -> set[tuple[int, ...]]:
    return {tuple(map(int, voxel)) for voxel in np.argwhere(drawing == kind)}


def test_strokes_land_on_their_voxels_in_every_plane_and_merge_to_one_label_everywhere(
    anna: Easel, workspace: Workspace, lab: Lab, tmp_path: Path
) -> None:
    anna.go(70, 60, 50)
    anna.fine("a")
    anna.drag(0, (70, 40, 30), (70, 40, 45))
    anna.fine("d")
    anna.drag(1, (30, 60, 100), (42, 60, 100))
    anna.fine("i")
    anna.drag(2, (90, 110, 50), (90, 125, 50))
    anna.save()
    drawing = drawing_of(workspace, "anna", lab.patch)
    assert painted(drawing, ADD) == {(70, 40, x) for x in range(30, 46)}
    assert painted(drawing, REMOVE) == {(z, 60, 100) for z in range(30, 43)}
    assert painted(drawing, IGNORE) == {(90, y, 50) for y in range(110, 126)}

    folders = workspace.folders
    files = {p.name: p for p in folders.corrections_of(lab.patch).glob("*.nrrd")}
    assert set(files) == {"Add1.nrrd", "Remove1.nrrd", "Ignore1.nrrd"}
    own = sitk.ReadImage(str(folders.label_of(lab.patch)))
    for path in files.values():
        read = sitk.ReadImage(str(path))
        assert read.GetSize() == own.GetSize()
        assert read.GetSpacing() == pytest.approx(own.GetSpacing())
        assert read.GetOrigin() == pytest.approx(own.GetOrigin())
        assert read.GetDirection() == pytest.approx(own.GetDirection())
    header = nrrd.read_header(str(files["Add1.nrrd"]))
    assert np.allclose(header["space origin"], own.GetOrigin())
    assert np.allclose(header["space directions"], np.diag(own.GetSpacing()))
    added = sitk.GetArrayFromImage(sitk.ReadImage(str(files["Add1.nrrd"])))
    assert (added != 0).sum() == 16
    assert added[70, 40, 30]

    outcomes = merge(ActingLab(workspace, acting_person(workspace)), [lab.patch])
    assert [each.outcome for each in outcomes] == ["done"]
    command = [
        "merge_corrections",
        "--labels-dir",
        str(folders.labels),
        "--corrections-dir",
        str(folders.corrections),
        "--out-dir",
        str(tmp_path / "out"),
    ]
    assert patch_corrections(command) == 0
    by_command = read_label(tmp_path / "out" / f"{lab.patch}.nii.gz")
    by_dashboard = read_label(folders.merged_of(lab.patch))
    assert np.array_equal(by_command, by_dashboard)
    assert (by_dashboard[70, 40, 30:46] == 1).all()
    assert anna.count("membrane") == np.count_nonzero(by_dashboard == 1)


def test_every_random_voxel_comes_back_through_the_browser(
    person: Callable[[str], Any], server: Server, workspace: Workspace, lab: Lab
) -> None:
    drawing = np.random.default_rng(3).integers(0, 4, SHAPE, np.uint8)
    keep_draft(server, workspace, lab, drawing)
    easel = Easel(person("anna").new_page(), server, lab.patch)
    easel.choose("draft on the server")
    easel.save()
    assert np.count_nonzero(drawing_of(workspace, "anna", lab.patch) != drawing) == 0


def test_pieces_outlines_and_places_paint_what_they_say(
    anna: Easel, workspace: Workspace, lab: Lab
) -> None:
    label = read_label(workspace.folders.label_of(lab.patch))
    blob = tuple(int(v) for v in np.argwhere(label[:, :, 128:] == 1)[0] + (0, 0, 128))
    anna.go(*blob)
    anna.press("d", "g")
    anna.click(0, blob)
    removed = anna.count("removed")
    assert 0 < removed < np.count_nonzero(label == 1)
    assert anna.count("membrane") == np.count_nonzero(label == 1) - removed
    anna.press("i", "l")
    anna.drag(0, (blob[0], 30, 30), (blob[0], 30, 40), (blob[0], 40, 40), (blob[0], 40, 30))
    assert anna.count("ignored") >= 11 * 11 * 5  # in two slices on both sides, too
    anna.press("z")
    assert anna.count("ignored") == 0
    anna.press("Shift+Z")
    anna.fine("a")
    anna.press(*["]"] * 6, "w", "w")  # outside prediction
    anna.drag(0, (blob[0], 20, 20), (blob[0], 140, 140))
    anna.save()
    drawing = drawing_of(workspace, "anna", lab.patch)
    assert not (drawing[label != 1] == REMOVE).any()
    assert (drawing == ADD).any()
    assert not (drawing[label == 1] == ADD).any()
    border = np.ones(SHAPE, bool)
    border[16:-16, 16:-16, 16:-16] = False
    assert not drawing[border].any()


def test_what_was_not_saved_is_offered_after_a_reload(
    anna: Easel, workspace: Workspace, lab: Lab
) -> None:
    anna.fine("a")
    anna.drag(0, (80, 40, 18), (80, 40, 33))
    anna.drag(0, (80, 50, 18), (80, 50, 33))
    anna.says("Draft kept at")
    anna.drag(0, (80, 60, 18), (80, 60, 33))
    anna.wait("kept === '3'")
    anna.open()
    assert anna.data("state") == "asking"
    anna.says("3 strokes kept in this browser")
    anna.says("draft on the server")
    anna.fine("a")
    anna.drag(0, (80, 70, 18), (80, 70, 33))  # nothing is painted before one has answered
    anna.choose("3 strokes")
    assert anna.count("added") == 48
    anna.press("z")
    assert anna.count("added") == 32
    anna.press("Shift+Z")
    anna.save()
    assert len(painted(drawing_of(workspace, "anna", lab.patch), ADD)) == 48
    anna.open()
    assert anna.data("state") == "ready"


def test_twenty_killed_servers_lose_no_stroke_and_no_saved_correction(
    anna: Easel, server: Server, workspace: Workspace, lab: Lab
) -> None:
    anna.fine("a")
    saved = 0
    for number in range(20):
        anna.drag(0, (80, 20 + 6 * number, 30), (80, 20 + 6 * number, 45))
        anna.wait(f"kept === '{number + 1 - saved}'")
        if number % 4 == 1:
            anna.press("s")  # the server dies while it saves
        server.kill()
        server.start()
        if number % 4 == 3:
            anna.press("s")
            anna.wait("unsaved === '0' || state === 'asking'")
            assert anna.data("state") != "asking"
            saved = number + 1
            expected = {(80, 20 + 6 * n, x) for n in range(saved) for x in range(30, 46)}
            assert painted(drawing_of(workspace, "anna", lab.patch), ADD) == expected
    anna.open()
    anna.wait("state === 'ready'")
    assert anna.data("unsaved") == "0"


def test_strokes_of_a_browser_that_was_closed_while_the_server_was_dead_are_there(
    anna: Easel, server: Server
) -> None:
    server.kill()
    anna.fine("a")
    anna.drag(0, (80, 40, 30), (80, 40, 45))
    anna.says("The server cannot be reached; your 1 stroke")
    context = anna.page.context
    anna.page.close()
    server.start()
    again = Easel(context.new_page(), server, anna.address.rsplit("/", 1)[1])
    again.choose("1 stroke kept")
    assert again.count("added") == 16


def test_a_session_that_is_over_is_said_and_the_strokes_stay(
    anna: Easel, workspace: Workspace, server: Server
) -> None:
    anna.fine("a")
    anna.page.context.clear_cookies()
    anna.drag(0, (80, 40, 30), (80, 40, 45))
    anna.press("s")
    anna.says("Your session is over")
    anna.page.context.add_cookies([cookie_of(workspace, "anna", server.port)])
    anna.save()
    assert len(painted(drawing_of(workspace, "anna", anna.address.rsplit("/", 1)[1]), ADD)) == 16


def test_two_people_on_one_patch(
    anna: Easel, person: Callable[[str], Any], server: Server, lab: Lab
) -> None:
    anna.wait("state === 'ready'")
    anna.fine("a")
    anna.drag(0, (80, 40, 30), (80, 40, 45))
    ben = Easel(person("ben").new_page(), server, lab.patch)
    ben.says("anna paints on this patch since")
    assert ben.data("state") == "looking"
    ben.choose("Take it over")
    ben.wait("state === 'ready'")
    anna.press("s")
    anna.says("ben paints on this patch since")
    assert anna.data("unsaved") == "1"
    ben.page.close(run_before_unload=True)
    anna.page.wait_for_timeout(500)
    anna.choose("Take it over")
    anna.wait("state === 'ready'")
    anna.save()


def test_the_same_person_in_two_browsers_is_offered_both(
    anna: Easel, person: Callable[[str], Any], server: Server, workspace: Workspace, lab: Lab
) -> None:
    other = Easel(person("anna").new_page(), server, lab.patch)
    other.fine("a")
    other.drag(0, (80, 40, 30), (80, 40, 45))
    other.save()
    anna.fine("a")
    anna.drag(0, (80, 50, 30), (80, 50, 45))
    anna.press("s")
    anna.says("version 1, you saw 0")
    assert anna.data("state") == "asking"
    anna.choose("Join both")
    anna.save()
    assert len(painted(drawing_of(workspace, "anna", lab.patch), ADD)) == 32


def test_two_windows_of_one_browser_do_not_paint_at_once(
    anna: Easel, server: Server, lab: Lab
) -> None:
    anna.wait("state === 'ready'")
    anna.fine("a")
    anna.drag(0, (80, 40, 30), (80, 40, 45))
    second = Easel(anna.page.context.new_page(), server, lab.patch)
    second.says("You paint on this patch in another window")
    assert second.data("state") == "looking"
    second.choose("Paint here")
    second.choose("1 stroke kept")
    assert second.count("added") == 16
    anna.wait("state === 'looking'")


def test_the_work_of_others_is_looked_at_hidden_and_continued(
    person: Callable[[str], Any], server: Server, workspace: Workspace, lab: Lab
) -> None:
    with workspace.catalog.read() as session:
        ben = get_person(session, "ben")
    drawing = np.zeros(SHAPE, np.uint8)
    drawing[80, 40, 30:46], drawing[80, 41, 30:46] = ADD, IGNORE
    save_painting(ActingLab(workspace, ben), lab.patch, drawing, base={})
    anna = Easel(person("anna").new_page(), server, lab.patch)
    layer = anna.page.locator(".layers-of-others .layer", has_text="Add1.nrrd, ben")
    membrane = anna.count("membrane")
    layer.locator("input").uncheck()
    assert anna.count("added") == 16  # hidden, not changed
    anna.fine("d")
    anna.drag(0, (80, 40, 30), (80, 40, 37))
    assert anna.count("contested") == 8
    anna.press("z")
    anna.page.get_by_role("button", name="Go on with their work").click()
    assert anna.count("membrane") == membrane
    anna.save()
    assert np.array_equal(drawing_of(workspace, "anna", lab.patch), drawing)
    with workspace.catalog.read() as session:
        slots = {s.name: s for s in slots_of(session, get_patch(session, lab.patch).id)}
    assert {name: slot.withdrawn for name, slot in slots.items()} == {
        "Add1.nrrd": True,
        "Ignore1.nrrd": True,
        "Add2.nrrd": False,
        "Ignore2.nrrd": False,
    }
    assert anna.count("membrane") == membrane


def test_a_draft_on_the_server_goes_on_with_the_work_of_others(
    person: Callable[[str], Any], server: Server, workspace: Workspace, lab: Lab
) -> None:
    with workspace.catalog.read() as session:
        ben = get_person(session, "ben")
    drawing = np.zeros(SHAPE, np.uint8)
    drawing[80, 40, 30:46] = ADD
    save_painting(ActingLab(workspace, ben), lab.patch, drawing, base={})
    first = Easel(person("anna").new_page(), server, lab.patch)
    first.page.get_by_role("button", name="Go on with their work").click()
    first.fine("a")
    first.press("e")
    first.drag(0, (80, 40, 30), (80, 40, 37))
    first.says("Draft kept at")
    left = first.count("added")
    assert 0 < left < 16
    first.page.context.close()
    other = Easel(person("anna").new_page(), server, lab.patch)  # a browser that kept nothing
    other.choose("draft on the server")
    assert other.count("added") == left
    other.save()
    with workspace.catalog.read() as session:
        slots = {s.name: s for s in slots_of(session, get_patch(session, lab.patch).id)}
    assert {name: slot.withdrawn for name, slot in slots.items()} == {
        "Add1.nrrd": True,
        "Add2.nrrd": False,
    }


def test_a_review_looks_at_before_and_after_and_pins_a_comment(
    person: Callable[[str], Any], server: Server, workspace: Workspace, lab: Lab
) -> None:
    with workspace.catalog.read() as session:
        ben = get_person(session, "ben")
    drawing = np.zeros(SHAPE, np.uint8)
    drawing[80, 40, 30:46] = ADD
    save_painting(ActingLab(workspace, ben), lab.patch, drawing, base={})
    merge(ActingLab(workspace, acting_person(workspace)), [lab.patch])
    with workspace.catalog.read() as session:
        assert merges_of(session, get_patch(session, lab.patch).id)
    rita = Easel(person("rita").new_page(), server, lab.patch, "?look")
    assert rita.data("state") == "looking"
    assert rita.page.locator(".kinds").count() == 0
    shown = {}
    for view in ("after", "before", "difference"):
        rita.page.locator(f'[data-view="{view}"]').click()
        shown[view] = rita.page.locator(".pane.large canvas").screenshot()
    assert len(set(shown.values())) == 3
    rita.press("m")
    rita.click(0, (80, 40, 33))
    rita.page.locator(".writing textarea").fill("Is this one membrane or two?")
    rita.page.get_by_role("button", name="Post").click()
    rita.says("rita: Is this one membrane or two?")
    anna = Easel(person("anna").new_page(), server, lab.patch)
    anna.page.locator(".place", has_text="33, 40, 80").click()
    anna.wait("at === '80,40,33'")


def test_a_page_that_moves_under_the_pointer_does_not_bend_a_stroke(
    anna: Easel, workspace: Workspace, lab: Lab
) -> None:
    anna.fine("a")
    mouse = anna.page.mouse
    here, there = anna.point(0, (80, 40, 30)), anna.point(0, (80, 40, 45))
    mouse.move(*here)
    mouse.down()
    mouse.move((here[0] + there[0]) / 2, here[1], steps=3)
    anna.page.evaluate("document.body.style.paddingTop = '70px'")
    mouse.move(*there, steps=3)
    mouse.up()
    anna.page.evaluate("document.body.style.paddingTop = ''")
    anna.save()
    drawing = drawing_of(workspace, "anna", lab.patch)
    assert painted(drawing, ADD) == {(80, 40, x) for x in range(30, 46)}


def test_nothing_moves_when_strokes_drafts_versions_and_questions_are_reported(
    anna: Easel, person: Callable[[str], Any], server: Server, lab: Lab
) -> None:
    canvas = anna.page.locator(".pane.large canvas")
    box = canvas.bounding_box()
    anna.fine("a")
    anna.drag(0, (80, 40, 30), (80, 40, 45))
    assert canvas.bounding_box() == box
    anna.says("Draft kept at")
    assert canvas.bounding_box() == box
    anna.save()
    assert canvas.bounding_box() == box
    anna.press("g", "i", "m", "b", "v", "o")
    assert canvas.bounding_box() == box
    second = Easel(anna.page.context.new_page(), server, lab.patch)
    second.says("You paint on this patch in another window")
    assert second.page.locator(".pane.large canvas").bounding_box() == box


def test_two_fingers_zoom_and_paint_nothing(
    browser: Any, workspace: Workspace, server: Server, lab: Lab
) -> None:
    context = browser.new_context(viewport=SIZE, has_touch=True)
    context.add_cookies([cookie_of(workspace, "anna", server.port)])
    easel = Easel(context.new_page(), server, lab.patch)
    easel.wait("state === 'ready'")
    (x, y), before = easel.point(0, (80, 60, 60)), easel.point(0, (80, 60, 90))
    touch = context.new_cdp_session(easel.page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    fingers("touchStart", (x, y))
    fingers("touchMove", (x + 10, y))
    fingers("touchStart", (x + 10, y), (x + 60, y))
    for step in range(1, 6):
        fingers("touchMove", (x + 10 - 8 * step, y), (x + 60 + 8 * step, y))
    fingers("touchEnd")
    assert easel.data("unsaved") == "0"
    after = easel.point(0, (80, 60, 90))
    assert after[0] - easel.point(0, (80, 60, 60))[0] > 1.3 * (before[0] - x)
    easel.press("0")
    x, y = easel.point(0, (80, 100, 60))
    fingers("touchStart", (x, y))
    fingers("touchMove", (x + 30, y))
    fingers("touchEnd")
    easel.wait("unsaved === '1'")
    context.close()


def test_the_slider_and_the_typed_place_lead_to_a_slice_and_each_plane_has_a_name(
    anna: Easel,
) -> None:
    page = anna.page
    page.get_by_role("slider", name="Slice z of the XY plane").fill("100")
    anna.wait("at === '100,80,80'")
    place = page.get_by_role("textbox", name="Position x, y, z")
    place.fill("10, 20, 30")
    place.press("Enter")
    anna.wait("at === '30,20,10'")
    for name in ("XY plane", "XZ plane", "YZ plane"):
        page.get_by_role(
            "img", name=re.compile(f"{name} of the tomogram, slice . \\d+ of 159")
        ).wait_for()
    anna.open()
    anna.wait("at === '30,20,10'")


def test_undo_back_to_the_saved_drawing_leaves_nothing_unsaved(anna: Easel) -> None:
    anna.fine("a")
    anna.drag(0, (80, 40, 30), (80, 40, 45))
    anna.save()
    anna.drag(0, (80, 50, 30), (80, 50, 45))
    anna.wait("unsaved === '1'")
    anna.press("z", "z")
    anna.wait("unsaved === '1'")
    anna.press("Shift+Z")
    anna.wait("unsaved === '0'")
    assert anna.page.get_by_role("button", name="Discard unsaved strokes").is_disabled()
    anna.press("s")
    anna.says("Nothing to save")


def test_the_page_is_told_how_many_strokes_are_unsaved_and_when_none_is(anna: Easel) -> None:
    anna.fine("a")
    for y in (40, 50, 60):
        anna.drag(0, (80, y, 30), (80, y, 45))
    anna.page.mouse.move(2, 2)
    told = "JSON.stringify(window.told.filter(([name]) => name !== 'saved'))"
    anna.page.wait_for_function(f"{told}.endsWith('[[\"unsaved_strokes\",3]]'.slice(1))")
    anna.says("Draft kept at")
    anna.save()
    anna.page.wait_for_function("String(window.told.at(-1)[0]) === 'saved'")
    assert anna.page.evaluate("window.told.at(-2)") == ["unsaved_strokes", 0]
    assert anna.page.evaluate("window.told.length") <= 4


def test_a_stroke_that_paints_nothing_says_why(anna: Easel, workspace: Workspace, lab: Lab) -> None:
    label = read_label(workspace.folders.label_of(lab.patch))
    membrane = tuple(map(int, np.argwhere(label[:, 40:120, 40:120] == 1)[0] + (0, 40, 40)))
    anna.go(*membrane)
    anna.fine("a")
    anna.press("w", "w")
    anna.click(0, membrane)
    anna.says("Add is set to paint only outside it (w changes it)")
    anna.click(0, (membrane[0], 3, 3))
    anna.says("the outer 16 voxels are always ignore")


def test_sheet_tools_paint_what_they_say(anna: Easel, workspace: Workspace, lab: Lab) -> None:
    anna.go(70, 60, 50)
    anna.fine("a")
    anna.drag(0, (70, 40, 30), (70, 40, 45))
    anna.go(78, 60, 50)
    anna.drag(0, (78, 44, 30), (78, 44, 45))
    anna.press("u")
    anna.wait("unsaved === '3'")
    anna.press("z")
    anna.wait("unsaved === '2'")
    anna.press("Shift+Z")
    anna.go(100, 60, 50)
    anna.page.mouse.move(*anna.point(0, (100, 60, 50)))
    anna.press("q")  # nothing is painted here
    anna.says("Nothing copied: no Add is painted in this slice.")
    anna.wait("at === '101,60,50'")
    anna.go(110, 60, 50)
    anna.press(*["]"] * 4, "Shift+B")
    anna.click(0, (110, 100, 100))
    anna.press("q")
    anna.wait("at === '111,60,50'")
    anna.press("Shift+M")
    anna.drag(0, (111, 60, 40), (111, 60, 60))
    anna.says("24.0 nm")
    anna.save()
    drawing = drawing_of(workspace, "anna", lab.patch) == ADD
    assert all(drawing[z].sum() >= 16 for z in range(70, 79))
    assert drawing[74, 42, 30:46].all()
    ball = drawing[105:117, 90:110, 90:110]
    assert [int(plane.sum()) > 0 for plane in ball] == [False] * 3 + [True] * 5 + [False] * 4
    assert ball[6].sum() == 21  # the middle slice, copied to the next one


def test_only_dark_voxels_are_painted_where_a_threshold_is_set(
    anna: Easel, workspace: Workspace, lab: Lab
) -> None:
    anna.go(80, 60, 50)
    anna.fine("i")
    anna.press(*["]"] * 14)
    anna.drag(0, (80, 100, 40), (80, 100, 110))
    everywhere = anna.count("ignored")
    anna.press("z", "Shift+D")
    anna.drag(0, (80, 100, 40), (80, 100, 110))
    assert 0 < anna.count("ignored") < 0.8 * everywhere


def test_without_webgl2_one_paints_as_ever_and_is_told_the_way_to_3d(
    person: Callable[[str], Any], server: Server, lab: Lab
) -> None:
    page = person("anna").new_page()
    page.add_init_script(NO_WEBGL)
    easel = Easel(page, server, lab.patch)
    easel.press("t")
    easel.says("no WebGL2")
    easel.fine("a")
    easel.drag(0, (80, 40, 30), (80, 40, 45))
    easel.save()


def read_label(path: Path) -> np.ndarray:
    with NiftiVolume(path) as volume:
        return volume.read(whole(volume.shape))


def keep_draft(server: Server, workspace: Workspace, lab: Lab, drawing: np.ndarray) -> None:
    with workspace.catalog.read() as session:
        patch = get_patch(session, lab.patch)
    named = f"patch-{patch.id}"
    cookie = cookie_of(workspace, "anna", server.port)
    raw = drawing.tobytes()
    request = urllib.request.Request(
        f"{server.address}/api/painting/{named}/draft",
        gzip.compress(raw, 1),
        method="PUT",
        headers={
            "cookie": f"{cookie['name']}={cookie['value']}",
            "origin": server.address,
            "x-tomocurate-request": "1",
            "content-type": "application/octet-stream",
            "content-encoding": "gzip",
            "x-tomocurate-shape": "160,160,160",
            "x-tomocurate-axes": "zyx",
            "if-match": "0",
            "x-tomocurate-sha256": hashlib.sha256(raw).hexdigest(),
        },
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["revision"] == 1
