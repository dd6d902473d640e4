"""A workspace's settings: tomocurate.toml, read strictly, so that a mistyped word is noticed."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from core.access.sign_in import SignIn, read_sign_in
from core.errors import WorkspaceError
from core.files.atomic import open_regular
from db.engine import has_password, parse_url, sqlite_url

FILE_NAME = "tomocurate.toml"
CATALOG_VARIABLE = "TOMOCURATE_CATALOG"
"""Overrides the catalog's address, so that a password need not stand in the file."""

SETTINGS_VARIABLE = "TOMOCURATE_SETTINGS"
"""Names a file that is read instead of the workspace's own."""

MAX_BYTES = 64 << 10
TEMPLATE = """\
# Settings of this workspace; docs/admin.md explains them.
catalog = {catalog}
# backup_dir = "/another/disk/backups"
# cache_gb = 20
# upload_mb = 512
# nobody_reviews_own_work = true
"""


@dataclass(frozen=True)
class Settings:
    """Settings of a workspace, with defaults."""

    catalog: str = "catalog.sqlite"
    """A SQLite file, in the workspace unless the path is absolute, or postgresql+psycopg://…"""
    backup_dir: str = "backups"
    cache_gb: float = 20.0
    upload_mb: int = 512
    nobody_reviews_own_work: bool = False
    sign_in: SignIn | None = None
    """How people sign in at the dashboard; None where nobody has to."""

    def catalog_url(self, folder: Path) -> URL:
        """Return the catalog's address; ``folder`` is the workspace.

        Errors: CatalogError.
        """
        stated = os.environ.get(CATALOG_VARIABLE) or self.catalog
        return parse_url(stated) if "://" in stated else sqlite_url(folder / stated)

    def own_catalog_file(self, folder: Path) -> Path:
        """Return the SQLite file that the settings name, whatever the environment says."""
        return folder / (self.catalog if "://" not in self.catalog else "catalog.sqlite")

    @property
    def holds_password(self) -> bool:
        """Return whether the catalog's address in the settings has a password in it."""
        return "://" in self.catalog and has_password(parse_url(self.catalog))


def settings_file(folder: Path) -> Path:
    """Return the file of a workspace's settings: the one of the variable, else its own.

    Where a group writes the workspace, what decides about rights (signing in, who reviews own
    work) lies in a file that only the service's account writes.
    """
    return Path(os.environ.get(SETTINGS_VARIABLE) or folder / FILE_NAME)


def read_settings(folder: Path) -> Settings:
    """Read a workspace's settings.

    Errors: WorkspaceError for no workspace, a file that is no TOML, an unknown word, or a value
    of the wrong kind.
    """
    path = settings_file(folder)
    table = _read(path)
    known = {field.name: field for field in fields(Settings)}
    for name, value in table.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}."
            raise WorkspaceError(f"{path}: the setting {name[:60]!r} is not known{meant}")
        _check_kind(path, name, value)
    return Settings(**{**table, "sign_in": read_sign_in(path, table.get("sign_in", {}))})


def _read(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise WorkspaceError(
                f"{path}: is larger than {MAX_BYTES >> 10} KiB; too large for a settings file."
            )
        return tomllib.loads(text.decode())
    except FileNotFoundError as error:
        raise WorkspaceError(
            f"{path.parent}: is no workspace (it has no {FILE_NAME}); name one with --workspace, "
            "or make one with tomocurate init."
        ) from error
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WorkspaceError(f"{path}: is no valid TOML ({str(error)[:200]}).") from error


_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "catalog": ((str,), "a file or an address, in quotes"),
    "backup_dir": ((str,), "a folder, in quotes"),
    "cache_gb": ((int, float), "a number of GB above 0"),
    "upload_mb": ((int,), "a whole number of MB above 0"),
    "nobody_reviews_own_work": ((bool,), "true or false"),
    "sign_in": ((dict,), "a table, [sign_in]"),
}


def _check_kind(path: Path, name: str, value: object) -> None:
    kinds, wanted = _KINDS[name]
    right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    if not right or (isinstance(value, int | float) and bool not in kinds and not value > 0):
        raise WorkspaceError(f"{path}: {name} is {str(value)[:60]!r}; write {wanted}.")
