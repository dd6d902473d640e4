"""What the painter sends is looked at before anything is stored; what it is told is the patch.

The routes are spoken to as a server would: ASGI messages, a real workspace, no browser, no mock.
"""

import asyncio
import gzip
import hashlib
import http
import json
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from starlette.applications import Starlette

from bench.painting_lab import Lab, application, make_lab, site_of
from core.access import people
from core.access.os_user import acting_person
from core.imaging.formats.nifti import NiftiVolume
from core.imaging.geometry import whole
from core.workspace.workspace import Workspace
from db.queries.life import EventFilter, list_events, slots_of
from db.queries.patches import get_patch
from db.queries.people import get_person
from db.vocabulary import Origin, Role

PORT = 8501
HOST = f"127.0.0.1:{PORT}"
SIDE = 160
SHAPE = (SIDE, SIDE, SIDE)
VOXELS = "application/octet-stream"


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

    def voxels(self) -> np.ndarray:
        squeezed = self.headers["content-encoding"] == "gzip"
        raw = gzip.decompress(self.body) if squeezed else self.body
        return np.frombuffer(raw, np.uint8).reshape(SHAPE)


class Painter:
    """One signed-in person who speaks to the painting routes of one patch."""

    def __init__(self, app: Starlette, workspace: Workspace, name: str, patch: str) -> None:
        self.app = app
        with workspace.catalog.read() as session:
            person = get_person(session, name)
            self.object = f"patch-{get_patch(session, patch).id}"
        self.cookie = f"tomocurate_{PORT}={site_of(workspace, PORT).start_session(person.id)}"

    def ask(
        self,
        path: str = "",
        method: str = "GET",
        body: bytes = b"",
        **headers: str,
    ) -> Answer:
        raw = {"host": HOST, "cookie": self.cookie, "origin": f"http://{HOST}"}
        raw |= {"x-tomocurate-request": "1", "content-length": str(len(body))}
        raw |= {name.replace("_", "-"): value for name, value in headers.items()}
        full = f"/api/painting/{self.object}{path}"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": full,
            "raw_path": full.encode(),
            "root_path": "",
            "query_string": b"",
            "client": ("127.0.0.1", 1),
            "server": ("x", 1),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in raw.items() if v],
        }
        return asyncio.run(_speak(self.app, scope, body))

    def put(self, drawing: np.ndarray, path: str = "/corrections", **changed: str) -> Answer:
        raw = drawing.tobytes()
        headers = {
            "content_type": VOXELS,
            "content_encoding": "gzip",
            "x_tomocurate_shape": "160,160,160",
            "x_tomocurate_axes": "zyx",
            "x_tomocurate_sha256": hashlib.sha256(raw).hexdigest(),
            "if_match": "{}",
        }
        return self.ask(path, "PUT", gzip.compress(raw, 1), **{**headers, **changed})

    def post(self, path: str, **content: Any) -> Answer:
        return self.ask(path, "POST", json.dumps(content).encode())

    @property
    def base(self) -> str:
        return json.dumps(self.ask().json["base"])


