"""Browse & choose: look through a tomogram and its segmentations, choose patch centers by click.

The viewer scrolls by itself; only a chosen center runs this page's fragment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import streamlit as st

from core.access.permissions import Action, may
from core.imaging.geometry import Zyx
from core.jobs.queue import submit_batch
from core.lab.lab import Lab
from core.patches.choose import box_of, choose
from core.tomograms.pictures import segmentation_name, tomogram_name, want_previews
from core.workspace.results import DONE, FAILED, Outcome
from core.workspace.workspace import Workspace
from dashboard.components import proposals
from dashboard.components.viewer import (
    PatchMark,
    Said,
    Scene,
    ViewedObject,
    chosen_center,
    show_viewer,
    viewer_data,
)
from dashboard.ui.context import current_lab, current_person, current_workspace
from dashboard.ui.empty_state import REGISTER, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import page_file
from dashboard.ui.notifications import notify_refusal, show_notifications
from dashboard.ui.session_keys import Query
from dashboard.ui.theme import (
    REASON_NAMES,
    STAGE_COLORS,
    STAGE_NAMES,
    begin_page,
    count,
    name_tab,
)
from dashboard.ui.times import format_time
from db.errors import TomocurateError
from db.queries.patches import PatchRecord, get_patch, patches_in
from db.queries.people import PersonRecord
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    get_tomogram,
    segmentations_of,
    tomogram_names,
)
from db.vocabulary import JobKind, Stage

VIEWER = "viewer"
PICKED = "browse_tomogram"
"""The picker's own key: the filter of the patches has a field of this name, which may be empty."""
SAID = "browse_said"
"""What came of the last choice: a sentence, and whether it was saved."""
ASKED = "browse_asked"
"""The tomogram whose previews this session asked for last."""
PLACE_WORDS = ("at", "plane", Query.PATCH, Query.PROPOSAL)
"""Words of the address that belong to one tomogram."""


@dataclass(frozen=True)
class Opened:
    """A tomogram as this page shows it."""

    tomogram: TomogramRecord
    segmentations: tuple[SegmentationRecord, ...]
    patches: tuple[PatchRecord, ...]

    @property
    def to_extract(self) -> list[str]:
        return [patch.name for patch in self.patches if patch.stage is Stage.CHOSEN]


def open_tomogram(workspace: Workspace, name: str) -> Opened:
    """Ask the catalog once for all that this page shows of a tomogram.

    Errors: UnknownNameError.
    """
    with workspace.catalog.read() as session:
        tomogram = get_tomogram(session, name)
        patches = patches_in(session, tomogram.id)
        alive = tuple(patch for patch in patches if not patch.withdrawn)
        return Opened(tomogram, segmentations_of(session, tomogram.id), alive)


def scene_of(here: Opened, person: PersonRecord, selected: str | None, said: Said | None) -> Scene:
    """Describe what the viewer shows."""
    return Scene(
        ViewedObject(tomogram_name(here.tomogram.id), here.tomogram.name),
        [
            ViewedObject(segmentation_name(segmentation.id), _model(segmentation))
            for segmentation in here.segmentations
        ],
        [mark for patch in here.patches if (mark := _mark(patch))],
        selected,
        may_choose=bool(here.segmentations) and may(person.role, Action.CHOOSE),
        reasons=[(because.value, name) for because, name in REASON_NAMES.items()],
        said=said,
    )


def save_choice(
    lab: Lab, tomogram: str, told: Any, segmentation_id: int | None
) -> tuple[str | None, Said]:
    """Save the center that a browser tells: the patch's name, and what to say."""
    try:
        chosen = chosen_center(told)
        outcome = choose(
            lab,
            tomogram,
            [chosen.center],
            reason=chosen.because,
            near_border=chosen.near_border,
            segmentation_id=segmentation_id,
        )[0]
        if outcome.outcome == FAILED:
            return None, Said(str(outcome.message), False)
        with lab.workspace.catalog.read() as session:
            return outcome.name, _result(outcome, get_patch(session, outcome.name), lab.person)
    except TomocurateError as error:
        return None, Said(str(error), False)


