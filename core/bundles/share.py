"""Share accepted patches as a bundle: what the catalog adds to ``core.bundles.write``."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.access.permissions import Action, may
from core.bundles.facts import BundleFacts, Level
from core.bundles.privacy.known_names import catalog_secrets, pseudonyms_of
from core.bundles.privacy.report import PrivacyReport
from core.bundles.write import (
    MARKER,
    BundlePlan,
    WrittenBundle,
    plan_bundle,
    rehearse_bundle,
    write_bundle,
)
from core.exports.plan import Progress
from core.exports.record import exported_cases, record_export
from core.exports.selection import Choice, Chosen, choose_curated
from core.exports.split import SplitRule
from core.imaging.hashes import file_hash
from core.workspace.results import DONE, KEPT, Outcome
from core.workspace.workspace import Workspace
from db.errors import NotAllowedError
from db.queries.people import PersonRecord, list_people
from db.vocabulary import ExportKind, Scope
from db.writes.sharing import MadeExport

_SCOPES = {
    Level.INTERNAL: Scope.INTERNAL,
    Level.COLLABORATOR: Scope.COLLABORATOR,
    Level.PUBLIC: Scope.PUBLIC,
    Level.MINIMAL: Scope.PUBLIC,
}


def plan_share(
    workspace: Workspace, by: PersonRecord, facts: BundleFacts, choice: Choice | None = None
) -> BundlePlan:
    """Say what a bundle would hold, who did not permit it, and what is wrong; nothing is written.

    Errors: ExportError for facts that a metadata format refuses; NotAllowedError.
    """
    return _plan(workspace, choose_curated(workspace, by, choice or Choice()), facts, None)


def rehearse_share(
    workspace: Workspace,
    by: PersonRecord,
    out: Path,
    facts: BundleFacts,
    choice: Choice | None = None,
    *,
    rule: SplitRule | None = None,
    progress: Progress | None = None,
) -> PrivacyReport:
    """Make the privacy report for the signer to read; nothing is kept.

    Errors: ExportError; OutputError; NotAllowedError.
    """
    chosen = choose_curated(workspace, by, choice or Choice())
    plan = _plan(workspace, chosen, facts, rule)
    secrets = catalog_secrets(workspace, chosen, facts)
    return rehearse_bundle(plan, Path(out).absolute(), secrets, progress)


def export_bundle(
    workspace: Workspace,
    by: PersonRecord,
    out: Path,
    facts: BundleFacts,
    choice: Choice | None = None,
    *,
    rule: SplitRule | None = None,
    overwrite: bool = False,
    zipped: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Write the bundle ``out``; nothing is written where a permission lacks or a secret is found.

    Errors: ExportError with every fault; OutputError; NotAllowedError.
    """
    out = Path(out).absolute()
    chosen = choose_curated(workspace, by, choice or Choice())
    _check_signer(workspace, by, chosen, facts.signed_by)
    written = write_bundle(
        _plan(workspace, chosen, facts, rule),
        out,
        catalog_secrets(workspace, chosen, facts),
        overwrite=overwrite,
        zipped=zipped,
        progress=progress,
    )
    _record(workspace, by, chosen, written)
    said = f"{len(written.cases)} patches, {facts.level}" + (
        ", as it was" if written.unchanged else ""
    )
    return Outcome(
        str(out), KEPT if written.unchanged else DONE, said, written.notes, _details(written)
    )


def _plan(
    workspace: Workspace, chosen: Chosen, facts: BundleFacts, rule: SplitRule | None
) -> BundlePlan:
    pseudonyms, notes = pseudonyms_of(workspace)
    plan = plan_bundle(chosen.patches, facts, pseudonyms, chosen.linked, rule)
    told = replace(plan.training_set, notes=(*plan.training_set.notes, *notes))
    return replace(plan, training_set=told)


def _check_signer(workspace: Workspace, by: PersonRecord, chosen: Chosen, signer: str) -> None:
    """A bundle is signed by who acts, by whoever may export, or by who approved all of it.

    Errors: NotAllowedError.
    """
    given = [p.permission for p in chosen.patches if p.imported is None and p.permission]
    if signer == by.name or (given and {each.approved_by for each in given} == {signer}):
        return
    with workspace.catalog.read() as session:
        person = next((each for each in list_people(session) if each.name == signer), None)
    if person is None or person.disabled or not may(person.role, Action.EXPORT):
        raise NotAllowedError(
            f"{signer} cannot sign the bundle: sign as yourself ({by.name}), or name somebody who "
            "may export, or who approved the permission of all its tomograms."
        )


def _record(workspace: Workspace, by: PersonRecord, chosen: Chosen, written: WrittenBundle) -> None:
    facts = written.plan.facts
    made = MadeExport(
        kind=ExportKind.BUNDLE,
        path=str(written.folder),
        manifest_sha256=file_hash(written.folder / MARKER),
        options={
            "bundle_id": written.bundle_id,
            "level": facts.level.value,
            "title": facts.title,
            "version": facts.version,
            "signed_by": facts.signed_by,
            "tokens": dict(facts.tokens),
            "archive": written.archive and str(written.archive),
        },
        cases=exported_cases(chosen, written.cases),
        scope=_SCOPES[facts.level],
        licence=facts.licence,
    )
    record_export(workspace, by, made, [case.planned.patch.name for case in written.cases])


def _details(written: WrittenBundle) -> Mapping[str, Any]:
    held = written.plan.training_set.patches_by_split
    return {
        "folder": str(written.folder),
        "archive": written.archive and str(written.archive),
        "bundle_id": written.bundle_id,
        "patches": len(written.cases),
        "by_split": {split.value: count for split, count in held.items()},
        "level": written.plan.facts.level.value,
        "commands": list(written.commands),
        "residual_risk": list(written.report.residual),
        "unchanged": written.unchanged,
    }
