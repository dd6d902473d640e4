"""The tomogram viewer in a headless Chromium, on tomograms of 1024 × 1024 × 512 float32 (2 GiB).

One tomogram has its previews, as a worker makes them; four do not have them yet. No job runs
meanwhile. Every figure is the median of at least 20; what is shown was painted (next frame).
"""

import os
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Locator, Page, ViewportSize, sync_playwright

from bench.extract_merge import SHAPE
from core.access.os_user import acting_person
from core.cli.serve import (
    child_environment,
    dashboard_command,
    dashboard_file,
    free_port,
    running,
    wait_until_ready,
)
from core.demo.synthetic import make_tomogram, write_mrc
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.tomograms.pictures import make_pictures, segmentation_name, tomogram_name
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import Workspace, init_workspace

TOMOGRAMS = tuple(f"TS_00{number}" for number in range(1, 6))
ROUNDS = 21
WORKING_MS = 120
"""Between two notches of a wheel that somebody turns."""
CHROMIUM = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking")
WINDOW: ViewportSize = {"width": 1280, "height": 800}

LIMITS = {
    "next section, overlay off": 60,
    "next section, overlay on": 80,
    "far jump, cold, XY": 150,
    "far jump, cold, XZ": 150,
    "far jump, cold, YZ": 150,
    "click to center saved and drawn": 250,
    "click on a tomogram to its first picture": 1500,
}
MEMORY_LIMIT_MB = 600

# Each takes the viewer; times run from the event to the frame after the slice was painted.
_TIMED = """
const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
const shown = (viewer, axis) => new Promise((done) => {
  const heard = ({ detail }) => {
    if (detail.axis !== axis) return;
    viewer.removeEventListener("sliceshown", heard);
    done(painted());
  };
  viewer.addEventListener("sliceshown", heard);
});
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const canvasOf = (viewer, plane) => [...viewer.querySelectorAll(".pane")]
  .find((pane) => pane.textContent.startsWith(plane)).querySelector("canvas");
"""
SCROLL = f"""async (viewer, [rounds, ms]) => {{
  {_TIMED}
  const times = [];
  for (let i = 0; i < rounds; i++) {{
    await pause(ms);
    const begun = performance.now();
    const seen = shown(viewer, 0);
    const notch = new WheelEvent("wheel", {{ deltaY: 100, cancelable: true }});
    canvasOf(viewer, "XY").dispatchEvent(notch);
    await seen;
    times.push(performance.now() - begun);
  }}
  return times;
}}"""
# A click in one plane is a far jump in another: the part of the pane decides where to.
JUMP = f"""async (viewer, [plane, axis, right, down]) => {{
  {_TIMED}
  const canvas = canvasOf(viewer, plane);
  const box = canvas.getBoundingClientRect();
  const at = {{
    clientX: box.left + box.width / 2 + (right - 0.5) * 0.55 * Math.min(box.width, box.height),
    clientY: box.top + box.height / 2 + (down - 0.5) * 0.9 * box.height, pointerId: 1, button: 0,
  }};
  canvas.setPointerCapture = () => undefined;
  const begun = performance.now();
  const seen = shown(viewer, axis);
  canvas.dispatchEvent(new PointerEvent("pointerdown", at));
  canvas.dispatchEvent(new PointerEvent("pointerup", at));
  await seen;
  return performance.now() - begun;
}}"""
CHOOSE = f"""async (viewer) => {{
  {_TIMED}
  const before = viewer.dataset.patches;
  const begun = performance.now();
  const saved = new Promise((done) => {{
    const watch = new MutationObserver(() => {{
      if (viewer.dataset.patches === before) return;
      watch.disconnect();
      done(painted());
    }});
    watch.observe(viewer, {{ attributes: true }});
  }});
  viewer.querySelector(".reasons button").click();
  await saved;
  return performance.now() - begun;
}}"""


def run() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("viewer: no Chromium on this machine; nothing was measured.")
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        workspace = _make_lab(Path(folder))
        with workspace, served(workspace) as (address, process), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
            found = _measure(browser, address, Path(folder))
            memory = _five_people(browser, address, process.pid)
            browser.close()
    print("# The viewer (ms)\n\n| what | median | worst | n | wanted |\n|---|---|---|---|---|")
    for name, times in found.items():
        limit = LIMITS.get(name)
        print(
            f"| {name} | {statistics.median(times):.0f} | {max(times):.0f} | {len(times)} | "
            f"{f'≤ {limit}' if limit else ''} |"
        )
    print(
        f"\nServer's peak with five people on five tomograms of 2 GiB: {memory:.0f} MB "
        f"(wanted ≤ {MEMORY_LIMIT_MB})."
    )


def _measure(browser: Browser, address: str, folder: Path) -> dict[str, list[float]]:
    page = _signed_in(browser, address)
    found: dict[str, list[float]] = {}
    viewer = _open(page, address, TOMOGRAMS[0])
    found["next section, overlay on"] = viewer.evaluate(SCROLL, [ROUNDS, WORKING_MS])
    found["next section, overlay on, without a pause"] = viewer.evaluate(SCROLL, [ROUNDS, 0])
    page.keyboard.press("o")
    found["next section, overlay off"] = viewer.evaluate(SCROLL, [ROUNDS, WORKING_MS])
    page.keyboard.press("o")
    for plane, (clicked, axis) in {"XY": ("XZ", 0), "XZ": ("XY", 1), "YZ": ("XY", 2)}.items():
        found[f"far jump, cold, {plane}"] = _jumps(page, viewer, (clicked, axis), folder)
    found["click to center saved and drawn"] = _choices(page, viewer)
    found["click on a tomogram to its first picture"] = _visits(page, folder)
    page.context.close()
    return found


