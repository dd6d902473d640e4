"""Tomograms: register and list them, adopt a guide folder, hash, pin, permit; data roots."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.cli.context import (
    PATH,
    Call,
    Defaulted,
    at_terminal,
    dry_run_option,
    on_workspace,
    queue_option,
    queued_outcome,
    steps,
    tell_outcomes,
    unique,
    word_of,
)
from core.cli.run import DONE, FAILED, say_error
from core.cli.tables import say_json
from db.json_values import to_json
from db.vocabulary import JobKind, Licence, Scope, Split, Stage

if TYPE_CHECKING:
    from core.tomograms.discovery.pairing import Pairing
    from core.workspace.results import Outcome
    from db.queries.volumes import TomogramLine

LAYOUTS = ("warp", "relion5", "aretomo3", "imod", "easymode", "portal")
"""Of ``core.tomograms.discovery.layouts``, which is imported when it is needed."""

ENDS = click.DateTime(formats=["%Y-%m-%d"])


@click.command(no_args_is_help=True)
@click.argument("source", nargs=-1, required=True)
@click.option("--segmentation", help="Its predicted segmentation; for several a glob or folder.")
@click.option("--token", help="Short name of the tomogram.  [default: from its file name]")
@click.option("--dataset", help="Dataset; no underscore.  [default: other]")
@click.option("--voxel-size", type=click.FloatRange(0, min_open=True), help="Angstrom.")
@click.option("--threshold", type=float, help="For scores: membrane is above this.")
@click.option("--label", "membrane_label", type=int, help="For classes: this value is membrane.")
@click.option(
    "--layout", type=click.Choice(LAYOUTS), help="Whose folder it is.  [default: guessed]"
)
@click.option("--as-segmentation", metavar="PATTERN", help="Names of its segmentations.")
@click.option("--specimen", help="They are reconstructions of one specimen; see group.")
@click.option("--yes", is_flag=True, help="Take the pairs that are shown.")
@dry_run_option
@on_workspace
def register(
    call: Call,
    source: tuple[str, ...],
    segmentation: str | None,
    specimen: str | None,
    layout: str | None,
    yes: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Register tomograms with their segmentations.

    SOURCE is a file, a glob in quotes, a CSV manifest, or a folder that Warp, RELION 5, AreTomo3,
    IMOD, easymode or the CryoET Data Portal wrote: half maps and variants stay out, and the voxel
    size is what the program states. The pairs are shown first, and taken when you agree, or said
    --yes. One file with its --segmentation is taken at once. Files stay where they are.

    \b
    tomocurate register TS_001.mrc --segmentation TS_001_segmented.mrc
    tomocurate register '/data/chlamy/*.mrc' --dataset chlamy
    tomocurate register tomograms.csv --yes
    tomocurate register --layout warp warp_tiltseries --dry-run
    """
    from core.access.permissions import Action, may
    from core.tomograms.data_permissions import group as group_tomograms
    from core.tomograms.discovery.layouts import Layout, guess_layout
    from core.tomograms.register import plan_registration, read_voxel_sizes
    from core.tomograms.register import register as register_pairs

    folder = Path(source[0])
    is_folder = len(source) == 1 and segmentation is None and folder.is_dir()
    guessed = guess_layout(folder) if is_folder else None
    known = guessed if layout is None else Layout(layout)
    if known is not None:
        call.say(f"layout: {known}{' (guessed; --layout states another)' if not layout else ''}")
    pairs = plan_registration(
        call.workspace, source, segmentation=segmentation, layout=known, **options
    )
    stated = len(source) == 1 and len(pairs) == 1 and segmentation is not None
    asked = not (dry_run or stated or yes)
    if dry_run or asked:
        _show_pairs(call, read_voxel_sizes(call.workspace, pairs))
    if dry_run:
        return FAILED if any(pair.error for pair in pairs) else DONE
    if asked and not _ask_agreement(len(pairs)):
        call.say("nothing was registered.")
        return DONE
    add_roots = may(call.by.role, Action.ADD_ROOT)
    with steps("registering", len(pairs)) as told:
        done = register_pairs(call.lab, pairs, add_roots=add_roots, progress=told)
    if specimen:
        names = [item.name for item in done if item.outcome != "failed"]
        group_tomograms(call.lab, names, specimen)
    return tell_outcomes(call, done, "registered")


