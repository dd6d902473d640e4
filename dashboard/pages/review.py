"""Review: see what a merge changed, then accept it, or reject it with a reason."""

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.imaging import colors
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.patches.history import PatchHistory
from core.workspace.workspace import Workspace
from dashboard.components.painter import painter
from dashboard.components.patch.comments import show_comments
from dashboard.components.patch.decision import show_decision
from dashboard.components.patch.details import (
    counts,
    read_history,
    show_slots,
)
from dashboard.components.patch.planes import (
    AXES,
    LEGEND,
    PLANES,
    PatchPicture,
    Shown,
    most_changed,
    patch_picture,
    plane_png,
)
from dashboard.components.patch.steps import (
    pick_way,
)
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import PATCHES, PROGRESS, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import go_to, open_button, page_file
from dashboard.ui.session_keys import Key, Query
from dashboard.ui.theme import begin_page, count, patch_dots, person_name, show_chips
from dashboard.ui.times import format_age, format_time
from db.errors import TomocurateError
from db.queries.life import MergeRecord
from db.queries.patches import PatchRecord
from db.queries.progress import Waiting, waiting_reviews

QUEUE = 200
PLANES_WAY, AROUND_WAY = "Three planes", "Look around"


def show() -> None:
    """Show the patch that the address names, else the one that waits longest."""
    lab = current_lab()
    with lab.workspace.catalog.read() as session:
        queue = waiting_reviews(session, QUEUE)
    if Query.PATCH not in st.query_params and queue:
        st.query_params[Query.PATCH] = queue[0].name
    name = st.query_params.get(Query.PATCH)
    if name is None:
        begin_page("Review")
        show_empty(
            "Nothing to review.",
            "Merged patches appear here when their annotators submit them.",
            PATCHES,
            PROGRESS,
        )
        return
    history = read_history(lab.workspace, name)
    if history is None:
        return
    _patch(lab, history, queue)


def next_of(queue: Sequence[Waiting], name: str) -> str | None:
    """Find the next patch of the queue; the first where this one is not in it."""
    names = [waiting.name for waiting in queue]
    others = [item for item in names if item != name]
    if not others:
        return None
    if name not in names:
        return others[0]
    after = names[names.index(name) + 1 :]
    return after[0] if after else others[0]


def previous_of(queue: Sequence[Waiting], name: str) -> str | None:
    """Find the previous patch of the queue; the last before the first."""
    return next_of(tuple(reversed(queue)), name)


def _queue(queue: Sequence[Waiting], name: str) -> None:
    more = "+" if len(queue) == QUEUE else ""
    with (
        st.popover(
            f"Waiting · {len(queue)}{more}", icon=":material/checklist:", key=f"queue_{name}"
        ),
        st.container(height=460 if len(queue) > 14 else "content", border=False, gap=None),
    ):
        for waiting in queue:
            label = escape(waiting.name)
            open_button(
                f"**{label}**" if waiting.name == name else label,
                "review",
                Query.PATCH,
                waiting.name,
                "waiting",
                help=f"waiting for {format_age(waiting.since)}",
            )
        if not queue:
            st.caption("Nothing to review.")


