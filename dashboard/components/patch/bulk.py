"""Actions on many patches at once; the number affected is shown first.

A few are done at once with a bar; many become jobs, so that nobody waits before an open page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from core.access.permissions import may
from core.jobs import queue
from core.lab.lab import Lab
from core.labels.merge import merge
from core.patches import assign
from core.patches.extract import extract
from core.patches.lifecycle import Transition, action_of, is_legal
from core.workspace.results import DONE, FAILED, Outcome
from dashboard.ui.escape import escape
from dashboard.ui.job_notices import KIND_NAMES
from dashboard.ui.notifications import notify_outcomes, notify_refusal, run_action
from dashboard.ui.theme import count
from db.errors import TomocurateError
from db.queries.patches import PatchRecord
from db.queries.people import PersonRecord
from db.vocabulary import JobKind

AT_ONCE = 4
"""More than this many become jobs."""

JOB_OF: Mapping[Transition, JobKind] = {
    Transition.EXTRACT: JobKind.EXTRACT,
    Transition.MERGE: JobKind.MERGE,
}
STEP_OF: Mapping[Transition, Callable[..., tuple[Outcome, ...]]] = {
    Transition.EXTRACT: extract,
    Transition.MERGE: merge,
}
VERBS: Mapping[Transition, str] = {
    Transition.EXTRACT: "Extract",
    Transition.MERGE: "Merge",
    Transition.ASSIGN: "Assign",
    Transition.CLAIM: "Claim",
}


DONE_WORDS: Mapping[Transition, str] = {
    Transition.EXTRACT: "extracted",
    Transition.MERGE: "merged",
}


@dataclass(frozen=True)
class Hits:
    """The patches that an action would change, of those that were asked for."""

    move: Transition
    names: tuple[str, ...]
    asked: int

    @property
    def label(self) -> str:
        """Label a button: the action and how many patches it changes."""
        some = f" of {self.asked:,}" if len(self.names) != self.asked else ""
        return f"{VERBS[self.move]} {len(self.names):,}{some}"


def hits(move: Transition, patches: Sequence[PatchRecord], person: PersonRecord) -> Hits:
    """Find the patches that a person may change; only corrected ones are merged."""
    if not may(person.role, action_of(move)):
        return Hits(move, (), len(patches))
    names = tuple(patch.name for patch in patches if is_legal(patch, move) and _due(patch, move))
    return Hits(move, names, len(patches))


def run_many(lab: Lab, move: Transition, names: Sequence[str]) -> None:
    """Extract or merge: a few now, many as jobs; what came of it is told."""
    if len(names) <= AT_ONCE:
        outcomes = _run(lab, move, names)
        if outcomes is not None:
            notify_outcomes(outcomes, DONE_WORDS[move])
        return
    run_action(
        lambda: queue.submit_batch(lab, JOB_OF[move], names),
        lambda job: (
            f"{KIND_NAMES[JOB_OF[move]]} of {count(len(names), 'patch', 'patches')} is "
            f"queued as job {job}. Activity shows progress; a message appears when it is finished."
        ),
    )


def assign_many(lab: Lab, names: Sequence[str], to: str) -> None:
    """Assign patches, each in its own transaction, and show the result."""
    outcomes = [_move_one(partial(assign.assign, lab, name, to), name) for name in names]
    notify_outcomes(outcomes, f"assigned to {escape(to)}")


def claim_many(lab: Lab, names: Sequence[str]) -> None:
    """Take patches that nobody has."""
    outcomes = [_move_one(partial(assign.claim, lab, name), name) for name in names]
    notify_outcomes(outcomes, "claimed")


def _due(patch: PatchRecord, move: Transition) -> bool:
    if move is Transition.CLAIM:
        return patch.assignee is None
    return patch.correction_count > 0 if move is Transition.MERGE else True


def _move_one(step: Callable[[], PatchRecord], name: str) -> Outcome:
    """Run one patch of a batch; a refusal stops no other."""
    try:
        step()
    except TomocurateError as error:
        return Outcome(name, FAILED, str(error))
    return Outcome(name, DONE)


def _run(lab: Lab, move: Transition, names: Sequence[str]) -> tuple[Outcome, ...] | None:
    bar = st.progress(0.0, text=f"{VERBS[move]} {count(len(names), 'patch', 'patches')}…")
    done: list[str] = []

    def progress(outcome: Outcome) -> None:
        done.append(outcome.name)
        bar.progress(min(len(done) / len(names), 1.0), text=f"{len(done)} of {len(names)}")

    try:
        return STEP_OF[move](lab, names, progress=progress)
    except TomocurateError as error:
        notify_refusal(error)
        return None
    finally:
        bar.empty()
