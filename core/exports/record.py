"""Record an export in the catalog, and in the records of the patches that went out."""

from collections.abc import Iterable

from core.access.permissions import Action, require
from core.patches.record import write_sidecar
from core.workspace.workspace import Workspace
from db.queries.people import PersonRecord
from db.queries.sharing import export_is_known
from db.writes.events import Change
from db.writes.sharing import MadeExport, add_export


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
        write_sidecar(workspace, name)
    return True
