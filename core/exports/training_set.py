"""Export accepted patches as a training set, and record what went into it."""

from dataclasses import replace
from pathlib import Path

from core.exports.manifest import MANIFEST
from core.exports.plan import SetOptions, TrainingSetPlan, plan_training_set
from core.exports.record import record_export
from core.exports.selection import Choice, Chosen, choose_curated
from core.exports.write import Progress, write_training_set
from core.lab.lab import Lab
from core.workspace.results import DONE, KEPT, Outcome
from db.vocabulary import ExportKind


def plan_export_set(
    lab: Lab, choice: Choice | None = None, options: SetOptions | None = None
) -> TrainingSetPlan:
    """Say what a training set would hold, and what is wrong with it; nothing is written.

    Errors: NotAllowedError.
    """
    choice = choice or Choice()
    return _plan(choose_curated(lab, choice), choice, options)


def export_training_set(
    lab: Lab,
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
    chosen = choose_curated(lab, choice)
    plan = _plan(chosen, choice, options)
    written = write_training_set(plan, Path(out).absolute(), overwrite=overwrite, progress=progress)
    facts = {"voxel_size_angstrom": plan.voxel_size, "leaky_validation": plan.leaky}
    recorded = facts | {
        "accepted_only": plan.options.accepted_only,
        "val_from": plan.options.val_from and str(plan.options.val_from),
        "val_fraction": plan.options.rule.val_fraction,
        "quantise": plan.options.recipe.quantise,
        "unit_spacing": plan.options.recipe.unit_spacing,
        "mixed_voxel_sizes": plan.options.mixed_voxel_sizes,
    }
    record_export(
        lab,
        ExportKind.TRAINING_SET,
        written.folder / MANIFEST,
        chosen,
        written.cases,
        recorded,
        leaky=plan.leaky,
    )
    details = facts | {
        "folder": str(written.folder),
        "patches": len(written.cases),
        "by_split": {split.value: count for split, count in plan.patches_by_split.items()},
        "commands": list(written.commands),
        "unchanged": written.unchanged,
    }
    message = f"{len(written.cases)} patches" + (", unchanged" if written.unchanged else "")
    outcome = KEPT if written.unchanged else DONE
    return Outcome(str(written.folder), outcome, message, written.notes, details)


def _plan(chosen: Chosen, choice: Choice, options: SetOptions | None) -> TrainingSetPlan:
    options = options or SetOptions()
    options = replace(options, accepted_only=options.accepted_only and not choice.merged_too)
    if options.val_from is not None:
        options = replace(options, rule=replace(options.rule, val_from_elsewhere=True))
    return plan_training_set(chosen.patches, options, chosen.linked)
