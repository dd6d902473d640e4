"""Copy a catalog whole and consistent while others write to it, look into the copy, load it.

SQLite by its own backup API; PostgreSQL by pg_dump in one snapshot with the counts. A password
travels in the environment, never on a command line.
"""

import os
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, inspect, make_url, text, update
from sqlalchemy.exc import DBAPIError

from db.engine import describe_error, file_of, show_url
from db.errors import CatalogError
from db.models.work import Fact
from db.schema import CATALOG_MODE, check_file, row_counts

POSTGRES_PROGRAMS = Path("/usr/lib/postgresql")
"""Where Debian keeps PostgreSQL's programs, by version."""

_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "service": "PGSERVICE",
    "passfile": "PGPASSFILE",
}
_HASHES = (
    "SELECT sha256, max(size_bytes) FROM (SELECT sha256, size_bytes FROM correction_versions "
    "WHERE error IS NULL UNION ALL SELECT file_sha256, size_bytes FROM merges) AS files "
    "GROUP BY sha256"
)


@dataclass(frozen=True)
class Contents:
    """Content of a catalog: schema, rows by table, and the files that its rows name."""

    schema: str
    counts: Mapping[str, int]
    stored: Mapping[str, int]
    """Size in bytes of every file of the store, by sha256."""
    extracted: tuple[str, ...]
    """Names of the patches that have been cut."""
    unplaced: tuple[str, ...]
    """Names of those whose place in a tomogram is not known: they cannot be cut again."""


def dump(url: URL, target: Path) -> Contents:
    """Copy a catalog into a file that is not there yet, or is empty, and look into it.

    Errors: CatalogError where the catalog, the copy or the disk is not sound.
    """
    file = file_of(url)
    if file is None:
        return _dump_postgres(url, target)
    _copy_sqlite(file, target)
    return look_into(target)


def suffix(url: URL) -> str:
    """Return the suffix of a catalog's copy."""
    return ".sqlite" if url.drivername == "sqlite" else ".pgdump"


def look_into(file: Path) -> Contents:
    """Check a SQLite catalog from its first page to its last, and count what it holds.

    Errors: CatalogError.
    """
    check_file(file)
    url = URL.create("sqlite", database=str(file))
    with _connect(url) as connection:
        for pragma, sound in (("integrity_check", ("ok",)), ("foreign_key_check", None)):
            row = connection.exec_driver_sql(f"PRAGMA {pragma}").first()
            if (tuple(row) if row else None) != sound:
                raise CatalogError(f"{file}: is damaged ({pragma} says {row}).")
        return contents_of(connection)


def check_archive(archive: Path) -> None:
    """Let pg_restore list a PostgreSQL copy.

    Errors: CatalogError.
    """
    _run("pg_restore", ["--list", str(archive)], {})


def load(archive: Path, url: URL) -> None:
    """Load a copy into a SQLite file that is not there yet, or an empty PostgreSQL database.

    Errors: CatalogError for a copy of the other kind, or a place that is not empty.
    """
    if archive.suffix != suffix(url):
        raise CatalogError(
            f"{archive.name}: cannot be loaded into {show_url(url)}; "
            "a .sqlite backup becomes a file, "
            "a .pgdump backup needs an empty PostgreSQL database (--catalog)."
        )
    file = file_of(url)
    if file is not None:
        if os.path.lexists(file):
            raise CatalogError(f"{file}: is there already; nothing is restored over it.")
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, CATALOG_MODE)
        with os.fdopen(descriptor, "wb") as copy, archive.open("rb") as source:
            shutil.copyfileobj(source, copy)
        return
    with _connect(url) as connection:
        if inspect(connection).get_table_names():
            raise CatalogError(f"{show_url(url)}: has tables already; name an empty database.")
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run("pg_restore", [*options, "-d", str(url.database), str(archive)], _environment(url))


@contextmanager
def trial_database(url: URL) -> Iterator[URL]:
    """A new database on the same PostgreSQL server, dropped when the block ends.

    Errors: CatalogError where the account may not make one.
    """
    name = f"tomocurate_trial_{os.urandom(6).hex()}"
    with _connect(url, isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
        try:
            yield url.set(database=name)
        finally:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def contents(url: URL) -> Contents:
    """Return the present content of a catalog.

    Errors: CatalogError.
    """
    with _connect(url) as connection:
        return contents_of(connection)


def contents_of(connection: Connection) -> Contents:
    """Return the content of a catalog, read in the connection's transaction."""
    patches = "SELECT name, start_z FROM patches WHERE label_hash IS NOT NULL ORDER BY name"
    extracted = connection.execute(text(patches)).all()
    return Contents(
        schema=str(connection.scalar(text("SELECT version_num FROM alembic_version"))),
        counts=row_counts(connection),
        stored={row[0]: row[1] for row in connection.execute(text(_HASHES))},
        extracted=tuple(name for name, _ in extracted),
        unplaced=tuple(name for name, start in extracted if start is None),
    )


def make_independent(url: URL) -> None:
    """Give a restored catalog an identity of its own, and forget the original's machines.

    So it never takes the original's backups, records or folder for its own.
    """
    with _connect(url) as connection:
        connection.execute(text("DELETE FROM hosts"))
        connection.execute(text("DELETE FROM sessions"))
        statement = update(Fact).where(Fact.key == "catalog_id")
        connection.execute(statement.values(value=str(uuid.uuid4())))
        connection.commit()


def _copy_sqlite(source: Path, target: Path) -> None:
    """All pages in one step: a copy in steps begins anew at each write of another process."""
    try:
        with (
            closing(sqlite3.connect(source, timeout=60)) as live,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            live.execute("PRAGMA query_only=ON")
            live.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # so that it is one file
    except sqlite3.Error as error:
        raise describe_error(DBAPIError("backup", None, error), str(source)) from error


def _dump_postgres(url: URL, target: Path) -> Contents:
    with _connect(url, isolation_level="REPEATABLE READ") as connection:
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        options = ["-Fc", "--no-password", f"--snapshot={snapshot}", f"--file={target}"]
        _run("pg_dump", options, _environment(url))
        held = contents_of(connection)
    check_archive(target)
    return held


def _environment(url: URL) -> dict[str, str]:
    """Return the environment that tells libpq where to connect."""
    said: dict[str, Any] = {
        "PGHOST": url.host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    said |= {_VARIABLES[key]: value for key, value in url.query.items() if key in _VARIABLES}
    return {name: str(value) for name, value in said.items() if value is not None}


def _run(program: str, options: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            [_program(program), *options],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    except OSError as error:
        raise CatalogError(f"{program} cannot be started ({error.strerror}).") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise CatalogError(f"{program} failed: {said[0][:300]}")


def _program(name: str) -> str:
    """The newest of PostgreSQL's programs on this machine."""
    versions = [
        path for path in POSTGRES_PROGRAMS.glob(f"*/bin/{name}") if os.access(path, os.X_OK)
    ]
    newest = max(versions, key=lambda path: _number(path.parents[1].name), default=None)
    found = str(newest) if newest else shutil.which(name)
    if found is None:
        raise CatalogError(
            f"{name} is not on this machine; install PostgreSQL's client programs "
            "(Debian: postgresql-client)."
        )
    return found


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        return 0.0


@contextmanager
def _connect(url: URL, **options: Any) -> Iterator[Connection]:
    engine = create_engine(make_url(url), **options)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise describe_error(error, show_url(url)) from error
    finally:
        engine.dispose()
