"""The tomocurate command: a group whose verbs are imported when they are asked for."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from core.cli.run import run

VERBS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Start": ("setup", ("init", "demo", "serve", "worker")),
    "Tomograms": (
        "tomograms",
        (
            "register",
            "adopt",
            "tomograms",
            "hash",
            "rename",
            "relocate",
            "unregister",
            "voxel-size",
            "group",
            "pin",
            "permit",
            "roots",
        ),
    ),
    "Proposals": ("proposals", ("propose", "proposals")),
    "Patches": (
        "patches",
        ("choose", "patches", "show", "extract", "kit", "collect", "receive", "merge", "put-back"),
    ),
    "Review": (
        "review",
        (
            "assign",
            "claim",
            "release",
            "transfer",
            "submit",
            "accept",
            "reject",
            "comment",
            "settle",
            "withdraw",
            "reinstate",
            "restore-version",
        ),
    ),
    "Share": ("sharing", ("export", "import-bundle", "score", "scores", "trained")),
    "People": ("people", ("people", "events")),
    "Maintenance": (
        "maintenance",
        ("jobs", "backup", "restore", "rebuild", "doctor", "migrate", "catalog"),
    ),
}
"""Heading in the help: the module of core.cli, and its verbs in the order of the work."""

HELP = """Curate membrane training labels from cryo-electron tomograms.

\b
  tomocurate init lab                                       a workspace: a folder and a catalog
  cd lab
  tomocurate register TS_001.mrc --segmentation TS_001_segmented.mrc
  tomocurate choose TS_001 --at 512,480,120 --why missed_membrane
  tomocurate extract --all                                  cut 160³ voxels to paint on
  tomocurate collect                                        take what was painted
  tomocurate merge --all
  tomocurate submit PATCH                                   and: accept PATCH
  tomocurate export training-set nnunet

Positions are X,Y,Z in 0-based voxels. Exit status: 0 all done, 1 some failed (each is named),
2 wrong usage. tomocurate demo makes a workspace to try it on.
"""

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for _, verbs in VERBS.values() for verb in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for module, verbs in VERBS.values():
            if cmd_name in verbs:
                found = importlib.import_module(f"core.cli.commands.{module}")
                command: click.Command = getattr(found, cmd_name.replace("-", "_"))
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            ctx.fail(_unknown(args[0], known))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, (_, verbs) in VERBS.items():
            commands = [(verb, self.get_command(ctx, verb)) for verb in verbs]
            with formatter.section(heading):
                rows = [(verb, item.get_short_help_str(90)) for verb, item in commands if item]
                formatter.write_dl(rows)


@click.group(cls=Verbs, help=HELP, context_settings=CONTEXT)
@click.version_option(package_name="tomocurate")
def commands() -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run tomocurate and give its exit status."""
    return run(commands, arguments, "tomocurate")


def _unknown(verb: str, known: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(verb, known, n=3, cutoff=0.5)
    meant = f"; did you mean {', '.join(near)}?" if near else "; see tomocurate --help."
    return f"there is no command {verb!r}{meant}"
