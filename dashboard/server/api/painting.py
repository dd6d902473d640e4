"""Routes of the painter. All voxels are uint8, z, y, x with x fastest.

    GET    /api/painting/{patch}                       what there is, as JSON
    GET    /api/painting/{patch}/image                 256 grays
    GET    /api/painting/{patch}/label                 the predicted label
    GET    /api/painting/{patch}/merges/{number}       the label of a merge
    GET    /api/painting/{patch}/slots/{slot}/{number} claims as bits: 1 Add, 2 Remove, 4 Ignore
    GET    /api/painting/{patch}/draft                 one's own draft, gzip; versions as headers
    PUT    /api/painting/{patch}/draft                 keep a draft
    DELETE /api/painting/{patch}/draft
    PUT    /api/painting/{patch}/corrections           save: 0 nothing, 1 Add, 2 Remove, 3 Ignore
    POST   /api/painting/{patch}/hold                  hold it, or renew the hold
    DELETE /api/painting/{patch}/hold
    POST   /api/painting/{patch}/comments              say something, perhaps at a voxel

What one may do is asked in each step. A PUT states shape, order of axes,
checksum and the version that it follows; all of it is checked before anything is stored. A write
is bound to that version, so a request sent twice changes nothing the second time.
"""

import http
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from isal import isal_zlib
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.access.audit_log import note_refusal
from core.errors import DrawingError, DrawingSizeError
from core.lab.lab import Lab
from core.labels.review import comment
from core.painting import draft as drafts
from core.painting import open as painting_step
from core.painting.codec import GZIP_SLACK, Drawing
from core.painting.open import Painting
from core.painting.save import save_painting
from core.workspace.workspace import Workspace
from dashboard.server.api.slices import refusal
from db.errors import (
    CatalogError,
    ConflictError,
    NotAllowedError,
    StepError,
    TomocurateError,
    UnknownNameError,
)
from db.queries.life import CommentRecord, SlotRecord
from db.queries.patches import PatchRecord, patch_by_id
from db.queries.people import PersonRecord
from db.vocabulary import CorrectionKind

MOST_JSON = 64 << 10
MOST_DIGITS = 9
"""Of a number in an address."""

VOXELS = "application/octet-stream"
NO_STORE = {"cache-control": "no-store", "content-encoding": "identity"}
AXES = "zyx"
SHAPE_HEADER, AXES_HEADER = "x-tomocurate-shape", "x-tomocurate-axes"
SHA256_HEADER = "x-tomocurate-sha256"
BASE_HEADER, CONTINUED_HEADER = "x-tomocurate-base", "x-tomocurate-continued"

_SHA256 = re.compile("[0-9a-fA-F]{64}")


