"""Correct a patch in other software: its kit, uploads, the folder, and which files count."""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from core.access.audit_log import note_download
from core.corrections.collect import collect
from core.corrections.withdraw import reinstate_correction, withdraw_correction
from core.lab.lab import Lab
from core.patches.history import PatchHistory
from core.patches.lifecycle import Transition
from core.workspace.results import Outcome
from dashboard.components.patch.details import (
    show_slots,
)
from dashboard.components.patch.steps import (
    bind,
    can,
)
from dashboard.components.patch.upload import (
    DroppedFile,
    ReceivedFile,
    make_kit,
    receive_files,
    show_received,
    versions_of,
)
from dashboard.ui.escape import download_name, escape
from dashboard.ui.notifications import notify_outcomes, notify_refusal, run_action
from dashboard.ui.session_keys import Key
from dashboard.ui.theme import (
    show_rules,
)
from db.errors import TomocurateError
from db.queries.life import SlotRecord
from db.queries.patches import PatchRecord


def drop_files(lab: Lab, patch: str, seen: Mapping[str, int], key: str) -> None:
    """Receive the files that were dropped on the page, and empty the field for the next."""
    files = [DroppedFile(file.name, file.getvalue()) for file in st.session_state.get(key) or []]
    try:
        taken = receive_files(lab, patch, files, seen)
    except TomocurateError as error:
        notify_refusal(error)
        return
    st.session_state[Key.RECEIVED] = [patch, [file.kept() for file in taken]]
    st.session_state[Key.UPLOADS] = st.session_state.get(Key.UPLOADS, 0) + 1
    outcomes = [Outcome(file.name, file.outcome, file.message or None) for file in taken]
    notify_outcomes(outcomes, "received", ("correction", "corrections"))


def collect_now(lab: Lab, name: str) -> None:
    """Receive the files of the patch's folder of corrections."""
    try:
        outcomes = collect(lab, [name])
    except TomocurateError as error:
        notify_refusal(error)
        return
    notify_outcomes(outcomes, "received", ("file", "files"))


def exclude(lab: Lab, name: str, slot: str, seen: int) -> None:
    """Exclude a correction from further merges."""
    run_action(
        partial(withdraw_correction, lab, name, slot, seen=seen),
        lambda _: (
            f"**{escape(slot)}** excluded from merges "
            f"by {escape(lab.person.name)}; its file is kept."
        ),
        about=(lab.workspace, name),
    )


def include(lab: Lab, name: str, slot: str, seen: int) -> None:
    """Include an excluded correction again."""
    run_action(
        partial(reinstate_correction, lab, name, slot, seen=seen),
        lambda _: f"**{escape(slot)}** included again by {escape(lab.person.name)}.",
        about=(lab.workspace, name),
    )


def kit_button(lab: Lab, names: Sequence[str], label: str, key: str) -> None:
    """Offer a zip that is made on request; the log keeps who took it."""
    stem = names[0] if len(names) == 1 else f"{len(names)}_patches"
    st.download_button(
        label,
        data=partial(make_kit, lab.workspace, names),
        key=key,
        mime="application/zip",
        file_name=download_name(f"kit_{stem}", ".zip"),
        icon=":material/download:",
        on_click=note_download,
        args=(lab.workspace, lab.person, "kits", list(names)),
        help="Image, label, a folder for the corrections, instructions, and a task list for MITK. "
        "Drop the zip here again when you have painted.",
    )


def show_files(lab: Lab, history: PatchHistory) -> None:
    """Show how to correct a patch in other software: download, paint, upload."""
    patch = history.patch
    st.markdown("**1 · Download**")
    kit_button(lab, [patch.name], "Download kit", "kit_of_this")
    st.markdown("**2 · Paint** Add, Remove and Ignore in MITK, napari, Amira or 3D Slicer")
    show_rules()
    st.markdown("**3 · Upload**")
    if not can(patch, Transition.CORRECT, lab.person):
        st.caption("Corrections cannot be added at this stage, or not with your role.")
        return
    key = f"drop_{patch.id}_{st.session_state.get(Key.UPLOADS, 0)}"
    st.file_uploader(
        "Drop Add1.nrrd, Remove1.nrrd, Ignore1.nrrd …, or the kit's zip, here (at most "
        f"{lab.workspace.settings.upload_mb} MB each)",
        accept_multiple_files=True,
        key=key,
        max_upload_size=lab.workspace.settings.upload_mb,
        on_change=bind(patch, drop_files),
        args=(lab, patch.name, versions_of(history.slots), key),
    )
    st.button(
        "Collect from the folder",
        key=f"collect_{patch.name}",
        icon=":material/folder_open:",
        on_click=bind(patch, collect_now),
        args=(lab, patch.name),
        help="For files that you saved into the workspace's folder on a shared disk.",
    )
    st.code(str(lab.workspace.folders.corrections_of(patch.name)), language=None, wrap_lines=True)
    kept = st.session_state.get(Key.RECEIVED)
    if kept and kept[0] == patch.name:
        show_received(lab.workspace, patch.name, [ReceivedFile.of(values) for values in kept[1]])


def show_corrections(lab: Lab, history: PatchHistory) -> None:
    """Show the corrections of a patch, and let some be excluded."""
    st.header("Corrections", anchor=False)
    show_slots(history.slots)
    if history.slots and can(history.patch, Transition.CORRECT, lab.person):
        with st.popover("Exclude a correction…"):
            st.caption("The file is kept; the correction can be included again.")
            for slot in history.slots:
                slot_button(lab, history.patch, slot)


def slot_button(
    lab: Lab,
    patch: PatchRecord,
    slot: SlotRecord,
    place: str = "slot",
) -> None:
    """Offer to exclude a correction, or to include it again."""
    label, step = ("Include", include) if slot.withdrawn else ("Exclude", exclude)
    st.button(
        f"{label} {escape(slot.name)}",
        key=f"{place}_{slot.id}",
        on_click=bind(patch, step),
        args=(lab, patch.name, slot.name, patch.version),
    )
