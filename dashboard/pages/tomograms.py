"""Tomograms: gallery and table, the details of one, and registration."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.access.permissions import Action, may
from core.workspace.workspace import Workspace
from dashboard.components.registering.form import show_registering
from dashboard.components.tomogram_details import show_tomogram, thumbnail
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import (
    REGISTER,
    show_empty,
)
from dashboard.ui.escape import escape
from dashboard.ui.navigation import (
    REGISTER_TAB,
    go_to,
    open_button,
    tabs,
)
from dashboard.ui.session_keys import Query
from dashboard.ui.theme import (
    begin_page,
    count,
    format_size,
    format_xyz,
    stage_bar,
)
from dashboard.ui.times import (
    time_column,
)
from db.queries.volumes import (
    TomogramFilter,
    TomogramLine,
    TomogramRecord,
    list_datasets,
    list_tomograms,
)

GALLERY, TABLE = "Gallery", "Table"
ROWS = {GALLERY: 24, TABLE: 100}
PAGE = "tomograms"
REGISTERED = "Registered"


def show() -> None:
    """Show one tomogram where the address names it, else all."""
    lab = current_lab()
    name = st.query_params.get(Query.TOMOGRAM)
    if name:
        show_tomogram(lab, name)
        return
    begin_page("Tomograms")
    if not may(lab.person.role, Action.REGISTER):
        _all(lab.workspace)
        return
    shown = tabs(PAGE, [REGISTERED, REGISTER_TAB])
    if shown[REGISTERED].open:
        with shown[REGISTERED]:
            _all(lab.workspace)
    if shown[REGISTER_TAB].open:
        with shown[REGISTER_TAB]:
            show_registering(lab)


def _all(workspace: Workspace) -> None:
    with workspace.catalog.read() as session:
        datasets = list_datasets(session)
    columns = st.columns([3, 2, 2, 2], vertical_alignment="bottom")
    text = columns[0].text_input(
        "Name", key="token", bind="query-params", type="search", placeholder="part of the name"
    )
    dataset = columns[1].selectbox(
        "Dataset", datasets, index=None, key="dataset_is", bind="query-params", placeholder="any"
    )
    bare = columns[2].toggle("Without patches", key="without_patches")
    how = columns[3].segmented_control(
        "Show as",
        [GALLERY, TABLE],
        default=GALLERY,
        required=True,
        key="tomograms_as",
        label_visibility="collapsed",
    )
    wanted = TomogramFilter(dataset=dataset, text=text or None, without_patches=bare)
    rows = ROWS[how or GALLERY]
    asked = int(st.session_state.get("tomograms_page") or 1)
    with workspace.catalog.read() as session:
        tomograms = list_tomograms(session, wanted, (asked - 1) * rows, rows)
    pages = max(1, -(-tomograms.total // rows))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{count(tomograms.total, 'tomogram')}**", width="content")
        if pages > 1:
            st.pagination(pages, key="tomograms_page")
    if not tomograms.rows:
        _nothing(wanted)
    elif how == TABLE:
        _table(tomograms.rows)
    else:
        _gallery(workspace, tomograms.rows)


def _nothing(wanted: TomogramFilter) -> None:
    if wanted == TomogramFilter():
        show_empty(
            "No tomogram is registered yet.",
            "Pick tomograms with their segmentations; the files stay where they are.",
            REGISTER,
        )
        return
    show_empty("No tomogram matches.", "Shorten the name, or clear the filter.")


def _gallery(workspace: Workspace, lines: Sequence[TomogramLine]) -> None:
    with st.spinner("Drawing tomograms…"):
        pictures = [thumbnail(workspace, line.tomogram) for line in lines]
    with st.grid(min_column_width=220, gap="small"):
        for line, picture in zip(lines, pictures, strict=True):
            with st.container(border=True, gap="small", key=f"tc_card_{line.tomogram.id}"):
                if picture:
                    st.image(picture, width="stretch", alt=f"Middle of {line.tomogram.name}")
                else:
                    st.caption("no picture: the file cannot be read")
                _link(line.tomogram)
                patches = sum(line.patches.values())
                st.caption(
                    f"{count(patches, 'patch', 'patches')} · "
                    f"{count(line.segmentations, 'segmentation')}"
                )
                stage_bar(line.patches)


def _link(tomogram: TomogramRecord) -> None:
    open_button(escape(tomogram.name), PAGE, Query.TOMOGRAM, tomogram.name, "open")


def rows_of(lines: Sequence[TomogramLine]) -> list[dict[str, Any]]:
    """Make rows of the table."""
    return [
        {
            "Tomogram": line.tomogram.name,
            "Voxels x, y, z": format_xyz(line.tomogram.on_disk.shape),
            "Voxel size (Å)": line.tomogram.voxel_size,
            "Segmentations": line.segmentations,
            "Patches": sum(line.patches.values()),
            "Split": line.tomogram.split_pin.value if line.tomogram.split_pin else "",
            "Size": format_size(line.tomogram.on_disk.size_bytes),
            "Registered": line.tomogram.registered_at,
        }
        for line in lines
    ]


def _table(lines: Sequence[TomogramLine]) -> None:
    shown = st.dataframe(
        rows_of(lines),
        key="tomogram_table",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        height=min(38 + 35 * len(lines), 640),
        column_config={
            "Voxel size (Å)": st.column_config.NumberColumn(format="%.3f"),
            "Registered": time_column("D MMM YYYY"),
        },
    )
    rows = shown.selection.rows
    if rows and rows[0] < len(lines):
        name = lines[rows[0]].tomogram.name
        go_to(PAGE, tomogram=name)


if __name__ == "__main__":
    show()
