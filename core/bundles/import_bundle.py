"""Take a bundle of another group into the catalog: look at it first, then let it in.

Its patches come in accepted, with licence and attribution frozen. What is here already is left
out; the same image with another label is kept as a second annotation. Doing it again adds nothing.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.access.permissions import Action, require
from core.bundles.import_check import CheckedBundle, CheckedCase, Progress
from core.bundles.import_preview import Fate, Incoming, Quarantine, Stated, compare, opened_bundle
from core.bundles.same_place import Alike, note_likenesses
from core.corrections.store import Store, Stored
from core.exports.validate import read_label
from core.files.atomic import whole_file
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid
from core.imaging.hashes import content_hash
from core.imaging.labels import Label
from core.patches.record import write_sidecar
from core.workspace.enqueue import enqueue
from core.workspace.results import DONE, SKIPPED, Outcome, silent
from core.workspace.results import Progress as Told
from core.workspace.workspace import Workspace
from db.queries.people import PersonRecord
from db.queries.sharing import taken_names
from db.vocabulary import JobKind
from db.writes.events import Change
from db.writes.sharing import IncomingPatch, add_bundle, add_second_annotation, import_patch

AT_ONCE = 100
"""Patches in one transaction."""


@dataclass(frozen=True)
class _Placed:
    """A case whose files lie in the workspace."""

    incoming: Incoming
    patch: IncomingPatch


def look_into(
    workspace: Workspace,
    by: PersonRecord,
    source: Path,
    stated: Stated | None = None,
    *,
    progress: Progress | None = None,
) -> Quarantine:
    """Verify a bundle and say what it would bring; nothing is taken in.

    Errors: ArchiveError; BundleError; NotAllowedError.
    """
    _check_may(workspace, by)
    with opened_bundle(workspace, Path(source), stated, progress) as bundle:
        return compare(workspace, bundle)


def import_bundle(
    workspace: Workspace,
    by: PersonRecord,
    source: Path,
    stated: Stated | None = None,
    *,
    progress: Told = silent,
) -> tuple[Outcome, ...]:
    """Verify a bundle and take it in; one outcome for each of its patches.

    ``stated`` is for plain folders, which say nothing of themselves.

    Errors: ArchiveError; BundleError; NotAllowedError; OutputError.
    """
    _check_may(workspace, by)
    outcomes: list[Outcome] = []
    with opened_bundle(workspace, Path(source), stated, None) as bundle:
        quarantine = compare(workspace, bundle)
        known: dict[str, int] = {}
        for part in _parts(quarantine.incoming):
            for outcome in _take_in(workspace, by, quarantine, part, known):
                outcomes.append(outcome)
                progress(outcome)
    _note_alike(workspace, by, quarantine, known)
    for outcome in outcomes:
        if outcome.outcome == DONE:
            write_sidecar(workspace, outcome.details["patch"])
    return tuple(outcomes)


def _check_may(workspace: Workspace, by: PersonRecord) -> None:
    with workspace.catalog.read() as session:
        require(session, by, Action.IMPORT)


def _take_in(
    workspace: Workspace,
    by: PersonRecord,
    quarantine: Quarantine,
    part: Sequence[Incoming],
    known: dict[str, int],
) -> list[Outcome]:
    """Place the files, then record them in one transaction; files of a failure leave."""
    statement = quarantine.bundle.statement
    wanted = [each for each in part if each.fate is not Fate.KNOWN]
    placed = _placed(workspace, quarantine.bundle, wanted)
    made: dict[str, tuple[int, str]] = {}
    try:
        with workspace.catalog.write() as session:
            require(session, by, Action.IMPORT)
            change = Change.now(by.id)
            about = statement.title, statement.licence.value, statement.attribution
            bundle_id = add_bundle(
                session, change, statement.bundle_id, about, quarantine.bundle.sha256
            )
            for each in placed:
                case = each.incoming.case.patch_id
                if each.incoming.fate is Fate.NEW:
                    patch = import_patch(session, change, bundle_id, each.patch)
                    known[case] = patch.id
                else:
                    like = each.incoming.like
                    patch_id = like if isinstance(like, int) else known[str(like)]
                    patch = add_second_annotation(session, change, patch_id, each.patch)
                made[case] = patch.id, patch.name
            new = [made[e.incoming.case.patch_id][0] for e in placed if e.incoming.fate is Fate.NEW]
            if new:
                key = f"duplicates of {statement.bundle_id} from {new[0]}"
                enqueue(session, change, JobKind.DUPLICATES, {"patch_ids": new}, key=key)
    except BaseException:
        _remove(workspace, placed)
        raise
    return [_outcome(each, made, quarantine.names) for each in part]


def _placed(
    workspace: Workspace, bundle: CheckedBundle, incoming: Sequence[Incoming]
) -> list[_Placed]:
    with workspace.catalog.read() as session:
        taken = taken_names(session)
    placed: list[_Placed] = []
    try:
        for each in incoming:
            name = _free_name(workspace, each.case, taken)
            taken.add(name.casefold())
            placed.append(_Placed(each, _place(workspace, bundle, each, name)))
    except BaseException:
        _remove(workspace, placed)
        raise
    return placed


def _free_name(workspace: Workspace, case: CheckedCase, taken: set[str]) -> str:
    """The case's own name, or with the next number that is free in catalog and folders."""
    front, _, number = case.patch_id.rpartition("_patch")
    free = int(number)
    while True:
        name = f"{front}_patch{free}"
        there = any(os.path.lexists(path) for path in _files_of(workspace, name))
        if name.casefold() not in taken and not there:
            return name
        free += 1


