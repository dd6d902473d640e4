"""Make, open and migrate a catalog; what is not ours, damaged or newer is refused untouched."""

import contextlib
import os
import sqlite3
import struct
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from db.engine import APPLICATION_ID, Catalog, describe_error, file_of, parse_url, show_url
from db.errors import CatalogError
from db.models.tables import Fact

SCHEMA = "0007"
"""The migration that this program's tables are at."""

SHRINKING = ("ended_sessions", "likenesses", "jobs", "job_events")
"""Tables that a migration takes away, or of which it removes rows of no use any more."""

CATALOG_MODE = 0o660
"""Of a SQLite file, less the umask: it holds what roles decide about, so nothing for others."""

MIGRATIONS = Path(__file__).parent / "migrations"
_MAGIC = b"SQLite format 3\0"
_MIGRATION_LOCK = 0x746F6D6F
"""Of PostgreSQL's advisory locks, so that two programs do not migrate at once."""


def open_catalog(url: str | URL, *, network_file_ok: bool = False) -> Catalog:
    """Open a catalog that is at this program's schema.

    Errors: CatalogError for no catalog, another program's file, a truncated or damaged one, an
    older one (it says how to migrate) and a newer one.
    """
    parsed = parse_url(url)
    version = stated_version(parsed)
    if int(version) < int(SCHEMA):
        raise CatalogError(
            f"{show_url(parsed)}: is a catalog of schema {version}, this program has {SCHEMA}; run "
            "tomocurate migrate (it makes a backup first)."
        )
    return Catalog(parsed, network_file_ok=network_file_ok)


def create_catalog(
    url: str | URL, *, network_file_ok: bool = False, catalog_id: str | None = None
) -> Catalog:
    """Make a new, empty catalog and open it; ``catalog_id`` continues a catalog that was lost.

    Errors: CatalogError where something is there already: nothing is made new over it.
    """
    parsed = parse_url(url)
    _check_absent(parsed)
    catalog, made = Catalog(parsed, network_file_ok=network_file_ok), None
    try:
        catalog._check_may_write()
        if catalog.file:
            os.close(os.open(catalog.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, CATALOG_MODE))
            made = catalog.file
        _upgrade(parsed, "head")
        with catalog.write() as session:
            _state_facts(session, catalog_id)
    except BaseException as error:
        catalog.close()
        if made:
            made.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CatalogError(f"{made or show_url(parsed)}: {error.strerror}.") from error
        raise
    return catalog


def stated_version(url: URL) -> str:
    """The schema that a catalog is at, by one SELECT; the file is looked at before it is opened.

    Errors: CatalogError as for ``open_catalog``, and for a newer schema.
    """
    file = file_of(url)
    if file is not None:
        check_file(file)
    version = _read_version(url)
    if version is None or not version.isdigit():
        raise CatalogError(f"{show_url(url)}: holds no catalog of tomocurate; make one with init.")
    if int(version) > int(SCHEMA):
        raise CatalogError(
            f"{show_url(url)}: was made by a newer tomocurate (schema {version}, this program has "
            f"{SCHEMA}); update this program. Nothing was changed."
        )
    return version


def check_file(path: Path) -> None:
    """Look at a SQLite file's first bytes: ours, whole, and a database at all.

    Errors: CatalogError says which it is not.
    """
    head, size = _head(path)
    if size == 0:
        raise CatalogError(f"{path}: is empty, so it is no catalog; restore the last backup.")
    if not head.startswith(_MAGIC) or len(head) < 100:
        raise CatalogError(f"{path}: is no SQLite file; name the catalog, or make one with init.")
    if struct.unpack_from(">I", head, 68)[0] != APPLICATION_ID:
        raise CatalogError(f"{path}: is another program's SQLite file; name a catalog.")
    page_size = struct.unpack_from(">H", head, 16)[0]
    expected = struct.unpack_from(">I", head, 28)[0] * (65536 if page_size == 1 else page_size)
    if size < expected and not Path(f"{path}-wal").exists():
        raise CatalogError(
            f"{path}: is truncated ({size} of {expected} bytes); restore the last backup."
        )