async def _speak(app: Starlette, scope: dict[str, Any], body: bytes) -> Answer:
    said: list[dict[str, Any]] = []
    pieces = [body[start : start + 65536] for start in range(0, max(len(body), 1), 65536)]
    asked = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
        for number, piece in enumerate(pieces)
    ][::-1]

    async def receive() -> dict[str, Any]:
        return asked.pop() if asked else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)

    await app(scope, receive, send)
    headers = {k.decode().lower(): v.decode("latin-1") for k, v in said[0]["headers"]}
    return Answer(said[0]["status"], headers, b"".join(m.get("body", b"") for m in said[1:]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def workspace(made: Lab, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(made.folder, tmp_path / "work")
    with Lab(tmp_path / "work", made.patch).open() as opened:
        yield opened


@pytest.fixture
def app(workspace: Workspace) -> Starlette:
    return application(workspace, PORT)


@pytest.fixture
def anna(app: Starlette, workspace: Workspace, made: Lab) -> Painter:
    return Painter(app, workspace, "anna", made.patch)


@pytest.fixture
def ben(app: Starlette, workspace: Workspace, made: Lab) -> Painter:
    return Painter(app, workspace, "ben", made.patch)


def blob(kind: int, at: int = 60, side: int = 6) -> np.ndarray:
    drawing = np.zeros(SHAPE, np.uint8)
    drawing[at : at + side, at : at + side, at : at + side] = kind
    return drawing


def slots(workspace: Workspace, patch: str) -> dict[str, Any]:
    with workspace.catalog.read() as session:
        return {slot.name: slot for slot in slots_of(session, get_patch(session, patch).id)}


def everything(workspace: Workspace, patch: str) -> Any:
    """What a refused request must leave as it was."""
    stored = sorted(p for p in workspace.folders.store.rglob("*") if p.is_file())
    painted = sorted(workspace.folders.corrections.rglob("*"))
    with workspace.catalog.read() as session:
        events = [e.action for e in list_events(session, EventFilter(), limit=500)]
        record = get_patch(session, patch)
    return stored, painted, [e for e in events if e != "refused"], record


def test_what_is_told_is_the_patch(anna: Painter, workspace: Workspace, made: Lab) -> None:
    facts = anna.ask().json
    assert facts["name"] == made.patch
    assert facts["shape"] == [160, 160, 160]
    assert facts["mayPaint"]
    assert facts["base"] == {}
    label = anna.ask("/label").voxels()
    with NiftiVolume(workspace.folders.label_of(made.patch)) as volume:
        assert (label == volume.read(whole(volume.shape))).all()
    with NiftiVolume(workspace.folders.image_of(made.patch)) as volume:
        image = volume.read(whole(volume.shape))
    answer = anna.ask("/image")
    low, high = map(float, answer.headers["x-tomocurate-window"].split(","))
    expected = np.clip((image - low) / (high - low) * 255, 0, 255)
    assert np.abs(answer.voxels().astype(float) - expected).max() <= 1.01


def test_a_random_drawing_comes_back_with_no_differing_voxel(anna: Painter) -> None:
    drawing = np.random.default_rng(1).integers(0, 4, SHAPE, np.uint8)
    answer = anna.put(drawing)
    assert answer.status == 200
    assert answer.json["versions"] == {"Add1.nrrd": 1, "Remove1.nrrd": 1, "Ignore1.nrrd": 1}
    found = np.zeros(SHAPE, np.uint8)
    for kind, (slot, bit) in enumerate((("Add1", 1), ("Remove1", 2), ("Ignore1", 4)), 1):
        claimed = anna.ask(f"/slots/{slot}.nrrd/1").voxels()
        assert set(np.unique(claimed)) == {0, bit}
        found[claimed == bit] = kind
    assert np.count_nonzero(found != drawing) == 0


def test_a_save_is_a_version_of_a_slot_with_author_and_time(
    anna: Painter, workspace: Workspace, made: Lab
) -> None:
    assert anna.put(blob(1)).json["versions"] == {"Add1.nrrd": 1}
    answer = anna.put(blob(1, side=7), if_match=anna.base)
    assert answer.json["versions"] == {"Add1.nrrd": 2}
    slot = slots(workspace, made.patch)["Add1.nrrd"]
    assert [version.number for version in slot.versions] == [1, 2]
    assert slot.latest.author == "anna"
    assert slot.latest.origin is Origin.PAINTED
    assert slot.latest.painted == {"add": 343}
    assert answer.json["savedAt"] >= slot.latest.received_at.isoformat()


def test_what_did_not_change_is_no_new_version(anna: Painter) -> None:
    anna.put(blob(1))
    both = blob(1)
    both[100:104, 100:104, 100:104] = 3
    assert anna.put(both, if_match=anna.base).json["versions"] == {"Ignore1.nrrd": 1}


def test_what_is_painted_no_more_is_withdrawn(
    anna: Painter, workspace: Workspace, made: Lab
) -> None:
    anna.put(blob(2))
    answer = anna.put(blob(3), if_match=anna.base)
    assert answer.json["withdrawn"] == ["Remove1.nrrd"]
    assert answer.json["facts"]["base"] == {"Ignore1.nrrd": 1}
    names = {p.name for p in workspace.folders.corrections_of(made.patch).glob("*.nrrd")}
    assert names == {"Ignore1.nrrd"}


def test_a_save_against_an_old_version_is_refused_and_nothing_is_lost(
    anna: Painter, workspace: Workspace, made: Lab
) -> None:
    old = anna.base
    anna.put(blob(1))
    before = everything(workspace, made.patch)
    answer = anna.put(blob(1, side=9), if_match=old)
    assert answer.status == 409
    assert "anna" in answer.said
    assert "version 1, you saw 0" in answer.said
    assert everything(workspace, made.patch) == before


def test_a_request_sent_twice_changes_nothing_the_second_time(
    anna: Painter, workspace: Workspace, made: Lab
) -> None:
    base = anna.base
    assert anna.put(blob(1), if_match=base).status == 200
    before = everything(workspace, made.patch)
    assert anna.put(blob(1), if_match=base).json["versions"] == {}
    assert everything(workspace, made.patch) == before
    anna.put(blob(1, side=8), if_match=anna.base)
    before = everything(workspace, made.patch)
    assert anna.put(blob(1), if_match=base).status == 409
    assert everything(workspace, made.patch) == before


def test_a_save_that_was_cut_off_in_the_middle_goes_on_when_it_is_sent_again(
    anna: Painter, workspace: Workspace, made: Lab
) -> None:
    both, base = blob(1), anna.base
    anna.put(both, if_match=base)  # as if only Add had been written before the server died
    both[100:104, 100:104, 100:104] = 3
    answer = anna.put(both, if_match=base)
    assert answer.json["versions"] == {"Ignore1.nrrd": 1}
    assert slots(workspace, made.patch)["Add1.nrrd"].latest.number == 1


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"x_tomocurate_shape": "160,160,161"}, 400, "160,160,160"),
        ({"x_tomocurate_shape": ""}, 400, "160,160,160"),
        ({"x_tomocurate_axes": "xyz"}, 400, "zyx"),
        ({"x_tomocurate_sha256": "0" * 64}, 400, "checksum"),
        ({"x_tomocurate_sha256": "x"}, 400, "sha256"),
        ({"if_match": ""}, 400, "if-match"),
        ({"if_match": "no json"}, 400, "JSON"),
        ({"if_match": '{"Add1.nrrd": "1"}'}, 400, "versions"),
        ({"if_match": "[]"}, 400, "versions"),
        ({"x_tomocurate_continued": '{"Add9.nrrd": 1}'}, 409, "cannot be continued"),
        ({"content_type": "application/json"}, 415, "octet-stream"),
        ({"content_type": ""}, 415, "octet-stream"),
        ({"content_encoding": "br"}, 415, "gzip"),
        ({"content_encoding": "identity"}, 400, "voxels"),
        ({"content_length": "5000000"}, 413, "longer"),
        ({"content_length": "x"}, 413, "longer"),
    ],
)
def test_a_wrong_put_gets_a_sentence_and_changes_nothing(
    anna: Painter, workspace: Workspace, made: Lab, changed: dict[str, str], status: int, words: str
) -> None:
    before = everything(workspace, made.patch)
    answer = anna.put(blob(1), **changed)
    assert (answer.status, words in answer.said) == (status, True), answer.body
    assert everything(workspace, made.patch) == before


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (gzip.compress(bytes(50 << 20), 9), 413, "more than"),
        (gzip.compress(bytes(SIDE**3 - 1), 9), 400, "holds 4095999 voxels"),
        (gzip.compress(bytes(SIDE**3), 9)[:-9], 400, "no whole gzip"),
        (gzip.compress(bytes(SIDE**3), 9) + b"more", 400, "no whole gzip"),
        (gzip.compress(b"\4" + bytes(SIDE**3 - 1), 9), 400, "value 4"),
        (zlib.compress(bytes(SIDE**3), 9), 400, "no whole gzip"),
        (b"", 400, "no whole gzip"),
        (b"\x1f\x8b" + b"\xff" * 4000, 400, "no whole gzip"),
    ],
)
def test_a_bomb_and_a_broken_body_are_refused_without_inflating_them(
    anna: Painter, workspace: Workspace, made: Lab, body: bytes, status: int, words: str
) -> None:
    before = everything(workspace, made.patch)
    stated = gzip.decompress(body) if status == 400 and "value" in words else bytes(SIDE**3)
    answer = anna.ask(
        "/corrections",
        "PUT",
        body,
        content_type=VOXELS,
        content_encoding="gzip",
        x_tomocurate_shape="160,160,160",
        x_tomocurate_axes="zyx",
        if_match="{}",
        x_tomocurate_sha256=hashlib.sha256(stated).hexdigest(),
    )
    assert (answer.status, words in answer.said) == (status, True), answer.body
    assert everything(workspace, made.patch) == before


