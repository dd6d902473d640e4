"""Share: training sets and bundles out, bundles in, and how good a model's segmentations are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.cli.context import (
    PATH,
    Call,
    Command,
    dry_run_option,
    json_option,
    on_workspace,
    patches_or_all,
    queue_option,
    say_queued,
    steps,
    tell_outcomes,
    word_of,
)
from core.cli.run import DONE, FAILED, say_error
from core.cli.tables import say_json
from db.json_values import to_json
from db.vocabulary import JobKind, Licence

if TYPE_CHECKING:
    from core.bundles.facts import BundleFacts
    from core.bundles.import_preview import FolderFacts, ImportPreview
    from core.bundles.privacy.report import PrivacyReport
    from core.exports.plan import SetOptions, TrainingSetPlan
    from core.exports.selection import Choice

LEVELS = ("internal", "collaborator", "public", "minimal")


@click.group()
def export() -> None:
    """Write accepted patches as a training set or a bundle.

    \b
    tomocurate export training-set nnunet
    tomocurate export bundle shared --title Cells --description "60 patches" --licence CC-BY-4.0
    """


def choice_options(command: Command) -> Command:
    """Give a command the options that say which patches leave."""
    for option in (
        click.option("--dataset", help="Only this dataset."),
        click.option("--tomogram", metavar="TOKEN", help="Only this tomogram."),
        click.option("--patch", multiple=True, help="Only these patches; may be repeated."),
    ):
        command = option(command)
    return command


@export.command("training-set", no_args_is_help=True)
@click.argument("out", type=PATH)
@choice_options
@click.option(
    "--merged-too",
    is_flag=True,
    help="Include merged patches that are not accepted yet (stated in the manifest).",
)
@click.option("--val-fraction", type=click.FloatRange(0, 1), default=0.2, show_default=True)
@click.option("--val-from", type=PATH, help="Copy the validation patches of another training set.")
@click.option(
    "--allow-leaky-val",
    is_flag=True,
    help="Allow validation on the only tomogram (stated in the manifest).",
)
@click.option(
    "--voxel-size",
    type=click.FloatRange(0, 1000, min_open=True),
    metavar="ANGSTROM",
    help="Only patches of this voxel size; an unknown one is taken to be it.",
)
@click.option("--mixed-voxel-sizes", is_flag=True, help="Several voxel sizes in one set.")
@click.option(
    "--quantise", is_flag=True, help="Round images to 1/256 standard deviation: half the size."
)
@click.option("--unit-spacing", is_flag=True, help="Spacing 1, as MemBrain-seg writes.")
@click.option("--overwrite", is_flag=True, help="Replace a different training set in OUT.")
@dry_run_option
@on_workspace
def training_set(call: Call, out: Path, overwrite: bool, dry_run: bool, **options: Any) -> int:
    """Write a training set that MemBrain-seg, nnU-Net and MONAI load directly.

    Split by tomogram, and recorded: a patch never changes sides.

    \b
    tomocurate export training-set nnunet
    tomocurate export training-set nnunet --dataset chlamy --dry-run
    """
    from core.exports.training_set import export_training_set, plan_export_set

    choice, chosen = _choice(options), _set_options(options)
    if dry_run:
        return _tell_plan(call, plan_export_set(call.lab, choice, chosen))
    with steps("exporting") as told:
        done = export_training_set(
            call.lab, out, choice, chosen, overwrite=overwrite, progress=told.of_all
        )
    status = tell_outcomes(call, [done], "written")
    for command in done.details["commands"]:
        call.say(f"  {command}")
    return status


@export.command("bundle", no_args_is_help=True)
@click.argument("out", type=PATH)
@choice_options
@click.option("--title", required=True)
@click.option("--description", required=True, help="What it contains, in a sentence or two.")
@click.option("--licence", type=word_of(Licence), required=True)
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="public",
    show_default=True,
    help="What recipients may see.",
)
@click.option("--version", default="1.0.0", show_default=True)
@click.option(
    "--creator",
    "creators",
    multiple=True,
    metavar="NAME[;ORCID]",
    help='"Family, Given": named with their consent; may be repeated.',
)
@click.option("--contact", default="", help="Contact for questions.")
@click.option("--archive", type=click.Choice(["zip"]), help="Pack the folder as well.")
@click.option(
    "--sign",
    "signed_by",
    metavar="NAME",
    help="Person who read the privacy report and is responsible for the bundle.",
)
@click.option("--overwrite", is_flag=True, help="Replace a different bundle in OUT.")
@on_workspace
def bundle(
    call: Call,
    out: Path,
    archive: str | None,
    overwrite: bool,
    signed_by: str | None,
    **options: Any,
) -> int:
    """Write a bundle for another group that discloses no more than the owners permit.

    Without --sign nothing is written: the privacy report is shown to whoever will answer for the
    bundle. A permission that lacks, or a secret that is found, blocks it.

    \b
    tomocurate export bundle shared --title Cells --description "60 patches" --licence CC-BY-4.0
    """
    from core.bundles.share import export_bundle, rehearse_share

    choice, facts = _choice(options), _facts(call, signed_by, options)
    with steps("bundling") as told:
        if signed_by is None:
            report = rehearse_share(call.lab, out, facts, choice, progress=told.of_all)
            return _tell_report(call, report)
        done = export_bundle(
            call.lab,
            out,
            facts,
            choice,
            overwrite=overwrite,
            zipped=archive is not None,
            progress=told.of_all,
        )
    return tell_outcomes(call, [done], "written")


@export.command("convert", no_args_is_help=True)
@click.argument("source", type=PATH)
@click.argument("out", type=PATH)
@click.option("--to", "form", required=True, help="ome-zarr or niftifolder.")
@click.option("--overwrite", is_flag=True, help="Replace a different export in OUT.")
@json_option
def convert(source: Path, out: Path, form: str, overwrite: bool, as_json: bool) -> int:
    """Convert a training set or an unpacked bundle to another format.

    \b
    tomocurate export convert nnunet zarr --to ome-zarr
    """
    from core.exports.targets.target import convert as write
    from core.exports.targets.target import targets
    from db.errors import UnknownNameError

    known = targets()
    if form not in known:
        raise UnknownNameError.among("form", form, known)
    unchanged = write(source, out, known[form], overwrite=overwrite)
    if as_json:
        say_json({"name": str(out), "form": form, "unchanged": unchanged})
    else:
        click.echo(f"{out}: {'is unchanged' if unchanged else 'is written'}, as {form}.")
    return DONE


@export.command("list")
@on_workspace
def list_exports(call: Call) -> int:
    """List exported training sets and bundles, the newest first.

    \b
    tomocurate export list
    """
    from db.queries.sharing import list_exports as exports_of

    with call.workspace.catalog.read() as session:
        found = list(exports_of(session))
    rows = [
        (
            item.id,
            item.kind,
            item.path,
            item.patch_count,
            item.made_by,
            f"{item.made_at:%Y-%m-%d %H:%M}",
        )
        for item in found
    ]
    values = [{"name": item.path} | to_json(item) for item in found]
    call.tell(("export", "kind", "folder", "patches", "by", "when (UTC)"), rows, values)
    return DONE


def _facts(call: Call, signed_by: str | None, options: dict[str, Any]) -> "BundleFacts":
    from datetime import UTC, datetime

    from core.bundles.facts import BundleFacts, Creator, Level

    split = [creator.partition(";") for creator in options["creators"]]
    return BundleFacts(
        title=options["title"],
        description=options["description"],
        licence=Licence(options["licence"]),
        signed_by=signed_by or call.by.name,
        created=datetime.now(UTC).date(),
        level=Level(options["level"]),
        version=options["version"],
        creators=tuple(Creator(name.strip(), orcid.strip() or None) for name, _, orcid in split),
        contact=options["contact"],
    )


def _tell_report(call: Call, report: "PrivacyReport") -> int:
    from core.bundles.privacy.report import report_text

    for fault in report.faults:
        say_error(fault.message)
    if call.as_json:
        say_json({"name": "privacy report", **report.as_json()})
    else:
        click.echo(report_text(report))
        click.echo(
            "Nothing was written. To write the bundle, the responsible person adds --sign NAME."
        )
    return DONE if report.passed else FAILED


def _choice(options: dict[str, Any]) -> "Choice":
    from core.exports.selection import Choice
    from db.queries.patches import PatchFilter

    wanted = PatchFilter(dataset=options["dataset"], tomogram=options["tomogram"])
    return Choice(wanted, options["patch"] or None, options.get("merged_too", False))


def _set_options(options: dict[str, Any]) -> "SetOptions":
    from core.exports.case import Recipe
    from core.exports.plan import SetOptions
    from core.exports.split import SplitRule

    return SetOptions(
        rule=SplitRule(options["val_fraction"], allow_leaky_val=options["allow_leaky_val"]),
        recipe=Recipe(quantise=options["quantise"], unit_spacing=options["unit_spacing"]),
        val_from=options["val_from"],
        voxel_size=options["voxel_size"],
        mixed_voxel_sizes=options["mixed_voxel_sizes"],
    )


def _tell_plan(call: Call, plan: "TrainingSetPlan") -> int:
    """Print a training set's plan; fail if it would not load."""
    for fault in plan.faults:
        say_error(fault.message)
    rows = [(case.patch.name, case.case, case.split) for case in plan.cases]
    values = [{"name": name, "case": case, "split": split} for name, case, split in rows]
    call.tell(("patch", "as", "split"), rows, values)
    for note in plan.notes:
        call.say(note)
    call.say(f"{len(rows)} patches; nothing was written.")
    return FAILED if plan.faults else DONE


