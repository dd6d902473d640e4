"""Patches: filter them, list them as a table or pictures, act on many, open one."""

import hashlib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.access.permissions import Action, may
from core.lab.lab import Lab
from core.patches.lifecycle import Transition
from core.patches.saved_filters import list_views, save_view
from core.tomograms.pictures import thumbnail_of_patch
from core.workspace.workspace import Workspace
from dashboard.components.patch import bulk
from dashboard.components.patch import filter as patch_filter
from dashboard.components.patch.details import show_patch
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import CHOOSE, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import go_to, open_button
from dashboard.ui.notifications import run_action
from dashboard.ui.session_keys import Key, Query
from dashboard.ui.theme import (
    REASON_NAMES,
    STAGE_NAMES,
    begin_page,
    count,
    format_xyz,
    list_marks,
    patch_dots,
    show_chips,
    stage_column,
)
from dashboard.ui.times import time_column
from db.errors import TomocurateError
from db.queries.page import MAX_LIMIT, Page
from db.queries.patches import PatchFilter, PatchRecord, PatchSort, list_patches
from db.queries.people import list_people
from db.vocabulary import Role

PAGE = "patches"
TABLE, PICTURES = "Table", "Pictures"
ROWS = {TABLE: 100, PICTURES: 24}
# The word of the address that says table or pictures.
AS = "as"
TABLE_KEY = "patch_table"


def show() -> None:
    """Show one patch where the address names it, else the list."""
    lab = current_lab()
    name = st.query_params.get(Query.PATCH)
    if name:
        show_patch(lab, name)
        return
    if Query.TOMOGRAM in st.query_params:  # as bookmarks of earlier versions call the filter
        go_to(PAGE, **{patch_filter.TOMOGRAM: st.query_params[Query.TOMOGRAM]})
    picked = st.session_state.pop(Key.OPEN, None)
    if picked:
        go_to(PAGE, patch=picked)
    st.session_state[Key.LIST] = st.query_params.to_dict()
    begin_page("Patches")
    apply_view(lab)
    wanted, sort = patch_filter.filter_widgets(lab.workspace)
    with st.container(horizontal=True, vertical_alignment="center"):
        how = _head(lab, wanted)
        page = _page(lab.workspace, wanted, sort, ROWS[how])
    if not page.rows:
        _nothing(wanted)
        return
    bar = st.container()
    chosen = _pictures(lab.workspace, page) if how == PICTURES else _table(page)
    with bar:
        _actions(lab, wanted, chosen, page.total)


def apply_view(lab: Lab) -> None:
    """Set the filter's widgets to the saved filter that was picked."""
    name = st.session_state.pop(Key.VIEW, None)
    view = next((v for v in list_views(lab, PAGE) if v.name == name), None)
    if view is None:
        return
    try:
        st.session_state.update(patch_filter.words_of(view.rules))
    except TomocurateError as error:
        st.error(escape(error))


def keep_view(lab: Lab, name: str, wanted: PatchFilter) -> None:
    """Save the filter under a name."""
    run_action(
        lambda: save_view(lab, name, PAGE, patch_filter.rules_of(wanted)),
        lambda _: f"Filter **{escape(name)}** saved.",
    )


def names_of(workspace: Workspace, wanted: PatchFilter) -> tuple[PatchRecord, ...]:
    """List all patches that match a filter."""
    with workspace.catalog.read() as session:
        return list_patches(session, wanted, limit=MAX_LIMIT).rows


def table_of(patches: Sequence[PatchRecord]) -> list[dict[str, Any]]:
    """Make rows of the table."""
    return [
        {
            "Patch": patch.name,
            "Stage": [STAGE_NAMES[patch.stage]],
            "Flags": list_marks(patch),
            "Annotator": patch.assignee or "–",
            "Corrections": patch.correction_count,
            "Comments": patch.comment_count,
            "Chosen for": REASON_NAMES[patch.chosen_because],
            "Center x, y, z": format_xyz(patch.center),
            "Changed": patch.updated_at,
        }
        for patch in patches
    ]


def _head(lab: Lab, wanted: PatchFilter) -> str:
    how = st.segmented_control(
        "Show as",
        [TABLE, PICTURES],
        default=TABLE,
        required=True,
        key=AS,
        bind="query-params",
        label_visibility="collapsed",
    )
    st.button("My work", icon=":material/person:", on_click=_only_mine, args=(lab.person.name,))
    st.button("Clear", icon=":material/filter_alt_off:", on_click=clear_filter)
    _views(lab, wanted)
    return how or TABLE


def clear_filter() -> None:
    """Empty all widgets of the filter."""
    st.session_state.update(patch_filter.words_of({}))
    st.session_state[Query.PAGE] = 1


def _only_mine(name: str) -> None:
    clear_filter()
    st.session_state[patch_filter.PERSON] = name


def _views(lab: Lab, wanted: PatchFilter) -> None:
    with st.popover("Saved filters", icon=":material/bookmark:"):
        views = list_views(lab, PAGE)
        for view in views:
            label = (
                escape(view.name) if view.mine else f"{escape(view.name)} · {escape(view.owner)}"
            )
            if st.button(label, key=f"view_{view.owner}_{view.name}", type="tertiary"):
                st.session_state[Key.VIEW] = view.name
                st.rerun()
        if not views:
            st.caption("Save the current filter under a name.")
        with st.form("keep_view", border=False, clear_on_submit=True):
            name = st.text_input("Name", max_chars=80)
            if st.form_submit_button("Save this filter"):
                keep_view(lab, name, wanted)
                st.rerun()


