"""The details of one tomogram: facts, segmentations, patch positions, permission and split."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core.access.permissions import Action, may
from core.lab.lab import Lab
from core.patches.choose import box_of
from core.tomograms.data_permissions import permit, pin
from core.tomograms.pictures import thumbnail_of_tomogram
from core.tomograms.source_files import duplicates_of
from core.tomograms.voxel_size import set_voxel_size
from core.workspace.workspace import Workspace
from dashboard.components.patch import filter as patch_filter
from dashboard.components.registering.change import show_registration
from dashboard.ui import plots
from dashboard.ui.empty_state import (
    show_empty,
)
from dashboard.ui.escape import escape
from dashboard.ui.navigation import (
    go_to,
    page_file,
)
from dashboard.ui.notifications import bind_to_shown, notify_outcomes, notify_refusal, run_action
from dashboard.ui.session_keys import Query
from dashboard.ui.theme import (
    STAGE_COLORS,
    begin_page,
    count,
    format_size,
    format_xyz,
    person_name,
    show_facts,
)
from dashboard.ui.times import (
    format_time,
)
from db.errors import TomocurateError
from db.queries.patches import PatchRecord, patches_in
from db.queries.volumes import (
    PermissionRecord,
    SegmentationRecord,
    TomogramRecord,
    get_tomogram,
    permission_of,
    segmentations_of,
)
from db.vocabulary import Licence, Scope, Split

PERMISSION = "permission"


PERMISSION_FIELDS = ("scope", "licence", "approved_by", "owner", "until", "embargo")


def thumbnail(workspace: Workspace, tomogram: TomogramRecord) -> bytes | None:
    """Read a tomogram's picture; None where its file cannot be read."""
    try:
        return thumbnail_of_tomogram(workspace, tomogram.id)
    except TomocurateError:
        return None