class RequestError(TomocurateError):
    """A request that is not made as this route expects; ``status`` says how."""

    def __init__(self, message: str, status: http.HTTPStatus = http.HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


class Visit(NamedTuple):
    """One request that may be answered: who asks, about which patch."""

    workspace: Workspace
    by: PersonRecord
    patch: PatchRecord
    request: Request
    body: bytes

    @property
    def lab(self) -> Lab:
        return Lab(self.workspace, self.by)


Answer = Callable[[Visit], Response]


def painting_routes(workspace: Workspace) -> list[Route]:
    """The routes above, on the patches of a workspace."""

    def route(path: str, method: str, answer: Answer) -> Route:
        async def asked(request: Request) -> Response:
            try:
                patch = await run_in_threadpool(_requested_patch, workspace, request)
                body = await _bounded_body(request, _most_bytes(request, patch, method))
                visit = Visit(workspace, request.state.person, patch, request, body)
                return await run_in_threadpool(_respond, answer, visit)
            except TomocurateError as error:
                return _refuse(error)

        return Route(f"/api/painting/{{patch}}{path}", asked, methods=[method])

    return [
        route("", "GET", _facts),
        route("/image", "GET", _image),
        route("/label", "GET", _label),
        route("/merges/{number:int}", "GET", _merge),
        route("/slots/{slot}/{number:int}", "GET", _slot),
        route("/draft", "GET", _draft),
        route("/draft", "PUT", _keep_draft),
        route("/draft", "DELETE", _forget_draft),
        route("/corrections", "PUT", _save),
        route("/hold", "POST", _hold),
        route("/hold", "DELETE", _let_go),
        route("/comments", "POST", _comment),
    ]


def patch_object(patch: PatchRecord) -> str:
    """A patch as tokens and addresses name it."""
    return f"patch-{patch.id}"


def painting_facts(painting: Painting) -> dict[str, Any]:
    """Return the facts that the painter needs; shapes and positions are (z, y, x)."""
    mine = {slot.name for slot in painting.mine.values()}
    patch = painting.patch
    return {
        "name": patch.name,
        "shape": list(patch.shape),
        "voxelSizeAngstrom": patch.voxel_size,
        "imageVersion": (patch.image_hash or "")[:16],
        "labelVersion": (patch.label_hash or "")[:16],
        "slots": [_slot_facts(slot, slot.name in mine) for slot in painting.slots],
        "base": painting.base,
        "merges": [
            {
                "number": merge.number,
                "at": _time(merge.made_at),
                "by": merge.made_by,
                "current": merge.id == patch.current_merge_id,
            }
            for merge in painting.merges
        ],
        "comments": [_comment_facts(item) for item in painting.comments],
        "hold": painting.hold
        and {
            "person": painting.hold.person,
            "personId": painting.hold.person_id,
            "since": _time(painting.hold.since),
        },
        "draft": painting.draft
        and {
            "revision": painting.draft.revision,
            "savedAt": _time(painting.draft.saved_at),
            "sha256": painting.draft.sha256,
        },
        "mayPaint": painting.may_paint,
        "mayComment": painting.may_comment,
    }


def _requested_patch(workspace: Workspace, request: Request) -> PatchRecord:
    """Return the patch that an address names.

    Errors: UnknownNameError; RequestError for an address that can name nothing.
    """
    numbers = [str(value) for value in request.path_params.values() if isinstance(value, int)]
    named = re.fullmatch(r"patch-(\d+)", request.path_params["patch"], re.ASCII)
    if named is None or any(len(item) > MOST_DIGITS for item in (named[1], *numbers)):
        raise RequestError("there is nothing at this address.", http.HTTPStatus.NOT_FOUND)
    with workspace.catalog.read() as session:
        return patch_by_id(session, int(named[1]))


def _respond(answer: Answer, visit: Visit) -> Response:
    """The answer; that somebody may not do what they ask for is recorded."""
    try:
        return answer(visit)
    except NotAllowedError as error:
        note_refusal(visit.workspace, visit.by, error)
        raise


def _facts(visit: Visit) -> Response:
    painting = painting_step.open_painting(visit.lab, visit.patch.name)
    return JSONResponse(painting_facts(painting), headers=NO_STORE)


def _image(visit: Visit) -> Response:
    voxels, window = painting_step.patch_image(visit.workspace, visit.patch.name)
    headers = _voxel_headers(voxels) | {
        "content-encoding": "identity",
        "x-tomocurate-window": f"{window.low:.7g},{window.high:.7g}",
    }
    return Response(voxels.tobytes(), media_type=VOXELS, headers=headers)


def _label(visit: Visit) -> Response:
    return _compress(painting_step.predicted_label(visit.workspace, visit.patch))


def _merge(visit: Visit) -> Response:
    number = visit.request.path_params["number"]
    return _compress(painting_step.merged_label(visit.workspace, visit.patch, number))


def _slot(visit: Visit) -> Response:
    asked = visit.request.path_params
    return _compress(
        painting_step.slot_claims(visit.workspace, visit.patch, asked["slot"], asked["number"])
    )


def _draft(visit: Visit) -> Response:
    draft = drafts.read_draft(visit.lab, visit.patch.name)
    headers = {
        "cache-control": "no-store",
        "content-encoding": "gzip",
        "etag": f'"{draft.record.revision}"',
        CONTINUED_HEADER: json.dumps(draft.continued),
    }
    if draft.base is not None:
        headers[BASE_HEADER] = json.dumps(draft.base)
    return Response(draft.drawing, media_type=VOXELS, headers=headers)


def _keep_draft(visit: Visit) -> Response:
    seen = _if_match(visit.request)
    if not isinstance(seen, int):
        raise RequestError("if-match states the draft's revision, a number.")
    name = visit.patch.name
    stated = BASE_HEADER in visit.request.headers
    base = _versions(_json_header(visit.request, BASE_HEADER)) if stated else None
    continued = _versions(_json_header(visit.request, CONTINUED_HEADER))
    draft = drafts.keep_draft(
        visit.lab, name, _read_drawing(visit), seen, base=base, continued=continued
    )
    told = {"revision": draft.revision, "savedAt": _time(draft.saved_at), "sha256": draft.sha256}
    return JSONResponse(told, headers=NO_STORE)


def _forget_draft(visit: Visit) -> Response:
    drafts.discard_draft(visit.lab, visit.patch.name)
    return JSONResponse({}, headers=NO_STORE)


def _save(visit: Visit) -> Response:
    base = _versions(_if_match(visit.request))
    continued = _versions(_json_header(visit.request, CONTINUED_HEADER))
    saved = save_painting(
        visit.lab,
        visit.patch.name,
        _read_drawing(visit),
        base=base,
        continued=continued,
    )
    told = {
        "versions": dict(saved.versions),
        "withdrawn": list(saved.withdrawn),
        "findings": list(saved.findings),
        "savedAt": _time(saved.at),
        "facts": painting_facts(saved.painting),
    }
    return JSONResponse(told, headers=NO_STORE)


def _hold(visit: Visit) -> Response:
    asked = read_json(visit.body or b"{}", "a hold")
    since = asked.get("takeOverFrom") if isinstance(asked, dict) else None
    try:
        meant = None if since is None else datetime.fromisoformat(since)
    except (TypeError, ValueError) as error:
        raise RequestError("takeOverFrom is the time since when somebody holds it.") from error
    held = painting_step.hold(visit.lab, visit.patch.name, take_over_from=meant)
    told = {"person": held.person, "personId": held.person_id, "since": _time(held.since)}
    return JSONResponse(told, headers=NO_STORE)


def _let_go(visit: Visit) -> Response:
    painting_step.release(visit.lab, visit.patch.name)
    return JSONResponse({}, headers=NO_STORE)


def _comment(visit: Visit) -> Response:
    try:
        asked = read_json(visit.body, "a comment")
        text, at = str(asked["text"]), asked["at"]
        place = None if at is None else tuple(int(value) for value in at)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RequestError('a comment is {"text": "...", "at": [z, y, x] or null}.') from error
    if place is not None and len(place) != 3:
        raise RequestError("a place is [z, y, x].")
    comment(visit.lab, visit.patch.name, text, place)
    painting = painting_step.open_painting(visit.lab, visit.patch.name)
    told = {"comments": [_comment_facts(item) for item in painting.comments]}
    return JSONResponse(told, headers=NO_STORE)


def _read_drawing(visit: Visit) -> Drawing:
    """The drawing of a PUT, after its shape, axes and checksum.

    Errors: DrawingError; RequestError.
    """
    headers = visit.request.headers
    shape = ",".join(map(str, visit.patch.shape))
    if headers.get(SHAPE_HEADER) != shape:
        raise RequestError(f"{SHAPE_HEADER} must be {shape}, the patch's shape (z, y, x).")
    if headers.get(AXES_HEADER) != AXES:
        raise RequestError(f"{AXES_HEADER} must be {AXES}: z slowest, x fastest.")
    sha256 = headers.get(SHA256_HEADER, "")
    if not _SHA256.fullmatch(sha256):
        raise RequestError(f"{SHA256_HEADER} must be the sha256 of the voxels.")
    squeezed = headers.get("content-encoding", "identity") == "gzip"
    return painting_step.parse_drawing(visit.body, visit.patch, sha256, squeezed=squeezed)


def _most_bytes(request: Request, patch: PatchRecord, method: str) -> int:
    """Return the largest body accepted; a longer declared length is refused at once.

    Errors: RequestError.
    """
    most = MOST_JSON
    if method == "PUT":
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding", "identity").lower()
        if kind != VOXELS or encoding not in ("gzip", "identity"):
            raise RequestError(
                f"send {VOXELS}, plain or gzip.", http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            )
        z, y, x = patch.shape
        most = z * y * x + GZIP_SLACK
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > most:
        raise _too_long(most)
    return most


async def _bounded_body(request: Request, most: int) -> bytes:
    """The body, read no further than its limit.

    Errors: RequestError where it is longer, or was cut off.
    """
    held = bytearray()
    try:
        async for piece in request.stream():
            held += piece
            if len(held) > most:
                raise _too_long(most)
    except ClientDisconnect as error:
        raise RequestError("the connection ended before the request was whole.") from error
    return bytes(held)


def _too_long(most: int) -> RequestError:
    return RequestError(
        f"this request is longer than the {most} bytes that may be sent here.",
        http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


def _if_match(request: Request) -> Any:
    """Return the version that ``If-Match`` states.

    Errors: RequestError.
    """
    if "if-match" not in request.headers:
        raise RequestError("if-match must state the version that this follows.")
    return _json_header(request, "if-match")


def _json_header(request: Request, name: str) -> Any:
    return read_json(request.headers.get(name, "{}").encode("latin-1"), name)


def read_json(raw: bytes, what: str) -> Any:
    """Read JSON that a browser sent; ``what`` names it.

    Errors: RequestError for what is none, or holds what nobody can store: numbers that are not
    finite or have thousands of digits, halves of characters, lists within lists without end.
    """
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{what} is no JSON that can be kept.") from error
    return value


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _versions(told: Any) -> dict[str, int]:
    """Slots and their versions, as a header states them."""
    if not isinstance(told, dict) or not all(type(number) is int for number in told.values()):
        raise RequestError('versions are stated as {"Add1.nrrd": 3}.')
    return told


def _refuse(error: TomocurateError) -> Response:
    if isinstance(error, RequestError):
        return refusal(str(error), error.status)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return refusal(str(error), status)
    return refusal(str(error), http.HTTPStatus.UNPROCESSABLE_ENTITY)


_STATUS = (
    (NotAllowedError, http.HTTPStatus.FORBIDDEN),
    (ConflictError, http.HTTPStatus.CONFLICT),
    (StepError, http.HTTPStatus.CONFLICT),
    (UnknownNameError, http.HTTPStatus.NOT_FOUND),
    (DrawingSizeError, http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (DrawingError, http.HTTPStatus.BAD_REQUEST),
    (CatalogError, http.HTTPStatus.SERVICE_UNAVAILABLE),
)


def _compress(voxels: NDArray[Any]) -> Response:
    """Labels are mostly one value: squeezed here, since Streamlit would do it ten times slower."""
    body = bytes(isal_zlib.compress(voxels.data, 1, 31))
    headers = _voxel_headers(voxels) | {"content-encoding": "gzip"}
    return Response(body, media_type=VOXELS, headers=headers)


def _voxel_headers(voxels: NDArray[Any]) -> dict[str, str]:
    return {
        "cache-control": "no-store",
        SHAPE_HEADER: ",".join(map(str, voxels.shape)),
        AXES_HEADER: AXES,
    }


def _slot_facts(slot: SlotRecord, mine: bool) -> dict[str, Any]:
    latest = slot.latest
    return {
        "name": slot.name,
        "version": latest.number,
        "kind": slot.kind,
        "mine": mine,
        "author": latest.author or latest.author_account,
        "at": _time(latest.received_at),
        "origin": latest.origin,
        "painted": dict(latest.painted),
        "error": latest.error,
        "findings": list(latest.findings),
        "kinds": [kind for kind in CorrectionKind if latest.painted.get(kind)],
    }


def _comment_facts(each: CommentRecord) -> dict[str, Any]:
    return {
        "id": each.id,
        "author": each.author,
        "text": each.text,
        "at": list(each.at) if each.at else None,
        "madeAt": _time(each.made_at),
        "resolved": each.resolved_at is not None,
    }


def _time(at: datetime) -> str:
    return at.isoformat()
