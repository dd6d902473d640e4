"""What the dashboard's one process serves besides Streamlit's pages: routes, and the gate."""

import http
from pathlib import Path

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dashboard.server.api.renewal import renewal_route
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
        return open_browser_session(site, request)

    return [
        Route("/open", open_session),
        Mount("/assets", _KeptForEver(directory=ASSETS)),
        renewal_route(site.signer),
        *slice_routes(volumes, site.signer),
    ]


def gate(site: Site) -> list[Middleware]:
    """The middleware that stands before all of them, and before Streamlit's own."""
    return [Middleware(Gate, site=site)]