@click.command(no_args_is_help=True)
@click.argument("folder", type=PATH)
@click.option("--images", type=PATH, help="Where it is not FOLDER/imagesCorr.")
@click.option("--labels", type=PATH, help="Where it is not FOLDER/labelsCorr.")
@click.option("--corrections", type=PATH, help="Where it is not FOLDER/corrections.")
@click.option("--merged", type=PATH, help="Where merged labels lie.")
@click.option(
    "--voxel-size",
    type=click.FloatRange(0, min_open=True),
    help="Angstrom, of patches that are found in no tomogram.",
)
@dry_run_option
@on_workspace
def adopt(
    call: Call, folder: Path, dry_run: bool, voxel_size: float | None, **folders: Path | None
) -> int:
    """Import folders of work that was done with the guide's commands.

    FOLDER holds imagesCorr, labelsCorr and corrections. Where a patch lies is found by its voxels
    in the registered tomograms, so register those first. The folder itself is only read.

    \b
    tomocurate adopt /data/old-patches --dry-run
    tomocurate adopt /data/old-patches
    """
    from core.adopt.adopt import adopt as adopt_folder

    with steps("adopting") as told:
        done = adopt_folder(
            call.lab,
            folder,
            voxel_size=voxel_size,
            dry_run=dry_run,
            progress=told,
            **folders,
        )
    return tell_outcomes(call, done, "to adopt" if dry_run else "adopted")


@click.command()
@click.option("--dataset", help="Of this dataset alone.")
@click.option("--text", help="Part of the token.")
@click.option("--split", type=word_of(Split), help="Pinned to this split.")
@click.option("--without-patches", is_flag=True, help="Where nobody chose a patch yet.")
@on_workspace
def tomograms(
    call: Call, dataset: str | None, text: str | None, split: str | None, without_patches: bool
) -> int:
    """List tomograms, with their patches by stage.

    \b
    tomocurate tomograms --without-patches
    """
    from db.queries.page import MAX_LIMIT
    from db.queries.volumes import TomogramFilter, list_tomograms

    pin_of = Split(split) if split else None
    wanted = TomogramFilter(dataset, text, pin_of, without_patches)
    with call.workspace.catalog.read() as session:
        page = list_tomograms(session, wanted, limit=MAX_LIMIT)
    headings = (
        "tomogram",
        "x,y,z",
        "Å",
        "segmentations",
        "patches",
        "accepted",
        "pinned",
        "specimen",
    )
    call.tell(headings, map(_row, page), [_value(line) for line in page])
    call.say(f"{page.total} tomograms.")
    return DONE


