"""A newcomer opens Proposals in a real browser, accepts three and finds three chosen patches."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.access.os_user import acting_person
from core.demo.synthetic import make_tomogram, write_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.proposals.propose import propose
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.patches import PatchFilter, list_patches
from db.queries.proposals import ProposalFilter, ProposalRecord, list_proposals
from db.vocabulary import Dismissal, ProposalState, Stage
from tests.journeys.driving import SIZE, chromium, go, opened_browser, served

SHAPE = Zyx(170, 336, 336)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("journey")
    (folder / "data").mkdir()
    for seed in (1, 2):
        write_tomogram(folder / "data", f"TS_00{seed}", make_tomogram(SHAPE, seed))
    with init_workspace(folder / "lab") as workspace:
        ada = Lab(workspace, acting_person(workspace))
        register(ada, plan_registration(workspace, [folder / "data"]), add_roots=True)
        propose(ada)
    with open_workspace(folder / "lab") as workspace:
        yield workspace


def proposals(lab: Workspace, state: ProposalState) -> tuple[ProposalRecord, ...]:
    with lab.catalog.read() as session:
        return list_proposals(session, ProposalFilter(state)).rows


def decide(page: Page, key: str) -> None:
    """Press a key in the viewer, and wait until another proposal is in focus."""
    viewer = page.locator(".viewer[data-shown-z]")
    before = viewer.locator(".info h2").first.text_content()
    viewer.press(key)
    expect(viewer.locator(".info h2").first).not_to_have_text(str(before))
    page.locator(".viewer[data-shown-z]").wait_for()


def test_three_accepted_proposals_are_three_chosen_patches(lab: Workspace) -> None:
    (first, second, *_) = proposals(lab, ProposalState.WAITING)
    with served(lab.folder) as address, opened_browser() as browser:
        page = browser.new_context(viewport=SIZE).new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.request.get(address)
        base = address.partition("/open")[0]
        go(page, base, "")
        page.get_by_role("link", name="4 proposed places to look at").click()
        info = page.locator(".viewer .info")
        expect(info.locator("h2").first).to_have_text(f"Proposal {first.id}")
        expect(info.locator(".why")).to_have_text(f"A{first.reason[1:]}.")
        z, y, x = first.pins[0]["center"]  # the largest piece
        expect(page.locator("input.place")).to_have_value(f"{x}, {y}, {z}")
        decide(page, "j")
        expect(info.locator("h2").first).to_have_text(f"Proposal {second.id}")
        decide(page, "n")
        for _ in range(2):
            decide(page, "y")
        info.get_by_role("button", name="Accept").click()
        expect(page.get_by_text("No open proposals")).to_be_visible()
        browser.close()
    assert wrong == []
    (dismissed,) = proposals(lab, ProposalState.DISMISSED)
    assert (dismissed.id, dismissed.dismissal) == (second.id, Dismissal.NOTHING_WRONG)
    with lab.catalog.read() as session:
        patches = list_patches(session, PatchFilter(stage=(Stage.CHOSEN,))).rows
    accepted = proposals(lab, ProposalState.ACCEPTED)
    assert {patch.name for patch in patches} == {proposal.patch for proposal in accepted}
    assert len(patches) == 3
    assert all(patch.note and "voxels to correct" in patch.note for patch in patches)


def test_the_heat_of_a_channel_is_drawn_over_the_planes(lab: Workspace) -> None:
    (first, *_) = proposals(lab, ProposalState.WAITING)
    with served(lab.folder) as address, opened_browser() as browser:
        page = browser.new_context(viewport=SIZE).new_page()
        page.request.get(address)
        base = address.partition("/open")[0]
        page.goto(f"{base}/browse?tomogram={first.token}&proposal={first.id}")
        page.locator(".viewer[data-shown-z]").wait_for()
        canvas = page.locator(".viewer .large canvas")
        orange = """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let sum = 0;
          for (let i = 0; i < data.length; i += 4) sum += Math.max(0, data[i] - data[i + 2]);
          return sum;
        }"""
        before = canvas.evaluate(orange)
        page.get_by_role("combobox", name="Heat").click()
        page.get_by_role("option", name="Missed membrane").click()
        page.wait_for_function(
            f"(before) => ({orange})(document.querySelector('.viewer .large canvas') ?? "
            "[...document.querySelectorAll('*')].map((e) => e.shadowRoot?.querySelector("
            "'.viewer .large canvas')).find(Boolean)) > before + 100000",
            arg=before,
        )
        browser.close()
