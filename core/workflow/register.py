"""Register tomograms with their segmentations: paired by name, shown first, then taken.

What is read at once is the header; the file's hash and its pictures come by job. Files stay where
they are, below a data root, and are held against their size and time whenever they are opened.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import CancelledError, SegmentationError, VolumeError
from core.imaging.extraction import voxel_size_findings
from core.imaging.patch import check_pair
from core.imaging.volume import Volume, open_volume
from core.workflow.allowed import Step, check_may
from core.workflow.outcomes import DONE, FAILED, KEPT, Outcome, Progress, silent
from core.workflow.pairing import Pairing, Predicted, pair, read_manifest, sources_of
from core.workflow.roots import checked_root, contained_in, list_roots
from core.workflow.tasks import enqueue
from core.workflow.wording import checked_names
from core.workflow.workspace import Workspace
from db.errors import TomocurateError
from db.queries.people import PersonRecord
from db.queries.volumes import (
    FileRecord,
    SegmentationRecord,
    TomogramRecord,
    patch_count,
    segmentation_by_id,
    segmentations_of,
    tomogram_at,
    tomogram_by_id,
    tomogram_files,
    tomograms_hashed,
    tomograms_of_size,
)
from db.vocabulary import JobKind
from db.writes import volumes as writes
from db.writes.events import Change
from db.writes.volumes import FoundFile

HASHED_AT_ONCE = 128 << 20
"""Bytes; a file of another's size is hashed within the second that registering may take."""

_PIECE = 8 << 20


def plan_registration(
    workspace: Workspace,
    sources: Sequence[str | Path],
    *,
    segmentation: str | Path | Sequence[str | Path] | None = None,
    token: str | None = None,
    dataset: str = "other",
    voxel_size: float | None = None,
    threshold: float | None = None,
) -> tuple[Pairing, ...]:
    """Say which tomograms would be registered, and with which segmentations; nothing is written.

    Sources are files, folders, globs and CSV manifests (``tomogram, segmentation, token, dataset,
    voxel_size, threshold, model, checkpoint``). A segmentation goes to the longest tomogram stem
    that its name begins with, registered tomograms included; ``*_scores`` are none.

    Errors: VolumeError where a source holds nothing; PatchNameError for a dataset or token that
    cannot be one; what concerns one file stands in its pairing.
    """
    checked_names(dataset, token or "TS")
    listed = sources_of(sources)
    named = () if segmentation is None else sources_of(_several(segmentation)).files
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
        check_may(session, by, Step.REGISTER)
        if add_roots:
            check_may(session, by, Step.ADD_ROOT)
    outcomes = []
    for pairing in pairings:
        try:
            outcome = _register_one(workspace, by, pairing, add_roots)
        except TomocurateError as error:
            outcome = Outcome(pairing.name, FAILED, str(error), pairing.findings)
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


@contextmanager
def opened(workspace: Workspace, on_disk: FileRecord) -> Iterator[Volume]:
    """Open a registered tomogram or segmentation, which is what it was when it was registered.

    Errors: VolumeError where it moved or changed; RootError where it now leads out of its root.
    """
    path = check_unchanged(on_disk)
    contained_in((Path(on_disk.root).resolve(),), path)
    with open_volume(path) as volume:
        if tuple(volume.shape) != tuple(on_disk.shape):
            raise VolumeError(f"{path}: has another shape than when it was registered.")
        yield volume


