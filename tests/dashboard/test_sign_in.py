"""Signing in at a real OpenID provider and by a proxy's header; roles and exits count at once."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import oidc_provider_mock
import pytest
from sqlalchemy import update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.access import people, sessions
from core.access.os_user import acting_person
from core.access.sessions import session_person, start_session
from core.access.sign_in import Oidc, Proxy, SignIn, read_sign_in
from core.errors import WorkspaceError
from core.workspace.workspace import Workspace, init_workspace
from dashboard.server.routes import gate
from dashboard.server.session import Site
from dashboard.server.sign_in import sign_in_routes
from db.errors import NotAllowedError
from db.models.people import BrowserSession
from db.queries.life import list_events
from db.queries.people import get_person
from db.vocabulary import Role
from db.writes.events import Change
from db.writes.people import add_person, change_person

pytestmark = pytest.mark.filterwarnings("ignore:get_jwt_config")  # the provider's own, not ours
ADDRESS = "http://127.0.0.1:8599"
PROXY = "10.1.2.3"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with init_workspace(tmp_path / "lab", admin="Ada") as made:
        yield made


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://127.0.0.1:{server.server_port}"


def site_of(workspace: Workspace, sign_in: SignIn) -> Site:
    return Site(workspace=workspace, port=8599, sign_in=sign_in)


def browser(
    workspace: Workspace, sign_in: SignIn, peer: str = "127.0.0.1", address: str = ADDRESS
) -> httpx.AsyncClient:
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.person.name)

    site = site_of(workspace, sign_in)
    app = Starlette(
        routes=[*sign_in_routes(site, workspace), Route("/", page)], middleware=gate(site)
    )
    transport = httpx.ASGITransport(app=app, client=(peer, 5))
    return httpx.AsyncClient(transport=transport, base_url=address)


def oidc(provider: str, **options: object) -> Oidc:
    metadata = f"{provider}/.well-known/openid-configuration"
    return Oidc(metadata, "tomocurate", ADDRESS, **options)  # type: ignore[arg-type]


async def through_the_provider(here: httpx.AsyncClient, subject: str) -> httpx.Response:
    """Follow the way of a browser: to the provider, consent there, and back."""
    there = await here.get("/sign-in")
    assert there.status_code == 302
    async with httpx.AsyncClient() as outside:
        answer = await outside.post(there.headers["location"], data={"sub": subject})
    assert answer.status_code == 302
    back = urlsplit(answer.headers["location"])
    return await here.get(f"{back.path}?{back.query}")


@pytest.fixture(autouse=True)
def client_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOMOCURATE_CLIENT_SECRET", "client-secret")


def issuer_of(provider: str) -> str:
    answer = httpx.get(f"{provider}/.well-known/openid-configuration")
    return str(answer.json()["issuer"])


def test_somebody_whom_an_admin_added_signs_in(workspace: Workspace, provider: str) -> None:
    identity = (issuer_of(provider), "ben-1")
    with workspace.catalog.write() as session:
        ben = add_person(session, Change.now(1), "Ben", Role.ANNOTATOR, identity=identity)

    async def journey() -> None:
        async with browser(workspace, oidc(provider)) as here:
            assert (await here.get("/")).status_code == 401
            answer = await through_the_provider(here, "ben-1")
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            assert "HttpOnly" in answer.headers["set-cookie"]
            assert (await here.get("/")).text == ben.name

    run(journey())
    with workspace.catalog.read() as session:
        assert [event.action for event in list_events(session, limit=1)] == ["signed in"]


def test_a_stranger_is_told_what_to_ask_for_and_gets_no_session(
    workspace: Workspace, provider: str
) -> None:
    async def journey() -> None:
        async with browser(workspace, oidc(provider)) as here:
            answer = await through_the_provider(here, "mallory")
            assert answer.status_code == 403
            assert "mallory" in answer.text
            assert "people account NAME" in answer.text
            assert (await here.get("/")).status_code == 401

    run(journey())
    with workspace.catalog.read() as session:
        assert list_events(session, limit=1)[0].action == "sign-in refused"


def test_a_newcomer_gets_the_role_that_the_settings_state(
    workspace: Workspace, provider: str
) -> None:
    async def journey() -> None:
        async with browser(workspace, oidc(provider, new_people=Role.VIEWER)) as here:
            assert (await through_the_provider(here, "newcomer")).status_code == 303

    run(journey())
    with workspace.catalog.read() as session:
        names = [event.name for event in list_events(session, limit=3)]
        assert get_person(session, names[0]).role is Role.VIEWER


def test_an_answer_that_we_did_not_ask_for_signs_nobody_in(
    workspace: Workspace, provider: str
) -> None:
    async def journey() -> None:
        async with browser(workspace, oidc(provider, new_people=Role.VIEWER)) as here:
            for query in ("code=x&state=y", "", "error=access_denied&state=z"):
                answer = await here.get(f"/sign-in/back?{query}")
                assert answer.status_code == 502
                assert "Traceback" not in answer.text
            assert (await here.get("/")).status_code == 401

    run(journey())


def test_a_provider_that_is_away_gets_a_sentence(workspace: Workspace) -> None:
    async def journey() -> None:
        async with browser(workspace, oidc("http://127.0.0.1:9")) as here:
            answer = await here.get("/sign-in")
            assert answer.status_code == 502
            assert "does not answer" in answer.text

    run(journey())


def test_disabling_somebody_works_within_one_request(workspace: Workspace, provider: str) -> None:
    identity = (issuer_of(provider), "carla")
    with workspace.catalog.write() as session:
        add_person(session, Change.now(1), "Carla", Role.REVIEWER, identity=identity)

    async def journey() -> None:
        async with browser(workspace, oidc(provider)) as here:
            await through_the_provider(here, "carla")
            assert (await here.get("/")).status_code == 200
            with workspace.catalog.write() as session:
                change_person(session, Change.now(1), "Carla", disabled=True)
            assert (await here.get("/")).status_code == 401

    run(journey())


def test_signing_out_ends_the_session_everywhere(workspace: Workspace, provider: str) -> None:
    sign_in = oidc(provider, new_people=Role.VIEWER)
    site = site_of(workspace, sign_in)

    async def journey() -> None:
        async with browser(workspace, sign_in) as here, browser(workspace, sign_in) as other:
            await through_the_provider(here, "dora")
            await through_the_provider(other, "dora")
            site.sign_out(here.cookies[site.cookie])
            assert (await here.get("/")).status_code == 401
            assert (await other.get("/")).status_code == 200

    run(journey())


WEEK = timedelta(days=7)


def add_row(workspace: Workspace, **values: object) -> None:
    """Change the one session of a catalog, as a clock that was wrong had written it."""
    with workspace.catalog.write() as session:
        session.execute(update(BrowserSession).values(**values))


def test_a_session_that_was_signed_out_never_counts_again(workspace: Workspace) -> None:
    secret = start_session(workspace, 1, lasts=WEEK)
    sessions.sign_out(workspace, secret)
    for lasts in (timedelta(minutes=1), WEEK, 52 * WEEK):
        assert session_person(workspace, secret, lasts=lasts) is None
        start_session(workspace, 1, lasts=lasts)
        assert session_person(workspace, secret, lasts=lasts) is None


def test_shorter_sessions_end_open_ones_too(workspace: Workspace) -> None:
    secret = start_session(workspace, 1, lasts=WEEK)
    assert session_person(workspace, secret, lasts=WEEK)
    add_row(workspace, began_at=datetime.now(UTC) - timedelta(hours=2))
    assert session_person(workspace, secret, lasts=WEEK)
    assert session_person(workspace, secret, lasts=timedelta(hours=1)) is None


def test_a_session_of_a_clock_that_was_ahead_does_not_count(workspace: Workspace) -> None:
    secret = start_session(workspace, 1)
    later = datetime.now(UTC) + timedelta(days=3652)
    add_row(workspace, began_at=later, ends_at=later + WEEK)
    assert session_person(workspace, secret) is None
    add_row(workspace, began_at=datetime.now(UTC), ends_at=later)
    assert session_person(workspace, secret)
    add_row(workspace, began_at=datetime.now(UTC) - timedelta(days=8))
    assert session_person(workspace, secret) is None


def test_disabling_somebody_ends_their_sessions_for_good(workspace: Workspace) -> None:
    me = acting_person(workspace)
    ben = people.add(workspace, me, "Ben", Role.ANNOTATOR)
    secret = start_session(workspace, ben.id)
    people.disable(workspace, me, "Ben")
    people.enable(workspace, me, "Ben")
    assert session_person(workspace, secret) is None
    again = session_person(workspace, start_session(workspace, ben.id))
    assert again
    assert again.name == "Ben"


def test_an_admin_ends_all_sessions_of_one_person(workspace: Workspace) -> None:
    me = acting_person(workspace)
    ben = people.add(workspace, me, "Ben", Role.ANNOTATOR)
    own = [start_session(workspace, ben.id) for _ in range(2)]
    mine = start_session(workspace, me.id)
    assert sessions.end_sessions(workspace, me, "Ben") == 2
    assert [session_person(workspace, secret) for secret in own] == [None, None]
    assert session_person(workspace, mine)
    with pytest.raises(NotAllowedError):
        sessions.end_sessions(workspace, ben, "Ada")


def test_a_proxys_header_counts_only_from_the_proxys_address(workspace: Workspace) -> None:
    stated = Proxy("x-remote-user", (PROXY,), ADDRESS, new_people=Role.VIEWER)
    named = {"x-remote-user": "emil"}

    async def journey() -> None:
        async with browser(workspace, stated, "10.9.9.9") as stranger:
            assert (await stranger.get("/sign-in", headers=named)).status_code == 401
        async with browser(workspace, stated, PROXY) as here:
            assert (await here.get("/sign-in")).status_code == 401
            assert (await here.get("/sign-in", headers=named)).status_code == 303
            assert (await here.get("/", headers=named)).status_code == 200
            assert (await here.get("/")).status_code == 401
            assert (await here.get("/", headers={"x-remote-user": "eve"})).status_code == 401
            doubled = [("x-remote-user", "emil"), ("x-remote-user", "eve")]
            assert (await here.get("/", headers=doubled)).status_code == 401

    run(journey())


def test_the_printed_address_opens_nothing_where_people_sign_in(
    workspace: Workspace, provider: str
) -> None:
    from dashboard.server.session import open_browser_session

    request = Request({"type": "http", "query_string": b"token=", "headers": []})
    assert open_browser_session(site_of(workspace, oidc(provider)), request).status_code == 401


def test_a_cookie_behind_tls_never_travels_without(workspace: Workspace) -> None:
    address = "https://tomocurate.lab.example"
    stated = Proxy("x-remote-user", (PROXY,), address, new_people=Role.VIEWER)

    async def journey() -> None:
        async with browser(workspace, stated, PROXY, address) as here:
            answer = await here.get("/sign-in", headers={"x-remote-user": "emil"})
            assert re.search(r"; secure", answer.headers["set-cookie"], re.IGNORECASE)

    run(journey())


def test_people_are_known_by_issuer_and_subject_not_by_name(workspace: Workspace) -> None:
    first = sessions.sign_in(workspace, ("https://a.example", "1"), "Ada", Role.VIEWER)
    second = sessions.sign_in(workspace, ("https://b.example", "1"), "Ada", Role.VIEWER)
    assert {first.name, second.name} == {"Ada 2", "Ada 3"}
    assert first.id == sessions.sign_in(workspace, ("https://a.example", "1"), "Eve", None).id
    with pytest.raises(NotAllowedError, match="nobody here"):
        sessions.sign_in(workspace, ("https://c.example", "1"), "Ada", None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('by = "ldap"', "oidc or proxy"),
        ('by = "oidc"\nclient_id = "x"', "lacks provider, address"),
        ('by = "oidc"\nprovider = "http://idp.example/x"', "https address"),
        ('by = "oidc"\nprovidr = "x"', "known are provider"),
        ('by = "oidc"\nnew_people = "admin"', "viewer, annotator, reviewer or curator"),
        ('by = "proxy"\nproxies = ["lan"]', "addresses of the proxy"),
        ('by = "proxy"\nproxies = []', "addresses of the proxy"),
        ('by = "proxy"\nheader = "X User"', "name of the header"),
        ('by = "proxy"\naddress = "http://lab.example"', "https://tomocurate"),
        ('by = "proxy"\naddress = "https://lab.example/a b"', "https://tomocurate"),
        ('by = "oidc"\nsession_hours = 0', "number of hours"),
    ],
)
def test_a_mistaken_setting_is_told(tmp_path: Path, line: str, said: str) -> None:
    import tomllib

    with pytest.raises(WorkspaceError, match=re.escape(said)):
        read_sign_in(tmp_path / "tomocurate.toml", tomllib.loads(line))


def test_a_secret_that_others_may_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOMOCURATE_CLIENT_SECRET")
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "secret").chmod(0o644)
    stated = Oidc("https://a.example", "x", ADDRESS, "secret")
    with pytest.raises(WorkspaceError, match="chmod 600"):
        stated.secret(tmp_path)
    (tmp_path / "secret").chmod(0o600)
    assert stated.secret(tmp_path) == "s3cret"


def run(journey: object) -> None:
    import asyncio

    asyncio.run(journey)  # type: ignore[arg-type]
