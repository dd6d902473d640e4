"""Begin: make a workspace, try the demo, serve the dashboard, run a worker."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.cli.context import PATH, Call, json_option, on_workspace
from core.cli.run import DONE
from core.cli.tables import say_json, say_table

if TYPE_CHECKING:
    from core.demo.workspace import DemoWorkspace

PORT = 8501


@click.command()
@click.argument("folder", type=PATH, required=False)
@click.option(
    "--catalog",
    metavar="FILE|URL",
    help="Where the catalog lies: a SQLite file on a local disk, or postgresql+psycopg://...  "
    "[default: FOLDER/catalog.sqlite]",
)
@click.option("--name", help="Your name in the catalog.  [default: your account's]")
@click.option("--network-file-ok", is_flag=True, help="A SQLite file on a network disk: risky.")
@json_option
def init(
    folder: Path | None, catalog: str | None, name: str | None, network_file_ok: bool, as_json: bool
) -> int:
    """Create a workspace in FOLDER; you become its admin.

    Without FOLDER it is made in $TOMOCURATE_WORKSPACE, else in the current folder.

    \b
    tomocurate init lab
    tomocurate init /shared/lab --catalog /var/lib/tomocurate/lab.sqlite
    """
    from core.access.os_user import acting_person
    from core.workspace.workspace import find_workspace, init_workspace

    with init_workspace(
        find_workspace(folder), catalog_url=catalog, admin=name, network_file_ok=network_file_ok
    ) as made:
        admin = acting_person(made).name
        told = {"name": made.folder.name, "folder": made.folder, "catalog": made.catalog.name}
    if as_json:
        say_json(told | {"admin": admin})
        return DONE
    click.echo(
        f"workspace: {told['folder']}\ncatalog: {told['catalog']}\nadmin: {admin}\n"
        f"Next: tomocurate register TOMOGRAM --segmentation SEG --workspace "
        + shlex.quote(str(told["folder"]))
    )
    return DONE


@click.command()
@click.argument("folder", type=PATH, default=Path("demo"))
@click.option("--tomograms", type=click.IntRange(2, 7), default=7, help="Fewer are made sooner.")
@click.option("--no-serve", is_flag=True, help="Do not end in the dashboard.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, help="Of the dashboard.")
@json_option
def demo(
    folder: Path,
    tomograms: int,
    no_serve: bool,
    port: int,
    as_json: bool,
) -> int:
    """Create a demo workspace with synthetic tomograms, and open it.

    Seven tomograms, three people, patches in every stage. It is made once: a second call opens what
    is there.

    \b
    tomocurate demo
    tomocurate demo my-demo --no-serve
    """
    from core.demo.workspace import make_demo

    made = make_demo(folder, _say, tomograms)
    if as_json:
        say_json(made)
        return DONE
    _tell_demo(made)
    if no_serve or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return DONE
    from core.cli.serve import serve_workspace

    return serve_workspace(made.folder, port, "127.0.0.1", True)


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="0 takes any free one.",
)
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--browser/--no-browser", default=None, help="Open the browser.")
@click.option("--base-path", default="", help="Behind a proxy: the path it serves it at, as /lab.")
@click.option("--workspace", type=PATH, help="The workspace's folder.")
def serve(
    port: int, address: str, browser: bool | None, base_path: str, workspace: Path | None
) -> int:
    """Run the dashboard and a worker, until Ctrl-C.

    Without sign-in it prints one address with a secret: whoever opens it acts as you. From another
    machine come by an SSH tunnel. How people sign in: docs/security.md.

    \b
    tomocurate serve --workspace lab
    """
    from core.cli.serve import serve_workspace
    from core.workspace.workspace import find_workspace

    wanted = sys.stdout.isatty() if browser is None else browser
    return serve_workspace(find_workspace(workspace), port, address, wanted, base_path)


@click.command()
@click.option("--once", is_flag=True, help="Do what waits now, then end.")
@on_workspace
def worker(call: Call, once: bool) -> int:
    """Run queued jobs: hashes, previews, backups ...

    tomocurate serve starts one by itself; start more where the work is heavy.

    \b
    tomocurate worker --workspace lab
    """
    from core.jobs.worker import run_worker

    run_worker(call.workspace, once=once)
    return DONE


def _tell_demo(made: "DemoWorkspace") -> None:
    if made.found:
        click.echo(f"{made.folder} is there already; it was left as it is.")
    rows = [(stage, number) for stage, number in made.patches.items()]
    say_table(("stage", "patches"), rows)
    program = _program()
    click.echo(
        f"\n{made.tomograms} tomograms, {made.people} people. Look around:\n"
        f"  cd {shlex.quote(str(made.folder))}\n"
        f"  {program} patches --stage in_review\n"
        f"  {program} show {made.example}\n"
        f"  {program} proposals\n"
        f"  {program} serve"
    )


def _program() -> str:
    """Return this program as it can be pasted: its path where no environment is active."""
    if shutil.which("tomocurate"):
        return "tomocurate"
    beside = Path(sys.executable).with_name("tomocurate")
    return shlex.quote(str(beside)) if beside.exists() else "tomocurate"


def _say(line: str) -> None:
    click.echo(line, err=True)
