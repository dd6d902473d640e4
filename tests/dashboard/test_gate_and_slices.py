"""The gate lets nothing in alone, and slices are what the file holds.

The applications are spoken to as a server would: ASGI messages, no browser, no mock.
"""

import asyncio
import dataclasses
import gzip
import hashlib
import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple

import mrcfile
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.files.cache import Cache
from core.imaging.formats.volume import open_volume
from core.imaging.preview.store import FILES, Look, preview_key, write_preview
from core.imaging.preview.view import ViewedFile
from core.workspace.workspace import Workspace, init_workspace
from dashboard.server.routes import below, gate, routes
from dashboard.server.session import Site
from dashboard.server.volumes import OpenVolumes
from db.errors import UnknownNameError

HOST = "127.0.0.1:8501"
OPEN_TOKEN = "the-printed-token"
SHAPE = (21, 33, 47)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def said(self) -> str:
        return str(self.json["error"])


class Client:
    """Speaks ASGI to an application."""

    def __init__(self, app: Starlette, cookie: str = "") -> None:
        self.app, self.cookie = app, cookie

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        raw = {"host": HOST, "cookie": self.cookie}
        raw |= {name.replace("_", "-"): value for name, value in headers.items()}
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "client": ("127.0.0.1", 1),
            "server": ("x", 1),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in raw.items() if v],
        }
        return asyncio.run(self._speak(scope, {"type": "http.request", "body": body}))

    def knock(self, **headers: str) -> str:
        """What a websocket is told first."""
        raw = {"host": HOST, "cookie": self.cookie} | headers
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "root_path": "",
            "path": "/_stcore/stream",
            "raw_path": b"/_stcore/stream",
            "query_string": b"",
            "client": ("127.0.0.1", 1),
            "server": ("x", 1),
            "subprotocols": [],
            "headers": [(k.encode(), v.encode()) for k, v in raw.items() if v],
        }
        told: list[str] = []

        async def speak() -> None:
            async def receive() -> dict[str, Any]:
                return {"type": "websocket.connect"}

            async def send(message: Any) -> None:
                told.append(message["type"])

            await self.app(scope, receive, send)

        asyncio.run(speak())
        return told[0]

    async def _speak(self, scope: dict[str, Any], request: dict[str, Any]) -> Answer:
        said: list[dict[str, Any]] = []
        asked = [request]

        async def receive() -> dict[str, Any]:
            return asked.pop() if asked else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        await self.app(scope, receive, send)
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in said[0]["headers"]}
        return Answer(said[0]["status"], headers, b"".join(m.get("body", b"") for m in said[1:]))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with init_workspace(tmp_path / "lab", admin="anna") as made:
        yield made


@pytest.fixture
def site(workspace: Workspace) -> Site:
    return site_of(workspace, OPEN_TOKEN)


def site_of(workspace: Workspace, token: str) -> Site:
    digest = hashlib.sha256(token.encode()).hexdigest()
    return Site(workspace=workspace, port=8501, open_hash=digest, person_id=1)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, ViewedFile]:
    random = np.random.default_rng(1)
    voxels = {
        "tomogram-1": random.normal(0, 1, SHAPE).astype(np.float32),
        "segmentation-1": (random.random(SHAPE) > 0.7).astype(np.int8),
    }
    for name, content in voxels.items():
        with mrcfile.new(tmp_path / f"{name}.mrc") as mrc:
            mrc.set_data(content)
            mrc.voxel_size = 12.0
    return {
        "tomogram-1": ViewedFile(tmp_path / "tomogram-1.mrc", Look.GRAY),
        "segmentation-1": ViewedFile(tmp_path / "segmentation-1.mrc", Look.LABEL),
        "gone-1": ViewedFile(tmp_path / "gone.mrc", Look.GRAY),
    }


