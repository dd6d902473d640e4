"""Signing in at a real OpenID provider, in a real browser: each sees and may do what is theirs.

The provider runs on this machine; people are known to it by their subject alone.
"""

import re
import socket
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import oidc_provider_mock
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from core.access import people
from core.access.os_user import acting_person
from core.access.sign_in import SECRET_VARIABLE
from core.demo.synthetic import make_tomogram, write_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.labels import review
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.workspace.settings import FILE_NAME
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.life import list_events
from db.queries.patches import get_patch
from db.queries.people import PersonRecord
from db.vocabulary import ChosenBecause, Role
from tests.journeys.driving import SIZE, chromium, go, opened_browser, served, settle
from tests.journeys.talking import cookie_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.filterwarnings("ignore:get_jwt_config"),  # the provider's own, not ours
]
P0, P1, P2 = (f"other_TS_001_patch{number}" for number in range(3))
ROLES = {"Ada": Role.ANNOTATOR, "Ben": Role.REVIEWER, "Cleo": Role.ANNOTATOR}
OVER = "Your session is over, or you may no longer work here."


class Served(NamedTuple):
    """A workspace where people sign in, and where it is served."""

    lab: Workspace
    base: str
    browser: Browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("signing-in")
    with (
        oidc_provider_mock.run_server_in_thread() as server,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv(SECRET_VARIABLE, "client-secret")
        provider = f"http://127.0.0.1:{server.server_port}/.well-known/openid-configuration"
        port = free_port()
        (folder / "data").mkdir()
        write_tomogram(folder / "data", "TS_001", make_tomogram(Zyx(170, 220, 220)))
        with init_workspace(folder / "lab", admin="Mia") as made:
            fill(made, str(httpx.get(provider).json()["issuer"]))
        settings = f'[sign_in]\nby = "oidc"\nprovider = "{provider}"\nclient_id = "tomocurate"\n'
        with (folder / "lab" / FILE_NAME).open("a") as file:
            file.write(f'{settings}address = "http://127.0.0.1:{port}"\n')
        with (
            open_workspace(folder / "lab") as lab,
            served(folder / "lab", port) as base,
            opened_browser() as browser,
        ):
            yield Served(lab, base.rstrip("/"), browser)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def fill(lab: Workspace, issuer: str) -> None:
    """Three people whom the provider knows, a patch to claim, and one to review."""
    me = acting_person(lab)
    for name, role in ROLES.items():
        people.add(lab, me, name, role, identity=(issuer, f"{name.lower()}-1"))
    register(Lab(lab, me), plan_registration(lab, [lab.folder.parent / "data"]), add_roots=True)
    centers = [Zyx(84, 90, 90), Zyx(84, 100, 100), Zyx(84, 110, 110)]
    mine = Lab(lab, me)
    choose(mine, "TS_001", centers, reason=ChosenBecause.OTHER)
    extract(mine, [P0, P1, P2])
    review.submit(mine, P2, nothing_to_change=True)


@pytest.fixture
def somebody(site: Served) -> Iterator["Somebody"]:
    opened: list[BrowserContext] = []
    yield Somebody(site, opened)
    for context in opened:
        context.close()


class Somebody:
    """Opens browsers of people, each signed in at the provider."""

    def __init__(self, site: Served, opened: list[BrowserContext]) -> None:
        self.site, self.opened = site, opened

    def browser(self) -> BrowserContext:
        self.opened.append(self.site.browser.new_context(viewport=SIZE))
        return self.opened[-1]

    def signed_in(self, name: str) -> Page:
        page = self.browser().new_page()
        page.goto(self.site.base)
        page.get_by_role("link", name="Sign in").click()
        page.get_by_placeholder("sub").fill(f"{name.lower()}-1")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{self.site.base}/**")
        page.locator('[data-testid="stAppViewContainer"] h1').first.wait_for(timeout=60_000)
        settle(page)
        return page


def named(lab: Workspace, name: str) -> PersonRecord:
    return next(each for each in people.list_people(lab) if each.name == name)


def assignee(lab: Workspace, patch: str) -> str | None:
    with lab.catalog.read() as session:
        return get_patch(session, patch).assignee


def test_two_people_see_their_own_name_and_what_they_may_do(
    site: Served, somebody: Somebody
) -> None:
    ada, ben = somebody.signed_in("Ada"), somebody.signed_in("Ben")
    for page, name, role in ((ada, "Ada", "annotator"), (ben, "Ben", "reviewer")):
        go(page, site.base, "settings")
        expect(page.locator(".st-key-tc_account")).to_contain_text(f"{name} · {role}")
        expect(page.get_by_role("button", name="Add", exact=True)).to_have_count(0)
        go(page, site.base, f"review?patch={P2}")
    expect(ben.get_by_role("button", name=re.compile("^Accept")).first).to_be_visible()
    expect(ada.get_by_role("button", name=re.compile("^Accept"))).to_have_count(0)


def test_neither_sees_what_the_other_typed_picked_or_was_told(
    site: Served, somebody: Somebody
) -> None:
    ada, ben = somebody.signed_in("Ada"), somebody.signed_in("Ben")
    for page, typed in ((ada, "patch1"), (ben, "")):
        go(page, site.base, "patches")
        field = page.get_by_placeholder("part of the name")
        expect(field).to_have_value("")
        if typed:
            field.fill(typed)
            page.keyboard.press("Enter")
            page.wait_for_url(re.compile(f"text={typed}"))
    assert "patch1" not in ben.url
    go(ada, site.base, f"patches?patch={P0}")
    ada.get_by_role("button", name="Claim").click()
    told = ada.get_by_text(re.compile("claimed · saved at .* by Ada"))
    expect(told).to_be_visible()
    go(ben, site.base, f"patches?patch={P0}")
    expect(ben.get_by_text(re.compile("claimed · saved at"))).to_have_count(0)
    expect(told).to_be_visible()
    assert assignee(site.lab, P0) == "Ada"


def test_another_role_counts_at_the_next_click_and_disabling_too(
    site: Served, somebody: Somebody
) -> None:
    cleo, me = somebody.signed_in("Cleo"), acting_person(site.lab)
    go(cleo, site.base, f"patches?patch={P1}")
    claim = cleo.get_by_role("button", name="Claim")
    expect(claim).to_be_visible()
    people.change_role(site.lab, me, "Cleo", Role.VIEWER)
    claim.click()
    expect(cleo.get_by_text("Cleo is a viewer; to claim a patch takes")).to_be_visible()
    expect(claim).to_have_count(0)
    people.change_role(site.lab, me, "Cleo", Role.ANNOTATOR)
    go(cleo, site.base, f"patches?patch={P1}")
    expect(claim).to_be_visible()
    people.disable(site.lab, me, "Cleo")
    expect(cleo.get_by_text(OVER)).to_be_visible(timeout=60_000)  # an open page asks by itself
    expect(cleo.get_by_text(P1)).to_have_count(0)
    cleo.reload()
    expect(cleo.get_by_role("heading", name="Not signed in")).to_be_visible()
    people.enable(site.lab, me, "Cleo")
    assert assignee(site.lab, P1) is None


def test_signing_out_ends_every_tab_of_the_session(site: Served, somebody: Somebody) -> None:
    page = somebody.signed_in("Ada")
    other = page.context.new_page()
    go(other, site.base, f"patches?patch={P0}")

    def api() -> int:
        return page.request.get(f"{site.base}/api/volumes/tomogram-1").status

    assert api() == 200
    go(page, site.base, "settings")
    page.locator(".st-key-tc_account").get_by_role("button").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text(OVER)).to_be_visible()
    assert api() == 401
    expect(other.get_by_text(OVER)).to_be_visible(timeout=60_000)
    assert assignee(site.lab, P0) == "Ada"
    with site.lab.catalog.read() as session:
        last = list_events(session, limit=1)[0]
    assert (last.action, last.person) == ("signed out", "Ada")
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("heading", name="Authorize Client")).to_be_visible()


def test_a_session_that_ran_out_is_turned_away(site: Served, somebody: Somebody) -> None:
    context = somebody.browser()
    value = cookie_of(site.lab, named(site.lab, "Ben"), site.base, lasts=12.0)
    name, _, cookie = value.partition("=")
    context.add_cookies([{"name": name, "value": cookie, "url": site.base}])
    page = context.new_page()
    page.goto(f"{site.base}/settings")
    away = page.get_by_role("heading", name="Not signed in")
    expect(page.get_by_text(OVER).or_(away)).to_be_visible(timeout=60_000)
    page.reload()
    expect(away).to_be_visible()


def test_a_stranger_is_told_what_to_ask_for(site: Served, somebody: Somebody) -> None:
    page = somebody.browser().new_page()
    page.goto(f"{site.base}/patches?patch={P0}")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_placeholder("sub").fill("mallory <img src=x>")
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_text("nobody here has this identity")).to_be_visible()
    expect(page.locator("img")).to_have_count(0)
    page.goto(site.base)
    expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
