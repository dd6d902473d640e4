"""Share accepted patches as a training set: choose, check, write."""

import time

import streamlit as st

from core.bundles.job import set_arguments
from core.exports.case import Recipe
from core.exports.plan import SetOptions, TrainingSetPlan
from core.exports.selection import Choice
from core.exports.split import SplitRule
from core.exports.training_set import export_training_set, plan_export_set
from core.lab.lab import Lab
from core.workspace.workspace import Workspace
from dashboard.components.sharing.choose import (
    EARLIER,
    LEAKY,
    MIXED,
    SIZE,
    choose_patches,
    show_faults,
    write_in_background,
    write_now,
)
from dashboard.components.sharing.parse import out_folder
from dashboard.ui import sharing_plots
from dashboard.ui.empty_state import CHOOSE, PATCHES, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.plots import NO_TOOLS
from dashboard.ui.session_keys import Key
from dashboard.ui.theme import format_size
from db.errors import TomocurateError
from db.queries.people import PersonRecord
from db.vocabulary import Split


def show_training_set(lab: Lab) -> None:
    """Ask what goes in, check it on request, write it."""
    choice = choose_patches(lab.workspace, "set", merged_too=True)
    options = _ask_options(lab.workspace)
    st.button(
        "Check what goes in",
        key="set_check",
        icon=":material/fact_check:",
        type="primary" if not _is_checked(choice, options) else "secondary",
        on_click=_check,
        args=(choice, options),
        help="Reads every label; with thousands of patches this takes some seconds.",
    )
    if not _is_checked(choice, options):
        return
    plan = _plan(lab, choice, options)
    if plan is None:
        return
    if not plan.cases:
        show_empty(
            "No accepted patch fits.",
            "A reviewer accepts patches; then they can be exported.",
            PATCHES,
            CHOOSE,
        )
        return
    _show_plan(lab.workspace, plan)
    _write(lab, choice, options, disabled=bool(plan.faults))


def _write(
    lab: Lab,
    choice: Choice,
    options: SetOptions,
    *,
    disabled: bool,
) -> None:
    name = st.text_input(
        "Name",
        "Dataset501_Membranes",
        key="set_name",
        help="A folder below the workspace's exports. nnU-Net expects DatasetNNN_NAME.",
    )
    overwrite = st.toggle("Replace an export of this name", key="set_overwrite")
    with st.container(horizontal=True):
        now = st.button(
            "Write now",
            type="primary",
            disabled=disabled,
            key="set_write",
            help="Keep this page open until it is done; leaving it cancels.",
        )
        later = st.button("Run in background", disabled=disabled, key="set_queue")
    if now:
        write_now(
            lambda progress: export_training_set(
                lab,
                out_folder(lab.workspace, name),
                choice,
                options,
                overwrite=overwrite,
                progress=progress,
            )
        )
    if later:
        write_in_background(
            lab,
            lambda: set_arguments(
                out_folder(lab.workspace, name), choice, options, overwrite=overwrite
            ),
        )


def _ask_options(workspace: Workspace) -> SetOptions:
    with st.expander("Split and format"):
        columns = st.columns(3)
        fraction = columns[0].slider(
            "Validation fraction",
            0.05,
            0.5,
            0.2,
            0.05,
            key="set_fraction",
            help="A stable hash of the tomogram's name decides. A patch that was exported once "
            "stays in its split.",
        )
        folders = sorted(p.name for p in workspace.folders.exports.iterdir() if p.is_dir())
        earlier = columns[1].selectbox(
            EARLIER,
            folders,
            index=None,
            key="set_val_from",
            placeholder="no",
            help="For fine-tuning: MemBrain-seg recommends validating on its old data.",
        )
        leaky = columns[2].toggle(
            LEAKY,
            key="set_leaky",
            help="Only where a single tomogram is exported. Validation scores will be too good; "
            "the export records it.",
        )
        quantise = columns[0].toggle(
            "Smaller files",
            key="set_quantise",
            help="About half the size: voxels are rounded to 1/256 standard deviation.",
        )
        unit = columns[1].toggle(
            "Voxel spacing 1", key="set_unit", help="As MemBrain-seg writes its patches."
        )
        mixed = columns[2].toggle(
            MIXED,
            key="set_mixed",
            help="MemBrain-seg trains on them as they are, nnU-Net resamples them to one size.",
        )
        voxel_size = columns[0].number_input(
            SIZE,
            min_value=0.1,
            max_value=1000.0,
            value=None,
            key="set_voxel_size",
            placeholder="any",
            help="Patches whose voxel size is unknown are taken to have this one.",
        )
    return SetOptions(
        rule=SplitRule(val_fraction=fraction, allow_leaky_val=leaky),
        recipe=Recipe(quantise=quantise, unit_spacing=unit),
        val_from=workspace.folders.exports / earlier if earlier else None,
        voxel_size=voxel_size,
        mixed_voxel_sizes=mixed,
    )


def _check(choice: Choice, options: SetOptions) -> None:
    st.session_state[Key.PLAN] = [repr((choice, options)), time.time_ns()]


def _is_checked(choice: Choice, options: SetOptions) -> bool:
    return bool(st.session_state.get(Key.PLAN, [""])[0] == repr((choice, options)))


def _plan(lab: Lab, choice: Choice, options: SetOptions) -> TrainingSetPlan | None:
    """Read the labels once for each time that somebody asks."""
    try:
        with st.spinner("Reading labels…"):
            return _read_plan(
                st.session_state[Key.PLAN][1],
                str(lab.workspace.folder),
                lab.workspace,
                lab.person,
                choice,
                options,
            )
    except TomocurateError as error:
        st.error(escape(error))
        return None


@st.cache_resource(max_entries=8, show_spinner=False)
def _read_plan(
    asked_at: int,
    folder: str,
    _workspace: Workspace,
    _person: PersonRecord,
    _choice: Choice,
    _options: SetOptions,
) -> TrainingSetPlan:
    del asked_at, folder  # the key of the cache
    return plan_export_set(Lab(_workspace, _person), _choice, _options)


def _show_plan(workspace: Workspace, plan: TrainingSetPlan) -> None:
    held = plan.patches_by_split
    columns = st.columns(5)
    for column, split in zip(columns, Split, strict=False):
        column.metric(sharing_plots.SPLIT_NAMES[split], held.get(split, 0))
    columns[3].metric("Voxel size", f"{plan.voxel_size:g} Å" if plan.voxel_size else "mixed")
    columns[4].metric("Size, about", format_size(plan.bytes_estimate))
    st.plotly_chart(sharing_plots.balance(plan), key="set_balance", config=NO_TOOLS)
    for note in plan.notes:
        st.caption(f":material/info: {escape(note)}")
    show_faults(workspace, [fault.message for fault in plan.faults], "set_permission")