@pytest.fixture
def volumes(tmp_path: Path, files: dict[str, ViewedFile]) -> Iterator[OpenVolumes]:
    def find(name: str) -> ViewedFile:
        if name not in files:
            raise UnknownNameError.among("volume", name, files)
        return files[name]

    opened = OpenVolumes(find, Cache(tmp_path / "cache"))
    yield opened
    opened.close()


@pytest.fixture
def app(site: Site, volumes: OpenVolumes) -> Starlette:
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.person.name)

    own = routes(site, volumes)
    pages = [Route(path, page, methods=["GET", "POST"]) for path in ("/", "/_stcore/metrics")]
    return Starlette(routes=[*own, *pages], middleware=gate(site))


@pytest.fixture
def stranger(app: Starlette) -> Client:
    return Client(app)


@pytest.fixture
def anna(app: Starlette, site: Site) -> Client:
    return Client(app, f"{site.cookie}={site.start_session(1)}")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/_stcore/metrics",
        "/_stcore/health/x",
        "/api/volumes/tomogram-1",
        "/media/x",
        "/assetsx",
        "//assets/x",
        "/API/volumes/x",
        "/%2e%2e/assets/",
    ],
)
def test_nobody_gets_in_alone(stranger: Client, path: str) -> None:
    answer = stranger.ask(path)
    assert answer.status == 401
    assert b"tomocurate serve" in answer.body


def test_a_websocket_of_a_stranger_is_closed_before_it_opens(stranger: Client) -> None:
    assert stranger.knock(origin=f"http://{HOST}") == "websocket.close"


def test_a_websocket_from_another_sites_page_is_closed(anna: Client) -> None:
    assert anna.knock(origin="http://evil.example") == "websocket.close"
    assert anna.knock() == "websocket.close"


def test_the_printed_address_signs_in_and_leaves_no_token_behind(
    app: Starlette, stranger: Client, site: Site
) -> None:
    answer = stranger.ask(f"/open?token={OPEN_TOKEN}")
    assert answer.status == 303
    assert answer.headers["location"] == "/"
    cookie = SimpleCookie(answer.headers["set-cookie"])[site.cookie]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert OPEN_TOKEN not in answer.headers["set-cookie"]
    assert Client(app, f"{site.cookie}={cookie.value}").ask("/").body == b"anna"


@pytest.mark.parametrize("token", ["", "wrong", OPEN_TOKEN + "x", "%ff%00"])
def test_a_wrong_address_signs_nobody_in(stranger: Client, token: str) -> None:
    answer = stranger.ask(f"/open?token={token}")
    assert answer.status == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", f"/open?token={OPEN_TOKEN}"])
def test_another_host_name_is_refused(anna: Client, path: str) -> None:
    assert anna.ask(path, host="evil.example:8501").status == 403
    assert anna.ask(path, host="127.0.0.1:8501.evil.example").status == 403
    assert anna.ask(path, host="127.0.0.1:9999").status in (200, 303), "through a tunnel"


def test_a_write_from_another_sites_page_is_refused(anna: Client) -> None:
    assert anna.ask("/", "POST", origin="http://evil.example").status == 403
    assert anna.ask("/", "POST").status == 403
    assert anna.ask("/", "POST", origin=f"http://{HOST}").status == 200


@pytest.mark.parametrize("cookie", ["x", "a.b", "", "é", "AAAA.AAAA", 'x="y;z'])
def test_a_cookie_that_was_not_made_here_is_nobodys(
    app: Starlette, site: Site, cookie: str
) -> None:
    assert Client(app, f"{site.cookie}={cookie}").ask("/").status == 401


def test_a_session_of_the_printed_address_ends_with_its_serve(
    app: Starlette, workspace: Workspace, site: Site
) -> None:
    before = site_of(workspace, "of the serve before").start_session(1)
    assert Client(app, f"{site.cookie}={before}").ask("/").status == 401
    assert Client(app, f"{site.cookie}={site.start_session(1)}").ask("/").status == 200


