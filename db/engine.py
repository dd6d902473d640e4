"""The opened catalog: short read and short write transactions on SQLite or PostgreSQL.

SQLite takes its write lock at BEGIN (a lock taken later loses updates or fails at once), reads
with ``query_only``, and keeps a journal that suits its version and its file system. A read ends
with its block, a write commits at the end of its block or leaves nothing.
"""

import hashlib
import os
import random
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.pool import NullPool

from db.errors import CatalogBusyError, CatalogError
from db.filesystems import Mount, mount_of
from db.models.tables import Host

APPLICATION_ID = 0x746F6D6F
"""SQLite's application_id of a catalog: "tomo"."""

SECRET_OPTIONS = frozenset({"password", "sslpassword"})
"""Options of a PostgreSQL address that are never shown."""

BUSY_SECONDS = 20.0
"""How long one try waits for other writers; SQLite's queue is not fair, so there are several."""

WAIT_S = 4
"""Seconds that PostgreSQL waits for a lock, a server for an answer, we for a connection.

A row that others wait for takes two locks, the place in the queue and then the row: so the limit
may pass twice, and a third time for a connection."""

STATEMENT_S = 120
TRIES = 4
LOCK_SECONDS = 60
"""How long a step waits for another machine's step on the same patch."""

HOST_QUIET = timedelta(minutes=10)
"""Another machine that wrote to this SQLite file within this time may still be writing."""

