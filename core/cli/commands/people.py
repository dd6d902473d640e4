"""People and their roles, and the record of all that happened."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.cli.context import PATH, Call, Defaulted, on_workspace, steps, tell_outcomes, word_of
from core.cli.run import DONE
from core.cli.tables import say_json
from db.json_values import to_json
from db.vocabulary import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from db.queries.life import EventFilter
    from db.queries.people import PersonRecord

ROLE = word_of(Role)
DAY = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.group(cls=Defaulted)
def people() -> None:
    """List and add people, and change their roles.

    \b
    tomocurate people
    tomocurate people add Ben --role annotator --account ben
    """


@people.command("list")
@on_workspace
def list_people(call: Call) -> int:
    """List people with their roles and accounts.

    \b
    tomocurate people list
    """
    from db.queries.people import list_people as people_of

    with call.workspace.catalog.read() as session:
        found = people_of(session)
    rows = [(p.name, p.role, p.os_user, p.subject, "disabled" if p.disabled else "") for p in found]
    call.tell(("person", "role", "account", "signs in as", ""), rows, found)
    return DONE


@people.command("add", no_args_is_help=True)
@click.argument("name")
@click.option("--role", type=ROLE, default=Role.ANNOTATOR.value, show_default=True)
@click.option("--account", help="Their operating-system user; authors of files are known by it.")
@click.option("--issuer", help="Address of the OpenID provider that knows them.")
@click.option("--subject", help="As whom that provider knows them.")
@on_workspace
def add_person(
    call: Call, name: str, role: str, account: str | None, issuer: str | None, subject: str | None
) -> int:
    """Add a person.

    \b
    tomocurate people add "Ada Byron" --role reviewer --account abyron
    """
    from core.access.people import add

    identity = _identity(issuer, subject)
    added = add(call.workspace, call.by, name, Role(role), os_user=account, identity=identity)
    return _tell(call, added)


@people.command("role", no_args_is_help=True)
@click.argument("name")
@click.argument("role", type=ROLE)
@on_workspace
def change_role(call: Call, name: str, role: str) -> int:
    """Change a person's role.

    \b
    tomocurate people role Ben reviewer
    """
    from core.access.people import change_role as change

    return _tell(call, change(call.workspace, call.by, name, Role(role)))


@people.command("account", no_args_is_help=True)
@click.argument("name")
@click.option("--account", help="Their operating-system user.")
@click.option("--issuer", help="Address of the OpenID provider that knows them.")
@click.option("--subject", help="As whom that provider knows them.")
@on_workspace
def set_account(
    call: Call, name: str, account: str | None, issuer: str | None, subject: str | None
) -> int:
    """Set the account by which a person is known.

    \b
    tomocurate people account Ben --account ben
    """
    from core.access.people import set_account as change

    identity = _identity(issuer, subject)
    if account is None and identity is None:
        raise click.UsageError("state --account, or --issuer and --subject.")
    return _tell(call, change(call.workspace, call.by, name, os_user=account, identity=identity))


@people.command("disable", no_args_is_help=True)
@click.argument("name")
@on_workspace
def disable(call: Call, name: str) -> int:
    """Disable a person immediately; their work stays recorded under their name.

    Their browser sessions end. Which patches they still have is told; hand them over next.

    \b
    tomocurate people disable Ben
    tomocurate people hand-over Ben --to Chloe
    """
    from core.access.people import disable as change
    from core.patches.handover import open_work

    status = _tell(call, change(call.workspace, call.by, name))
    left = open_work(call.workspace, name)
    if left:
        call.say(
            f"{name} still has {len(left)} open patches: {', '.join(left)}. Hand them over: "
            f"tomocurate people hand-over {shlex.quote(name)} --to SOMEBODY"
        )
    return status


@people.command("hand-over", no_args_is_help=True)
@click.argument("name")
@click.option("--to", metavar="PERSON", help="Who gets them.  [default: anybody may claim them]")
@on_workspace
def hand_over(call: Call, name: str, to: str | None) -> int:
    """Transfer all open patches of a person to somebody else, or release them.

    \b
    tomocurate people hand-over Ben --to Chloe
    """
    from core.patches.handover import hand_over as give

    return tell_outcomes(call, give(call.lab, name, to), "handed over")


@people.command("sign-out", no_args_is_help=True)
@click.argument("name")
@on_workspace
def end_sessions(call: Call, name: str) -> int:
    """End all browser sessions of a person, e.g. if a laptop was lost.

    \b
    tomocurate people sign-out Ben
    """
    from core.access.sessions import end_sessions as end

    ended = end(call.workspace, call.by, name)
    if call.as_json:
        say_json({"name": name, "sessions": ended})
    call.say(f"{name}: {ended} sessions ended; {name} may sign in again.")
    return DONE


@people.command("enable", no_args_is_help=True)
@click.argument("name")
@on_workspace
def enable(call: Call, name: str) -> int:
    """Enable a disabled person.

    \b
    tomocurate people enable Ben
    """
    from core.access.people import enable as change

    return _tell(call, change(call.workspace, call.by, name))


@click.group(cls=Defaulted)
def events() -> None:
    """Show who did what and when; export the event log.

    \b
    tomocurate events --person Ben
    tomocurate events export events.jsonl
    """


def _filters(command: "Callable[..., Any]") -> "Callable[..., Any]":
    for option in (
        click.option("--patch", help="Of this patch."),
        click.option("--person", help="By this person."),
        click.option("--action", help='Such as "patch chosen".'),
        click.option("--since", type=DAY, help="Not before this day (UTC)."),
    ):
        command = option(command)
    return command


@events.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@on_workspace
def list_events(call: Call, limit: int, **filters: Any) -> int:
    """List events, the newest first.

    \b
    tomocurate events list --patch other_TS_001_patch0
    """
    import itertools

    from core.access.audit_log import all_events

    wanted = _event_filter(call, **filters)
    found = list(itertools.islice(all_events(call.workspace, wanted), limit))
    rows = [(f"{e.at:%Y-%m-%d %H:%M:%S}", e.person, e.action, e.name, e.reason) for e in found]
    call.tell(("when (UTC)", "who", "what", "on", "because"), rows, found)
    return DONE


@events.command("export", no_args_is_help=True)
@click.argument("out", type=PATH)
@_filters
@on_workspace
def export_events(call: Call, out: Path, **filters: Any) -> int:
    """Write the event log as JSON lines, the newest first.

    \b
    tomocurate events export events.jsonl --since 2026-01-01
    """
    from core.access.audit_log import export_events as write

    with steps("exporting") as told:
        count = write(call.workspace, call.by, out, _event_filter(call, **filters), told.count)
    if call.as_json:
        say_json({"name": str(out), "events": count})
    call.say(f"{out}: {count} events.")
    return DONE


def _event_filter(
    call: Call, patch: str | None, person: str | None, action: str | None, since: datetime | None
) -> "EventFilter":
    from db.queries.life import EventFilter
    from db.queries.patches import get_patch
    from db.queries.people import get_person

    with call.workspace.catalog.read() as session:
        patch_id = get_patch(session, patch).id if patch else None
        if person is not None:
            get_person(session, person)
    return EventFilter(patch_id, person, action, since=since.replace(tzinfo=UTC) if since else None)


def _identity(issuer: str | None, subject: str | None) -> tuple[str, str] | None:
    if (issuer is None) != (subject is None):
        raise click.UsageError("--issuer and --subject belong together.")
    return (issuer, subject) if issuer and subject else None


def _tell(call: Call, person: "PersonRecord") -> int:
    if call.as_json:
        say_json(to_json(person))
    disabled = ", disabled" if person.disabled else ""
    call.say(f"{person.name}: {person.role}{disabled}.")
    return DONE
