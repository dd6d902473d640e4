"""Register tomograms with their segmentations: paired by name, shown first, then taken.

What is read at once is the header; the file's hash and its pictures come by job. Files stay where
they are, below a data root, and are compared by size and time whenever they are opened.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.errors import RootError, VolumeError
from core.files.threads import side_by_side
from core.imaging.extraction import token_of
from core.imaging.formats.volume import open_volume
from core.lab.lab import Lab
from core.patches.record import write_record
from core.tomograms.data_roots import list_roots
from core.tomograms.discovery.headers import Seen, read_headers
from core.tomograms.discovery.layouts import Layout, read_layout
from core.tomograms.discovery.manifest import read_manifest
from core.tomograms.discovery.pairing import Pairing, pair, real, sources_of
from core.tomograms.known_files import (
    Update,
    ask_for_pictures,
    move_tomogram,
    update_segmentations,
    update_tomogram,
)
from core.tomograms.pictures import tomogram_name
from core.tomograms.voxel_size import check_voxel_size
from core.workspace.results import DONE, FAILED, KEPT, Outcome, Progress, silent
from core.workspace.text import check_names, check_threshold
from core.workspace.workspace import Workspace
from db.errors import TakenNameError, TomocurateError
from db.queries.volumes import (
    SegmentationRecord,
    likely_twins,
    segmentations_of,
    token_twin,
    tomogram_at,
    tomogram_files,
)
from db.writes import volumes as writes
from db.writes.events import Change
from db.writes.volumes import FoundFile

OTHER = "other"
"""The dataset of tomograms for which none was stated."""


def plan_registration(
    workspace: Workspace,
    sources: Sequence[str | Path],
    *,
    segmentation: str | Path | Sequence[str | Path] | None = None,
    token: str | None = None,
    dataset: str | None = None,
    voxel_size: float | None = None,
    threshold: float | None = None,
    membrane_label: int | None = None,
    layout: Layout | None = None,
    as_segmentation: str | None = None,
    within_roots: bool = False,
) -> tuple[Pairing, ...]:
    """Plan which tomograms are registered, and with which segmentations; nothing is written.

    Sources are files, folders, globs and CSV manifests (see ``manifest.COLUMNS``). A segmentation
    goes to the longest tomogram stem that its name begins with, registered tomograms included;
    ``*_scores`` are skipped. With a ``layout`` the one source is a folder that its program wrote
    (see ``layouts``). The dataset is ``other`` where none is stated. ``within_roots`` is
    for pages: not even the names of files outside all data roots are told.

    Errors: RootError for a file outside the roots, where they count; VolumeError where a source
    holds nothing; PatchNameError for a dataset or token that cannot be one; what concerns one
    file stands in its pairing.
    """
    named = check_names(OTHER if dataset is None else dataset, "TS" if token is None else token)
    with workspace.catalog.read() as session:
        registered = dict(tomogram_files(session))
    roots = list_roots(workspace) if within_roots else None
    if layout is None:
        pairings = _pairings(sources, segmentation, registered, roots)
    else:
        pairings = _laid_out(sources, layout, as_segmentation, registered, roots)
    if token is not None:
        _check_one(pairings, token)
    stated = (dataset and named[0], token and named[1])
    return tuple(
        _check_pairing(
            _stating(
                _assign_names(pairing, stated, registered), voxel_size, threshold, membrane_label
            )
        )
        for pairing in pairings
    )


def read_voxel_sizes(
    workspace: Workspace, pairings: Sequence[Pairing], *, within_roots: bool = False
) -> tuple[Pairing, ...]:
    """Add to each pairing the voxel size of its header, to show before registering."""
    roots = list_roots(workspace) if within_roots else None

    def read(pairing: Pairing) -> Pairing:
        if pairing.tomogram is None or pairing.error:
            return pairing
        try:
            with open_volume(pairing.tomogram, roots) as volume:
                return replace(pairing, header_voxel_size=volume.voxel_size)
        except (TomocurateError, OSError):
            return pairing  # registering says what is wrong with the file

    return tuple(side_by_side(read, pairings))


def register(
    lab: Lab,
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
    with lab.catalog.read() as session:
        require(session, lab.person, Action.REGISTER)
        if add_roots:
            require(session, lab.person, Action.ADD_ROOT)
    outcomes = []
    for pairing in pairings:
        try:
            outcome = _register_one(lab, pairing, add_roots)
        except TomocurateError as error:
            outcome = Outcome(pairing.name, FAILED, str(error), pairing.findings)
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


def _check_within(roots: Sequence[Path], files: Iterable[Path]) -> None:
    """Check that every file lies below a data root, with its links resolved."""
    for path in files:
        if not any(real(path).is_relative_to(root) for root in roots):
            raise RootError("what was named lies below no data root; choose files below one.")


def _pairings(
    sources: Sequence[str | Path],
    segmentation: str | Path | Sequence[str | Path] | None,
    registered: Mapping[Path, str],
    roots: Sequence[Path] | None,
) -> list[Pairing]:
    """Pair what files, folders, globs and manifests name."""
    listed = sources_of(sources)
    predictions = () if segmentation is None else sources_of(_several(segmentation)).files
    if roots is not None:
        _check_within(roots, (*listed.files, *listed.manifests, *predictions))
    pairings = [*pair(listed.files, predictions, registered.items())]
    for manifest in listed.manifests:
        pairings += read_manifest(manifest)
    return pairings


def _laid_out(
    sources: Sequence[str | Path],
    layout: Layout,
    as_segmentation: str | None,
    registered: Mapping[Path, str],
    roots: Sequence[Path] | None,
) -> list[Pairing]:
    """Pair the files of a program's folder; what is registered keeps its name."""
    folders = [Path(source) for source in sources]
    if len(folders) != 1 or not folders[0].is_dir():
        raise VolumeError(f"--layout {layout} takes one folder; name the one that it wrote.")
    if roots is not None:
        _check_within(roots, folders)
    pairings = read_layout(folders[0], layout, as_segmentation)
    if roots is not None:
        _check_within(roots, (pairing.tomogram for pairing in pairings if pairing.tomogram))
    return [
        replace(pairing, token="")
        if pairing.tomogram and real(pairing.tomogram) in registered
        else pairing
        for pairing in pairings
    ]


