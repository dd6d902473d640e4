"""Patches: choose, list and show them; extract, collect, merge and verify; put labels back."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.cli.context import (
    PATH,
    POSITION,
    Call,
    dry_run_option,
    on_workspace,
    patches_or_all,
    queue_option,
    say_queued,
    steps,
    tell_outcomes,
    unique,
    word_of,
)
from core.cli.run import DONE, FAILED, say_error
from core.cli.tables import say_json
from db.json_values import to_json
from db.vocabulary import ChosenBecause, JobKind, NearBorder, Stage

if TYPE_CHECKING:
    from core.imaging.geometry import Zyx
    from core.workspace.workspace import Workspace
    from db.queries.patches import PatchFilter, PatchRecord

WHY = word_of(ChosenBecause)


@click.command(no_args_is_help=True)
@click.argument("tomogram")
@click.option("--at", type=POSITION, multiple=True, help="The center; may be repeated.")
@click.option("--from", "source", type=PATH, help="Centers: csv, tsv, .mod, .star, picks .json.")
@click.option(
    "--why",
    type=WHY,
    default=ChosenBecause.OTHER.value,
    show_default=True,
    help="What is wrong there.",
)
@click.option("--note", help="In your own words.")
@click.option(
    "--segmentation", type=int, metavar="ID", help="Use this segmentation (default: the newest)."
)
@click.option("--threshold", type=float, help="For scores: membrane is above this.")
@click.option(
    "--near-border",
    type=word_of(NearBorder),
    default=NearBorder.REFUSE.value,
    show_default=True,
    help="A box that leaves the tomogram: refuse it, shift it, or pad it.",
)
@dry_run_option
@on_workspace
def choose(
    call: Call,
    tomogram: str,
    at: tuple["Zyx", ...],
    source: Path | None,
    why: str,
    segmentation: int | None,
    near_border: str,
    **options: Any,
) -> int:
    """Choose patch centers where the prediction is wrong.

    Choose where a person can still tell whether there is a membrane. X,Y,Z are 0-based voxels, as
    MITK, IMOD and napari show them. Two to five a tomogram.

    \b
    tomocurate choose TS_001 --at 512,480,120 --why missed_membrane
    tomocurate choose TS_001 --from centers.csv --near-border shift
    """
    from core.patches.choose import choose as choose_centers

    centers, notes, unread = _centers(call.workspace, tomogram, at, source)
    for sentence in unread:
        say_error(sentence)
    for note in notes:
        call.say(note)
    done = choose_centers(
        call.lab,
        tomogram,
        centers,
        reason=ChosenBecause(why),
        segmentation_id=segmentation,
        near_border=NearBorder(near_border),
        **options,
    )
    status = tell_outcomes(call, done, "to choose" if options["dry_run"] else "chosen")
    return FAILED if unread else status


@click.command()
@click.option("--stage", type=word_of(Stage), multiple=True, help="May be repeated.")
@click.option("--dataset")
@click.option("--tomogram", metavar="TOKEN")
@click.option("--assignee", metavar="PERSON")
@click.option("--mine", is_flag=True, help="Assigned to you.")
@click.option("--unassigned", is_flag=True)
@click.option("--why", type=WHY)
@click.option("--model", help="Cut from this model's segmentation.")
@click.option("--rejected/--not-rejected", default=None)
@click.option("--stale/--not-stale", default=None, help="Corrections that no merge holds.")
@click.option(
    "--waiting",
    "newer_corrections_wait",
    is_flag=True,
    default=None,
    help="Accepted, and newer corrections wait.",
)
@click.option("--corrected/--uncorrected", default=None)
@click.option("--withdrawn", is_flag=True)
@click.option("--text", help="Part of the name.")
@click.option("--sort", type=click.Choice(["name", "updated", "stage"]), default="name")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True)
@on_workspace
def patches(
    call: Call,
    stage: tuple[str, ...],
    why: str | None,
    mine: bool,
    sort: str,
    limit: int,
    **filters: Any,
) -> int:
    """List patches, filtered by stage, person, tomogram and marks.

    \b
    tomocurate patches --mine --stage extracted
    tomocurate patches --rejected --json
    """
    from db.queries.patches import PatchFilter, PatchSort, list_patches

    if mine:
        filters["assignee"] = call.by.name
    wanted = PatchFilter(
        stage=tuple(map(Stage, stage)),
        chosen_because=ChosenBecause(why) if why else None,
        **filters,
    )
    with call.workspace.catalog.read() as session:
        page = list_patches(session, wanted, PatchSort(sort), limit=limit)
        if not page.total:
            _check_names(session, wanted)
    call.tell(_HEADINGS, map(_row, page), page.rows)
    shown = f", {len(page)} are shown" if len(page) < page.total else ""
    call.say(f"{page.total} patches{shown}.")
    return DONE


@click.command(no_args_is_help=True)
@click.argument("patch")
@on_workspace
def show(call: Call, patch: str) -> int:
    """Show the history of a patch: who did what, when and why.

    \b
    tomocurate show other_TS_001_patch0
    """
    from core.cli.show import tell_life
    from core.patches.history import show as life_of

    life = life_of(call.workspace, patch)
    if call.as_json:
        say_json({"name": patch} | to_json(life))
    else:
        tell_life(life)
    return DONE


@click.command(no_args_is_help=True)
@patches_or_all("was chosen and is not cut yet, or whose files are gone")
@dry_run_option
@queue_option
@on_workspace
def extract(call: Call, names: tuple[str, ...] | None, dry_run: bool, queue: bool) -> int:
    """Extract chosen patches from their tomograms.

    \b
    tomocurate extract --all
    tomocurate extract other_TS_001_patch0 --dry-run
    """
    from core.patches.extract import extract as cut

    if queue:
        return _queue(call, JobKind.EXTRACT, {"names": names})
    with steps("cutting", names) as told:
        done = cut(call.lab, names, dry_run=dry_run, progress=told)
    status = tell_outcomes(call, done, "to cut" if dry_run else "cut")
    call.say(
        f"Paint on {call.workspace.folders.images}, save to "
        f"{call.workspace.folders.corrections}/PATCH/Add1.nrrd ..."
    )
    return status


@click.command(no_args_is_help=True)
@click.argument("patch", nargs=-1, required=True)
@click.option("--out", type=PATH, default=Path("kit.zip"), show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace the file that is there.")
@on_workspace
def kit(call: Call, patch: tuple[str, ...], out: Path, overwrite: bool) -> int:
    """Pack patches for somebody who paints on another computer.

    The zip holds images, labels, and instructions for MITK and napari.

    \b
    tomocurate kit other_TS_001_patch0 other_TS_001_patch1 --out ben.zip
    """
    from core.corrections.kit import write_kit
    from core.errors import OutputError

    if out.exists() and not overwrite:
        raise OutputError(f"{out}: is there already; use another name, or --overwrite.")
    names = unique(patch)
    write_kit(call.workspace, names, out)
    if call.as_json:
        say_json([{"name": name, "kit": out} for name in names])
    call.say(f"{len(names)} patches are in {out}.")
    return DONE


@click.command()
@click.argument("patch", nargs=-1)
@dry_run_option
@queue_option
@on_workspace
def collect(call: Call, patch: tuple[str, ...], dry_run: bool, queue: bool) -> int:
    """Add the corrections that were saved into the correction folders.

    Of all patches, or of those named. The author is the owner of the file. A file that cannot be
    placed is kept and told. While serve or a worker runs, it does so by itself, a minute or two
    after a file was saved.

    \b
    tomocurate collect
    """
    from core.corrections.collect import collect as take

    names = unique(patch) or None
    if queue:
        return _queue(call, JobKind.COLLECT, {"names": names})
    with steps("collecting", names) as told:
        done = take(call.lab, names, dry_run=dry_run, progress=told)
    return tell_outcomes(call, done, "to take" if dry_run else "taken")


@click.command(no_args_is_help=True)
@patches_or_all("has corrections that no merge holds")
@click.option(
    "--nothing-to-change",
    is_flag=True,
    help="Somebody looked at it, and the prediction is right as it is.",
)
@click.option(
    "--verify", is_flag=True, help="Make accepted labels again from their inputs, and compare."
)
@dry_run_option
@queue_option
@on_workspace
def merge(
    call: Call, names: tuple[str, ...] | None, verify: bool, queue: bool, **options: bool
) -> int:
    """Merge corrections into training labels.

    0 is background, 1 membrane, 2 ignore. Always a new version; one bad file stops nothing
    but its patch.

    \b
    tomocurate merge --all
    tomocurate merge other_TS_001_patch0 --nothing-to-change
    tomocurate merge --all --verify
    """
    if verify:
        return _verify(call, names)
    if queue:
        wanted = {"names": names, "nothing_to_change": options["nothing_to_change"]}
        return _queue(call, JobKind.MERGE, wanted)
    from core.labels.merge import merge as merge_patches

    with steps("merging", names) as told:
        done = merge_patches(call.lab, names, progress=told, **options)
    return tell_outcomes(call, done, "to merge" if options["dry_run"] else "merged")


@click.command(no_args_is_help=True)
@click.argument("archive", type=PATH)
@click.option(
    "--author", metavar="PERSON", help="Who painted it; a curator says so.  [default: you]"
)
@on_workspace
def receive(call: Call, archive: Path, author: str | None) -> int:
    """Add corrections from a file or from a kit that was sent back.

    \b
    tomocurate receive ben.zip --author Ben
    """
    from core.corrections.receive import receive_many
    from db.queries.people import get_person

    painter = call.by
    if author is not None:
        with call.workspace.catalog.read() as session:
            painter = get_person(session, author)
    with steps("receiving") as told:
        done = receive_many(call.lab, archive, author=painter, progress=told)
    return tell_outcomes(call, done, "taken")


@click.command("put-back", no_args_is_help=True)
@click.argument("tomogram")
@click.argument("out", type=PATH)
@click.option(
    "--segmentation", type=int, metavar="ID", help="Use this segmentation (default: the newest)."
)
@dry_run_option
@on_workspace
def put_back(call: Call, tomogram: str, out: Path, segmentation: int | None, dry_run: bool) -> int:
    """Paste accepted labels into a copy of the segmentation.

    Ignored voxels keep the prediction.

    \b
    tomocurate put-back TS_001 TS_001_curated.mrc
    """
    from core.patches.put_back import put_back as paste

    done = paste(call.lab, tomogram, out, segmentation_id=segmentation, dry_run=dry_run)
    if call.as_json:
        say_json({"name": tomogram} | to_json(done))
    changed = "" if done.changed is None else f", {done.changed} voxels changed"
    call.say(
        f"{out}: {len(done.patches)} accepted labels {'would be' if dry_run else 'are'} "
        f"put back{changed}."
    )
    return DONE


_HEADINGS = ("patch", "stage", "marks", "assignee", "x,y,z", "why", "corrections", "changed")


def _row(patch: "PatchRecord") -> tuple[Any, ...]:
    center = ",".join(map(str, reversed(patch.center))) if patch.center else "unknown"
    return (
        patch.name,
        patch.stage,
        ", ".join(marks_of(patch)),
        patch.assignee,
        center,
        patch.chosen_because,
        patch.correction_count,
        f"{patch.updated_at:%Y-%m-%d %H:%M}",
    )


def marks_of(patch: "PatchRecord") -> list[str]:
    """Return the marks of a patch."""
    marks = {
        "rejected": patch.rejected_reason is not None,
        "stale": patch.stale,
        "withdrawn": patch.withdrawn,
        "newer corrections wait": patch.newer_corrections_wait,
        "padded": patch.padded,
        "shifted": patch.shifted,
    }
    return [mark for mark, stands in marks.items() if stands]


def _centers(
    workspace: "Workspace", tomogram: str, at: tuple["Zyx", ...], source: Path | None
) -> tuple[list["Zyx"], tuple[str, ...], list[str]]:
    """The centers of the call, what to tell about them, and the rows that hold none."""
    if bool(at) == (source is not None):
        raise click.UsageError("state centers with --at X,Y,Z, or --from FILE.")
    if source is None:
        return list(at), (), []
    from core.patches.choose import read_centers

    points = read_centers(workspace, tomogram, source)
    taken = f"centers read as {points.axis_order}, unit {points.unit}, origin {points.origin}"
    centers = [center.position for center in points.centers]
    return centers, (taken, *points.findings), [row.error for row in points.failed]


def _check_names(session: Any, wanted: "PatchFilter") -> None:
    """An empty list by a name that nobody has is an error, not an answer."""
    from db.errors import UnknownNameError
    from db.queries.people import get_person
    from db.queries.volumes import list_datasets, tomogram_names

    if wanted.assignee is not None:
        get_person(session, wanted.assignee)
    if wanted.dataset is not None and wanted.dataset not in list_datasets(session):
        raise UnknownNameError.among("dataset", wanted.dataset, list_datasets(session))
    if wanted.tomogram is not None:
        tokens = [name.partition("/")[2] for name in tomogram_names(session)]
        if wanted.tomogram not in tokens:
            raise UnknownNameError.among("tomogram", wanted.tomogram, tokens)


def _queue(call: Call, kind: JobKind, arguments: dict[str, Any]) -> int:
    from core.jobs.queue import submit

    return say_queued(call, submit(call.lab, kind, arguments), kind.value)


def _verify(call: Call, names: tuple[str, ...] | None) -> int:
    from core.labels.verify import verify

    with steps("verifying", names) as told:
        done = verify(call.workspace, names, progress=told)
    return tell_outcomes(call, done, "verified")
