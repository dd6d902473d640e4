"""The gate before everything: pages, websocket, media, metrics and /api; it lets nothing in alone.

Only the health check, built scripts (ours and Streamlit's, which hold no secret) and the entrances
are free. Asking by another host name (DNS rebinding) or from another site's page (a forged request)
is refused; a write to /api also needs a header that only our own script sends. Whether a session
still counts is asked at each request, and at each message of an open websocket: disabling somebody,
signing out and the end of a session work at once. Every error ends here, in a sentence.
"""

import hashlib
import html
import http
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState

from core.access.sign_in import Proxy
from core.errors import explain
from dashboard.server.session import Site, no_entry, page
from dashboard.server.uploads import Uploads
from db.errors import CatalogError, TomocurateError, UnknownNameError
from db.queries.people import PersonRecord

HEALTH = "/_stcore/health"
ENTRANCES = frozenset({"/open", "/sign-in", "/sign-in/back"})
"""Where somebody who is nobody yet comes in; each checks for itself."""
BUILT = ("/assets/", "/static/")
"""Built scripts: ours, and Streamlit's own."""
API = "/api/"
WRITE_HEADER = "x-tomocurate-request"
"""Another site's page cannot add a header without asking first, and we never agree."""
SESSION_HEADER = b"x-tomocurate-session"
"""Ours alone: whose websocket it is, so that Streamlit takes up an earlier page's state only for
the session that the page belongs to (``server.trustedUserHeaders``)."""
_DIGITS = re.compile(r"[0-9]{300}")
"""A number that Python itself may refuse to read."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = (None, "same-origin", "none")
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
        self.uploads = Uploads(site.workspace.settings.upload_mb)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        sent = _Started(send)
        try:
            await self._pass(scope, receive, sent)
        except Exception as error:
            if sent.started:
                raise
            await _refuse(scope, receive, send, failure(error, scope["path"]))
        finally:
            self.uploads.answered(scope)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = self._named_by_proxy(scope)
        scope["headers"] = [item for item in scope["headers"] if item[0] != SESSION_HEADER]
        refused = await self._refused(scope, named)
        if refused is not None:
            await _refuse(scope, receive, send, refused)
        elif scope["type"] == "websocket":
            await self.app(self._marked(scope), self._asking(scope, named, receive), send)
        else:
            await self.app(scope, receive, _with_safe_headers(send))

    async def _refused(self, scope: Scope, named: str | None) -> Response | None:
        """Return the answer to what may not pass; else None, with the person in the scope."""
        headers = Headers(scope=scope)
        path, reading = self._path(scope), scope.get("method") in READING
        if reading and (path == HEALTH or path.startswith(BUILT)):
            return None
        strange = self._strange(scope, headers, path)
        if _DIGITS.search(path):
            return failure(UnknownNameError("there is nothing at this address."), path)
        if strange or (path in ENTRANCES and scope.get("method") == "GET"):
            scope.setdefault("state", {})["named"] = named
            return strange
        person = await self._person(headers, named)
        if person is None:
            return no_entry(self.site)
        scope.setdefault("state", {})["person"] = person
        return self.uploads.refusal(scope, path, headers, person)

    def _path(self, scope: Scope) -> str:
        """Return the path below the one that a proxy serves us at."""
        path = str(scope["path"])
        base = self.site.base
        return path.removeprefix(base) if base and path.startswith(f"{base}/") else path

    async def _person(self, headers: Mapping[str, str], named: str | None) -> PersonRecord | None:
        """Return whose session it is, if the proxy names the same person; the catalog is asked."""
        secret = self.site.secret_in(headers.get("cookie", ""))
        person = await run_in_threadpool(self.site.person_of, secret)
        if person is None:
            return None
        by_proxy = isinstance(self.site.sign_in, Proxy)
        return None if by_proxy and person.subject != named else person

    def _marked(self, scope: Scope) -> Scope:
        """Return the scope of a websocket, with a mark of the session that it belongs to."""
        secret = self.site.secret_in(Headers(scope=scope).get("cookie", "")) or ""
        mark = hashlib.sha256(secret.encode()).hexdigest()
        return {**scope, "headers": [*scope["headers"], (SESSION_HEADER, mark.encode())]}

    def _asking(self, scope: Scope, named: str | None, receive: Receive) -> Receive:
        """Ask at each message of a websocket whether its session still counts."""
        headers = Headers(scope=scope)

        async def receiving() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            try:
                if await self._person(headers, named):
                    return message
            except CatalogError:
                pass  # nobody can say now: the page asks again, and is told
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

    def _strange(self, scope: Scope, headers: Mapping[str, str], path: str) -> Response | None:
        """Refuse another host name, and another site's page where it could do harm."""
        host = headers.get("host", "").lower()
        if not self.site.answers_to(host):
            return _deny(
                f"this server answers only under its own address, not as {host[:100]!r}; open the "
                "address that tomocurate serve printed (through a tunnel: 127.0.0.1 with the "
                "tunnel's port)."
            )
        if scope["type"] == "http" and scope["method"] in READING:
            return None
        try:
            origin = urlsplit(headers.get("origin", "")).netloc
        except ValueError:
            return _deny("the origin of this request is no address.", http.HTTPStatus.BAD_REQUEST)
        if origin != host or headers.get("sec-fetch-site") not in OWN_SITES:
            return _deny("this request comes from another site.")
        if path.startswith(API) and WRITE_HEADER not in headers:
            return _deny(f"a write to /api states {WRITE_HEADER}.")
        return None


def failure(error: Exception, path: str) -> Response:
    """Return the answer to an error that nothing else caught: a sentence with a reference."""
    status = http.HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, CatalogError):
        status = http.HTTPStatus.SERVICE_UNAVAILABLE
    elif isinstance(error, TomocurateError):
        status = http.HTTPStatus.UNPROCESSABLE_ENTITY
    if isinstance(error, UnknownNameError):
        status = http.HTTPStatus.NOT_FOUND
    sentence = explain(error)
    if API in path:
        headers = {"cache-control": "no-store", "content-encoding": "identity"}
        return JSONResponse({"error": sentence}, status, headers)
    return page("This did not work", html.escape(sentence), status)


class _Started:
    """Passes messages on, and knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self._send(message)


async def _refuse(scope: Scope, receive: Receive, send: Send, answer: Response) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await answer(scope, receive, _with_safe_headers(send))


def _deny(why: str, status: http.HTTPStatus = http.HTTPStatus.FORBIDDEN) -> Response:
    return PlainTextResponse(f"Refused: {why}\n", status)


def _with_safe_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            held = {name.lower() for name, _ in message.get("headers", [])}
            extra = [item for item in SAFE_HEADERS.items() if item[0] not in held]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sending
