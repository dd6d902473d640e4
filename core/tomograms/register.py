"""Register tomograms with their segmentations: paired by name, shown first, then taken.

What is read at once is the header; the file's hash and its pictures come by job. Files stay where
they are, below a data root, and are held against their size and time whenever they are opened.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.errors import RootError, SegmentationError, VolumeError
from core.imaging.extraction import voxel_size_findings
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.hashes import file_hash
from core.imaging.patch import check_pair
from core.tomograms.data_roots import checked_root, contained_in, list_roots
from core.tomograms.hashes import ask_for_hash
from core.tomograms.pairing import Pairing, Predicted, pair, read_manifest, real, sources_of
from core.tomograms.pictures import ask_for_preview, segmentation_name, tomogram_name
from core.workspace.results import DONE, FAILED, KEPT, Outcome, Progress, silent
from core.workspace.text import check_threshold, checked_names
from core.workspace.workspace import Workspace
from db.errors import TakenNameError, TomocurateError
from db.queries.people import PersonRecord
from db.queries.volumes import (
    TomogramRecord,
    patch_count,
    segmentations_of,
    token_twin,
    tomogram_at,
    tomogram_files,
    tomograms_of_size,
)
from db.writes import volumes as writes
from db.writes.events import Change
from db.writes.volumes import FoundFile

HASHED_AT_ONCE = 128 << 20
"""Bytes; a file of another's size is hashed within the second that registering may take."""


@dataclass(frozen=True)
class _Seen:
    """What a pairing's files say of themselves, read before anything is written."""

    found: FoundFile
    header: Mapping[str, Any]
    voxel_size: tuple[float | None, bool]
    """Angstrom, and whether it was stated over the header."""
    predicted: tuple[tuple[Predicted, FoundFile], ...]
    new_roots: tuple[Path, ...]
    sha256: str | None
    findings: tuple[str, ...]


def plan_registration(
    workspace: Workspace,
    sources: Sequence[str | Path],
    *,
    segmentation: str | Path | Sequence[str | Path] | None = None,
    token: str | None = None,
    dataset: str = "other",
    voxel_size: float | None = None,
    threshold: float | None = None,
    within_roots: bool = False,
) -> tuple[Pairing, ...]:
    """Say which tomograms would be registered, and with which segmentations; nothing is written.

    Sources are files, folders, globs and CSV manifests (``tomogram, segmentation, token, dataset,
    voxel_size, threshold, model, checkpoint``). A segmentation goes to the longest tomogram stem
    that its name begins with, registered tomograms included; ``*_scores`` are none.
    ``within_roots`` is for pages: of what lies outside all data roots not even names are told.

    Errors: RootError for a file outside the roots, where they count; VolumeError where a source
    holds nothing; PatchNameError for a dataset or token that cannot be one; what concerns one
    file stands in its pairing.
    """
    checked_names(dataset, "TS" if token is None else token)
    listed = sources_of(sources)
    named = () if segmentation is None else sources_of(_several(segmentation)).files
    if within_roots:
        _check_within(list_roots(workspace), (*listed.files, *listed.manifests, *named))
    with workspace.catalog.read() as session:
        registered = tomogram_files(session)
    pairings = pair(listed.files, named, registered)
    if token is not None:
        pairings = _with_token(pairings, token)
    stated = [replace(each, dataset=each.dataset or dataset) for each in pairings]
    for manifest in listed.manifests:
        stated += [
            replace(each, dataset=each.dataset or dataset) for each in read_manifest(manifest)
        ]
    return tuple(_checked(_stating(each, voxel_size, threshold)) for each in stated)


