"""A catalog is made, opened and migrated; what is not ours, damaged or newer stays untouched."""

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from db.engine import Catalog, parse_url
from db.errors import CatalogError
from db.models.tables import metadata
from db.schema import MIGRATIONS, SCHEMA, create_catalog, migrate, open_catalog


def constraints(url: sa.URL) -> set[tuple[str, str, str]]:
    """Every named constraint and index that a database has."""
    engine = sa.create_engine(url)
    found = set()
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        for table in inspector.get_table_names():
            for kind in ("check", "unique"):
                for each in getattr(inspector, f"get_{kind}_constraints")(table):
                    found.add((table, kind, each["name"]))
            for each in inspector.get_foreign_keys(table):
                found.add((table, "foreign key", each["name"]))
            for each in inspector.get_indexes(table):
                if not each.get("duplicates_constraint"):
                    found.add((table, "index", each["name"]))
    engine.dispose()
    return {entry for entry in found if entry[0] != "alembic_version"}


def test_models_and_migrations_agree(catalog_url: sa.URL) -> None:
    engine = sa.create_engine(catalog_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_models_and_migrations_name_the_same_constraints(
    catalog_url: sa.URL, empty_url: sa.URL
) -> None:
    if catalog_url.drivername == "sqlite":
        empty_url = empty_url.set(database=f"{empty_url.database}.models")
    engine = sa.create_engine(empty_url)
    metadata.create_all(engine)
    engine.dispose()
    assert constraints(catalog_url) == constraints(empty_url)


def test_every_constraint_has_a_name() -> None:
    unnamed = [
        (table.name, constraint)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if not constraint.name
    ]
    assert unnamed == []


def test_the_schema_is_the_last_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == SCHEMA


def test_a_catalog_is_made_once(empty_url: sa.URL) -> None:
    create_catalog(empty_url).close()
    with pytest.raises(CatalogError, match=r"there already|has tables already"):
        create_catalog(empty_url)
    open_catalog(empty_url).close()


def test_a_catalog_at_the_last_schema_is_not_migrated(catalog_url: sa.URL) -> None:
    def backup() -> None:
        raise AssertionError("there is nothing to back up")

    assert migrate(catalog_url, backup) == (SCHEMA, SCHEMA)


def test_a_newer_catalog_is_refused_and_not_touched(catalog_url: sa.URL) -> None:
    set_version(catalog_url, "9999")
    before = digest(catalog_url)
    for opening in (open_catalog, migrate):
        with pytest.raises(CatalogError, match=r"newer tomocurate \(schema 9999"):
            opening(catalog_url)
    assert digest(catalog_url) == before


def test_an_older_catalog_says_how_to_migrate(catalog_url: sa.URL) -> None:
    set_version(catalog_url, "0000")
    with pytest.raises(CatalogError, match="tomocurate migrate"):
        open_catalog(catalog_url)


def set_version(url: sa.URL, version: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{version}'"))
    engine.dispose()


def digest(url: sa.URL) -> str | None:
    if url.drivername != "sqlite":
        return None
    return hashlib.sha256(Path(str(url.database)).read_bytes()).hexdigest()


def test_a_missing_catalog_is_not_made_by_opening(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="there is no catalog"):
        open_catalog(f"sqlite:///{tmp_path}/catalog.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"x" * 5000, "no SQLite file"),
        (b"SQLite format 3\0", "no SQLite file"),
    ],
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "catalog.sqlite"
    file.write_bytes(content)
    with pytest.raises(CatalogError, match=said):
        open_catalog(f"sqlite:///{file}")
    with pytest.raises(CatalogError, match="there already"):
        create_catalog(f"sqlite:///{file}")
    assert file.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "places.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE bookmarks (id INTEGER)")
    connection.close()
    with pytest.raises(CatalogError, match="another program's"):
        open_catalog(f"sqlite:///{file}")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_catalog_is_refused(tmp_path: Path, share: float) -> None:
    file = tmp_path / "catalog.sqlite"
    create_catalog(f"sqlite:///{file}").close()
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CatalogError, match="truncated"):
        open_catalog(f"sqlite:///{file}")


def test_a_catalog_with_flipped_bytes_gives_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite"
    create_catalog(f"sqlite:///{file}").close()
    content = bytearray(file.read_bytes())
    content[100:4096] = bytes(3996)
    file.write_bytes(content)
    with pytest.raises(CatalogError, match="damaged"):
        open_catalog(f"sqlite:///{file}")


def test_a_folder_in_place_of_a_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="is no file"):
        open_catalog(f"sqlite:///{tmp_path}")


def test_a_postgresql_database_without_our_tables_is_refused(postgresql: Any) -> None:
    url = postgresql.new("template1")
    with pytest.raises(CatalogError, match="holds no catalog"):
        open_catalog(url)
    postgresql.drop(url)


def test_a_postgresql_server_that_does_not_answer_is_told_in_one_sentence(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://someone:secret@/x?host={tmp_path}"
    with pytest.raises(CatalogError, match="does not answer") as told:
        open_catalog(url)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("url", ["catalog", "mysql://x/y", "sqlite://", "http://x", "://", ""])
def test_an_address_that_is_no_catalog_is_refused(url: str) -> None:
    with pytest.raises(CatalogError):
        parse_url(url)


def test_events_are_only_added(catalog: Catalog) -> None:
    insert = "INSERT INTO events (id, at, action, subject, name) VALUES (1, {now}, 'a', 'b', 'c')"
    now = "'2026-01-01 00:00:00'"
    with catalog.write() as session:
        session.execute(sa.text(insert.format(now=now)))
    for statement in ("UPDATE events SET name = 'd'", "DELETE FROM events"):
        with pytest.raises(CatalogError, match="events are only added"), catalog.write() as session:
            session.execute(sa.text(statement))
    with catalog.read() as session:
        assert session.execute(sa.text("SELECT name FROM events")).all() == [("c",)]
