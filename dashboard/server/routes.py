"""Routes and middleware that the dashboard serves besides Streamlit's pages."""

import http
from collections.abc import Sequence
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from dashboard.server.api.slices import slice_routes
from dashboard.server.gate import Gate
from dashboard.server.session import Site, open_browser_session
from dashboard.server.volumes import OpenVolumes

ASSETS = Path(__file__).parents[1] / "assets"


class _KeptForEver(StaticFiles):
    """Built files carry a hash in their name, so a browser never asks twice."""

    def file_response(self, *args: object, **keywords: object) -> Response:
        answer = super().file_response(*args, **keywords)  # type: ignore[arg-type]  # passed on
        if answer.status_code == http.HTTPStatus.OK:
            answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


def routes(site: Site, volumes: OpenVolumes) -> list[BaseRoute]:
    """All routes of our own."""

    async def open_session(request: Request) -> Response:
        return await run_in_threadpool(open_browser_session, site, request)

    return [
        Route("/open", open_session),
        Mount("/assets", _KeptForEver(directory=ASSETS)),
        *slice_routes(volumes),
    ]


def below(base: str, own: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Put routes below the path that a proxy serves us at; Streamlit does so with its own."""
    return [_Below(base, routes=own)] if base and own else list(own)


class _Below(Mount):
    """A mount that leaves to others what none of its own routes answers."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        inner = {**scope, **child}
        if any(route.matches(inner)[0] is not Match.NONE for route in self.routes):
            return match, child
        return Match.NONE, {}


def gate(site: Site) -> list[Middleware]:
    """The middleware that stands before all of them, and before Streamlit's own."""
    return [Middleware(Gate, site=site)]