def test_a_body_that_is_longer_than_it_says_is_cut_off(anna: Painter) -> None:
    answer = anna.ask(
        "/corrections", "PUT", bytes(5 << 20), content_type=VOXELS, content_length="10"
    )
    assert answer.status == 413


def test_a_viewer_may_look_but_not_paint_and_the_refusal_is_recorded(
    app: Starlette, workspace: Workspace, made: Lab
) -> None:
    vera = Painter(app, workspace, "vera", made.patch)
    assert vera.ask().json["mayPaint"] is False
    answer = vera.put(blob(1))
    assert answer.status == 403
    assert "annotator" in answer.said
    with workspace.catalog.read() as session:
        assert list_events(session, EventFilter(action="refused"))


def test_somebody_who_was_disabled_gets_nothing_more(
    anna: Painter, workspace: Workspace, made: Lab
) -> None:
    people.disable(workspace, acting_person(workspace), "anna")
    for answer in (anna.ask(), anna.ask("/image"), anna.put(blob(1))):
        assert answer.status == 401


def test_the_second_person_is_told_who_holds_it_and_may_take_over(
    anna: Painter, ben: Painter, workspace: Workspace
) -> None:
    since = anna.post("/hold").json["since"]
    answer = ben.post("/hold")
    assert answer.status == 409
    assert "anna paints on it since" in answer.said
    assert ben.put(blob(1)).status == 409
    assert ben.post("/hold", takeOverFrom="2020-01-01T00:00:00+00:00").status == 409
    assert ben.post("/hold", takeOverFrom=since).json["person"] == "ben"
    answer = anna.put(blob(1))
    assert answer.status == 409
    assert "ben paints on it since" in answer.said
    with workspace.catalog.read() as session:
        taken = list_events(session, EventFilter(action="hold taken over"))
    assert [(event.person, event.before) for event in taken] == [("ben", {"person": "anna"})]


