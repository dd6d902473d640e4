"""The gate lets nothing in alone, tokens are bound and short-lived, slices are what the file holds.

The applications are spoken to as a server would: ASGI messages, no browser, no mock.
"""

import asyncio
import gzip
import hashlib
import io
import json
import os
import threading
from collections.abc import Iterator
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
from dashboard.server.routes import gate, routes
from dashboard.server.session import Site
from dashboard.server.tokens import SESSION_S, TOKEN_S, Grant, Signer, TokenError, secret_in
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
def site(tmp_path: Path) -> Site:
    signer = Signer(secret_in(tmp_path / "key"))
    return Site(tmp_path, signer, hashlib.sha256(OPEN_TOKEN.encode()).hexdigest(), "anna", 8501)


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
        return PlainTextResponse(request.state.person)

    own = routes(site, volumes)
    pages = [Route(path, page, methods=["GET", "POST"]) for path in ("/", "/_stcore/metrics")]
    return Starlette(routes=[*own, *pages], middleware=gate(site))


@pytest.fixture
def stranger(app: Starlette) -> Client:
    return Client(app)


@pytest.fixture
def anna(app: Starlette, site: Site) -> Client:
    return Client(app, f"{site.cookie}={site.signer.open_session('anna')}")


@pytest.fixture
def token(site: Site) -> str:
    return site.signer.mint(Grant("anna", "tomogram-1", "view"))


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
    assert anna.ask(path, host="127.0.0.1:9999").status == 403


def test_a_write_from_another_sites_page_is_refused(anna: Client) -> None:
    assert anna.ask("/", "POST", origin="http://evil.example").status == 403
    assert anna.ask("/", "POST").status == 403
    assert anna.ask("/", "POST", origin=f"http://{HOST}").status == 200


@pytest.mark.parametrize("cookie", ["x", "a.b", "", "é", "AAAA.AAAA", 'x="y;z'])
def test_a_cookie_that_was_not_made_here_is_nobodys(
    app: Starlette, site: Site, cookie: str
) -> None:
    assert Client(app, f"{site.cookie}={cookie}").ask("/").status == 401


def test_a_session_ends_and_another_servers_secret_opens_nothing(site: Site) -> None:
    cookie = site.signer.open_session("anna", now=1000.0)
    assert site.signer.session_of(cookie, now=1001.0).person == "anna"
    with pytest.raises(TokenError, match="over"):
        site.signer.session_of(cookie, now=1002.0 + SESSION_S)
    with pytest.raises(TokenError, match="not made here"):
        Signer(b"x" * 32).session_of(cookie, now=1001.0)


def test_a_token_is_no_cookie_and_a_cookie_no_token(site: Site) -> None:
    with pytest.raises(TokenError):
        site.signer.session_of(site.signer.mint(Grant("anna", "tomogram-1", "view")))
    with pytest.raises(TokenError):
        site.signer.check(site.signer.open_session("anna"), "view", "tomogram-1")


def test_slices_need_a_token_for_this_object_and_this_person(
    anna: Client, site: Site, token: str
) -> None:
    def ask(held: str, path: str = "/api/volumes/tomogram-1") -> int:
        return anna.ask(path, x_tomocurate_token=held).status

    assert ask(token) == 200
    assert ask("") == 403
    assert ask(token[:-2] + "AA") == 403
    assert ask(token, "/api/volumes/segmentation-1") == 403
    assert ask(site.signer.mint(Grant("anna", "tomogram-1", "paint"))) == 403
    assert ask(site.signer.mint(Grant("ben", "tomogram-1", "view"))) == 403
    assert ask(site.signer.mint(Grant("anna", "tomogram-1", "view"), now=1.0)) == 403


def test_a_token_that_is_over_is_renewed_for_its_person_only(anna: Client, site: Site) -> None:
    import time

    old = site.signer.mint(Grant("anna", "tomogram-1", "view"), time.time() - TOKEN_S - 5)
    other = site.signer.mint(Grant("ben", "tomogram-1", "view"))
    origin = f"http://{HOST}"

    def renew(*tokens: object) -> Answer:
        body = json.dumps({"tokens": tokens}).encode()
        return anna.ask("/api/tokens", "POST", body, origin=origin)

    fresh = renew(old).json["tokens"][0]
    assert anna.ask("/api/volumes/tomogram-1", x_tomocurate_token=fresh).status == 200
    assert renew(other).status == 403
    assert renew(5).status == 403
    assert anna.ask("/api/tokens", "POST", b"no json", origin=origin).status == 403
    assert anna.ask("/api/tokens", "POST", b"x" * 70_000, origin=origin).status == 403


def planes(anna: Client, site: Site, name: str) -> tuple[Any, dict[str, Answer]]:
    token = site.signer.mint(Grant("anna", name, "view"))
    facts = anna.ask(f"/api/volumes/{name}", x_tomocurate_token=token).json
    found = {}
    for axis in "zyx":
        path = f"/api/slices/{name}/{facts['version']}/{axis}/7"
        found[axis] = anna.ask(path, x_tomocurate_token=token)
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
def test_a_plane_that_is_not_there_is_said(
    anna: Client, token: str, path: str, status: int
) -> None:
    facts = anna.ask("/api/volumes/tomogram-1", x_tomocurate_token=token).json
    asked = f"/api/slices/tomogram-1/{facts['version']}/{path}"
    assert anna.ask(asked, x_tomocurate_token=token).status == status


def test_a_slice_of_an_older_version_is_gone(anna: Client, token: str) -> None:
    answer = anna.ask("/api/slices/tomogram-1/0123456789abcdef/z/1", x_tomocurate_token=token)
    assert answer.status == 410


def test_a_file_that_went_away_gets_a_sentence(anna: Client, site: Site) -> None:
    token = site.signer.mint(Grant("anna", "gone-1", "view"))
    answer = anna.ask("/api/volumes/gone-1", x_tomocurate_token=token)
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


def test_the_secret_is_its_owners_alone_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "key"
    secret = secret_in(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret_in(path) == secret
    os.chmod(path, 0o644)  # noqa: PTH101
    with pytest.raises(TokenError, match="chmod 600"):
        secret_in(path)
    path.unlink()
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(TokenError, match="no secret"):
        secret_in(path)
