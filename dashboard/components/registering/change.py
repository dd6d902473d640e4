"""Change a registration from a tomogram's page: rename, group, relocate, unregister."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from core.access.permissions import Action, may
from core.lab.lab import Lab
from core.tomograms.data_permissions import group
from core.tomograms.relocate import relocate, unregister
from core.tomograms.rename import rename
from core.workspace.results import FAILED
from dashboard.ui.escape import escape
from dashboard.ui.notifications import notify_outcomes, notify_refusal, run_action
from dashboard.ui.session_keys import Query
from db.errors import TomocurateError
from db.queries.volumes import TomogramRecord

Bind = Callable[[TomogramRecord, Callable[..., None]], Callable[..., None]]


def show_registration(lab: Lab, tomogram: TomogramRecord, bind: Bind) -> None:
    """Put the controls of a tomogram's registration in a popover."""
    if not may(lab.person.role, Action.REGISTER):
        return
    known = {"lab": lab, "tomogram": tomogram}
    with st.popover("Change registration…"):
        dataset, token = st.columns(2)
        dataset.text_input("Dataset", value=tomogram.dataset, key=_key(tomogram, "dataset"))
        token.text_input("Token", value=tomogram.token, key=_key(tomogram, "token"))
        for step, label, help_text in (
            (save_name, "Rename", "Its patches, their files and records follow."),
            (save_specimen, "Group", "No split separates tomograms of one specimen."),
            (save_place, "Relocate", "The content must be the registered one."),
            (remove, "Unregister", "Only while no patch was chosen in it. The file stays."),
        ):
            if step is save_specimen:
                key = _key(tomogram, "specimen")
                st.text_input("Specimen", value=tomogram.specimen or "", key=key)
            elif step is save_place:
                key = _key(tomogram, "file")
                st.text_input("File", value=str(tomogram.on_disk.file), key=key)
            st.button(
                label,
                key=_key(tomogram, label.lower()),
                help=help_text,
                on_click=bind(tomogram, step),
                kwargs=known,
            )


def save_name(lab: Lab, tomogram: TomogramRecord) -> None:
    """Rename the tomogram, and stay on its page."""
    name = [st.session_state[_key(tomogram, part)] for part in ("dataset", "token")]
    renamed = run_action(
        lambda: rename(lab, tomogram.name, *name),
        lambda outcome: f"**{escape(outcome.name)}** {escape(outcome.message)}",
    )
    if renamed is not None:
        st.query_params[Query.TOMOGRAM] = renamed.name


def save_specimen(lab: Lab, tomogram: TomogramRecord) -> None:
    """State the specimen of the tomogram; an empty field takes it out."""
    specimen = st.session_state[_key(tomogram, "specimen")].strip() or None
    run_action(
        lambda: group(lab, [tomogram.name], specimen)[0],
        lambda outcome: f"**{escape(outcome.name)}** {escape(outcome.message)}",
    )


def save_place(lab: Lab, tomogram: TomogramRecord) -> None:
    """State where the tomogram's file is."""
    file = Path(st.session_state[_key(tomogram, "file")])
    run_action(
        lambda: relocate(lab, tomogram.name, file),
        lambda outcome: f"**{escape(outcome.name)}** {escape(outcome.message)}",
    )


def remove(lab: Lab, tomogram: TomogramRecord) -> None:
    """Unregister the tomogram, and go back to the list."""
    try:
        outcomes = unregister(lab, [tomogram.name])
    except TomocurateError as error:
        notify_refusal(error)
        return
    notify_outcomes(outcomes, "unregistered", ("tomogram", "tomograms"))
    if outcomes[0].outcome != FAILED:
        del st.query_params[Query.TOMOGRAM]


def _key(tomogram: TomogramRecord, field: str) -> str:
    return f"registration_{field}_{tomogram.name}"
