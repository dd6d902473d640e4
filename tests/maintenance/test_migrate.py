"""An older catalog is backed up, then migrated; where that fails, it stays as it was."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import OutputError
from core.maintenance.backup import list_backups
from core.maintenance.manifest import manifests, read_manifest
from core.maintenance.migrate import migrate_workspace
from core.maintenance.restore import restore
from core.workspace.workspace import open_workspace
from db import schema
from db.errors import CatalogError
from db.queries.people import list_people
from db.schema import SCHEMA
from db.vocabulary import BackupKind

OLDEST = "0001"


@pytest.fixture
def old(empty_url: sa.URL, tmp_path: Path) -> Path:
    """A workspace whose catalog is at the first schema, with somebody in it."""
    folder = tmp_path / "lab"
    folder.mkdir()
    address = empty_url.render_as_string(hide_password=False)
    (folder / "tomocurate.toml").write_text(f'catalog = "{address}"\n')
    schema._upgrade(empty_url, OLDEST)
    engine = sa.create_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO people (name, role, disabled, created_at, version, updated_at) VALUES "
                "('anna', 'annotator', false, '2026-01-01 00:00:00', 1, '2026-01-01 00:00:00')"
            )
        )
    engine.dispose()
    return folder


def names(folder: Path) -> list[str]:
    with open_workspace(folder) as workspace, workspace.catalog.read() as session:
        return [person.name for person in list_people(session)]


def test_an_older_workspace_says_how_to_migrate(old: Path) -> None:
    with pytest.raises(CatalogError, match="run tomocurate migrate"):
        open_workspace(old)


def test_an_older_catalog_is_backed_up_and_migrated(
    old: Path, tmp_path: Path, database: str
) -> None:
    assert migrate_workspace(old) == (OLDEST, SCHEMA)
    assert names(old) == ["anna"]
    with open_workspace(old) as workspace:
        (record,) = list_backups(workspace)
    assert record.kind == BackupKind.BEFORE_MIGRATION
    assert read_manifest(Path(record.path)).schema == OLDEST
    assert migrate_workspace(old) == (SCHEMA, SCHEMA)
    assert len(manifests(old / "backups")) == 1
    if database == "sqlite":  # an older backup is migrated after it is restored
        assert names(restore(Path(record.path), tmp_path / "again")) == ["anna"]


@pytest.mark.parametrize("database", ["sqlite"])
def test_nothing_is_migrated_where_no_backup_can_be_made(old: Path, database: str) -> None:
    (old / "backups").write_text("a file in the way")
    with pytest.raises(OutputError):
        migrate_workspace(old)
    with pytest.raises(CatalogError, match=f"schema {OLDEST}"):
        open_workspace(old)


def test_two_that_migrate_at_once_do_so_once(old: Path) -> None:
    found: list[object] = []

    def migrate() -> None:
        try:
            found.append(migrate_workspace(old))
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (OLDEST, SCHEMA) in found
    assert [each for each in found if isinstance(each, Exception)] == []
    assert names(old) == ["anna"]
