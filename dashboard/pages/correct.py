"""Correct: paint a patch here or in other software, merge its corrections, submit it."""

from collections.abc import Sequence

import streamlit as st

from core.lab.lab import Lab
from core.patches import assign
from core.patches.history import PatchHistory
from core.patches.lifecycle import Transition
from dashboard.components.painter import painter
from dashboard.components.patch.comments import show_comments
from dashboard.components.patch.details import (
    read_history,
)
from dashboard.components.patch.files import kit_button, show_corrections, show_files
from dashboard.components.patch.merging import show_merging
from dashboard.components.patch.steps import (
    FILES,
    MERGE,
    PAINT,
    WAYS,
    can,
    pick_way,
    run_step,
    show_not_extracted,
)
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import CHOOSE, PATCHES, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import go_to, open_button, page_file
from dashboard.ui.session_keys import Query
from dashboard.ui.theme import (
    begin_page,
    count,
    patch_dots,
    show_chips,
)
from dashboard.ui.times import format_time
from db.queries.patches import PatchFilter, PatchRecord, PatchSort, list_patches
from db.queries.people import PersonRecord
from db.vocabulary import Stage

MINE = (Stage.EXTRACTED, Stage.CORRECTING, Stage.MERGED)
# Patches of my work in the list; the rest are one link away.
LISTED = 40
# Patches of one kit: it is made while one waits.
KIT_MOST = 30


def show() -> None:
    """Show the patch that the address names, else the first of my work."""
    lab = current_lab()
    mine = my_work(lab)
    if Query.PATCH not in st.query_params and mine:
        st.query_params[Query.PATCH] = mine[0].name
    name = st.query_params.get(Query.PATCH)
    if name is None:
        begin_page("Correct")
        _nothing(lab)
        return
    history = read_history(lab.workspace, name)
    if history is None:
        return
    _patch(lab, history, mine)


def my_work(lab: Lab) -> tuple[PatchRecord, ...]:
    """List a person's unfinished patches, rejected ones first."""
    wanted = PatchFilter(assignee=lab.person.name, stage=MINE)
    with lab.workspace.catalog.read() as session:
        patches = list_patches(session, wanted, PatchSort.NAME, limit=500)
    return tuple(sorted(patches, key=lambda patch: patch.rejected_reason is None))


def neighbours(names: Sequence[str], name: str) -> tuple[str | None, str | None]:
    """Find the patches before and after one in a list, which goes round."""
    if name not in names:
        return None, names[0] if names else None
    at = names.index(name)
    return names[at - 1], names[(at + 1) % len(names)]


def _nothing(lab: Lab) -> None:
    free = PatchFilter(unassigned=True, stage=(Stage.EXTRACTED, Stage.CORRECTING))
    with lab.workspace.catalog.read() as session:
        patches = list_patches(session, free, limit=12)
    show_empty(
        "No patch to correct.",
        "Claim a patch without an annotator, or choose new ones in a tomogram.",
        CHOOSE,
        PATCHES,
    )
    for patch in patches:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            open_button(escape(patch.name), "correct", Query.PATCH, patch.name, "free")
            show_chips(patch_dots(patch))
            if can(patch, Transition.CLAIM, lab.person):
                _claim(lab, patch)


def _claim(lab: Lab, patch: PatchRecord) -> None:
    st.button(
        "Claim",
        key=f"claim_{patch.id}",
        on_click=claim_here,
        args=(lab, patch.name, patch.version),
    )


def claim_here(lab: Lab, name: str, seen: int) -> None:
    """Claim a patch, and show it."""
    run_step(lab, assign.claim, "claimed", name, seen=seen)
    st.query_params.from_dict({Query.PATCH: name})


def _mine(lab: Lab, mine: Sequence[PatchRecord], name: str) -> None:
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
        kit_button(lab, names, label, "kits_of_my_work")
        with st.container(height=360 if len(mine) > 12 else "content", border=False, gap=None):
            for patch in mine[:LISTED]:
                mark = ":material/undo: " if patch.rejected_reason else ""
                label = f"{mark}{escape(patch.name)}"
                shown = f"**{label}**" if patch.name == name else label
                open_button(shown, "correct", Query.PATCH, patch.name, "my_work")
        if len(mine) > LISTED:
            mines = {"person": lab.person.name}
            st.page_link(PATCHES.page, label=f"All {len(mine)}", query_params=mines)


def _patch(lab: Lab, history: PatchHistory, mine: Sequence[PatchRecord]) -> None:
    patch = history.patch
    painting = st.query_params.get(Query.WAY) not in (FILES, MERGE)
    begin_page(patch.name, toasts=painting)
    with st.container(horizontal=True, vertical_alignment="center"):
        show_chips(patch_dots(patch))
        way = pick_way("How", WAYS, patch.name)
        _mine(lab, mine, patch.name)
        _turn(mine, patch.name)
        if patch.assignee is None and can(patch, Transition.CLAIM, lab.person):
            _claim(lab, patch)
        st.page_link(
            page_file("patches"),
            label="History",
            icon=":material/history:",
            query_params={Query.PATCH: patch.name},
            width="content",
        )
    _who(history, lab.person)
    if patch.stage is Stage.CHOSEN:
        show_not_extracted(lab, patch)
        return
    if way == PAINT:
        read_only = not can(patch, Transition.CORRECT, lab.person)
        painter(lab.workspace, lab.person, patch, read_only=read_only, key=f"painter_{patch.id}")
        return
    left, right = st.columns([6, 5], gap="medium")
    with left:
        if way == MERGE:
            show_merging(lab, history)
        else:
            show_files(lab, history)
    with right:
        show_corrections(lab, history)
        show_comments(lab, patch, history.comments)


def _turn(mine: Sequence[PatchRecord], name: str) -> None:
    before, after = neighbours([patch.name for patch in mine], name)
    for label, key, to in (("Previous", "p", before), ("Next", "n", after)):
        disabled = to is None or to == name
        if st.button(label, shortcut=key, key=f"turn_{key}_{name}", disabled=disabled) and to:
            go_to("correct", patch=to)


def _who(history: PatchHistory, person: PersonRecord) -> None:
    patch = history.patch
    if patch.rejected_reason:
        verdict = next((verdict for verdict in reversed(history.reviews) if verdict.reason), None)
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


if __name__ == "__main__":
    show()
