"""The dashboard: its pages under one navigation, and what every page has."""

from pathlib import Path

import streamlit as st

from dashboard.components.shortcuts import keyboard_sheet
from dashboard.ui.context import current_person, current_workspace
from dashboard.ui.job_notices import notify_finished_jobs
from dashboard.ui.navigation import PLACES
from dashboard.ui.theme import CSS

PAGES = Path(__file__).with_name("pages")
ICON = Path(__file__).with_name("assets") / "icon.png"
"""Ours: for a named icon browsers would ask another host."""


def main() -> None:
    """Show the page that the address names."""
    # Before the navigation, whose named icons a browser would else fetch from another host.
    st.set_page_config(page_title="tomocurate", page_icon=ICON, layout="wide")
    st.html(CSS)
    page = st.navigation(pages(), position="top")
    person = current_person()
    page.run()
    keyboard_sheet(page.url_path or next(iter(PLACES)))
    notify_finished_jobs(current_workspace(), person)


def pages() -> list[st.Page]:
    """The pages in their order; the first is where one arrives."""
    return [
        st.Page(
            PAGES / f"{name}.py",
            title=place.title,
            icon=place.icon,
            url_path=place.address,
            default=number == 0,
        )
        for number, (name, place) in enumerate(PLACES.items())
        if (PAGES / f"{name}.py").exists()
    ]


if __name__ == "__main__":
    main()
