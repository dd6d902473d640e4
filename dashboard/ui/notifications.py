"""What a step saved or refused, told once: who saved it, when, and at which version.

A step is run by ``run_action``: what it raises for a person becomes one sentence on the page, and a
conflict shows what the other person changed meanwhile. Nothing is lost by it.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from core.access.audit_log import note_refusal
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome
from core.workspace.workspace import Workspace
from dashboard.ui.context import current_person, current_workspace
from dashboard.ui.escape import escape
from dashboard.ui.session_keys import Key
from dashboard.ui.times import format_time
from db.errors import ConflictError, NotAllowedError, TomocurateError
from db.queries.life import EventFilter, EventRecord, list_events
from db.queries.patches import PatchRecord, find_patch
from db.queries.people import PersonRecord

T = TypeVar("T")

SAVED, PARTLY, REFUSED, CONFLICT = "saved", "partly", "refused", "conflict"
CHANGES_SHOWN = 4
_HASH = re.compile(r"[0-9a-f]{64}")
WORDS = {DONE: "done", KEPT: "there already", SKIPPED: "skipped", FAILED: "failed"}


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
        notify(CONFLICT, escape(error), recent_changes(*about) if about else ())
        return None
    except TomocurateError as error:
        notify_refusal(error)
        return None
    notify(SAVED, done(result))
    return result


def notify_refusal(error: TomocurateError) -> None:
    """Tell why a step was refused; the log keeps who asked for what they may not do."""
    notify(REFUSED, escape(error))
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


def show_notifications() -> None:
    """Show what was told since, once."""
    for kind, sentence, lines in st.session_state.pop(Key.NOTIFICATIONS, []):
        body = "\n".join([sentence, *(f"\n- {line}" for line in lines)])
        if kind == SAVED:
            st.success(body, icon=":material/check:")
        elif kind == PARTLY:
            st.warning(body, icon=":material/rule:")
        elif kind == CONFLICT:
            st.warning(f"**Somebody was first.** {body}", icon=":material/sync_problem:")
        else:
            st.error(body, icon=":material/block:")


def describe_saved(what: str, patch: PatchRecord, by: PersonRecord) -> str:
    """A patch was saved: by whom, when, at which version."""
    at = format_time(patch.updated_at)
    return (
        f"**{escape(patch.name)}** {what} · saved at {at} by {escape(by.name)}, "
        f"version {patch.version}"
    )


def notify_outcomes(outcomes: Sequence[Outcome], verb: str) -> None:
    """Tell how many of a step's things were done, and every one that was not."""
    counts = {word: sum(each.outcome == word for each in outcomes) for word in WORDS}
    said = ", ".join(f"{number:,} {WORDS[word]}" for word, number in counts.items() if number)
    lines = [_line(each) for each in outcomes if each.outcome in (FAILED, SKIPPED) or each.findings]
    more = [f"and {len(lines) - 20} more"] if len(lines) > 20 else []
    kind = REFUSED if counts[FAILED] == len(outcomes) and outcomes else SAVED
    notify(
        PARTLY if counts[FAILED] and kind == SAVED else kind,
        f"{verb}: {said or 'there was nothing to do'}.",
        [*lines[:20], *more],
    )


def recent_changes(workspace: Workspace, name: str) -> list[str]:
    """The last changes of a patch, as lines."""
    with workspace.catalog.read() as session:
        patch = find_patch(session, name)
        if patch is None:
            return []
        events = list_events(session, EventFilter(patch_id=patch.id), limit=CHANGES_SHOWN)
    return [format_change(event) for event in events]


def format_change(event: EventRecord) -> str:
    """One change: when, who, what, from what to what."""
    return (
        f"{format_time(event.at)} · **{escape(event.person or 'tomocurate')}** · "
        f"{escape(event.action)}{change_markdown(event)}"
    )


def change_markdown(event: EventRecord) -> str:
    """What an event changed, as Markdown."""
    said = describe_change(event)
    return f" · {escape(said)}" if said else ""


def describe_change(event: EventRecord) -> str:
    """What an event changed, as text: from what to what, and why."""
    before = event.before
    parts = []
    for name, value in (event.after or {}).items():
        said = name.replace("_", " ")
        if before is None:
            parts += [f"{said} {_value(value)}"] if value is not None else []
        elif before.get(name) != value:
            parts.append(f"{said}: {_value(before.get(name))} → {_value(value)}")
    return "; ".join([*parts, *([f"because “{event.reason}”"] if event.reason else [])])


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if _HASH.fullmatch(text):
        return f"{text[:12]}…"
    return "–" if value is None else text[:80]


def _line(outcome: Outcome) -> str:
    message = (outcome.message or "").removeprefix(f"{outcome.name}: ")
    said = [message, *outcome.findings] if message else outcome.findings
    return f"**{escape(outcome.name)}** {'; '.join(map(escape, said))}"
