"""The Proposals view of Browse & choose: the list, where the viewer looks, and what is decided."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.access.permissions import Action, may
from core.imaging.geometry import Zyx, box_around
from core.jobs.queue import submit
from core.lab.lab import Lab
from core.proposals.channels import Channel
from core.proposals.decide import accept, dismiss
from core.proposals.explain import NAMES
from core.proposals.learned import (
    calibration_sentence,
    corrected_proposals,
    learned_weights,
)
from core.proposals.propose import inputs_of
from core.proposals.store_cells import cells_key, find_cells, open_cells
from core.workspace.results import FAILED, Outcome
from core.workspace.workspace import Workspace
from dashboard.components.viewer import Said
from dashboard.ui.escape import escape
from dashboard.ui.notifications import run_action
from dashboard.ui.plots import NO_TOOLS, expected_against_corrected
from dashboard.ui.session_keys import Query
from db.errors import TomocurateError
from db.queries.people import PersonRecord
from db.queries.proposals import ProposalFilter, ProposalRecord, count_waiting, list_proposals
from db.queries.volumes import TomogramRecord
from db.vocabulary import Dismissal, JobKind

SHOWN = 200
"""Proposals of the list: those with the highest expected gain."""
HEAT = "proposals_heat"
VIEW = "proposals_view"
ROWS = "proposals_rows"
LIST_PX = 214
HOTTEST = 99.5
"""Percentile of the cells with suspicion that is drawn hottest."""


def waiting(workspace: Workspace, tomogram_id: int | None = None) -> tuple[ProposalRecord, ...]:
    """The proposals that nobody decided on, by expected gain."""
    with workspace.catalog.read() as session:
        return list_proposals(session, ProposalFilter(tomogram_id=tomogram_id), limit=SHOWN).rows


def is_open() -> bool:
    """Return whether the view is shown."""
    return bool(st.session_state.get(VIEW, Query.PROPOSAL in st.query_params))


def focused_id() -> int | None:
    """The proposal that the address names."""
    word = st.query_params.get(Query.PROPOSAL, "")
    return int(word) if word.isdecimal() and len(word) < 10 else None


def show_switch(workspace: Workspace) -> None:
    """Open or close the view; its label tells how many wait."""
    with workspace.catalog.read() as session:
        number = count_waiting(session)
    st.session_state.setdefault(VIEW, Query.PROPOSAL in st.query_params)
    st.toggle(f"Proposals ({number:,})", key=VIEW, on_change=_switch)


def show_list(lab: Lab, tomogram: TomogramRecord) -> None:
    """Show the waiting proposals of all tomograms; a click goes there."""
    proposals = waiting(lab.workspace)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if may(lab.person.role, Action.CHOOSE):
            _buttons(lab, tomogram)
        st.selectbox(
            "Heat",
            [None, *Channel],
            format_func=lambda channel: NAMES[channel] if channel else "No heat overlay",
            key=HEAT,
            label_visibility="collapsed",
            width=240,
        )
        with lab.workspace.catalog.read() as session:
            st.caption(calibration_sentence(learned_weights(session, tomogram.dataset)))
    if not proposals:
        st.caption("No open proposals. Scan a tomogram to get some.")
        return
    st.dataframe(
        [_row(proposal) for proposal in proposals],
        key=ROWS,
        height=min(LIST_PX, 38 + 35 * len(proposals)),
        hide_index=True,
        selection_mode="single-row",
        on_select=lambda: _pick(proposals),
        column_config={
            "expected": st.column_config.NumberColumn("Voxels to correct", format="localized"),
            "tomogram": "Tomogram",
            "center": "Center x, y, z",
            "why": st.column_config.TextColumn("Why", width="large"),
        },
    )


def show_expected(workspace: Workspace) -> None:
    """Show what accepted proposals were expected to correct against what was corrected."""
    with workspace.catalog.read() as session:
        corrected = corrected_proposals(session)
        learned = learned_weights(session)
    if not corrected:
        return
    st.subheader("Proposals: expected and corrected", anchor=False)
    st.plotly_chart(expected_against_corrected(corrected), key="expected", config=NO_TOOLS)
    st.caption(calibration_sentence(learned))
    if learned.patches:
        told = [f"{NAMES[c].lower()} {weight:.2f}" for c, weight in learned.weights.items()]
        st.caption(f"Weights of the next round: {', '.join(told)}.")


def proposed_data(workspace: Workspace, tomogram_id: int, person: PersonRecord) -> dict[str, Any]:
    """Return the tomogram's proposals for the viewer, and the one in focus."""
    places = [_place(proposal) for proposal in waiting(workspace, tomogram_id)]
    may_decide = may(person.role, Action.CHOOSE)
    return {"places": places, "focus": focused_id(), "mayDecide": may_decide}


