"""The details of one patch: origin, corrections, merges, reviews, comments and history."""

from collections.abc import Mapping, Sequence

import streamlit as st

from core.lab.lab import Lab
from core.labels import review
from core.patches import assign
from core.patches import history as life
from core.patches.history import PatchHistory
from core.patches.lifecycle import Transition
from core.workspace.workspace import Workspace
from dashboard.components.patch.comments import show_comments
from dashboard.components.patch.planes import Shown, most_changed, patch_picture, show_three
from dashboard.components.patch.steps import (
    Step,
    bind,
    can,
    only_saved,
    run_step,
    show_not_extracted,
)
from dashboard.ui.empty_state import PATCHES, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import go_to, page_file
from dashboard.ui.notifications import (
    format_change,
)
from dashboard.ui.session_keys import Key, Query
from dashboard.ui.theme import (
    KIND_COLORS,
    REASON_NAMES,
    REJECTED_COLOR,
    STAGE_NEXT,
    begin_page,
    format_size,
    format_xyz,
    patch_dots,
    person_name,
    show_chips,
    show_facts,
)
from dashboard.ui.times import format_time
from db.errors import TomocurateError, UnknownNameError
from db.queries.life import SlotRecord
from db.queries.patches import PatchRecord
from db.queries.people import PersonRecord, list_people
from db.vocabulary import Role, Stage, Verdict


def read_history(workspace: Workspace, name: str) -> PatchHistory | None:
    """Read the history of the patch that an address names; say on the page if there is none."""
    try:
        return life.show(workspace, name, events=200)
    except UnknownNameError as error:
        begin_page("No such patch")
        st.error(escape(error))
        show_empty(
            "The address names a patch that does not exist.", "Find it in the list.", PATCHES
        )
        return None


def show_patch(lab: Lab, name: str) -> None:
    """Show everything of one patch."""
    history = read_history(lab.workspace, name)
    if history is None:
        return
    patch = history.patch
    begin_page(patch.name)
    _where_to(history, lab.person)
    _moves(lab, patch)
    left, right = st.columns([7, 5], gap="medium")
    with left:
        show_planes(lab, patch)
        corrections, merges, events = st.tabs(["Corrections", "Merges and reviews", "History"])
        with corrections:
            show_slots(history.slots)
        with merges:
            show_merges(history)
        with events:
            for event in reversed(history.events):
                st.caption(format_change(event))
    with right:
        _facts(history)
        show_comments(lab, patch, history.comments)
        _exports(history)


def _where_to(history: PatchHistory, by: PersonRecord) -> None:
    patch = history.patch
    with st.container(horizontal=True, vertical_alignment="center"):
        show_chips(patch_dots(patch))
        here = {Query.PATCH: patch.name}
        if st.button("All patches", icon=PATCHES.icon, type="tertiary", key="all_patches"):
            go_to("patches", **st.session_state.get(Key.LIST, {}))
        if history.tomogram:
            place = {Query.TOMOGRAM: history.tomogram.name, **here}
            _link("browse", "Show in tomogram", ":material/view_in_ar:", place)
        if can(patch, Transition.CORRECT, by):
            _link("correct", "Correct", ":material/brush:", here)
        if patch.current_merge_id is not None:
            _link("review", "Review", ":material/rate_review:", here)
    if patch.rejected_reason:
        st.warning(f"Rejected: “{escape(patch.rejected_reason)}”", icon=":material/undo:")


def _link(page: str, label: str, icon: str, query: Mapping[str, str]) -> None:
    st.page_link(page_file(page), label=label, icon=icon, query_params=dict(query), width="content")


