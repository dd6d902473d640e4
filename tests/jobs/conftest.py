"""A workspace for the queue and its workers, on each database, with an admin and an annotator."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.access.os_user import acting_person
from core.workspace.folders import Folders
from core.workspace.workspace import Workspace, open_workspace
from db.engine import Catalog
from db.queries.people import PersonRecord, get_person
from db.schema import open_catalog
from db.vocabulary import Role
from db.writes.events import Change
from db.writes.people import add_person


@pytest.fixture
def workspace(catalog_url: sa.URL, tmp_path: Path) -> Iterator[Workspace]:
    folder = tmp_path / "lab"
    folder.mkdir()
    Folders(folder).make()
    address = catalog_url.render_as_string(hide_password=False)
    (folder / "tomocurate.toml").write_text(f'catalog = "{address}"\n')
    with open_catalog(catalog_url) as catalog:
        add_people(catalog)
    with open_workspace(folder) as opened:
        yield opened


def add_people(catalog: Catalog) -> None:
    with catalog.write() as session:
        add_person(session, Change.now(None), "admin", Role.ADMIN, os_user=getpass.getuser())
        add_person(session, Change.now(None), "anna", Role.ANNOTATOR)
        add_person(session, Change.now(None), "bert", Role.ANNOTATOR)


@pytest.fixture
def admin(workspace: Workspace) -> PersonRecord:
    return acting_person(workspace)


@pytest.fixture
def anna(workspace: Workspace) -> PersonRecord:
    with workspace.catalog.read() as session:
        return get_person(session, "anna")


@pytest.fixture
def bert(workspace: Workspace) -> PersonRecord:
    with workspace.catalog.read() as session:
        return get_person(session, "bert")
