"""The gate before everything: pages, websocket, media, metrics and /api; it lets nothing in alone.

Only the health check, built scripts (ours and Streamlit's, which hold no secret) and the entrances
are free. Asking by another host name (DNS rebinding) or from another site's page (a forged request)
is refused. Whether a session still counts is asked at each request, and at each message of an open
websocket: disabling somebody, signing out and the end of a session work at once.
"""

import hashlib
import http
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState

from core.access.sign_in import Proxy
from dashboard.server.session import Site, no_entry
from dashboard.server.tokens import Held

HEALTH = "/_stcore/health"
ENTRANCES = frozenset({"/open", "/sign-in", "/sign-in/back"})
"""Where somebody who is nobody yet comes in; each checks for itself."""
BUILT = ("/assets/", "/static/")
"""Built scripts: ours, and Streamlit's own."""
SESSION_HEADER = b"x-tomocurate-session"
"""Ours alone: whose websocket it is, so that Streamlit takes up an earlier page's state only for
the session that the page belongs to (``server.trustedUserHeaders``)."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
SAFE_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"x-frame-options": b"SAMEORIGIN",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
}


ONLY_SHOW = BackMsg(rerun_script=ClientState()).SerializeToString()
"""All that a page of an ended session may still say: show me anew; it is told how to come back."""


class Gate:
    """ASGI middleware: default deny."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        """Stand before an application."""
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        named = self._named_by_proxy(scope)
        scope["headers"] = [item for item in scope["headers"] if item[0] != SESSION_HEADER]
        refused = await self._refused(scope, named)
        if refused is None and scope["type"] == "websocket":
            await self.app(self._marked(scope), self._asking(scope, named, receive), send)
        elif refused is None:
            await self.app(scope, receive, _with_safe_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refused(scope, receive, send)

    async def _refused(self, scope: Scope, named: str | None) -> Response | None:
        """The answer to what may not pass; else None, and the person is noted in the scope."""
        headers = Headers(scope=scope)
        if scope["path"] == HEALTH and scope.get("method") in READING:
            return None
        if scope["path"].startswith(BUILT) and scope.get("method") in READING:
            return None
        strange = self._strange(scope, headers)
        if strange or (scope["path"] in ENTRANCES and scope.get("method") == "GET"):
            scope.setdefault("state", {})["named"] = named
            return strange
        held = self.site.held_in(headers.get("cookie", ""))
        if held is None or not await self._counts(held, named):
            return no_entry(self.site)
        scope.setdefault("state", {})["person"] = held.person
        return None

    async def _counts(self, held: Held, named: str | None) -> bool:
        """Whether the catalog still knows the session, and the proxy names the same person."""
        if self.site.present is None:
            return True
        person = await run_in_threadpool(self.site.present, held)
        if person is None:
            return False
        return not isinstance(self.site.sign_in, Proxy) or person.subject == named

    def _marked(self, scope: Scope) -> Scope:
        """The scope of a websocket, with a mark of the session that it belongs to."""
        held = self.site.held_in(Headers(scope=scope).get("cookie", ""))
        mark = hashlib.sha256(held.session.encode()).hexdigest() if held else ""
        return {**scope, "headers": [*scope["headers"], (SESSION_HEADER, mark.encode())]}

    def _asking(self, scope: Scope, named: str | None, receive: Receive) -> Receive:
        """Ask at each message of a websocket whether its session still counts."""
        cookie = Headers(scope=scope).get("cookie", "")

        async def receiving() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            held = self.site.held_in(cookie)
            if held is not None and await self._counts(held, named):
                return message
            return {"type": "websocket.receive", "bytes": ONLY_SHOW}

        return receiving

    def _named_by_proxy(self, scope: Scope) -> str | None:
        """Take the proxy's header out of a request; believe it only from the proxy's address."""
        if not isinstance(self.site.sign_in, Proxy):
            return None
        header = self.site.sign_in.header.encode()
        values = [value for name, value in scope["headers"] if name == header]
        scope["headers"] = [item for item in scope["headers"] if item[0] != header]
        peer = (scope.get("client") or ("",))[0]
        if len(values) != 1 or peer not in self.site.sign_in.proxies:
            return None
        return values[0].decode("utf-8", "replace").strip() or None

    def _strange(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        """Refuse another host name, and another site's page where it could do harm."""
        if headers.get("host", "").lower() not in self.site.hosts:
            return _deny("this server answers only under its own address.")
        harmless = scope["type"] == "http" and scope["method"] in READING
        origin = headers.get("origin")
        if not harmless and (origin is None or urlsplit(origin).netloc != headers["host"]):
            return _deny("this request comes from another site.")
        return None


def _deny(why: str) -> Response:
    return PlainTextResponse(f"Refused: {why}\n", http.HTTPStatus.FORBIDDEN)


def _with_safe_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            held = {name.lower() for name, _ in message.get("headers", [])}
            extra = [item for item in SAFE_HEADERS.items() if item[0] not in held]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sending
