"""Examine what a workspace holds: every file that the catalog speaks of, by its hash."""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.corrections.store import Store
from core.files.atomic import PARTIAL
from core.imaging.formats.nifti import NiftiVolume
from core.imaging.geometry import Box, Zyx
from core.imaging.hashes import content_hash, file_hash
from core.maintenance.checks.findings import BAD, OK, WARN, Finding, name_some
from core.patches.record import AHEAD_FOLDER, NOT_OURS, RecordState, record_states
from core.tomograms.source_files import check_unchanged
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.queries.maintenance import (
    current_labels,
    extracted_patches,
    patch_names,
    stored_hashes,
)
from db.queries.volumes import files_below, list_roots

LEFT_BEHIND_S = 3600.0
"""A partial file that is older belongs to no living process."""

THREADS = 2


def store_of(workspace: Workspace) -> Iterator[Finding]:
    """Every file that a correction or a merge names lies in the store with its bytes."""
    store = Store(workspace.folders.store)
    there = _stored_files(store.folder)
    with workspace.catalog.read() as session:  # after looking: a file comes before its row
        expected = stored_hashes(session)
    missing = [sha256[:12] for sha256 in expected if not store.holds(sha256)]
    held = [sha256 for sha256 in expected if store.holds(sha256)]
    sound = _each(lambda sha256: _hash(store.path_of(str(sha256))) == sha256, held)
    changed = [sha256[:12] for sha256, same in zip(held, sound, strict=True) if not same]
    orphans = sorted(there - set(expected))
    if missing:
        message = (
            f"{len(missing)} files are gone: {name_some(missing)}; restore them from a backup."
        )
        yield Finding("store", BAD, message)
    if changed:
        message = f"{len(changed)} files changed: {name_some(changed)}; restore them from a backup."
        yield Finding("store", BAD, message)
    if orphans:
        message = (
            f"{len(orphans)} files that no correction or label names (of steps that were broken "
            "off); they harm nothing."
        )
        yield Finding("store", OK, message)
    if not (missing or changed):
        yield Finding("store", OK, f"{len(expected)} files are there, byte by byte.")


def images_of(workspace: Workspace) -> Iterator[Finding]:
    """Read the extracted images, too: they hold what was cut."""
    folders = workspace.folders
    with workspace.catalog.read() as session:
        extracted = extracted_patches(session)
    there = [(folders.image_of(name), image) for name, image, _ in extracted]
    yield from _changed_voxels(workspace, [item for item in there if item[0].is_file()])


def _changed_voxels(
    workspace: Workspace, files: list[tuple[Path, str | None]]
) -> Iterator[Finding]:
    sound = _each(lambda file: _voxels_hash(file[0]) == file[1], files)
    pairs = zip(files, sound, strict=True)
    changed = [str(path.relative_to(workspace.folder)) for (path, _), same in pairs if not same]
    if changed:
        message = (
            f"other voxels than were cut: {name_some(changed)}; move them away and extract again."
        )
        yield Finding("patches", BAD, message)


def check_extracted(workspace: Workspace) -> Iterator[Finding]:
    """Images and labels of the extracted patches are there; labels hold what was cut."""
    folders = workspace.folders
    with workspace.catalog.read() as session:
        extracted, known = extracted_patches(session), set(patch_names(session))
    gone: list[str] = []
    checked: list[tuple[Path, str | None]] = []
    for name, _, label in extracted:
        paths = folders.image_of(name), folders.label_of(name)
        gone += [str(path.relative_to(workspace.folder)) for path in paths if not path.is_file()]
        if paths[1].is_file():
            checked.append((paths[1], label))
    changed = list(_changed_voxels(workspace, checked))
    yield from changed
    if gone:
        message = f"not there: {name_some(gone)}; tomocurate extract cuts them again."
        yield Finding("patches", WARN, message)
    strange = [name for name in _volumes(folders.labels) if name not in known]
    if strange:
        message = (
            f"labels of no patch of the catalog: {name_some(strange)}; tomocurate adopt takes them."
        )
        yield Finding("patches", WARN, message)
    if not (gone or changed):
        yield Finding("patches", OK, f"{len(extracted)} extracted patches are whole.")


