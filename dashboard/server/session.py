"""The running dashboard: its address, its cookie, and whose session a browser holds.

Where nobody has to sign in, ``serve`` prints ``/open?token=...``, as Jupyter does. The token is
swapped for an HttpOnly cookie and a redirect; the dashboard itself knows only the token's hash.
"""

import functools
import hashlib
import hmac
import html
import http
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from core.access.sessions import LASTS, session_person, sign_out, start_session
from core.access.sign_in import SignIn
from core.workspace.workspace import Workspace
from db.queries.people import PersonRecord

OPEN_HASH = "TOMOCURATE_OPEN_SHA256"
PERSON = "TOMOCURATE_PERSON"
PORT = "TOMOCURATE_PORT"
BASE = "TOMOCURATE_BASE_PATH"
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?\Z")

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>TITLE - tomocurate</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1rem;
color:#1f2a30;background:#f7f8f7}code{background:#e6ebe9;padding:.1em .3em;border-radius:4px}
@media(prefers-color-scheme:dark){body{color:#dfe7e6;background:#14191c}code{background:#263036}a{color:#7cc4e8}}
</style><h1>TITLE</h1><p>TEXT</p></html>"""
_PRINTED = """Open the address that <code>tomocurate serve</code> printed:
it ends with <code>/open?token=…</code> and signs this browser in."""


@dataclass(frozen=True)
class Site:
    """One running dashboard."""

    workspace: Workspace
    port: int
    open_hash: str = ""
    """sha256 of the token in the printed address."""
    person_id: int = 0
    """As whom the holder of the printed address acts."""
    sign_in: SignIn | None = None
    """How people sign in; None where the printed address does it."""
    base: str = ""
    """The path below which a proxy serves it, such as /lab; empty for none."""

    @property
    def cookie(self) -> str:
        """The cookie's name; browsers share cookies between the ports of a host."""
        return f"tomocurate_{self.port}"

    @property
    def secure(self) -> bool:
        """Return whether browsers connect by TLS, so that the cookie needs ``Secure``."""
        return self.sign_in is not None and self.sign_in.address.startswith("https:")

    @property
    def lasts(self) -> timedelta:
        """Return the length of a session, in seconds."""
        return timedelta(hours=self.sign_in.session_hours) if self.sign_in else LASTS

    @property
    def run(self) -> str:
        """Return the id of this run of ``serve``; empty if people sign in."""
        return "" if self.sign_in else self.open_hash[:32]

    def answers_to(self, host: str) -> bool:
        """Return whether browsers may ask for us under this name, against DNS rebinding.

        This machine's own names count at any port: a tunnel may begin at another one.
        """
        return bool(_LOOPBACK.match(host)) or host == self._public_host

    @functools.cached_property
    def _public_host(self) -> str:
        return urlsplit(self.sign_in.address).netloc if self.sign_in else ""

    def secret_in(self, cookie_header: str) -> str | None:
        """Return the session's secret in a Cookie header; None where there is none of ours."""
        try:
            found = SimpleCookie(cookie_header).get(self.cookie)
        except CookieError:
            return None
        return found.value if found else None

    def person_of(self, secret: str | None) -> PersonRecord | None:
        """Ask the catalog whose session it is now; None for one that is over.

        Errors: CatalogError.
        """
        if not secret:
            return None
        return session_person(self.workspace, secret, server=self.run, lasts=self.lasts)

    def start_session(self, person_id: int) -> str:
        """Open a session of this dashboard and return its secret."""
        return start_session(self.workspace, person_id, server=self.run, lasts=self.lasts)

    def sign_out(self, secret: str) -> None:
        """End a session; it counts no more, on any page."""
        sign_out(self.workspace, secret)

    def admit(self, person_id: int) -> Response:
        """Answer a browser with the cookie of a new session, and lead it to the first page."""
        answer = RedirectResponse(f"{self.base}/", http.HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            self.cookie,
            self.start_session(person_id),
            max_age=int(self.lasts.total_seconds()),
            httponly=True,
            samesite="lax",
            path=self.base or "/",
            secure=self.secure,
        )
        answer.headers["cache-control"] = "no-store"
        return answer


def is_served(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether ``serve`` started this process (else a page runs alone, as in tests)."""
    return OPEN_HASH in environment


def site_from(workspace: Workspace, environment: Mapping[str, str] = os.environ) -> Site:
    """Read what serve hands over to its child.

    Errors: KeyError names a variable that is missing.
    """
    return Site(
        workspace=workspace,
        port=int(environment[PORT]),
        open_hash=environment[OPEN_HASH],
        person_id=int(environment[PERSON] or 0),
        sign_in=workspace.settings.sign_in,
        base=environment.get(BASE, ""),
    )


def open_browser_session(site: Site, request: Request) -> Response:
    """Swap the token of the printed address for a cookie, and go on to the dashboard."""
    token = request.query_params.get("token", "")
    hexdigest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    if site.sign_in or not hmac.compare_digest(hexdigest, site.open_hash):
        return no_entry(site)
    return site.admit(site.person_id)


def no_entry(site: Site, why: str | None = None) -> Response:
    """Tell a browser that nobody signed in how to."""
    if site.sign_in:
        escape = html.escape(why or "This dashboard belongs to a team.")
        how = f'{escape}</p><p><a href="{site.base}/sign-in">Sign in</a>'
    else:
        how = _PRINTED
    return page("Not signed in", how, http.HTTPStatus.UNAUTHORIZED)


def page(title: str, text: str, status: http.HTTPStatus) -> Response:
    """Return a small page of our own; ``text`` is HTML."""
    content = PAGE.replace("TITLE", html.escape(title)).replace("TEXT", text)
    return HTMLResponse(content, status, {"cache-control": "no-store"})
