"""The names under which pages keep what they remember: session state and the address, one place.

Values are ids and strings. What stands in the address (``?patch=...``) is named as people read it.
"""

from enum import StrEnum


class Key(StrEnum):
    """Keys of the session state."""

    NOTIFICATIONS = "notifications"
    """Messages of the last steps, to be shown once."""
    JOBS_SEEN = "jobs_seen"
    """Ids of this person's jobs that were running when the page last looked."""
    TOASTS = "toasts"
    """Messages about jobs that wait for the page to be drawn anew."""
    UPLOADS = "uploads"
    """Counts uploads, so that the field for files is empty after each."""
    RECEIVED = "received"
    """Results of the files uploaded last, and their patch."""
    PAINTING = "painting"
    """The patch that is open in the painter."""
    UNSAVED = "unsaved"
    """With a patch's id: how many unsaved strokes its painter reported last."""
    KIT = "kit"
    """The patches that a kit was made for."""
    VIEW = "view"
    """The saved filter that was picked."""
    BEFORE = "before"
    """The event before which the log is read."""
    SHOWN = "shown"
    """Difference, before, after or image alone."""
    MISSING = "missing"
    """The field for a reason that was left empty."""
    SPOT = "spot"
    """Where a reviewer looks in a patch."""
    PAIRS = "pairs"
    """The files to register."""
    PLAN = "plan"
    """For which training set the labels were read, and when."""
    FIGURES = "figures_asked"
    """When figures of the labels were asked for."""
    MEASURES = "measures"
    """The measurements made last."""
    LIST = "list"
    """The address of the list of patches as it was left."""
    OPEN = "open"
    """The row of a table that was clicked."""
    BELOW = "below"
    """The folder that is browsed for tomograms."""


class Query:
    """Words in the address, which are keys of the widgets that they fill as well."""

    PATCH = "patch"
    TOMOGRAM = "tomogram"
    PROPOSAL = "proposal"
    PAGE = "page"
    WAY = "how"
