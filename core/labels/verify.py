"""Verify labels: make each again from its recorded inputs, and compare voxel by voxel."""

from collections.abc import Sequence

import numpy as np

from core.corrections.store import Store, same_bytes
from core.files.threads import side_by_side
from core.imaging.geometry import Zyx
from core.imaging.hashes import content_hash
from core.imaging.labels import Label
from core.imaging.merging import read_label
from core.labels.merge import merge_again
from core.workspace.results import DONE, FAILED, SKIPPED, Outcome, Progress, silent
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.queries.life import MergeRecord, merge_by_id
from db.queries.patches import PatchRecord, all_patches, get_patch

IMPORTED = "imported"
"""How the rule of a merge begins that was made elsewhere: only what was kept can be checked."""


def verify(
    workspace: Workspace,
    names: Sequence[str] | None = None,
    *,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Make the labels of patches again; None are all that were accepted. Nothing is written.

    Of a named patch it is the accepted label, else the current one. An outcome that failed names
    every difference.

    Errors: UnknownNameError.
    """
    with workspace.catalog.read() as session:
        if names is None:
            patches = [p for p in all_patches(session) if p.accepted_merge_id is not None]
        else:
            patches = [get_patch(session, name) for name in names]

    def check(patch: PatchRecord) -> Outcome:
        try:
            return _verify_patch(workspace, patch)
        except TomocurateError as error:
            return Outcome(patch.name, FAILED, str(error))

    outcomes = []
    for outcome in side_by_side(check, patches):
        outcomes.append(outcome)
        progress(outcome)
    return tuple(outcomes)


def _verify_patch(workspace: Workspace, patch: PatchRecord) -> Outcome:
    merge_id = patch.accepted_merge_id or patch.current_merge_id
    if merge_id is None:
        return Outcome(patch.name, SKIPPED, f"{patch.name}: has no merge to verify.")
    with workspace.catalog.read() as session:
        merge = merge_by_id(session, merge_id)
    kept = _read_stored(workspace, patch, merge)
    faults = _stored_faults(workspace, patch, merge, kept)
    if not merge.rule.startswith(IMPORTED):
        made, _ = merge_again(workspace, patch, merge.inputs)
        faults += _remade_faults(patch, merge, kept, made.voxels)
    details = {"merge": merge.number, "label_hash": merge.label_hash}
    return Outcome(patch.name, FAILED if faults else DONE, " ".join(faults) or None, (), details)


def _read_stored(workspace: Workspace, patch: PatchRecord, merge: MergeRecord) -> Label:
    """The label as it was stored.

    Errors: StoreError where its file is gone or changed; VolumeError.
    """
    path = Store(workspace.folders.store).checked(merge.file_sha256, _describe(patch, merge))
    return read_label(path)[0]


def _stored_faults(
    workspace: Workspace, patch: PatchRecord, merge: MergeRecord, kept: Label
) -> list[str]:
    faults = []
    if content_hash(kept) != merge.label_hash:
        faults.append(
            f"{_describe(patch, merge)}: the kept label is not the one that was recorded."
        )
    path = Store(workspace.folders.store).path_of(merge.file_sha256)
    current = workspace.folders.merged_of(patch.name)
    if patch.current_merge_id == merge.id and not same_bytes(current, path):
        faults.append(f"{current}: is not merge {merge.number}; merging again restores it.")
    return faults


def _remade_faults(patch: PatchRecord, merge: MergeRecord, kept: Label, made: Label) -> list[str]:
    what, faults = _describe(patch, merge), []
    if patch.label_hash != merge.predicted_hash:
        faults.append(f"{what}: started from another extracted label than the patch has now.")
    if content_hash(made) != merge.label_hash:
        faults.append(f"{what}: its recorded corrections give another label than was recorded.")
    difference = _difference(kept, made)
    return [*faults, f"{what}: {difference}"] if difference else faults


def _describe(patch: PatchRecord, merge: MergeRecord) -> str:
    return f"{patch.name} merge {merge.number}"


def _difference(kept: Label, made: Label) -> str | None:
    """Describe how the stored label differs from the one made again; first voxel as (x, y, z)."""
    if kept.shape != made.shape:
        return f"the kept label has shape {kept.shape}, made again {made.shape} (z, y, x)."
    differs = np.argwhere(kept != made)
    if not len(differs):
        return None
    first = Zyx(*map(int, differs[0]))
    x, y, z = first.to_xyz()
    return (
        f"{len(differs)} voxels of the kept label differ, the first at {x},{y},{z} (x, y, z): "
        f"{kept[first]} kept, {made[first]} made again."
    )
