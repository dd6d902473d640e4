"""Say where the file of a registered tomogram lies now, or take a wrong registration out."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from core.access.permissions import Action, may, require
from core.errors import VolumeError
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.geometry import Box, Zyx
from core.imaging.hashes import content_hash
from core.imaging.patch import storable_image
from core.lab.lab import Lab
from core.patches.record import write_record
from core.tomograms.data_roots import checked_root, resolve_below
from core.tomograms.discovery.headers import found_file
from core.tomograms.known_files import ask_for_pictures
from core.tomograms.pictures import segmentation_name, tomogram_name
from core.tomograms.source_files import has_content_of
from core.workspace.results import DONE, FAILED, KEPT, Outcome
from db.errors import StepError, TomocurateError
from db.queries.jobs import active_job
from db.queries.patches import PatchRecord, patches_in
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    get_tomogram,
    list_roots,
    segmentation_by_id,
    segmentations_of,
    was_cut,
)
from db.writes import volumes as writes
from db.writes.events import Change
from db.writes.jobs import cancel_job

NAMED = 3
"""Patches that a message names."""


def relocate(
    lab: Lab,
    tomogram: str,
    file: Path,
    *,
    segmentation_id: int | None = None,
) -> Outcome:
    """State the new path of a tomogram's file, or of one of its segmentations.

    The content must be the registered one: by size and time, by hash, or, where patches were
    extracted, by their voxels. An admin's relocation makes the file's folder a data root.

    Errors: VolumeError for another file; RootError; UnknownNameError; NotAllowedError.
    """
    with lab.catalog.read() as session:
        person = require(session, lab.person, Action.REGISTER)
        there = get_tomogram(session, tomogram)
        record = _volume(session, there, segmentation_id)
        patches = patches_in(session, there.id)
        roots = list_roots(session)
        cut = was_cut(session, segmentation_id=segmentation_id) if segmentation_id else False
    new_root = None
    resolved = file.resolve()
    if may(person.role, Action.ADD_ROOT) and not any(map(resolved.is_relative_to, roots)):
        new_root = checked_root(resolved.parent)
    roots = (*roots, *([new_root] if new_root else ()))
    path = resolve_below(roots, file)
    if path == record.on_disk.file:
        return Outcome(there.name, KEPT, f"is at {path} already")
    with open_volume(path, roots) as volume:
        how = _same_how(path, record, volume, patches, cut)
        found = found_file(path, volume)
    with lab.catalog.write() as session:
        change = Change.now(require(session, lab.person, Action.REGISTER).id)
        if new_root is not None:
            require(session, lab.person, Action.ADD_ROOT)
            writes.add_root(session, change, new_root)
        if isinstance(record, TomogramRecord):
            writes.relocate_tomogram(session, change, record, found)
            ask_for_pictures(session, change, tomogram_name(record.id))
        else:
            writes.relocate_segmentation(session, change, record, found)
            ask_for_pictures(session, change, segmentation_name(record.id))
    for patch in patches:
        write_record(lab.workspace, patch.name)
    return Outcome(there.name, DONE, f"is at {path} now", (how,))


def unregister(lab: Lab, tomograms: Sequence[str]) -> tuple[Outcome, ...]:
    """Take tomograms and their segmentations out of the catalog; their files stay.

    One that patches depend on is kept, and stops no other.

    Errors: NotAllowedError; what concerns one tomogram stands in its outcome.
    """
    with lab.catalog.read() as session:
        require(session, lab.person, Action.REGISTER)
    outcomes = []
    for name in tomograms:
        try:
            outcomes.append(_unregister_one(lab, name))
        except TomocurateError as error:
            outcomes.append(Outcome(name, FAILED, str(error)))
    return tuple(outcomes)


def unregister_segmentation(lab: Lab, tomogram: str, segmentation_id: int) -> Outcome:
    """Take one segmentation of a tomogram out of the catalog; its file stays.

    Errors: StepError where patches were chosen on it; UnknownNameError; NotAllowedError.
    """
    with lab.catalog.write() as session:
        change = Change.now(require(session, lab.person, Action.REGISTER).id)
        there = get_tomogram(session, tomogram)
        record = _volume(session, there, segmentation_id)
        if not isinstance(record, SegmentationRecord):
            raise AssertionError("a segmentation was asked for")
        held = [p.name for p in patches_in(session, there.id) if p.segmentation_id == record.id]
        if held:
            raise StepError(_name_holders(f"segmentation {record.on_disk.path}", held))
        _cancel_jobs(session, change, segmentation_name(record.id))
        writes.remove_segmentation(session, change, record)
    return Outcome(there.name, DONE, f"has segmentation {record.on_disk.path} no more")


def _unregister_one(lab: Lab, name: str) -> Outcome:
    with lab.catalog.write() as session:
        change = Change.now(require(session, lab.person, Action.REGISTER).id)
        there = get_tomogram(session, name)
        patches = patches_in(session, there.id)
        if patches:
            raise StepError(_name_holders(there.name, [patch.name for patch in patches]))
        predicted = [segmentation_name(item.id) for item in segmentations_of(session, there.id)]
        for volume in (tomogram_name(there.id), *predicted):
            _cancel_jobs(session, change, volume)
        writes.remove_tomogram(session, change, there)
        writes.drop_unused_dataset(session, there.dataset)
    return Outcome(there.name, DONE, f"is unregistered; {there.on_disk.file} stays where it is")


def _volume(
    session: Session, tomogram: TomogramRecord, segmentation_id: int | None
) -> TomogramRecord | SegmentationRecord:
    if segmentation_id is None:
        return tomogram
    known = segmentations_of(session, tomogram.id)
    if segmentation_id not in {item.id for item in known}:
        listed = ", ".join(f"{item.id} ({item.on_disk.path})" for item in known) or "none"
        raise StepError(
            f"tomogram {tomogram.name}: has no segmentation {segmentation_id}; it has {listed}."
        )
    return segmentation_by_id(session, segmentation_id)


def _same_how(
    path: Path,
    record: TomogramRecord | SegmentationRecord,
    volume: Volume,
    patches: Sequence[PatchRecord],
    cut: bool,
) -> str:
    """Say how the file was recognised as the registered one.

    Errors: VolumeError where it is another.
    """
    if has_content_of(path, record.on_disk):
        return "its size and time, or its hash, are those of the registered file"
    shape = tuple(record.on_disk.shape)
    if tuple(volume.shape) == shape:
        placed = [p for p in patches if p.image_hash and p.start and not p.padded]
        if isinstance(record, SegmentationRecord):
            if not cut:
                return "no patch was extracted from it; it was read anew"
        elif not any(patch.image_hash for patch in patches):
            return "no patch was extracted from it; it was read anew"
        elif placed and all(_holds(volume, patch) for patch in placed):
            return f"it has the voxels of {len(placed)} extracted patches"
    raise VolumeError(
        f"{path}: is not the registered {record.on_disk.file} (other size, content or voxels); "
        "name that file, or register this one under a token of its own."
    )


def _holds(volume: Volume, patch: PatchRecord) -> bool:
    start = Zyx(*(patch.start or (0, 0, 0)))
    box = Box(start, Zyx(*(a + n for a, n in zip(start, patch.shape, strict=True))))
    if not box.lies_in(volume.shape):
        return False
    return content_hash(storable_image(volume.read(box))) == patch.image_hash


def _name_holders(name: str, patches: Sequence[str]) -> str:
    shown = ", ".join(patches[:NAMED]) + (", …" if len(patches) > NAMED else "")
    return (
        f"{name}: is the source of {len(patches)} patches ({shown}), whose record it is part of. "
        "Withdraw the patches that should not count (tomocurate withdraw), rename the tomogram "
        "(tomocurate rename), or say where its file is (tomocurate relocate)."
    )


def _cancel_jobs(session: Session, change: Change, volume: str) -> None:
    for key in (f"preview {volume}", f"hash {volume}"):
        job = active_job(session, key)
        if job is not None:
            cancel_job(session, change, job.id)
