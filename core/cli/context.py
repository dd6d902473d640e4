"""Options, opened workspace and report that every workspace command shares."""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.cli.run import DONE, FAILED, printable, say_error
from core.cli.tables import say_json, say_table
from db.json_values import to_json

if TYPE_CHECKING:
    from core.imaging.geometry import Zyx
    from core.lab.lab import Lab
    from core.workspace.results import Outcome
    from core.workspace.workspace import Workspace
    from db.queries.people import PersonRecord

PATH = click.Path(path_type=Path)
Command = Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """One call of a command: the opened workspace, who acts, and whether a program reads."""

    workspace: "Workspace"
    by: "PersonRecord"
    as_json: bool

    @property
    def lab(self) -> "Lab":
        from core.lab.lab import Lab

        return Lab(self.workspace, self.by)

    def tell(self, headings: Sequence[str], rows: Iterable[Sequence[Any]], value: Any) -> None:
        """A table for people, or the value for programs."""
        if self.as_json:
            say_json(value)
        else:
            say_table(headings, list(rows))

    def say(self, sentence: str) -> None:
        """A sentence for people; programs have the values."""
        if not self.as_json:
            click.echo(printable(sentence))


def on_workspace(command: Command) -> Command:
    """Give a command --workspace and --json, and a Call in their place."""

    @click.option(
        "--workspace",
        type=PATH,
        help="The workspace's folder.  [default: $TOMOCURATE_WORKSPACE, else this folder]",
    )
    @json_option
    @functools.wraps(command)
    def with_workspace(workspace: Path | None, as_json: bool, **options: Any) -> Any:
        from core.access.os_user import acting_person
        from core.workspace.workspace import find_workspace, open_workspace

        with open_workspace(find_workspace(workspace)) as opened:
            say_workspace(opened.folder, as_json)
            call = Call(opened, acting_person(opened), as_json)
            with _refusals_noted(call):
                return command(call, **options)

    return with_workspace


def say_workspace(folder: Path, as_json: bool) -> None:
    """Tell a person, on stderr, which workspace a command acts on."""
    if not as_json:
        click.echo(f"workspace: {printable(str(folder.absolute()))}", err=True)


def json_option(command: Command) -> Command:
    """Give a command --json."""
    return click.option("--json", "as_json", is_flag=True, help="Report for machines.")(command)


def dry_run_option(command: Command) -> Command:
    """Give a command --dry-run."""
    message = "Say what would happen; write nothing."
    return click.option("--dry-run", is_flag=True, help=message)(command)


def queue_option(command: Command) -> Command:
    """Give a command --queue."""
    message = "Leave it to the worker; come back with: tomocurate jobs."
    return click.option("--queue", is_flag=True, help=message)(command)


def patches_or_all(what: str) -> Callable[[Command], Command]:
    """Give a command PATCH... and --all; it gets ``names``, None for all that are due."""

    def decorate(command: Command) -> Command:
        @click.argument("patch", nargs=-1)
        @click.option("--all", "every", is_flag=True, help=f"Every patch that {what}.")
        @functools.wraps(command)
        def with_names(*given: Any, patch: tuple[str, ...], every: bool, **options: Any) -> Any:
            if bool(patch) == every:
                raise click.UsageError("name patches, or say --all.")
            return command(*given, names=None if every else unique(patch), **options)

        return with_names

    return decorate


def word_of(words: type[StrEnum], *more: str) -> click.Choice[str]:
    """A word of the vocabulary, as it stands in the catalog."""
    return click.Choice([*(word.value for word in words), *more])


