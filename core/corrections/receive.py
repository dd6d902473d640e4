"""Receive corrections that somebody sends: one file for a patch, or a zipped kit of several.

Bytes are kept before they are parsed, up to the size limit.
"""

import difflib
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.corrections.add_version import action_of, add_version
from core.corrections.folder import Author
from core.corrections.kit import RULES, SCRIPT, TASKS
from core.corrections.names import check_is_correction, check_slot_name
from core.corrections.store import check_size
from core.errors import CorrectionError
from core.files.zips import MAX_KIT_BYTES, Archive, Member, open_zip, opened_file
from core.imaging.correction import kind_of
from core.imaging.extraction import IMAGES, LABELS
from core.lab.lab import Lab
from core.workspace.folders import WITHDRAWN
from core.workspace.results import FAILED, SKIPPED, Outcome, Progress, silent
from db.errors import TomocurateError
from db.queries.maintenance import patch_names
from db.queries.people import PersonRecord
from db.vocabulary import Origin

_HIDDEN = "__MACOSX"


def receive(
    lab: Lab,
    patch: str,
    file_name: str,
    source: Path | bytes | BinaryIO,
    *,
    origin: Origin = Origin.UPLOADED,
    author: PersonRecord | None = None,
    expected: int | None = None,
) -> Outcome:
    """Add a correction file under its name; ``author`` is who painted it, else the lab's person.

    A curator alone names an author other than themselves.

    The outcome's details are slot, version, sha256 and painted voxels by kind. A file that cannot
    be merged fails, and is recorded as a version with the reason, so that no merge leaves it out
    in silence. The same bytes again are kept. ``expected`` is the version that the sender saw
    under the name, 0 for none; without it a file replaces none that somebody else painted.

    Errors: CorrectionError for a name that is no correction's; StoreError for a file that is too
    large or cannot be read; StepError; ConflictError; NotAllowedError; UnknownNameError.
    """
    slot = check_slot_name(file_name)
    lab.check(action_of(origin))
    if author is not None:
        with lab.catalog.read() as session:
            _check_author(session, lab, author)
    with lab.store.arrive(source, lab.settings.upload_mb << 20) as arrived:
        check_is_correction(slot, arrived.path)
        painter = Author((author or lab.person).id)
        return add_version(
            lab=lab,
            patch=patch,
            slot=slot,
            arrived=arrived,
            origin=origin,
            author=painter,
            expected=expected,
        )


def receive_many(
    lab: Lab,
    archive: Path | BinaryIO,
    *,
    author: PersonRecord | None = None,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Add the corrections of a zip: each lies in a folder that is named like its patch.

    The volumes of a kit are passed over. One outcome a file: by its patch, or by its own name
    where it has none; one bad file stops no other.

    Errors: ArchiveError for a zip that is not safe to open; NotAllowedError.
    """
    with ExitStack() as opened:
        with lab.read(Action.SUBMIT_CORRECTION) as session:
            _check_author(session, lab, author)
            patches = frozenset(patch_names(session))
        name = archive.name if isinstance(archive, Path) else "the zip"
        file = archive
        if isinstance(file, Path):
            file = opened.enter_context(opened_file(file))
        kit = opened.enter_context(open_zip(file, name, MAX_KIT_BYTES))
        outcomes = []
        for member in _corrections_in(kit):
            outcome = _receive_member(lab, kit, member, patches, author)
            outcomes.append(outcome)
            progress(outcome)
    return tuple(outcomes)


def _check_author(session: Session, lab: Lab, author: PersonRecord | None) -> None:
    """Refuse to name somebody else as the painter, unless one assigns work to others."""
    if author is not None and author.id != lab.person.id:
        require(session, lab.person, Action.ASSIGN)


def _corrections_in(kit: Archive) -> Iterator[Member]:
    """List what somebody hands in: neither the kit's own files, nor hidden, nor withdrawn ones."""
    own = {RULES, SCRIPT, TASKS}
    for member in sorted(kit.members, key=lambda member: member.path):
        folders = member.path.parts[:-1]
        hidden = any(part.startswith(".") or part == _HIDDEN for part in member.path.parts)
        kits = member.path.name in own or (folders and folders[-1] in (IMAGES, LABELS, WITHDRAWN))
        if not (hidden or kits):
            yield member


def _receive_member(
    lab: Lab, kit: Archive, member: Member, patches: frozenset[str], author: PersonRecord | None
) -> Outcome:
    folder = unicodedata.normalize("NFC", member.path.parent.name)  # macOS zips decomposed names
    if folder not in patches:
        return _without_patch(member, folder, patches)
    try:
        check_size(member.size, lab.settings.upload_mb << 20, member.path.name)
        with kit.read(member) as file:
            return receive(lab, folder, member.path.name, file, author=author)
    except CorrectionError as error:
        outcome = FAILED if kind_of(member.path.name) else SKIPPED
        return Outcome(folder, outcome, str(error), details={"file": str(member.path)})
    except TomocurateError as error:
        return Outcome(folder, FAILED, str(error), details={"file": str(member.path)})


def _without_patch(member: Member, folder: str, patches: frozenset[str]) -> Outcome:
    near = difflib.get_close_matches(folder, patches, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    message = f"{member.path}: its folder is not named like a patch{meant}"
    outcome = FAILED if kind_of(member.path.name) else SKIPPED
    return Outcome(str(member.path), outcome, message, details={"file": str(member.path)})