HOST_NOTED_EVERY = 60.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def parse_url(url: str | URL) -> URL:
    """Read a catalog's address.

    Errors: CatalogError for what is neither sqlite:///FILE nor postgresql+psycopg://.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise CatalogError(
            "the catalog's address is no URL; write sqlite:////folder/catalog.sqlite or "
            "postgresql+psycopg://user@host/name."
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise CatalogError(
            f"{show_url(parsed)}: a catalog lies in SQLite (sqlite:///...) or PostgreSQL "
            "(postgresql+psycopg://...)."
        )
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise CatalogError("a catalog in memory is lost at once; name a file: sqlite:////folder/x.")
    return parsed


def sqlite_url(file: Path) -> URL:
    """Return the address of a SQLite file; ``?``, ``%`` and ``#`` in its path stand for themselves.

    (A path put into a URL's text would be cut at ``?`` and percent-decoded.)
    """
    return URL.create("sqlite", database=str(file))


def show_url(url: URL) -> str:
    """Show a catalog's address to people: the file, or the URL without its password."""
    if url.drivername == "sqlite":
        return str(url.database)
    hidden = {key: "***" for key in url.query if key in SECRET_OPTIONS}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def has_password(url: URL) -> bool:
    """Return whether an address holds a password, as user:password@ or as an option."""
    return bool(url.password) or any(key in SECRET_OPTIONS for key in url.query)


def file_of(url: URL) -> Path | None:
    """The SQLite file of an address; None for PostgreSQL."""
    return Path(str(url.database)) if url.drivername == "sqlite" else None


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Return whether this SQLite is free of the WAL-reset corruption bug (3.7.0 to 3.51.2)."""
    return (
        version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    )


class Catalog:
    """An opened catalog. A context manager; safe to use from several threads."""

    def __init__(self, url: URL, *, network_file_ok: bool = False) -> None:
        self.url = url
        self.file = file_of(url)
        self.name = show_url(url)
        self.mount: Mount | None = mount_of(self.file.parent) if self.file else None
        self.wal = bool(self.file) and not self.on_network and wal_is_safe(_sqlite_version())
        self._may_write = network_file_ok or not self.on_network
        self._host_noted = float("-inf")
        self._writer = _engine(url, self.wal, query_only=False)
        # Of its own on PostgreSQL too: while writers wait for a lock, readers find a connection.
        self._reader = _engine(url, self.wal, query_only=True)

    @property
    def on_network(self) -> bool:
        return self.mount is not None and self.mount.is_network

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One snapshot to read from; nothing can be written in it."""
        options: dict[str, Any] = {}
        if not self.file:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with (
            self._told(),
            self._reader.connect() as connection,
            Session(connection.execution_options(**options)) as session,
        ):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, or nothing of it happens.

        Keep it short and touch no file in it: others wait.

        Errors: CatalogBusyError when others do not stop writing; CatalogError where the catalog
        may or can not be written.
        """
        self._check_may_write()
        with self._told(), self._begun() as connection:
            with Session(connection) as session:
                self._note_host(session)
                yield session
                session.flush()
            connection.commit()

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock of this name on every machine that shares a PostgreSQL catalog.

        SQLite is for one machine, where file locks do the same.

        Errors: CatalogBusyError after a minute.
        """
        if self.file:
            yield
            return
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with self._told(), engine.connect() as connection:
            connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_SECONDS}s'")
            connection.execute(select(func.pg_advisory_lock(key)))
            yield  # the lock ends with its connection

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """A connection that holds the write lock. Nothing was done yet, so trying again is safe."""
        for attempt in range(TRIES):
            connection = self._writer.connect()
            try:
                connection.begin()
                break
            except DBAPIError as error:
                connection.close()
                if not _is_busy(error) or attempt == TRIES - 1:
                    raise
                time.sleep(random.uniform(0.01, 0.2))  # noqa: S311 - spreads writers, no secret
        with connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one sentence what the database says in its own words."""
        try:
            yield
        except PoolTimeoutError as error:
            raise CatalogBusyError(_BUSY.format(name=self.name)) from error
        except DBAPIError as error:
            raise describe_error(error, self.name) from error

    def _check_may_write(self) -> None:
        if not self._may_write and self.mount:
            raise CatalogError(
                f"{self.name}: lies on a network file system ({self.mount.kind} at "
                f"{self.mount.point}), where SQLite loses data; put the catalog on a local disk, "
                "or into PostgreSQL."
            )

    def _note_host(self, session: Session) -> None:
        """Record which machine writes; two machines on one SQLite file are refused."""
        if not self.file or time.monotonic() - self._host_noted < HOST_NOTED_EVERY:
            return
        note_host(session, self.name, socket.gethostname(), _boot_id(), datetime.now(UTC))
        self._host_noted = time.monotonic()


def note_host(session: Session, name: str, host: str, boot_id: str | None, now: datetime) -> None:
    """Write down that a machine writes to a SQLite catalog.

    Containers on one kernel share its boot id and its locks: they are one machine.

    Errors: CatalogError while another machine may still be writing.
    """
    lately = Host.last_seen.between(now - HOST_QUIET, now + HOST_QUIET)  # later: a wrong clock
    for other in session.scalars(select(Host).where(lately)):
        same = other.name == host or (boot_id is not None and other.boot_id == boot_id)
        if not same:
            raise CatalogError(
                f"{name}: {other.name} wrote to it on {other.last_seen:%Y-%m-%d at %H:%M} UTC, and "
                f"this is {host}; a SQLite file is for one machine: work on {other.name}, or move "
                "the catalog to PostgreSQL."
            )
    row = session.scalar(select(Host).where(Host.name == host))
    if row is None:
        row = Host(name=host, first_seen=now)
        session.add(row)
    row.boot_id, row.last_seen = boot_id, now


def describe_error(error: DBAPIError, name: str) -> CatalogError:
    """One sentence for what a database reports; the original stays as its cause."""
    said = str(error.orig or error).strip().split("\n")[0]
    if _is_busy(error):
        return CatalogBusyError(_BUSY.format(name=name))
    for words, sentence in _REPORTS:
        if words in said:
            return CatalogError(f"{name}: {sentence}")
    return CatalogError(f"{name}: the catalog reports: {said}.")


_BUSY = "{name}: others are writing to the catalog; try again."
_REPORTS = (
    ("readonly database", "the catalog is read-only; make the file and its folder writable."),
    ("disk is full", "the disk is full; make space, nothing was changed."),
    ("disk I/O error", "the disk reports an error; nothing was changed, check it and its space."),
    ("malformed", "the catalog file is damaged; restore the last backup (tomocurate restore)."),
    ("file is not a database", "is not a catalog; name the right file."),
    ("unable to open database", "cannot be opened; check that its folder is there and writable."),
    ("connection is bad", "the database server does not answer; check its address."),
    ("connection failed", "the database server does not answer; check its address."),
)


def _is_busy(error: Exception) -> bool:
    if isinstance(error, StaleDataError):
        return True
    original = getattr(error, "orig", None)
    if isinstance(original, sqlite3.OperationalError):
        return "locked" in str(original)
    return getattr(original, "sqlstate", None) in ("40001", "40P01", "55P03", "57014", "25P03")


def _engine(url: URL, wal: bool, *, query_only: bool) -> Engine:
    if url.drivername != "sqlite":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=5,
            pool_timeout=WAIT_S,
            connect_args={"connect_timeout": WAIT_S, "options": _limits(url)},
        )
    file = f"file:{quote(os.fsencode(str(url.database)))}?mode=rw"  # one that is gone stays gone

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(file, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    engine = create_engine(url, creator=connect)

    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        pragmas = [
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
            f"busy_timeout={BUSY_SECONDS * 1000:.0f}",
            "synchronous=FULL",
        ]
        if wal:
            pragmas.append("journal_mode=WAL")
        pragmas.append(f"query_only={'ON' if query_only else 'OFF'}")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if query_only else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin)
    return engine


def _limits(url: URL) -> str:
    """Return PostgreSQL's limits for our sessions: a forgotten transaction blocks nobody for long.

    What the address itself sets comes later and wins.
    """
    ms = {
        "lock_timeout": WAIT_S * 1000,
        "statement_timeout": STATEMENT_S * 1000,
        "idle_in_transaction_session_timeout": STATEMENT_S * 1000,
    }
    stated = url.query.get("options", "")
    return " ".join([*(f"-c {name}={value}" for name, value in ms.items()), str(stated)]).strip()


def _sqlite_version() -> tuple[int, int, int]:
    return sqlite3.sqlite_version_info


def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None
