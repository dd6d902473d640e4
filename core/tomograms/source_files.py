"""Registered tomograms and segmentations: opened only unchanged, hashed, compared by hash.

A volume has the name that its job has: ``tomogram-12`` or ``segmentation-7``.
"""

import re
from pathlib import Path

from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from core.errors import VolumeError
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.hashes import file_hash
from core.tomograms.data_roots import check_there, resolve_below
from core.workspace.enqueue import enqueue
from core.workspace.workspace import Workspace
from db.errors import UnknownNameError
from db.queries.people import PersonRecord
from db.queries.volumes import (
    FileRecord,
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


def open_original(on_disk: FileRecord) -> Volume:
    """Open a registered volume to cut from it.

    Errors: VolumeError where it changed since it was registered, or cannot be read; RootError
    where it is gone, or a link leads out of its data root.
    """
    check_unchanged(on_disk)
    volume = open_volume(on_disk.file, [Path(on_disk.root).resolve()])
    if tuple(volume.shape) != tuple(on_disk.shape):
        volume.close()
        raise VolumeError(_change_message(on_disk, "its size in voxels is another"))
    return volume


def check_unchanged(on_disk: FileRecord) -> None:
    """Check that a registered file is the one that was registered; only its time may differ.

    Errors: VolumeError; RootError.
    """
    check_there(on_disk)
    path = resolve_below((Path(on_disk.root),), on_disk.file)
    status = path.stat()
    if status.st_size != on_disk.size_bytes:
        sizes = f"{on_disk.size_bytes} bytes then, {status.st_size} now"
        raise VolumeError(_change_message(on_disk, sizes))
    if status.st_mtime_ns == on_disk.mtime_ns:
        return
    if on_disk.content_hash is None:
        raise VolumeError(_change_message(on_disk, "its modification time is another"))
    if file_hash(path) != on_disk.content_hash:
        raise VolumeError(_change_message(on_disk, "the same size, but other bytes"))


def has_content_of(path: Path, on_disk: FileRecord) -> bool:
    """Compare a file with a registered one by size, then by time, or by hash where it is known."""
    status = path.stat()
    if status.st_size != on_disk.size_bytes:
        return False
    if status.st_mtime_ns == on_disk.mtime_ns:
        return True
    return on_disk.content_hash is not None and file_hash(path) == on_disk.content_hash


def find_volume(session: Session, name: str) -> TomogramRecord | SegmentationRecord:
    """Find a registered volume by the name of its jobs.

    Errors: UnknownNameError.
    """
    match = _NAME.fullmatch(name)
    try:
        if match is None:
            raise ValueError(name)
        read = tomogram_by_id if match[1] == "tomogram" else segmentation_by_id
        return read(session, int(match[2]))
    except (NoResultFound, ValueError) as error:
        raise UnknownNameError(
            f"no volume {name[:60]!r}; it was never registered, or was unregistered."
        ) from error


def ask_for_hash(session: Session, change: Change, name: str) -> int:
    """Queue the hash of a volume; asking twice is asking once."""
    return enqueue(session, change, JobKind.HASH, {"object": name}, key=f"hash {name}")


def file_to_hash(workspace: Workspace, name: str) -> Path:
    """Give the file of a registered volume, as it was when it was registered.

    Errors: VolumeError where it moved or changed; RootError; UnknownNameError.
    """
    with workspace.catalog.read() as session:
        record = find_volume(session, name)
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
        record = find_volume(session, name)
        if isinstance(record, SegmentationRecord):
            hash_segmentation(session, record.id, sha256)
            return ()
        change = Change.now(by.id if by else None)
        return hash_tomogram(session, change, record.id, sha256)


def duplicates_of(workspace: Workspace, tomogram: TomogramRecord) -> tuple[str, ...]:
    """List the other tomograms whose files hold the same bytes, as far as hashes are known."""
    if tomogram.on_disk.content_hash is None:
        return ()
    with workspace.catalog.read() as session:
        same = tomograms_hashed(session, tomogram.on_disk.content_hash)
    return tuple(item.name for item in same if item.id != tomogram.id)


def _change_message(on_disk: FileRecord, how: str) -> str:
    return (
        f"{on_disk.file}: changed since it was registered ({how}); restore the registered file, "
        "or run tomocurate register on it again to read it anew."
    )
