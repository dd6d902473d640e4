"""Take a bundle of another group into the catalog: look at it first, then let it in.

Its patches come in accepted, with licence and attribution frozen. What is here already is left
out; the same image with another label is kept as a second annotation. Doing it again adds nothing.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action
from core.bundles.import_check import CheckedBundle, CheckedCase, Progress
from core.bundles.import_preview import (
    CaseStatus,
    FolderFacts,
    ImportPreview,
    IncomingCase,
    compare,
    open_bundle,
    sort_cases,
)
from core.corrections.store import Store, Stored
from core.exports.validate import read_label
from core.files.atomic import whole_file
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid
from core.imaging.hashes import content_hash
from core.imaging.labels import Label
from core.lab.lab import Lab
from core.workspace.locks import patch_lock
from core.workspace.results import DONE, SKIPPED, Outcome, silent
from core.workspace.results import Progress as Told
from core.workspace.workspace import Workspace
from db.errors import ConflictError
from db.queries.patches import patch_by_id
from db.queries.sharing import known_hashes, taken_names
from db.writes.events import Change
from db.writes.sharing import IncomingPatch, add_bundle, add_second_annotation, import_patch

AT_ONCE = 100
"""Patches in one transaction."""

ATTEMPTS = 5
"""How often a part is compared again where another machine was first."""


@dataclass(frozen=True)
class _Placed:
    """A case whose files lie in the workspace."""

    incoming: IncomingCase
    patch: IncomingPatch


def preview_bundle(
    lab: Lab,
    source: Path,
    stated: FolderFacts | None = None,
    *,
    progress: Progress | None = None,
) -> ImportPreview:
    """Verify a bundle and say what it would bring; nothing is imported.

    Errors: ArchiveError; BundleError; NotAllowedError.
    """
    _refuse_early(lab)
    with (
        open_bundle(lab.workspace, Path(source), stated, progress) as bundle,
        lab.read(Action.IMPORT),
    ):
        return compare(lab, bundle)


def import_bundle(
    lab: Lab,
    source: Path,
    stated: FolderFacts | None = None,
    *,
    progress: Told = silent,
) -> tuple[Outcome, ...]:
    """Verify a bundle and take it in; one outcome for each of its patches.

    ``stated`` is for plain folders, which say nothing of themselves. Several imports at once
    take turns, a part each, and look at the catalog anew in their turn: a patch comes in once.

    Errors: ArchiveError; BundleError; NotAllowedError; OutputError; ConflictError.
    """
    _refuse_early(lab)
    outcomes: list[Outcome] = []
    with open_bundle(lab.workspace, Path(source), stated, None) as bundle:
        for part in _parts(bundle.cases):
            for outcome in _import_part(lab, bundle, part):
                outcomes.append(outcome)
                progress(outcome)
    return tuple(outcomes)


def _refuse_early(lab: Lab) -> None:
    """Refuse who may not import before anything is unpacked; each part is checked again."""
    with lab.read(Action.IMPORT):
        return


def _import_part(lab: Lab, bundle: CheckedBundle, cases: Sequence[CheckedCase]) -> list[Outcome]:
    """Import some cases while no other import on this file system does.

    Errors: ConflictError where imports on other machines were first, time and again.
    """
    for _ in range(ATTEMPTS):
        with patch_lock(lab.workspace, "imports", "import"), suppress(_OvertakenError):
            return _take_in(lab, bundle, sort_cases(lab, bundle, cases))
    raise ConflictError("another import brought the same patches just now; import it again.")


class _OvertakenError(Exception):
    """An import on another machine recorded one of the images since they were compared."""


def _take_in(lab: Lab, bundle: CheckedBundle, part: Sequence[IncomingCase]) -> list[Outcome]:
    """Place the files, then record them in one transaction; files of a failure leave."""
    workspace = lab.workspace
    placed = _place_files(
        workspace, bundle, [item for item in part if item.status is not CaseStatus.KNOWN]
    )
    try:
        with lab.change(Action.IMPORT) as changes:
            made = _record(changes.session, changes.change, bundle, placed)
            for _, name in made.values():
                changes.record(name)
            likes = {item.like for item in part if isinstance(item.like, int)}
            names = {id_: patch_by_id(changes.session, id_).name for id_ in likes}
    except BaseException:
        _remove(workspace, placed)
        raise
    return [_outcome(item, made, names) for item in part]


def _record(
    session: Session, change: Change, bundle: CheckedBundle, placed: Sequence[_Placed]
) -> dict[str, tuple[int, str]]:
    """Record what was placed; patch id and name by case."""
    statement = bundle.statement
    about = statement.title, statement.licence.value, statement.attribution
    bundle_id = add_bundle(session, change, statement.bundle_id, about, bundle.sha256)
    new = [item.patch.image_hash for item in placed if item.incoming.status is CaseStatus.NEW]
    if known_hashes(session, new):
        raise _OvertakenError
    made: dict[str, tuple[int, str]] = {}
    for item in placed:
        like = item.incoming.like
        if item.incoming.status is CaseStatus.NEW:
            patch = import_patch(session, change, bundle_id, item.patch)
        else:
            patch_id = like if isinstance(like, int) else made[str(like)][0]
            patch = add_second_annotation(session, change, patch_id, item.patch)
        made[item.incoming.case.patch_id] = patch.id, patch.name
    return made


def _place_files(
    workspace: Workspace, bundle: CheckedBundle, incoming: Sequence[IncomingCase]
) -> list[_Placed]:
    with workspace.catalog.read() as session:
        taken = taken_names(session)
    placed: list[_Placed] = []
    try:
        for item in incoming:
            name = _free_name(workspace, item.case, taken)
            taken.add(name.casefold())
            placed.append(_Placed(item, _place(workspace, bundle, item, name)))
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
    workspace: Workspace, bundle: CheckedBundle, incoming: IncomingCase, name: str
) -> IncomingPatch:
    """Put a case's files where patches lie; the label also into the store."""
    case, folders = incoming.case, workspace.folders
    label = read_label(case.label)
    with open_volume(case.image) as volume:
        grid = volume.grid or Grid.aligned(case.voxel_size or 1.0)
    if incoming.status is CaseStatus.NEW:
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
    """Return the paths of a patch's image, extracted label and merged label."""
    folders = workspace.folders
    return folders.image_of(name), folders.label_of(name), folders.merged_of(name)