@click.command(no_args_is_help=True)
@click.argument("tomogram", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every tomogram that has no hash yet.")
@queue_option
@on_workspace
def hash(call: Call, tomogram: tuple[str, ...], every: bool, queue: bool) -> int:  # noqa: A001 - the verb
    """Hash tomograms, so that changed files are detected.

    Registering leaves this to the worker; say it here to have it now.

    \b
    tomocurate hash --all
    """
    if bool(tomogram) == every:
        raise click.UsageError("name tomograms, or say --all.")
    files = _volumes(call, None if every else unique(tomogram))
    if queue:
        from core.jobs.queue import submit

        for volume, _ in files:
            submit(call.lab, JobKind.HASH, {"object": volume}, f"hash {volume}")
        return tell_outcomes(call, [queued_outcome(name) for _, name in files], "queued")
    done = []
    with steps("hashing", len(files)) as told:
        for volume, name in files:
            done.append(_hash_one(call, volume, name))
            told(done[-1])
    return tell_outcomes(call, done, "hashed")


@click.command(no_args_is_help=True)
@click.argument("tomogram")
@click.argument("split", type=word_of(Split, "none"))
@on_workspace
def pin(call: Call, tomogram: str, split: str) -> int:
    """Pin a tomogram to train, val or test in every export.

    The pin holds for its whole specimen; none lets the hash decide again. A test tomogram never
    enters training or validation.

    \b
    tomocurate pin TS_004 test
    """
    from core.tomograms.data_permissions import pin as pin_tomogram

    pinned = pin_tomogram(call.lab, tomogram, None if split == "none" else Split(split))
    return tell_outcomes(call, [pinned], "pinned")


@click.command(no_args_is_help=True)
@click.argument("tomogram")
@click.argument("new_name")
@on_workspace
def rename(call: Call, tomogram: str, new_name: str) -> int:
    """Rename a tomogram: NEW_NAME is TOKEN or DATASET/TOKEN.

    Its patches are renamed with it: their files, corrections and records follow. Training sets
    that were written stay as they are, and its patches stay in their split.

    \b
    tomocurate rename TS_2 TS_002
    tomocurate rename other/TS_2 yeast/L1T1
    """
    from core.tomograms.rename import rename as rename_one
    from db.queries.volumes import get_tomogram

    dataset, _, token = new_name.rpartition("/")
    if not dataset:
        with call.workspace.catalog.read() as session:
            dataset = get_tomogram(session, tomogram).dataset
    return tell_outcomes(call, [rename_one(call.lab, tomogram, dataset, token)], "renamed")


@click.command(no_args_is_help=True)
@click.argument("tomogram")
@click.argument("file", type=PATH)
@click.option("--segmentation", type=int, help="Number of its segmentation that FILE is.")
@on_workspace
def relocate(call: Call, tomogram: str, file: Path, segmentation: int | None) -> int:
    """Set the new path of a tomogram whose file was renamed or moved.

    FILE must hold what was registered: it is compared by time, hash, or the voxels of patches.
    For a whole folder that moved, see roots move.

    \b
    tomocurate relocate TS_002 /data/TS_002_rec.mrc
    """
    from core.tomograms.relocate import relocate as relocate_one

    done = relocate_one(call.lab, tomogram, file, segmentation_id=segmentation)
    return tell_outcomes(call, [done], "relocated")


@click.command(no_args_is_help=True)
@click.argument("tomogram", nargs=-1, required=True)
@click.option("--segmentation", type=int, help="Only this segmentation of it, by its number.")
@on_workspace
def unregister(call: Call, tomogram: tuple[str, ...], segmentation: int | None) -> int:
    """Remove tomograms that were registered by mistake from the catalog.

    Their files stay. A tomogram that patches were chosen in is kept, and said.

    \b
    tomocurate unregister other/TS_2
    """
    from core.tomograms.relocate import unregister as unregister_tomograms
    from core.tomograms.relocate import unregister_segmentation

    if segmentation is None:
        return tell_outcomes(call, unregister_tomograms(call.lab, unique(tomogram)), "unregistered")
    if len(tomogram) > 1:
        raise click.UsageError("name the one tomogram of the segmentation.")
    done = unregister_segmentation(call.lab, tomogram[0], segmentation)
    return tell_outcomes(call, [done], "unregistered")


@click.command("voxel-size", no_args_is_help=True)
@click.argument("angstrom", type=click.FloatRange(0, min_open=True))
@click.argument("name", nargs=-1, required=True)
@on_workspace
def voxel_size(call: Call, angstrom: float, name: tuple[str, ...]) -> int:
    """State the voxel size of tomograms, or of adopted patches whose tomogram is not known.

    It reaches every patch of a tomogram, their records and the next export.

    \b
    tomocurate voxel-size 10.2 TS_001 TS_002
    """
    from core.tomograms.voxel_size import set_voxel_size

    done = set_voxel_size(call.lab, unique(name), angstrom)
    return tell_outcomes(call, done, "stated")


@click.command(no_args_is_help=True)
@click.argument("tomogram", nargs=-1, required=True)
@click.option("--specimen", help="Name of the specimen.  [default: the first tomogram's name]")
@click.option("--apart", is_flag=True, help="Take the tomograms out of their specimen.")
@on_workspace
def group(call: Call, tomogram: tuple[str, ...], specimen: str | None, apart: bool) -> int:
    """Group tomograms of one specimen, so that no split separates them.

    Name the reconstructions of one tilt series: raw and denoised, binned, or reconstructed by
    another program. Files with the same bytes are grouped without being named.

    \b
    tomocurate group TS_001 TS_001_denoised
    """
    from core.tomograms.data_permissions import group as group_tomograms

    if apart and specimen:
        raise click.UsageError("state --specimen or --apart, not both.")
    name = None if apart else specimen or tomogram[0]
    done = group_tomograms(call.lab, unique(tomogram), name)
    return tell_outcomes(call, done, "grouped")


@click.command(no_args_is_help=True)
@click.argument("tomogram")
@click.option("--scope", type=word_of(Scope), required=True, help="How far it may go.")
@click.option("--licence", type=word_of(Licence), help="Unless internal.")
@click.option("--by", "approved_by", required=True, help="Who permits it.")
@click.option("--owner", help="Whose tomogram it is.")
@click.option("--until", type=ENDS, help="The permission ends after this day.")
@click.option("--embargo", type=ENDS, help="Nothing leaves before this day.")
@on_workspace
def permit(call: Call, tomogram: str, scope: str, licence: str | None, **options: Any) -> int:
    """Record how widely a tomogram's patches may be shared.

    \b
    tomocurate permit TS_001 --scope public --licence CC-BY-4.0 --by "Ada Byron"
    """
    from core.tomograms.data_permissions import permit as permit_tomogram

    days = {name: options[name] and options[name].date() for name in ("until", "embargo")}
    stated = permit_tomogram(
        call.lab,
        tomogram,
        scope=Scope(scope),
        licence=Licence(licence) if licence else None,
        owner=options["owner"],
        approved_by=options["approved_by"],
        **days,
    )
    return tell_outcomes(call, [stated], "stated")


@click.group(cls=Defaulted)
def roots() -> None:
    """List and add data roots: folders below which tomograms may be registered.

    Registering as an admin adds them by itself.

    \b
    tomocurate roots
    tomocurate roots add /data/tomograms
    """


@roots.command("list")
@on_workspace
def list_roots(call: Call) -> int:
    """List the data roots.

    \b
    tomocurate roots list
    """
    from core.tomograms.data_roots import list_roots as roots_of

    found = roots_of(call.workspace)
    call.tell(("folder",), [(str(root),) for root in found], [{"name": str(r)} for r in found])
    return DONE


@roots.command("add", no_args_is_help=True)
@click.argument("folder", type=PATH)
@on_workspace
def add_root(call: Call, folder: Path) -> int:
    """Add a data root: tomograms below FOLDER can be registered, also in the browser.

    \b
    tomocurate roots add /data/tomograms
    """
    from core.tomograms.data_roots import add_root as add

    added = add(call.lab, folder)
    if call.as_json:
        say_json({"name": str(added)})
    call.say(f"{added} is a data root.")
    return DONE


@roots.command("move", no_args_is_help=True)
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@on_workspace
def move_root(call: Call, old: Path, new: Path) -> int:
    """Record that a data root moved, with all its files.

    \b
    tomocurate roots move /data/tomograms /archive/tomograms
    """
    from core.tomograms.data_roots import move_root as move

    count = move(call.lab, old, new)
    if call.as_json:
        say_json({"name": str(new), "files": count})
    call.say(f"{count} files are below {new} now.")
    return DONE


def _show_pairs(call: Call, pairs: "tuple[Pairing, ...]") -> None:
    for pairing in pairs:
        if pairing.error:
            say_error(pairing.error)
    rows = [row for pairing in pairs for row in _pair_rows(pairing)]
    call.tell(("tomogram", "becomes", "segmentation", "model", "Å", "remarks"), rows, pairs)


def _pair_rows(pairing: "Pairing") -> list[tuple[Any, ...]]:
    """A line for each segmentation, or one where there is none."""
    named = str(pairing.tomogram or ""), pairing.name
    rest = pairing.voxel_size or pairing.header_voxel_size, "; ".join(pairing.findings)
    if not pairing.segmentations:
        return [(*named, "none", "", *rest)]
    return [
        (*named, str(segmentation.path), segmentation.model, *rest)
        for segmentation in pairing.segmentations
    ]


def _ask_agreement(count: int) -> bool:
    """Ask for confirmation; scripts must use --yes.

    Errors: click's UsageError.
    """
    if not at_terminal():
        raise click.UsageError("nothing was registered; say --yes to take the pairs above.")
    return click.confirm(f"Register these {count}?", err=True)


def _row(line: "TomogramLine") -> tuple[Any, ...]:
    tomogram = line.tomogram
    z, y, x = tomogram.on_disk.shape
    patches = sum(line.patches.values())
    accepted = line.patches.get(Stage.ACCEPTED, 0)
    return (
        tomogram.name,
        f"{x},{y},{z}",
        tomogram.voxel_size,
        line.segmentations,
        patches,
        accepted,
        tomogram.split_pin,
        tomogram.specimen,
    )


def _value(line: "TomogramLine") -> dict[str, Any]:
    return {
        "name": line.tomogram.name,
        "file": line.tomogram.on_disk.file,
        **to_json(line.tomogram),
        "segmentations": line.segmentations,
        "patches": line.patches,
    }


def _volumes(call: Call, names: tuple[str, ...] | None) -> list[tuple[str, str]]:
    """The files to hash: their names as jobs have them, and as people read them."""
    from core.tomograms.pictures import segmentation_name, tomogram_name
    from db.queries.volumes import get_tomogram, segmentations_of, tomogram_names

    found = []
    with call.workspace.catalog.read() as session:
        for name in names or tomogram_names(session):
            tomogram = get_tomogram(session, name)
            if names or tomogram.on_disk.content_hash is None:
                found.append((tomogram_name(tomogram.id), tomogram.name))
            for item in segmentations_of(session, tomogram.id):
                if names or item.on_disk.content_hash is None:
                    found.append((segmentation_name(item.id), item.on_disk.path))
    return found


def _hash_one(call: Call, volume: str, name: str) -> "Outcome":
    from core.imaging.hashes import file_hash
    from core.tomograms.source_files import file_to_hash, note_hash
    from core.workspace.results import DONE, FAILED, Outcome
    from db.errors import TomocurateError

    try:
        sha256 = file_hash(file_to_hash(call.workspace, volume))
        same = note_hash(call.workspace, call.by, volume, sha256)
    except TomocurateError as error:
        return Outcome(name, FAILED, str(error))
    findings = (f"holds the same bytes as {', '.join(same)}",) if same else ()
    return Outcome(name, DONE, None, findings, {"sha256": sha256})