def test_a_hold_that_was_given_up_is_free(anna: Painter, ben: Painter) -> None:
    anna.post("/hold")
    assert ben.ask("/hold", "DELETE").status == 200  # not his: nothing happens
    assert ben.post("/hold").status == 409
    anna.ask("/hold", "DELETE")
    assert anna.ask().json["hold"] is None
    assert ben.post("/hold").json["person"] == "ben"


def test_a_take_over_of_nonsense_is_refused(anna: Painter) -> None:
    assert anna.post("/hold", takeOverFrom="now").status == 400
    assert anna.ask("/hold", "POST", b"{").status == 400


def test_a_draft_comes_back_as_it_was_and_is_its_painters_own(
    anna: Painter, ben: Painter, workspace: Workspace
) -> None:
    first = anna.put(blob(2), "/draft", if_match="0").json["revision"]
    kept = anna.put(blob(3), "/draft", if_match=str(first)).json
    assert anna.ask().json["draft"]["revision"] == kept["revision"] == first + 1
    assert (anna.ask("/draft").voxels() == blob(3)).all()
    assert ben.ask("/draft").status == 404
    assert ben.ask().json["draft"] is None
    assert len(list((workspace.folders.store / "drafts").iterdir())) == 1


def test_a_draft_of_another_window_is_not_overwritten(anna: Painter) -> None:
    first = anna.put(blob(2), "/draft", if_match="0").json["revision"]
    anna.put(blob(3), "/draft", if_match=str(first))
    answer = anna.put(blob(1), "/draft", if_match=str(first))
    assert answer.status == 409
    assert (anna.ask("/draft").voxels() == blob(3)).all()
    assert anna.put(blob(1), "/draft", if_match='"x"').status == 400


def test_a_draft_knows_what_it_began_with_and_goes_on_with(anna: Painter) -> None:
    versions = {
        "x_tomocurate_base": '{"Add2.nrrd": 1}',
        "x_tomocurate_continued": '{"\\u00c4.nrrd": 4}',
    }
    anna.put(blob(2), "/draft", if_match="0", **versions)
    told = anna.ask("/draft").headers
    assert json.loads(told["x-tomocurate-base"]) == {"Add2.nrrd": 1}
    assert json.loads(told["x-tomocurate-continued"]) == {"Ä.nrrd": 4}
    anna.put(blob(2), "/draft", if_match="1")
    assert "x-tomocurate-base" not in anna.ask("/draft").headers
    wrong = anna.put(blob(2), "/draft", if_match="2", x_tomocurate_continued="[]")
    assert wrong.status == 400


