"""Copy every row of one catalog into another, empty one, table by table, and compare them.

Tables go in the order of their foreign keys. Two references point backwards (a patch to its
merges, a job to its parent comes by its smaller number), so these columns are set at the end.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Connection,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from db.engine import describe_error, show_url
from db.errors import CatalogError
from db.models.tables import metadata
from db.schema import create_catalog, stated_version

AT_ONCE = 1000
"""Rows of one statement."""

LEFT_OUT = ("hosts", "sessions")
"""Which machines wrote to a file, and which browsers are signed in, says nothing about its copy."""

LATER = {"patches": ("current_merge_id", "accepted_merge_id")}
"""Columns that point to rows of a later table."""

Tell = Callable[[str, int], None]
"""Is told a table's name and the rows copied so far."""


def copy_rows(source: URL, target: URL, tell: Tell = lambda table, rows: None) -> dict[str, int]:
    """Make a catalog at ``target`` with every row of ``source``; give the rows by table.

    The source is read in one snapshot. All is written in one transaction and compared, table by
    table, before it is committed.

    Errors: CatalogError where the target is not empty, or the copy differs.
    """
    stated_version(source)
    create_catalog(target).close()
    tables = [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]
    with _open_catalog(source, write=False) as old, _open_catalog(target, write=True) as new:
        new.execute(metadata.tables["facts"].delete())  # a copy keeps the original's identity
        counts = {table.name: _copy_table(old, new, table, tell) for table in tables}
        _set_later(old, new)
        for table in tables:
            if digest(old, table) != digest(new, table):
                raise CatalogError(
                    f"{show_url(target)}: its {table.name} differ from the original after copying; "
                    "nothing was committed."
                )
        _set_sequences(new)
        new.commit()
    return counts


def digest(connection: Connection, table: Table) -> str:
    """A sha256 over the rows of a table, the same on every database."""
    hashed = hashlib.sha256()
    for row in _rows(connection, table):
        hashed.update(json.dumps([_plain(item) for item in row], sort_keys=True).encode())
        hashed.update(b"\n")
    return hashed.hexdigest()


def _copy_table(old: Connection, new: Connection, table: Table, tell: Tell) -> int:
    later, copied = LATER.get(table.name, ()), 0
    for rows in _batches(_rows(old, table)):
        values = [dict(row._mapping) for row in rows]
        for value in values:
            value.update(dict.fromkeys(later))
            if later:  # the rules ask for what comes later: first as if it had none
                value["stage"] = "extracted" if value["label_hash"] else "chosen"
        new.execute(_insert_into(table), values)
        copied += len(rows)
        tell(table.name, copied)
    return copied


def _insert_into(table: Table) -> Any:
    """An INSERT in which an absent JSON value is NULL, not the word null."""
    absent = JSON(none_as_null=True)
    found = [column.name for column in table.columns if isinstance(column.type, JSON)]
    return insert(table).values({name: bindparam(name, type_=absent) for name in found})


def _set_later(old: Connection, new: Connection) -> None:
    """Set what points to rows of later tables, and the stages that ask for it."""
    for name, columns in LATER.items():
        table = metadata.tables[name]
        wanted = [table.c[item] for item in (*columns, "stage")]
        values: dict[str, Any] = {c.name: bindparam(f"to_{c.name}") for c in wanted}
        statement = update(table).where(table.c.id == bindparam("row_id")).values(values)
        for rows in _batches(iter(old.execute(select(table.c.id, *wanted)))):
            new.execute(
                statement,
                [
                    {"row_id": row.id, **{f"to_{c.name}": row._mapping[c] for c in wanted}}
                    for row in rows
                ],
            )


def _rows(connection: Connection, table: Table) -> Iterator[Any]:
    keys = list(table.primary_key.columns)
    statement = select(table).order_by(*keys).execution_options(yield_per=AT_ONCE)
    return iter(connection.execute(statement))


def _batches(rows: Iterator[Any]) -> Iterator[Sequence[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return value


def _set_sequences(connection: Connection) -> None:
    """PostgreSQL numbers the next rows after the copied ones."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        for column in table.primary_key.columns:
            name = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
            highest = connection.scalar(select(func.max(column)))
            if isinstance(highest, int) and connection.scalar(text(f"SELECT {name}")):
                connection.execute(text(f"SELECT setval({name}, {highest})"))


@contextmanager
def _open_catalog(url: URL, *, write: bool) -> Iterator[Connection]:
    options = {} if url.drivername == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    engine = create_engine(url, **options)
    if url.drivername == "sqlite":
        event.listen(engine, "connect", _ours)
        kind = "BEGIN IMMEDIATE" if write else "BEGIN"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(kind))
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise describe_error(error, show_url(url)) from error
    finally:
        engine.dispose()


def _ours(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=20000")
    connection.execute("PRAGMA foreign_keys=ON")