class Defaulted(click.Group):
    """A group that runs one of its commands where none is named: people is people list."""

    def __init__(self, *given: Any, default: str = "list", **options: Any) -> None:
        super().__init__(*given, **options)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in the order they came."""
    return tuple(dict.fromkeys(names))


class Position(click.ParamType["Zyx"]):
    """X,Y,Z as a person says it, in 0-based voxels; becomes (z, y, x)."""

    name = "X,Y,Z"

    def convert(self, value: Any, param: Any, ctx: Any) -> "Zyx":
        from core.imaging.geometry import Zyx

        words = str(value).split(",")
        try:
            x, y, z = map(int, words)
        except ValueError:
            self.fail(f"{value!r}: write three whole numbers, X,Y,Z, such as 512,480,120.")
        return Zyx.from_xyz((x, y, z))


POSITION = Position()


def tell_outcomes(call: Call, outcomes: Iterable["Outcome"], verb: str = "done") -> int:
    """Report what a step did to each thing, and give the exit status."""
    return tell_lines(list(outcomes), verb, call.as_json)


def tell_lines(lines: Sequence["Outcome"], verb: str, as_json: bool) -> int:
    """As ``tell_outcomes``, for a command that opens no workspace."""
    failed = [line for line in lines if line.outcome == "failed"]
    for line in failed:
        say_error(_sentence(line))
    if as_json:
        say_json(lines)
    else:
        say_table(("name", "", "remarks"), [_row(line) for line in lines])
        click.echo(_sum(lines, verb))
    return FAILED if failed else DONE


class Steps:
    """Shows on a terminal how far a long step is, one line that is overwritten."""

    def __init__(self, label: str, total: int | None = None) -> None:
        self._label, self._total, self._done = label, total, 0
        self._shown = sys.stderr.isatty()

    def __call__(self, outcome: "Outcome") -> None:
        self._done += 1
        of = f" of {self._total}" if self._total else ""
        self._show(f"{self._label} {self._done}{of}: {printable(outcome.name)}")

    def count(self, done: int) -> None:
        """Show how many are done."""
        self._show(f"{self._label} {done} ...")

    def of_all(self, done: int, total: int) -> None:
        """Show how many of all are done."""
        self._show(f"{self._label} {done} of {total}")

    def __enter__(self) -> "Steps":
        self._show(f"{self._label} ...")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _show(self, text: str) -> None:
        if self._shown:
            click.echo(f"\r\x1b[K{text[:100]}", nl=False, err=True)


def steps(label: str, of: Sequence[str] | int | None = None) -> Steps:
    """The line that shows how far a step is; ``of`` are its names, or how many."""
    return Steps(label, len(of) if isinstance(of, Sequence) else of)


def say_queued(call: Call, job: int, what: str) -> int:
    """Tell that a job waits for the worker."""
    if call.as_json:
        say_json([{"name": f"job {job}", "job": job, "outcome": "queued", "what": what}])
    call.say(f"queued as job {job}; the worker of tomocurate serve, or tomocurate worker, does it.")
    return DONE


def queued_outcome(name: str) -> "Outcome":
    """The line of something that was left to the worker."""
    from core.workspace.results import Outcome

    return Outcome(name, "done", "the worker does it")


def at_terminal() -> bool:
    """Return whether a person can be asked at a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def _refusals_noted(call: Call) -> Iterator[None]:
    """Report refused actions and record them in the event log."""
    from db.errors import NotAllowedError, TomocurateError

    try:
        yield
    except NotAllowedError as error:
        from core.access.audit_log import note_refusal

        with suppress(TomocurateError):
            note_refusal(call.workspace, call.by, error)
        raise


def _sentence(line: "Outcome") -> str:
    message = line.message or "failed."
    return message if message.startswith(line.name) else f"{line.name}: {message}"


def _row(line: "Outcome") -> tuple[str, str, str]:
    said = [] if line.outcome == "failed" or not line.message else [line.message]
    taken = to_json(line.details.get("files", ()))
    files = [f"{file['slot']} {file['outcome']}" for file in taken if isinstance(file, dict)]
    return line.name, line.outcome, "; ".join([*files, *said, *line.findings])


def _sum(lines: Sequence["Outcome"], verb: str) -> str:
    words = {"done": verb, "kept": "there already", "skipped": "skipped", "failed": "failed"}
    counts = {word: sum(line.outcome == word for line in lines) for word in words}
    told = [f"{counts[key]} {words[key]}" for key in words if counts[key] or key == "done"]
    return ", ".join(told) + "."
