"""The pages in the order of the work: file, title and icon of each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer

REGISTER_TAB = "Register more"
"""The tab of Tomograms where files are registered."""


class Place(NamedTuple):
    """A page as the navigation shows it; ``key`` is its last word in the address."""

    title: str
    icon: str
    address: str


PLACES: Mapping[str, Place] = {
    "progress": Place("Progress", ":material/monitoring:", "progress"),
    "tomograms": Place("Tomograms", ":material/view_in_ar:", "tomograms"),
    "browse": Place("Browse & choose", ":material/add_location_alt:", "browse"),
    "patches": Place("Patches", ":material/grid_view:", "patches"),
    "correct": Place("Correct", ":material/brush:", "correct"),
    "review": Place("Review", ":material/rate_review:", "review"),
    "quality": Place("Quality", ":material/fact_check:", "quality"),
    "share": Place("Share", ":material/ios_share:", "share"),
    "import_bundle": Place("Import", ":material/move_to_inbox:", "import"),
    "activity": Place("Activity", ":material/history:", "activity"),
    "settings": Place("Settings", ":material/settings:", "settings"),
}
"""By the name of the file in ``pages``."""


def page_file(name: str) -> str:
    """Name a page for ``st.page_link`` and ``st.switch_page``."""
    return f"pages/{name}.py"


def go_to(page: str, **query: str) -> NoReturn:
    """Open a page at an address; also the page that is open already.

    A link (``st.page_link``) from a page to itself changes what is shown and not the address, so
    that the next click would act on something else.
    """
    st.switch_page(page_file(page), query_params=query)


def open_button(label: str, page: str, word: str, name: str, key: str, **options: Any) -> None:
    """Put a button that reads as a link and opens ``name`` on a page."""
    options = {"type": "tertiary", **options}
    if st.button(label, key=f"{key}_{name}", **options):
        go_to(page, **{word: name})


def tabs(page: str, names: Sequence[str]) -> dict[str, TabContainer]:
    """Put tabs on a page, by name; the address names the open one, which messages leave open.

    Fill only the tab whose ``open`` is true: the others are not looked at.
    """
    made = st.tabs(names, key=f"{page}_tab", bind="query-params", on_change="rerun")
    return dict(zip(names, made, strict=True))