def _page(
    workspace: Workspace, wanted: PatchFilter, sort: PatchSort, rows: int
) -> Page[PatchRecord]:
    """Read the page of the list that the pagination asks for."""
    asked = st.session_state.get(Query.PAGE) or 1
    with workspace.catalog.read() as session:
        patches = list_patches(session, wanted, sort, (int(asked) - 1) * rows, rows)
        pages = max(1, -(-patches.total // rows))
        if asked > pages:
            st.session_state[Query.PAGE] = pages
            patches = list_patches(session, wanted, sort, (pages - 1) * rows, rows)
    st.markdown(f"**{count(patches.total, 'patch', 'patches')}**", width="content")
    if pages > 1:
        st.pagination(pages, key=Query.PAGE, bind="query-params")
    return patches


def _nothing(wanted: PatchFilter) -> None:
    if wanted == PatchFilter():
        show_empty(
            "No patch is chosen yet.",
            "Choose two to five places per tomogram where the prediction is wrong and you can see "
            "what is right.",
            CHOOSE,
        )
        return
    show_empty("No patch matches this filter.", "Change it, or clear it.")
    st.button("Clear the filter", on_click=clear_filter)


def _table(found: Page[PatchRecord]) -> list[PatchRecord]:
    names = [patch.name for patch in found.rows]
    # Selection and clicks come as numbers of rows: another table begins where other rows stand.
    mark = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    shown = st.dataframe(
        table_of(found.rows),
        key=f"{TABLE_KEY}_{mark}",
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        height=min(38 + 35 * len(found), 640),
        column_config={
            "Patch": st.column_config.ButtonColumn(
                type="tertiary",
                pinned=True,
                alignment="left",
                width="medium",
                key=f"open_row_{mark}",
                on_click=_open_row,
                args=(f"open_row_{mark}", names),
            ),
            "Stage": stage_column(),
            "Flags": st.column_config.ListColumn(width="medium"),
            "Changed": time_column(),
        },
    )
    return [found.rows[row] for row in shown.selection.rows if row < len(found.rows)]


def _open_row(key: str, names: Sequence[str]) -> None:
    st.session_state[Key.OPEN] = names[st.session_state[key].row]


def _pictures(workspace: Workspace, found: Page[PatchRecord]) -> list[PatchRecord]:
    chosen = []
    with st.spinner("Drawing patches…"):
        pictures = [_thumbnail(workspace, patch) for patch in found.rows]
    with st.grid(min_column_width=170, gap="small"):
        for patch, picture in zip(found.rows, pictures, strict=True):
            with st.container(border=True, gap="small", key=f"tc_card_{patch.id}"):
                if picture:
                    st.image(picture, width="stretch", alt=f"Middle section of {patch.name}")
                else:
                    st.caption("no picture yet")
                _open(patch)
                show_chips(patch_dots(patch))
                if st.checkbox("select", key=f"select_{patch.id}"):
                    chosen.append(patch)
    return chosen


def _thumbnail(workspace: Workspace, patch: PatchRecord) -> bytes | None:
    try:
        return thumbnail_of_patch(workspace, patch.name)
    except TomocurateError:
        return None


def _open(patch: PatchRecord) -> None:
    open_button(escape(patch.name), PAGE, Query.PATCH, patch.name, "open")


def _actions(
    lab: Lab,
    wanted: PatchFilter,
    chosen: list[PatchRecord],
    total: int,
) -> None:
    """Show actions on the selected patches, or on all that match the filter."""
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        everything = st.checkbox(
            f"{patch_filter.describe_filter(wanted)} ({total:,})", key="everything", value=False
        )
        patches: Sequence[PatchRecord] = names_of(lab.workspace, wanted) if everything else chosen
        if not patches:
            st.caption("Select patches to extract, merge, claim or assign them.")
            return
        st.markdown(f"**{count(len(patches), 'patch', 'patches')}**", width="content")
        if len(patches) == 1:
            _open(patches[0])
        for move in (Transition.EXTRACT, Transition.MERGE):
            _run_button(lab, bulk.hits(move, patches, lab.person))
        _claim_button(lab, bulk.hits(Transition.CLAIM, patches, lab.person))
        _assign_popover(lab, bulk.hits(Transition.ASSIGN, patches, lab.person))


def _run_button(lab: Lab, found: bulk.Hits) -> None:
    if found.names:
        st.button(
            found.label,
            key=f"bulk_{found.move.name}",
            on_click=bulk.run_many,
            args=(lab, found.move, found.names),
        )


def _claim_button(lab: Lab, found: bulk.Hits) -> None:
    if found.names:
        st.button(
            found.label,
            key="bulk_claim",
            on_click=bulk.claim_many,
            args=(lab, found.names),
        )


def _assign_popover(lab: Lab, found: bulk.Hits) -> None:
    if not found.names or not may(lab.person.role, Action.ASSIGN):
        return
    with lab.workspace.catalog.read() as session:
        everybody = list_people(session)
    able = [p.name for p in everybody if not p.disabled and p.role is not Role.VIEWER]
    with st.popover(f"{found.label}…"):
        to = st.selectbox("To", able, key="assign_to")
        many = count(len(found.names), "patch", "patches")
        st.button(
            f"Assign {many}",
            key="bulk_assign",
            type="primary",
            on_click=bulk.assign_many,
            args=(lab, found.names, to),
        )


if __name__ == "__main__":
    show()
