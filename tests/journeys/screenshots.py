"""Take pictures of all pages in both themes at 1280 × 800: ``make screenshots``.

    python -m tests.journeys.screenshots [--out FOLDER] [--workspace FOLDER] [PAGE ...]

Without a workspace the demo is made in a temporary folder. The README's few pictures are written
to docs/pictures; all of them to the folder that is named.
"""

import argparse
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from core.demo.workspace import make_demo
from core.workspace.workspace import init_workspace, open_workspace
from db.queries.patches import PatchFilter, list_patches
from db.vocabulary import Stage
from tests.journeys.driving import SIZE, go, opened_browser, served, settle

DOCS = Path(__file__).parents[2] / "docs" / "pictures"
KEPT = {
    "progress": "light",
    "browse": "dark",
    "patches_pictures": "light",
    "correct_paint": "dark",
    "review": "dark",
}
"""Pages whose pictures stand in the README, and in which theme."""
DRAWN = ("browse", "correct", "correct_paint", "review_around")
"""Pages that draw in the browser after Streamlit has finished."""
COLORS = 48
"""Of a kept picture, so that it stays small."""


def addresses(workspace_folder: Path) -> Mapping[str, str]:
    """Each page's address, with a patch or tomogram where it shows one."""
    with open_workspace(workspace_folder) as workspace, workspace.catalog.read() as session:

        def first(*stages: Stage, corrected: bool | None = None) -> str:
            wanted = PatchFilter(stage=stages, corrected=corrected)
            found = list_patches(session, wanted, limit=1).rows
            return found[0].name if found else "none"

        correcting = first(Stage.CORRECTING, corrected=True)
        accepted, merged = first(Stage.ACCEPTED, corrected=True), first(Stage.MERGED)
        in_review = first(Stage.IN_REVIEW, corrected=True)
        known = list_patches(session, limit=1).rows
        tomogram = f"{known[0].dataset}/{known[0].token}" if known else "none/none"
    return {
        "progress": "",
        "tomograms": "tomograms",
        "tomogram": f"tomograms?tomogram={tomogram}",
        "browse": f"browse?tomogram={tomogram}",
        "patches": "patches",
        "patches_pictures": "patches?as=Pictures",
        "patch": f"patches?patch={accepted}",
        "correct": f"correct?patch={correcting}&how=My+own+software",
        "correct_merge": f"correct?patch={correcting}&how=Merge+and+submit",
        "correct_merged": f"correct?patch={merged}&how=Merge+and+submit",
        "correct_paint": f"correct?patch={correcting}&how=Paint+here",
        "review": f"review?patch={in_review}",
        "review_around": f"review?patch={in_review}&how=Look+around",
        "quality": "quality",
        "share": "share",
        "import": "import",
        "activity": "activity",
        "settings": "settings",
    }


def take(browser: Browser, opening: str, out: Path, wanted: Mapping[str, str], mark: str) -> None:
    """A picture of each page in both themes."""
    base = opening.partition("/open")[0]
    for theme in ("light", "dark"):
        context = browser.new_context(viewport=SIZE, color_scheme=theme)
        page = context.new_page()
        page.goto(opening)
        for name, address in wanted.items():
            try:
                go(page, base, address)
                page.wait_for_timeout(
                    2500 if name in ("browse", "correct_paint", "review_around") else 700
                )
                settle(page)
            except Exception as error:
                print(f"{name} {theme}: {str(error)[:300]}")
            page.screenshot(path=out / f"{name}{mark}_{theme}.png")
        context.close()


def keep(out: Path) -> None:
    """Put the README's pictures into docs, small."""
    for name, theme in KEPT.items():
        picture = out / f"{name}_{theme}.png"
        if picture.exists():
            small = Image.open(picture).convert("RGB").quantize(COLORS)
            small.save(DOCS / f"{name}.png", optimize=True)


def main() -> None:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--empty", action="store_true", help="of an empty workspace, too")
    parser.add_argument("pages", nargs="*")
    asked = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        out = asked.out or scratch
        out.mkdir(parents=True, exist_ok=True)
        folder = asked.workspace or scratch / "demo"
        if asked.workspace is None:
            make_demo(folder, print)
        browser = stack.enter_context(opened_browser())
        every = addresses(folder)
        wanted = {name: every[name] for name in asked.pages or every}
        with served(folder) as opening:
            take(browser, opening, out, wanted, "")
        if asked.empty:
            init_workspace(scratch / "empty", admin="Mia").close()
            with served(scratch / "empty") as opening:
                take(browser, opening, out, addresses(scratch / "empty"), "_empty")
        if not asked.pages:
            keep(out)


if __name__ == "__main__":
    main()
