"""Collect what people saved in the correction folders: files that are new, changed, or gone.

The author is the file's owner, never whoever collects. A file that cannot be merged is recorded
with the reason; a file that changes while it is read waits for the next round.
"""

import difflib
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from core.access.permissions import Action
from core.corrections.add_version import NewVersion, PatchSlots, add_to_step, new_version
from core.corrections.folder import (
    FileSnapshot,
    FolderListing,
    check_file,
    is_unchanged,
    list_folder,
    owner_of,
    snapshot,
)
from core.corrections.marker import check_marker
from core.errors import FileChangedError, StoreError
from core.lab.file_moves import finish_placing, unfinished
from core.lab.lab import Lab
from core.lab.step import Step
from core.labels.inputs import in_folder
from core.patches.lifecycle import Transition
from core.workspace.locks import patch_lock
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome, Progress, silent
from db.errors import TomocurateError
from db.queries.life import SlotRecord, slots_of
from db.queries.patches import find_patch, get_patch, patch_states
from db.vocabulary import Origin, Stage

NEW, CHANGED, GONE, SAME, RESTLESS, BAD = "new", "changed", "gone", "same", "restless", "refused"


@dataclass(frozen=True)
class CollectedFile:
    """Result of collecting one file."""

    slot: str
    outcome: str
    """new, changed, gone, same, restless (it waits) or refused (it cannot be merged)."""
    version: int | None = None
    message: str | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """A file that is to become a version, as it was read."""

    file: Path
    seen: FileSnapshot
    new: NewVersion
    before: SlotRecord | None