def _origin(bundle: CheckedBundle, incoming: IncomingCase) -> dict[str, Any]:
    """Return the origin and the permitted use of an imported patch; both stay as imported."""
    statement, case = bundle.statement, incoming.case
    agreement = incoming.agreement
    return {
        "bundle": statement.bundle_id,
        "title": statement.title,
        "version": statement.version,
        "doi": statement.doi,
        "level": statement.level.value,
        "patch_id": case.patch_id,
        "source_group": case.source_group,
        "split": _split(bundle, case),
        "licence": case.licence.value,
        "attribution": case.attribution,
        "model": case.model,
        "normalised": case.normalised,
        "core_only": statement.core_only or case.core_only,
        "agreement": agreement and {"dice": agreement.dice, "surface_dice": agreement.surface_dice},
    }


def _split(bundle: CheckedBundle, case: CheckedCase) -> str | None:
    """Return the split of a case; a plain folder with training cases only states none."""
    splits = {case.split for case in bundle.cases}
    return None if bundle.statement.plain and len(splits) == 1 else case.split.value


def _note(bundle: CheckedBundle, case: CheckedCase) -> str:
    statement = bundle.statement
    return f"{case.patch_id} of {statement.title}; {case.licence}; {case.attribution}"[:2000]


def _outcome(
    each: IncomingCase, made: Mapping[str, tuple[int, str]], names: Mapping[int, str]
) -> Outcome:
    case = each.case.patch_id
    like = names.get(each.like, str(each.like)) if isinstance(each.like, int) else each.like
    if each.status is CaseStatus.KNOWN:
        return Outcome(case, SKIPPED, f"already in the catalog as {like}")
    patch_id, name = made[case]
    details = {"patch": name, "patch_id": patch_id}
    if each.status is CaseStatus.NEW:
        return Outcome(case, DONE, f"imported as {name}", details=details)
    agreement = each.agreement
    dice = "" if agreement is None or agreement.dice is None else f", Dice {agreement.dice:.3f}"
    return Outcome(case, DONE, f"added as a second annotation of {name}{dice}", details=details)


def _remove(workspace: Workspace, placed: Sequence[_Placed]) -> None:
    """Take files back that the catalog does not know; the store keeps what it has."""
    for item in placed:
        if item.incoming.status is CaseStatus.NEW:
            for path in _files_of(workspace, item.patch.name):
                path.unlink(missing_ok=True)


def _parts(cases: Sequence[CheckedCase]) -> Iterator[list[CheckedCase]]:
    left = iter(cases)
    while part := list(islice(left, AT_ONCE)):
        yield part
