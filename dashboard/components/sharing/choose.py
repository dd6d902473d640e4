"""Controls that both export tabs share: selection, split, faults, progress."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from core.exports.selection import Choice
from core.jobs.queue import submit
from core.lab.lab import Lab
from core.workspace.results import Outcome
from core.workspace.workspace import Workspace
from dashboard.components.sharing.parse import REPORT, show_progress
from dashboard.ui.escape import escape
from dashboard.ui.navigation import open_button
from dashboard.ui.notifications import notify_refusal, run_action
from dashboard.ui.session_keys import Query
from db.errors import TomocurateError
from db.queries.patches import PatchFilter, all_patches
from db.queries.volumes import list_datasets, tomogram_names
from db.vocabulary import JobKind

FAULTS_SHOWN = 12
LEAKY = "Validate on the only tomogram"
EARLIER = "Validate on an earlier export"
SIZE = "Only this voxel size (Å)"
MIXED = "Several voxel sizes"
PAGE_WORDS = {
    "add it with tomocurate permit": "set it on the tomogram's page",
    "(--val-from)": f"(“{EARLIER}”)",
    "--val-from": f"“{EARLIER}”",
    "(--allow-leaky-val)": f"(“{LEAKY}”)",
    "--allow-leaky-val": f"“{LEAKY}”",
    "--voxel-size ANGSTROM": f"“{SIZE}”",
    "--voxel-size": f"“{SIZE}”",
    "--mixed-voxel-sizes": f"“{MIXED}”",
}
"""Options of the command line in a fault, and the control of the page that does the same."""


def choose_patches(workspace: Workspace, prefix: str, *, merged_too: bool = False) -> Choice:
    """Ask which patches go in; the widgets' keys begin with the prefix."""
    with workspace.catalog.read() as session:
        datasets, tomograms = list_datasets(session), tomogram_names(session)
    columns = st.columns(4, vertical_alignment="bottom")
    dataset = columns[0].selectbox(
        "Dataset", datasets, index=None, placeholder="any dataset", key=f"{prefix}_dataset"
    )
    only = columns[1].multiselect(
        "Tomograms", tomograms, placeholder="all tomograms", key=f"{prefix}_only"
    )
    without = columns[2].multiselect(
        "Leave out", tomograms, placeholder="none", key=f"{prefix}_without"
    )
    model = columns[3].text_input("Predicted by", placeholder="any model", key=f"{prefix}_model")
    unreviewed = merged_too and st.toggle(
        "Include patches not yet reviewed",
        key=f"{prefix}_merged_too",
        help="The export records which labels nobody has accepted.",
    )
    wanted = PatchFilter(dataset=dataset or None, model=model.strip() or None)
    return Choice(wanted, _names(workspace, wanted, only, without), merged_too=bool(unreviewed))


def _names(
    workspace: Workspace, wanted: PatchFilter, only: Sequence[str], without: Sequence[str]
) -> tuple[str, ...] | None:
    """List the patches of the chosen tomograms; None for all."""
    if not only and not without:
        return None
    with workspace.catalog.read() as session:
        patches = [(f"{p.dataset}/{p.token}", p.name) for p in all_patches(session, wanted)]
    return tuple(
        name for place, name in patches if place not in without and (not only or place in only)
    )


def show_faults(workspace: Workspace, faults: Sequence[str], link_key: str) -> None:
    """Say why nothing can be written, and link the tomograms whose permission is missing."""
    if not faults:
        return
    lines = "\n".join(f"- {escape(page_words(fault))}" for fault in faults[:FAULTS_SHOWN])
    more = f"\n- and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
    st.error(f"**Cannot be written yet:**\n{lines}{more}", icon=":material/block:")
    with workspace.catalog.read() as session:
        known = set(tomogram_names(session))
    named = sorted({fault.partition(":")[0] for fault in faults} & known)
    if not named:
        return
    st.caption("Set the permission of a tomogram, or leave it out above:")
    with st.container(horizontal=True):
        for name in named[:FAULTS_SHOWN]:
            open_button(escape(name), "tomograms", Query.TOMOGRAM, name, link_key)


def page_words(text: str) -> str:
    """Name the controls of this page where a message names options of the command line."""
    for option, words in PAGE_WORDS.items():
        text = text.replace(option, words)
    return text


def write_now(step: Callable[[Callable[[int, int], None]], Outcome]) -> None:
    """Export while the page stays open, with a progress bar; then draw the page anew."""
    bar = st.progress(0.0, "Reading labels…")
    run_action(lambda: step(lambda done, total: show_progress(bar, done, total)), describe_export)
    st.session_state.pop(REPORT, None)
    st.rerun()


def write_in_background(lab: Lab, arguments: Callable[[], dict[str, Any]]) -> None:
    """Queue an export for the worker."""
    try:
        job = submit(lab, JobKind.EXPORT, arguments())
    except TomocurateError as error:
        notify_refusal(error)
    else:
        run_action(lambda: job, lambda number: f"Queued as job {number}. Activity shows progress.")
    st.session_state.pop(REPORT, None)
    st.rerun()


def describe_export(outcome: Outcome) -> str:
    """Say where an export lies and how to train on it."""
    archive = outcome.details.get("archive")
    packed = f" and `{archive}`" if archive else ""
    return (
        f"**{escape(outcome.message or '')}** in `{outcome.details['folder']}`{packed}. "
        "“Exported before” lists the commands to train on it."
    )
