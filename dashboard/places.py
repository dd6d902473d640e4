"""The pages in the order of the work: file, title and icon of each."""

from collections.abc import Mapping
from typing import NamedTuple


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
    "take_in": Place("Import", ":material/move_to_inbox:", "import"),
    "activity": Place("Activity", ":material/history:", "activity"),
    "settings": Place("Settings", ":material/settings:", "settings"),
}
"""By the name of the file in ``pages``."""


def page_file(name: str) -> str:
    """A page as ``st.page_link`` and ``st.switch_page`` name it."""
    return f"pages/{name}.py"