def test_a_window_that_was_left_open_revives_no_draft_after_a_save(anna: Painter) -> None:
    seen = anna.put(blob(2), "/draft", if_match="0").json["revision"]
    anna.put(blob(2))
    late = anna.put(blob(3), "/draft", if_match=str(seen))
    assert (late.status, "saved or given up since" in late.said) == (409, True)
    assert anna.ask().json["draft"] is None


def test_a_draft_ends_with_the_save_or_when_it_is_given_up(
    anna: Painter, workspace: Workspace
) -> None:
    anna.put(blob(2), "/draft", if_match="0")
    assert anna.put(blob(2)).json["facts"]["draft"] is None
    assert anna.ask("/draft").status == 404
    anna.put(blob(3), "/draft", if_match="0")
    assert anna.ask("/draft", "DELETE").status == 200
    assert not list((workspace.folders.store / "drafts").iterdir())


def test_a_draft_whose_file_is_damaged_is_none(anna: Painter, workspace: Workspace) -> None:
    anna.put(blob(2), "/draft", if_match="0")
    (file,) = (workspace.folders.store / "drafts").iterdir()
    file.write_bytes(b"x")
    assert anna.ask("/draft").status == 404


def test_a_comment_is_pinned_to_a_voxel(anna: Painter, ben: Painter) -> None:
    assert anna.post("/comments", text="Two membranes?", at=[80, 70, 60]).status == 200
    (told,) = ben.ask().json["comments"]
    assert (told["author"], told["text"], told["at"]) == ("anna", "Two membranes?", [80, 70, 60])
    for wrong in (
        {"text": " ", "at": None},
        {"text": "x", "at": [1, 2]},
        {"text": "x"},
        {"text": "x", "at": [160, 0, 0]},
        {"text": "x", "at": ["a", 0, 0]},
    ):
        assert anna.post("/comments", **wrong).status in (400, 409)


@pytest.mark.parametrize(
    "path",
    ["/merges/9", "/slots/Add1.nrrd/1", "/slots/..%2f..%2fcatalog.sqlite/1", "/slots/x/-1", "/x"],
)
def test_what_is_not_there_is_said(anna: Painter, path: str) -> None:
    assert anna.ask(path).status == http.HTTPStatus.NOT_FOUND


NUMBER = "9" * 5000
NO_JSON = [
    b"[" * 200_000,
    b'{"text": "x", "at": [1, 2, ' + NUMBER.encode() + b"]}",
    b'{"text": "x", "at": [1, 2, Infinity]}',
    b'{"text": "x", "at": [1, 2, 1e999]}',
    b'{"text": "x", "at": NaN}',
    b'{"text": "\\ud800", "at": null}',
    b'{"text": "\xff", "at": null}',
    b"null",
    b"[]",
    b"\x00",
]


@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_json_that_nobody_can_keep_is_refused(
    anna: Painter, workspace: Workspace, made: Lab, body: bytes
) -> None:
    before = everything(workspace, made.patch)
    for path in ("/comments", "/hold"):
        answer = anna.ask(path, "POST", body)
        refused = answer.status in (400, 413)
        assert refused or (path == "/hold" and body in (b"null", b"[]")), (path, answer.body)
    header = body.decode("latin-1").replace("\x00", "x")[:10_000]
    assert anna.put(blob(1), if_match=header).status == 400
    assert everything(workspace, made.patch) == before


@pytest.mark.parametrize("number", [NUMBER, "99999999999999999999", "²", "-1", "1.5", "x"])
def test_a_number_that_cannot_be_is_not_there(anna: Painter, number: str) -> None:
    assert anna.ask(f"/merges/{number}").status == 404
    assert anna.ask(f"/slots/Add1.nrrd/{number}").status == 404
    anna.object = f"patch-{number}"
    assert anna.ask().status == 404


def test_a_role_that_is_taken_away_counts_at_once(anna: Painter, workspace: Workspace) -> None:
    people.change_role(workspace, acting_person(workspace), "anna", Role.VIEWER)
    assert anna.put(blob(1)).status == 403
