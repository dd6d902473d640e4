"""Sign in by an OpenID provider or a reverse proxy; the session that follows is our own.

    GET /sign-in        to the provider, or straight in where a proxy names the person
    GET /sign-in/back   the provider's answer: code for identity (code flow with PKCE and nonce)

Streamlit's own sign-in would let strangers reach its websocket and pages first and tells a session
only at its start who it is. With a session of our own the gate stays shut until somebody is known,
and asks the catalog at each request. Authlib does the protocol.
"""

import html
import http
import secrets
import warnings
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.access.sessions import sign_in as sign_in_person
from core.access.sign_in import PROXY_ISSUER, Oidc, Proxy
from core.errors import ServeError
from core.workspace.workspace import Workspace
from dashboard.server.session import Site, no_entry, page
from db.errors import NotAllowedError
from db.queries.people import PersonRecord

BACK = "/sign-in/back"
WAITING_S = 600
"""Seconds that somebody may take at the provider."""


def sign_in_routes(site: Site, workspace: Workspace) -> list[BaseRoute]:
    """The routes above, for what the settings state; none where nobody signs in.

    Errors: WorkspaceError for a missing secret; ServeError where authlib is not installed.
    """
    if isinstance(site.sign_in, Proxy):
        return [_proxy_route(site, workspace, site.sign_in)]
    if isinstance(site.sign_in, Oidc):
        return _oidc_routes(site, workspace, site.sign_in)
    return []


def _proxy_route(site: Site, workspace: Workspace, stated: Proxy) -> Route:
    async def sign_in(request: Request) -> Response:
        named = request.state.named
        if named is None:
            return no_entry(site, "The proxy that signs people in did not name you.")
        identity = (PROXY_ISSUER, named)
        return await _entered(site, workspace, identity, named, stated.new_people)

    return Route("/sign-in", sign_in)


def _oidc_routes(site: Site, workspace: Workspace, stated: Oidc) -> list[BaseRoute]:
    client = _client(stated, stated.secret(workspace.folder))
    failures = _failures()

    async def sign_in(request: Request) -> Response:
        try:
            answer: Response = await client.authorize_redirect(request, stated.address + BACK)
        except failures:
            return _page(site, "The sign-in provider does not answer; try again later.")
        return answer

    async def back(request: Request) -> Response:
        try:
            token = await client.authorize_access_token(request)
        except failures:
            return _page(site, "Signing in did not work; start again.")
        claims = token.get("userinfo") or {}
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
        if not issuer or not subject or not _is_for(claims.get("aud"), stated.client_id):
            return _page(site, "The provider did not say who you are; tell an admin.")
        name = str(claims.get("name") or claims.get("preferred_username") or "somebody")
        return await _entered(site, workspace, (issuer, subject), name, stated.new_people)

    waiting = [
        Middleware(
            SessionMiddleware,
            secret_key=secrets.token_hex(32),  # a sign-in under way ends with this server
            session_cookie=f"{site.cookie}_entering",
            max_age=WAITING_S,
            same_site="lax",
            https_only=site.secure,
            path=f"{site.base}/sign-in",
        )
    ]
    return [
        Route("/sign-in", sign_in, middleware=waiting),
        Route(BACK, back, middleware=waiting),
    ]


async def _entered(
    site: Site, workspace: Workspace, identity: tuple[str, str], name: str, new_people: Any
) -> Response:
    """Let in whom the catalog knows, with a fresh session; tell the others why not."""
    try:
        person: PersonRecord = await run_in_threadpool(
            sign_in_person, workspace, identity, name, new_people
        )
    except NotAllowedError as error:
        return _page(site, str(error), http.HTTPStatus.FORBIDDEN)
    return await run_in_threadpool(site.admit, person.id)


def _page(
    site: Site, sentence: str, status: http.HTTPStatus = http.HTTPStatus.BAD_GATEWAY
) -> Response:
    text = f'{html.escape(sentence)}</p><p><a href="{site.base}/sign-in">Sign in again</a>'
    return page("Not signed in", text, status)


def _client(stated: Oidc, secret: str) -> Any:
    try:
        with warnings.catch_warnings():
            # Authlib tells its developers about its own next release; nobody here can act on it.
            warnings.simplefilter("ignore", DeprecationWarning)
            from authlib.integrations.starlette_client import OAuth
    except ImportError as error:
        raise ServeError(
            "signing in by OpenID Connect needs the extra: install tomocurate[sign-in]."
        ) from error
    registry = OAuth()
    registry.register(
        "provider",
        client_id=stated.client_id,
        client_secret=secret,
        server_metadata_url=stated.provider,
        client_kwargs={"scope": "openid profile", "code_challenge_method": "S256", "timeout": 10},
    )
    return registry.provider


def _is_for(audience: Any, client_id: str) -> bool:
    return client_id in (audience if isinstance(audience, list) else [audience])


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors that authlib raises for an absent, wrong or impersonated provider."""
    import httpx
    from authlib.common.errors import AuthlibBaseError
    from joserfc.errors import JoseError

    return AuthlibBaseError, JoseError, httpx.HTTPError, ValueError, KeyError, RuntimeError