@click.command("import-bundle", no_args_is_help=True)
@click.argument("source", type=PATH, metavar="FILE|FOLDER")
@click.option("--title", help="Title of a folder without bundle.json.")
@click.option("--licence", type=word_of(Licence), help="Licence of a folder without bundle.json.")
@click.option("--attribution", help="Attribution of a folder without bundle.json.")
@click.option(
    "--voxel-size",
    type=click.FloatRange(0, min_open=True),
    help="Voxel size in angstrom where the files state 1.",
)
@dry_run_option
@on_workspace
def import_bundle(call: Call, source: Path, dry_run: bool, **stated: Any) -> int:
    """Import another group's bundle, with its licence and attribution.

    It is opened safely and verified first. Images that are known already become second
    annotations, to compare. A plain imagesTr/labelsTr folder needs its title, licence and
    attribution stated.

    \b
    tomocurate import-bundle theirs.zip --dry-run
    tomocurate import-bundle theirs.zip
    """
    from core.bundles.import_bundle import import_bundle as take_in
    from core.bundles.import_bundle import preview_bundle

    statement = _read_statement(**stated)
    with steps("importing") as told:
        if dry_run:
            seen = preview_bundle(call.lab, source, statement, progress=told.of_all)
            return _tell_quarantine(call, seen)
        done = take_in(call.lab, source, statement, progress=told)
    return tell_outcomes(call, done, "imported")


