"""Hostile words in every field of people and files: no page runs them, none asks elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import mrcfile
import numpy as np
import pytest
from playwright.sync_api import Dialog, Page, Request

from core.access import people
from core.access.os_user import acting_person
from core.corrections.receive import receive
from core.demo.synthetic import make_tomogram
from core.imaging.correction import write_correction
from core.imaging.geometry import Zyx
from core.imaging.merging import read_label
from core.lab.lab import Lab
from core.labels import review
from core.labels.merge import merge
from core.patches import assign
from core.patches.choose import choose
from core.patches.extract import extract
from core.patches.saved_filters import save_view
from core.tomograms.data_permissions import permit
from core.tomograms.register import plan_registration, register
from core.workspace.results import count_failed
from core.workspace.workspace import init_workspace
from dashboard.ui.navigation import PLACES
from db.vocabulary import ChosenBecause, CorrectionKind, Licence, Role, Scope
from tests.journeys.driving import chromium, opened_browser, served, settle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
IMG = "<img src=x onerror=window.probed=1>"
LINK = "[x](javascript:window.probed=1)"
BEACON = "![b](http://evil.test/b.png)"
SCRIPT = "<script>window.probed=1</script>"
ALL = f"{IMG} {LINK} {BEACON} {SCRIPT} $\\href{{javascript:window.probed=1}}{{x}}$ :red[x]"


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose people, files, notes and views all carry probes."""
    folder = tmp_path_factory.mktemp("probes")
    data = folder / f"data {IMG.replace('/', '')}"
    data.mkdir()
    made = make_tomogram(Zyx(170, 200, 200))
    for name, voxels in (("vol", made.density), ("vol_seg", made.prediction)):
        with mrcfile.new(data / f"{name} {IMG}.mrc") as file:
            file.set_data(voxels)
            file.voxel_size = 10.0
            file.add_label(SCRIPT)
    with init_workspace(folder / "lab", admin=f"Mia {IMG}") as workspace:
        me = acting_person(workspace)
        ada = people.add(workspace, me, f"Ada {LINK} {BEACON}", Role.ANNOTATOR)
        pairs = plan_registration(
            workspace,
            [data / f"vol {IMG}.mrc"],
            segmentation=data / f"vol_seg {IMG}.mrc",
            token="TS_001",
        )
        assert not count_failed(register(Lab(workspace, me), pairs, add_roots=True))
        centers = [Zyx(84, 90, 90), Zyx(84, 110, 110), Zyx(84, 100, 90)]
        chosen = choose(Lab(workspace, me), "TS_001", centers, reason=ChosenBecause.OTHER, note=ALL)
        names = [outcome.name for outcome in chosen]
        assert not count_failed(extract(Lab(workspace, me), names))
        for name in names:
            assign.assign(Lab(workspace, me), name, ada.name)
            path = correction(folder, workspace.folders.label_of(name))
            assert receive(Lab(workspace, ada), name, "Add1.nrrd", path).outcome == "done"
            refused = receive(
                Lab(workspace, ada), name, f"Add {IMG[:20]}.nrrd", b"NRRD" + IMG.encode()
            )
            assert refused.outcome == "failed"
            review.comment(Lab(workspace, ada), name, ALL)
        assert count_failed(merge(Lab(workspace, ada), names)) == len(names)
        for name in names:
            from core.corrections.withdraw import withdraw_correction

            withdraw_correction(Lab(workspace, ada), name, f"Add {IMG[:20]}.nrrd", reason=ALL)
        assert not count_failed(merge(Lab(workspace, ada), names))
        for name in names:
            review.submit(Lab(workspace, ada), name)
        review.accept(Lab(workspace, me), names[0])
        review.reject(Lab(workspace, me), names[1], ALL)
        save_view(Lab(workspace, me), f"view {IMG}", "patches", {"text": IMG})
        permit(
            Lab(workspace, me),
            "TS_001",
            scope=Scope.PUBLIC,
            licence=Licence.CC0,
            approved_by=IMG,
            owner=LINK,
        )
    return folder / "lab"


def correction(folder: Path, label_path: Path) -> Path:
    """A correction whose header names a hostile program."""
    label, grid = read_label(label_path)
    assert grid
    mask = np.zeros(label.shape, bool)
    mask[80, 80:90, 80:90] = True
    path = folder / "Add1.nrrd"
    path.unlink(missing_ok=True)
    write_correction(path, mask, grid, CorrectionKind.ADD)
    content = path.read_bytes()
    head, _, body = content.partition(b"\n\n")
    path.write_bytes(head + b"\nsoftware:=" + SCRIPT.encode() + b"\n\n" + body)
    return path


@pytest.fixture(scope="module")
def page(probed: Path) -> Iterator[tuple[Page, str, list[str]]]:
    """A signed-in page, the server's address, and what was asked of others."""
    with served(probed) as opening, opened_browser() as browser:
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        elsewhere: list[str] = []
        base = opening.split("/open")[0]

        def asked(request: Request) -> None:
            if not request.url.startswith((base, base.replace("http", "ws"), "data:", "blob:")):
                elsewhere.append(request.url)

        def dismissed(dialog: Dialog) -> None:
            elsewhere.append("dialog")
            dialog.dismiss()

        tab.on("request", asked)
        tab.on("dialog", dismissed)
        tab.goto(opening)
        yield tab, base, elsewhere


ADDRESSES = [
    *(place.address for place in PLACES.values()),
    "tomograms?tomogram=other/TS_001",
    "browse?tomogram=other/TS_001",
    "patches?as=Pictures",
    *(f"patches?patch=other_TS_001_patch{number}" for number in range(3)),
    "correct?patch=other_TS_001_patch1&how=My+own+software",
    "correct?patch=other_TS_001_patch1&how=Paint+here",
    "correct?patch=other_TS_001_patch1&how=Merge+and+submit",
    "review?patch=other_TS_001_patch2",
    *(
        f"{address}?{word}={quote(ALL)}"
        for address, word in (
            ("patches", "patch"),
            ("patches", "text"),
            ("correct", "patch"),
            ("review", "patch"),
            ("browse", "tomogram"),
            ("tomograms", "tomogram"),
        )
    ),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_page_runs_or_fetches_what_people_and_files_say(
    page: tuple[Page, str, list[str]], address: str
) -> None:
    tab, base, elsewhere = page
    tab.goto(f"{base}/{address}")
    tab.locator('[data-testid="stAppViewContainer"]').wait_for(timeout=60_000)
    settle(tab)
    assert tab.evaluate("window.probed") is None
    assert elsewhere == []
    html = tab.content()
    assert 'evil.test/b.png"' not in html.replace("&quot;", "")
    assert tab.locator('a[href^="javascript"]').count() == 0
    assert tab.locator('img[src="x"]').count() == 0
    assert "Traceback" not in tab.locator("body").inner_text()


def test_the_probes_are_really_shown(page: tuple[Page, str, list[str]]) -> None:
    tab, base, _ = page
    tab.goto(f"{base}/patches?patch=other_TS_001_patch1")
    settle(tab)
    tab.get_by_text("onerror=window.probed").first.wait_for(timeout=60_000)