def _jumps(page: Page, viewer: Locator, how: tuple[str, int], folder: Path) -> list[float]:
    """Far jumps to places that nobody looked at, each from a cold page cache."""
    random = np.random.default_rng(how[1])
    times = []
    for right, down in random.uniform(0.02, 0.98, (ROUNDS, 2)).tolist():
        page.wait_for_timeout(400)
        _forget_files(folder)
        times.append(viewer.evaluate(JUMP, [*how, right, down]))
        page.keyboard.press("Escape")
    return times


def _choices(page: Page, viewer: Locator) -> list[float]:
    times = []
    for right, down in np.random.default_rng(7).uniform(0.3, 0.7, (ROUNDS, 2)).tolist():
        viewer.evaluate(JUMP, ["XY", 1, right, down])
        if not page.locator(".reasons button").count():  # it fell on a center that is there
            continue
        page.wait_for_timeout(300)
        times.append(viewer.evaluate(CHOOSE))
    return times


def _visits(page: Page, folder: Path) -> list[float]:
    """Pick one tomogram after the other, the first time from a cold page cache."""
    times = []
    for number in range(ROUNDS):
        if number < len(TOMOGRAMS):
            _forget_files(folder)
        token = TOMOGRAMS[(number + 1) % len(TOMOGRAMS)]
        page.get_by_role("combobox", name="Tomogram").click()
        option = page.get_by_role("option", name=token)
        option.wait_for()
        page.locator(".viewer").evaluate("(viewer) => (viewer.dataset.old = '1')")
        begun = time.perf_counter()
        option.click()
        page.locator(".viewer[data-shown-z]:not([data-old])").wait_for()
        times.append(1000 * (time.perf_counter() - begun))
        page.wait_for_timeout(1000)
    return times


def _five_people(browser: Browser, address: str, process: int) -> float:
    """MB at the peak of the dashboard's process, after all scrolled through all planes."""
    pages = [_signed_in(browser, address) for _ in TOMOGRAMS]
    viewers = [_open(page, address, token) for page, token in zip(pages, TOMOGRAMS, strict=True)]
    for key in ("1", "2", "3"):
        for page, viewer in zip(pages, viewers, strict=True):
            page.keyboard.press(key)
            viewer.evaluate("""async (viewer) => {
              for (let i = 0; i < 30; i++) {
                viewer.querySelector(".large canvas").dispatchEvent(
                  new WheelEvent("wheel", { deltaY: 100, cancelable: true }));
                await new Promise((done) => setTimeout(done, 30));
              }
            }""")
    pages[0].wait_for_timeout(2000)
    status = Path(f"/proc/{process}/status").read_text()
    for page in pages:
        page.context.close()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1000


def _signed_in(browser: Browser, address: str) -> Page:
    page = browser.new_context(viewport=WINDOW).new_page()
    page.request.get(address)
    return page


def _open(page: Page, address: str, token: str) -> Locator:
    page.goto(f"{address.partition('/open')[0]}/browse?tomogram=other/{token}")
    viewer = page.locator(".viewer[data-shown-z][data-shown-y][data-shown-x]")
    viewer.wait_for(timeout=90_000)
    box = page.locator(".pane.large canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.wait_for_timeout(1000)
    return viewer


def _make_lab(folder: Path) -> Workspace:
    data = folder / "data"
    data.mkdir()
    block = make_tomogram(Zyx(SHAPE.z // 4, SHAPE.y // 4, SHAPE.x // 4))
    for tail, voxels in (("", block.density), ("_seg", block.prediction.astype(np.int8))):
        first = data / f"{TOMOGRAMS[0]}{tail}.mrc"
        write_mrc(first, np.tile(voxels, (4, 4, 4)), 10.0)
        for token in TOMOGRAMS[1:]:
            os.link(first, data / f"{token}{tail}.mrc")
    workspace = init_workspace(folder / "lab")
    pairings = plan_registration(workspace, [data])
    register(Lab(workspace, acting_person(workspace)), pairings, add_roots=True)
    for name in (tomogram_name(1), segmentation_name(1)):
        make_pictures(workspace, name)
    os.sync()
    return workspace


@contextmanager
def served(workspace: Workspace) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The dashboard as serve starts it, without a worker."""
    port, token = free_port("127.0.0.1", 0), secrets.token_urlsafe(24)
    log = workspace.folder / "dashboard.log"
    person = str(acting_person(workspace).id)
    environment = child_environment(workspace.folder, token, person, port)
    command = dashboard_command(dashboard_file("server/asgi.py"), "127.0.0.1", port, 512)
    with running(command, environment, log) as process:
        wait_until_ready(("127.0.0.1", port), process, (), log)
        yield f"http://127.0.0.1:{port}/open?token={token}", process


def _forget_files(folder: Path) -> None:
    """Leave the page cache cold for the tomograms and their previews."""
    for path in [*folder.glob("data/*.mrc"), *folder.glob("lab/cache/previews/*/*.u8")]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