def _place(
    workspace: Workspace, bundle: CheckedBundle, incoming: Incoming, name: str
) -> IncomingPatch:
    """Put a case's files where patches lie; the label also into the store."""
    case, folders = incoming.case, workspace.folders
    label = read_label(case.label)
    with open_volume(case.image) as volume:
        grid = volume.grid or Grid.aligned(case.voxel_size or 1.0)
    if incoming.fate is Fate.NEW:
        stored = _place_new(workspace, case.image, label, grid, name)
    else:
        with TemporaryDirectory(prefix=".incoming-", dir=folders.cache) as beside:
            path = Path(beside) / "label.nii.gz"
            write_nifti(path, label, grid)
            stored = Store(folders.store).put_file(path)
    token, _, number = name.partition("_")[2].rpartition("_patch")
    return IncomingPatch(
        name=name,
        dataset=name.partition("_")[0],
        token=token,
        number=int(number),
        shape=case.shape,
        voxel_size=case.voxel_size,
        image_hash=case.image_hash,
        label_hash=content_hash(label),
        file_sha256=stored.sha256,
        size_bytes=stored.size,
        values=asdict(case.counts),
        origin=_origin(bundle, incoming),
        note=_note(bundle, case),
        findings=incoming.notes,
    )


def _place_new(workspace: Workspace, source: Path, label: Label, grid: Grid, name: str) -> Stored:
    """Put a new patch's three files where nothing lies; what fails takes its own back."""
    image, predicted, merged = _files_of(workspace, name)
    with ExitStack() as undo:
        with whole_file(image, exist_ok=False) as partial:
            shutil.copyfile(source, partial)
        undo.callback(image.unlink, missing_ok=True)
        for path in (predicted, merged):
            write_nifti(path, label, grid, exist_ok=False)
            undo.callback(path.unlink, missing_ok=True)
        stored = Store(workspace.folders.store).put_file(merged)
        undo.pop_all()
    return stored


def _files_of(workspace: Workspace, name: str) -> tuple[Path, Path, Path]:
    """Where a patch's image, extracted label and merged label lie."""
    folders = workspace.folders
    return folders.image_of(name), folders.label_of(name), folders.merged_of(name)


def _origin(bundle: CheckedBundle, incoming: Incoming) -> dict[str, Any]:
    """Where a patch comes from, and what it may be used for: never changed again."""
    said, case = bundle.statement, incoming.case
    found = incoming.agreement
    return {
        "bundle": said.bundle_id,
        "title": said.title,
        "version": said.version,
        "doi": said.doi,
        "level": said.level.value,
        "patch_id": case.patch_id,
        "source_group": case.source_group,
        "split": _split(bundle, case),
        "licence": case.licence.value,
        "attribution": case.attribution,
        "model": case.model,
        "normalised": case.normalised,
        "core_only": said.core_only or case.core_only,
        "agreement": found and {"dice": found.dice, "surface_dice": found.surface_dice},
    }


def _split(bundle: CheckedBundle, case: CheckedCase) -> str | None:
    """Where it was; a plain folder that puts all into training says nothing with it."""
    said = {each.split for each in bundle.cases}
    return None if bundle.statement.plain and len(said) == 1 else case.split.value


def _note(bundle: CheckedBundle, case: CheckedCase) -> str:
    said = bundle.statement
    return f"{case.patch_id} of {said.title}; {case.licence}; {case.attribution}"[:2000]


def _outcome(
    each: Incoming, made: Mapping[str, tuple[int, str]], names: Mapping[int, str]
) -> Outcome:
    case = each.case.patch_id
    like = names.get(each.like, str(each.like)) if isinstance(each.like, int) else each.like
    if each.fate is Fate.KNOWN:
        return Outcome(case, SKIPPED, f"is here already, as {like}", each.notes)
    patch_id, name = made[case]
    details = {"patch": name, "patch_id": patch_id}
    if each.fate is Fate.NEW:
        return Outcome(case, DONE, f"came in as {name}", each.notes, details)
    found = each.agreement
    dice = "" if found is None or found.dice is None else f", Dice {found.dice:.3f}"
    return Outcome(case, DONE, f"is a second annotation of {name}{dice}", each.notes, details)


def _note_alike(
    workspace: Workspace, by: PersonRecord, quarantine: Quarantine, known: Mapping[str, int]
) -> None:
    """Record what was found alike, now that the cases have their patches."""
    ids = {
        -number: known[case.patch_id]
        for number, case in enumerate(quarantine.bundle.cases, 1)
        if case.patch_id in known
    }
    pairs = [
        Alike((ids.get(a, a), ids.get(b, b)), each.found)
        for each in quarantine.alike
        for a, b in [each.pair]
    ]
    note_likenesses(workspace, by, [each for each in pairs if min(each.pair) > 0])


def _remove(workspace: Workspace, placed: Sequence[_Placed]) -> None:
    """Take files back that the catalog does not know; the store keeps what it has."""
    for each in placed:
        if each.incoming.fate is Fate.NEW:
            for path in _files_of(workspace, each.patch.name):
                path.unlink(missing_ok=True)


def _parts(incoming: Sequence[Incoming]) -> Iterator[list[Incoming]]:
    left = iter(incoming)
    while part := list(islice(left, AT_ONCE)):
        yield part
