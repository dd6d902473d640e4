"""Review: who works on what, what is ready, what a reviewer says, what is taken out."""

from typing import TYPE_CHECKING

import click

from core.cli.context import POSITION, Call, on_workspace, tell_outcomes
from core.cli.run import DONE
from core.cli.tables import say_json

if TYPE_CHECKING:
    from core.imaging.geometry import Zyx
    from db.queries.patches import PatchRecord


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.argument("person")
@on_workspace
def assign(call: Call, patch: str, person: str) -> int:
    """Assign a patch to somebody.

    \b
    tomocurate assign other_TS_001_patch0 Ben
    """
    from core.patches.assign import assign as step

    return _tell(call, step(call.lab, patch, person), f"is {person}'s")


@click.command(no_args_is_help=True)
@click.argument("patch")
@on_workspace
def claim(call: Call, patch: str) -> int:
    """Claim an unassigned patch.

    \b
    tomocurate claim other_TS_001_patch0
    """
    from core.patches.assign import claim as step

    return _tell(call, step(call.lab, patch), "is yours")


@click.command(no_args_is_help=True)
@click.argument("patch")
@on_workspace
def release(call: Call, patch: str) -> int:
    """Release a patch, so that somebody else can claim it.

    \b
    tomocurate release other_TS_001_patch0
    """
    from core.patches.assign import release as step

    return _tell(call, step(call.lab, patch), "is nobody's")


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.argument("person")
@on_workspace
def transfer(call: Call, patch: str, person: str) -> int:
    """Transfer your patch to somebody else.

    \b
    tomocurate transfer other_TS_001_patch0 Chloe
    """
    from core.patches.assign import transfer as step

    return _tell(call, step(call.lab, patch, person), f"is {person}'s")


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.option(
    "--nothing-to-change",
    is_flag=True,
    help="You looked at it, and the prediction is right as it is.",
)
@on_workspace
def submit(call: Call, patch: str, nothing_to_change: bool) -> int:
    """Submit a patch for review.

    \b
    tomocurate submit other_TS_001_patch0
    tomocurate submit other_TS_001_patch1 --nothing-to-change
    """
    from core.labels.review import submit as step

    done = step(call.lab, patch, nothing_to_change=nothing_to_change)
    return _tell(call, done, "submitted for review")


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.option(
    "--merge",
    "merge_number",
    type=int,
    help="The merge you looked at; refused if there is a newer one.",
)
@on_workspace
def accept(call: Call, patch: str, merge_number: int | None) -> int:
    """Accept a patch's merged label for training.

    Where a patch was merged more than once, state the merge that you looked at with --merge.

    \b
    tomocurate accept other_TS_001_patch0
    """
    from core.labels.review import accept as step

    return _tell(call, step(call.lab, patch, merge_number=merge_number), "accepted")


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.option("--reason", required=True, help="What the annotator should change.")
@click.option("--merge", "merge_number", type=int, help="The merge you looked at.")
@click.option("--take-back", is_flag=True, help="Also where it is accepted already.")
@on_workspace
def reject(call: Call, patch: str, reason: str, merge_number: int | None, take_back: bool) -> int:
    """Reject a patch with a reason; it returns to its annotator.

    \b
    tomocurate reject other_TS_001_patch0 --reason "the lower vesicle is not closed"
    """
    from core.labels.review import reject as step

    done = step(call.lab, patch, reason, merge_number=merge_number, take_back=take_back)
    return _tell(call, done, f"rejected, back to {done.assignee or 'nobody yet'}")


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.argument("text")
@click.option("--at", type=POSITION, help="A voxel of the patch, 0-based.")
@on_workspace
def comment(call: Call, patch: str, text: str, at: "Zyx | None") -> int:
    """Comment on a patch, optionally at one of its voxels.

    \b
    tomocurate comment other_TS_001_patch0 "is this a membrane?" --at 80,75,92
    """
    from core.labels.review import comment as step

    said = step(call.lab, patch, text, at)
    if call.as_json:
        say_json({"name": patch, "comment": said})
    call.say(f"comment {said.id} stands on {patch}.")
    return DONE


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.argument("number", type=int, metavar="COMMENT")
@on_workspace
def settle(call: Call, patch: str, number: int) -> int:
    """Mark a comment as resolved.

    Its number stands in: tomocurate show PATCH.

    \b
    tomocurate settle other_TS_001_patch0 12
    """
    from core.labels.review import resolve_comment

    resolve_comment(call.lab, patch, number)
    if call.as_json:
        say_json({"name": patch, "comment": number, "outcome": "settled"})
    call.say(f"comment {number} on {patch} is settled.")
    return DONE


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.option("--reason", help="Why the patch is taken out.")
@click.option("--correction", metavar="FILE", help="Take out only this correction, as Add1.nrrd.")
@on_workspace
def withdraw(call: Call, patch: str, reason: str | None, correction: str | None) -> int:
    """Withdraw a patch or one correction; nothing is deleted.

    \b
    tomocurate withdraw other_TS_001_patch3 --reason "ice crystal"
    tomocurate withdraw other_TS_001_patch0 --correction Add2.nrrd
    """
    if correction is not None:
        from core.corrections.withdraw import withdraw_correction

        done = withdraw_correction(call.lab, patch, correction, reason=reason)
        return tell_outcomes(call, [done], "withdrawn; merge again")
    if not reason:
        raise click.UsageError("say why with --reason, or name one --correction.")
    from core.labels.review import withdraw as step

    return _tell(call, step(call.lab, patch, reason), "withdrawn")


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.option("--correction", metavar="FILE", help="Only this correction.")
@on_workspace
def reinstate(call: Call, patch: str, correction: str | None) -> int:
    """Reinstate a withdrawn patch or correction.

    \b
    tomocurate reinstate other_TS_001_patch3
    """
    if correction is not None:
        from core.corrections.withdraw import reinstate_correction

        done = reinstate_correction(call.lab, patch, correction)
        return tell_outcomes(call, [done], "counts again; merge again")
    from core.labels.review import reinstate as step

    return _tell(call, step(call.lab, patch), "reinstated")


@click.command(no_args_is_help=True)
@click.argument("patch")
@click.argument("correction", metavar="FILE")
@click.argument("version", type=click.IntRange(1))
@on_workspace
def restore_version(call: Call, patch: str, correction: str, version: int) -> int:
    """Restore an older version of a correction as its latest version.

    The versions of each correction are listed by: tomocurate show PATCH --json.

    \b
    tomocurate restore-version other_TS_001_patch0 Add1.nrrd 2
    """
    from core.corrections.withdraw import restore_version as step

    done = step(call.lab, patch, correction, version)
    return tell_outcomes(call, [done], "restored; merge again")


def _tell(call: Call, patch: "PatchRecord", what: str) -> int:
    if call.as_json:
        say_json(patch)
    call.say(f"{patch.name} {what}; stage: {patch.stage.replace('_', ' ')}.")
    return DONE
