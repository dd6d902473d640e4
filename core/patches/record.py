"""Sidecars: the whole life of a patch as JSON beside its volumes, patches/records/<patch>.json.

If the catalog is lost, it can be built anew from these and the store. They hold what the catalog
holds: people by name, merges by number, times in UTC. The same life gives the same bytes.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.errors import RecordError
from core.files.atomic import open_regular, whole_file
from core.imaging.hashes import file_hash
from core.workspace.folders import make_shared
from core.workspace.locks import patch_lock
from core.workspace.workspace import Workspace
from db.json_values import to_json
from db.queries.life import comments_of, exports_of, merges_of, reviews_of, slots_of
from db.queries.maintenance import catalog_id, has_event, last_event, patch_names
from db.queries.patches import PatchRecord, get_patch
from db.queries.sharing import bundle_of
from db.queries.volumes import permission_of, segmentation_by_id, tomogram_by_id

FORMAT, FORMAT_VERSION = "tomocurate patch record", 1
MAX_BYTES = 64 << 20
"""Of one record; a life with a thousand versions takes half a megabyte."""

AHEAD_FOLDER = "ahead"
AT_ONCE = 100
"""Records that are compared in one look at the catalog."""

_IDS = frozenset({"id", "tomogram_id", "author_id", "version"})


class RecordState(StrEnum):
    """State of a record compared with the catalog."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"
    """It knows an event that the catalog does not: an older catalog was put back."""
    FOREIGN = "foreign"
    """It is the record of another catalog."""


NOT_OURS = (RecordState.AHEAD, RecordState.FOREIGN)


def write_record(workspace: Workspace, patch: str, *, keep_newer: bool = True) -> Path:
    """Write a patch's record as its life is now; call it after a step, outside its transaction.

    A record that holds what the catalog does not is put aside first, under ``records/ahead``.

    Errors: UnknownNameError; OutputError.
    """
    target = workspace.folders.record_of(patch)
    with patch_lock(workspace, patch, "record"):
        with workspace.catalog.read() as session:
            text = _text(session, patch)
            state = _state(session, target, text)
        if keep_newer and state in NOT_OURS:
            _put_aside(target)
        with whole_file(target) as partial:
            partial.write_bytes(text)
    return target


def read_record(path: Path) -> dict[str, Any]:
    """Read a patch's record.

    Errors: RecordError for what is none, or of a newer version.
    """
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise RecordError(f"{path}: is larger than {MAX_BYTES >> 20} MB; it is no record.")
        record = json.loads(data)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: is no JSON ({str(error)[:200]}); it was damaged.") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RecordError(f"{path}: is no record of a patch; it lacks its format {FORMAT!r}.")
    if record.get("format_version") != FORMAT_VERSION:
        raise RecordError(
            f"{path}: is a record of version {str(record.get('format_version'))[:20]}; this "
            f"program reads version {FORMAT_VERSION}, a newer one may read it."
        )
    return record


def refresh_records(workspace: Workspace, *, keep_newer: bool = True) -> int:
    """Write every record that is absent or behind the catalog, and return how many.

    A process that ends between its transaction and its record leaves one behind. Records that are
    ahead of the catalog, or another's, are left as they are with ``keep_newer``.
    """
    behind = [
        name
        for name, state in record_states(workspace)
        if state == RecordState.BEHIND or not keep_newer
    ]
    for patch in behind:
        write_record(workspace, patch, keep_newer=keep_newer)
    return len(behind)


def record_states(workspace: Workspace) -> Iterator[tuple[str, RecordState]]:
    """Compare every record with what would be written now; yield each that differs, by name."""
    with workspace.catalog.read() as session:
        names = patch_names(session)
    for start in range(0, len(names), AT_ONCE):
        with workspace.catalog.read() as session:
            states = [
                (name, _state(session, workspace.folders.record_of(name), _text(session, name)))
                for name in names[start : start + AT_ONCE]
            ]
        yield from (state for state in states if state[1] != RecordState.CURRENT)


def _state(session: Session, path: Path, text: bytes) -> RecordState:
    """Tell a record's state; ``text`` is what would be written now."""
    try:
        with open_regular(path) as file:
            if file.read(len(text) + 1) == text:
                return RecordState.CURRENT
        record = read_record(path)
        if record.get("catalog_id", own := catalog_id(session)) != own:
            return RecordState.FOREIGN
        return RecordState.AHEAD if _is_ahead(session, record) else RecordState.BEHIND
    except (OSError, RecordError, ValueError, TypeError, KeyError):  # gone or damaged
        return RecordState.BEHIND