def register(
    workspace: Workspace,
    by: PersonRecord,
    pairings: Sequence[Pairing],
    *,
    add_roots: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Register pairings; one bad file stops no other.

    What is registered already is kept, and gets the segmentations that are new. ``add_roots`` is
    an admin's on the command line: the folder of a file outside all roots becomes one.

    Errors: NotAllowedError; what concerns one pairing stands in its outcome.
    """
    with workspace.catalog.read() as session:
        require(session, by, Action.REGISTER)
        if add_roots:
            require(session, by, Action.ADD_ROOT)
    outcomes = []
    for pairing in pairings:
        try:
            outcome = _register_one(workspace, by, pairing, add_roots)
        except TomocurateError as error:
            outcome = Outcome(pairing.name, FAILED, str(error), pairing.findings)
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


def _check_within(roots: Sequence[Path], files: Iterable[Path]) -> None:
    """Every file lies below a data root with its links resolved."""
    for path in files:
        if not any(real(path).is_relative_to(root) for root in roots):
            raise RootError("what was named lies below no data root; choose files below one.")


def _several(given: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [given] if isinstance(given, str | Path) else given


def _with_token(pairings: Sequence[Pairing], token: str) -> tuple[Pairing, ...]:
    tomograms = [each for each in pairings if each.tomogram is not None]
    if len(tomograms) != 1:
        raise VolumeError(
            f"the token {token!r} is for one tomogram, but {len(tomograms)} were named; leave "
            "--token out, or write a manifest."
        )
    return tuple(replace(each, token=token) if each.tomogram else each for each in pairings)


def _stating(pairing: Pairing, voxel_size: float | None, threshold: float | None) -> Pairing:
    """What was stated for all holds where a pairing says nothing of its own."""
    size = pairing.voxel_size if pairing.voxel_size is not None else voxel_size
    segmentations = tuple(
        replace(each, threshold=threshold) if each.threshold is None else each
        for each in pairing.segmentations
    )
    return replace(pairing, voxel_size=size, segmentations=segmentations)


def _checked(pairing: Pairing) -> Pairing:
    """Names that can be file names, and a voxel size that can be one."""
    if pairing.error or pairing.tomogram is None:
        return pairing
    try:
        dataset, token = checked_names(pairing.dataset, pairing.token)
        _check_voxel_size(pairing.voxel_size)
        for each in pairing.segmentations:
            check_threshold(each.threshold)
    except TomocurateError as error:
        return replace(pairing, error=f"{pairing.tomogram}: {error}")
    return replace(pairing, dataset=dataset, token=token)


def _check_voxel_size(voxel_size: float | None) -> None:
    if voxel_size is None:
        return
    if not 0 < voxel_size < 1000:
        raise VolumeError(f"the voxel size {voxel_size:g} is none; state it in angstrom.")
    if voxel_size == 1:
        raise VolumeError("a voxel size of 1 means unknown; state it in angstrom, or leave it out.")


def _register_one(
    workspace: Workspace, by: PersonRecord, pairing: Pairing, add_roots: bool
) -> Outcome:
    seen = _look(workspace, pairing, add_roots)
    with workspace.catalog.write() as session:
        change = Change.now(require(session, by, Action.REGISTER).id)
        if seen.new_roots:
            require(session, by, Action.ADD_ROOT)
        for root in seen.new_roots:
            writes.add_root(session, change, root)
        there = tomogram_at(session, seen.found.path)
        if there is None:
            record, findings = _add(session, change, pairing, seen)
        else:
            record, findings = _keep(session, change, there, seen)
        added = _add_segmentations(session, change, record, seen.predicted)
    details = {
        "tomogram_id": record.id,
        "path": str(seen.found.path),
        "shape": seen.found.shape,
        "voxel_size": record.voxel_size,
        "segmentations": [str(path) for path in added],
    }
    message = None if there is None else f"{record.name} is registered already"
    outcome = DONE if there is None or added else KEPT
    return Outcome(record.name, outcome, message, (*seen.findings, *findings), details)


def _look(workspace: Workspace, pairing: Pairing, add_roots: bool) -> _Seen:
    """Read the headers of a pairing's files; no catalog is locked meanwhile."""
    if pairing.error or pairing.tomogram is None:
        raise VolumeError(pairing.error or f"{pairing.name}: has no tomogram.")
    new_roots = _needed_roots(workspace, pairing, add_roots)
    roots = (*list_roots(workspace), *new_roots)
    tomogram = contained_in(roots, pairing.tomogram)
    with open_volume(tomogram, roots) as volume:
        voxel_size = pairing.voxel_size or volume.voxel_size
        predicted = tuple(_open_segmentation(roots, each, volume) for each in pairing.segmentations)
        found, header = _found(tomogram, volume), _header(volume)
    findings = (
        *pairing.findings,
        *volume.warnings,
        *voxel_size_findings(voxel_size),
        *(f"{root} is a data root now" for root in new_roots),
    )
    stated = voxel_size, pairing.voxel_size is not None
    sha256 = _hash_where_suspect(workspace, found)
    return _Seen(found, header, stated, predicted, tuple(new_roots), sha256, findings)


def _add(
    session: Session, change: Change, pairing: Pairing, seen: _Seen
) -> tuple[TomogramRecord, tuple[str, ...]]:
    name = pairing.dataset, pairing.token
    twin = token_twin(session, *name)
    if twin is not None:
        raise TakenNameError(
            f"tomogram {pairing.name}: differs from {twin} in capital letters alone, which Windows "
            "and macOS do not tell apart; name another with --token."
        )
    record = writes.add_tomogram(session, change, name, seen.found, seen.voxel_size, seen.header)
    _enqueue(session, change, tomogram_name(record.id))
    if seen.sha256 is None:
        return record, ()
    same = writes.hash_tomogram(session, change, record.id, seen.sha256)
    return record, tuple(f"holds the same bytes as {each}" for each in same)


def _needed_roots(workspace: Workspace, pairing: Pairing, add_roots: bool) -> list[Path]:
    """The folders of files that lie below no root yet, where they may become roots."""
    roots = list(list_roots(workspace))
    new: list[Path] = []
    if not add_roots or pairing.tomogram is None:
        return new
    for path in (pairing.tomogram, *(each.path for each in pairing.segmentations)):
        try:
            resolved = path.resolve(strict=True)
        except (OSError, RuntimeError):
            continue  # told where the file is opened
        if not any(resolved.is_relative_to(root) for root in (*roots, *new)):
            new.append(checked_root(resolved.parent))
    return new


def _keep(
    session: Session, change: Change, there: TomogramRecord, seen: _Seen
) -> tuple[TomogramRecord, tuple[str, ...]]:
    """What is registered already: still the same file, or none that anything was cut from.

    A voxel size that is stated now overrides the one before.
    """
    found, values, findings = seen.found, dict[str, Any](), list[str]()
    if (found.size_bytes, found.mtime_ns) != (there.on_disk.size_bytes, there.on_disk.mtime_ns):
        if patch_count(session, there.id):
            raise VolumeError(
                f"{found.path}: changed since it was registered as {there.name}, and patches were "
                "chosen in the old file; put that back, or give the new one a name of its own."
            )
        values = _as_it_is_now(found)
        findings.append("the file changed since it was registered; it was read anew")
        _enqueue(session, change, tomogram_name(there.id))
    size, is_stated = seen.voxel_size
    if is_stated and size != there.voxel_size:
        values |= {"voxel_size": size, "voxel_size_is_override": True}
    if not values:
        return there, ()
    action = "tomogram registered again"
    return writes.change_tomogram(session, change, there.id, action, **values), tuple(findings)


def _as_it_is_now(found: FoundFile) -> dict[str, Any]:
    z, y, x = found.shape
    return {
        "size_bytes": found.size_bytes,
        "mtime_ns": found.mtime_ns,
        "dtype": found.dtype,
        "shape_z": z,
        "shape_y": y,
        "shape_x": x,
        "content_hash": None,
    }


def _add_segmentations(
    session: Session,
    change: Change,
    tomogram: TomogramRecord,
    predicted: Iterable[tuple[Predicted, FoundFile]],
) -> list[Path]:
    """Add what is not registered yet, each with its jobs."""
    known = {each.on_disk.file for each in segmentations_of(session, tomogram.id)}
    added = []
    for each, found in predicted:
        if found.path in known:
            continue
        origin = each.model, each.checkpoint, each.threshold
        record = writes.add_segmentation(session, change, tomogram, found, origin)
        _enqueue(session, change, segmentation_name(record.id))
        added.append(found.path)
    return added


def _enqueue(session: Session, change: Change, name: str) -> None:
    """Have a worker make the pictures of a volume, then hash it."""
    ask_for_preview(session, change, name)
    ask_for_hash(session, change, name)


def _open_segmentation(
    roots: tuple[Path, ...], predicted: Predicted, tomogram: Volume
) -> tuple[Predicted, FoundFile]:
    path = contained_in(roots, predicted.path)
    try:
        with open_volume(path, roots) as volume:
            check_pair(tomogram, volume)
            return predicted, _found(path, volume)
    except VolumeError as error:
        raise SegmentationError(f"segmentation {error}") from error


def _found(path: Path, volume: Volume) -> FoundFile:
    status = path.stat()
    z, y, x = volume.shape
    return FoundFile(path, (z, y, x), volume.dtype.name, status.st_size, status.st_mtime_ns)


def _header(volume: Volume) -> dict[str, Any]:
    """What the file says of itself that is recorded and not used."""
    header: dict[str, Any] = {"voxel_size": volume.voxel_size, "warnings": list(volume.warnings)}
    for name in ("origin_xyz", "nstart_xyz"):
        value = getattr(volume, name, None)
        if value is not None:
            header[name] = list(value)
    return header


def _hash_where_suspect(workspace: Workspace, found: FoundFile) -> str | None:
    """The hash of a small file that has the size of a hashed one; large ones wait for the job."""
    if found.size_bytes > HASHED_AT_ONCE:
        return None
    with workspace.catalog.read() as session:
        same_size = tomograms_of_size(session, found.size_bytes)
    hashed = any(each.on_disk.content_hash for each in same_size)
    return file_hash(found.path) if hashed else None