def check_merged(workspace: Workspace) -> Iterator[Finding]:
    """The merged label in the folder is the current version of the store."""
    with workspace.catalog.read() as session:
        labels = current_labels(session)
    paths = [workspace.folders.merged_of(label.patch) for label in labels]
    hashes = _each(_hash, paths)
    gone = [item.patch for item, found in zip(labels, hashes, strict=True) if found is None]
    other = [
        item.patch
        for item, found in zip(labels, hashes, strict=True)
        if found is not None and found != item.sha256
    ]
    if gone:
        message = f"not there: {name_some(gone)}; tomocurate merge puts them back."
        yield Finding("merged", WARN, message)
    if other:
        message = f"not the current version: {name_some(other)}; somebody wrote over them."
        yield Finding("merged", BAD, message)
    if not (gone or other):
        yield Finding("merged", OK, f"{len(labels)} merged labels are the current ones.")


def records_of(workspace: Workspace) -> Iterator[Finding]:
    """Every patch has its record beside it, from which a lost catalog is made anew."""
    with workspace.catalog.read() as session:
        names = patch_names(session)
    states = list(record_states(workspace))
    behind = [name for name, state in states if state == RecordState.BEHIND]
    ahead = [name for name, state in states if state in NOT_OURS]
    aside = sorted(path.name for path in workspace.folders.records.glob(f"{AHEAD_FOLDER}/*.json"))
    if behind:
        message = (
            f"gone or behind the catalog: {name_some(behind)}; the daily backup writes them anew."
        )
        yield Finding("records", WARN, message)
    if ahead or aside:
        message = (
            f"newer than the catalog, or of another one: {name_some([*ahead, *aside])}; an older "
            "catalog was put back. Put the newer one back, or rebuild it from the records; they "
            "are not overwritten."
        )
        yield Finding("records", BAD, message)
    if not states and not aside:
        yield Finding("records", OK, f"{len(names)} patches have their records.")


def originals_of(workspace: Workspace) -> Iterator[Finding]:
    """Tomograms and segmentations are where and as they were registered (by size and time)."""
    with workspace.catalog.read() as session:
        files = [file for root in list_roots(session) for file in files_below(session, root)]
    faults = []
    for file in files:
        try:
            check_unchanged(file)
        except TomocurateError as error:
            faults.append(str(error))
        except OSError as error:
            faults.append(f"{file.file}: cannot be read ({error.strerror}).")
    if faults:
        message = f"{len(faults)} of {len(files)} registered files moved or changed; {faults[0]}"
        yield Finding("tomograms", BAD, message)
    else:
        yield Finding("tomograms", OK, f"{len(files)} registered files are as they were.")


def check_partial_files(workspace: Workspace) -> Iterator[Finding]:
    """Partial files of processes that were killed."""
    before = time.time() - LEFT_BEHIND_S
    cache = workspace.folders.cache
    found = []
    for folder, below, names in os.walk(workspace.folder):
        below[:] = [name for name in below if Path(folder) / name != cache]
        paths = (Path(folder) / name for name in names if name.startswith(PARTIAL))
        found += [str(path) for path in paths if _older(path, before)]
    if found:
        message = (
            f"{len(found)} partial files of killed processes: {name_some(found)}; remove them."
        )
        yield Finding("partial files", WARN, message)
    else:
        yield Finding("partial files", OK, "no killed process left any behind.")


def _stored_files(folder: Path) -> set[str]:
    found = (path.parent.name + path.name for path in folder.glob("??/*"))
    return {name for name in found if re.fullmatch(r"[0-9a-f]{64}", name)}


def _volumes(folder: Path) -> list[str]:
    ending = ".nii.gz"
    return sorted(path.name.removesuffix(ending) for path in folder.glob(f"*{ending}"))


def _hash(path: Path) -> str | None:
    try:
        return file_hash(path)
    except OSError:
        return None


def _voxels_hash(path: Path) -> str | None:
    try:
        with NiftiVolume(path) as volume:
            return content_hash(volume.read(Box(Zyx(0, 0, 0), volume.shape)))
    except (TomocurateError, OSError):
        return None


def _older(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except OSError:
        return False


def _each(function: Callable[..., object], items: Iterable[object]) -> list[object]:
    """Files read side by side; reading and hashing let other threads run."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, items))
