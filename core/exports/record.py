"""Record an export in the catalog, and in the records of the patches that went out."""

from collections.abc import Iterable, Sequence

from core.access.permissions import Action, require
from core.exports.case import WrittenCase
from core.exports.selection import Chosen
from core.patches.record import write_record
from core.workspace.workspace import Workspace
from db.queries.people import PersonRecord
from db.queries.sharing import export_is_known
from db.writes.events import Change
from db.writes.sharing import ExportedCase, MadeExport, add_export


def record_export(
    workspace: Workspace, by: PersonRecord, made: MadeExport, patches: Iterable[str]
) -> bool:
    """Record an export, once; whether it was new.

    Errors: NotAllowedError.
    """
    with workspace.catalog.write() as session:
        require(session, by, Action.EXPORT)
        if export_is_known(session, made.path, made.manifest_sha256):
            return False
        add_export(session, Change.now(by.id), made)
    for name in patches:
        write_record(workspace, name)
    return True


def exported_cases(
    chosen: Chosen, written: Sequence[WrittenCase], *, leaky: bool = False
) -> tuple[ExportedCase, ...]:
    """Say what the catalog keeps of the written cases; the split of a ``leaky`` set is not kept."""
    return tuple(
        ExportedCase(
            patch_id=chosen.ids[case.planned.patch.name][0],
            merge_id=chosen.ids[case.planned.patch.name][1],
            case=case.planned.case,
            split=None if leaky else case.planned.split,
            image_hash=case.image_hash,
        )
        for case in written
    )
