"""The dashboard: its pages under one navigation."""

from pathlib import Path

import streamlit as st

PAGES = Path(__file__).with_name("pages")
TITLES = {
    "progress": ("Progress", ":material/monitoring:"),
    "tomograms": ("Tomograms", ":material/view_in_ar:"),
    "browse": ("Browse & choose", ":material/add_location_alt:"),
    "patches": ("Patches", ":material/grid_view:"),
    "correct": ("Correct", ":material/brush:"),
    "review": ("Review", ":material/rate_review:"),
    "share": ("Share", ":material/ios_share:"),
    "activity": ("Activity", ":material/history:"),
    "settings": ("Settings", ":material/settings:"),
}
"""Title and icon of each page, in the order of the work."""


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="tomocurate", page_icon=":material/deployed_code:", layout="wide")
    st.navigation(pages(), position="top").run()


def pages() -> list[st.Page]:
    """The pages in their order; the first is where one arrives."""
    return [
        st.Page(PAGES / f"{name}.py", title=title, icon=icon, url_path=name, default=number == 0)
        for number, (name, (title, icon)) in enumerate(TITLES.items())
        if (PAGES / f"{name}.py").exists()
    ]


if __name__ == "__main__":
    main()
