"""Correct: paint a patch here or in other software, merge its corrections, submit it."""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from core.access.audit_log import note_download
from core.corrections.collect import collect
from core.corrections.withdraw import reinstate_correction, withdraw_correction
from core.imaging import colors
from core.lab.lab import Lab
from core.labels import review
from core.labels.merge import MergePreview, merge, preview_merge
from core.painting import draft
from core.patches import assign
from core.patches.history import PatchHistory
from core.patches.lifecycle import Transition
from core.workspace.results import Outcome
from core.workspace.workspace import Workspace
from dashboard.components.painter import painter
from dashboard.components.patch.comments import show_comments
from dashboard.components.patch.details import (
    counts,
    read_history,
    show_slots,
)
from dashboard.components.patch.planes import (
    LEGEND,
    PatchPicture,
    Shown,
    most_changed,
    patch_picture,
    show_three,
)
from dashboard.components.patch.steps import (
    bind,
    can,
    expected_draft,
    not_saved,
    only_saved,
    pick_way,
    run_step,
    show_not_extracted,
)
from dashboard.components.patch.upload import (
    DroppedFile,
    ReceivedFile,
    make_kit,
    receive_files,
    show_received,
    versions_of,
)
from dashboard.ui.context import current_person, current_workspace
from dashboard.ui.empty_state import CHOOSE, PATCHES, show_empty
from dashboard.ui.escape import download_name, escape
from dashboard.ui.navigation import go_to, open_button, page_file
from dashboard.ui.notifications import notify_outcomes, notify_refusal, run_action
from dashboard.ui.session_keys import Key, Query
from dashboard.ui.theme import (
    LABEL_COLORS,
    begin_page,
    count,
    patch_dots,
    show_chips,
    show_rules,
)
from dashboard.ui.times import format_time
from db.errors import TomocurateError
from db.queries.life import SlotRecord
from db.queries.patches import DraftRecord, PatchFilter, PatchRecord, PatchSort, list_patches
from db.queries.people import PersonRecord
from db.vocabulary import Stage

PAINT, FILES, MERGE = "Paint here", "My own software", "Merge and submit"
WAYS = (PAINT, FILES, MERGE)
MINE = (Stage.EXTRACTED, Stage.CORRECTING, Stage.MERGED)
# Patches of my work in the list; the rest are one link away.
LISTED = 40
# Patches of one kit: it is made while one waits.
KIT_MOST = 30


def show() -> None:
    """Show the patch that the address names, else the first of my work."""
    workspace, person = current_workspace(), current_person()
    mine = my_work(workspace, person)
    if Query.PATCH not in st.query_params and mine:
        st.query_params[Query.PATCH] = mine[0].name
    name = st.query_params.get(Query.PATCH)
    if name is None:
        begin_page("Correct")
        _nothing(workspace, person)
        return
    history = read_history(workspace, name)
    if history is None:
        return
    _patch(workspace, person, history, mine)


def my_work(workspace: Workspace, person: PersonRecord) -> tuple[PatchRecord, ...]:
    """List a person's unfinished patches, rejected ones first."""
    wanted = PatchFilter(assignee=person.name, stage=MINE)
    with workspace.catalog.read() as session:
        found = list_patches(session, wanted, PatchSort.NAME, limit=500)
    return tuple(sorted(found, key=lambda patch: patch.rejected_reason is None))


def neighbours(names: Sequence[str], name: str) -> tuple[str | None, str | None]:
    """Find the patches before and after one in a list, which goes round."""
    if name not in names:
        return None, names[0] if names else None
    at = names.index(name)
    return names[at - 1], names[(at + 1) % len(names)]


def drop_files(
    workspace: Workspace, person: PersonRecord, patch: str, seen: Mapping[str, int], key: str
) -> None:
    """Receive the files that were dropped on the page, and empty the field for the next."""
    files = [DroppedFile(file.name, file.getvalue()) for file in st.session_state.get(key) or []]
    try:
        taken = receive_files(workspace, person, patch, files, seen)
    except TomocurateError as error:
        notify_refusal(error)
        return
    st.session_state[Key.RECEIVED] = [patch, [each.kept() for each in taken]]
    st.session_state[Key.UPLOADS] = st.session_state.get(Key.UPLOADS, 0) + 1
    outcomes = [Outcome(each.name, each.outcome, each.message or None) for each in taken]
    notify_outcomes(outcomes, "received", ("correction", "corrections"))


