"""Rename a tomogram: its patches and their files take the new name, and nothing is lost midway.

Files get their new names beside the old ones first, then the catalog changes in one transaction,
then the old names go. A process that ends in between leaves both names; renaming again removes
the old ones.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.corrections.store import same_bytes
from core.errors import OutputError
from core.lab.file_moves import finish_placing
from core.lab.lab import Lab
from core.patches.record import write_record
from core.workspace.folders import WITHDRAWN, make_shared
from core.workspace.locks import patch_locks
from core.workspace.results import DONE, KEPT, Outcome
from core.workspace.text import check_names
from core.workspace.workspace import Workspace
from db.errors import StepError, TakenNameError
from db.queries.jobs import JobFilter, list_jobs
from db.queries.page import MAX_LIMIT
from db.queries.patches import PatchRecord, former_names, patches_in
from db.queries.people import PersonRecord
from db.queries.volumes import TomogramRecord, get_tomogram, token_twin
from db.writes.events import Change
from db.writes.patches import lock_patch, rename_patch
from db.writes.volumes import drop_unused_dataset, rename_tomogram


def rename(lab: Lab, tomogram: str, dataset: str, token: str) -> Outcome:
    """Give a tomogram another dataset and token; its patches, files and records follow.

    Exports that were written stay as they are; the split of its patches is kept.

    Errors: NotAllowedError; UnknownNameError; PatchNameError for a name that cannot be one;
    TakenNameError; StepError while jobs work on its patches.
    """
    dataset, token = check_names(dataset, token)
    with lab.catalog.read() as session:
        require(session, lab.person, Action.REGISTER)
        found = get_tomogram(session, tomogram)
        moves = _moves(session, found, (dataset, token))
        formers = [(old, new) for _, new in moves for old in former_names(session, new)]
    new_name = f"{dataset}/{token}"
    if found.name == new_name:
        old_files = [path for old, new in formers for path in _remove_old(lab.workspace, old, new)]
        held = tuple(f"{path}: has an old name; move it" for path in old_files)
        return Outcome(new_name, KEPT, "has this name already", held)
    with patch_locks(lab.workspace, [name for move in moves for name in move]):
        with ExitStack() as undo:
            for old, new in moves:
                finish_placing(lab.workspace, old)
                _add_new(lab.workspace, old, new, undo)
            with lab.catalog.write() as session:
                _rename_rows(session, lab.person, found, (dataset, token), moves)
            undo.pop_all()
        left = [path for old, new in moves for path in _remove_old(lab.workspace, old, new)]
    for _, new in moves:
        write_record(lab.workspace, new)
    findings = [f"{len(moves)} patches were renamed with it"] if moves else []
    findings += [f"{path}: came in under the old name meanwhile; move it" for path in left]
    return Outcome(new_name, DONE, f"was {found.name}", tuple(findings))


def _moves(
    session: Session, tomogram: TomogramRecord, name: tuple[str, str]
) -> list[tuple[str, str]]:
    """List the old and new names of its patches; a name that an adopted folder had is kept."""
    return [(patch.name, _new_name(patch, name)) for patch in patches_in(session, tomogram.id)]


def _new_name(patch: PatchRecord, name: tuple[str, str]) -> str:
    before, mark, number = patch.name.rpartition("_patch")
    follows = before == f"{patch.dataset}_{patch.token}"
    return f"{'_'.join(name)}{mark}{number}" if follows else patch.name


def _rename_rows(
    session: Session,
    by: PersonRecord,
    tomogram: TomogramRecord,
    name: tuple[str, str],
    moves: Sequence[tuple[str, str]],
) -> None:
    change = Change.now(require(session, by, Action.REGISTER).id)
    now = get_tomogram(session, tomogram.name)
    twin = token_twin(session, *name)
    if twin is not None and twin != now.token:
        raise TakenNameError(
            f"tomogram {'/'.join(name)}: differs from {twin} in capital letters alone, which "
            "Windows and macOS do not tell apart; choose another token."
        )
    if _moves(session, now, name) != list(moves):
        raise StepError(f"{tomogram.name}: a patch was chosen in it meanwhile; run it again.")
    _check_idle(session, moves)
    rename_tomogram(session, change, now, *name)
    for old, new in moves:
        rename_patch(session, change, lock_patch(session, old), new, name)
    drop_unused_dataset(session, tomogram.dataset)


def _check_idle(session: Session, moves: Sequence[tuple[str, str]]) -> None:
    names = {old for old, _ in moves}
    for job in list_jobs(session, JobFilter(active=True), limit=MAX_LIMIT):
        if names & set(job.arguments.get("names", ())):
            raise StepError(
                f"job {job.id} ({job.kind}) works on its patches; rename it when that has ended, "
                f"or cancel it: tomocurate jobs cancel {job.id}"
            )


def _files(workspace: Workspace, old: str, new: str) -> Iterator[tuple[Path, Path]]:
    """Yield every file of a patch with its new path."""
    folders = workspace.folders
    for place in (folders.image_of, folders.label_of, folders.merged_of):
        if place(old).is_file():
            yield place(old), place(new)
    start = folders.corrections_of(old)
    for folder, _, names in os.walk(start):
        target = folders.corrections_of(new) / Path(folder).relative_to(start)
        for name in names:
            yield Path(folder, name), target / name


def _add_new(workspace: Workspace, old: str, new: str, undo: ExitStack) -> None:
    """Give the files of a patch their new names beside the old ones; ``undo`` takes them back.

    Errors: OutputError where another file has a new name.
    """
    if old == new:
        return
    folder = workspace.folders.corrections_of(new)
    if not folder.exists():
        undo.callback(_remove_empty, folder)
    make_shared(folder)
    for source, target in _files(workspace, old, new):
        make_shared(target.parent)
        try:
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            if not source.samefile(target):
                raise OutputError(
                    f"{target}: exists already; move it away, or choose another token."
                ) from None
            continue
        except OSError:  # a file system without links
            shutil.copy2(source, target, follow_symlinks=False)
        undo.callback(target.unlink, missing_ok=True)


def _remove_old(workspace: Workspace, old: str, new: str) -> list[Path]:
    """Remove the old names of files that have their new one; list what came in meanwhile."""
    if old == new:
        return []
    left = []
    for source, target in list(_files(workspace, old, new)):
        if os.path.lexists(target) and (target.samefile(source) or same_bytes(source, target)):
            source.unlink()
        else:
            left.append(source)
    folders = workspace.folders
    folders.record_of(old).unlink(missing_ok=True)
    _remove_empty(folders.corrections_of(old))
    return left


def _remove_empty(folder: Path) -> None:
    """Remove a correction folder that holds no file."""
    for item in (folder / WITHDRAWN, folder):
        with suppress(OSError):
            item.rmdir()
