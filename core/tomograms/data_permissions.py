"""What the owner of a tomogram allows, and where its patches go in a split."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from core.access.permissions import Action, require
from core.errors import ExportError
from core.patches.record import write_sidecar
from core.workspace.results import DONE, KEPT, Outcome
from core.workspace.workspace import Workspace
from db.queries.patches import patches_in
from db.queries.people import PersonRecord
from db.queries.sharing import permission_with_day
from db.queries.volumes import get_tomogram
from db.vocabulary import Licence, Scope, Split
from db.writes.events import Change
from db.writes.volumes import change_tomogram, state_permission


def permit(
    workspace: Workspace,
    by: PersonRecord,
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
    with workspace.catalog.write() as session:
        require(session, by, Action.PERMIT)
        found = get_tomogram(session, tomogram)
        known = permission_with_day(session, found.id)
        if known is not None and all(getattr(known, key) == values[key] for key in values):
            return Outcome(found.name, KEPT, "is permitted just so already.")
        state_permission(session, Change.now(by.id), found, seen, **values)
        patches = [patch.name for patch in patches_in(session, found.id)]
    _write_records(workspace, patches)
    said = f"{scope}" + (f" under {licence}" if licence else "")
    return Outcome(found.name, DONE, said, details=values)


def pin(
    workspace: Workspace,
    by: PersonRecord,
    tomogram: str,
    split: Split | None,
    *,
    seen: int | None = None,
) -> Outcome:
    """Send all patches of a tomogram to one split; None lets the stable hash decide again.

    Errors: NotAllowedError; ConflictError.
    """
    with workspace.catalog.write() as session:
        require(session, by, Action.PIN)
        found = get_tomogram(session, tomogram)
        if found.split_pin == split:
            return Outcome(found.name, KEPT, "is pinned so already.")
        change = Change.now(by.id)
        change_tomogram(session, change, found.id, "tomogram pinned", seen, split_pin=split)
        patches = [patch.name for patch in patches_in(session, found.id)]
    _write_records(workspace, patches)
    return Outcome(found.name, DONE, f"goes to {split}" if split else "is pinned no more")


def _write_records(workspace: Workspace, patches: Sequence[str]) -> None:
    """The records of patches tell what is allowed with their tomogram."""
    for name in patches:
        write_sidecar(workspace, name)


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
