"""Serve a workspace and drive its pages in the Chromium of this machine; nothing is downloaded."""

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

READY_S = 90
CHROMIUM = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE: ViewportSize = {"width": 1280, "height": 800}
_ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)(/\w+)?/(open\?token=\S+)?\s*$")


def chromium() -> str | None:
    """The Chromium of this machine."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def served(folder: Path, port: int = 0, *options: str) -> Iterator[str]:
    """Serve a workspace with its worker; the address signs a browser in, or leads to where."""
    with serving(folder, port, *options) as (address, _):
        yield address


@contextmanager
def serving(folder: Path, port: int = 0, *options: str) -> Iterator[tuple[str, int]]:
    """Serve a workspace: the printed address, and the id of the process."""
    main = "from core.cli.main import main; raise SystemExit(main())"
    where = ["--workspace", str(folder), "--no-browser", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-c", main, "serve", *where, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield _address(process), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """A headless Chromium; waits are long, since the machine may be busy with other tests."""
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM))
        try:
            yield browser
        finally:
            browser.close()


def settle(page: Page) -> None:
    """Wait until the page has run and nothing on it is stale."""
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(
        timeout=60_000
    )
    expect(page.locator('[data-testid="stSkeleton"]')).to_have_count(0, timeout=60_000)
    page.wait_for_timeout(300)


def go(page: Page, base: str, path: str) -> None:
    """Open a page by its address."""
    page.goto(f"{base}/{path}")
    page.locator('[data-testid="stAppViewContainer"] h1').first.wait_for(timeout=60_000)
    settle(page)


def _address(process: subprocess.Popen[str]) -> str:
    """The line in which serve prints its address; fails with all it printed else."""
    lines: queue.Queue[str | None] = queue.Queue()
    out = process.stdout
    assert out

    def read() -> None:
        for line in out:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    told: list[str] = []
    while True:
        line = lines.get(timeout=READY_S)
        if line is None:
            raise RuntimeError("serve ended:\n" + "".join(told))
        told.append(line)
        found = _ADDRESS.search(line)
        if found:
            return found[0].strip()
