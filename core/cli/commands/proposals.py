"""Places worth a look: propose them, list them, accept or dismiss them."""

from typing import TYPE_CHECKING, Any

import click

from core.cli.context import (
    Call,
    on_workspace,
    queue_option,
    say_queued,
    steps,
    tell_outcomes,
    unique,
    word_of,
)
from core.cli.tables import say_json
from db.vocabulary import Dismissal, JobKind, ProposalState

if TYPE_CHECKING:
    from db.queries.proposals import ProposalRecord

IDS = click.argument("number", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1))


class Proposing(click.Group):
    """A group whose first word may be a tomogram: propose TS_001 is propose places TS_001."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["places", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Proposing)
def propose() -> None:
    """Propose patch centers where the most voxels are likely to need correction.

    TOMOGRAM... or --all: looks through the tomograms; accept makes a chosen patch of a proposal,
    dismiss says why it is none. Nothing is extracted by itself.

    \b
    tomocurate propose TS_001
    tomocurate propose --all --budget 20
    tomocurate propose accept 3 4
    tomocurate propose dismiss 5 --reason nothing_wrong
    """


@propose.command(no_args_is_help=True)
@click.argument("tomogram", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every tomogram that has a segmentation.")
@click.option("--per-tomogram", type=click.IntRange(1, 20), help="[default: 2, then 5]")
@click.option("--budget", type=click.IntRange(1), help="The best of all tomograms, so many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@queue_option
@on_workspace
def places(
    call: Call, tomogram: tuple[str, ...], every: bool, queue: bool, **wish: int | None
) -> int:
    """Scan tomograms and propose patch centers.

    One proposal in six is drawn at random: only those may judge a model.

    \b
    tomocurate propose places TS_001 TS_002
    tomocurate propose places --all --per-tomogram 3 --seed 7
    """
    from core.proposals.propose import Wish
    from core.proposals.propose import propose as propose_places

    if bool(tomogram) == every:
        raise click.UsageError("name tomograms, or say --all.")
    names = None if every else unique(tomogram)
    if queue:
        from core.jobs.queue import submit

        job = submit(call.lab, JobKind.PROPOSE, {"names": names, "wish": wish})
        return say_queued(call, job, "propose")
    wanted: dict[str, Any] = wish
    with steps("looking through", names) as told:
        done = propose_places(call.lab, names, Wish(**wanted), progress=told)
    return tell_outcomes(call, done, "looked through")


@propose.command(no_args_is_help=True)
@IDS
@on_workspace
def accept(call: Call, number: tuple[int, ...]) -> int:
    """Accept proposals: they become chosen patches.

    \b
    tomocurate propose accept 3 4
    """
    from core.proposals.decide import accept as accept_proposals

    return tell_outcomes(call, accept_proposals(call.lab, number), "accepted")


@propose.command(no_args_is_help=True)
@IDS
@click.option("--reason", type=word_of(Dismissal), required=True, help="Why it is no place.")
@click.option("--note", help="In your own words.")
@on_workspace
def dismiss(call: Call, number: tuple[int, ...], reason: str, note: str | None) -> int:
    """Dismiss proposals with a reason; the ranking learns from nothing_wrong.

    \b
    tomocurate propose dismiss 5 --reason nothing_wrong
    """
    from core.proposals.decide import dismiss as dismiss_proposals

    done = dismiss_proposals(call.lab, number, Dismissal(reason), note)
    return tell_outcomes(call, done, "dismissed")


@click.command()
@click.option("--tomogram", help="Of this tomogram alone.")
@click.option("--dataset", help="Of this dataset alone.")
@click.option(
    "--state",
    type=word_of(ProposalState, "all"),
    default=ProposalState.WAITING.value,
    show_default=True,
)
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True)
@on_workspace
def proposals(
    call: Call, tomogram: str | None, dataset: str | None, state: str, limit: int
) -> int | None:
    """List proposals, those with the largest expected correction first.

    \b
    tomocurate proposals
    tomocurate proposals --state accepted --json
    """
    from core.proposals.learned import calibration_sentence, learned_weights
    from db.queries.proposals import ProposalFilter, list_proposals
    from db.queries.volumes import get_tomogram

    with call.workspace.catalog.read() as session:
        wanted = ProposalFilter(
            state=None if state == "all" else ProposalState(state),
            tomogram_id=get_tomogram(session, tomogram).id if tomogram else None,
            dataset=dataset,
        )
        page = list_proposals(session, wanted, limit=limit)
        learned = learned_weights(session, dataset)
    if call.as_json:
        say_json([_as_json(record) for record in page])
        return None
    call.tell(_HEADINGS, map(_row, page), None)
    shown = f", {len(page)} are shown" if len(page) < page.total else ""
    call.say(f"{page.total} proposals{shown}. {calibration_sentence(learned)}")
    return None


_HEADINGS = ("id", "tomogram", "center", "expected", "why", "state")


def _row(record: "ProposalRecord") -> tuple[Any, ...]:
    z, y, x = record.center
    expected = "audit" if record.audit else round(record.score)
    state = record.patch or (record.dismissal or record.state).value
    return record.id, record.tomogram, f"{x},{y},{z}", expected, record.reason, state


def _as_json(record: "ProposalRecord") -> dict[str, Any]:
    z, y, x = record.center
    return {
        "id": record.id,
        "tomogram": record.tomogram,
        "center": [x, y, z],
        "score": record.score,
        "parts": record.parts,
        "reason": record.reason,
        "audit": record.audit,
        "state": record.state,
        "patch": record.patch,
        "dismissal": record.dismissal,
        "note": record.note,
        "corrected": record.corrected,
        "round": record.round,
        "seed": record.seed,
        "rule": record.rule,
        "proposed_by": record.proposed_by,
        "decided_by": record.decided_by,
    }