def show_tomogram(lab: Lab, name: str) -> None:
    """Show the details of the tomogram that an address names."""
    try:
        with lab.workspace.catalog.read() as session:
            tomogram = get_tomogram(session, name)
            segmentations = segmentations_of(session, tomogram.id)
            permission = permission_of(session, tomogram.id)
            patches = [patch for patch in patches_in(session, tomogram.id) if not patch.withdrawn]
    except TomocurateError as error:
        begin_page("No such tomogram")
        st.error(escape(error))
        _all_button()
        return
    begin_page(tomogram.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        _all_button()
        st.page_link(
            page_file("browse"),
            label="Browse & choose",
            width="content",
            icon=":material/add_location_alt:",
            query_params={Query.TOMOGRAM: tomogram.name},
        )
        st.page_link(
            page_file("patches"),
            label=count(len(patches), "patch", "patches"),
            icon=":material/grid_view:",
            width="content",
            query_params={patch_filter.TOMOGRAM: tomogram.name},
        )
    left, right = st.columns([5, 6], gap="medium")
    with left:
        _picture_and_facts(lab, tomogram)
        _segmentations(segmentations)
    with right:
        _map(tomogram, patches)
        _permission(lab, tomogram, permission)
        _pin(lab, tomogram)


def _all_button() -> None:
    if st.button(
        "All tomograms", icon=":material/view_in_ar:", type="tertiary", key="all_tomograms"
    ):
        go_to("tomograms")


def _picture_and_facts(lab: Lab, tomogram: TomogramRecord) -> None:
    if not tomogram.on_disk.file.exists():
        _show_missing(tomogram)
    picture = thumbnail(lab.workspace, tomogram)
    if picture:
        st.image(picture, width=256, alt=f"Middle of {tomogram.name}")
    override = " (set by hand)" if tomogram.voxel_size_is_override else ""
    known = {
        "Voxels x, y, z": format_xyz(tomogram.on_disk.shape),
        "Voxel size": f"{tomogram.voxel_size:g} Å{override}"
        if tomogram.voxel_size
        else "unknown: set it before exporting",
        "File": f"{escape(tomogram.on_disk.path)}, {format_size(tomogram.on_disk.size_bytes)}, "
        f"{tomogram.on_disk.dtype}",
        "Data root": escape(tomogram.on_disk.root),
        "Preview": tomogram.preview.value,
        **({"Specimen": escape(tomogram.specimen)} if tomogram.specimen else {}),
        "Registered": f"{format_time(tomogram.registered_at)} by "
        f"{person_name(tomogram.registered_by)}",
    }
    show_facts(known)
    for twin in duplicates_of(lab.workspace, tomogram):
        st.caption(f":material/content_copy: identical file: {escape(twin)}")
    for warning in tomogram.header.get("warnings", []):
        st.caption(f":material/info: {escape(warning)}")
    if may(lab.person.role, Action.REGISTER):
        _voxel_size(lab, tomogram)
    show_registration(lab, tomogram, bind)


def _show_missing(tomogram: TomogramRecord) -> None:
    st.error(
        f"File not found: {escape(tomogram.on_disk.file)}. If the data moved, an admin runs "
        "`tomocurate roots move OLD NEW`; if a disk is not mounted, mount it and reload.",
        icon=":material/link_off:",
    )


def _voxel_size(lab: Lab, tomogram: TomogramRecord) -> None:
    with st.popover("Set voxel size…"):
        stated = st.number_input(
            "Voxel size (Å)",
            min_value=0.1,
            max_value=999.0,
            format="%.4f",
            value=tomogram.voxel_size,
            key=f"voxel_size_{tomogram.name}",
        )
        st.caption(
            "MemBrain-seg is trained at 10 to 14 Å. MRC headers often contain 0, 1, or the "
            "unbinned value."
        )
        st.button(
            "Save",
            key=f"save_voxel_size_{tomogram.name}",
            type="primary",
            on_click=bind(tomogram, state_voxel_size),
            args=(lab, tomogram, stated),
        )


def state_voxel_size(lab: Lab, tomogram: TomogramRecord, angstrom: float | None) -> None:
    """Set the voxel size of a tomogram and all its patches."""
    if angstrom is None:
        return
    try:
        outcomes = set_voxel_size(lab, [tomogram.name], angstrom)
    except TomocurateError as error:
        notify_refusal(error)
        return
    notify_outcomes(
        outcomes, f"saved with a voxel size of {angstrom or 0:g} Å", ("tomogram", "tomograms")
    )


def _segmentations(segmentations: Sequence[SegmentationRecord]) -> None:
    st.header("Segmentations", anchor=False)
    if not segmentations:
        show_empty(
            "No segmentation yet.",
            "Register the tomogram again with a segmentation; then patches can be chosen.",
        )
    for segmentation in segmentations:
        with st.container(border=True, gap=None):
            st.markdown(f"**{escape(segmentation.model or segmentation.on_disk.file.name)}**")
            threshold = (
                "" if segmentation.threshold is None else f" · threshold {segmentation.threshold:g}"
            )
            st.caption(
                f"{escape(segmentation.on_disk.path)} · "
                f"{format_size(segmentation.on_disk.size_bytes)}{threshold}"
                f" · registered {format_time(segmentation.registered_at)}"
            )


def _map(tomogram: TomogramRecord, patches: Sequence[PatchRecord]) -> None:
    st.header("Patch positions", anchor=False)
    boxes = [
        (patch.name, box.start, box.stop, STAGE_COLORS[patch.stage])
        for patch in patches
        if (box := box_of(patch)) is not None
    ]
    if not boxes:
        show_empty("No patch is chosen here yet.", "Two to five per tomogram are enough.")
        return
    st.plotly_chart(
        plots.boxes_in(tomogram.on_disk.shape, boxes), key="boxes", config=plots.NO_TOOLS
    )


def _permission(
    lab: Lab,
    tomogram: TomogramRecord,
    known: PermissionRecord | None,
) -> None:
    st.header("Permission of the owner", anchor=False)
    if known is None:
        st.caption("None recorded: patches of this tomogram stay in this lab.")
    else:
        licence = f" under {known.licence.value}" if known.licence else ""
        until = f", until {known.until:%-d %b %Y}" if known.until else ""
        after = f", not before {known.embargo:%-d %b %Y}" if known.embargo else ""
        st.caption(
            f"**{known.scope.value}**{licence}{until}{after}, approved by "
            f"{escape(known.approved_by)} · owner {person_name(known.owner)} · "
            f"version {known.version}"
        )
    if not may(lab.person.role, Action.PERMIT):
        return
    with st.popover("Set permission…"), st.form(f"permit_{tomogram.name}", border=False):
        _permission_fields(tomogram.name, known)
        st.form_submit_button(
            "Save",
            type="primary",
            on_click=bind(tomogram, save_permission),
            args=(lab, tomogram.name, known.version if known else None),
        )


def bind(tomogram: TomogramRecord, step: Callable[..., None]) -> Callable[..., None]:
    """Bind a handler to the tomogram that it was drawn for."""
    return bind_to_shown(Query.TOMOGRAM, tomogram.name, step)


def _permission_fields(tomogram: str, known: PermissionRecord | None) -> None:
    scopes, licences = list(Scope), list(Licence)
    key = {field: f"{PERMISSION}_{field}_{tomogram}" for field in PERMISSION_FIELDS}
    st.selectbox(
        "Scope",
        scopes,
        format_func=lambda choice: choice.value,
        key=key["scope"],
        index=scopes.index(known.scope) if known else 0,
    )
    st.selectbox(
        "Licence",
        licences,
        format_func=lambda choice: choice.value,
        key=key["licence"],
        index=licences.index(known.licence) if known and known.licence else None,
        placeholder="none (internal only)",
    )
    st.text_input("Approved by", value=known.approved_by if known else "", key=key["approved_by"])
    st.text_input("Owner", value=(known.owner or "") if known else "", key=key["owner"])
    st.date_input("Until", value=known.until if known else None, key=key["until"])
    st.date_input("Not before", value=known.embargo if known else None, key=key["embargo"])


def save_permission(lab: Lab, tomogram: str, seen: int | None) -> None:
    """Record what the owner allows, as the form of this tomogram says."""
    fields = {
        field: st.session_state[f"{PERMISSION}_{field}_{tomogram}"] for field in PERMISSION_FIELDS
    }
    run_action(
        partial(permit, lab, tomogram, seen=seen, **fields),
        lambda outcome: (
            f"**{escape(tomogram)}** {escape(outcome.message or 'permitted')} · saved by "
            f"{escape(lab.person.name)}"
        ),
    )


def _pin(lab: Lab, tomogram: TomogramRecord) -> None:
    if not may(lab.person.role, Action.PIN):
        return
    st.header("Split in training sets", anchor=False)
    words: dict[str, Split | None] = {"automatic": None}
    words |= {split.value: split for split in Split}
    now = next(word for word, split in words.items() if split == tomogram.split_pin)
    chosen = st.segmented_control(
        "Split",
        list(words),
        default=now,
        required=True,
        key=f"split_{tomogram.name}",
        label_visibility="collapsed",
    )
    if chosen and words[chosen] != tomogram.split_pin:
        st.button(
            f"Pin to {chosen}",
            key=f"pin_{tomogram.name}",
            on_click=bind(tomogram, save_pin),
            args=(lab, tomogram.name, words[chosen], tomogram.version),
        )
    st.caption("Patches pinned to test are never used for training or validation.")


def save_pin(lab: Lab, tomogram: str, split: Split | None, seen: int) -> None:
    """Pin all patches of a tomogram to one split."""
    run_action(
        partial(pin, lab, tomogram, split, seen=seen),
        lambda outcome: (
            f"**{escape(tomogram)}** {escape(outcome.message)} · saved by {escape(lab.person.name)}"
        ),
    )