def check_unchanged(on_disk: FileRecord) -> Path:
    """A registered file is there, with the size and time that it had; give its path.

    One that was only touched or copied passes where its hash is known and still true.

    Errors: VolumeError says what to do.
    """
    path = on_disk.file
    try:
        status = path.stat()
    except OSError as error:
        raise VolumeError(
            f"{path}: is not there ({error.strerror}), though it was registered; put it back, or "
            "state where its data root moved to (tomocurate roots move OLD NEW)."
        ) from error
    if (status.st_size, status.st_mtime_ns) == (on_disk.size_bytes, on_disk.mtime_ns):
        return path
    same_size = status.st_size == on_disk.size_bytes
    if same_size and on_disk.content_hash and _hash(path) == on_disk.content_hash:
        return path
    now = f"{status.st_size} bytes" if not same_size else "another time of change"
    raise VolumeError(
        f"{path}: changed since it was registered ({on_disk.size_bytes} bytes then, {now} now); "
        "put the old file back, or give the new one a name of its own and register it."
    )


def hash_registered(
    workspace: Workspace,
    by: PersonRecord | None,
    *,
    tomogram_id: int | None = None,
    segmentation_id: int | None = None,
    tell: Callable[[float, str], None] = lambda part, said: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Read a registered file once and note its hash; give the hash and the duplicates found.

    Errors: VolumeError where the file moved or changed; CancelledError.
    """
    record = _record(workspace, tomogram_id, segmentation_id)
    path = check_unchanged(record.on_disk)
    sha256 = _hash(path, record.on_disk.size_bytes, tell, cancelled)
    check_unchanged(record.on_disk)
    duplicates = note_hash(
        workspace, by, sha256, tomogram_id=tomogram_id, segmentation_id=segmentation_id
    )
    return {"sha256": sha256, "duplicates": list(duplicates)}


def note_hash(
    workspace: Workspace,
    by: PersonRecord | None,
    sha256: str,
    *,
    tomogram_id: int | None = None,
    segmentation_id: int | None = None,
) -> tuple[str, ...]:
    """Note the hash of a registered file; give the names of the tomograms with the same bytes."""
    with workspace.catalog.write() as session:
        change = Change.now(by.id if by else None)
        if segmentation_id is not None:
            writes.hash_segmentation(session, segmentation_id, sha256)
            return ()
        if tomogram_id is None:
            raise VolumeError("a hash belongs to a tomogram or a segmentation; name one.")
        writes.hash_tomogram(session, change, tomogram_id, sha256)
        same = tomograms_hashed(session, sha256)
    return tuple(each.name for each in same if each.id != tomogram_id)


def duplicates_of(workspace: Workspace, tomogram: TomogramRecord) -> tuple[str, ...]:
    """The other tomograms whose files hold the same bytes, as far as hashes are known."""
    if tomogram.on_disk.content_hash is None:
        return ()
    with workspace.catalog.read() as session:
        same = tomograms_hashed(session, tomogram.on_disk.content_hash)
    return tuple(each.name for each in same if each.id != tomogram.id)


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
    if pairing.error or pairing.tomogram is None:
        raise VolumeError(pairing.error or f"{pairing.name}: has no tomogram.")
    new_roots = _needed_roots(workspace, pairing, add_roots)
    roots = (*list_roots(workspace), *new_roots)
    tomogram = contained_in(roots, pairing.tomogram)
    with open_volume(tomogram) as volume:
        found, header = _found(tomogram, volume), _header(volume)
        voxel_size = pairing.voxel_size or volume.voxel_size
        predicted = [_open_segmentation(roots, each, volume) for each in pairing.segmentations]
    findings = [
        *pairing.findings, *volume.warnings, *voxel_size_findings(voxel_size),
        *(f"{root} is a data root now" for root in new_roots),
    ]  # fmt: skip
    size = voxel_size, pairing.voxel_size is not None
    sha256 = _hash_where_suspect(workspace, found)
    with workspace.catalog.write() as session:
        person = check_may(session, by, Step.REGISTER)
        change = Change.now(person.id)
        if new_roots:
            check_may(session, by, Step.ADD_ROOT)
            for root in new_roots:
                writes.add_root(session, change, root)
        there = tomogram_at(session, found.path)
        if there is None:
            name = pairing.dataset, pairing.token
            record = writes.add_tomogram(session, change, name, found, size, header)
            _enqueue(session, change, "tomogram", record.id)
        else:
            record = _kept(session, change, there, pairing, found, size, findings)
        if sha256 and there is None:
            writes.hash_tomogram(session, change, record.id, sha256)
            same = [each for each in tomograms_hashed(session, sha256) if each.id != record.id]
            findings += [f"holds the same bytes as {each.name}" for each in same]
        added = _add_segmentations(session, change, record, predicted)
    outcome = KEPT if there is not None and not added else DONE
    message = None if there is None else f"{record.name} is registered already"
    details = {
        "tomogram_id": record.id, "path": str(found.path), "shape": found.shape,
        "voxel_size": record.voxel_size, "segmentations": [str(path) for path in added],
    }  # fmt: skip
    return Outcome(record.name, outcome, message, tuple(findings), details)


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


def _kept(
    session: Any,
    change: Change,
    there: TomogramRecord,
    pairing: Pairing,
    found: FoundFile,
    size: tuple[float | None, bool],
    findings: list[str],
) -> TomogramRecord:
    """What is registered already: still the same file, or none that anything was cut from."""
    values: dict[str, Any] = {}
    if (found.size_bytes, found.mtime_ns) != (there.on_disk.size_bytes, there.on_disk.mtime_ns):
        if patch_count(session, there.id):
            raise VolumeError(
                f"{found.path}: changed since it was registered as {there.name}, and patches were "
                "chosen in the old file; put that back, or give the new one a name of its own."
            )
        z, y, x = found.shape
        values = {
            "size_bytes": found.size_bytes, "mtime_ns": found.mtime_ns, "dtype": found.dtype,
            "shape_z": z, "shape_y": y, "shape_x": x, "content_hash": None,
        }  # fmt: skip
        findings.append("the file changed since it was registered; it was read anew")
        _enqueue(session, change, "tomogram", there.id)
    if size[1] and size[0] != there.voxel_size:
        values |= {"voxel_size": size[0], "voxel_size_is_override": True}
    if not values:
        return there
    return writes.change_tomogram(session, change, there.id, "tomogram registered again", **values)


def _add_segmentations(
    session: Any,
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
        _enqueue(session, change, "segmentation", record.id)
        added.append(found.path)
    return added


def _enqueue(session: Any, change: Change, what: str, key: int) -> None:
    arguments: Mapping[str, Any] = {f"{what}_id": key}
    enqueue(session, change, JobKind.PREVIEW, arguments, key=f"preview:{what}:{key}", priority=1)
    enqueue(session, change, JobKind.HASH, arguments, key=f"hash:{what}:{key}")


def _open_segmentation(
    roots: tuple[Path, ...], predicted: Predicted, tomogram: Volume
) -> tuple[Predicted, FoundFile]:
    path = contained_in(roots, predicted.path)
    try:
        with open_volume(path) as volume:
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
    return _hash(found.path) if hashed else None


def _record(
    workspace: Workspace, tomogram_id: int | None, segmentation_id: int | None
) -> TomogramRecord | SegmentationRecord:
    with workspace.catalog.read() as session:
        if tomogram_id is not None:
            return tomogram_by_id(session, tomogram_id)
        if segmentation_id is not None:
            return segmentation_by_id(session, segmentation_id)
    raise VolumeError("a hash belongs to a tomogram or a segmentation; name one.")


def _hash(
    path: Path,
    size: int = 0,
    tell: Callable[[float, str], None] = lambda part, said: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> str:
    """The sha256 of a file, read once from one descriptor."""
    digest, done = hashlib.sha256(), 0
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                if cancelled():
                    raise CancelledError(f"{path}: hashing was cancelled.")
                digest.update(piece)
                done += len(piece)
                tell(min(1.0, done / size) if size else 0.0, path.name)
    except OSError as error:
        raise VolumeError(f"{path}: cannot be read ({error.strerror}).") from error
    return digest.hexdigest()
