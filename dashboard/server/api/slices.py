"""The slices that the viewer fetches: gray as JPEG, membrane as packed bits, what a volume is.

    GET /api/volumes/{object}                                   facts, as JSON
    GET /api/slices/{object}/{version}/{axis}/{index}[?full=1]  one plane

Everybody who signed in may look. The version is part of the address, so that a browser may keep a
slice for ever. Streamlit would squeeze these answers again, which costs ten
times the time for nothing: a stated ``Content-Encoding`` stops it. Bits are squeezed by ISA-L, and
the browser unpacks them while it reads: a fifth of the time of a PNG on either side.
"""

import http
import io
from collections.abc import Callable
from typing import Any

from isal import igzip
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import VolumeError
from core.imaging.preview.store import Gray, Look, PlaneAxis
from core.imaging.preview.view import VolumeView
from dashboard.server.volumes import OpenVolumes
from db.errors import TomocurateError, UnknownNameError

JPEG_QUALITY = 85
KEEP = "private, max-age=31536000, immutable"

Answer = Callable[[Request], Response]


def slice_routes(volumes: OpenVolumes) -> list[Route]:
    """The routes above, over these volumes."""

    async def facts(request: Request) -> Response:
        return await run_in_threadpool(_guard, _facts, volumes, request)

    async def plane(request: Request) -> Response:
        return await run_in_threadpool(_guard, _plane, volumes, request)

    return [
        Route("/api/volumes/{object}", facts),
        Route("/api/slices/{object}/{version}/{axis}/{index:int}", plane),
    ]


def refusal(sentence: str, status: http.HTTPStatus) -> Response:
    """An error as JSON with one sentence."""
    headers = {"cache-control": "no-store", "content-encoding": "identity"}
    return JSONResponse({"error": sentence}, status, headers)


def volume_facts(view: VolumeView) -> dict[str, Any]:
    """Return the facts of a volume that the viewer needs; shapes (z, y, x), sizes in angstrom."""
    return {
        "version": view.version,
        "look": view.look,
        "shape": list(view.shape),
        "planeShape": list(view.facts.shape),
        "binning": view.facts.binning,
        "window": list(view.facts.window),
        "histogram": list(view.facts.histogram),
        "voxelSizeAngstrom": view.voxel_size,
        "hasPreview": view.has_preview,
    }


def encode_plane(
    view: VolumeView, axis: PlaneAxis, index: int, full: bool
) -> tuple[bytes, dict[str, str]]:
    """One plane as bytes, and the headers that say how.

    A label's are packed bits, eight voxels a byte, each row beginning with a byte of its own.

    Errors: VolumeError for a plane that is not there.
    """
    plane = view.full_plane(index) if full and axis is PlaneAxis.Z else view.plane(axis, index)
    if view.look is Look.GRAY:
        return _jpeg(plane), {"content-type": "image/jpeg", "content-encoding": "identity"}
    bits = igzip.compress(plane.tobytes(), 1)
    return bits, {"content-type": "application/octet-stream", "content-encoding": "gzip"}


def _guard(
    answer: Callable[[OpenVolumes, Request], Response], volumes: OpenVolumes, request: Request
) -> Response:
    try:
        return answer(volumes, request)
    except (UnknownNameError, VolumeError) as error:
        return refusal(str(error), http.HTTPStatus.NOT_FOUND)
    except TomocurateError as error:
        return refusal(str(error), http.HTTPStatus.UNPROCESSABLE_ENTITY)


def _facts(volumes: OpenVolumes, request: Request) -> Response:
    with volumes.use(request.path_params["object"]) as view:
        headers = {"cache-control": "no-store", "content-encoding": "identity"}
        return JSONResponse(volume_facts(view), headers=headers)


def _plane(volumes: OpenVolumes, request: Request) -> Response:
    asked = request.path_params
    if asked["axis"] not in list(PlaneAxis):
        raise VolumeError("an axis is z, y or x.")
    with volumes.use(asked["object"]) as view:
        if view.version != asked["version"]:
            return refusal("this volume changed; ask for its facts.", http.HTTPStatus.GONE)
        full = request.query_params.get("full") == "1"
        body, headers = encode_plane(view, PlaneAxis(asked["axis"]), asked["index"], full)
    return Response(body, headers={"cache-control": KEEP, **headers})


def _jpeg(plane: Gray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(plane).save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()