def test_a_write_to_our_routes_states_that_our_script_sent_it(anna: Client) -> None:
    origin = f"http://{HOST}"
    assert anna.ask("/api/x", "POST", origin=origin).status == 403
    assert anna.ask("/api/x", "POST", origin=origin, x_tomocurate_request="1").status == 404
    cross = anna.ask("/", "POST", origin=origin, sec_fetch_site="cross-site")
    assert cross.status == 403


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//[", "null", "\x00"])
def test_an_origin_that_is_no_address_is_refused(
    anna: Client, stranger: Client, origin: str
) -> None:
    for client in (anna, stranger):
        assert client.ask("/", "POST", origin=origin).status in (400, 403)
        assert client.ask("/sign-in", origin=origin).status in (200, 401, 404)


def test_a_catalog_that_is_gone_gets_a_sentence(
    anna: Client, app: Starlette, workspace: Workspace
) -> None:
    file = workspace.catalog.file
    assert file
    workspace.catalog.close()
    file.rename(file.with_suffix(".away"))
    reads: dict[str, Callable[[Any], str]] = {
        "/": lambda a: a.body.decode(),
        "/api/volumes/x": lambda a: a.said,
    }
    for path, read in reads.items():
        answer = anna.ask(path)
        assert answer.status == 503
        assert "catalog.sqlite: cannot be opened" in read(answer)
    assert not file.exists(), "an empty one is not made in its place"
    assert anna.knock(origin=f"http://{HOST}") == "websocket.close"


def test_a_bug_gets_a_sentence_with_a_reference(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Request) -> PlainTextResponse:
        raise ZeroDivisionError("deep inside")

    routes = [Route(path, broken) for path in ("/", "/api/x")]
    client = Client(Starlette(routes=routes, middleware=gate(site)))
    client.cookie = f"{site.cookie}={site.start_session(1)}"
    answer = client.ask("/api/x")
    assert answer.status == 500
    found = re.search(r"reference (\w+) in the log", answer.said)
    assert found
    assert found[1] in caplog.text
    assert "deep inside" in caplog.text
    assert b"deep inside" not in client.ask("/").body


def test_a_dashboard_below_a_path_keeps_its_gate(
    workspace: Workspace, volumes: OpenVolumes
) -> None:
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.person.name)

    site = dataclasses.replace(site_of(workspace, OPEN_TOKEN), base="/lab")
    own = [*routes(site, volumes), Route("/", page)]
    client = Client(Starlette(routes=below("/lab", own), middleware=gate(site)))
    for path in ("/lab/", "/lab/api/volumes/tomogram-1", "/api/volumes/tomogram-1", "/"):
        assert client.ask(path).status == 401
    answer = client.ask(f"/lab/open?token={OPEN_TOKEN}")
    assert (answer.status, answer.headers["location"]) == (303, "/lab/")
    cookie = SimpleCookie(answer.headers["set-cookie"])[site.cookie]
    assert cookie["path"] == "/lab"
    client.cookie = f"{site.cookie}={cookie.value}"
    assert client.ask("/lab/").body == b"anna"
    assert client.ask("/lab/api/volumes/tomogram-1").status == 200


def planes(anna: Client, site: Site, name: str) -> tuple[Any, dict[str, Answer]]:
    facts = anna.ask(f"/api/volumes/{name}").json
    found = {}
    for axis in "zyx":
        path = f"/api/slices/{name}/{facts['version']}/{axis}/7"
        found[axis] = anna.ask(path)
        assert found[axis].status == 200
        assert "immutable" in found[axis].headers["cache-control"]
    return facts, found


def test_gray_slices_show_the_file(anna: Client, site: Site, files: dict[str, ViewedFile]) -> None:
    facts, found = planes(anna, site, "tomogram-1")
    assert facts["shape"] == facts["planeShape"] == list(SHAPE)
    assert facts["voxelSizeAngstrom"] == 12.0
    assert sum(facts["histogram"]) > 0
    low, high = facts["window"]
    voxels = mrcfile.read(files["tomogram-1"].path)
    for number, axis in enumerate("zyx"):
        expected = np.clip((np.take(voxels, 7, number) - low) / (high - low) * 255, 0, 255)
        assert found[axis].headers["content-encoding"] == "identity"
        shown = np.asarray(Image.open(io.BytesIO(found[axis].body)), float)
        assert shown.shape == expected.shape
        assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.98