def _is_ahead(session: Session, record: Mapping[str, Any]) -> bool:
    """Return whether a record knows an event that the catalog's history lacks."""
    if "last_event" not in record:  # of a version before 0.2: it has only the time
        patch = get_patch(session, str(record["name"]))
        return datetime.fromisoformat(record["updated_at"]) > patch.updated_at
    event = record["last_event"]
    return event is not None and not has_event(
        session, int(event["id"]), datetime.fromisoformat(event["at"])
    )


def _put_aside(record: Path) -> None:
    """Move a record that must not be lost to ``records/ahead``, under a name of its own."""
    folder = record.parent / AHEAD_FOLDER
    make_shared(folder)
    digest = file_hash(record)[:12]
    record.replace(folder / f"{record.stem}-{digest}.json")


def _text(session: Session, patch: str) -> bytes:
    record = _record(session, get_patch(session, patch))
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode(errors="surrogateescape")


def _record(session: Session, patch: PatchRecord) -> dict[str, Any]:
    merges = merges_of(session, patch.id)
    numbers = {merge.id: merge.number for merge in merges}
    event = last_event(session, patch.id)
    life = {
        "slots": slots_of(session, patch.id),
        "merges": merges,
        "reviews": reviews_of(session, patch.id),
        "comments": comments_of(session, patch.id),
        "exports": exports_of(session, patch.id),
    }
    return {
        **_about(patch),
        **{name: [to_json(record, _IDS) for record in records] for name, records in life.items()},
        "tomogram": _tomogram(session, patch),
        "segmentation": _segmentation(session, patch),
        "bundle": _bundle(session, patch),
        "catalog_id": catalog_id(session),
        "last_event": {"id": event[0], "at": event[1].isoformat()} if event else None,
        "current_merge": numbers.get(patch.current_merge_id or 0),
        "accepted_merge": numbers.get(patch.accepted_merge_id or 0),
    }


def _about(patch: PatchRecord) -> dict[str, Any]:
    plain = to_json(patch, _IDS)
    chosen = {
        "at": plain["chosen_at"],
        "by": patch.chosen_by,
        "because": plain["chosen_because"],
        "note": patch.note,
    }
    marks = {name: plain[name] for name in ("assignee", "rejected_reason", "stale", "withdrawn")}
    extracted = {
        "at": plain["extracted_at"],
        "image_hash": patch.image_hash,
        "label_hash": patch.label_hash,
    }
    same = (
        "name",
        "dataset",
        "token",
        "center",
        "start",
        "shape",
        "padded",
        "shifted",
        "voxel_size",
        "grid_spacing",
        "threshold",
        "stage",
        "updated_at",
        "updated_by",
    )
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": patch.version,
        "number": _number(patch),
        "chosen": chosen,
        "marks": marks,
        "extracted": extracted if patch.label_hash else None,
        **{name: plain[name] for name in same},
    }


def _number(patch: PatchRecord) -> int | None:
    """The last part of a name that follows ours."""
    before, _, number = patch.name.rpartition("_patch")
    ours = before == f"{patch.dataset}_{patch.token}"
    return int(number) if ours and number.isdecimal() else None


def _tomogram(session: Session, patch: PatchRecord) -> dict[str, Any] | None:
    if patch.tomogram_id is None:
        return None
    tomogram = tomogram_by_id(session, patch.tomogram_id)
    permission = permission_of(session, patch.tomogram_id)
    plain = to_json(tomogram, _IDS)
    same = (
        "voxel_size",
        "voxel_size_is_override",
        "header",
        "split_pin",
        "specimen",
        "registered_at",
        "registered_by",
    )
    return {
        **to_json(tomogram.on_disk, _IDS),
        **{name: plain[name] for name in same},
        "permission": to_json(permission, _IDS) if permission else None,
    }


def _segmentation(session: Session, patch: PatchRecord) -> dict[str, Any] | None:
    if patch.segmentation_id is None:
        return None
    segmentation = segmentation_by_id(session, patch.segmentation_id)
    plain = to_json(segmentation, _IDS)
    same = ("model", "checkpoint", "threshold", "membrane_label", "run", "registered_at")
    return {**to_json(segmentation.on_disk, _IDS), **{name: plain[name] for name in same}}


def _bundle(session: Session, patch: PatchRecord) -> dict[str, Any] | None:
    bundle = bundle_of(session, patch.id)
    if bundle is None:
        return None
    plain = to_json(bundle, _IDS)
    same = ("bundle_id", "title", "licence", "attribution", "sha256", "imported_at", "imported_by")
    return {name: plain[name] for name in same}
