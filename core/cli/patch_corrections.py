"""The guide's two commands, with the guide's options and folders, as a drop-in.

patch_corrections extract_patches    patch_corrections merge_corrections
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.cli.run import DONE, FAILED, run, say_error
from core.cli.tables import say_json, say_table

if TYPE_CHECKING:
    from core.imaging.extraction import ExtractionReport, WantedPatch
    from core.imaging.formats.volume import Volume
    from core.imaging.merging import MergedPatch, MergeReport

FILE = click.Path(path_type=Path)

EXTRACT_HELP = """Cut patches of 160³ voxels, with their predicted labels, out of a tomogram.

\b
Look for places where the segmentation is wrong but you can still see whether there is a
membrane, note their centers (x, y, z; 0-based voxels, as MITK, IMOD and napari show them), and
cut them, two to five a tomogram:

\b
  patch_corrections extract_patches --tomogram-path TS_001.mrc \\
      --segmentation-path TS_001_segmented.mrc --out-folder corrections \\
      --coords-file centers.csv

\b
It writes  corrections/imagesCorr/other_TS_001_patch0.nii.gz  to paint on, and
           corrections/labelsCorr/other_TS_001_patch0.nii.gz  the prediction to correct.

The outer 16 voxels of every label are ignore: work painted there has no effect. A rerun finds
its own patches again; nothing is overwritten.
"""

MERGE_HELP = """Merge Add, Remove and Ignore corrections into training labels.

\b
  labels_dir/other_TS_001_patch0.nii.gz               what extract_patches cut
  corrections_dir/other_TS_001_patch0/Add1.nrrd       membrane that the prediction misses
  corrections_dir/other_TS_001_patch0/Remove1.nrrd    what it takes for membrane, and is not
  corrections_dir/other_TS_001_patch0/Ignore1.nrrd    where nobody can tell
  out_dir/other_TS_001_patch0.nii.gz                  0 background, 1 membrane, 2 ignore

\b
  patch_corrections merge_corrections --labels-dir labelsCorr \\
      --corrections-dir corrections --out-dir merged

Remove first, then add, then ignore, then the border: the later wins. A correction is placed by
its own header; one that does not lie on its patch is refused, its patch is not written, and the
others are.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Cut patches to correct, and merge the corrections into training labels."""


@commands.command("extract_patches", help=EXTRACT_HELP, no_args_is_help=True)
@click.option("--tomogram-path", type=FILE, help="The tomogram: MRC, plain or compressed.")
@click.option("--segmentation-path", type=FILE, help="Its predicted segmentation, same size.")
@click.option("--out-folder", type=FILE, help="Where imagesCorr and labelsCorr go.")
@click.option(
    "--coords-file", type=FILE, help="Centers: csv, tsv, .mod, .star, .mps, picks .json or .ndjson."
)
@click.option("--x", type=int, multiple=True, help="Center without a file: x; may be repeated.")
@click.option("--y", type=int, multiple=True, help="Center without a file: y.")
@click.option("--z", type=int, multiple=True, help="Center without a file: z.")
@click.option("--ds-token", default="other", show_default=True, help="Dataset; no underscore.")
@click.option("--token", help="Name of the tomogram in file names.  [default: its file name]")
@click.option("--idx-add", type=click.IntRange(0), default=0, help="First patch number.")
@click.option("--threshold", type=float, help="For scores: membrane is above this.")
@click.option("--label", type=int, help="For several classes: the value that means membrane.")
@click.option(
    "--near-border",
    type=click.Choice(["refuse", "shift", "pad"]),
    default="refuse",
    show_default=True,
    help="A box that leaves the tomogram: refuse it, shift it to fit, or pad it with ignore.",
)
@click.option("--voxel-size", type=click.FloatRange(0, min_open=True), help="Angstrom.")
@click.option("--json", "as_json", is_flag=True, help="Report for machines.")
def extract_patches(**options: Any) -> int:
    options = _ask(options, "tomogram_path", "segmentation_path", "out_folder")
    from core.imaging.formats.volume import open_volume

    with (
        open_volume(options["tomogram_path"]) as tomogram,
        open_volume(options["segmentation_path"]) as segmentation,
    ):
        wanted, notes, failed = _read_centers(options, tomogram)
        report = _extract(options, tomogram, segmentation, wanted)
    for sentence in failed:
        say_error(sentence)
    _tell_extraction(report, notes, failed, options["as_json"])
    return FAILED if report.failed or failed else DONE


@commands.command("merge_corrections", help=MERGE_HELP, no_args_is_help=True)
@click.option("--labels-dir", type=FILE, help="The extracted labels (labelsCorr).")
@click.option("--corrections-dir", type=FILE, help="One folder a patch, named like its label.")
@click.option("--out-dir", type=FILE, help="Where the training labels go.")
@click.option("--overwrite", is_flag=True, help="Replace labels in --out-dir that differ.")
@click.option(
    "--nothing-to-change",
    is_flag=True,
    help="An empty correction folder means: looked at, and right as it is.",
)
@click.option("--json", "as_json", is_flag=True, help="Report for machines.")
def merge_corrections(as_json: bool, **options: Any) -> int:
    from core.imaging.merging import MergeFolders, count_labels, merge_folders

    options = _ask(options, "labels_dir", "corrections_dir", "out_dir")
    folders = MergeFolders(**options)
    length = count_labels(folders.labels_dir) if folders.labels_dir.is_dir() else 0
    with _progress(length, "merging") as bar:
        report = merge_folders(folders, lambda patch: bar.update(1))
    _tell_merge(report, as_json)
    return FAILED if report.failed else DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drop-in and give its exit status."""
    return run(commands, arguments, "patch_corrections")