def test_label_slices_hold_exactly_the_membrane(
    anna: Client, site: Site, files: dict[str, ViewedFile]
) -> None:
    _, found = planes(anna, site, "segmentation-1")
    voxels = mrcfile.read(files["segmentation-1"].path)
    for number, axis in enumerate("zyx"):
        assert found[axis].headers["content-encoding"] == "gzip"
        plane = np.take(voxels, 7, number)
        rows = np.frombuffer(gzip.decompress(found[axis].body), np.uint8)
        shown = np.unpackbits(rows.reshape(len(plane), -1), axis=1, count=plane.shape[1])
        assert (shown == plane).all()


def test_a_preview_that_is_ready_takes_over_under_a_new_version(
    anna: Client, site: Site, files: dict[str, ViewedFile], tmp_path: Path
) -> None:
    before, _ = planes(anna, site, "tomogram-1")
    path = files["tomogram-1"].path
    with (
        Cache(tmp_path / "cache").new_entry(preview_key(path, Look.GRAY), FILES) as folder,
        open_volume(path) as volume,
    ):
        write_preview(volume, folder, Look.GRAY)
    after, _ = planes(anna, site, "tomogram-1")
    assert (before["hasPreview"], after["hasPreview"]) == (False, True)
    assert before["version"] != after["version"]
    assert before["window"] == after["window"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("z/21", 404), ("w/1", 404), ("y/33", 404), ("z/20", 200), ("z/-1", 404), ("z/1.5", 404)],
)
def test_a_plane_that_is_not_there_is_said(anna: Client, path: str, status: int) -> None:
    facts = anna.ask("/api/volumes/tomogram-1").json
    asked = f"/api/slices/tomogram-1/{facts['version']}/{path}"
    assert anna.ask(asked).status == status


def test_a_slice_of_an_older_version_is_gone(anna: Client) -> None:
    answer = anna.ask("/api/slices/tomogram-1/0123456789abcdef/z/1")
    assert answer.status == 410


def test_a_file_that_went_away_gets_a_sentence(anna: Client, site: Site) -> None:
    answer = anna.ask("/api/volumes/gone-1")
    assert answer.status == 404
    assert "cannot be opened" in answer.json["error"]


def test_volumes_close_when_others_are_opened_but_not_under_a_reader(
    files: dict[str, ViewedFile], tmp_path: Path
) -> None:
    opened = OpenVolumes(files.__getitem__, Cache(tmp_path / "cache"), most=1)
    with opened.use("tomogram-1") as view:
        with opened.use("segmentation-1"):
            pass
        assert view.full_plane(3).shape == SHAPE[1:]
    opened.close()
    held = {os.path.realpath(f"/proc/self/fd/{number}") for number in range(256)}
    assert not [path for path in held if path.endswith(".mrc")]


def test_many_readers_at_once_see_each_their_own_planes(
    files: dict[str, ViewedFile], tmp_path: Path
) -> None:
    from core.imaging.preview.store import PlaneAxis

    opened = OpenVolumes(files.__getitem__, Cache(tmp_path / "cache"), most=1)
    with opened.use("tomogram-1") as view:
        expected = [view.plane(PlaneAxis.Z, index) for index in range(SHAPE[0])]
    wrong: list[int] = []

    def read(name: str) -> None:
        for index in range(SHAPE[0]):
            with opened.use(name) as view:
                plane = view.plane(PlaneAxis.Z, index)
            if name == "tomogram-1" and not (plane == expected[index]).all():
                wrong.append(index)

    names = ["tomogram-1", "segmentation-1"] * 4
    readers = [threading.Thread(target=read, args=(name,)) for name in names]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    opened.close()
    assert not wrong
