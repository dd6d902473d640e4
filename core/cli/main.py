"""The tomocurate command: one group of verbs a module."""

from collections.abc import Sequence
from pathlib import Path

import click

from core.cli.border import DONE, FAILED, run
from core.cli.tables import say_json, say_table

FOLDER = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tomocurate")
def commands() -> None:
    """Curate membrane training labels from cryo-electron tomograms."""


@commands.command()
@click.argument("folder", type=FOLDER, default=Path("demo"))
@click.option("--patches", type=click.IntRange(1, 10), default=4, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Report for machines.")
def demo(folder: Path, patches: int, as_json: bool) -> int:
    """Run the guide's workflow on a synthetic tomogram in FOLDER, and draw what came of it."""
    from core.demo.drop_in import run_demo

    result = run_demo(folder, patches, lambda line: click.echo(line, err=True))
    failed = any(patch.outcome == "failed" for patch in result.patches)
    if as_json:
        say_json(result)
        return FAILED if failed else DONE
    rows = [
        (patch.name, patch.counts.added, patch.counts.removed, patch.counts.ignored)
        for patch in result.patches
        if patch.counts
    ]
    say_table(("patch", "voxels added", "removed", "ignored"), rows)
    click.echo(
        f"\ntomogram          {result.tomogram}\n"
        f"segmentation      {result.segmentation}\n"
        f"chosen centers    {result.centers}\n"
        f"patches to paint  {result.out_folder / 'imagesCorr'}\n"
        f"corrections       {result.corrections}\n"
        f"training labels   {result.merged}\n"
        f"look at           {result.picture}\n\n"
        "The same by the guide's own commands:\n"
        f"  patch_corrections extract_patches --tomogram-path {result.tomogram} \\\n"
        f"      --segmentation-path {result.segmentation} \\\n"
        f"      --coords-file {result.centers} --out-folder {result.out_folder} "
        "--ds-token demo --token TS001\n"
        f"  patch_corrections merge_corrections --labels-dir {result.out_folder / 'labelsCorr'} "
        f"\\\n      --corrections-dir {result.corrections} --out-dir {result.merged}"
    )
    return FAILED if failed else DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run tomocurate and give its exit status."""
    return run(commands, arguments, "tomocurate")
