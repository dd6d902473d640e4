"""The dashboard: its pages under one navigation, and what every page has."""

from pathlib import Path

import streamlit as st

from core.errors import explain
from core.lab.lab import Lab
from dashboard.components.shortcuts import keyboard_sheet
from dashboard.server.session import is_served
from dashboard.ui.context import current_person, current_workspace, sign_out, site
from dashboard.ui.escape import escape
from dashboard.ui.job_notices import notify_finished_jobs
from dashboard.ui.navigation import PLACES
from dashboard.ui.theme import CSS, ROLE_NAMES, name_tab
from dashboard.ui.times import zone_name
from db.queries.people import PersonRecord

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
    show_account(person)
    name_tab(page.title)
    run_page(page)
    name = page.url_path or next(iter(PLACES))
    keyboard_sheet(name)
    notify_finished_jobs(Lab(current_workspace(), person), name)


def run_page(page: st.Page) -> None:
    """Run a page; its failure becomes a sentence with a reference.

    Without ``serve``, as in tests, it stays what it is. (Streamlit's own ways to end a run are no
    Exception.)
    """
    try:
        page.run()
    except Exception as error:
        if not is_served():
            raise
        st.error(escape(explain(error)), icon=":material/error:")


def show_account(person: PersonRecord) -> None:
    """Show who is signed in beside the navigation of every page, with the way out."""
    role = ROLE_NAMES[person.role].lower()
    with (
        st.container(key="tc_account"),
        st.popover(f"{escape(person.name)} · {role}", icon=":material/person:", type="tertiary"),
    ):
        st.markdown(f"Signed in as **{escape(person.name)}** ({role}).")
        st.caption(f"Times are shown in {zone_name()}.")
        if site().sign_in:
            st.button("Sign out", icon=":material/logout:", key="sign_out", on_click=sign_out)


def pages() -> list[st.Page]:
    """List the pages in order; the first is the start page."""
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
