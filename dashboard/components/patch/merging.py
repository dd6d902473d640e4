"""Merge the corrections of a patch and submit it, over saved work only."""

from functools import partial

import streamlit as st

from core.imaging import colors
from core.lab.lab import Lab
from core.labels import review
from core.labels.merge import MergePreview, merge, preview_merge
from core.painting import draft
from core.patches.history import PatchHistory
from core.patches.lifecycle import Transition
from core.workspace.workspace import Workspace
from dashboard.components.patch.details import (
    counts,
)
from dashboard.components.patch.files import slot_button
from dashboard.components.patch.planes import (
    LEGEND,
    PatchPicture,
    Shown,
    most_changed,
    patch_picture,
    show_three,
)
from dashboard.components.patch.steps import (
    PAINT,
    bind,
    can,
    expected_draft,
    not_saved,
    only_saved,
    run_step,
)
from dashboard.ui.escape import escape
from dashboard.ui.notifications import notify_outcomes, notify_refusal, run_action
from dashboard.ui.session_keys import Query
from dashboard.ui.theme import (
    LABEL_COLORS,
    count,
    show_chips,
)
from dashboard.ui.times import format_time
from db.errors import TomocurateError
from db.queries.patches import DraftRecord, PatchRecord
from db.vocabulary import Stage


def merge_now(lab: Lab, name: str) -> None:
    """Merge what counts now into the patch's next training label."""
    try:
        with st.spinner("Merging…"):
            outcomes = merge(lab, [name])
    except TomocurateError as error:
        notify_refusal(error)
        return
    notify_outcomes(outcomes, "merged")


def show_merging(lab: Lab, history: PatchHistory) -> None:
    """Show the preview of a merge, then merging and submitting."""
    patch = history.patch
    draft = expected_draft(lab, patch)
    if draft:
        _save_or_discard(lab, patch, draft)
        return
    if can(patch, Transition.MERGE, lab.person) and patch.correction_count:
        _preview(lab, history)
    if can(patch, Transition.SUBMIT, lab.person) and not patch.stale:
        st.button(
            "Submit for review",
            key=f"submit_{patch.name}",
            type="primary",
            on_click=only_saved(lab, patch, run_step),
            args=(lab, review.submit, "submitted for review", patch.name),
            kwargs={"seen": patch.version},
        )
    if can(patch, Transition.LEAVE_AS_IT_IS, lab.person) and not patch.correction_count:
        _nothing_to_change(lab, patch)
    if patch.stage is Stage.IN_REVIEW:
        st.info("Waiting for a reviewer.", icon=":material/rate_review:")
    if patch.stage is Stage.ACCEPTED and not patch.stale:
        st.success("Accepted: exports may include it.", icon=":material/verified:")


def _save_or_discard(lab: Lab, patch: PatchRecord, draft: DraftRecord) -> None:
    with st.container(border=True):
        saved = not_saved(patch, draft)
        st.warning(saved[0].upper() + saved[1:], icon=":material/edit_off:")
        with st.container(horizontal=True):
            st.button(
                "Save in the painter",
                key=f"to_painter_{patch.name}",
                type="primary",
                on_click=_open_painter,
            )
            with st.popover("Discard…", key=f"discard_draft_{patch.name}"):
                st.caption("What you painted since you last saved is deleted.")
                st.button(
                    "Discard unsaved strokes",
                    key=f"discard_{patch.name}",
                    on_click=bind(patch, discard_draft),
                    args=(lab, patch.name),
                )


def _open_painter() -> None:
    st.query_params[Query.WAY] = PAINT


def discard_draft(lab: Lab, name: str) -> None:
    """Discard one's own unsaved strokes."""
    run_action(
        partial(draft.discard_draft, lab, name),
        lambda _: f"Unsaved strokes on **{escape(name)}** discarded.",
    )


def _preview(lab: Lab, history: PatchHistory) -> None:
    patch = history.patch
    merged = history.current_merge
    if merged and not patch.stale:
        st.markdown(
            f"**Merge {merged.number}** includes all corrections, made "
            f"{format_time(merged.made_at)} by {escape(merged.made_by or 'tomocurate')}."
        )
        st.caption(counts(merged.counts))
        _planes(lab.workspace, patch.name, None)
        return
    st.markdown("**Preview of the merge**")
    with st.spinner("Merging in memory…"):
        preview = preview_merge(lab.workspace, patch.name)
    if preview.error:
        st.error(escape(preview.error), icon=":material/block:")
        _exclude_refused(lab, history)
        return
    _numbers(preview)
    _planes(lab.workspace, patch.name, preview)
    st.button(
        f"Merge {count(len(preview.inputs), 'correction')}",
        key=f"merge_{patch.name}",
        type="primary",
        on_click=only_saved(lab, patch, merge_now),
        args=(lab, patch.name),
    )


def _exclude_refused(lab: Lab, history: PatchHistory) -> None:
    """Offer the way out where files that cannot be read stop a merge."""
    refused = [slot for slot in history.slots if slot.counts and slot.latest.error]
    if refused and can(history.patch, Transition.CORRECT, lab.person):
        st.caption("Exclude the files that cannot be used, or upload them again:")
        with st.container(horizontal=True):
            for slot in refused:
                slot_button(lab, history.patch, slot, "refused")


def _numbers(preview: MergePreview) -> None:
    if preview.counts is None or preview.values is None:
        return
    did, held = preview.counts, preview.values
    cells = (
        ("added", did.added, colors.ADD),
        ("removed", did.removed, colors.REMOVE),
        ("ignored", did.ignored, colors.IGNORE),
        ("contested", did.contested, colors.WARNING),
        ("in the border", did.lost_in_border, colors.WARNING),
    )
    show_chips([(f"{label} {number:,}", color) for label, number, color in cells])
    total = held.background + held.membrane + held.ignore
    shares = {"membrane": held.membrane, "background": held.background, "ignore": held.ignore}
    show_chips(
        [
            (f"{name} {100 * number / total:.1f} %", LABEL_COLORS[name])
            for name, number in shares.items()
        ],
        "legend",
    )
    for finding in preview.findings:
        st.caption(f":material/info: {escape(finding)}")


def _planes(workspace: Workspace, name: str, preview: MergePreview | None) -> None:
    folders = workspace.folders
    try:
        after = None if preview else folders.merged_of(name)
        picture = patch_picture(folders.image_of(name), folders.label_of(name), after)
    except TomocurateError as error:
        st.error(escape(error))
        return
    if preview and preview.label is not None:
        picture = PatchPicture(picture.gray, picture.before, preview.label)
    at = most_changed(picture.before, picture.after)
    show_three(picture, Shown.DIFFERENCE, at)
    show_chips(LEGEND, "legend")


def _nothing_to_change(lab: Lab, patch: PatchRecord) -> None:
    with st.container(border=True):
        st.markdown("**No correction needed?**")
        st.caption(
            "If you looked at the whole patch and nothing needs to change, submit it as it is."
        )
        sure = st.checkbox(
            "I looked at the whole patch, and nothing needs to change", key=f"sure_{patch.name}"
        )
        st.button(
            "Submit unchanged",
            key=f"submit_nothing_{patch.name}",
            disabled=not sure,
            on_click=only_saved(lab, patch, run_step),
            args=(lab, review.submit, "submitted unchanged", patch.name),
            kwargs={"nothing_to_change": True, "seen": patch.version},
        )