def _moves(lab: Lab, patch: PatchRecord) -> None:
    """Buttons for what is legal now and may be done by this person."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if can(patch, Transition.CLAIM, lab.person) and patch.assignee is None:
            _button(lab, patch, "Claim", assign.claim, "claimed")
        if can(patch, Transition.RELEASE, lab.person) and patch.assignee == lab.person.name:
            _button(lab, patch, "Release", assign.release, "released")
        if can(patch, Transition.ASSIGN, lab.person):
            _give(lab, patch)
        if can(patch, Transition.SUBMIT, lab.person):
            _submit(lab, patch)
        if can(patch, Transition.WITHDRAW, lab.person):
            _withdraw(lab, patch)
        if can(patch, Transition.REINSTATE, lab.person):
            _button(lab, patch, "Reinstate", review.reinstate, "reinstated")


def _button(lab: Lab, patch: PatchRecord, label: str, step: Step, what: str) -> None:
    st.button(
        label,
        key=f"move_{what}_{patch.name}",
        on_click=bind(patch, run_step),
        args=(lab, step, what, patch.name),
        kwargs={"seen": patch.version},
    )


def _submit(lab: Lab, patch: PatchRecord) -> None:
    st.button(
        "Submit for review",
        key=f"move_submitted_{patch.name}",
        on_click=only_saved(lab, patch, run_step),
        args=(lab, review.submit, "submitted", patch.name),
        kwargs={"seen": patch.version},
    )


def _give(lab: Lab, patch: PatchRecord) -> None:
    with lab.workspace.catalog.read() as session:
        people = list_people(session)
    able = [
        member.name for member in people if not member.disabled and member.role is not Role.VIEWER
    ]
    with st.popover("Assign…"):
        to = st.selectbox("To", able, key=f"give_to_{patch.name}")
        st.button(
            "Assign",
            key=f"give_{patch.name}",
            type="primary",
            on_click=bind(patch, run_step),
            args=(lab, assign.assign, f"assigned to {escape(to)}", patch.name, to),
            kwargs={"seen": patch.version},
        )


def _withdraw(lab: Lab, patch: PatchRecord) -> None:
    with st.popover("Withdraw…"):
        st.caption("Nothing is deleted; the patch can be reinstated.")
        reason = st.text_input("Reason", key=f"withdraw_reason_{patch.name}")
        st.button(
            "Withdraw",
            key=f"withdraw_{patch.name}",
            on_click=bind(patch, run_step),
            args=(lab, review.withdraw, "withdrawn", patch.name, reason),
            kwargs={"seen": patch.version},
        )


def show_planes(lab: Lab, patch: PatchRecord) -> None:
    """Show three planes through the place of most change."""
    folders = lab.workspace.folders
    after = folders.merged_of(patch.name) if patch.current_merge_id is not None else None
    if patch.stage is Stage.CHOSEN:
        show_not_extracted(lab, patch)
        return
    try:
        picture = patch_picture(folders.image_of(patch.name), folders.label_of(patch.name), after)
    except TomocurateError as error:
        st.error(escape(error))
        return
    at = most_changed(picture.before, picture.after)
    shown = Shown.DIFFERENCE if after else Shown.BEFORE
    show_three(picture, shown, at)


def _facts(history: PatchHistory) -> None:
    patch = history.patch
    known = {
        "Stage": STAGE_NEXT[patch.stage],
        "Annotator": person_name(patch.assignee),
        "Chosen for": f"{REASON_NAMES[patch.chosen_because]} · {person_name(patch.chosen_by)}, "
        f"{format_time(patch.chosen_at)}",
        "Note": escape(patch.note) if patch.note else "–",
        "Tomogram": escape(history.tomogram.name) if history.tomogram else "position unknown",
        "Segmentation": _segmentation(history),
        "Center x, y, z": format_xyz(patch.center),
        "Voxel size": f"{patch.voxel_size:g} Å" if patch.voxel_size else "unknown",
        "Saved": f"{format_time(patch.updated_at)} by {person_name(patch.updated_by)}, version "
        f"{patch.version}",
    }
    if history.hold:
        known["Painting now"] = (
            f"{person_name(history.hold.person)} since {format_time(history.hold.since)}"
        )
    show_facts(known)


def _segmentation(history: PatchHistory) -> str:
    segmentation = history.segmentation
    if segmentation is None:
        return "unknown"
    model = f"{escape(segmentation.model)}, " if segmentation.model else ""
    return f"{model}{escape(segmentation.on_disk.path)}"


def show_slots(slots: Sequence[SlotRecord]) -> None:
    """Show each correction file: kind, version, author, voxels and findings."""
    if not slots:
        show_empty("No correction yet.", "Paint, or upload Add, Remove and Ignore files.")
        return
    for slot in slots:
        last = slot.latest
        with st.container(border=True, gap=None):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{escape(slot.name)}**", width="content")
                show_chips(_slot_dots(slot))
            painted = ", ".join(f"{kind} {number:,}" for kind, number in last.painted.items())
            by = person_name(last.author or last.author_account or last.received_by)
            st.caption(
                f"version {last.number} · {_describe_painted(last.error, painted)} · {by} · "
                f"{format_time(last.received_at)} · {format_size(last.size_bytes)}"
            )
            for finding in last.findings:
                st.caption(f":material/info: {escape(finding)}")
            if last.error:
                st.caption(f":material/block: {escape(last.error)}")


def _describe_painted(error: str | None, painted: str) -> str:
    if error:
        return "cannot be used"
    return escape(painted) or "nothing painted"


def _slot_dots(slot: SlotRecord) -> list[tuple[str, str]]:
    dots = []
    if slot.kind:
        dots.append((slot.kind.value.capitalize(), KIND_COLORS[slot.kind]))
    if slot.latest.error:
        return [("Refused", REJECTED_COLOR)]
    if slot.withdrawn:
        dots.append(("Excluded", "#777777"))
    if slot.missing:
        dots.append(("File missing", "#777777"))
    return dots


def show_merges(history: PatchHistory) -> None:
    """Merges with their counts, and the verdicts on them, the latest first."""
    if not history.merges:
        show_empty("Not merged yet.", "Merging turns corrections into a training label.")
        return
    for merge in reversed(history.merges):
        with st.container(border=True, gap=None):
            now = " · current" if merge.id == history.patch.current_merge_id else ""
            st.markdown(f"**Merge {merge.number}**{now}")
            st.caption(
                f"{format_time(merge.made_at)} by {person_name(merge.made_by)} · "
                f"{counts(merge.counts)}"
            )
            for finding in merge.findings:
                st.caption(f":material/info: {escape(finding)}")
            for verdict in history.reviews:
                if verdict.merge == merge.number:
                    word = "accepted" if verdict.verdict is Verdict.ACCEPT else "rejected"
                    why = f": “{escape(verdict.reason)}”" if verdict.reason else ""
                    at = format_time(verdict.decided_at)
                    st.caption(f"**{word}** by {person_name(verdict.reviewer)}, {at}{why}")


def counts(numbers: Mapping[str, int]) -> str:
    """Format what a merge changed, in voxels."""
    parts = [f"{escape(name.replace('_', ' '))} {number:,}" for name, number in numbers.items()]
    return ", ".join(parts) or "nothing changed"


def _exports(history: PatchHistory) -> None:
    if not history.exports:
        return
    st.header("Exports", anchor=False)
    for export in history.exports:
        split = f", {export.split.value}" if export.split else ""
        st.caption(
            f"{format_time(export.made_at)} · {escape(export.kind.value.replace('_', ' '))} · "
            f"merge {export.merge}{split} · {escape(export.path)}"
        )
