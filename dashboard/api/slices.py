"""The slices that the viewer fetches: gray as JPEG, membrane as 1-bit PNG, and what a volume is.

    GET /api/volumes/{object}                                   facts, as JSON
    GET /api/slices/{object}/{version}/{axis}/{index}[?full=1]  one plane

Each asks for a token to ``view`` the object. The version is part of the address, so that a
browser may keep a slice for ever. Streamlit would squeeze these answers again, which costs ten
times the time for nothing: ``Content-Encoding: identity`` stops it.
"""

import http
import io
from collections.abc import Callable
from typing import Any

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import VolumeError
from core.imaging.preview import Gray, Look, PlaneAxis, plane_shape
from core.imaging.view import VolumeView
from dashboard.tokens import Signer, TokenError
from dashboard.volumes import OpenVolumes
from db.errors import TomocurateError, UnknownNameError

TOKEN_HEADER = "x-tomocurate-token"  # noqa: S105 - a header's name
VIEW = "view"
JPEG_QUALITY = 85
KEEP = "private, max-age=31536000, immutable"

Answer = Callable[[Request], Response]


def slice_routes(volumes: OpenVolumes, signer: Signer) -> list[Route]:
    """The routes above, over these volumes."""

    async def facts(request: Request) -> Response:
        return await run_in_threadpool(_guarded, _facts, volumes, signer, request)

    async def plane(request: Request) -> Response:
        return await run_in_threadpool(_guarded, _plane, volumes, signer, request)

    return [
        Route("/api/volumes/{object}", facts),
        Route("/api/slices/{object}/{version}/{axis}/{index:int}", plane),
    ]


def refusal(sentence: str, status: http.HTTPStatus) -> Response:
    """An error as JSON with one sentence."""
    headers = {"cache-control": "no-store", "content-encoding": "identity"}
    return JSONResponse({"error": sentence}, status, headers)


def volume_facts(view: VolumeView) -> dict[str, Any]:
    """What the viewer must know of a volume; shapes are (z, y, x), sizes in angstrom."""
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


def encode_plane(view: VolumeView, axis: PlaneAxis, index: int, full: bool) -> tuple[bytes, str]:
    """The picture of one plane and its media type.

    Errors: VolumeError for a plane that is not there.
    """
    plane = view.full_plane(index) if full and axis is PlaneAxis.Z else view.plane(axis, index)
    if view.look is Look.GRAY:
        return _jpeg(plane), "image/jpeg"
    columns = plane_shape(view.facts.shape, axis)[1]
    return _png(plane, columns), "image/png"


def _guarded(
    answer: Callable[[OpenVolumes, Request], Response],
    volumes: OpenVolumes,
    signer: Signer,
    request: Request,
) -> Response:
    """Answer only who holds a token for this object, of this session."""
    try:
        name = request.path_params["object"]
        grant = signer.check(request.headers.get(TOKEN_HEADER, ""), VIEW, name)
        if grant.person != request.state.person:
            raise TokenError("this token belongs to another person.")
        return answer(volumes, request)
    except TokenError as error:
        return refusal(str(error), http.HTTPStatus.FORBIDDEN)
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
        body, kind = encode_plane(view, PlaneAxis(asked["axis"]), asked["index"], full)
    headers = {"cache-control": KEEP, "content-encoding": "identity"}
    return Response(body, media_type=kind, headers=headers)


def _jpeg(plane: Gray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(plane).save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def _png(plane: Gray, columns: int) -> bytes:
    out = io.BytesIO()
    image = Image.frombytes("1", (columns, len(plane)), plane.tobytes())
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()
