"""Accept a merge, or reject it with a reason."""

from functools import partial

import streamlit as st

from core.lab.lab import Lab
from core.labels import review
from core.patches.history import PatchHistory
from core.patches.lifecycle import Transition
from dashboard.components.patch.steps import (
    bind,
    can,
)
from dashboard.ui.notifications import describe_saved, run_action
from dashboard.ui.session_keys import Key, Query
from db.queries.life import MergeRecord
from db.queries.patches import PatchRecord

REASON = "reason"


# Common reasons, one click each; anything may be written beside.
REASONS = (
    "A membrane is missed.",
    "What is added is not accurate.",
    "What is removed is membrane.",
    "In doubt: use Ignore here.",
)


def decide(
    lab: Lab,
    patch: PatchRecord,
    merge: MergeRecord,
    reason: str | None,
    next_name: str | None,
) -> None:
    """Accept a merge, or reject it where a reason is given; then turn to the next of the queue."""
    number, version = merge.number, patch.version
    if reason is None:
        step = partial(
            review.accept,
            lab,
            patch.name,
            merge_number=number,
            seen=version,
        )
        word = f"merge {number} accepted"
    else:
        step = partial(
            review.reject,
            lab,
            patch.name,
            reason,
            merge_number=number,
            seen=version,
        )
        word = f"merge {number} rejected and returned to its annotator"
    done = run_action(
        step,
        lambda saved: describe_saved(word, saved, lab.person),
        about=(lab.workspace, patch.name),
    )
    if done is None:
        return
    if next_name:
        st.query_params[Query.PATCH] = next_name


def reject_written(
    lab: Lab,
    patch: PatchRecord,
    merge: MergeRecord,
    next_name: str | None,
) -> None:
    """Reject with the reason that is written; without one the field asks for it."""
    reason = (st.session_state.get(reason_key(patch, merge)) or "").strip()
    if not reason:
        st.session_state[Key.MISSING] = reason_key(patch, merge)
        return
    decide(lab, patch, merge, reason, next_name)


def reason_key(patch: PatchRecord, merge: MergeRecord) -> str:
    """Name the field for the reason to reject one merge of one patch."""
    return f"{REASON}_{patch.name}_{merge.number}"


def write_reason(pills: str, field: str) -> None:
    """Put a common reason into the field, after what stands there."""
    picked, st.session_state[pills] = st.session_state[pills], None
    if picked:
        before = st.session_state.get(field) or ""
        st.session_state[field] = f"{before} {picked}".strip()


def show_decision(
    lab: Lab,
    history: PatchHistory,
    merge: MergeRecord,
    next_name: str | None,
    *,
    compact: bool = False,
) -> None:
    """Accept or reject; ``compact`` leaves room for the view below and hides the reason."""
    patch = history.patch
    may_accept = can(patch, Transition.ACCEPT, lab.person) and not patch.stale
    may_reject = can(patch, Transition.REJECT, lab.person)
    if not can(patch, Transition.ACCEPT, lab.person) and not may_reject:
        st.caption("Only reviewers accept or reject.")
        return
    accept = partial(
        st.button,
        "Accept",
        key=f"accept_{patch.name}_{merge.number}",
        shortcut="a",
        type="primary",
        icon=":material/check:",
        disabled=not may_accept,
        on_click=bind(patch, decide),
        args=(lab, patch, merge, None, next_name),
    )
    reject = partial(
        st.button,
        "Reject",
        key=f"reject_{patch.name}_{merge.number}",
        shortcut="x",
        icon=":material/undo:",
        disabled=not may_reject,
        on_click=bind(patch, reject_written),
        args=(lab, patch, merge, next_name),
    )
    if compact:
        accept()
        with st.popover("Reject…", icon=":material/undo:", disabled=not may_reject):
            _reason(patch, merge)
            reject()
        return
    if may_reject:
        _reason(patch, merge)
    with st.container(horizontal=True):
        accept()
        reject()


def _reason(patch: PatchRecord, merge: MergeRecord) -> None:
    """Ask for the reason to reject, and say beside the field where it is missing."""
    field = reason_key(patch, merge)
    st.pills(
        "Common reasons",
        REASONS,
        key=f"pills_{field}",
        wrap=True,
        on_change=bind(patch, write_reason),
        args=(f"pills_{field}", field),
    )
    st.text_area(
        "Reason for rejecting",
        key=field,
        height=80,
        max_chars=2000,
        placeholder="What is wrong, and where?",
    )
    if st.session_state.pop(Key.MISSING, None) == field:
        st.error("Write the reason for rejecting, or choose one above.")
