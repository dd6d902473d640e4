"""Export accepted patches as a training set, and record what went into it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.exports.manifest import MANIFEST
from core.exports.plan import (
    Progress,
    SetOptions,
    TrainingSetPlan,
    WrittenSet,
    plan_training_set,
    write_training_set,
)
from core.exports.record import exported_cases, record_export
from core.exports.selection import Choice, Chosen, choose_curated
from core.imaging.hashes import file_hash
from core.workspace.results import DONE, KEPT, Outcome
from core.workspace.workspace import Workspace
from db.queries.people import PersonRecord
from db.vocabulary import ExportKind
from db.writes.sharing import MadeExport


def plan_export_set(
    workspace: Workspace,
    by: PersonRecord,
    choice: Choice | None = None,
    options: SetOptions | None = None,
) -> TrainingSetPlan:
    """Say what a training set would hold, and what is wrong with it; nothing is written.

    Errors: NotAllowedError.
    """
    choice = choice or Choice()
    return _plan(choose_curated(workspace, by, choice), choice, options)


def export_training_set(
    workspace: Workspace,
    by: PersonRecord,
    out: Path,
    choice: Choice | None = None,
    options: SetOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Write a training set to the folder ``out``; the details hold the commands to train on it.

    Errors: ExportError with every fault; OutputError; NotAllowedError.
    """
    choice = choice or Choice()
    out = Path(out).absolute()
    chosen = choose_curated(workspace, by, choice)
    written = write_training_set(
        _plan(chosen, choice, options), out, overwrite=overwrite, progress=progress
    )
    _record(workspace, by, chosen, written)
    said = f"{len(written.cases)} patches" + (", as it was" if written.unchanged else "")
    return Outcome(
        str(out), KEPT if written.unchanged else DONE, said, written.notes, _details(written)
    )


def _plan(chosen: Chosen, choice: Choice, options: SetOptions | None) -> TrainingSetPlan:
    options = options or SetOptions()
    options = replace(options, accepted_only=options.accepted_only and not choice.merged_too)
    if options.val_from is not None:
        options = replace(options, rule=replace(options.rule, val_from_elsewhere=True))
    return plan_training_set(chosen.patches, options, chosen.linked)


def _record(workspace: Workspace, by: PersonRecord, chosen: Chosen, written: WrittenSet) -> None:
    made = MadeExport(
        kind=ExportKind.TRAINING_SET,
        path=str(written.folder),
        manifest_sha256=file_hash(written.folder / MANIFEST),
        options=_options(written.plan),
        cases=exported_cases(chosen, written.cases, leaky=written.plan.leaky),
    )
    record_export(workspace, by, made, [case.planned.patch.name for case in written.cases])


def _options(plan: TrainingSetPlan) -> Mapping[str, Any]:
    recipe, rule = plan.options.recipe, plan.options.rule
    return {
        "accepted_only": plan.options.accepted_only,
        "val_from": plan.options.val_from and str(plan.options.val_from),
        "val_fraction": rule.val_fraction,
        "leaky_validation": plan.leaky,
        "quantise": recipe.quantise,
        "unit_spacing": recipe.unit_spacing,
        "voxel_size_angstrom": plan.voxel_size,
        "mixed_voxel_sizes": plan.options.mixed_voxel_sizes,
    }


def _details(written: WrittenSet) -> Mapping[str, Any]:
    plan = written.plan
    return {
        "folder": str(written.folder),
        "patches": len(written.cases),
        "by_split": {split.value: count for split, count in plan.patches_by_split.items()},
        "voxel_size_angstrom": plan.voxel_size,
        "leaky_validation": plan.leaky,
        "commands": list(written.commands),
        "unchanged": written.unchanged,
    }