def heat_data(
    workspace: Workspace, tomogram: TomogramRecord, channel: Channel | None
) -> dict[str, Any] | None:
    """A channel's cells as bytes; None where nothing was looked through, or none is asked for."""
    if channel is None:
        return None
    with workspace.catalog.read() as session:
        inputs = inputs_of(session, tomogram)
    if inputs is None:
        return None
    try:
        cells = find_cells(open_cells(workspace.folders.cache), cells_key(inputs))
    except OSError:  # a file is gone: the viewer itself says so
        return None
    if cells is None or channel not in cells.channels:
        return None
    values = cells.channels[channel]
    positive = values[values > 0]
    top = float(np.percentile(positive, HOTTEST)) if positive.size else 1.0
    grays = np.clip(np.sqrt(values / top) * 255, 0, 255).astype(np.uint8)
    return {
        "channel": f"{channel.value} {tomogram.id}",
        "cell": cells.cell,
        "shape": list(values.shape),
        "values": base64.b64encode(grays.tobytes()).decode(),
    }


def decide(lab: Lab, told: Any) -> Said:
    """Do what a browser tells about the place in focus, and put the next one there.

    Nothing of it is believed before it was looked at.
    """
    try:
        number, decision = int(told["id"]), str(told["decision"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return Said("a decision has the number of a proposal and what to do.", False)
    before = waiting(lab.workspace)
    said = Said("", True)
    if decision != "next":
        said = _decide(lab, number, decision)
    if said.saved:
        focus(_next(before, number))
    return said


def focus(proposal: ProposalRecord | None) -> None:
    """Let the address name a proposal and its tomogram."""
    for word in ("at", "plane", Query.PATCH, Query.PROPOSAL):
        st.query_params.pop(word, None)
    if proposal is not None:
        st.query_params[Query.TOMOGRAM] = proposal.tomogram
        st.query_params[Query.PROPOSAL] = str(proposal.id)


def _decide(lab: Lab, number: int, decision: str) -> Said:
    try:
        if decision == "accept":
            return _result(accept(lab, [number])[0])
        return _result(dismiss(lab, [number], Dismissal(decision))[0], "dismissed")
    except (TomocurateError, ValueError) as error:
        return Said(str(error), False)


def _result(outcome: Outcome, what: str = "chosen") -> Said:
    message = "; ".join(filter(None, [outcome.message, *outcome.findings])) or what
    return Said(f"{outcome.name}: {message}", outcome.outcome != FAILED)


def _next(proposals: Sequence[ProposalRecord], number: int) -> ProposalRecord | None:
    """The one after a proposal in the order of the list; from the last, the first."""
    at = next((i for i, proposal in enumerate(proposals) if proposal.id == number), -1)
    others = [*proposals[at + 1 :], *proposals[: max(at, 0)]]
    return others[0] if others else None


def _switch() -> None:
    if not st.session_state[VIEW]:
        st.query_params.pop(Query.PROPOSAL, None)


def _pick(proposals: Sequence[ProposalRecord]) -> None:
    rows = st.session_state[ROWS]["selection"]["rows"]
    if rows and rows[0] < len(proposals):
        focus(proposals[rows[0]])


def _buttons(lab: Lab, tomogram: TomogramRecord) -> None:
    for label, key, names in (
        ("Look through this tomogram", "propose_here", [tomogram.name]),
        ("Look through all", "propose_all", None),
    ):
        st.button(
            label,
            key=key,
            icon=":material/troubleshoot:",
            on_click=_propose,
            args=(lab, names),
        )


def _propose(lab: Lab, names: list[str] | None) -> None:
    what = escape(names[0]) if names else "all tomograms"
    run_action(
        lambda: submit(lab, JobKind.PROPOSE, {"names": names}),
        lambda job: f"Job {job}: a worker looks through {what}; the places appear here.",
    )


def _row(proposal: ProposalRecord) -> dict[str, Any]:
    z, y, x = proposal.center
    return {
        "expected": None if proposal.audit else round(proposal.score),
        "tomogram": proposal.tomogram,
        "center": f"{x}, {y}, {z}",
        "why": proposal.reason.partition(" voxels to correct: ")[2] or proposal.reason,
    }


def _place(proposal: ProposalRecord) -> dict[str, Any]:
    box = box_around(Zyx(*proposal.center))
    pins = [
        {"center": pin["center"], "label": f"{NAMES[Channel(pin['channel'])]}, {pin['voxels']:,}"}
        for pin in proposal.pins
    ]
    label = f"proposal {proposal.id}{' · audit' if proposal.audit else ''}"
    return {
        "id": proposal.id,
        "center": list(proposal.center),
        "start": list(box.start),
        "stop": list(box.stop),
        "label": label,
        "reason": proposal.reason,
        "pins": pins,
    }
