"""A workspace: the folder of files, its settings, and its opened catalog."""

import functools
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from core.access.account import current_account
from core.errors import OutputError, WorkspaceError
from core.files.atomic import whole_file
from core.workspace.folders import Folders, make_shared
from core.workspace.settings import CATALOG_VARIABLE, FILE_NAME, TEMPLATE, Settings, read_settings
from db.engine import Catalog
from db.queries.maintenance import catalog_id
from db.schema import create_catalog, open_catalog
from db.vocabulary import Role
from db.writes.events import Change
from db.writes.people import add_person

VARIABLE = "TOMOCURATE_WORKSPACE"
ID_FILE = "catalog.id"
"""Names the catalog that a folder belongs to."""


class Workspace:
    """An opened workspace. A context manager; safe to use from several threads."""

    def __init__(self, folder: Path, settings: Settings, catalog: Catalog) -> None:
        self.folder = folder
        self.settings = settings
        self.catalog = catalog
        self.folders = Folders(folder)

    @functools.cached_property
    def catalog_id(self) -> str:
        """The identity of the catalog, which folder, records and backups carry too."""
        with self.catalog.read() as session:
            return catalog_id(session)

    @property
    def catalog_folder(self) -> Path:
        """The folder of the SQLite file; for PostgreSQL a private one of this account."""
        return self.catalog.file.parent if self.catalog.file else private_folder(self.folder)

    @property
    def backup_folder(self) -> Path:
        return self.folder / self.settings.backup_dir

    def secret_path(self, name: str) -> Path:
        """Return the path of a secret of this installation; only its owner can read it."""
        return self.catalog_folder / name

    def close(self) -> None:
        self.catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def init_workspace(
    folder: Path,
    *,
    catalog_url: str | None = None,
    admin: str | None = None,
    network_file_ok: bool = False,
) -> Workspace:
    """Make a workspace in a folder, new or there already, with a catalog of its own.

    The operating-system user becomes its admin, under the name ``admin`` if one is given.

    Errors: WorkspaceError where there is one already; OutputError; CatalogError.
    """
    folder = Path(folder).resolve()
    settings_file = folder / FILE_NAME
    if os.path.lexists(settings_file):
        raise WorkspaceError(f"{folder}: is a workspace already; nothing was changed.")
    settings = Settings() if catalog_url is None else Settings(catalog=catalog_url)
    url = settings.catalog_url(folder)
    make_shared(folder)
    Folders(folder).make()
    catalog = create_catalog(url, network_file_ok=network_file_ok)
    try:
        account = current_account()
        with catalog.write() as session:
            add_person(session, Change.now(None), admin or account, Role.ADMIN, os_user=account)
        workspace = Workspace(folder, settings, catalog)
        bind(workspace)
        mode = 0o600 if settings.holds_password else 0o664
        with whole_file(settings_file, exist_ok=False, mode=mode) as partial:
            partial.write_text(TEMPLATE.format(catalog=_quote_toml(settings.catalog)))
    except BaseException:
        catalog.close()
        if catalog.file:
            catalog.file.unlink(missing_ok=True)
        raise
    return workspace


def open_workspace(folder: Path, *, network_file_ok: bool = False) -> Workspace:
    """Open a workspace.

    Errors: WorkspaceError where there is none, or its settings are wrong; CatalogError.
    """
    folder = Path(folder).resolve()
    settings = read_settings(folder)
    catalog = open_catalog(settings.catalog_url(folder), network_file_ok=network_file_ok)
    workspace = Workspace(folder, settings, catalog)
    try:
        check_identity(workspace)
    except BaseException:
        catalog.close()
        raise
    return workspace


def check_identity(workspace: Workspace) -> None:
    """Refuse a catalog that another folder belongs to; bind a folder that has none yet.

    A folder of a version before 0.2 names no catalog. It is bound when it is opened, unless
    $TOMOCURATE_CATALOG leads past a catalog of its own.

    Errors: WorkspaceError.
    """
    stated = read_identity(workspace.folder)
    if stated is None:
        own = workspace.settings.own_catalog_file(workspace.folder)
        if not own.exists() or own == workspace.catalog.file:
            with suppress(OutputError):  # of somebody who may only read
                bind(workspace)
        return
    if stated and workspace.catalog_id and stated != workspace.catalog_id:
        variable = f", or unset {CATALOG_VARIABLE}" if os.environ.get(CATALOG_VARIABLE) else ""
        raise WorkspaceError(
            f"{workspace.folder}: belongs to catalog {stated[:8]}, but {workspace.catalog.name} is "
            f"catalog {workspace.catalog_id[:8]}; name the right workspace{variable}. Nothing was "
            "changed."
        )


def read_identity(folder: Path) -> str | None:
    """Return the identity of the catalog that a folder belongs to; None where none is stated.

    Errors: WorkspaceError where it cannot be read.
    """
    file = folder / ID_FILE
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"{file}: cannot be read ({error}).") from error


def bind(workspace: Workspace) -> None:
    """Write down in the folder which catalog it belongs to.

    Errors: OutputError.
    """
    with whole_file(workspace.folder / ID_FILE, mode=0o644) as partial:
        partial.write_text(f"{workspace.catalog_id}\n")


def find_workspace(given: Path | None) -> Path:
    """Return the folder given, else TOMOCURATE_WORKSPACE, else the current folder."""
    return given or Path(os.environ.get(VARIABLE) or ".")


def private_folder(workspace: Path) -> Path:
    """A folder of this account alone for a workspace's secrets and logs; made if it is not there.

    Errors: WorkspaceError.
    """
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    mark = hashlib.sha256(os.fsencode(workspace)).hexdigest()[:16]
    folder = Path(home) / "tomocurate" / mark
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{folder}: cannot be made ({error.strerror}).") from error
    return folder


def _quote_toml(text: str) -> str:
    """A TOML basic string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
