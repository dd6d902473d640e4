"""Kits to take home: a zip with all that one needs to correct patches elsewhere.

The folders are the guide's own, so that the drop-in works on a kit as it is. Beside them lie a
task list for MITK, a script for napari, and the guide's three rules.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO

from core.corrections.names import free_name
from core.corrections.store import Store, open_steadily
from core.errors import OutputError
from core.files.atomic import whole_file
from core.imaging.extraction import IMAGES, LABELS
from core.labels.inputs import in_folder
from core.patches.lifecycle import Transition, next_stage
from core.workspace.workspace import Workspace
from db.errors import StepError
from db.queries.life import SlotRecord, slots_of
from db.queries.patches import PatchRecord, get_patch
from db.vocabulary import CorrectionKind

TASKS, SCRIPT, RULES = "mitk_tasks.json", "correct_in_napari.py", "READ_ME.txt"
CORRECTIONS = "corrections"
MAX_PATCHES = 200
"""Of one kit; a patch takes some 15 MB."""

TASK_FORMAT, TASK_VERSION = "MITK Segmentation Task List", 1
"""https://docs.mitk.org/latest/MITKSegmentationTaskListsPage.html; every MITK since 2022.04 reads
version 1, and older ones read no other."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_DESCRIPTIONS = {
    CorrectionKind.ADD: "Membrane that the prediction misses; draw it accurately.",
    CorrectionKind.REMOVE: "What the prediction takes for membrane, and is not; may be coarse, but "
    "only where no membrane is near.",
    CorrectionKind.IGNORE: "Where nobody can tell; in doubt, Ignore.",
}
_COLORS = {"Add": "#00c853", "Remove": "#ff5252", "Ignore": "#448aff"}


def write_kit(workspace: Workspace, names: Sequence[str], out: Path | BinaryIO) -> None:
    """Write a kit for patches that take corrections; the ones that count now lie in it.

    Errors: StepError for a patch that takes none, or too many; OutputError where ``out`` exists;
    StoreError where a file of a patch is gone; UnknownNameError.
    """
    if not 1 <= len(names) <= MAX_PATCHES:
        raise StepError(f"a kit holds 1 to {MAX_PATCHES} patches, not {len(names)}.")
    with workspace.catalog.read() as session:
        patches = [get_patch(session, name) for name in dict.fromkeys(names)]
        slots = {patch.name: slots_of(session, patch.id) for patch in patches}
    for patch in patches:
        next_stage(patch, Transition.CORRECT)
    with ExitStack() as opened:
        target = out
        if isinstance(target, Path):
            target = opened.enter_context(_whole(target))
        kit = opened.enter_context(zipfile.ZipFile(target, "w", zipfile.ZIP_STORED))
        _fill(workspace, kit, patches, slots)


def task_list(patches: Sequence[PatchRecord], taken: dict[str, set[str]]) -> dict[str, Any]:
    """The MITK task list of a kit: one task for each kind of each patch, paths relative to it.

    ``taken`` are the file names in each patch's folder; a task saves under one that is free.
    """
    tasks = [
        {
            "Name": f"{patch.name} {kind.capitalize()}",
            "Description": _DESCRIPTIONS[kind],
            "Image": f"{IMAGES}/{patch.name}.nii.gz",
            "Result": f"{CORRECTIONS}/{patch.name}/"
            + free_name(f"{kind.capitalize()}.nrrd", taken[patch.name]),
            "LabelName": kind.capitalize(),
        }
        for patch in patches
        for kind in CorrectionKind
    ]
    return {
        "FileFormat": TASK_FORMAT,
        "Version": TASK_VERSION,
        "Name": "Correct patches",
        "Tasks": tasks,
    }


def _whole(out: Path) -> Any:
    if out.exists():
        raise OutputError(f"{out}: exists; name another file, nothing is overwritten.")
    return whole_file(out, exist_ok=False)


def _fill(
    workspace: Workspace,
    kit: zipfile.ZipFile,
    patches: Sequence[PatchRecord],
    slots: dict[str, tuple[SlotRecord, ...]],
) -> None:
    for name in (RULES, SCRIPT):
        kit.writestr(_entry(name), (files("core.corrections") / "kit_files" / name).read_bytes())
    taken = {
        patch.name: {slot.name for slot in slots[patch.name]} for patch in patches
    }  # withdrawn ones too: their names are not free
    text = json.dumps(task_list(patches, taken), indent=2, ensure_ascii=False)
    kit.writestr(_entry(TASKS), text + "\n")
    for patch in patches:
        folder = f"{CORRECTIONS}/{patch.name}/"
        kit.writestr(_entry(folder), b"")
        for name, path in _files(workspace, patch, slots[patch.name]):
            _add(kit, name, path)


def _files(
    workspace: Workspace, patch: PatchRecord, slots: Sequence[SlotRecord]
) -> Iterator[tuple[str, Path]]:
    """The names in the kit, and what goes there."""
    yield f"{IMAGES}/{patch.name}.nii.gz", workspace.folders.image_of(patch.name)
    yield f"{LABELS}/{patch.name}.nii.gz", workspace.folders.label_of(patch.name)
    store = Store(workspace.folders.store)
    for slot in slots:
        sha256 = in_folder(slot)
        if slot.counts and sha256 and store.holds(sha256):
            yield f"{CORRECTIONS}/{patch.name}/{slot.name}", store.path_of(sha256)


def _add(kit: zipfile.ZipFile, name: str, path: Path) -> None:
    with open_steadily(path) as source, kit.open(_entry(name), "w", force_zip64=True) as target:
        while piece := source.read(1 << 20):
            target.write(piece)


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without a time, so that the same kit is the same bytes."""
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.external_attr = (0o40775 if name.endswith("/") else 0o100664) << 16
    return entry
