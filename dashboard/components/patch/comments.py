"""The comments on a patch, and a field to write another."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core.lab.lab import Lab
from core.labels import review
from core.patches.lifecycle import Transition
from dashboard.components.patch.steps import bind, can
from dashboard.ui.escape import escape
from dashboard.ui.notifications import run_action
from dashboard.ui.theme import count, format_xyz, person_name
from dashboard.ui.times import format_time
from db.queries.life import CommentRecord
from db.queries.patches import PatchRecord


def show_comments(
    lab: Lab,
    patch: PatchRecord,
    comments: Sequence[CommentRecord],
    look: Callable[[Sequence[int]], None] | None = None,
) -> None:
    """Show the comments and a field for another; ``look`` shows the voxel of a comment."""
    open_ones = sum(comment.resolved_at is None for comment in comments)
    st.header("Comments", anchor=False)
    if comments:
        st.caption(f"{count(len(comments), 'comment')}, {open_ones} open")
    for comment in comments:
        _comment(lab, patch, comment, look)
    if can(patch, Transition.COMMENT, lab.person):
        key = f"comment_on_{patch.name}"
        with st.form(f"comment_{patch.name}", border=False, clear_on_submit=True):
            st.text_area("Comment on this patch", height=70, max_chars=10_000, key=key)
            st.form_submit_button(
                "Comment", on_click=bind(patch, add_comment), args=(lab, patch.name, key)
            )


def add_comment(lab: Lab, name: str, key: str) -> None:
    """Save the comment that was written into a field."""
    run_action(
        partial(review.comment, lab, name, st.session_state[key]),
        lambda saved: (
            f"Comment saved at {format_time(saved.made_at)} by {escape(lab.person.name)}."
        ),
    )


def resolve_comment(lab: Lab, name: str, comment_id: int) -> None:
    """Mark a comment as resolved."""
    run_action(
        partial(review.resolve_comment, lab, name, comment_id),
        lambda _: f"Comment resolved by {escape(lab.person.name)}.",
    )


def _comment(
    lab: Lab,
    patch: PatchRecord,
    comment: CommentRecord,
    look: Callable[[Sequence[int]], None] | None,
) -> None:
    with st.container(border=True, gap=None):
        place = f"at x, y, z {format_xyz(comment.at)}" if comment.at else ""
        told_here = f" · {place}" if place and look is None else ""
        st.caption(f"**{person_name(comment.author)}** · {format_time(comment.made_at)}{told_here}")
        st.text(comment.text)
        with st.container(horizontal=True, vertical_alignment="center"):
            if comment.at and look:
                st.button(
                    f"Show {place}",
                    key=f"look_{comment.id}",
                    type="tertiary",
                    icon=":material/center_focus_strong:",
                    on_click=look,
                    args=(comment.at,),
                )
            if comment.resolved_at:
                st.caption(f"resolved by {person_name(comment.resolved_by)}")
            elif can(patch, Transition.COMMENT, lab.person):
                st.button(
                    "Resolve",
                    key=f"resolve_{comment.id}",
                    type="tertiary",
                    on_click=bind(patch, resolve_comment),
                    args=(lab, patch.name, comment.id),
                )
