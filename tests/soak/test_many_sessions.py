"""Twenty people at once over real websockets: no error, and nobody sees what another did or typed.

Half read, half write. It prints what it measured; TOMOCURATE_SOAK=seconds says how long (1 is a
minute).
"""

import os
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from core.access import people
from core.access.os_user import acting_person
from core.demo.synthetic import make_tomogram, write_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.patches.choose import choose
from core.tomograms.register import plan_registration, register
from core.workspace.results import count_failed
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.life import comments_of
from db.queries.patches import get_patch
from db.queries.people import PersonRecord
from db.vocabulary import ChosenBecause, Role
from tests.journeys.driving import serving
from tests.journeys.talking import Tab, children_of, cookie_of, mebibytes_of

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("TOMOCURATE_SOAK" not in os.environ, reason="takes minutes: make soak"),
]
PEOPLE = 20
SECONDS = max(60.0, float(os.environ.get("TOMOCURATE_SOAK") or 0))
FIELD = "Comment on this patch"
MOST_MEBIBYTES = 1500
PAGES = (
    "progress",
    "tomograms",
    "browse",
    "patches",
    "correct",
    "review",
    "quality",
    "activity",
    "settings",
)


class Served(NamedTuple):
    """A workspace with twenty people, and where it is served."""

    lab: Workspace
    base: str
    process: int


class Told(NamedTuple):
    """What one person went through."""

    name: str
    seconds: list[float]
    said: list[str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("many")
    (folder / "data").mkdir()
    write_tomogram(folder / "data", "TS_001", make_tomogram(Zyx(170, 200, 200)))
    with init_workspace(folder / "lab", admin="Mia") as workspace:
        me = acting_person(workspace)
        for number in range(PEOPLE):
            people.add(workspace, me, f"Person{number:02}", Role.ANNOTATOR)
        register(
            Lab(workspace, me), plan_registration(workspace, [folder / "data"]), add_roots=True
        )
        centers = [Zyx(84, 82 + number, 90) for number in range(PEOPLE)]
        chosen = choose(Lab(workspace, me), "TS_001", centers, reason=ChosenBecause.OTHER)
        assert not count_failed(chosen)
    with (
        open_workspace(folder / "lab") as workspace,
        serving(folder / "lab") as (address, process),
    ):
        yield Served(workspace, address.partition("/open")[0], process)


def patch_of(number: int) -> str:
    return f"other_TS_001_patch{number}"


def check(tab: Tab, name: str, told: Told) -> None:
    """Nothing broke, and what the page says was saved was saved by this person."""
    told.seconds.append(tab.seconds)
    told.said.extend(f"{name} on {tab.page}: {error}" for error in tab.errors)
    for alert in tab.all("alert"):
        if "saved" in alert.text and name not in alert.text:
            told.said.append(f"{name} was told {alert.text!r}")
        if "went wrong" in alert.text or "Your session is over" in alert.text:
            told.said.append(f"{name} on {tab.page} was told {alert.text!r}")


def read(tab: Tab, name: str, number: int, told: Told) -> None:
    """Look through the pages, and filter the patches by a name of one's own."""
    for page in PAGES:
        check(tab.go(page), name, told)
    if name not in tab.text:
        told.said.append(f"{name} is somebody else in settings: {tab.text[:300]!r}")
    tab.go("patches", "as=Pictures")
    check(tab.type("Name", f"patch{number:01}"), name, told)
    links = {each.text.replace("\\", "") for each in tab.all("page_link")}
    shown = {each for each in links if each.startswith("other_")}
    wanted = {patch_of(each) for each in range(PEOPLE) if str(each).startswith(str(number))}
    if shown != wanted:
        told.said.append(f"{name} filtered by {number} and sees {sorted(shown)}")


def write(tab: Tab, name: str, number: int, told: Told, said: str) -> None:
    """Claim a patch, say something about it, and let it go."""
    check(tab.go("patches", f"patch={patch_of(number)}"), name, told)
    check(tab.press("Claim"), name, told)
    check(tab.fill(FIELD, said).press("Comment"), name, told)
    check(tab.press("Release"), name, told)


def work(site: Served, person: PersonRecord, number: int, until: float) -> tuple[Told, int]:
    """One person's session, until the time is over; gives how often it wrote."""
    told, rounds = Told(person.name, [], []), 0
    with Tab(site.base, cookie_of(site.lab, person, site.base)) as tab:
        tab.go("progress")
        while time.monotonic() < until:
            if number % 2:
                write(tab, person.name, number, told, f"{person.name} round {rounds}")
            else:
                read(tab, person.name, number, told)
            rounds += 1
    return told, rounds if number % 2 else 0


def test_twenty_people_work_at_once(site: Served, capsys: pytest.CaptureFixture[str]) -> None:
    everybody = [each for each in people.list_people(site.lab) if each.name != "Mia"]
    dashboard = max(children_of(site.process), key=mebibytes_of)
    before, peak, done = mebibytes_of(dashboard), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            peak[0] = max(peak[0], mebibytes_of(dashboard))

    threading.Thread(target=watch, daemon=True).start()
    until = time.monotonic() + SECONDS
    with ThreadPoolExecutor(PEOPLE) as pool:
        results = [
            pool.submit(work, site, person, number, until)
            for number, person in enumerate(everybody)
        ]
        ended = [each.result() for each in results]
    done.set()
    seconds = sorted(second for told, _ in ended for second in told.seconds)
    with capsys.disabled():
        middle, late = statistics.median(seconds), seconds[int(len(seconds) * 0.95)]
        print(
            f"\n{PEOPLE} people for {SECONDS:.0f} s: {len(seconds)} runs of pages, "
            f"{sum(rounds for _, rounds in ended)} rounds of writing; a run took {middle:.2f} s "
            f"(median), {late:.2f} s (95 %), {seconds[-1]:.2f} s at most; the server held "
            f"{before:.0f} MB before and {peak[0]:.0f} MB at most."
        )
    wrong = [line for told, _ in ended for line in told.said]
    assert wrong == [], "\n".join(wrong[:20])
    assert peak[0] < MOST_MEBIBYTES
    with site.lab.catalog.read() as session:
        for number, (told, rounds) in enumerate(ended):
            found = comments_of(session, get_patch(session, patch_of(number)).id)
            assert [each.author for each in found] == [told.name] * rounds
            assert get_patch(session, patch_of(number)).assignee is None
