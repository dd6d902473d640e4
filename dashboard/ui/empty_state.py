"""Pages with nothing on them say the next step, and lead there."""

from collections.abc import Mapping
from typing import NamedTuple

import streamlit as st

from dashboard.ui.navigation import REGISTER_TAB


class NextStep(NamedTuple):
    """Link from an empty page to the next step."""

    page: str
    """Such as ``pages/tomograms.py``."""
    label: str
    icon: str
    query: Mapping[str, str] = {}
    """Words of the address."""


REGISTER = NextStep(
    "pages/tomograms.py", "Register a tomogram", ":material/add:", {"tomograms_tab": REGISTER_TAB}
)
CHOOSE = NextStep("pages/browse.py", "Choose patch centers", ":material/add_location_alt:")
PATCHES = NextStep("pages/patches.py", "All patches", ":material/grid_view:")
PROGRESS = NextStep("pages/progress.py", "Progress", ":material/monitoring:")


def show_empty(what: str, next_: str, *steps: NextStep) -> None:
    """Say what is not there yet and what to do; all words are ours."""
    with st.container(border=True, horizontal_alignment="center", key=f"empty_{abs(hash(what))}"):
        st.space("small")
        st.markdown(f"**{what}**", width="content")
        st.caption(next_, width="content")
        with st.container(horizontal=True, horizontal_alignment="center"):
            for step in steps:
                _link(step)
        st.space("small")


def _link(step: NextStep) -> None:
    """Link to a step; the button works also on the page that it leads to."""
    if not step.query:
        st.page_link(step.page, label=step.label, icon=step.icon, width="content")
    elif st.button(step.label, icon=step.icon, type="tertiary", key=f"step_{step.label}"):
        st.switch_page(step.page, query_params=step.query)
