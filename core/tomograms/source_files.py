"""The original tomograms and segmentations: opened only as they were when they were registered."""

from pathlib import Path

from core.errors import VolumeError
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.hashes import file_hash
from core.tomograms.data_roots import contained_in
from db.queries.volumes import FileRecord


def open_original(on_disk: FileRecord) -> Volume:
    """Open a registered volume to cut from it.

    Errors: VolumeError where it changed since it was registered, or cannot be read; RootError
    where it is gone, or a link leads out of its data root.
    """
    check_unchanged(on_disk)
    volume = open_volume(on_disk.file, [Path(on_disk.root).resolve()])
    if tuple(volume.shape) != tuple(on_disk.shape):
        volume.close()
        raise VolumeError(_changed(on_disk, "its size in voxels is another"))
    return volume


def check_unchanged(on_disk: FileRecord) -> None:
    """A registered file is the one that was registered; only its time may differ.

    Errors: VolumeError; RootError.
    """
    path = contained_in((Path(on_disk.root),), on_disk.file)
    status = path.stat()
    if status.st_size != on_disk.size_bytes:
        said = f"{on_disk.size_bytes} bytes then, {status.st_size} now"
        raise VolumeError(_changed(on_disk, said))
    if status.st_mtime_ns == on_disk.mtime_ns:
        return
    if on_disk.content_hash is None:
        raise VolumeError(_changed(on_disk, "it was written anew"))
    if file_hash(path) != on_disk.content_hash:
        raise VolumeError(_changed(on_disk, "the same size, but other bytes"))


def _changed(on_disk: FileRecord, how: str) -> str:
    return (
        f"{on_disk.file}: changed since it was registered ({how}); bring the registered file back, "
        "or register this one under a token of its own."
    )
