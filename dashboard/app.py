"""The dashboard: its pages under one navigation."""

from pathlib import Path

import streamlit as st

from dashboard.places import PLACES

PAGES = Path(__file__).with_name("pages")


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="tomocurate", page_icon=":material/deployed_code:", layout="wide")
    st.navigation(pages(), position="top").run()


def pages() -> list[st.Page]:
    """The pages in their order; the first is where one arrives."""
    return [
        st.Page(PAGES / f"{name}.py", title=title, icon=icon, url_path=address, default=not number)
        for number, (name, (title, icon, address)) in enumerate(PLACES.items())
        if (PAGES / f"{name}.py").exists()
    ]


if __name__ == "__main__":
    main()
