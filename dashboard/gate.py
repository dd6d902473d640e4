"""The gate before everything: pages, websocket, media, metrics and /api; it lets nothing in alone.

Only the health check, /assets (our built scripts, which hold no secret) and /open are free. Asking
by another host name (DNS rebinding) or from another site's page (a forged request) is refused.
"""

import http
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.session import Site, no_entry

FREE = frozenset({"/_stcore/health", "/open"})
ASSETS = "/assets/"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
PERSON_HEADER = "x-tomocurate-person"
SAFE_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"x-frame-options": b"SAMEORIGIN",
}


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
        refused = self._refused(scope)
        if refused is None:
            await self.app(scope, receive, _with_safe_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refused(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to what may not pass; else None, and the person is noted in the scope."""
        headers = Headers(scope=scope)
        if scope["path"] in FREE and scope.get("method") == "GET":
            return self._strange(scope, headers) if scope["path"] == "/open" else None
        if scope["path"].startswith(ASSETS) and scope.get("method") in READING:
            return None
        strange = self._strange(scope, headers)
        if strange:
            return strange
        person = self.site.person_in(headers.get("cookie", ""))
        if person is None:
            return no_entry()
        scope.setdefault("state", {})["person"] = person
        return None

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
