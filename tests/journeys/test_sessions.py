"""What an open page may do follows its session: whose it is, whether it counts, and what is sent.

Over the real websocket of a served workspace, without a browser.
"""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.access import people
from core.access.os_user import acting_person
from core.demo.synthetic import make_tomogram, write_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.workspace.settings import FILE_NAME
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.patches import get_patch
from db.queries.people import PersonRecord
from db.vocabulary import ChosenBecause, Role
from tests.journeys.driving import served
from tests.journeys.talking import Tab, cookie_of

OVER = "Your session is over"
UPLOAD_MB = 1
P0, P1 = "other_TS_001_patch0", "other_TS_001_patch1"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("sessions")
    (folder / "data").mkdir()
    write_tomogram(folder / "data", "TS_001", make_tomogram(Zyx(170, 200, 200)))
    with init_workspace(folder / "lab", admin="Mia") as workspace:
        me = acting_person(workspace)
        people.add(workspace, me, "Ada", Role.ANNOTATOR)
        people.add(workspace, me, "Ben", Role.REVIEWER)
        people.add(workspace, me, "Vera", Role.VIEWER)
        register(
            Lab(workspace, me), plan_registration(workspace, [folder / "data"]), add_roots=True
        )
        centers = [Zyx(84, 90, 90), Zyx(84, 100, 100)]
        choose(Lab(workspace, me), "TS_001", centers, reason=ChosenBecause.OTHER)
        extract(Lab(workspace, me), [P0])
    with (folder / "lab" / FILE_NAME).open("a") as settings:
        settings.write(f"upload_mb = {UPLOAD_MB}\n")
    with open_workspace(folder / "lab") as workspace:
        yield workspace


@pytest.fixture(scope="module")
def base(lab: Workspace) -> Iterator[str]:
    with served(lab.folder) as address:
        assert httpx.get(address).status_code == 303
        yield address.partition("/open")[0]


def named(lab: Workspace, name: str) -> PersonRecord:
    return next(each for each in people.list_people(lab) if each.name == name)


def tab_of(lab: Workspace, base: str, name: str, **options: float) -> Tab:
    return Tab(base, cookie_of(lab, named(lab, name), base, **options))


def assignee(lab: Workspace, patch: str) -> str | None:
    with lab.catalog.read() as session:
        return get_patch(session, patch).assignee


def test_a_click_on_the_page_of_a_session_that_ran_out_changes_nothing(
    lab: Workspace, base: str
) -> None:
    for lasts in (6.0, 45.0):  # the longer one for a machine that has much to do
        began = time.monotonic()
        with tab_of(lab, base, "Ada", lasts=lasts) as tab:
            claim = tab.go("patches", f"patch={P0}").find("button", "Claim")
            if claim is None:
                continue
            time.sleep(max(0, began + lasts + 1.5 - time.monotonic()))
            tab.press_id(claim.id)
            assert OVER in tab.text
            assert P0 not in tab.text
            break
    else:
        pytest.fail("no page in time")
    assert assignee(lab, P0) is None


def test_a_page_goes_on_after_a_break_for_the_same_session_only(lab: Workspace, base: str) -> None:
    ada, ben = (cookie_of(lab, named(lab, name), base) for name in ("Ada", "Ben"))
    with Tab(base, ada) as tab:
        tab.go("patches").type("Name", "patch1")
        earlier = tab.session
    with Tab(base, ada, earlier) as again:
        assert again.again().session == earlier
    with Tab(base, ben, earlier) as other:
        assert other.again().session != earlier
    with Tab(base, ben) as other:
        other.go("settings")
        assert "Ben" in other.text


def test_nobody_tells_streamlit_whose_websocket_it_is(lab: Workspace, base: str) -> None:
    ada, ben = (cookie_of(lab, named(lab, name), base) for name in ("Ada", "Ben"))
    mark = hashlib.sha256(ada.partition("=")[2].encode()).hexdigest()
    with Tab(base, ada) as tab:
        earlier = tab.go("settings").session
        with Tab(base, ben, earlier, **{"X-Tomocurate-Session": mark}) as other:
            assert other.go("settings").session != earlier
            assert "**Ben**" in other.text
        assert "**Ada**" in tab.again().text


ALONE, NO_CORRECTION = "name the file alone", "not a correction file"
HOSTILE_NAMES = {
    "../../../../tmp/Add1.nrrd": ALONE,
    "/etc/Add1.nrrd": ALONE,
    "..\\..\\Add1.nrrd": ALONE,
    "Add1.nrrd/": ALONE,
    "Add\x001.nrrd": ALONE,
    "Add\u202e1.nrrd": ALONE,
    "=cmd|'/c calc'!A1.nrrd": ALONE,
    "Add" + "1" * 300 + ".nrrd": "at most 200 bytes",
    "..": "neither begins nor ends with a dot",
    "<img src=x onerror=alert(1)>.nrrd": NO_CORRECTION,
    "con.nrrd": NO_CORRECTION,
    "": NO_CORRECTION,
}
"""Names as a hostile client sends them, and what the page says."""


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder but the store's refused ones and the catalog, with its times."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not {"refused", "cache"} & set(path.relative_to(folder).parts)
        and not path.name.startswith(("catalog.sqlite", "worker.log", "dashboard.log"))
    }


def test_a_file_of_a_hostile_name_is_refused_with_its_sentence(lab: Workspace, base: str) -> None:
    with tab_of(lab, base, "Ada") as tab:
        tab.go("correct", f"patch={P0}&how=My+own+software")
        before = listing(lab.folder.parent)
        for name, said in HOSTILE_NAMES.items():
            tab.drop(name, b"NRRD0004\n")
            assert said in tab.text, name
            assert tab.errors == []
        assert listing(lab.folder.parent) == before


def test_an_upload_is_measured_as_it_comes_and_needs_a_session(lab: Workspace, base: str) -> None:
    with tab_of(lab, base, "Ada") as tab:
        tab.go("correct", f"patch={P0}&how=My+own+software")
        where = tab.upload_address()
        assert tab.put(where, "Add1.nrrd", bytes(UPLOAD_MB << 20)).status_code == 413
        assert tab.put(where, "Add1.nrrd", bytes(10), cookie="").status_code == 401
        assert tab.put(where, "Add1.nrrd", bytes(10)).status_code == 204


def test_what_one_person_uploads_is_bounded_over_all_their_pages(lab: Workspace, base: str) -> None:
    part = bytes((UPLOAD_MB << 20) * 2 // 3)
    page = "correct", f"patch={P0}&how=My+own+software"
    with tab_of(lab, base, "Ada") as one, tab_of(lab, base, "Ada") as two:
        where = [tab.go(*page).upload_address() for tab in (one, two)]
        assert one.put(where[0], "Add1.nrrd", part).status_code == 204
        refused = two.put(where[1], "Add1.nrrd", part)
        assert (refused.status_code, "one person may" in refused.text) == (413, True)
        with tab_of(lab, base, "Ben") as other:
            address = other.go(*page).upload_address()
            assert other.put(address, "Add1.nrrd", part).status_code == 204
    with tab_of(lab, base, "Vera") as viewer:
        address = viewer.go("settings").upload_address()
        assert viewer.put(address, "Add1.nrrd", bytes(10)).status_code == 403
