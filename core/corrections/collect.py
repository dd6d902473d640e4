"""Collect what people saved in the correction folders: files that are new, changed, or gone.

The author is the file's owner, never whoever collects. A file that cannot be merged is noted with
its sentence; a file that changes while it is read waits for the next round.
"""

import difflib
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.access.permissions import Action, require
from core.corrections.add_version import checked_name, take_in
from core.corrections.folder import Look, list_folder, look, owner_of
from core.corrections.store import Store
from core.errors import CorrectionError, StoreError
from core.labels.inputs import in_folder, update_stale
from core.patches.record import write_sidecar
from core.workspace.locks import patch_lock
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome, Progress, silent
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.queries.life import SlotRecord, slots_of
from db.queries.page import MAX_LIMIT
from db.queries.patches import PatchFilter, PatchRecord, find_patch, get_patch, list_patches
from db.queries.people import PersonRecord
from db.vocabulary import Origin, Stage
from db.writes.corrections import mark_correction
from db.writes.events import Change
from db.writes.patches import lock_patch

QUIET_SECONDS = 5.0
"""A file is taken once it has not changed for so long: nobody is saving it any more."""

EVERY_SECONDS = 1.0
NEW, CHANGED, GONE, SAME, RESTLESS, BAD = "new", "changed", "gone", "same", "restless", "refused"

Rests = Callable[[Path], bool]
"""Whether a file (or its absence) has been as it is for long enough."""


@dataclass(frozen=True)
class CollectedFile:
    """What collecting did with one file."""

    slot: str
    outcome: str
    """new, changed, gone, same, restless (it waits) or refused (it cannot be merged)."""
    version: int | None = None
    message: str | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Folder:
    """A patch's correction folder, and what the catalog has of it."""

    workspace: Workspace
    by: PersonRecord
    patch: PatchRecord
    slots: dict[str, SlotRecord]
    rests: Rests
    dry_run: bool

    @property
    def path(self) -> Path:
        return self.workspace.folders.corrections_of(self.patch.name)


