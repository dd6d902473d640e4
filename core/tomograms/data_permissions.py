"""State what the owner of a tomogram allows, and what a split does with it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.errors import ExportError
from core.lab.lab import Lab
from core.patches.record import write_record
from core.workspace.results import DONE, KEPT, Outcome
from core.workspace.text import check_text
from core.workspace.workspace import Workspace
from db.errors import StepError
from db.queries.curated import SplitUnit, split_unit
from db.queries.patches import patches_in
from db.queries.sharing import permission_with_day
from db.queries.volumes import get_tomogram
from db.vocabulary import Licence, Scope, Split
from db.writes.events import Change
from db.writes.volumes import change_tomogram, state_permission


def permit(
    lab: Lab,
    tomogram: str,
    *,
    scope: Scope,
    approved_by: str,
    licence: Licence | None = None,
    owner: str | None = None,
    until: date | None = None,
    embargo: date | None = None,
    seen: int | None = None,
) -> Outcome:
    """Record how far the patches of a tomogram may go, and who allowed it.

    ``until`` is the last day of the permission; nothing leaves the lab before ``embargo``.
    ``seen`` is the version of the permission that the caller saw.

    Errors: ExportError for what cannot be meant; NotAllowedError; ConflictError.
    """
    _check(scope, licence, approved_by, until, embargo)
    values = {
        "scope": scope,
        "licence": licence,
        "approved_by": approved_by.strip(),
        "owner": (owner or "").strip() or None,
        "until": until,
        "embargo": embargo,
    }
    with lab.catalog.write() as session:
        require(session, lab.person, Action.PERMIT)
        found = get_tomogram(session, tomogram)
        known = permission_with_day(session, found.id)
        if known is not None and all(getattr(known, key) == values[key] for key in values):
            return Outcome(found.name, KEPT, "is permitted just so already.")
        state_permission(session, Change.now(lab.person.id), found, seen, **values)
        patches = [patch.name for patch in patches_in(session, found.id)]
    _write_records(lab.workspace, patches)
    message = f"{scope}" + (f" under {licence}" if licence else "")
    return Outcome(found.name, DONE, message, details=values)


def pin(
    lab: Lab,
    tomogram: str,
    split: Split | None,
    *,
    seen: int | None = None,
) -> Outcome:
    """Send all patches of a tomogram to one split; None lets the stable hash decide again.

    Its whole specimen is pinned with it. Errors: NotAllowedError; ConflictError.
    """
    with lab.catalog.write() as session:
        require(session, lab.person, Action.PIN)
        found = get_tomogram(session, tomogram)
        unit = split_unit(session, found.id)
        if unit.pins == ({split} if split else set()) and found.split_pin == split:
            return Outcome(found.name, KEPT, "is pinned so already.")
        change = Change.now(lab.person.id)
        for item in (found.id, *sorted(set(unit.tomogram_ids) - {found.id})):
            version = seen if item == found.id else None
            change_tomogram(session, change, item, "tomogram pinned", version, split_pin=split)
        patches = _patches_of(session, unit)
    _write_records(lab.workspace, patches)
    others = [name for name in unit.tomograms if name != found.name]
    findings = (f"so are {', '.join(others)}: one specimen",) if others else ()
    message = f"goes to {split}" if split else "is pinned no more"
    return Outcome(found.name, DONE, message, findings)


def group(lab: Lab, tomograms: Sequence[str], specimen: str | None) -> tuple[Outcome, ...]:
    """State that tomograms show one specimen (a tilt series and its denoised or binned versions).

    No split tears a specimen apart, and a pin holds for all of it. None takes tomograms out of
    their specimen; files with the same bytes stay together all the same.

    Errors: NotAllowedError; UnknownNameError; StepError where their pins disagree.
    """
    name = None if specimen is None else check_text("the specimen's name", specimen, 120)
    with lab.catalog.write() as session:
        require(session, lab.person, Action.PIN)
        change = Change.now(lab.person.id)
        found = [get_tomogram(session, tomogram) for tomogram in tomograms]
        for item in found:
            change_tomogram(session, change, item.id, "specimen stated", specimen=name)
        units = {unit.name: unit for unit in (split_unit(session, item.id) for item in found)}
        for unit in units.values():
            _share_pin(session, change, unit)
        patches = [patch for unit in units.values() for patch in _patches_of(session, unit)]
    _write_records(lab.workspace, patches)
    message = "belongs to no stated specimen" if name is None else f"belongs to specimen {name}"
    return tuple(
        Outcome(
            item.name, KEPT if item.specimen == name else DONE, message, details={"specimen": name}
        )
        for item in found
    )


def _share_pin(session: Session, change: Change, unit: SplitUnit) -> None:
    """Give the one pin of a specimen to all its tomograms."""
    if len(unit.pins) > 1:
        raise StepError(
            f"{', '.join(unit.tomograms)}: are pinned to {' and '.join(sorted(unit.pins))}; pin "
            "them to one split first, or to none."
        )
    for pinned in unit.pins:
        for item in unit.tomogram_ids:
            change_tomogram(session, change, item, "tomogram pinned", split_pin=pinned)


def _patches_of(session: Session, unit: SplitUnit) -> list[str]:
    return [patch.name for item in unit.tomogram_ids for patch in patches_in(session, item)]


def _write_records(workspace: Workspace, patches: Sequence[str]) -> None:
    """Write the records of patches: they state what is allowed with their tomogram."""
    for name in patches:
        write_record(workspace, name)


def _check(
    scope: Scope,
    licence: Licence | None,
    approved_by: str,
    until: date | None,
    embargo: date | None,
) -> None:
    if not approved_by.strip():
        raise ExportError("a permission names who gave it; state it with --by.")
    if scope is not Scope.INTERNAL and licence is None:
        raise ExportError(
            f"patches that leave the lab ({scope}) need a licence; state --licence CC0-1.0 or "
            "CC-BY-4.0."
        )
    if until is not None and until < datetime.now(UTC).date():
        raise ExportError(f"a permission until {until} has ended already; name a later day.")
    if until is not None and embargo is not None and until < embargo:
        raise ExportError(
            f"the permission would end ({until}) before the embargo ({embargo}) does."
        )
