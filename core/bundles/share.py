"""Share accepted patches as a bundle: what the catalog adds to ``core.bundles.write``."""

from dataclasses import replace
from pathlib import Path

from core.access.permissions import Action, may
from core.bundles.facts import BundleFacts, Level
from core.bundles.privacy.known_names import catalog_secrets, pseudonyms_of
from core.bundles.privacy.report import PrivacyReport
from core.bundles.write import (
    MARKER,
    BundlePlan,
    plan_bundle,
    rehearse_bundle,
    write_bundle,
)
from core.exports.record import record_export
from core.exports.selection import Choice, Chosen, choose_curated
from core.exports.split import SplitRule
from core.exports.write import Progress
from core.lab.lab import Lab
from core.workspace.results import DONE, KEPT, Outcome
from db.errors import NotAllowedError
from db.queries.people import list_people
from db.vocabulary import ExportKind, Scope

_SCOPES = {
    Level.INTERNAL: Scope.INTERNAL,
    Level.COLLABORATOR: Scope.COLLABORATOR,
    Level.PUBLIC: Scope.PUBLIC,
    Level.MINIMAL: Scope.PUBLIC,
}


def rehearse_share(
    lab: Lab,
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
    chosen = choose_curated(lab, choice or Choice())
    plan = _plan(lab, chosen, facts, rule)
    secrets = catalog_secrets(lab.workspace, chosen, facts)
    return rehearse_bundle(plan, Path(out).absolute(), secrets, progress)


def export_bundle(
    lab: Lab,
    out: Path,
    facts: BundleFacts,
    choice: Choice | None = None,
    *,
    rule: SplitRule | None = None,
    overwrite: bool = False,
    zipped: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Write the bundle ``out``; nothing is written if a permission is missing or a secret found.

    Errors: ExportError with every fault; OutputError; NotAllowedError.
    """
    out = Path(out).absolute()
    chosen = choose_curated(lab, choice or Choice())
    _check_signer(lab, chosen, facts.signed_by)
    written = write_bundle(
        _plan(lab, chosen, facts, rule),
        out,
        catalog_secrets(lab.workspace, chosen, facts),
        overwrite=overwrite,
        zipped=zipped,
        progress=progress,
    )
    record_export(
        lab,
        ExportKind.BUNDLE,
        written.folder / MARKER,
        chosen,
        written.cases,
        {
            "bundle_id": written.bundle_id,
            "level": facts.level.value,
            "title": facts.title,
            "version": facts.version,
            "signed_by": facts.signed_by,
            "tokens": dict(facts.tokens),
            "archive": written.archive and str(written.archive),
        },
        scope=_SCOPES[facts.level],
        licence=facts.licence,
    )
    held = written.plan.training_set.patches_by_split
    details = {
        "folder": str(written.folder),
        "archive": written.archive and str(written.archive),
        "bundle_id": written.bundle_id,
        "patches": len(written.cases),
        "by_split": {split.value: count for split, count in held.items()},
        "level": facts.level.value,
        "commands": list(written.commands),
        "residual_risk": list(written.report.residual),
        "unchanged": written.unchanged,
    }
    as_it_was = ", unchanged" if written.unchanged else ""
    message = f"{len(written.cases)} patches, {facts.level}{as_it_was}"
    outcome = KEPT if written.unchanged else DONE
    return Outcome(str(out), outcome, message, written.notes, details)


def _plan(lab: Lab, chosen: Chosen, facts: BundleFacts, rule: SplitRule | None) -> BundlePlan:
    pseudonyms, notes = pseudonyms_of(lab.workspace)
    plan = plan_bundle(chosen.patches, facts, pseudonyms, chosen.linked, rule)
    told = replace(plan.training_set, notes=(*plan.training_set.notes, *notes))
    return replace(plan, training_set=told)


def _check_signer(lab: Lab, chosen: Chosen, signer: str) -> None:
    """A bundle is signed by who acts, by whoever may export, or by who approved all of it.

    Errors: NotAllowedError.
    """
    given = [p.permission for p in chosen.patches if p.imported is None and p.permission]
    if signer == lab.person.name or (given and {item.approved_by for item in given} == {signer}):
        return
    with lab.read() as session:
        person = next((person for person in list_people(session) if person.name == signer), None)
    if person is None or person.disabled or not may(person.role, Action.EXPORT):
        raise NotAllowedError(
            f"{signer} cannot sign the bundle: sign as yourself ({lab.person.name}), or name "
            "somebody who may export, or who approved the permission of all its tomograms."
        )
