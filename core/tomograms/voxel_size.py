"""State the voxel size of a tomogram, or of a patch without one, for all that was cut from it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.errors import VolumeError
from core.imaging.extraction import voxel_size_findings
from core.lab.lab import Lab
from core.patches.record import write_record
from core.workspace.results import DONE, KEPT, Outcome
from db.errors import StepError
from db.queries.patches import PatchRecord, find_patch, patches_in
from db.queries.volumes import get_tomogram, tomogram_by_id
from db.writes.events import Change
from db.writes.patches import change_patch
from db.writes.volumes import change_tomogram


def set_voxel_size(lab: Lab, names: Sequence[str], voxel_size: float) -> tuple[Outcome, ...]:
    """State the voxel size (angstrom) of tomograms, or of patches whose tomogram is not known.

    Errors: VolumeError for a size that cannot be one; UnknownNameError; StepError for a patch of
    a registered tomogram, which has the tomogram's; NotAllowedError.
    """
    check_voxel_size(voxel_size)
    outcomes, patches = [], []
    with lab.catalog.write() as session:
        change = Change.now(require(session, lab.person, Action.REGISTER).id)
        for name in names:
            outcome, changed = _set_one(session, change, name, voxel_size)
            outcomes.append(outcome)
            patches += changed
    for patch in patches:
        write_record(lab.workspace, patch)
    return tuple(outcomes)


def check_voxel_size(voxel_size: float | None) -> None:
    """Refuse what cannot be a voxel size in angstrom; None is unknown.

    Errors: VolumeError.
    """
    if voxel_size is None:
        return
    if not 0 < voxel_size < 1000:
        raise VolumeError(f"invalid voxel size {voxel_size:g} Å: must be between 0 and 1000.")
    if voxel_size == 1:
        raise VolumeError("a voxel size of 1 means unknown; state it in angstrom, or leave it out.")


def spread_voxel_size(
    session: Session, change: Change, tomogram_id: int, voxel_size: float | None
) -> list[str]:
    """Give the voxel size of a tomogram to its patches; list those that had another.

    Files that were written keep their spacing: corrections that lie on their grid go on fitting,
    and an export writes the voxel size of the catalog.
    """
    if voxel_size is None:
        return []
    patches = [p for p in patches_in(session, tomogram_id) if p.voxel_size != voxel_size]
    for patch in patches:
        _change(session, change, patch, voxel_size)
    return [patch.name for patch in patches]


def patches_told(patches: Sequence[str], voxel_size: float) -> tuple[str, ...]:
    """Say how many patches have another voxel size now."""
    if not patches:
        return ()
    have = "patch has" if len(patches) == 1 else "patches have"
    return (f"{len(patches)} {have} {voxel_size:g} Å now",)


def _set_one(
    session: Session, change: Change, name: str, voxel_size: float
) -> tuple[Outcome, list[str]]:
    patch = find_patch(session, name)
    if patch is not None:
        return _set_of_patch(session, change, patch, voxel_size)
    tomogram = get_tomogram(session, name)
    values: dict[str, Any] = {"voxel_size": voxel_size, "voxel_size_is_override": True}
    had = (tomogram.voxel_size, tomogram.voxel_size_is_override)
    if had != (voxel_size, True):
        change_tomogram(session, change, tomogram.id, "voxel size stated", **values)
    changed = spread_voxel_size(session, change, tomogram.id, voxel_size)
    outcome = DONE if changed or had[0] != voxel_size else KEPT
    findings = (*patches_told(changed, voxel_size), *voxel_size_findings(voxel_size))
    return Outcome(tomogram.name, outcome, f"{voxel_size:g} Å", findings), changed


def _set_of_patch(
    session: Session, change: Change, patch: PatchRecord, voxel_size: float
) -> tuple[Outcome, list[str]]:
    if patch.tomogram_id is not None:
        tomogram = tomogram_by_id(session, patch.tomogram_id).name
        raise StepError(f"{patch.name}: has the voxel size of {tomogram}; state it of that one.")
    if patch.voxel_size == voxel_size:
        return Outcome(patch.name, KEPT, f"{voxel_size:g} Å"), []
    _change(session, change, patch, voxel_size)
    findings = voxel_size_findings(voxel_size)
    return Outcome(patch.name, DONE, f"{voxel_size:g} Å", findings), [patch.name]


def _change(session: Session, change: Change, patch: PatchRecord, voxel_size: float | None) -> None:
    values: dict[str, float | None] = {"voxel_size": voxel_size}
    if patch.label_hash is not None and patch.grid_spacing is None:
        values["grid_spacing"] = patch.voxel_size or 1.0
    change_patch(session, change, patch, "voxel size stated", **values)
