"""Who is there: the settings that serve hands over, and the one address that signs a browser in.

``serve`` prints ``/open?token=...``, as Jupyter does. The token is swapped for an HttpOnly cookie
and a redirect; the dashboard itself knows only the token's hash.
"""

import hashlib
import hmac
import http
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboard.tokens import SESSION_S, Signer, TokenError, secret_in

WORKSPACE = "TOMOCURATE_WORKSPACE"
KEY_FILE = "TOMOCURATE_KEY_FILE"
OPEN_HASH = "TOMOCURATE_OPEN_SHA256"
PERSON = "TOMOCURATE_PERSON"
PORT = "TOMOCURATE_PORT"

_NO_ENTRY = """<!doctype html><html lang="en"><meta charset="utf-8"><title>tomocurate</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1rem;
color:#1f2a30;background:#f7f8f7}code{background:#e6ebe9;padding:.1em .3em;border-radius:4px}
@media(prefers-color-scheme:dark){body{color:#dfe7e6;background:#14191c}code{background:#263036}}
</style><h1>Not signed in</h1><p>Open the address that <code>tomocurate serve</code> printed:
it ends with <code>/open?token=…</code> and signs this browser in.</p></html>"""


@dataclass(frozen=True)
class Site:
    """One running dashboard: its workspace, and what its sessions are signed with."""

    workspace: Path
    signer: Signer
    open_hash: str
    """sha256 of the token in the printed address."""
    person: str
    """As whom the holder of the printed address acts."""
    port: int

    @property
    def cookie(self) -> str:
        """The cookie's name; browsers share cookies between the ports of a host."""
        return f"tomocurate_{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which a browser may ask for us, against DNS rebinding."""
        return frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    def person_in(self, cookie_header: str) -> str | None:
        """Who is signed in, by the Cookie header; None for nobody."""
        try:
            held = SimpleCookie(cookie_header).get(self.cookie)
        except CookieError:
            return None
        return self.person_with(held.value) if held else None

    def person_with(self, cookie: str) -> str | None:
        """Who holds a cookie of ours; None for nobody."""
        try:
            return self.signer.person_of(cookie)
        except TokenError:
            return None


def site_from(environment: Mapping[str, str] = os.environ) -> Site:
    """The settings that serve hands over to its child.

    Errors: KeyError names a variable that is missing.
    """
    return Site(
        Path(environment[WORKSPACE]),
        Signer(secret_in(Path(environment[KEY_FILE]))),
        environment[OPEN_HASH],
        environment[PERSON],
        int(environment[PORT]),
    )


def open_browser_session(site: Site, request: Request) -> Response:
    """Swap the token of the printed address for a cookie, and go on to the dashboard."""
    token = request.query_params.get("token", "")
    found = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    if not hmac.compare_digest(found, site.open_hash):
        return no_entry()
    answer = RedirectResponse("/", http.HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        site.cookie, site.signer.open_session(site.person), max_age=SESSION_S,
        httponly=True, samesite="lax", path="/",
    )  # fmt: skip
    answer.headers["cache-control"] = "no-store"
    return answer


def no_entry() -> Response:
    """Tell a browser that nobody signed in how to."""
    return HTMLResponse(_NO_ENTRY, http.HTTPStatus.UNAUTHORIZED)