def _ask(options: dict[str, Any], *required: str) -> dict[str, Any]:
    """Ask a person at a terminal for what was not given; elsewhere say what is missing."""
    answered = dict(options)
    for name in required:
        if answered[name] is None:
            flag = "--" + name.replace("_", "-")
            if not sys.stdin.isatty():
                raise click.UsageError(f"{flag} is needed.")
            answered[name] = click.prompt(flag, type=FILE)
    return answered


def _read_centers(
    options: dict[str, Any], tomogram: "Volume"
) -> tuple[list["WantedPatch"], list[str], list[str]]:
    """Read the centers of the call, what to tell about them, and the rows that hold none."""
    from core.imaging.extraction import WantedPatch, token_of
    from core.imaging.geometry import Zyx

    first: int = options["idx_add"]
    axes = options["x"], options["y"], options["z"]
    if options["coords_file"] is None:
        if not any(axes) or len({len(axis) for axis in axes}) != 1:
            raise click.UsageError(
                "state centers with --coords-file, or --x, --y and --z equally often."
            )
        centers = [Zyx.from_xyz(center) for center in zip(*axes, strict=True)]
        return [WantedPatch(center, first + row) for row, center in enumerate(centers)], [], []
    if any(axes):
        raise click.UsageError("state centers with --coords-file or with --x, --y, --z, not both.")
    from core.imaging.points.read import frame_of, read_points

    token = options["token"] or token_of(options["tomogram_path"])
    points = read_points(options["coords_file"], frame_of(tomogram, token, options["voxel_size"]))
    taken = f"centers read as {points.axis_order}, unit {points.unit}, origin {points.origin}"
    failed = [row.error for row in points.failed]
    wanted = [WantedPatch(center.position, first + center.row) for center in points.centers]
    return wanted, [taken, *points.findings], failed


def _extract(
    options: dict[str, Any],
    tomogram: "Volume",
    segmentation: "Volume",
    wanted: list["WantedPatch"],
) -> "ExtractionReport":
    from core.imaging.extraction import ExtractionPlan, extract_patches, token_of
    from db.vocabulary import NearBorder

    plan = ExtractionPlan(
        out_folder=options["out_folder"],
        token=options["token"] or token_of(options["tomogram_path"]),
        ds_token=options["ds_token"],
        threshold=options["threshold"],
        near_border=NearBorder(options["near_border"]),
        voxel_size=options["voxel_size"],
        membrane=options["label"],
    )
    with _progress(len(wanted), "cutting") as bar:
        return extract_patches(tomogram, segmentation, wanted, plan, lambda patch: bar.update(1))


def _progress(length: int, label: str) -> Any:
    """Return a bar on stderr; hidden where nobody looks."""
    return click.progressbar(
        length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
    )


def _tell_extraction(
    report: "ExtractionReport", notes: list[str], failed: list[str], as_json: bool
) -> None:
    for patch in report.patches:
        if patch.error:
            say_error(patch.error)
    if as_json:
        from db.json_values import to_json

        say_json(to_json(report) | {"points": notes, "failed_rows": failed})
        return
    rows = [
        (patch.name or "", patch.center.shown(), patch.outcome)
        + ((patch.counts.membrane, patch.counts.ignore) if patch.counts else ("", ""))
        + ("; ".join(patch.findings),)
        for patch in report.patches
    ]
    say_table(("patch", "center x,y,z", "", "membrane", "ignore", "findings"), rows)
    for note in (*notes, *report.findings):
        click.echo(note)
    kept = sum(patch.outcome == "kept" for patch in report.patches)
    written = sum(patch.outcome == "written" for patch in report.patches)
    click.echo(f"{written} written, {kept} there already, {report.failed + len(failed)} failed.")


def _tell_merge(report: "MergeReport", as_json: bool) -> None:
    _tell_refusals(report)
    if as_json:
        say_json(report)
        return
    say_table(
        ("patch", "", "added", "removed", "ignored", "contested", "lost in border", "findings"),
        [_merge_row(patch) for patch in report.patches],
    )
    for stray in report.strays:
        click.echo(f"not a label or correction folder: {stray}")
    count = {
        outcome: sum(patch.outcome == outcome for patch in report.patches)
        for outcome in ("written", "kept", "uncorrected")
    }
    click.echo(
        f"{count['written']} written, {count['kept']} there already, "
        f"{count['uncorrected']} not corrected, {report.failed} failed."
    )


def _tell_refusals(report: "MergeReport") -> None:
    for patch in report.patches:
        sentences = [refused.error for refused in patch.refused] or [patch.error or ""]
        for sentence in filter(None, sentences):
            say_error(f"{patch.name}: {sentence}")
    for folder in report.folders_without_label:
        say_error(folder.error)


def _merge_row(patch: "MergedPatch") -> tuple[Any, ...]:
    counts = patch.counts
    numbers = (
        (counts.added, counts.removed, counts.ignored, counts.contested, counts.lost_in_border)
        if counts
        else ("",) * 5
    )
    strays = [f"not a correction: {', '.join(patch.strays)}"] if patch.strays else []
    return (patch.name, patch.outcome, *numbers, "; ".join([*patch.findings, *strays]))