def merge_now(workspace: Workspace, person: PersonRecord, name: str) -> None:
    """Merge what counts now into the patch's next training label."""
    try:
        with st.spinner("Merging…"):
            outcomes = merge(Lab(workspace, person), [name])
    except TomocurateError as error:
        notify_refusal(error)
        return
    notify_outcomes(outcomes, "merged")


def collect_now(workspace: Workspace, person: PersonRecord, name: str) -> None:
    """Receive the files of the patch's folder of corrections."""
    try:
        outcomes = collect(Lab(workspace, person), [name])
    except TomocurateError as error:
        notify_refusal(error)
        return
    notify_outcomes(outcomes, "received", ("file", "files"))


def exclude(workspace: Workspace, person: PersonRecord, name: str, slot: str, seen: int) -> None:
    """Exclude a correction from further merges."""
    run_action(
        partial(withdraw_correction, Lab(workspace, person), name, slot, seen=seen),
        lambda _: (
            f"**{escape(slot)}** excluded from merges by {escape(person.name)}; its file is kept."
        ),
        about=(workspace, name),
    )


def include(workspace: Workspace, person: PersonRecord, name: str, slot: str, seen: int) -> None:
    """Include an excluded correction again."""
    run_action(
        partial(reinstate_correction, Lab(workspace, person), name, slot, seen=seen),
        lambda _: f"**{escape(slot)}** included again by {escape(person.name)}.",
        about=(workspace, name),
    )


def _nothing(workspace: Workspace, person: PersonRecord) -> None:
    free = PatchFilter(unassigned=True, stage=(Stage.EXTRACTED, Stage.CORRECTING))
    with workspace.catalog.read() as session:
        found = list_patches(session, free, limit=12)
    show_empty(
        "No patch to correct.",
        "Claim a patch without an annotator, or choose new ones in a tomogram.",
        CHOOSE,
        PATCHES,
    )
    for patch in found:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            open_button(escape(patch.name), "correct", Query.PATCH, patch.name, "free")
            show_chips(patch_dots(patch))
            if can(patch, Transition.CLAIM, person):
                _claim(workspace, person, patch)


def _claim(workspace: Workspace, person: PersonRecord, patch: PatchRecord) -> None:
    st.button(
        "Claim",
        key=f"claim_{patch.id}",
        on_click=claim_here,
        args=(workspace, person, patch.name, patch.version),
    )


def claim_here(workspace: Workspace, person: PersonRecord, name: str, seen: int) -> None:
    """Claim a patch, and show it."""
    run_step(workspace, person, assign.claim, "claimed", name, seen=seen)
    st.query_params.from_dict({Query.PATCH: name})


def _mine(
    workspace: Workspace, person: PersonRecord, mine: Sequence[PatchRecord], name: str
) -> None:
    """Show the person's patches in a menu."""
    with st.popover(f"My work · {len(mine)}", icon=":material/checklist:", key=f"mine_{name}"):
        if not mine:
            st.markdown("**No patch to correct.**")
            st.caption("Claim a patch without an annotator.")
            nobodys = {"person": "Nobody"}
            st.page_link(PATCHES.page, label="Patches without an annotator", query_params=nobodys)
            return
        names = [patch.name for patch in mine[:KIT_MOST]]
        label = f"Kits of {count(len(names), 'patch', 'patches')}"
        _kit_button(workspace, person, names, label, "kits_of_my_work")
        with st.container(height=360 if len(mine) > 12 else "content", border=False, gap=None):
            for patch in mine[:LISTED]:
                mark = ":material/undo: " if patch.rejected_reason else ""
                label = f"{mark}{escape(patch.name)}"
                shown = f"**{label}**" if patch.name == name else label
                open_button(shown, "correct", Query.PATCH, patch.name, "my_work")
        if len(mine) > LISTED:
            mines = {"person": person.name}
            st.page_link(PATCHES.page, label=f"All {len(mine)}", query_params=mines)


def _kit_button(
    workspace: Workspace, person: PersonRecord, names: Sequence[str], label: str, key: str
) -> None:
    """Offer a zip that is made on request; the log keeps who took it."""
    stem = names[0] if len(names) == 1 else f"{len(names)}_patches"
    st.download_button(
        label,
        data=partial(make_kit, workspace, names),
        key=key,
        mime="application/zip",
        file_name=download_name(f"kit_{stem}", ".zip"),
        icon=":material/download:",
        on_click=note_download,
        args=(workspace, person, "kits", list(names)),
        help="Image, label, a folder for the corrections, instructions, and a task list for MITK. "
        "Drop the zip here again when you have painted.",
    )


