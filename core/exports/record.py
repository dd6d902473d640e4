"""Record an export in the catalog, and in the records of the patches that went out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.access.permissions import Action
from core.exports.case import WrittenCase
from core.exports.selection import Chosen
from core.imaging.hashes import file_hash
from core.lab.lab import Lab
from db.queries.sharing import export_is_known
from db.vocabulary import ExportKind, Licence, Scope
from db.writes.sharing import ExportedCase, MadeExport, add_export


def record_export(
    lab: Lab,
    kind: ExportKind,
    manifest: Path,
    chosen: Chosen,
    written: Sequence[WrittenCase],
    options: Mapping[str, Any],
    *,
    scope: Scope | None = None,
    licence: Licence | None = None,
    leaky: bool = False,
) -> None:
    """Record the export whose folder holds ``manifest``, once.

    The split of a ``leaky`` set is not kept. Errors: NotAllowedError.
    """
    cases = tuple(
        ExportedCase(
            patch_id=chosen.ids[case.planned.patch.name][0],
            merge_id=chosen.ids[case.planned.patch.name][1],
            case=case.planned.case,
            split=None if leaky else case.planned.split,
            image_hash=case.image_hash,
        )
        for case in written
    )
    made = MadeExport(
        kind=kind,
        path=str(manifest.parent),
        manifest_sha256=file_hash(manifest),
        options=options,
        cases=cases,
        scope=scope,
        licence=licence,
    )
    with lab.change(Action.EXPORT) as changes:
        if export_is_known(changes.session, made.path, made.manifest_sha256):
            return
        add_export(changes.session, changes.change, made)
        for case in written:
            changes.record(case.planned.patch.name)
