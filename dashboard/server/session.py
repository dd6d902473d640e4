"""Who is there: the settings that serve hands over, and the session that a browser holds.

Where nobody has to sign in, ``serve`` prints ``/open?token=...``, as Jupyter does. The token is
swapped for an HttpOnly cookie and a redirect; the dashboard itself knows only the token's hash.
"""

import functools
import hashlib
import hmac
import html
import http
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from core.access.sessions import present
from core.access.sign_in import SignIn
from core.workspace.workspace import Workspace
from dashboard.server.tokens import SESSION_S, Held, Signer, TokenError, secret_in
from db.queries.people import PersonRecord

WORKSPACE = "TOMOCURATE_WORKSPACE"
KEY_FILE = "TOMOCURATE_KEY_FILE"
OPEN_HASH = "TOMOCURATE_OPEN_SHA256"
PERSON = "TOMOCURATE_PERSON"
PORT = "TOMOCURATE_PORT"

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>tomocurate</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1rem;
color:#1f2a30;background:#f7f8f7}code{background:#e6ebe9;padding:.1em .3em;border-radius:4px}
@media(prefers-color-scheme:dark){body{color:#dfe7e6;background:#14191c}code{background:#263036}a{color:#7cc4e8}}
</style><h1>Not signed in</h1><p>HOW</p></html>"""
_PRINTED = """Open the address that <code>tomocurate serve</code> printed:
it ends with <code>/open?token=…</code> and signs this browser in."""


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

    sign_in: SignIn | None = None
    """How people sign in; None where the printed address does it."""
    present: Callable[[Held], PersonRecord | None] | None = None
    """Asks the catalog, at each request, whether a session still counts."""

    @property
    def cookie(self) -> str:
        """The cookie's name; browsers share cookies between the ports of a host."""
        return f"tomocurate_{self.port}"

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS, so that the cookie must never travel without."""
        return self.sign_in is not None and self.sign_in.address.startswith("https:")

    @property
    def lasts(self) -> float:
        """Seconds that a session lasts."""
        return self.sign_in.session_hours * 3600 if self.sign_in else SESSION_S

    @functools.cached_property
    def hosts(self) -> frozenset[str]:
        """The names under which a browser may ask for us, against DNS rebinding."""
        here = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        return frozenset(
            here | ({urlsplit(self.sign_in.address).netloc} if self.sign_in else set())
        )

    def held_in(self, cookie_header: str) -> Held | None:
        """The session in a Cookie header; None for none of ours, or one that is over."""
        try:
            held = SimpleCookie(cookie_header).get(self.cookie)
        except CookieError:
            return None
        return self.held_by(held.value) if held else None

    def held_by(self, cookie: str) -> Held | None:
        """The session of a cookie; None for none of ours, or one that is over."""
        try:
            return self.signer.session_of(cookie)
        except TokenError:
            return None

    def let_in(self, answer: Response, person: str) -> Response:
        """Give a browser the cookie of a new session."""
        answer.set_cookie(
            self.cookie,
            self.signer.open_session(person, self.lasts),
            max_age=int(self.lasts),
            httponly=True,
            samesite="lax",
            path="/",
            secure=self.secure,
        )
        answer.headers["cache-control"] = "no-store"
        return answer


def site_from(workspace: Workspace, environment: Mapping[str, str] = os.environ) -> Site:
    """The settings that serve hands over to its child.

    Errors: KeyError names a variable that is missing.
    """

    def still(held: Held) -> PersonRecord | None:
        return present(workspace, int(held.person), held.session)

    return Site(
        Path(environment[WORKSPACE]),
        Signer(secret_in(Path(environment[KEY_FILE]))),
        environment[OPEN_HASH],
        environment[PERSON],
        int(environment[PORT]),
        workspace.settings.sign_in,
        still,
    )


def open_browser_session(site: Site, request: Request) -> Response:
    """Swap the token of the printed address for a cookie, and go on to the dashboard."""
    token = request.query_params.get("token", "")
    found = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    if site.sign_in or not hmac.compare_digest(found, site.open_hash):
        return no_entry(site)
    return site.let_in(RedirectResponse("/", http.HTTPStatus.SEE_OTHER), site.person)


def no_entry(site: Site, why: str | None = None) -> Response:
    """Tell a browser that nobody signed in how to."""
    if site.sign_in:
        said = html.escape(why or "This dashboard belongs to a team.")
        how = f'{said}</p><p><a href="/sign-in">Sign in</a>'
    else:
        how = _PRINTED
    return HTMLResponse(PAGE.replace("HOW", how), http.HTTPStatus.UNAUTHORIZED)
