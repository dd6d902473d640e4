"""Files that follow a committed step: staged before it, renamed after it.

A note in the store names them from before the commit until they lie in place. If the process is
killed in between, the next step of the patch (or the next round of collect) reads the note and
brings the folder in line with the catalog, so that a placed file is never taken for one that
somebody else saved there.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from core.corrections.store import Store, copy_whole
from core.errors import OutputError, StoreError
from core.files.atomic import staged_file, whole_file
from core.imaging.hashes import file_hash
from core.labels.inputs import in_folder
from core.workspace.folders import Folders, make_shared
from core.workspace.workspace import Workspace
from db.queries.life import SlotRecord, merge_by_id, slots_of
from db.queries.patches import find_patch


class Placement(NamedTuple):
    """A rename that follows a transaction."""

    source: Path
    target: Path


@contextmanager
def staged_copy(source: Path, folder: Path) -> Iterator[Path]:
    """Copy a file into a folder under a temporary name; it leaves with the block unless placed.

    Errors: OutputError where the folder is a link or cannot be written.
    """
    check_no_link(folder)
    make_shared(folder)
    with staged_file(folder, lambda partial: shutil.copyfile(source, partial)) as partial:
        yield partial


def keep_standing(store: Store, target: Path) -> None:
    """Keep what stands at a target in the store, before another file takes its place.

    Errors: StoreError; OutputError.
    """
    if os.path.lexists(target):
        store.put_file(target)


def check_no_link(folder: Path) -> None:
    """Refuse a symbolic link in place of a folder of the workspace.

    Errors: OutputError.
    """
    if folder.is_symlink():
        raise OutputError(f"{folder}: is a symbolic link; replace it by a folder.")


def note_placements(
    folders: Folders,
    patch: str,
    placements: Sequence[Placement],
    before: Mapping[str, str | None],
) -> None:
    """Note which files are about to be placed; ``before`` is the sha256 of each file there now.

    Errors: OutputError.
    """
    touched = [path for placement in placements for path in placement]
    slots = [path.name for path in touched if path.parent == folders.corrections_of(patch)]
    merged = folders.merged_of(patch) in touched
    if not (slots or merged):
        return
    make_shared(folders.placing)
    known = {name: before.get(name) for name in slots if not name.startswith(".")}
    with whole_file(_note_of(folders, patch)) as partial:
        partial.write_text(json.dumps({"slots": known, "merged": merged}))


def forget_placements(folders: Folders, patch: str) -> None:
    """Remove the note: every file lies in place."""
    _note_of(folders, patch).unlink(missing_ok=True)


def finish_placing(workspace: Workspace, patch: str) -> None:
    """Place the files of a step that was killed after its commit. The caller holds the lock.

    Errors: StoreError; OutputError.
    """
    note = _read_note(workspace.folders, patch)
    if note is None:
        return
    with workspace.catalog.read() as session:
        record = find_patch(session, patch)
        slots = {slot.name: slot for slot in slots_of(session, record.id)} if record else {}
        current = record.current_merge_id if record else None
        merge = merge_by_id(session, current) if current else None
    for name, before in note["slots"].items():
        _finish_slot(workspace, patch, slots.get(name), before)
    if merge is not None and note["merged"]:
        target = workspace.folders.merged_of(patch)
        if _hash_of(target) != merge.file_sha256:
            what = f"{patch} merge {merge.number}"
            copy_whole(_store(workspace).checked(merge.file_sha256, what), target)
    forget_placements(workspace.folders, patch)


def unfinished(folders: Folders) -> list[str]:
    """List the patches whose files a killed step left behind."""
    with suppress(OSError):
        return sorted(path.stem for path in folders.placing.glob("*.json"))
    return []


def _finish_slot(
    workspace: Workspace, patch: str, slot: SlotRecord | None, before: str | None
) -> None:
    """Bring one file in line with the catalog, unless somebody saved another one since."""
    if slot is None:
        return
    file = workspace.folders.corrections_of(patch) / slot.name
    now, wanted = _hash_of(file), in_folder(slot) if slot.counts else None
    if wanted is not None and now != wanted and now in (None, before):
        copy_whole(_store(workspace).checked(wanted, f"{patch} {slot.name}"), file)
    elif slot.withdrawn and now is not None and now == before:
        aside = workspace.folders.withdrawn_of(patch)
        make_shared(aside)
        file.replace(aside / slot.name)


def _store(workspace: Workspace) -> Store:
    return Store(workspace.folders.store)


def _note_of(folders: Folders, patch: str) -> Path:
    return folders.placing / f"{patch}.json"


def _read_note(folders: Folders, patch: str) -> dict[str, Any] | None:
    try:
        note = json.loads(_note_of(folders, patch).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{_note_of(folders, patch)}: cannot be read; remove it.") from error
    return dict(note)


def _hash_of(path: Path) -> str | None:
    try:
        return None if path.is_symlink() else file_hash(path)
    except OSError:
        return None
