"""Talk to a served page as a browser does, over its real websocket, but without drawing anything.

Twenty of these at once cost less than one Chromium. What a page would show is kept as text.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import httpx
from sqlalchemy import select
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileUploaderState, FileURLsRequest, UploadedFileInfo
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from core.access.sessions import start_session
from core.workspace.workspace import Workspace
from dashboard.server.session import Site
from db.models.people import BrowserSession
from db.queries.people import PersonRecord

ANSWER_S = 90
LARGEST_MESSAGE = 64 << 20
WORDS = {
    "markdown": "body",
    "text": "body",
    "alert": "body",
    "heading": "body",
    "toast": "body",
    "exception": "message",
    "html": "body",
}
"""Elements that show text, and the field that holds it."""


class Shown(NamedTuple):
    """An element on a page: its kind, its label or text, and its id if it is a widget."""

    kind: str
    text: str
    id: str


class Tab:
    """One tab of a browser: a websocket, what it shows, and what was typed there."""

    def __init__(self, base: str, cookie: str, earlier: str | None = None, **headers: str) -> None:
        """Connect; ``earlier`` is the id of a Streamlit session to go on with, as after a break."""
        self.base, self.cookie, self.page, self.query = base, cookie, "", ""
        self.session, self.seconds = "", 0.0
        self.shown: dict[tuple[int, ...], Shown] = {}
        self._typed: dict[str, WidgetState] = {}
        words = ["streamlit", "x", earlier] if earlier else ["streamlit"]
        self._closing = ExitStack()
        opening = connect(
            base.replace("http", "ws", 1) + "/_stcore/stream",
            origin=Origin(base),
            additional_headers={"Cookie": cookie, **headers},
            max_size=LARGEST_MESSAGE,
            subprotocols=[Subprotocol(word) for word in words],
            open_timeout=ANSWER_S,
            proxy=None,
        )
        self._socket = self._closing.enter_context(opening)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the tab."""
        self._closing.close()

    def go(self, page: str, query: str = "") -> Self:
        """Open a page by the last word of its address."""
        self.page, self.query, self._typed = page, query, {}
        return self._run([])

    def again(self) -> Self:
        """Let the page run again as it is."""
        return self._run([])

    def type(self, label: str, text: str) -> Self:
        """Type into a field, which lets the page run."""
        return self.fill(label, text)._run([])

    def fill(self, label: str, text: str) -> Self:
        """Type into a field of a form, which waits for its button."""
        found = self.find("text_input", label) or self.find("text_area", label)
        assert found, f"no field {label!r} in {self.text!r}"
        self._typed[found.id] = WidgetState(id=found.id, string_value=text)
        return self

    def press(self, label: str) -> Self:
        """Press a button."""
        found = self.find("button", label)
        assert found, f"no button {label!r} in {[each.text for each in self.all('button')]}"
        return self.press_id(found.id)

    def press_id(self, widget: str) -> Self:
        """Press a button that may stand there no more."""
        return self._run([WidgetState(id=widget, trigger_value=True)])

    def drop(self, name: str, content: bytes) -> Self:
        """Drop a file on the page's field for files."""
        field = next(iter(self.all("file_uploader")))
        urls = self._urls(name)
        answer = self.put(urls.upload_url, name, content)
        assert answer.status_code < 300, answer.text
        info = UploadedFileInfo(file_id=urls.file_id, name=name, size=len(content), file_urls=urls)
        state = FileUploaderState(uploaded_file_info=[info])
        self._typed[field.id] = WidgetState(id=field.id, file_uploader_state_value=state)
        return self._run([])

    def put(self, url: str, name: str, content: bytes, cookie: str | None = None) -> httpx.Response:
        """Send a file where the page said, under its name as it is, in no way made safe."""
        held = self.cookie if cookie is None else cookie
        health = httpx.get(f"{self.base}/_stcore/health")
        forged = health.cookies.get("_streamlit_xsrf", "") or ""
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode("utf-8", "surrogateescape") + content + b"\r\n--b--\r\n"
        headers = {
            "cookie": f"{held}; _streamlit_xsrf={forged}",
            "x-xsrftoken": forged,
            "origin": self.base,
            "content-type": "multipart/form-data; boundary=b",
        }
        return httpx.put(self.base + url, content=body, headers=headers, timeout=ANSWER_S)

    def upload_address(self, name: str = "Add1.nrrd") -> str:
        """Where the page lets a file be sent."""
        return str(self._urls(name).upload_url)

    @property
    def text(self) -> str:
        """All that the page shows in words."""
        return "\n".join(each.text for each in self.shown.values() if each.kind in WORDS)

    @property
    def errors(self) -> list[str]:
        """What the page shows as a failure of its own."""
        return [each.text for each in self.all("exception")]

    def all(self, kind: str) -> list[Shown]:
        """The elements of a kind."""
        return [each for each in self.shown.values() if each.kind == kind]

    def find(self, kind: str, label: str) -> Shown | None:
        """The first element of a kind with this label."""
        return next((each for each in self.all(kind) if each.text == label), None)

    def _run(self, pressed: Sequence[WidgetState]) -> Self:
        """Let the page run with all that was typed, and read what it shows."""
        began = time.monotonic()
        state = ClientState(
            query_string=self.query,
            page_name=self.page,
            widget_states=WidgetStates(widgets=[*self._typed.values(), *pressed]),
        )
        self._send(BackMsg(rerun_script=state))
        self._read_run()
        self.seconds = time.monotonic() - began
        return self

    def _read_run(self) -> None:
        """Read until the run ends; a run that begins meanwhile (st.rerun) takes its place."""
        fresh: dict[tuple[int, ...], Shown] = {}
        while True:
            message = self._receive()
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.session = message.new_session.initialize.session_id or self.session
                fresh = {}
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                path = tuple(message.metadata.delta_path)
                shown = _shown(message.delta.new_element)
                if shown:
                    fresh[path] = shown
                else:
                    fresh.pop(path, None)
            elif kind == "script_finished":
                word = ForwardMsg.ScriptFinishedStatus.Name(message.script_finished)
                if word != "FINISHED_EARLY_FOR_RERUN":
                    self.shown = fresh
                    return

    def _urls(self, name: str) -> Any:
        request = FileURLsRequest(request_id="1", file_names=[name], session_id=self.session)
        self._send(BackMsg(file_urls_request=request))
        while True:
            message = self._receive()
            if message.WhichOneof("type") == "file_urls_response":
                return message.file_urls_response.file_urls[0]

    def _send(self, message: BackMsg) -> None:
        self._socket.send(message.SerializeToString())

    def _receive(self) -> ForwardMsg:
        raw = self._socket.recv(timeout=ANSWER_S)
        assert isinstance(raw, bytes)
        message: ForwardMsg = ForwardMsg.FromString(raw)
        return message


def cookie_of(workspace: Workspace, person: PersonRecord, base: str, lasts: float = 3600.0) -> str:
    """The cookie of a fresh session of this person, of so many seconds.

    Where nobody signs in it belongs to the run of serve whose printed address was opened last.
    """
    port = urlsplit(base).port or 0
    name = Site(workspace=workspace, port=port).cookie
    with workspace.catalog.read() as session:
        began = select(BrowserSession.server).order_by(BrowserSession.began_at)
        runs = session.scalars(began).all()  # to its end: an open statement keeps writers out
        run = next(reversed(runs), "") if not workspace.settings.sign_in else ""
    secret = start_session(workspace, person.id, server=run, lasts=timedelta(seconds=lasts))
    return f"{name}={secret}"


def children_of(process: int) -> Iterator[int]:
    """The processes that a process started."""
    for number in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        yield int(number)


def mebibytes_of(process: int) -> float:
    """The memory that a process holds now."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _shown(element: Element) -> Shown | None:
    kind = element.WhichOneof("type") or ""
    content = getattr(element, kind) if kind else None
    if content is None or kind == "empty":
        return None
    text = getattr(content, WORDS.get(kind, "label"), "")
    return Shown(kind, str(text), str(getattr(content, "id", "")))