def _patch(
    workspace: Workspace, person: PersonRecord, history: PatchHistory, mine: Sequence[PatchRecord]
) -> None:
    patch = history.patch
    painting = st.query_params.get(Query.WAY) not in (FILES, MERGE)
    begin_page(patch.name, toasts=painting)
    with st.container(horizontal=True, vertical_alignment="center"):
        show_chips(patch_dots(patch))
        way = pick_way("How", WAYS, patch.name)
        _mine(workspace, person, mine, patch.name)
        _turn(mine, patch.name)
        if patch.assignee is None and can(patch, Transition.CLAIM, person):
            _claim(workspace, person, patch)
        st.page_link(
            page_file("patches"),
            label="History",
            icon=":material/history:",
            query_params={Query.PATCH: patch.name},
            width="content",
        )
    _who(history, person)
    if patch.stage is Stage.CHOSEN:
        show_not_extracted(workspace, person, patch)
        return
    if way == PAINT:
        read_only = not can(patch, Transition.CORRECT, person)
        painter(workspace, person, patch, read_only=read_only, key=f"painter_{patch.id}")
        return
    left, right = st.columns([6, 5], gap="medium")
    with left:
        if way == MERGE:
            _merging(workspace, person, history)
        else:
            _files(workspace, person, history)
    with right:
        _slots(workspace, person, history)
        show_comments(workspace, person, patch, history.comments)


def _turn(mine: Sequence[PatchRecord], name: str) -> None:
    before, after = neighbours([patch.name for patch in mine], name)
    for label, key, to in (("Previous", "p", before), ("Next", "n", after)):
        disabled = to is None or to == name
        if st.button(label, shortcut=key, key=f"turn_{key}_{name}", disabled=disabled) and to:
            go_to("correct", patch=to)


def _who(history: PatchHistory, person: PersonRecord) -> None:
    patch = history.patch
    if patch.rejected_reason:
        verdict = next((each for each in reversed(history.reviews) if each.reason), None)
        by = f"{escape(verdict.reviewer or 'a reviewer')} said" if verdict else "a reviewer said"
        st.warning(f"Rejected: {by} “{escape(patch.rejected_reason)}”", icon=":material/undo:")
    if history.hold and history.hold.person_id != person.id:
        st.info(
            f"{escape(history.hold.person)} is painting it "
            f"(since {format_time(history.hold.since)}).",
            icon=":material/brush:",
        )
    elif patch.assignee and patch.assignee != person.name:
        st.info(f"Assigned to {escape(patch.assignee)}.", icon=":material/person:")


def _files(workspace: Workspace, person: PersonRecord, history: PatchHistory) -> None:
    patch = history.patch
    st.markdown("**1 · Download**")
    _kit_button(workspace, person, [patch.name], "Download kit", "kit_of_this")
    st.markdown("**2 · Paint** Add, Remove and Ignore in MITK, napari, Amira or 3D Slicer")
    show_rules()
    st.markdown("**3 · Upload**")
    if not can(patch, Transition.CORRECT, person):
        st.caption("Corrections cannot be added at this stage, or not with your role.")
        return
    key = f"drop_{patch.id}_{st.session_state.get(Key.UPLOADS, 0)}"
    st.file_uploader(
        "Drop Add1.nrrd, Remove1.nrrd, Ignore1.nrrd …, or the kit's zip, here (at most "
        f"{workspace.settings.upload_mb} MB each)",
        accept_multiple_files=True,
        key=key,
        max_upload_size=workspace.settings.upload_mb,
        on_change=bind(patch, drop_files),
        args=(workspace, person, patch.name, versions_of(history.slots), key),
    )
    st.button(
        "Collect from the folder",
        key=f"collect_{patch.name}",
        icon=":material/folder_open:",
        on_click=bind(patch, collect_now),
        args=(workspace, person, patch.name),
        help="For files that you saved into the workspace's folder on a shared disk.",
    )
    st.caption(f"Folder: `{escape(workspace.folders.corrections_of(patch.name))}`")
    kept = st.session_state.get(Key.RECEIVED)
    if kept and kept[0] == patch.name:
        show_received(workspace, patch.name, [ReceivedFile.of(each) for each in kept[1]])


