"""Progress: your work first, then how far all patches are."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.access.permissions import Action, may
from core.lab.lab import Lab
from dashboard.components.patch import filter as patch_filter
from dashboard.ui import plots
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import CHOOSE, REGISTER, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import page_file
from dashboard.ui.session_keys import Query
from dashboard.ui.theme import STAGE_NAMES, begin_page, count, patch_dots, show_chips
from dashboard.ui.times import format_age
from db.queries import progress as queries
from db.queries.page import Page
from db.queries.patches import PatchFilter, PatchRecord, PatchSort, count_patches, list_patches
from db.queries.people import PersonRecord
from db.queries.progress import Progress, Waiting
from db.queries.proposals import ProposalRecord, list_proposals
from db.vocabulary import Stage, Verdict

WAY = (
    ("1 · Register", "A tomogram and its predicted segmentation; the files stay where they are."),
    (
        "2 · Choose",
        "Two to five places where the prediction is wrong and you can see what is right.",
    ),
    ("3 · Extract", "A patch of 160³ voxels is cut at each place."),
    ("4 · Correct", "Paint Add, Remove and Ignore here, or in MITK, napari, Amira, 3D Slicer."),
    ("5 · Merge, review", "Corrections become a training label; a reviewer accepts it."),
    ("6 · Share", "Accepted patches become a training set, or a bundle for others."),
)

# Stages at which a patch waits for its annotator.
TO_DO = (Stage.EXTRACTED, Stage.CORRECTING, Stage.MERGED)
# Patches of a list on this page.
SHOWN = 6
# Stages at which a patch can be claimed for correction.
FREE = (Stage.EXTRACTED, Stage.CORRECTING)


@dataclass(frozen=True)
class Board:
    """Hold everything that the page shows."""

    numbers: Progress
    mine: tuple[PatchRecord, ...]
    mine_in_all: int
    to_review: tuple[Waiting, ...]
    newer_wait: int
    proposals: Page[ProposalRecord]
    """Places that nobody decided on: how many, and the first."""
    unassigned: int
    """Patches to correct that nobody has."""
    by_tomogram: Mapping[str, Mapping[Stage, int]]
    by_person: Mapping[str, Mapping[Stage, int]]
    weeks: Mapping[dt.datetime, Mapping[Verdict, int]]
    balance: Mapping[str, int]
    reasons: list[tuple[str, int]]

    @property
    def patches(self) -> int:
        return sum(self.numbers.patches.values())


def read_board(lab: Lab, now: dt.datetime) -> Board:
    """Ask the catalog once for all of the page."""
    wanted = PatchFilter(assignee=lab.person.name, stage=TO_DO)
    with lab.workspace.catalog.read() as session:
        mine = list_patches(session, wanted, PatchSort.UPDATED, limit=200)
        return Board(
            numbers=queries.progress(session),
            mine=tuple(sorted(mine, key=lambda patch: patch.rejected_reason is None)),
            mine_in_all=mine.total,
            to_review=queries.waiting_reviews(session),
            newer_wait=count_patches(session, PatchFilter(newer_corrections_wait=True)),
            proposals=list_proposals(session, limit=1),
            unassigned=count_patches(session, PatchFilter(unassigned=True, stage=FREE)),
            by_tomogram=queries.stages_by_tomogram(session),
            by_person=queries.stages_by_person(session),
            weeks=queries.verdicts_by_week(session, now),
            balance=queries.label_balance(session),
            reasons=queries.reject_reasons(session),
        )


def target_of(points: Sequence[Mapping[str, Any]], what: str) -> dict[str, str] | None:
    """Give the filter of a clicked bar, as words of the address; None for no bar."""
    if not points:
        return None
    name, stage = points[0]["customdata"]
    return {what: str(name), "stage": STAGE_NAMES[Stage(str(stage))]}


def show() -> None:
    """Show the page."""
    lab = current_lab()
    begin_page("Progress")
    board = read_board(lab, dt.datetime.now(dt.UTC))
    if not board.numbers.tomograms and not board.patches:
        show_empty(
            "Nothing is registered yet.",
            "Begin with a tomogram and its predicted segmentation; patches are cut from it.",
            REGISTER,
        )
        _way()
        return
    _numbers(board)
    left, right = st.columns([5, 7], gap="medium")
    with left:
        _mine(board, lab.person)
    with right:
        _where_it_stands(board)
    _over_time(board)


def _way() -> None:
    """Show the whole workflow to somebody who comes here first."""
    st.header("From tomogram to training set", anchor=False)
    for column, (step, text) in zip(st.columns(len(WAY), gap="small"), WAY, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{step}**")
            st.caption(text)


def _numbers(board: Board) -> None:
    waiting = board.numbers.patches
    cells = (
        ("Tomograms", board.numbers.tomograms),
        ("Patches", board.patches),
        ("To correct", waiting[Stage.EXTRACTED] + waiting[Stage.CORRECTING]),
        ("In review", waiting[Stage.IN_REVIEW]),
        ("Accepted", waiting[Stage.ACCEPTED]),
        ("Rejected, to correct again", board.numbers.rejected),
    )
    for column, (label, number) in zip(st.columns(len(cells), gap="small"), cells, strict=True):
        column.metric(label, f"{number:,}")


def _mine(board: Board, person: PersonRecord) -> None:
    st.header("Your work", anchor=False)
    shown = False
    if board.mine:
        shown = True
        back = sum(patch.rejected_reason is not None for patch in board.mine)
        total = f"**{count(board.mine_in_all, 'patch', 'patches')} to correct**"
        st.markdown(f"{total}{f', {back} rejected by a reviewer' if back else ''}")
        with st.container(gap=None):
            for patch in board.mine[:SHOWN]:
                _patch_line(patch)
        if board.mine_in_all > SHOWN:
            _link("patches", f"All {board.mine_in_all} of mine", {"person": person.name})
    if board.to_review and may(person.role, Action.REVIEW):
        shown = True
        in_review = board.numbers.patches[Stage.IN_REVIEW]
        oldest = format_age(board.to_review[0].since)
        st.markdown(
            f"**{count(in_review, 'patch', 'patches')} to review**, the oldest waiting for {oldest}"
        )
        with st.container(gap=None):
            for waiting in board.to_review[:SHOWN]:
                _link("review", escape(waiting.name), {Query.PATCH: waiting.name})
        if in_review > SHOWN:
            stage = {"stage": STAGE_NAMES[Stage.IN_REVIEW]}
            _link("patches", f"All {in_review} in review", stage)
    shown = _to_arrange(board, person) or shown
    if not shown:
        show_empty(
            "Nothing to do for you.",
            "Claim a patch without an annotator, or choose new ones in a tomogram."
            if may(person.role, Action.CLAIM)
            else "You may look at everything; ask an admin for another role to take part.",
            CHOOSE,
        )


def _patch_line(patch: PatchRecord) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _link("correct", escape(patch.name), {Query.PATCH: patch.name})
        show_chips(patch_dots(patch))
    if patch.rejected_reason:
        st.caption(f"“{escape(patch.rejected_reason)}”")


def _to_arrange(board: Board, person: PersonRecord) -> bool:
    """Show what needs a decision; give whether there was anything."""
    numbers = board.numbers
    lines: list[tuple[str, dict[str, str | list[str]]]] = []
    chosen = numbers.patches[Stage.CHOSEN]
    if chosen and may(person.role, Action.EXTRACT):
        lines.append(
            (
                f"{count(chosen, 'chosen patch', 'chosen patches')} to extract",
                {"stage": STAGE_NAMES[Stage.CHOSEN]},
            )
        )
    if board.unassigned and may(person.role, Action.CLAIM):
        lines.append(
            (
                f"{count(board.unassigned, 'patch', 'patches')} to correct without an annotator",
                {"person": "Nobody", "stage": [STAGE_NAMES[stage] for stage in FREE]},
            )
        )
    if board.newer_wait and may(person.role, Action.MERGE):
        lines.append(
            (
                f"{count(board.newer_wait, 'accepted patch', 'accepted patches')} with newer "
                "corrections",
                {"mark": "Newer corrections wait"},
            )
        )
    if lines or board.proposals:
        st.markdown("**Needs a decision**")
    with st.container(gap=None):
        for label, query in lines:
            _link("patches", label, query)
        if board.proposals and may(person.role, Action.CHOOSE):
            label = (
                f"{count(board.proposals.total, 'proposed place', 'proposed places')} to look at"
            )
            first = board.proposals.rows[0]
            _link("browse", label, {"tomogram": first.tomogram, "proposal": str(first.id)})
    return bool(lines or board.proposals)


def _where_it_stands(board: Board) -> None:
    st.header("Stages", anchor=False)
    if not board.patches:
        show_empty("No patch is chosen yet.", "Two to five per tomogram are enough.", CHOOSE)
        return
    by_tomogram, by_person = st.tabs(["By tomogram", "By person"])
    with by_tomogram:
        _clickable(
            plots.stages_by(board.by_tomogram, "patches"), patch_filter.TOMOGRAM, "bars_tomogram"
        )
    with by_person:
        if board.by_person:
            _clickable(plots.stages_by(board.by_person, "patches"), "person", "bars_person")
        else:
            show_empty(
                "No patch has an annotator yet.", "People claim patches, or a curator assigns them."
            )
    st.caption("Click a bar to list its patches.")


def _clickable(figure: go.Figure, what: str, key: str) -> None:
    chosen = st.plotly_chart(
        figure, key=key, on_select="rerun", selection_mode="points", config=plots.NO_TOOLS
    )
    query = target_of(chosen.selection.points, what)
    if query:
        st.switch_page(page_file("patches"), query_params=query)


def _over_time(board: Board) -> None:
    decided = any(board.weeks.values())
    left, right = st.columns([7, 5], gap="medium")
    with left:
        st.header("Reviewed by week", anchor=False)
        if decided:
            st.plotly_chart(plots.throughput(board.weeks), key="weeks", config=plots.NO_TOOLS)
        else:
            show_empty(
                "No patch was reviewed in the last 12 weeks.",
                "Merged patches are submitted; a reviewer accepts or rejects them.",
            )
    with right:
        st.header("Label composition", anchor=False)
        if board.balance:
            st.plotly_chart(
                plots.label_balance(board.balance), key="balance", config=plots.NO_TOOLS
            )
        else:
            show_empty(
                "No label was merged yet.",
                "Shares of membrane, background and ignore appear here.",
            )
        if board.reasons:
            st.header("Reasons for rejection", anchor=False)
            st.plotly_chart(
                plots.reject_reasons(board.reasons), key="reasons", config=plots.NO_TOOLS
            )


def _link(page: str, label: str, query: Mapping[str, str | list[str]]) -> None:
    st.page_link(page_file(page), label=label, query_params=dict(query), width="content")


if __name__ == "__main__":
    show()
