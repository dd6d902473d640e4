"""Every command's help as one page: python -m core.cli.reference > docs/commands.md."""

from collections.abc import Iterator

import click

from core.cli.main import CONTEXT, VERBS, commands

WIDTH = 96
INTRODUCTION = """\
# Commands

What `tomocurate COMMAND --help` says, written by `python -m core.cli.reference`. Every command that
works on a workspace takes `--workspace` (or `TOMOCURATE_WORKSPACE`, or works on the current folder)
and `--json`: a list is then an array of objects with `name`. Exit status: 0 all done, 1 some failed
(each is named on stderr), 2 wrong usage, 130 interrupted. `patch_corrections`, the guide's own
commands, explain themselves with `--help`.
"""


def page() -> str:
    """The page, as it stands in docs/commands.md."""
    return "\n".join([INTRODUCTION, *_sections()])


def walk(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))
        elif command is not None:
            yield " ".join((*path, name)), command


def _sections() -> Iterator[str]:
    every = list(walk(commands))
    for heading, (_, verbs) in VERBS.items():
        yield f"## {heading}\n"
        for name, command in every:
            if name.split()[0] in verbs:
                yield f"### {name}\n\n```text\n{_help(name, command)}\n```\n"


def _help(name: str, command: click.Command) -> str:
    context = click.Context(
        command,
        info_name=f"tomocurate {name}",
        terminal_width=WIDTH,
        help_option_names=CONTEXT["help_option_names"],
    )
    return command.get_help(context)


if __name__ == "__main__":
    click.echo(page(), nl=False)
