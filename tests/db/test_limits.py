"""What one program forgets blocks no other for long, and passwords are not shown."""

import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.engine import Catalog, parse_url, show_url
from db.errors import CatalogBusyError
from db.queries.people import list_people
from db.schema import create_catalog
from db.vocabulary import Role
from db.writes.events import Change
from db.writes.people import add_person, change_person


@pytest.mark.postgresql
@pytest.mark.parametrize("database", ["postgresql"])
def test_a_forgotten_transaction_blocks_one_write_briefly_and_nobody_else(
    catalog: Catalog, database: str
) -> None:
    with catalog.write() as session:
        for name in ("anna", "bert"):
            add_person(session, Change.now(None), name, Role.ADMIN)
    engine = sa.create_engine(catalog.url)
    told: list[float] = []

    def click() -> None:
        began = time.monotonic()
        with (
            pytest.raises(CatalogBusyError, match="others are writing"),
            catalog.write() as session,
        ):
            change_person(session, Change.now(None), "anna", role=Role.VIEWER)
        told.append(time.monotonic() - began)

    with engine.connect() as forgotten:
        forgotten.execute(sa.text("SELECT * FROM people WHERE name = 'anna' FOR UPDATE"))
        clicks = [threading.Thread(target=click) for _ in range(14)]  # more than connections
        for each in clicks:
            each.start()
        time.sleep(0.5)
        began = time.monotonic()
        with catalog.read() as session:
            assert len(list_people(session)) == 2
        assert time.monotonic() - began < 2
        for each in clicks:
            each.join()
    engine.dispose()
    assert len(told) == 14
    assert max(told) < 14, "the first ten within the limit, the others after waiting for them"
    assert sorted(told)[9] < 10


@pytest.mark.parametrize("address", ["lab:s3cret@db/lab", "lab@db/lab?password=s3cret"])
def test_a_password_is_never_shown(address: str) -> None:
    assert "s3cret" not in show_url(parse_url(f"postgresql://{address}"))


@pytest.mark.parametrize("database", ["sqlite"])
def test_every_connection_writes_through_to_the_disk(catalog: Catalog, database: str) -> None:
    for opened in (catalog.read, catalog.write):
        with opened() as session:
            level = session.connection().exec_driver_sql("PRAGMA synchronous").scalar()
        assert level == 2, "FULL: a commit that was told survives a power cut"


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_catalog_is_readable_for_no_other_account(catalog_url: sa.URL, tmp_path: Path) -> None:
    made = tmp_path / "new.sqlite"
    create_catalog(f"sqlite:///{made}").close()
    assert made.stat().st_mode & 0o007 == 0
