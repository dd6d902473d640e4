"""Register tomograms from a page: browse a data root, name a pattern below it, or bring a table.

What would be registered is shown before anything is. Pages read below data roots alone.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import streamlit as st

from core.access.permissions import Action, may
from core.errors import RootError
from core.lab.lab import Lab
from core.tomograms.data_roots import add_root, browse, list_roots
from core.tomograms.discovery.manifest import COLUMNS
from core.tomograms.discovery.pairing import Pairing
from core.tomograms.register import register
from core.workspace.workspace import Workspace
from dashboard.components.registering.plan import (
    MAX_TABLE,
    Asked,
    below,
    neighbours,
    pair_by_hand,
    plan,
    plan_table,
)
from dashboard.ui.empty_state import show_empty
from dashboard.ui.escape import escape
from dashboard.ui.notifications import (
    notify_outcomes,
    notify_refusal,
    run_action,
)
from dashboard.ui.session_keys import Key
from dashboard.ui.theme import count, format_size
from db.errors import TomocurateError

ROOT_FIELD = "new_root"
BROWSE, PATTERN, TABLE = "Browse", "Pattern", "CSV table"
FILES_SHOWN = 300
ASKED_BY_HAND = 12
"""Tomograms without a segmentation that are asked about."""


def save(lab: Lab, pairings: Sequence[Pairing]) -> None:
    """Register pairings with a bar, and tell what came of each."""
    good = [pairing for pairing in pairings if pairing.error is None]
    bar = st.progress(0.0, text="Reading files…")
    done: list[str] = []

    def progress(outcome: Any) -> None:
        done.append(outcome.name)
        bar.progress(len(done) / max(len(good), 1), text=f"{len(done)} of {len(good)}")

    try:
        outcomes = register(lab, good, progress=progress)
    except TomocurateError as error:
        notify_refusal(error)
    else:
        notify_outcomes(outcomes, "registered", ("tomogram", "tomograms"))
        st.session_state.pop(Key.PAIRS, None)
    finally:
        bar.empty()


def ask_for_root(lab: Lab) -> None:
    """Let an admin add a data root; tell everybody else who can."""
    if not may(lab.person.role, Action.ADD_ROOT):
        st.caption("Ask an admin to add the folder of your tomograms in Settings → Data roots.")
        return
    with st.form("add_root", clear_on_submit=True):
        st.text_input(
            "Folder on the server",
            key=ROOT_FIELD,
            placeholder="/data/tomograms",
            help="All tomograms and segmentations below it can be registered. Nothing is copied.",
        )
        st.form_submit_button("Add data root", type="primary", on_click=save_root, args=(lab,))
    st.caption("The same on the command line:")
    st.code(
        f"tomocurate roots add FOLDER --workspace {lab.workspace.folder}",
        language="bash",
        wrap_lines=True,
    )


def save_root(lab: Lab) -> None:
    """Add the data root that was typed."""
    typed = str(st.session_state[ROOT_FIELD]).strip()
    run_action(
        lambda: add_root(lab, absolute_folder(typed)),
        lambda folder: f"Data root **{escape(folder)}** added by {escape(lab.person.name)}.",
    )


def absolute_folder(text: str) -> Path:
    """Read the path of a folder as it was typed.

    Errors: RootError unless it is absolute: a page knows no current folder.
    """
    path = Path(text)
    if not path.is_absolute():
        raise RootError(f"{text[:200]!r}: not an absolute path; write one such as /data/tomograms.")
    return path


def show_registering(lab: Lab) -> None:
    """Show the three ways to choose files, the pairs, and a button."""
    roots = list_roots(lab.workspace)
    if not roots:
        show_empty(
            "No data root yet.",
            "A data root is a folder that holds your tomograms. Pages read files below data "
            "roots only.",
        )
        ask_for_root(lab)
        return
    way = st.segmented_control(
        "How",
        [BROWSE, PATTERN, TABLE],
        default=BROWSE,
        required=True,
        key="register_how",
        label_visibility="collapsed",
    )
    if way == TABLE:
        _table(lab)
        return
    pairs = st.container()
    root = _root(roots)
    with st.container(border=True):
        picked = _browse(lab, root) if way == BROWSE else _pattern(root)
        stated = _for_all()
    if picked:
        st.session_state[Key.PAIRS] = Asked(tuple(picked), *stated).kept()
    kept = st.session_state.get(Key.PAIRS)
    if kept:
        with pairs:
            _show_plan(lab, Asked.of({**kept, **_read_names(stated)}))


def _root(roots: Sequence[Path]) -> Path:
    shown = [str(root) for root in roots]
    chosen = st.selectbox("Data root", shown, key="register_root", on_change=_back_to_root)
    return Path(chosen)


def _back_to_root() -> None:
    st.session_state[Key.BELOW] = ""


def _browse(lab: Lab, root: Path) -> list[str]:
    """Folders to go into, and files to pick; a click on a file picks it and what is named alike."""
    folder = st.session_state.get(Key.BELOW, "")
    try:
        listing = browse(lab, root, folder)
    except TomocurateError as error:
        st.error(escape(error))
        st.button("Back to the root", on_click=_back_to_root)
        return []
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"`{escape(root.name)}` / {escape(listing.below) or '·'}", width="content")
        if listing.below:
            st.button(
                "Up",
                icon=":material/arrow_upward:",
                key="browse_up",
                on_click=_go,
                args=(str(PurePosixPath(listing.below).parent).removeprefix("."),),
            )
        for number, name in enumerate(listing.folders[:40]):
            st.button(
                escape(name),
                icon=":material/folder:",
                key=f"folder_{number}",
                on_click=_go,
                args=(str(PurePosixPath(listing.below, name)),),
            )
    if st.button(
        "Show pairs of this project folder",
        key="pick_layout",
        help="Folders of Warp, RELION 5, AreTomo3, IMOD, easymode and the CryoET Data Portal: half "
        "maps and variants are left out.",
    ):
        return [str(root / listing.below)]
    volumes = [file for file in listing.files if file.is_volume][:FILES_SHOWN]
    if not volumes:
        st.caption("No volume file in this folder.")
        return []
    rows = [
        {
            "File": file.name,
            "Size": format_size(file.size_bytes),
            "Registered as": file.registered_as or "",
        }
        for file in volumes
    ]
    shown = st.dataframe(
        rows,
        key=f"files_{root}_{listing.below}",
        on_select="rerun",
        hide_index=True,
        selection_mode="multi-row",
        height=min(38 + 35 * len(rows), 320),
    )
    if listing.was_cut:
        st.caption("Not all files are shown; use a pattern instead.")
    here = root / listing.below
    with st.container(horizontal=True):
        whole = st.button(f"Show pairs of all {len(volumes)} files", key="pick_all")
        some = st.button("Show pairs of selected files", key="pick_some", type="primary")
    if whole:
        return [str(here / file.name) for file in volumes]
    chosen = [str(here / volumes[row].name) for row in shown.selection.rows if row < len(volumes)]
    if some and not chosen:
        st.caption("Select files in the table first.")
    return chosen if some else []


def _go(folder: str) -> None:
    st.session_state[Key.BELOW] = folder


def _pattern(root: Path) -> list[str]:
    pattern = st.text_input(
        "Pattern below the root", placeholder="session1/*.mrc", key="register_pattern"
    )
    if not st.button("Show the pairs", key="pick_pattern", type="primary"):
        return []
    try:
        return [below(root, pattern)]
    except TomocurateError as error:
        st.error(escape(error))
        return []


def _for_all() -> tuple[str, float | None, float | None]:
    columns = st.columns(3)
    dataset = columns[0].text_input(
        "Dataset", value="other", key="register_dataset", help="The first part of all patch names."
    )
    voxel_size = columns[1].number_input(
        "Voxel size (Å)",
        value=None,
        min_value=0.1,
        max_value=999.0,
        key="register_voxel_size",
        placeholder="from the header",
        help="Replaces the value of the header, for all files.",
    )
    threshold = columns[2].number_input(
        "Threshold",
        value=None,
        key="register_threshold",
        placeholder="labels need none",
        help="For segmentations with scores: membrane is above this value.",
    )
    return dataset or "other", voxel_size, threshold


def _read_names(stated: tuple[str, float | None, float | None]) -> dict[str, Any]:
    return dict(zip(("dataset", "voxel_size", "threshold"), stated, strict=True))


def _table(lab: Lab) -> None:
    st.caption(
        f"Columns: {', '.join(escape(item) for item in COLUMNS)}; tomogram is needed. Paths "
        "are whole, or below the first data root."
    )
    st.download_button(
        "An empty table",
        data=_empty_table(),
        file_name="tomograms.csv",
        mime="text/csv",
        on_click="ignore",
    )
    file = st.file_uploader("Table", key="register_table", max_upload_size=MAX_TABLE >> 20)
    if file is None:
        return
    try:
        pairings = plan_table(lab.workspace, file.name, file.getvalue())
    except TomocurateError as error:
        st.error(escape(error))
        return
    _show_pairings(lab, pairings)


def _empty_table() -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(COLUMNS)
    return out.getvalue().encode()


def _show_plan(lab: Lab, asked: Asked) -> None:
    try:
        pairings = plan(lab.workspace, asked)
    except TomocurateError as error:
        st.error(escape(error))
        return
    _show_pairings(lab, _pair_by_hand(lab.workspace, asked, pairings))


def _pair_by_hand(
    workspace: Workspace, asked: Asked, pairings: Sequence[Pairing]
) -> tuple[Pairing, ...]:
    """Ask for the segmentation of tomograms that no file name fits."""
    alone = [
        pairing.tomogram
        for pairing in pairings
        if pairing.tomogram
        and not (pairing.error or pairing.segmentations or pairing.registered_as)
    ]
    chosen: dict[Path | None, Path] = {}
    for tomogram in alone[:ASKED_BY_HAND]:
        picked = st.selectbox(
            f"Segmentation of {escape(tomogram.name)}",
            [path for path in neighbours(tomogram) if path != tomogram],
            index=None,
            format_func=lambda path: path.name,
            placeholder="none has a matching name; choose a file of the same folder",
            key=f"pair_{tomogram}",
        )
        if picked:
            chosen[tomogram] = picked
    try:
        return tuple(
            pair_by_hand(workspace, asked, pairing, chosen[pairing.tomogram])
            if pairing.tomogram in chosen
            else pairing
            for pairing in pairings
        )
    except TomocurateError as error:
        st.error(escape(error))
        return tuple(pairings)


def rows_of(pairings: Sequence[Pairing]) -> list[dict[str, Any]]:
    """Make rows of the table of pairs."""
    return [
        {
            "Tomogram": pairing.tomogram.name if pairing.tomogram else "–",
            "Becomes": pairing.registered_as or pairing.name,
            "Segmentations": [found.path.name for found in pairing.segmentations],
            "Voxel size (Å)": f"{pairing.voxel_size:g}"
            if pairing.voxel_size
            else "from the header",
            "Message": pairing.error or "; ".join(pairing.findings) or _state(pairing),
        }
        for pairing in pairings
    ]


def _show_pairings(lab: Lab, pairings: Sequence[Pairing]) -> None:
    good = [pairing for pairing in pairings if pairing.error is None]
    st.dataframe(
        rows_of(pairings),
        hide_index=True,
        key="pairs",
        column_config={"Segmentations": st.column_config.ListColumn()},
        height=min(38 + 35 * max(len(pairings), 1), 420),
    )
    with st.container(horizontal=True):
        label = f"Register {count(len(good), 'tomogram')}"
        if st.button(label, type="primary", disabled=not good, key="register"):
            save(lab, pairings)
            st.rerun()
        st.button("Cancel", on_click=_forget, key="forget_pairs")


def _forget() -> None:
    st.session_state.pop(Key.PAIRS, None)


def _state(pairing: Pairing) -> str:
    if pairing.registered_as:
        return "already registered; new segmentations are added"
    return "" if pairing.segmentations else "no segmentation with a matching name"
