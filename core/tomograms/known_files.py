"""Bring the catalog up to date with registered files that were touched, changed or moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.errors import VolumeError
from core.imaging.hashes import file_hash
from core.tomograms.pictures import ask_for_preview, segmentation_name, tomogram_name
from core.tomograms.source_files import ask_for_hash, has_content_of
from core.tomograms.voxel_size import patches_told, spread_voxel_size
from core.workspace.workspace import Workspace
from db.queries.volumes import (
    FileRecord,
    SegmentationRecord,
    TomogramRecord,
    find_tomogram,
    patch_count,
    segmentations_of,
    tomogram_at,
    was_cut,
)
from db.writes.events import Change
from db.writes.volumes import (
    FoundFile,
    add_segmentation,
    change_segmentation,
    change_tomogram,
    relocate_tomogram,
    use_newer_run,
)

SAME_BYTES = "has a new modification time, but the same bytes; the time was noted"
READ_ANEW = "the file changed since it was registered; it was read anew"


@dataclass(frozen=True)
class Known:
    """Registered files, compared with files that are registered again."""

    hashes: Mapping[Path, str] = field(default_factory=dict)
    """sha256 of files of the same size and another time."""
    moved_from: TomogramRecord | None = None
    """The tomogram of this name, whose file is gone and whose content the new file has."""


@dataclass
class Update:
    """Changes in the catalog to report and to write into records."""

    tomogram: TomogramRecord
    findings: list[str] = field(default_factory=list)
    patches: list[str] = field(default_factory=list)
    segmentations: list[Path] = field(default_factory=list)
    changed: bool = False


def compare(workspace: Workspace, name: tuple[str, str], files: Sequence[FoundFile]) -> Known:
    """Compare files (the tomogram first) with what is registered; hash only where it must be."""
    with workspace.catalog.read() as session:
        there = tomogram_at(session, files[0].path)
        namesake = None if there else find_tomogram(session, *name)
        predicted = segmentations_of(session, there.id) if there else ()
    if namesake is not None:
        gone = not namesake.on_disk.file.exists()
        moved = gone and has_content_of(files[0].path, namesake.on_disk)
        return Known(moved_from=namesake if moved else None)
    known = {item.on_disk.file: item.on_disk for item in predicted}
    if there is not None:
        known[there.on_disk.file] = there.on_disk
    touched = [file for file in files if file.path in known and _is_touched(file, known[file.path])]
    return Known({item.path: file_hash(item.path) for item in touched})


def update_tomogram(
    session: Session,
    change: Change,
    there: TomogramRecord,
    file: FoundFile,
    header: Mapping[str, Any],
    voxel_size: tuple[float | None, bool],
    known: Known,
) -> Update:
    """Note a new time, or read a changed file anew; a stated voxel size reaches all patches.

    ``voxel_size`` is the angstrom and whether it was stated over the header.

    Errors: VolumeError where the content changed and patches depend on the old one.
    """
    update = Update(there)
    values: dict[str, Any] = {}
    size, is_stated = voxel_size
    if not _is_same(file, there.on_disk, known):
        _check_replaceable(session, there, file)
        values = {**as_it_is_now(file), "header": dict(header)}
        if not there.voxel_size_is_override:
            values["voxel_size"] = size
        update.findings.append(READ_ANEW)
        ask_for_pictures(session, change, tomogram_name(there.id))
    elif file.mtime_ns != there.on_disk.mtime_ns:
        values = {"mtime_ns": file.mtime_ns}
        update.findings.append(SAME_BYTES)
    if is_stated and size != there.voxel_size:
        values |= {"voxel_size": size, "voxel_size_is_override": True}
    if values:
        action = "tomogram registered again"
        update.tomogram = change_tomogram(session, change, there.id, action, **values)
        update.changed = True
    update.patches = spread_voxel_size(session, change, there.id, update.tomogram.voxel_size)
    update.findings += patches_told(update.patches, update.tomogram.voxel_size or 1.0)
    return update


def move_tomogram(
    session: Session, change: Change, there: TomogramRecord, file: FoundFile
) -> Update:
    """Note the new path of a tomogram whose file was renamed or moved."""
    record = relocate_tomogram(session, change, there, file)
    finding = f"its file was {there.on_disk.file} before"
    return Update(record, [finding], changed=True)


def update_segmentations(
    session: Session,
    change: Change,
    update: Update,
    predicted: Sequence[tuple[SegmentationRecord | None, FoundFile, Mapping[str, Any]]],
    known: Known,
) -> None:
    """Add segmentations that are new, and read anew those that were predicted again.

    A prediction that patches were extracted from is kept for their record; the file is registered
    as its next run, and patches that only wait to be extracted are bound to that.
    """
    for there, found, origin in predicted:
        if there is None:
            _add_run(session, change, update, found, origin)
            continue
        is_same = _is_same(found, there.on_disk, known)
        values = _restate(there, origin)
        if (values or not is_same) and was_cut(session, segmentation_id=there.id):
            record = _add_run(session, change, update, found, _merged_origin(there, origin))
            use_newer_run(session, there, record)
            update.findings.append(
                f"{found.path.name} {'is read otherwise' if is_same else 'was predicted again'}: "
                "patches that were extracted keep the label they were cut with, new ones take "
                f"this (run {record.run})"
            )
            continue
        if not is_same:
            values |= as_it_is_now(found)
            update.findings.append(f"{found.path.name} was predicted again; it was read anew")
            ask_for_pictures(session, change, segmentation_name(there.id))
        elif found.mtime_ns != there.on_disk.mtime_ns:
            values["mtime_ns"] = found.mtime_ns
            update.findings.append(f"{found.path.name} {SAME_BYTES}")
        if values:
            action = "segmentation registered again"
            change_segmentation(session, change, there, action, **values)
            update.changed = True


def ask_for_pictures(session: Session, change: Change, name: str) -> None:
    """Have a worker make the pictures of a volume, then hash it."""
    ask_for_preview(session, change, name)
    ask_for_hash(session, change, name)


def as_it_is_now(file: FoundFile) -> dict[str, Any]:
    """Give the columns of a file that was read anew; its hash is not known yet."""
    z, y, x = file.shape
    return {
        "size_bytes": file.size_bytes,
        "mtime_ns": file.mtime_ns,
        "dtype": file.dtype,
        "shape_z": z,
        "shape_y": y,
        "shape_x": x,
        "content_hash": None,
    }


def _restate(there: SegmentationRecord, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is stated now and is read otherwise than before."""
    return {
        name: origin[name]
        for name in ("threshold", "membrane_label")
        if origin[name] not in (None, getattr(there, name))
    }


