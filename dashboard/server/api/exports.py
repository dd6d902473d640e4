"""Download an export as a zip that is written while it is sent; nothing is stored for it.

GET /api/exports/{number}    curators and admins; the folder lies in the workspace's exports
"""

import http
import zipfile
from collections.abc import Iterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from core.access.audit_log import note_download
from core.access.permissions import Action, require
from core.workspace.workspace import Workspace
from dashboard.server.api.slices import refusal
from dashboard.ui.escape import download_name
from db.errors import NotAllowedError, UnknownNameError
from db.queries.people import PersonRecord
from db.queries.sharing import export_path

PIECE = 1 << 20


def export_routes(workspace: Workspace) -> list[Route]:
    """Give the route above, on the exports of a workspace."""

    async def download(request: Request) -> Response:
        return await run_in_threadpool(_download, workspace, request)

    return [Route("/api/exports/{number:int}", download)]


def export_folder(workspace: Workspace, by: PersonRecord, number: int) -> Path:
    """Find the folder of an export that may be downloaded.

    Errors: NotAllowedError; UnknownNameError where it is not there, or not in this workspace.
    """
    with workspace.catalog.read() as session:
        require(session, by, Action.EXPORT)
        path = export_path(session, number)
    exports = workspace.folders.exports.resolve()
    if path is None or not Path(path).resolve().is_relative_to(exports) or not Path(path).is_dir():
        raise UnknownNameError(f"export {number}: not found in the exports of this workspace.")
    return Path(path)


def zip_folder(folder: Path) -> Iterator[bytes]:
    """Zip the files of a folder, piece by piece, uncompressed: images are compressed already."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            info = zipfile.ZipInfo.from_file(path, Path(folder.name, path.relative_to(folder)))
            with archive.open(info, "w", force_zip64=True) as out, path.open("rb") as file:
                while piece := file.read(PIECE):
                    out.write(piece)
                    yield sink.take()
    yield sink.take()


class _Sink:
    """A file that cannot seek, whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Do nothing: there is no file."""

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def _download(workspace: Workspace, request: Request) -> Response:
    by, number = request.state.person, int(request.path_params["number"])
    try:
        folder = export_folder(workspace, by, number)
        note_download(workspace, by, "exports", [folder.name])
    except NotAllowedError as error:
        return refusal(str(error), http.HTTPStatus.FORBIDDEN)
    except UnknownNameError as error:
        return refusal(str(error), http.HTTPStatus.NOT_FOUND)
    name = download_name(folder.name, ".zip")
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "no-store",
        "content-encoding": "identity",
    }
    return StreamingResponse(zip_folder(folder), media_type="application/zip", headers=headers)