def migrate(url: str | URL, before: Callable[[], None] = lambda: None) -> tuple[str, str]:
    """Bring an older catalog to this program's schema; give the versions before and after.

    ``before`` makes the backup; it runs only if there is something to migrate. All happens in
    one transaction with foreign keys off (Alembic's table copies would delete child rows), then
    the foreign keys and the row counts are checked.

    Errors: CatalogError as for ``open_catalog``, or where a check fails; nothing is changed then.
    """
    parsed = parse_url(url)
    with _one_migration(parsed):
        version = stated_version(parsed)
        if int(version) < int(SCHEMA):
            before()
            _upgrade(parsed, "head")
    return version, SCHEMA


@contextlib.contextmanager
def _one_migration(url: URL) -> Iterator[None]:
    """Keep other programs from migrating, so that none backs up a half-changed PostgreSQL."""
    if url.drivername == "sqlite":
        yield
        return
    with _connect(url) as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({_MIGRATION_LOCK + 1})"))
        connection.commit()  # the lock is the connection's, no transaction stays open
        yield


def _check_absent(url: URL) -> None:
    file = file_of(url)
    if file is not None:
        if file.is_symlink() or file.exists():
            raise CatalogError(f"{file}: is there already; open it, or name a new file.")
        if not file.parent.is_dir():
            raise CatalogError(f"{file}: its folder does not exist; make it first.")
        return
    with _connect(url) as connection:
        tables = inspect(connection).get_table_names()
    if tables:
        raise CatalogError(
            f"{show_url(url)}: has tables already "
            f"({', '.join(sorted(tables)[:3])} …); name an empty database."
        )


def _state_facts(session: Session, catalog_id: str | None) -> None:
    session.add(Fact(key="catalog_id", value=catalog_id or str(uuid.uuid4())))
    session.add(Fact(key="made_at", value=datetime.now(UTC).isoformat()))


def _head(path: Path) -> tuple[bytes, int]:
    try:
        if not path.is_file():
            missing = "is no file" if path.exists() else "there is no catalog"
            raise CatalogError(f"{path}: {missing}; make one with tomocurate init.")
        with path.open("rb") as file:
            return file.read(100), path.stat().st_size
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read ({error.strerror}).") from error


def _read_version(url: URL) -> str | None:
    with _connect(url) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return None if version is None else str(version)


@contextlib.contextmanager
def _connect(url: URL, **options: Any) -> Iterator[Connection]:
    engine = create_engine(url, **options)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise describe_error(error, show_url(url)) from error
    finally:
        engine.dispose()


def _upgrade(url: URL, target: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _migrating(url) as connection:
        config.attributes["connection"] = connection
        counts = row_counts(connection)
        try:
            command.upgrade(config, target)
        except SQLAlchemyError as error:
            if isinstance(error, DBAPIError):
                raise
            raise CatalogError(f"{show_url(url)}: the migration failed: {error}.") from error
        _check_migrated(connection, counts, show_url(url))


@contextlib.contextmanager
def _migrating(url: URL) -> Iterator[Connection]:
    """One transaction that holds the catalog alone, foreign keys off."""
    engine = create_engine(url)
    if url.drivername == "sqlite":
        event.listen(engine, "connect", _alone)
        event.listen(
            engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN EXCLUSIVE")
        )
    try:
        with engine.begin() as connection:
            if url.drivername != "sqlite":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            yield connection
    except DBAPIError as error:
        raise describe_error(error, show_url(url)) from error
    finally:
        engine.dispose()


def _alone(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=20000")
    connection.execute("PRAGMA foreign_keys=OFF")  # has no effect inside a transaction
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")


def row_counts(connection: Connection) -> dict[str, int]:
    """Rows of every table."""
    quote = connection.dialect.identifier_preparer.quote
    return {
        table: connection.scalar(text(f"SELECT count(*) FROM {quote(table)}")) or 0  # noqa: S608
        for table in inspect(connection).get_table_names()
        if table != "alembic_version"
    }


def _check_migrated(connection: Connection, before: dict[str, int], name: str) -> None:
    after = row_counts(connection)
    lost = [t for t, rows in before.items() if after.get(t, 0) < rows and t not in SHRINKING]
    if lost:
        raise CatalogError(f"{name}: the migration would lose rows of {', '.join(lost)}; undone.")
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken:
            raise CatalogError(f"{name}: the migration would break a row of {broken[0]}; undone.")