@click.command(no_args_is_help=True)
@patches_or_all("is accepted")
@click.option("--again", is_flag=True, help="Score again what has a score.")
@queue_option
@on_workspace
def score(call: Call, names: tuple[str, ...] | None, again: bool, queue: bool) -> int:
    """Score segmentations against the accepted labels of their tomograms.

    By Dice and surface Dice, where the label is not ignore. What a model was trained on is marked,
    if somebody said so: tomocurate trained.

    \b
    tomocurate score --all
    """
    from core.evaluation.scores import score_segmentations

    if queue:
        from core.jobs.queue import submit

        job = submit(call.lab, JobKind.SCORE, {"names": names})
        return say_queued(call, job, "score")
    with steps("scoring") as told:
        done = score_segmentations(call.lab, names, again=again, progress=told)
    return tell_outcomes(call, done, "scored")


@click.command()
@click.option("--patch", help="Only this patch.")
@on_workspace
def scores(call: Call, patch: str | None) -> int:
    """List the scores of segmentations, by patch.

    \b
    tomocurate scores
    """
    from db.queries.page import MAX_LIMIT
    from db.queries.patches import get_patch
    from db.queries.scores import list_scores

    with call.workspace.catalog.read() as session:
        if patch is not None:
            get_patch(session, patch)
        listed = list_scores(session, limit=MAX_LIMIT)
        found = [item for item in listed if patch in (None, item.patch)]
    rows = [
        (
            item.patch,
            item.model,
            _three(item.dice),
            _three(item.surface_dice),
            "trained on it" if item.in_training else "",
        )
        for item in found
    ]
    values = [{"name": item.patch} | to_json(item) for item in found]
    call.tell(("patch", "model", "Dice", "surface Dice", ""), rows, values)
    return DONE


@click.command(no_args_is_help=True)
@click.argument("export_number", type=int, metavar="EXPORT")
@click.argument("model")
@on_workspace
def trained(call: Call, export_number: int, model: str) -> int:
    """State that a model was trained on an export.

    Its scores on those patches are marked: they say how well it remembers. EXPORT is the number
    that tomocurate export list shows.

    \b
    tomocurate trained 3 MemBrain_seg_v10_beta
    """
    from core.evaluation.scores import state_training

    done = state_training(call.lab, export_number, model)
    return tell_outcomes(call, [done], "stated")


def _three(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _read_statement(
    title: str | None, licence: str | None, attribution: str | None, voxel_size: float | None
) -> "FolderFacts | None":
    from core.bundles.import_preview import FolderFacts

    if not (title or licence or attribution):
        return None
    if not (title and licence and attribution):
        raise click.UsageError("--title, --licence and --attribution belong together.")
    return FolderFacts(title, Licence(licence), attribution, voxel_size)


def _tell_quarantine(call: Call, seen: "ImportPreview") -> int:
    """Print what a bundle would add."""
    rows = [
        (
            item.case.patch_id,
            item.status,
            seen.names.get(item.like, item.like) if isinstance(item.like, int) else item.like,
        )
        for item in seen.incoming
    ]
    values = [{"name": name, "fate": fate, "like": like} for name, fate, like in rows]
    call.tell(("patch", "is", "like"), rows, values)
    call.say(f"{len(rows)} patches; nothing was imported.")
    return DONE
