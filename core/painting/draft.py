"""Drafts on the server: unsaved strokes, one draft per person and patch.

The browser keeps every stroke as well: dashboard/frontend/src/autosave/journal.ts.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from core.access.permissions import Action
from core.errors import DrawingError
from core.files.atomic import whole_file
from core.lab.lab import Lab
from core.painting.codec import Drawing, encode_drawing
from core.workspace.folders import DRAFT, make_shared
from db.errors import UnknownNameError
from db.queries.patches import DraftRecord, PatchRecord, draft_of, get_patch
from db.writes.drafts import drop_draft
from db.writes.patches import save_draft


class KeptDraft(NamedTuple):
    """A draft, gzip, and the versions that it began with, if they are known, and goes on with."""

    record: DraftRecord
    drawing: bytes
    base: Mapping[str, int] | None
    continued: Mapping[str, int]


def keep_draft(
    lab: Lab,
    name: str,
    drawing: Drawing,
    seen_revision: int,
    *,
    base: Mapping[str, int] | None = None,
    continued: Mapping[str, int] | None = None,
) -> DraftRecord:
    """Keep what somebody has painted so far and did not save; it replaces their last draft.

    ``base`` and ``continued`` are what ``save_painting`` needs to save it.

    Errors: ConflictError where another window kept one or saved since; NotAllowedError;
    DrawingError.
    """
    versions = {"base": base and dict(base), "continued": dict(continued or {})}
    body = json.dumps(versions).encode() + b"\n" + encode_drawing(drawing)
    sha256 = hashlib.sha256(body).hexdigest()
    with lab.read(Action.PAINT) as session:
        patch = get_patch(session, name)
    check_shape(drawing, patch)
    file = _file_of(lab, patch.id, sha256)
    make_shared(file.parent)
    with whole_file(file) as partial:
        partial.write_bytes(body)
    with lab.change(Action.PAINT) as change:
        stored = sha256, len(body)
        revision = save_draft(change.session, change.change, patch, stored, seen_revision)
    remove_draft_files(lab, patch.id, keep=file)
    return DraftRecord(
        sha256=sha256, size_bytes=len(body), revision=revision, saved_at=change.change.at
    )


def read_draft(lab: Lab, name: str) -> KeptDraft:
    """Read a person's own draft.

    Errors: UnknownNameError where there is none, or its file is gone.
    """
    with lab.read(Action.VIEW) as session:
        patch = get_patch(session, name)
        draft = draft_of(session, patch.id, lab.person.id)
    with suppress(OSError):
        if draft is not None:
            body = _file_of(lab, patch.id, draft.sha256).read_bytes()
            if hashlib.sha256(body).hexdigest() == draft.sha256:
                return _parse(draft, body)
    raise UnknownNameError(f"there is no draft of {lab.person.name} on {name}.")


def discard_draft(lab: Lab, name: str) -> None:
    """Give up one's own draft."""
    with lab.change(Action.PAINT) as change:
        patch = get_patch(change.session, name)
        drop_draft(change.session, patch.id, change.person.id)
    remove_draft_files(lab, patch.id)


def remove_draft_files(lab: Lab, patch_id: int, keep: Path | None = None) -> None:
    """Remove the files of one's drafts on a patch, but one to keep."""
    for old in lab.folders.drafts.glob(f"{patch_id}-{lab.person.id}-*{DRAFT}"):
        if old != keep:
            with suppress(OSError):
                old.unlink()


def check_shape(drawing: Drawing, patch: PatchRecord) -> None:
    """Refuse a drawing of another shape than its patch.

    Errors: DrawingError.
    """
    if drawing.shape != tuple(patch.shape):
        raise DrawingError(
            f"the drawing has shape {drawing.shape}, the patch {tuple(patch.shape)} (z, y, x)."
        )


def _file_of(lab: Lab, patch_id: int, sha256: str) -> Path:
    return lab.folders.drafts / f"{patch_id}-{lab.person.id}-{sha256[:24]}{DRAFT}"


def _parse(record: DraftRecord, body: bytes) -> KeptDraft:
    """Split a draft's file: one line of JSON, then gzip; files of version 0.1 have no line."""
    if body.startswith(b"\x1f\x8b"):
        return KeptDraft(record, body, None, {})
    line, _, squeezed = body.partition(b"\n")
    versions = json.loads(line)
    return KeptDraft(record, squeezed, versions["base"], versions["continued"])