def show() -> None:
    """Show the page."""
    workspace = current_workspace()
    with workspace.catalog.read() as session:
        names = tomogram_names(session)
    if not names:
        begin_page("Browse & choose")
        show_empty(
            "No tomogram yet.",
            "Register one with its predicted segmentation, then choose patch centers here.",
            REGISTER,
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.title("Browse & choose", anchor=False, width="content")
        name = _pick(names)
        name_tab(f"Browse {name}")
        here = open_tomogram(workspace, name)
        st.caption(_facts(here), width="content")
        proposals.show_switch(workspace)
    show_notifications()
    if st.session_state.get(ASKED) != name:
        st.session_state[ASKED] = name
        want_previews(
            workspace,
            current_person().id,
            [
                tomogram_name(here.tomogram.id),
                *(segmentation_name(s.id) for s in here.segmentations),
            ],
        )
    _look(name)


def _pick(names: Sequence[str]) -> str:
    """Pick the tomogram of the address, or of the selection box."""
    wanted = st.query_params.get(Query.TOMOGRAM)
    full = next((name for name in names if wanted in (name, name.partition("/")[2])), None)
    if wanted and full is None:
        st.warning(f"No tomogram is called {escape(wanted)}; another is shown.")
    st.session_state[PICKED] = full or st.session_state.get(PICKED) or names[0]
    name: str = st.selectbox(
        "Tomogram", names, key=PICKED, label_visibility="collapsed", on_change=_other, width=340
    )
    if st.query_params.get(Query.TOMOGRAM) != name:
        st.query_params[Query.TOMOGRAM] = name
    return name


def _other() -> None:
    """Another tomogram was picked: the place in the address was the last one's."""
    st.query_params[Query.TOMOGRAM] = st.session_state[PICKED]
    for word in PLACE_WORDS:
        st.query_params.pop(word, None)
    st.session_state.pop(SAID, None)


@st.fragment
def _look(name: str) -> None:
    """Show the viewer and the patches below it; a choice runs only this."""
    if st.query_params.get(Query.TOMOGRAM, name) not in (name, name.partition("/")[2]):
        st.rerun()  # a proposal of another tomogram came into focus
    lab = current_lab()
    here = open_tomogram(lab.workspace, name)
    decide = st.session_state.get(SAID)
    scene = scene_of(
        here, lab.person, st.query_params.get(Query.PATCH), Said(*decide) if decide else None
    )
    if proposals.is_open():
        proposals.show_list(lab, here.tomogram)
        scene = replace(
            scene,
            proposed=proposals.proposed_data(lab.workspace, here.tomogram.id, lab.person),
            heat=proposals.heat_data(
                lab.workspace, here.tomogram, st.session_state.get(proposals.HEAT)
            ),
        )
    key = f"{VIEWER}_{here.tomogram.id}"
    data = viewer_data(scene)

    def chosen() -> None:
        told = st.session_state[key].chosen
        if told:
            patch, decide = save_choice(
                Lab(lab.workspace, current_person()), name, told, _to_correct(here)
            )
            st.session_state[SAID] = list(decide)
            if patch:
                st.query_params[Query.PATCH] = patch

    def decided() -> None:
        told = st.session_state[key].decided
        if told:
            decide = proposals.decide(Lab(lab.workspace, current_person()), told)
            st.session_state[SAID] = list(decide) if decide.sentence else None

    show_viewer(data, key, on_chosen=chosen, on_decided=decided)
    _patches(lab, here)


def _to_correct(here: Opened) -> int | None:
    """Find the segmentation for new patches, where one is picked."""
    picked = st.session_state.get(f"segmentation_{here.tomogram.id}")
    return picked if isinstance(picked, int) else None


def _patches(lab: Lab, here: Opened) -> None:
    """Show the patches of this tomogram and what comes next."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if len(here.segmentations) > 1 and may(lab.person.role, Action.CHOOSE):
            st.selectbox(
                "Segmentation for new patches",
                [segmentation.id for segmentation in here.segmentations],
                format_func={
                    segmentation.id: _model(segmentation) for segmentation in here.segmentations
                }.__getitem__,
                key=f"segmentation_{here.tomogram.id}",
                width=260,
            )
        for patch in here.patches:
            st.page_link(
                page_file("correct"),
                width="content",
                help=escape(patch.name),
                label=f"{_number(patch.name)} :gray[{STAGE_NAMES[patch.stage].lower()}]",
                query_params={str(Query.PATCH): patch.name},
            )
        _extract(lab, here.tomogram.name, here.to_extract)
    if not here.segmentations:
        st.caption("No segmentation yet: register one to choose patches.")


def _extract(lab: Lab, tomogram: str, names: list[str]) -> None:
    if not names or not may(lab.person.role, Action.EXTRACT):
        return
    label = f"Extract {count(len(names), 'chosen patch', 'chosen patches')}"
    st.button(
        label,
        icon=":material/crop:",
        key=f"extract_{tomogram}",
        on_click=extract_chosen,
        args=(lab, names, label),
    )


def extract_chosen(lab: Lab, names: list[str], label: str) -> None:
    """Let the worker cut the chosen patches of a tomogram."""
    try:
        submit_batch(lab, JobKind.EXTRACT, names)
    except TomocurateError as error:
        notify_refusal(error)
        return
    st.toast(f"{label}: queued.", icon=":material/hourglass_top:")


def _facts(here: Opened) -> str:
    z, y, x = here.tomogram.on_disk.shape
    size = here.tomogram.voxel_size
    facts = [f"{x} × {y} × {z} voxels", f"{size:g} Å" if size else "voxel size unknown"]
    if not here.segmentations:
        facts.append("no segmentation yet")
    return " · ".join(facts)


def _mark(patch: PatchRecord) -> PatchMark | None:
    box = box_of(patch)
    if box is None or patch.center is None:
        return None
    note = f"{STAGE_NAMES[patch.stage]} · {REASON_NAMES[patch.chosen_because].lower()}"
    if patch.assignee:
        note += f" · {patch.assignee}"
    return PatchMark(
        patch.name, Zyx(*patch.center), box, STAGE_COLORS[patch.stage], _number(patch.name), note
    )


def _result(outcome: Outcome, patch: PatchRecord, by: PersonRecord) -> Said:
    what = f"saved at {format_time(patch.updated_at)} by {by.name}, version {patch.version}"
    if outcome.outcome != DONE:
        what = str(outcome.message)
    return Said("; ".join([f"{patch.name}: {what}", *outcome.findings]) + ".", True)


def _model(segmentation: SegmentationRecord) -> str:
    return segmentation.model or PurePosixPath(segmentation.on_disk.path).name


def _number(name: str) -> str:
    """Give the last word of a patch's name: patch3."""
    return name.rpartition("_")[2]


if __name__ == "__main__":
    show()