def _merged_origin(there: SegmentationRecord, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what was stated for the earlier run where nothing is stated now."""
    return {
        name: getattr(there, name) if stated is None else stated for name, stated in origin.items()
    }


def _add_run(
    session: Session,
    change: Change,
    update: Update,
    file: FoundFile,
    origin: Mapping[str, Any],
) -> SegmentationRecord:
    record = add_segmentation(session, change, update.tomogram, file, **origin)
    ask_for_pictures(session, change, segmentation_name(record.id))
    update.segmentations.append(file.path)
    return record


def _is_touched(file: FoundFile, on_disk: FileRecord) -> bool:
    return (
        file.size_bytes == on_disk.size_bytes
        and file.mtime_ns != on_disk.mtime_ns
        and on_disk.content_hash is not None
    )


def _is_same(file: FoundFile, on_disk: FileRecord, known: Known) -> bool:
    if file.size_bytes != on_disk.size_bytes:
        return False
    if file.mtime_ns == on_disk.mtime_ns:
        return True
    return on_disk.content_hash is not None and (
        known.hashes.get(file.path) == on_disk.content_hash
    )


def _check_replaceable(session: Session, there: TomogramRecord, file: FoundFile) -> None:
    """A changed tomogram may be read anew while no patch was cut from it and its size stays."""
    other_size = tuple(file.shape) != tuple(there.on_disk.shape)
    if was_cut(session, tomogram_id=there.id) or (other_size and patch_count(session, there.id)):
        raise VolumeError(
            f"{file.path}: changed since it was registered as {there.name}, and patches were "
            "chosen in the old file; restore that, or save the new one under another file name "
            "and register it with a token of its own."
        )
