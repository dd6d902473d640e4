"""Views that people keep: the filter of a page under a name, stored as its rules."""

from collections.abc import Mapping

from core.access.permissions import Action, require
from core.lab.lab import Lab
from core.workspace.text import check_text
from db.queries.progress import ViewRecord, saved_views
from db.writes import people as writes
from db.writes.events import Change

LONGEST_NAME = 80


def save_view(lab: Lab, name: str, page: str, rules: Mapping[str, object]) -> None:
    """Keep a filter of a page under a name of one's own, over an older one of that name.

    Errors: NotAllowedError; StepError for no name.
    """
    name = check_text("the view's name", name, LONGEST_NAME)
    with lab.catalog.write() as session:
        require(session, lab.person, Action.SAVE_VIEW)
        writes.save_view(session, Change.now(lab.person.id), name, page, dict(rules))


def list_views(lab: Lab, page: str) -> tuple[ViewRecord, ...]:
    """One's own views of a page and those that are shared, by name."""
    with lab.catalog.read() as session:
        require(session, lab.person, Action.VIEW)
        return saved_views(session, lab.person.id, page)
