"""The painter in a headless Chromium without a graphics card: opening, strokes, saves.

Opening is measured on the whole dashboard, from the click on the next patch; strokes and saves on
our own routes. Every figure is a median; the browser and the server share this machine's cores.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from bench.painting_lab import Lab, Server, cookie_of, make_lab
from bench.viewer import CHROMIUM, WINDOW, served
from core.lab.lab import Lab as ActingLab
from core.painting.draft import keep_draft
from core.painting.open import open_painting
from core.painting.save import save_painting
from db.queries.people import get_person

ROUNDS = 20
WORST_ROUNDS = 6
LIMITS = {
    "click on a patch to paintable": 2000,
    "save, typical": 300,
    "save, every voxel random": 1500,
}

# From the last pointer event of a stroke to the frame after the counts were written.
STROKE = """async ([from, to, moves]) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const at = (share) => ({
    clientX: from.x + (to.x - from.x) * share, clientY: from.y + (to.y - from.y) * share,
    pointerId: 1, button: 0, buttons: 1, bubbles: true,
  });
  const canvas = window.painter.querySelector(".pane.large canvas");
  canvas.setPointerCapture = () => undefined;
  const moved = [];
  canvas.dispatchEvent(new PointerEvent("pointerdown", at(0)));
  for (let i = 1; i <= moves; i++) {
    const begun = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", at(i / moves)));
    moved.push(performance.now() - begun);
    await frame();
  }
  const begun = performance.now();
  canvas.dispatchEvent(new PointerEvent("pointerup", at(1)));
  const counted = performance.now() - begun;
  await frame();
  return [Math.max(...moved), counted, performance.now() - begun];
}"""
SAVE = """async () => {
  const { painter } = window;
  const begun = performance.now();
  const saved = new Promise((done) => {
    const watch = new MutationObserver(() => {
      if (painter.dataset.unsaved !== "0" || painter.dataset.state !== "ready") return;
      watch.disconnect();
      done();
    });
    watch.observe(painter, { attributes: true });
  });
  painter.querySelector(".save").click();
  await saved;
  return performance.now() - begun;
}"""


def run() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("painter: no Chromium on this machine; nothing was measured.")
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, sync_playwright() as playwright:
        lab = make_lab(Path(folder), believable=True, patches=3)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        found = {"click on a patch to paintable": _openings(browser, lab)}
        found |= _strokes_and_saves(browser, lab)
        browser.close()
    print("# The painter (ms)\n\n| what | median | worst | n | wanted |\n|---|---|---|---|---|")
    for name, times in found.items():
        limit = LIMITS.get(name)
        print(
            f"| {name} | {statistics.median(times):.0f} | {max(times):.0f} | {len(times)} | "
            f"{f'≤ {limit}' if limit else ''} |"
        )


def _openings(browser: Browser, lab: Lab) -> list[float]:
    """Go from patch to patch on the Correct page by its Next button."""
    with lab.open() as workspace, served(workspace) as (address, _):
        page = browser.new_context(viewport=WINDOW).new_page()
        page.goto(address)
        page.goto(f"{address.split('/open')[0]}/correct")
        times = [_next_patch(page) for _ in range(ROUNDS + 1)]
        page.context.close()
    return times[1:]


def _next_patch(page: Page) -> float:
    painter = page.locator(".painter[data-state=ready]")
    painter.wait_for(timeout=60_000)
    page.wait_for_timeout(1000)
    painter.evaluate("(painter) => (painter.dataset.old = '1')")
    begun = time.perf_counter()
    page.get_by_role("button", name="Next").click()
    page.locator(".painter[data-state=ready]:not([data-old])").wait_for(timeout=60_000)
    return 1000 * (time.perf_counter() - begun)


def _strokes_and_saves(browser: Browser, lab: Lab) -> dict[str, list[float]]:
    server = Server(lab)
    server.start()
    with lab.open() as workspace:
        context = browser.new_context(viewport=WINDOW)
        context.add_cookies([cookie_of(workspace, "anna", server.port)])  # type: ignore[list-item]
        page = context.new_page()
        found = _typical(page, server, lab)
        found["save, every voxel random"] = [
            _worst(page, server, lab, workspace, number) for number in range(WORST_ROUNDS)
        ]
        context.close()
    server.kill()
    return found


def _typical(page: Page, server: Server, lab: Lab) -> dict[str, list[float]]:
    """Strokes of Ignore through five slices, the widest that one paints; a save after each."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    _open(page, server, lab)
    page.keyboard.press("i")
    moves, counted, shown, saves, requests = [], [], [], [], 0
    for number in range(ROUNDS):
        ends = [_point(page, (80, 24 + 5 * number, x)) for x in (30, 120)]
        before = len(asked)
        slowest, count, picture = page.evaluate(STROKE, [*ends, 40])
        # What a timer sends meanwhile (a draft, a heartbeat) is no stroke's cost.
        requests += sum(not url.endswith(("/draft", "/hold")) for url in asked[before:])
        moves.append(slowest)
        counted.append(count)
        shown.append(picture)
        page.wait_for_timeout(200)
        saves.append(page.evaluate(SAVE))
        page.wait_for_timeout(200)
    return {
        "slowest pen move of a stroke": moves,
        "live result after a stroke": counted,
        "stroke's end to the frame that shows it": shown,
        "requests that a stroke makes": [float(requests)],
        "save, typical": saves,
    }


def _worst(page: Page, server: Server, lab: Lab, workspace: Any, number: int) -> float:
    """A drawing in which every voxel is random comes as a draft, and is saved."""
    with workspace.catalog.read() as session:
        anna = get_person(session, "anna")
    painting = open_painting(ActingLab(workspace, anna), lab.patch)
    save_painting(
        ActingLab(workspace, anna),
        lab.patch,
        np.zeros((160,) * 3, np.uint8),
        base=painting.base,
    )
    drawing = np.random.default_rng(number).integers(0, 4, (160,) * 3, np.uint8)
    keep_draft(ActingLab(workspace, anna), lab.patch, drawing, 0)
    _open(page, server, lab)
    page.locator(".notice button", has_text="draft on the server").click()
    page.wait_for_timeout(1500)
    return float(page.evaluate(SAVE))


def _open(page: Page, server: Server, lab: Lab) -> None:
    page.goto(f"{server.address}/paint/{lab.patch}")
    page.wait_for_function(
        "['ready', 'asking'].includes(window.painter?.dataset.state)", timeout=30_000
    )
    page.locator(".pane.large canvas").hover()


def _point(page: Page, voxel: tuple[int, int, int]) -> dict[str, float]:
    found = page.evaluate("(voxel) => window.pointOf(0, voxel)", list(voxel))
    return dict(found)