def collect(
    workspace: Workspace,
    by: PersonRecord,
    names: Sequence[str] | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Collect the corrections of patches; None are all. One outcome a patch that has any.

    An outcome's details are ``files`` (slot, outcome, version, message, findings) and ``strays``.
    Folders without a patch fail, and name their nearest one.

    Errors: NotAllowedError; UnknownNameError; StoreError where the corrections folder is gone.
    """
    return _round(workspace, by, names, lambda _: True, dry_run, progress)


def watch(
    workspace: Workspace,
    by: PersonRecord,
    stop: Callable[[], bool],
    *,
    progress: Progress = silent,
    every: float = EVERY_SECONDS,
    quiet: float = QUIET_SECONDS,
) -> None:
    """Collect again and again until told to stop; only what happens is told.

    What went while nobody watched is noted first; what is there is taken once it rests.

    Errors: as ``collect``.
    """
    with workspace.catalog.read() as session:
        require(session, by, Action.COLLECT)
    memory = _Memory(workspace.folders.corrections, quiet)
    told: dict[str, Outcome] = {}

    def tell(outcome: Outcome) -> None:
        if outcome.outcome not in (KEPT, SKIPPED) and told.get(outcome.name) != outcome:
            progress(outcome)
        told[outcome.name] = outcome

    _round(workspace, by, None, lambda path: not path.exists(), False, tell)
    while not stop():
        due = memory.due()
        if due:
            names = [name for name in due if _is_patch(workspace, name)]
            _round(workspace, by, names, memory.rests, False, tell)
            memory.was_collected(due)
        time.sleep(every)


def _round(
    workspace: Workspace,
    by: PersonRecord,
    names: Sequence[str] | None,
    rests: Rests,
    dry_run: bool,
    progress: Progress,
) -> tuple[Outcome, ...]:
    with workspace.catalog.read() as session:
        require(session, by, Action.COLLECT)
        for name in names or ():
            get_patch(session, name)
    found, lonely = (names, ()) if names is not None else _with_corrections(workspace)
    outcomes = []
    for name in found:
        outcome = _collect_one(workspace, by, name, rests, dry_run)
        if outcome is not None:
            outcomes.append(outcome)
            progress(outcome)
    for outcome in lonely:
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


def _with_corrections(workspace: Workspace) -> tuple[list[str], list[Outcome]]:
    """Patches with a folder or with corrections; and folders and files that are no patch's."""
    corrections = workspace.folders.corrections
    try:
        entries = sorted(corrections.iterdir())
    except OSError as error:
        raise StoreError(
            f"{corrections}: cannot be listed ({error.strerror}); is its disk mounted?"
        ) from error
    with workspace.catalog.read() as session:
        known = {
            patch.name: patch
            for withdrawn in (False, True)
            for patch in _every(session, PatchFilter(withdrawn=withdrawn))
        }
    folders = {entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."}
    lonely = [_without_patch(name, known) for name in sorted(folders - known.keys())]
    lonely += [
        Outcome(entry.name, SKIPPED, f"{entry.name}: is no correction folder.")
        for entry in entries
        if not entry.is_dir() and entry.name[0] != "."
    ]
    corrected = {name for name, patch in known.items() if patch.correction_count}
    return sorted((folders & known.keys()) | corrected), lonely


def _every(session: Any, wanted: PatchFilter) -> Iterable[PatchRecord]:
    offset = 0
    while page := list_patches(session, wanted, offset=offset, limit=MAX_LIMIT).rows:
        yield from page
        offset += len(page)


def _without_patch(name: str, known: Iterable[str]) -> Outcome:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    said = f"correction folder {name!r}: there is no patch of this name{meant}"
    return Outcome(name, FAILED, said)


def _collect_one(
    workspace: Workspace, by: PersonRecord, name: str, rests: Rests, dry_run: bool
) -> Outcome | None:
    try:
        with patch_lock(workspace, name):
            folder = _folder(workspace, by, name, rests, dry_run)
            listed = list_folder(folder.path)
            if not (listed.files or listed.strays or folder.slots):
                return None
            if folder.patch.withdrawn or folder.patch.stage is Stage.CHOSEN:
                state = "withdrawn" if folder.patch.withdrawn else "not extracted yet"
                return Outcome(name, SKIPPED, f"{name}: is {state}; its files are left alone.")
            files = [_collect_file(folder, file) for file in listed.files]
            files += _gone(folder, {file.name for file in listed.files})
        if not dry_run and any(file.outcome in (NEW, CHANGED, GONE, BAD) for file in files):
            write_sidecar(workspace, name)
        return _told(name, files, listed.strays)
    except TomocurateError as error:
        return Outcome(name, FAILED, str(error))


def _folder(
    workspace: Workspace, by: PersonRecord, name: str, rests: Rests, dry_run: bool
) -> _Folder:
    with workspace.catalog.read() as session:
        patch = get_patch(session, name)
        slots = {slot.name: slot for slot in slots_of(session, patch.id)}
    return _Folder(workspace, by, patch, slots, rests, dry_run)


def _collect_file(folder: _Folder, file: Path) -> CollectedFile:
    slot = folder.slots.get(file.name)
    if not folder.rests(file):
        return CollectedFile(file.name, RESTLESS, message="is still being saved")
    try:
        _check_name(file)
        seen = look(file)
        if slot and slot.counts and in_folder(slot) == seen.sha256:
            return _unchanged(slot, seen)
        return _take(folder, file, slot, seen)
    except StoreError as error:
        return CollectedFile(file.name, _unread(file), message=str(error))
    except TomocurateError as error:
        return CollectedFile(file.name, BAD, message=str(error))


def _check_name(file: Path) -> None:
    """The name on disk is the slot's name, so that both are always the same file."""
    if checked_name(file.name) != file.name:
        name = unicodedata.normalize("NFC", file.name)
        raise CorrectionError(f"{file.name!r}: rename it to {name!r}, with composed letters.")


def _unread(file: Path) -> str:
    """A file that changes or leaves while it is read waits; what is no plain file is refused."""
    return BAD if file.is_symlink() or (file.exists() and not file.is_file()) else RESTLESS


def _unchanged(slot: SlotRecord, seen: Look) -> CollectedFile:
    latest = slot.latest
    error = latest.error if latest.sha256 == seen.sha256 else None
    return CollectedFile(
        slot.name, BAD if error else SAME, latest.number, error, () if error else latest.findings
    )


def _take(folder: _Folder, file: Path, slot: SlotRecord | None, seen: Look) -> CollectedFile:
    outcome = CHANGED if slot else NEW
    if folder.dry_run:
        return CollectedFile(file.name, outcome)
    limit = folder.workspace.settings.upload_mb << 20
    author = owner_of(folder.workspace, seen.uid)
    with Store(folder.workspace.folders.store).arrive(file, limit) as arrived:
        taken = take_in(
            folder.workspace,
            folder.by,
            folder.patch.name,
            file.name,
            arrived,
            Origin.COLLECTED,
            author,
        )
    version = taken.details["version"]
    if taken.outcome == FAILED:
        return CollectedFile(file.name, BAD, version, taken.message)
    return CollectedFile(file.name, outcome, version, None, taken.findings)


def _gone(folder: _Folder, there: set[str]) -> list[CollectedFile]:
    """Slots that count, whose file was in the folder and is there no longer."""
    gone = [
        slot.name
        for slot in folder.slots.values()
        if slot.counts
        and slot.name not in there
        and in_folder(slot) is not None
        and folder.rests(folder.path / slot.name)
    ]
    if gone and not folder.dry_run:
        with folder.workspace.catalog.write() as session:
            require(session, folder.by, Action.COLLECT)
            patch = lock_patch(session, folder.patch.name)
            change = Change.now(folder.by.id)
            for name in gone:
                mark_correction(session, change, patch, name, missing=True)
            update_stale(session, change, patch)
    said = "is gone from the folder; the next merge leaves it out"
    return [CollectedFile(name, GONE, message=said) for name in gone]


def _told(name: str, files: list[CollectedFile], strays: Sequence[str]) -> Outcome:
    outcomes = {file.outcome for file in files}
    bad = [file.message for file in files if file.outcome == BAD and file.message]
    findings = [f"{file.slot}: {finding}" for file in files for finding in file.findings]
    findings += [f"{f.slot} {f.message}" for f in files if f.outcome in (GONE, RESTLESS)]
    findings += [f"{stray!r} is not a correction" for stray in strays]
    details = {"files": files, "strays": list(strays)}
    if BAD in outcomes:
        outcome = FAILED
    elif outcomes & {NEW, CHANGED, GONE}:
        outcome = DONE
    else:
        outcome = SKIPPED if RESTLESS in outcomes else KEPT
    return Outcome(name, outcome, " ".join(bad) or None, tuple(findings), details)


def _is_patch(workspace: Workspace, name: str) -> bool:
    with workspace.catalog.read() as session:
        return find_patch(session, name) is not None


@dataclass
class _Memory:
    """How long each file of the correction folders has been as it is."""

    corrections: Path
    quiet: float
    since: dict[Path, tuple[Any, float]] = field(default_factory=dict)
    collected: dict[str, Any] = field(default_factory=dict)

    def due(self) -> list[str]:
        """Folders in which something changed since they were collected, and some of it rests."""
        due = []
        for folder in self._folders():
            state = self._state(folder)
            for path, mark in state.items():
                self._note(path, mark)
            before = self.collected.get(folder.name, {})
            for path in before.keys() - state.keys():
                self._note(path, None)
            changed = [p for p in before.keys() | state.keys() if before.get(p) != state.get(p)]
            if any(self.rests(path) for path in changed):
                due.append(folder.name)
        return due

    def rests(self, path: Path) -> bool:
        mark, since = self.since.get(path, (None, float("-inf")))
        return mark == _mark(path) and time.monotonic() - since >= self.quiet

    def was_collected(self, names: Iterable[str]) -> None:
        for name in names:
            before = self.collected.get(name, {})
            state = self._state(self.corrections / name)
            self.collected[name] = {
                path: state.get(path) if self.rests(path) else before.get(path)
                for path in state.keys() | before.keys()
                if path in state or not self.rests(path)
            }

    def _folders(self) -> list[Path]:
        try:
            return sorted(p for p in self.corrections.iterdir() if p.is_dir() and p.name[0] != ".")
        except OSError:
            return []

    def _state(self, folder: Path) -> dict[Path, Any]:
        try:
            files = [path for path in folder.iterdir() if not path.name.startswith(".")]
        except OSError:
            return {}
        return {path: _mark(path) for path in files if not path.is_dir()}

    def _note(self, path: Path, mark: Any) -> None:
        if path not in self.since or self.since[path][0] != mark:
            self.since[path] = mark, time.monotonic()


def _mark(path: Path) -> Any:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
