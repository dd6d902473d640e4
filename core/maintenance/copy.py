"""Move a workspace's catalog to another database: SQLite to PostgreSQL, or back."""

from sqlalchemy import URL

from core.access.permissions import Action, require
from core.workspace.workspace import Workspace
from db.copy import Tell, copy_rows
from db.engine import parse_url
from db.queries.people import PersonRecord


def copy_catalog(
    workspace: Workspace, by: PersonRecord, url: str | URL, tell: Tell = lambda table, rows: None
) -> dict[str, int]:
    """Copy the catalog into an empty database and compare every row; give the rows by table.

    The workspace goes on using its own catalog until its ``catalog`` setting names the new one:
    stop serving first, or what is written meanwhile stays behind.

    Errors: NotAllowedError; CatalogError where the target is not empty or the copy differs.
    """
    with workspace.catalog.read() as session:
        require(session, by, Action.BACK_UP)
    return copy_rows(workspace.catalog.url, parse_url(url), tell)