def _slots(workspace: Workspace, person: PersonRecord, history: PatchHistory) -> None:
    st.header("Corrections", anchor=False)
    show_slots(history.slots)
    if history.slots and can(history.patch, Transition.CORRECT, person):
        with st.popover("Exclude a correction…"):
            st.caption("The file is kept; the correction can be included again.")
            for slot in history.slots:
                _slot_button(workspace, person, history.patch, slot)


def _slot_button(
    workspace: Workspace,
    person: PersonRecord,
    patch: PatchRecord,
    slot: SlotRecord,
    place: str = "slot",
) -> None:
    label, step = ("Include", include) if slot.withdrawn else ("Exclude", exclude)
    st.button(
        f"{label} {escape(slot.name)}",
        key=f"{place}_{slot.id}",
        on_click=bind(patch, step),
        args=(workspace, person, patch.name, slot.name, patch.version),
    )


def _merging(workspace: Workspace, person: PersonRecord, history: PatchHistory) -> None:
    patch = history.patch
    draft = expected_draft(workspace, person, patch)
    if draft:
        _save_or_discard(workspace, person, patch, draft)
        return
    if can(patch, Transition.MERGE, person) and patch.correction_count:
        _preview(workspace, person, history)
    if can(patch, Transition.SUBMIT, person) and not patch.stale:
        st.button(
            "Submit for review",
            key=f"submit_{patch.name}",
            type="primary",
            on_click=only_saved(workspace, person, patch, run_step),
            args=(workspace, person, review.submit, "submitted for review", patch.name),
            kwargs={"seen": patch.version},
        )
    if can(patch, Transition.LEAVE_AS_IT_IS, person) and not patch.correction_count:
        _nothing_to_change(workspace, person, patch)
    if patch.stage is Stage.IN_REVIEW:
        st.info("Waiting for a reviewer.", icon=":material/rate_review:")
    if patch.stage is Stage.ACCEPTED and not patch.stale:
        st.success("Accepted: exports may include it.", icon=":material/verified:")


def _save_or_discard(
    workspace: Workspace, person: PersonRecord, patch: PatchRecord, draft: DraftRecord
) -> None:
    with st.container(border=True):
        said = not_saved(patch, draft)
        st.warning(said[0].upper() + said[1:], icon=":material/edit_off:")
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
                    args=(workspace, person, patch.name),
                )


def _open_painter() -> None:
    st.query_params[Query.WAY] = PAINT


def discard_draft(workspace: Workspace, person: PersonRecord, name: str) -> None:
    """Discard one's own unsaved strokes."""
    run_action(
        partial(draft.discard_draft, Lab(workspace, person), name),
        lambda _: f"Unsaved strokes on **{escape(name)}** discarded.",
    )


def _preview(workspace: Workspace, person: PersonRecord, history: PatchHistory) -> None:
    patch = history.patch
    merged = history.current_merge
    if merged and not patch.stale:
        st.markdown(
            f"**Merge {merged.number}** includes all corrections, made "
            f"{format_time(merged.made_at)} by {escape(merged.made_by or 'tomocurate')}."
        )
        st.caption(counts(merged.counts))
        _planes(workspace, patch.name, None)
        return
    st.markdown("**Preview of the merge**")
    with st.spinner("Merging in memory…"):
        preview = preview_merge(workspace, patch.name)
    if preview.error:
        st.error(escape(preview.error), icon=":material/block:")
        _exclude_refused(workspace, person, history)
        return
    _numbers(preview)
    _planes(workspace, patch.name, preview)
    st.button(
        f"Merge {count(len(preview.inputs), 'correction')}",
        key=f"merge_{patch.name}",
        type="primary",
        on_click=only_saved(workspace, person, patch, merge_now),
        args=(workspace, person, patch.name),
    )


def _exclude_refused(workspace: Workspace, person: PersonRecord, history: PatchHistory) -> None:
    """Offer the way out where files that cannot be read stop a merge."""
    refused = [slot for slot in history.slots if slot.counts and slot.latest.error]
    if refused and can(history.patch, Transition.CORRECT, person):
        st.caption("Exclude the files that cannot be used, or upload them again:")
        with st.container(horizontal=True):
            for slot in refused:
                _slot_button(workspace, person, history.patch, slot, "refused")


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


def _nothing_to_change(workspace: Workspace, person: PersonRecord, patch: PatchRecord) -> None:
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
            on_click=only_saved(workspace, person, patch, run_step),
            args=(workspace, person, review.submit, "submitted unchanged", patch.name),
            kwargs={"nothing_to_change": True, "seen": patch.version},
        )


if __name__ == "__main__":
    show()
