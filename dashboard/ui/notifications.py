"""Notifications: what a step saved or refused, shown once on the next page.

``run_action`` runs a step: what it raises for a person becomes one sentence on the page, and a
conflict shows what somebody else changed meanwhile.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from core.access.audit_log import note_refusal
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome
from core.workspace.workspace import Workspace
from dashboard.ui.context import current_person, current_workspace
from dashboard.ui.escape import escape
from dashboard.ui.session_keys import Key
from dashboard.ui.times import (
    format_time,
    in_local_time,
)
from db.errors import ConflictError, NotAllowedError, TomocurateError
from db.queries.life import EventFilter, EventRecord, list_events
from db.queries.patches import PatchRecord, find_patch
from db.queries.people import PersonRecord

T = TypeVar("T")

SAVED, PARTLY, REFUSED, CONFLICT = "saved", "partly", "refused", "conflict"
CHANGES_SHOWN = 4
OWN_CHANGE = "You did it yourself, in another window or with a second click. Nothing more changed."
LINES_SHOWN = 20
INTERNAL = ("_hash", "sha256", "_id")
"""Ends of the names that tell a reader nothing."""
WORDS = {DONE: "done", KEPT: "already there", SKIPPED: "skipped", FAILED: "failed"}


def notify(kind: str, sentence: str, lines: Iterable[str] = ()) -> None:
    """Keep a sentence (Markdown of ours; people's words made plain) until a page shows it."""
    st.session_state.setdefault(Key.NOTIFICATIONS, []).append([kind, sentence, list(lines)])


def run_action(
    step: Callable[[], T],
    done: Callable[[T], str],
    about: tuple[Workspace, str] | None = None,
) -> T | None:
    """Run a step and tell what came of it; ``about`` names the patch whose changes to show.

    None where the step refused.
    """
    try:
        result = step()
    except ConflictError as error:
        _notify_conflict(error, about)
        return None
    except TomocurateError as error:
        notify_refusal(error)
        return None
    notify(SAVED, done(result))
    return result


def _notify_conflict(error: ConflictError, about: tuple[Workspace, str] | None) -> None:
    """Show what changed meanwhile; one's own second click is no conflict with somebody else."""
    events = _recent_events(*about) if about else ()
    own = bool(events) and events[0].person == current_person().name
    message = OWN_CHANGE if own else escape(in_local_time(str(error)))
    notify(CONFLICT, message, [format_change(event) for event in events])


def notify_refusal(error: TomocurateError) -> None:
    """Tell why a step was refused; the log keeps who asked for what they may not do."""
    notify(REFUSED, escape(in_local_time(str(error))))
    if isinstance(error, NotAllowedError):
        note_refusal(current_workspace(), current_person(), error)


def bind_to_shown(word: str, name: str, step: Callable[..., None]) -> Callable[..., None]:
    """Bind a button's handler to the patch or tomogram that it was drawn for.

    ``word`` is what the address calls it. Where the address names another by now (one went back
    while the page was still drawn), nothing is changed and a sentence says so.
    """
    return partial(_act_if_shown, word, name, step)


def _act_if_shown(
    word: str, name: str, step: Callable[..., None], *args: Any, **options: Any
) -> None:
    shown = st.query_params.get(word)
    if shown == name:
        step(*args, **options)
        return
    now = f"the page now shows {escape(shown)}" if shown else "the page has moved on"
    notify(REFUSED, f"Nothing was changed: this button was for {escape(name)}, and {now}.")


def show_notifications(*, toasts: bool = False) -> None:
    """Show what was kept since, once; with ``toasts`` what was saved moves nothing on the page."""
    for kind, sentence, lines in st.session_state.pop(Key.NOTIFICATIONS, []):
        body = "\n".join([sentence, *(f"\n- {line}" for line in lines)])
        if kind == SAVED and toasts:
            st.toast(body, icon=":material/check:")
        elif kind == SAVED:
            st.success(body, icon=":material/check:")
        elif kind == PARTLY:
            st.warning(body, icon=":material/rule:")
        elif kind == CONFLICT:
            st.warning(f"**Changed meanwhile.** {body}", icon=":material/sync_problem:")
        else:
            st.error(body, icon=":material/block:")


def describe_saved(what: str, patch: PatchRecord, by: PersonRecord) -> str:
    """Describe that a patch was saved: by whom, when, at which version."""
    at = format_time(patch.updated_at)
    return (
        f"**{escape(patch.name)}** {what} · saved at {at} by {escape(by.name)}, "
        f"version {patch.version}"
    )


def notify_outcomes(
    outcomes: Sequence[Outcome], done: str, nouns: tuple[str, str] = ("patch", "patches")
) -> None:
    """Say how many things were ``done``, and list every one that was not.

    ``done`` is a participle such as ``merged``, ``nouns`` the things in singular and plural.
    """
    counts = {word: sum(outcome.outcome == word for outcome in outcomes) for word in WORDS}
    parts = [f"{number:,} {WORDS[word]}" for word, number in counts.items() if number]
    if counts[DONE]:
        parts[0] = f"{counts[DONE]:,} {nouns[counts[DONE] != 1]} {done}"
    lines = [
        _line(outcome)
        for outcome in outcomes
        if outcome.outcome in (FAILED, SKIPPED) or outcome.findings
    ]
    more = [f"and {len(lines) - LINES_SHOWN} more"] if len(lines) > LINES_SHOWN else []
    kind = REFUSED if outcomes and counts[FAILED] == len(outcomes) else SAVED
    notify(
        PARTLY if counts[FAILED] and kind == SAVED else kind,
        f"{', '.join(parts) or 'Nothing to do'}.",
        [*lines[:LINES_SHOWN], *more],
    )


def _recent_events(workspace: Workspace, name: str) -> tuple[EventRecord, ...]:
    """Read the last changes of a patch, the newest first."""
    with workspace.catalog.read() as session:
        patch = find_patch(session, name)
        if patch is None:
            return ()
        return tuple(list_events(session, EventFilter(patch_id=patch.id), limit=CHANGES_SHOWN))


def format_change(event: EventRecord) -> str:
    """Format one change: when, who, what, from what to what."""
    return (
        f"{format_time(event.at)} · **{escape(event.person or 'tomocurate')}** · "
        f"{escape(event.action)}{change_markdown(event)}"
    )


def change_markdown(event: EventRecord) -> str:
    """Describe what an event changed, as Markdown."""
    change = describe_change(event)
    return f" · {escape(change)}" if change else ""


def describe_change(event: EventRecord) -> str:
    """Describe what an event changed, as text: from what to what, and why."""
    before = event.before
    parts = []
    for name, value in (event.after or {}).items():
        if name.endswith(INTERNAL):
            continue
        label = name.replace("_", " ")
        if before is None:
            parts += [f"{label} {_value(value)}"] if value is not None else []
        elif before.get(name) != value:
            parts.append(f"{label}: {_value(before.get(name))} → {_value(value)}")
    return "; ".join([*parts, *([f"because “{event.reason}”"] if event.reason else [])])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        numbers = [
            f"{str(name).replace('_', ' ')} {number:,}"
            for name, number in value.items()
            if isinstance(number, int) and number
        ]
        return ", ".join(numbers) or "–"
    text = value if isinstance(value, str) else json.dumps(value)
    return "–" if value is None else text[:80]


def _line(outcome: Outcome) -> str:
    message = (outcome.message or "").removeprefix(f"{outcome.name}: ")
    parts = [message, *outcome.findings] if message else outcome.findings
    return f"**{escape(outcome.name)}** {'; '.join(map(escape, parts))}"
