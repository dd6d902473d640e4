"""Steps of one patch from a page: run, bound to the patch that is shown, over saved work only."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from core.access.permissions import may
from core.lab.lab import Lab
from core.patches.extract import extract
from core.patches.lifecycle import Transition, action_of, is_legal
from dashboard.ui.escape import escape
from dashboard.ui.notifications import (
    REFUSED,
    bind_to_shown,
    describe_saved,
    notify,
    notify_outcomes,
    notify_refusal,
    run_action,
)
from dashboard.ui.session_keys import Key, Query
from dashboard.ui.times import format_time
from db.errors import TomocurateError
from db.queries.patches import DraftRecord, PatchRecord, draft_of
from db.queries.people import PersonRecord

Step = Callable[..., PatchRecord]
PAINT, FILES, MERGE = "Paint here", "My own software", "Merge and submit"
WAYS = (PAINT, FILES, MERGE)
"""Ways to work on a patch, as the address names them."""
DRAFT_WAIT_S = 3.0


def run_step(
    lab: Lab,
    step: Step,
    what: str,
    name: str,
    *arguments: Any,
    **more: Any,
) -> None:
    """Run a step of a patch and show what was saved; a conflict shows the other's change."""
    run_action(
        partial(step, lab, name, *arguments, **more),
        lambda patch: describe_saved(what, patch, lab.person),
        about=(lab.workspace, name),
    )


def unsaved_draft(lab: Lab, patch: PatchRecord) -> DraftRecord | None:
    """Find what somebody painted on a patch and did not save."""
    with lab.workspace.catalog.read() as session:
        return draft_of(session, patch.id, lab.person.id)


def expected_draft(lab: Lab, patch: PatchRecord) -> DraftRecord | None:
    """Find the unsaved strokes; wait for them where the painter reported some a moment ago."""
    draft = unsaved_draft(lab, patch)
    reported = st.session_state.pop(f"{Key.UNSAVED}_{patch.id}", 0)
    deadline = time.monotonic() + DRAFT_WAIT_S
    while reported and draft is None and time.monotonic() < deadline:
        time.sleep(0.1)
        draft = unsaved_draft(lab, patch)
    return draft


def only_saved(lab: Lab, patch: PatchRecord, step: Callable[..., None]) -> Callable[..., None]:
    """Bind a handler to its patch, and refuse it while strokes of the person are not saved."""
    return bind(patch, partial(_unless_unsaved, lab, patch, step))


def _unless_unsaved(
    lab: Lab,
    patch: PatchRecord,
    step: Callable[..., None],
    *args: Any,
    **options: Any,
) -> None:
    draft = unsaved_draft(lab, patch)
    if draft is None:
        step(*args, **options)
    else:
        notify(REFUSED, f"Nothing was changed: {not_saved(patch, draft)}")


def not_saved(patch: PatchRecord, draft: DraftRecord) -> str:
    """Say that strokes are not saved, as Markdown."""
    return (
        f"you painted on {escape(patch.name)} and did not save it (last stroke "
        f"{format_time(draft.saved_at)}): save or discard it first."
    )


def bind(patch: PatchRecord, step: Callable[..., None]) -> Callable[..., None]:
    """Bind a handler to the patch that it was drawn for."""
    return bind_to_shown(Query.PATCH, patch.name, step)


def pick_way(label: str, ways: Sequence[str], name: str) -> str:
    """Put the ways of looking at a patch on the page; the address names the one that is shown."""
    asked = st.query_params.get(Query.WAY)
    key = f"way_{name}"
    st.session_state[key] = asked if asked in ways else ways[0]
    way = st.segmented_control(
        label,
        ways,
        required=True,
        key=key,
        label_visibility="collapsed",
        on_change=_write_way,
        args=(key,),
    )
    return way or ways[0]


def _write_way(key: str) -> None:
    st.query_params[Query.WAY] = st.session_state[key]


def can(patch: PatchRecord, move: Transition, by: PersonRecord) -> bool:
    """Say whether a transition is legal now and allowed to this person."""
    return is_legal(patch, move) and may(by.role, action_of(move))


def show_not_extracted(lab: Lab, patch: PatchRecord) -> None:
    """Say that a patch has no files yet, and offer to extract it."""
    st.info("Not extracted yet.", icon=":material/content_cut:")
    if can(patch, Transition.EXTRACT, lab.person):
        st.button(
            "Extract this patch",
            key=f"extract_{patch.name}",
            icon=":material/crop:",
            type="primary",
            on_click=bind(patch, extract_now),
            args=(lab, patch.name),
        )


def extract_now(lab: Lab, name: str) -> None:
    """Extract one patch while the page waits."""
    try:
        with st.spinner("Extracting…"):
            outcomes = extract(lab, [name])
    except TomocurateError as error:
        notify_refusal(error)
        return
    notify_outcomes(outcomes, "extracted")