def collect(
    lab: Lab,
    names: Sequence[str] | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Collect the corrections of patches; None are all. One outcome a patch that has any.

    An outcome's details are ``files`` (slot, outcome, version, message, findings) and
    ``ignored_files``. Folders without a patch fail, and name their nearest one.

    Errors: NotAllowedError; UnknownNameError; StoreError where the corrections folder is gone, or
    is not the workspace's.
    """
    with lab.read(Action.COLLECT) as session:
        for name in names or ():
            get_patch(session, name)
    check_marker(lab)
    finish_killed_steps(lab)
    found, others = (names, []) if names is not None else _folders_to_collect(lab)
    outcomes = []
    for name in found:
        outcome = _collect_patch(lab, name, dry_run)
        if outcome is not None:
            outcomes.append(outcome)
            progress(outcome)
    for outcome in others:
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


def finish_killed_steps(lab: Lab) -> None:
    """Place the files of steps that were killed after their commit."""
    for patch in unfinished(lab.folders):
        with patch_lock(lab.workspace, patch):
            finish_placing(lab.workspace, patch)


def _folders_to_collect(lab: Lab) -> tuple[list[str], list[Outcome]]:
    """List patches with a folder or with corrections; and folders and files that are no patch's."""
    corrections = lab.folders.corrections
    try:
        entries = [entry for entry in sorted(corrections.iterdir()) if entry.name[0] != "."]
    except OSError as error:
        raise StoreError(
            f"{corrections}: cannot be listed ({error.strerror}); is its disk mounted?"
        ) from error
    with lab.catalog.read() as session:
        known = patch_states(session)
    names = {entry.name for entry in entries if entry.is_dir()}
    folders = {_patch_of(name, lab, known) for name in names}
    others = [_without_patch(name, known) for name in sorted(folders - known.keys())]
    others += [
        Outcome(entry.name, SKIPPED, f"{entry.name}: not a correction folder.")
        for entry in entries
        if not entry.is_dir()
    ]
    corrected = {name for name, state in known.items() if state.correction_count}
    return sorted((folders & known.keys()) | corrected), others


def _patch_of(folder: str, lab: Lab, known: Collection[str]) -> str:
    """Name the patch whose folder macOS named decomposed; of two folders one is the patch's."""
    patch = unicodedata.normalize("NFC", folder)
    return patch if patch in known and lab.folders.corrections_of(patch).name == folder else folder


def _without_patch(name: str, known: Iterable[str]) -> Outcome:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    return Outcome(name, FAILED, f"correction folder {name!r}: no patch has this name{meant}")


def _collect_patch(lab: Lab, name: str, dry_run: bool) -> Outcome | None:
    try:
        known = _read(lab, name)
        listing = list_folder(lab.folders.corrections_of(name))
        if not (listing.files or listing.ignored_files or known.slots):
            return None
        if known.patch.withdrawn or known.patch.stage is Stage.CHOSEN:
            state = "withdrawn" if known.patch.withdrawn else "not extracted yet"
            return Outcome(name, SKIPPED, f"{name}: is {state}; its files are left alone.")
        files = _collect_files(lab, known, listing, dry_run)
    except TomocurateError as error:
        return Outcome(name, FAILED, str(error))
    return _report(name, files, listing.ignored_files)


def _read(lab: Lab, name: str) -> PatchSlots:
    with lab.catalog.read() as session:
        patch = get_patch(session, name)
        slots = {slot.name: slot for slot in slots_of(session, patch.id)}
    return PatchSlots(patch, slots)


def _collect_files(
    lab: Lab, known: PatchSlots, listing: FolderListing, dry_run: bool
) -> list[CollectedFile]:
    """Read what is new or changed, then record all of it in one step."""
    files: list[CollectedFile] = []
    with ExitStack() as kept:
        found: list[_Found] = []
        for file in listing.files:
            result = _read_file(lab, known, file, dry_run, kept)
            (found if isinstance(result, _Found) else files).append(result)  # type: ignore[arg-type]
        gone = _note_missing(lab, known, {file.name for file in listing.files})
        if not dry_run and (found or gone):
            with lab.step(known.patch.name, Action.COLLECT, Transition.CORRECT) as step:
                files += [_record(step, item) for item in found]
                gone = [name for name in gone if _is_still_gone(step, known, name)]
                for name in gone:
                    step.mark(name, missing=True)
    message = "is gone from the folder; the next merge leaves it out"
    files += [CollectedFile(name, GONE, message=message) for name in gone]
    return sorted(files, key=lambda file: (file.outcome == GONE, file.slot))


def _read_file(
    lab: Lab, known: PatchSlots, file: Path, dry_run: bool, kept: ExitStack
) -> "CollectedFile | _Found":
    slot = known.slots.get(file.name)
    limit = lab.settings.upload_mb << 20
    try:
        check_file(file, limit)
        seen = snapshot(file, limit)
        if slot and slot.counts and in_folder(slot) == seen.sha256:
            return _keep_version(slot, seen)
        if dry_run:
            return CollectedFile(file.name, CHANGED if slot else NEW)
        arrived = kept.enter_context(lab.store.arrive(file, limit))
        if arrived.sha256 != seen.sha256:
            return CollectedFile(file.name, RESTLESS, message="is still being saved")
        author = owner_of(lab.workspace, seen.uid)
        new = new_version(lab, known.patch, file.name, arrived, Origin.COLLECTED, author)
        return _Found(file, seen, kept.enter_context(new), slot)
    except FileChangedError as error:
        return CollectedFile(file.name, RESTLESS, message=str(error))
    except TomocurateError as error:
        outcome = BAD if file.exists() or file.is_symlink() else RESTLESS
        return CollectedFile(file.name, outcome, message=str(error))


def _keep_version(slot: SlotRecord, seen: FileSnapshot) -> CollectedFile:
    latest = slot.latest
    error = latest.error if latest.sha256 == seen.sha256 else None
    return CollectedFile(
        slot.name, BAD if error else SAME, latest.number, error, () if error else latest.findings
    )


def _record(step: Step, found: _Found) -> CollectedFile:
    """Record a file that was read, unless it or its slot changed since."""
    name = found.file.name
    if step.slots.get(name) != found.before or not is_unchanged(found.file, found.seen):
        return CollectedFile(name, RESTLESS, message="is still being saved")
    outcome = add_to_step(step, found.new)
    version = outcome.details["version"]
    if outcome.outcome == FAILED:
        return CollectedFile(name, BAD, version, outcome.message)
    return CollectedFile(name, CHANGED if found.before else NEW, version, None, outcome.findings)


def _note_missing(lab: Lab, known: PatchSlots, there: set[str]) -> list[str]:
    """Name the slots that count, whose file was in the folder and is there no longer."""
    return [
        slot.name
        for slot in known.slots.values()
        if slot.counts and slot.name not in there and in_folder(slot) is not None
    ]


def _is_still_gone(step: Step, known: PatchSlots, name: str) -> bool:
    file = step.folders.corrections_of(step.patch.name) / name
    return step.slots.get(name) == known.slots[name] and not file.exists()


def _report(name: str, files: list[CollectedFile], ignored: Sequence[str]) -> Outcome:
    outcomes = {file.outcome for file in files}
    bad = [file.message for file in files if file.outcome == BAD and file.message]
    findings = [f"{file.slot}: {finding}" for file in files for finding in file.findings]
    findings += [f"{f.slot} {f.message}" for f in files if f.outcome in (GONE, RESTLESS)]
    findings += [f"{file!r} is not a correction" for file in ignored]
    details = {"files": files, "ignored_files": list(ignored)}
    if BAD in outcomes:
        outcome = FAILED
    elif outcomes & {NEW, CHANGED, GONE}:
        outcome = DONE
    else:
        outcome = SKIPPED if RESTLESS in outcomes else KEPT
    return Outcome(name, outcome, " ".join(bad) or None, tuple(findings), details)


def _is_patch(lab: Lab, name: str) -> bool:
    with lab.catalog.read() as session:
        return find_patch(session, name) is not None
