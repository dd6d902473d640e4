"""Bring a workspace's catalog to this program's schema, after a backup of it."""

from datetime import UTC, datetime
from pathlib import Path

from core.maintenance.backup import Made, record_backup, write_backup
from core.workspace.locks import patch_lock
from core.workspace.settings import read_settings
from core.workspace.workspace import Workspace, open_workspace
from db.engine import Catalog
from db.schema import migrate
from db.vocabulary import BackupKind
from db.writes.events import Change


def migrate_workspace(folder: Path) -> tuple[str, str]:
    """Migrate a workspace's catalog; give the schemas before and after.

    A catalog that is at this schema already is left alone, without a backup.

    Errors: WorkspaceError; CatalogError for no catalog, a damaged or newer one; OutputError where
    the backup cannot be written. Nothing is changed then.
    """
    folder = folder.resolve()
    settings = read_settings(folder)
    url = settings.catalog_url(folder)
    made: list[Made] = []

    def back_up_first() -> None:
        with Workspace(folder, settings, Catalog(url)) as workspace:
            made.append(write_backup(workspace, BackupKind.BEFORE_MIGRATION, datetime.now(UTC)))

    with (
        Workspace(folder, settings, Catalog(url)) as workspace,
        patch_lock(workspace, "migration", "migration"),  # a dump fails while tables change
    ):
        before, after = migrate(url, back_up_first)
    if made:
        with open_workspace(folder) as workspace:
            record_backup(workspace, Change.now(None), made[0])
    return before, after