def _patch(lab: Lab, history: PatchHistory, queue: Sequence[Waiting]) -> None:
    patch, merge = history.patch, history.current_merge
    begin_page(patch.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        show_chips(patch_dots(patch))
        way = pick_way("Look", [PLANES_WAY, AROUND_WAY], patch.name)
        _queue(queue, patch.name)
        _turn(queue, patch.name, way)
        st.page_link(
            page_file("patches"),
            label="History",
            icon=":material/history:",
            width="content",
            query_params={Query.PATCH: patch.name},
        )
    if merge is None:
        show_empty(
            "Not merged yet.", "A patch can be reviewed after its corrections are merged.", PATCHES
        )
        return
    st.caption(
        f"Merge {merge.number}, made {format_time(merge.made_at)} by {person_name(merge.made_by)} "
        f"from {count(len(merge.inputs), 'correction')} by {_painters(history)}"
    )
    picture = _picture(lab.workspace, patch)
    next_name = next_of(queue, patch.name)
    if way == AROUND_WAY:
        with st.container(horizontal=True, vertical_alignment="center"):
            show_decision(lab, history, merge, next_name, compact=True)
        at = most_changed(picture.before, picture.after) if picture else None
        painter(
            lab.workspace,
            lab.person,
            patch,
            read_only=True,
            merge=merge.number,
            at=at,
            key=f"look_{patch.id}_{merge.number}",
        )
    left, right = st.columns([7, 5], gap="medium")
    with left:
        if way == AROUND_WAY:
            show_comments(lab, patch, history.comments)
        elif picture:
            _planes(picture, f"{patch.id}_{merge.number}")
    with right:
        _findings(history, merge)
        if way != AROUND_WAY:
            show_decision(lab, history, merge, next_name)
            look = partial(_look_at, f"{patch.id}_{merge.number}")
            show_comments(lab, patch, history.comments, look)
        with st.expander("Corrections"):
            show_slots(history.slots)


def _look_at(key: str, at: Sequence[int]) -> None:
    """Move the three planes to a voxel, (z, y, x)."""
    for name, value in zip("zyx", at, strict=True):
        st.session_state[f"{Key.SPOT}_{name}_{key}"] = value


def _painters(history: PatchHistory) -> str:
    names = {
        slot.latest.author or slot.latest.author_account for slot in history.slots if slot.counts
    }
    return ", ".join(sorted(escape(name) for name in names if name)) or "nobody"


def _turn(queue: Sequence[Waiting], name: str, way: str) -> None:
    steps = (("Previous", "p", previous_of(queue, name)), ("Next", "n", next_of(queue, name)))
    for label, key, to in steps:
        if st.button(label, shortcut=key, key=f"turn_{key}_{name}", disabled=to is None) and to:
            go_to("review", patch=to, how=way)


def _picture(workspace: Workspace, patch: PatchRecord) -> PatchPicture | None:
    folders, name = workspace.folders, patch.name
    files = folders.image_of(name), folders.label_of(name), folders.merged_of(name)
    try:
        return patch_picture(*files)
    except TomocurateError as error:
        st.error(escape(error))
        return None


@st.fragment
def _planes(picture: PatchPicture, key: str) -> None:
    """Show three planes; moving through them runs this part of the page alone."""
    shown = _pick_view(key)
    start = most_changed(picture.before, picture.after)
    with st.container(key="tc_slices"):
        large, small = st.columns([1.96, 1], gap="small")
        places = [place.container(gap="small") for place in (large, small, small)]
        images = [place.empty() for place in places]
        sides = zip(places, "zyx", picture.shape, start, strict=True)
        at = Zyx(
            *(
                _slider(image, name, side, first, f"{Key.SPOT}_{name}_{key}")
                for image, name, side, first in sides
            )
        )
        for image, (plane, axis) in zip(images, PLANES, strict=True):
            image.image(
                plane_png(picture, shown, axis, at),
                width="stretch",
                caption=f"{plane} · {AXES[plane]}",
                alt=f"{plane} plane of the patch",
            )
    show_chips(LEGEND if shown is Shown.DIFFERENCE else LEGEND[:1] + LEGEND[3:], "legend")


def _slider(place: DeltaGenerator, name: str, side: int, first: int, key: str) -> int:
    st.session_state.setdefault(key, first)
    return int(place.slider(name, 0, side - 1, key=key))


def _pick_view(merge: str) -> Shown:
    """Choose what is drawn of a merge, by button or by the keys 1 to 4."""
    kept, now = st.session_state.get(Key.SHOWN, [merge, Shown.DIFFERENCE])
    now = Shown(now if kept == merge else Shown.DIFFERENCE)
    with st.container(horizontal=True, gap="small"):
        for number, shown in enumerate(Shown, 1):
            st.button(
                shown.value,
                shortcut=str(number),
                key=f"show_{shown.name}_{merge}",
                on_click=_show,
                args=(merge, shown.value),
                type="primary" if shown is now else "secondary",
            )
    return now


def _show(merge: str, shown: str) -> None:
    st.session_state[Key.SHOWN] = [merge, shown]


def _findings(history: PatchHistory, merge: MergeRecord) -> None:
    """Show what the merge changed, and earlier verdicts."""
    _counts(merge)
    for finding in merge.findings:
        st.caption(f":material/info: {escape(finding)}")
    for verdict in history.reviews:
        why = f": “{escape(verdict.reason)}”" if verdict.reason else ""
        st.caption(
            f"Merge {verdict.merge} {verdict.verdict.value}ed by "
            f"{person_name(verdict.reviewer)}, {format_time(verdict.decided_at)}{why}"
        )
    if history.patch.stale:
        st.warning(
            "Corrections changed since this merge: merge again first.",
            icon=":material/sync_problem:",
        )


def _counts(merge: MergeRecord) -> None:
    did = merge.counts
    if merge.nothing_to_change:
        st.info("Its annotator found nothing to change.", icon=":material/info:")
    show_chips(
        [
            (f"{name} {did.get(name, 0):,}", color)
            for name, color in (
                ("added", colors.ADD),
                ("removed", colors.REMOVE),
                ("ignored", colors.IGNORE),
            )
        ]
    )
    rest = {name: did[name] for name in ("contested", "lost_in_border") if did.get(name)}
    if rest:
        st.caption(counts(rest))


if __name__ == "__main__":
    show()
