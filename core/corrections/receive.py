"""Receive corrections that somebody brings: one file for a patch, or a zipped kit of several.

Bytes are kept before anybody looks into them, no further than the size limit.
"""

import difflib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.corrections.add_version import action_of, check_is_correction, checked_name, take_in
from core.corrections.folder import Author
from core.corrections.kit import RULES, SCRIPT, TASKS
from core.corrections.store import Store, check_size
from core.errors import CorrectionError
from core.files.zips import Archive, Member, open_archive, opened_file
from core.imaging.correction import kind_of
from core.imaging.extraction import IMAGES, LABELS
from core.patches.record import write_sidecar
from core.workspace.folders import WITHDRAWN
from core.workspace.locks import patch_lock
from core.workspace.results import FAILED, SKIPPED, Outcome, Progress, silent
from core.workspace.workspace import Workspace
from db.errors import ConflictError, TomocurateError
from db.queries.files import patch_names
from db.queries.people import PersonRecord
from db.vocabulary import Origin

_HIDDEN = "__MACOSX"


def receive(
    workspace: Workspace,
    by: PersonRecord,
    patch: str,
    file_name: str,
    source: Path | bytes | BinaryIO,
    *,
    origin: Origin = Origin.UPLOADED,
    author: PersonRecord | None = None,
    expected: int | None = None,
) -> Outcome:
    """Take in a correction file under its name; ``author`` is who painted it, else ``by``.

    A curator alone names an author other than themselves.

    The outcome's details are slot, version, sha256 and painted voxels by kind. A file that cannot
    be merged fails, and is noted as a version with its sentence, so that no merge leaves it out
    in silence. The same bytes again are kept. ``expected`` is the version that the sender saw
    under the name, 0 for none; without it a file replaces none that somebody else painted.

    Errors: CorrectionError for a name that is no correction's; StoreError for a file that is too
    large or cannot be read; StepError; ConflictError; NotAllowedError; UnknownNameError.
    """
    slot = checked_name(file_name)
    painter = Author((author or by).id)
    with ExitStack() as held:
        with workspace.catalog.read() as session:
            require(session, by, action_of(origin))
            _check_author(session, by, author)
        store = Store(workspace.folders.store)
        limit = workspace.settings.upload_mb << 20
        arrived = held.enter_context(store.arrive(source, limit))
        check_is_correction(slot, arrived.path)
        held.enter_context(patch_lock(workspace, patch))
        try:
            outcome = take_in(workspace, by, patch, slot, arrived, origin, painter, expected)
        except ConflictError:
            write_sidecar(workspace, patch)
            raise
    write_sidecar(workspace, patch)
    return outcome


def receive_many(
    workspace: Workspace,
    by: PersonRecord,
    archive: Path | BinaryIO,
    *,
    author: PersonRecord | None = None,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Take in the corrections of a zip: each lies in a folder that is named like its patch.

    The volumes of a kit are passed over. One outcome a file: by its patch, or by its own name
    where it has none; one bad file stops no other.

    Errors: ArchiveError for a zip that is not safe to open; NotAllowedError.
    """
    with ExitStack() as opened:
        with workspace.catalog.read() as session:
            require(session, by, action_of(Origin.UPLOADED))
            _check_author(session, by, author)
            patches = frozenset(patch_names(session))
        name = archive.name if isinstance(archive, Path) else "the zip"
        file = archive
        if isinstance(file, Path):
            file = opened.enter_context(opened_file(file))
        kit = opened.enter_context(open_archive(file, name))
        outcomes = []
        for member in _brought(kit):
            outcome = _receive_member(workspace, by, kit, member, patches, author)
            outcomes.append(outcome)
            progress(outcome)
    return tuple(outcomes)


def _check_author(session: Session, by: PersonRecord, author: PersonRecord | None) -> None:
    """Naming somebody else as the painter is for whoever assigns work to others."""
    if author is not None and author.id != by.id:
        require(session, by, Action.ASSIGN)


def _brought(kit: Archive) -> Iterator[Member]:
    """What somebody means to hand in: not the kit's own files, hidden ones, or withdrawn ones."""
    own = {RULES, SCRIPT, TASKS}
    for member in sorted(kit.members, key=lambda member: member.path):
        folders = member.path.parts[:-1]
        hidden = any(part.startswith(".") or part == _HIDDEN for part in member.path.parts)
        kits = member.path.name in own or (folders and folders[-1] in (IMAGES, LABELS, WITHDRAWN))
        if not (hidden or kits):
            yield member


def _receive_member(
    workspace: Workspace,
    by: PersonRecord,
    kit: Archive,
    member: Member,
    patches: frozenset[str],
    author: PersonRecord | None,
) -> Outcome:
    folder = member.path.parent.name
    if folder not in patches:
        return _without_patch(member, folder, patches)
    try:
        check_size(member.size, workspace.settings.upload_mb << 20, member.path.name)
        with kit.read(member) as file:
            return receive(workspace, by, folder, member.path.name, file, author=author)
    except CorrectionError as error:
        outcome = FAILED if kind_of(member.path.name) else SKIPPED
        return Outcome(folder, outcome, str(error), details={"file": str(member.path)})
    except TomocurateError as error:
        return Outcome(folder, FAILED, str(error), details={"file": str(member.path)})


def _without_patch(member: Member, folder: str, patches: frozenset[str]) -> Outcome:
    near = difflib.get_close_matches(folder, patches, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    said = f"{member.path}: lies in no folder that is named like a patch{meant}"
    outcome = FAILED if kind_of(member.path.name) else SKIPPED
    return Outcome(str(member.path), outcome, said, details={"file": str(member.path)})
