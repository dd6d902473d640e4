"""Share: training sets and bundles out, bundles in, and how good a model's segmentations are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.cli.border import DONE, FAILED, say_error
from core.cli.call import PATH, Call, Command, dry_run_option, on_workspace, steps, tell_outcomes

if TYPE_CHECKING:
    from core.export.training_set import SetOptions, TrainingSetPlan
    from core.sharing.curated import Choice


@click.group()
def export() -> None:
    """Write accepted patches as a training set or a bundle.

    \b
    tomocurate export training-set nnunet
    tomocurate export bundle shared.zip --scope public
    """


def choice_options(command: Command) -> Command:
    """Give a command the options that say which patches leave."""
    for option in (
        click.option("--dataset", help="Of this dataset alone."),
        click.option("--tomogram", metavar="TOKEN", help="Of this tomogram alone."),
        click.option("--patch", multiple=True, help="Only these; may be repeated."),
    ):
        command = option(command)
    return command


@export.command("training-set", no_args_is_help=True)
@click.argument("out", type=PATH)
@choice_options
@click.option("--merged-too", is_flag=True, help="Also what nobody has accepted yet; it is said.")
@click.option("--val-fraction", type=click.FloatRange(0, 1), default=0.2, show_default=True)
@click.option("--val-from", type=PATH, help="Take another set's validation patches.")
@click.option("--allow-leaky-val", is_flag=True, help="With one tomogram only: validate on it.")
@click.option("--quantise", is_flag=True, help="Half the size: 1/256 standard deviation.")
@click.option("--unit-spacing", is_flag=True, help="Spacing 1, as MemBrain-seg writes.")
@click.option("--overwrite", is_flag=True, help="Replace a training set in OUT that differs.")
@dry_run_option
@on_workspace
def training_set(call: Call, out: Path, overwrite: bool, dry_run: bool, **options: Any) -> int:
    """Write a folder that MemBrain-seg, nnU-Net and MONAI load as it is.

    Split by tomogram, and recorded: a patch never changes sides.

    \b
    tomocurate export training-set nnunet
    tomocurate export training-set nnunet --dataset chlamy --dry-run
    """
    from core.sharing.training_set import export_training_set, plan_export_set

    choice, chosen = _choice(options), _set_options(options)
    if dry_run:
        return _tell_plan(call, plan_export_set(call.workspace, call.by, choice, chosen))
    with steps("exporting") as told:
        done = export_training_set(
            call.workspace, call.by, out, choice, chosen, overwrite=overwrite,
            progress=lambda number, of: told.share(number / max(of, 1), ""),
        )  # fmt: skip
    status = tell_outcomes(call, [done], "written")
    for command in done.details["commands"]:
        call.say(f"  {command}")
    return status


def _choice(options: dict[str, Any]) -> "Choice":
    from core.sharing.curated import Choice
    from db.queries.patches import PatchFilter

    wanted = PatchFilter(dataset=options["dataset"], tomogram=options["tomogram"])
    return Choice(wanted, options["patch"] or None, options.get("merged_too", False))


def _set_options(options: dict[str, Any]) -> "SetOptions":
    from core.export.cases import Recipe
    from core.export.split import SplitRule
    from core.export.training_set import SetOptions

    return SetOptions(
        rule=SplitRule(options["val_fraction"], allow_leaky_val=options["allow_leaky_val"]),
        recipe=Recipe(quantise=options["quantise"], unit_spacing=options["unit_spacing"]),
        val_from=options["val_from"],
    )


def _tell_plan(call: Call, plan: "TrainingSetPlan") -> int:
    """What a training set would hold; one that would not load fails."""
    for fault in plan.faults:
        say_error(fault.said)
    rows = [(case.patch.name, case.case, case.split) for case in plan.cases]
    values = [{"name": name, "case": case, "split": split} for name, case, split in rows]
    call.tell(("patch", "as", "split"), rows, values)
    for note in plan.notes:
        call.say(note)
    call.say(f"{len(rows)} patches; nothing was written.")
    return FAILED if plan.faults else DONE
