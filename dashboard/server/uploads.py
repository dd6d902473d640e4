"""Bound what one person's uploads hold in memory: Streamlit keeps each until its page is left."""

import http
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope
from streamlit import runtime

from core.access.permissions import Action, may
from db.queries.people import PersonRecord

UPLOAD = "/_stcore/upload_file/"


@dataclass
class _Upload:
    """One upload, underway or held for a page."""

    session: str
    file: str
    size: int
    underway: bool = True

    def is_held(self) -> bool:
        """Return whether it takes memory: Streamlit drops it with its page, or when removed."""
        if self.underway:
            return True
        if not runtime.exists():
            return False
        held = getattr(runtime.get_instance().uploaded_file_mgr, "file_storage", {})
        return self.file in held.get(self.session, {})


class Uploads:
    """Uploads by person, with a limit per person."""

    def __init__(self, upload_mb: int) -> None:
        self._most = upload_mb << 20
        self._owned: dict[int, list[_Upload]] = {}
        self._lock = threading.Lock()

    def refusal(
        self, scope: Scope, path: str, headers: Mapping[str, str], person: PersonRecord
    ) -> Response | None:
        """Return the answer to an upload that is too much; None for one that may come."""
        if scope["type"] != "http" or scope["method"] != "PUT" or not path.startswith(UPLOAD):
            return None
        if not may(person.role, Action.SUBMIT_CORRECTION):
            return _refuse(http.HTTPStatus.FORBIDDEN, f"{person.role}s may not upload files.")
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 16):
            return _refuse(http.HTTPStatus.LENGTH_REQUIRED, "state the upload's length.")
        session, _, file = path.removeprefix(UPLOAD).partition("/")
        upload = _Upload(session, file, int(length))
        with self._lock:
            owned = [item for item in self._owned.get(person.id, ()) if item.is_held()]
            self._owned[person.id] = owned
            if sum(item.size for item in owned) + upload.size > self._most:
                return _refuse(
                    http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"your open pages hold as many uploads as one person may ({self._most >> 20} "
                    "MB in all); save or remove some first.",
                )
            owned.append(upload)
        scope["state"]["upload"] = upload
        return None

    @staticmethod
    def answered(scope: Scope) -> None:
        """Note that a request is over: from now on Streamlit knows whether it holds the file."""
        upload = scope.get("state", {}).get("upload")
        if upload:
            upload.underway = False


def _refuse(status: http.HTTPStatus, why: str) -> Response:
    return PlainTextResponse(f"Refused: {why}\n", status)