def _several(given: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [given] if isinstance(given, str | Path) else given


def _check_one(pairings: Sequence[Pairing], token: str) -> None:
    tomograms = [pairing for pairing in pairings if pairing.tomogram is not None]
    if len(tomograms) != 1:
        raise VolumeError(
            f"--token {token} names one tomogram, but {len(tomograms)} files were given; leave "
            "--token out, or write a manifest."
        )


def _assign_names(
    pairing: Pairing, stated: tuple[str | None, str | None], registered: Mapping[Path, str]
) -> Pairing:
    """Give a pairing its dataset and token; a registered tomogram keeps the ones it has."""
    dataset, token = pairing.dataset or stated[0], pairing.token or stated[1]
    if pairing.tomogram is None or pairing.error:
        return replace(pairing, dataset=dataset or OTHER)
    known = registered.get(real(pairing.tomogram))
    if known is None:
        token = token or token_of(pairing.tomogram)
        return replace(pairing, dataset=dataset or OTHER, token=token)
    had = known.split("/")
    wanted = (dataset or had[0], token or had[1])
    pairing = replace(pairing, dataset=had[0], token=had[1], registered_as=known)
    if list(wanted) == had:
        return pairing
    return replace(
        pairing,
        error=f"{pairing.tomogram}: is registered as {known}; to give it another name: tomocurate "
        f"rename {known} {'/'.join(wanted)}",
    )


def _stating(
    pairing: Pairing,
    voxel_size: float | None,
    threshold: float | None,
    membrane_label: int | None,
) -> Pairing:
    """Fill in what was stated for all files where a pairing states nothing of its own."""
    size = pairing.voxel_size if pairing.voxel_size is not None else voxel_size
    segmentations = tuple(
        replace(
            segmentation,
            threshold=threshold if segmentation.threshold is None else segmentation.threshold,
            membrane_label=membrane_label
            if segmentation.membrane_label is None
            else segmentation.membrane_label,
        )
        for segmentation in pairing.segmentations
    )
    return replace(pairing, voxel_size=size, segmentations=segmentations)


def _check_pairing(pairing: Pairing) -> Pairing:
    """Names that can be file names, and a voxel size that can be one."""
    if pairing.error or pairing.tomogram is None:
        return pairing
    try:
        dataset, token = check_names(pairing.dataset, pairing.token)
        check_voxel_size(pairing.voxel_size)
        for segmentation in pairing.segmentations:
            check_threshold(segmentation.threshold)
            _check_label(segmentation.membrane_label)
    except TomocurateError as error:
        return replace(pairing, error=f"{pairing.tomogram}: {error}")
    return replace(pairing, dataset=dataset, token=token)


def _check_label(label: int | None) -> None:
    if label is not None and not 0 < label < 1 << 15:
        raise VolumeError(f"invalid membrane label {label}: must be a whole number from 1 on.")


def _register_one(lab: Lab, pairing: Pairing, add_roots: bool) -> Outcome:
    seen = read_headers(lab.workspace, pairing, add_roots)
    with lab.catalog.write() as session:
        change = Change.now(require(session, lab.person, Action.REGISTER).id)
        if seen.new_roots:
            require(session, lab.person, Action.ADD_ROOT)
        for root in seen.new_roots:
            writes.add_root(session, change, root)
        there = tomogram_at(session, seen.found.path)
        if there is not None:
            update = update_tomogram(
                session=session,
                change=change,
                there=there,
                file=seen.found,
                header=seen.header,
                voxel_size=seen.voxel_size,
                known=seen.known,
            )
        elif seen.known.moved_from is not None:
            there = seen.known.moved_from
            update = move_tomogram(session, change, there, seen.found)
        else:
            update = _add(session, change, pairing, seen)
        update_segmentations(
            session, change, update, list(_match_records(session, update, seen)), seen.known
        )
    for patch in update.patches:
        write_record(lab.workspace, patch)
    record = update.tomogram
    details = {
        "tomogram_id": record.id,
        "path": str(seen.found.path),
        "shape": seen.found.shape,
        "voxel_size": record.voxel_size,
        "segmentations": [str(path) for path in update.segmentations],
    }
    message = None if there is None else f"{record.name} is registered already"
    outcome = DONE if update.changed or update.segmentations or update.patches else KEPT
    return Outcome(record.name, outcome, message, (*seen.findings, *update.findings), details)


def _match_records(
    session: Session, update: Update, seen: Seen
) -> Iterator[tuple[SegmentationRecord | None, FoundFile, dict[str, Any]]]:
    """Yield each segmentation with its record, where its path is registered."""
    known = {item.on_disk.file: item for item in segmentations_of(session, update.tomogram.id)}
    for item, found in seen.predicted:
        origin = {
            "model": item.model,
            "checkpoint": item.checkpoint,
            "threshold": item.threshold,
            "membrane_label": item.membrane_label,
        }
        yield known.get(found.path), found, origin


def _add(session: Session, change: Change, pairing: Pairing, seen: Seen) -> Update:
    name = pairing.dataset, pairing.token
    twin = token_twin(session, *name)
    if twin is not None:
        raise TakenNameError(
            f"tomogram {pairing.name}: differs from {twin} in capital letters alone, which Windows "
            "and macOS do not tell apart; name another with --token."
        )
    record = writes.add_tomogram(session, change, name, seen.found, seen.voxel_size, seen.header)
    ask_for_pictures(session, change, tomogram_name(record.id))
    findings = []
    if seen.sha256 is not None:
        same = writes.hash_tomogram(session, change, record.id, seen.sha256)
        findings = [f"holds the same bytes as {item}" for item in same]
    twins = likely_twins(session, *name)
    if twins:
        findings.append(
            "is named like another reconstruction of the same specimen; if it is, keep them on one "
            f"side of every split: tomocurate group {' '.join((*twins, record.name))}"
        )
    return Update(record, findings, changed=True)
