"""The hashes of registered files: which file to read, what is noted, and which are the same.

A volume has the name that its job has: ``tomogram-12`` or ``segmentation-7``.
"""

import re
from pathlib import Path

from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from core.tomograms.source_files import check_unchanged
from core.workspace.enqueue import enqueue
from core.workspace.workspace import Workspace
from db.errors import UnknownNameError
from db.queries.people import PersonRecord
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    segmentation_by_id,
    tomogram_by_id,
    tomograms_hashed,
)
from db.vocabulary import JobKind
from db.writes.events import Change
from db.writes.volumes import hash_segmentation, hash_tomogram

_NAME = re.compile(r"(tomogram|segmentation)-(\d{1,9})")


def ask_for_hash(session: Session, change: Change, name: str) -> int:
    """Have a worker hash a volume; asking twice is asking once."""
    return enqueue(session, change, JobKind.HASH, {"object": name}, key=f"hash {name}")


def file_to_hash(workspace: Workspace, name: str) -> Path:
    """The file of a registered volume, as it was when it was registered.

    Errors: VolumeError where it moved or changed; RootError; UnknownNameError.
    """
    with workspace.catalog.read() as session:
        record = _record(session, name)
    check_unchanged(record.on_disk)
    return record.on_disk.file


def note_hash(
    workspace: Workspace, by: PersonRecord | None, name: str, sha256: str
) -> tuple[str, ...]:
    """Note the hash of a registered file; give the tomograms that hold the same bytes.

    Errors: VolumeError where the file changed while it was read; RootError; UnknownNameError.
    """
    file_to_hash(workspace, name)
    with workspace.catalog.write() as session:
        record = _record(session, name)
        if isinstance(record, SegmentationRecord):
            hash_segmentation(session, record.id, sha256)
            return ()
        change = Change.now(by.id if by else None)
        return hash_tomogram(session, change, record.id, sha256)


def duplicates_of(workspace: Workspace, tomogram: TomogramRecord) -> tuple[str, ...]:
    """The other tomograms whose files hold the same bytes, as far as hashes are known."""
    if tomogram.on_disk.content_hash is None:
        return ()
    with workspace.catalog.read() as session:
        same = tomograms_hashed(session, tomogram.on_disk.content_hash)
    return tuple(each.name for each in same if each.id != tomogram.id)


def _record(session: Session, name: str) -> TomogramRecord | SegmentationRecord:
    match = _NAME.fullmatch(name)
    try:
        if match is None:
            raise ValueError(name)
        read = tomogram_by_id if match[1] == "tomogram" else segmentation_by_id
        return read(session, int(match[2]))
    except (NoResultFound, ValueError) as error:
        raise UnknownNameError(
            f"there is no volume {name[:60]!r}; it was never registered."
        ) from error
