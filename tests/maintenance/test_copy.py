"""A catalog moves to another database whole: every row the same, and new rows number on."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.maintenance.copy import copy_catalog
from core.workspace.workspace import Workspace
from db.copy import digest
from db.engine import Catalog
from db.errors import CatalogError, NotAllowedError
from db.models.tables import metadata
from db.queries.patches import list_patches
from db.queries.people import PersonRecord, get_person
from db.schema import open_catalog
from db.vocabulary import JobKind, Role
from db.writes.events import Change
from db.writes.jobs import add_job, claim_job, finish_job
from db.writes.people import add_person


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path, postgresql: Any) -> Iterator[sa.URL]:
    """An empty place of each kind."""
    if request.param == "sqlite":
        yield sa.URL.create("sqlite", database=str(tmp_path / "copy.sqlite"))
        return
    url = postgresql.new("template1")
    yield url
    postgresql.drop(url)


def address(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


def test_every_row_is_copied_and_the_copy_works_on(
    lab: Workspace, admin: PersonRecord, elsewhere: sa.URL
) -> None:
    with lab.catalog.write() as session:
        parent = add_job(session, Change.now(admin.id), JobKind.MERGE, {"a": [1.5, None]}, "a")
        add_job(session, Change.now(None), JobKind.MERGE, {}, "b", parent_id=parent)
        claim = claim_job(session, "w", timedelta(seconds=60))
        assert claim
        finish_job(session, claim, {"counts": {"done": 1}}, "done")
    told: dict[str, int] = {}
    counts = copy_catalog(lab, admin, address(elsewhere), told.__setitem__)
    assert counts["patches"] == 3
    assert counts["correction_versions"] == 8
    assert counts["jobs"] == 2
    assert told == {name: rows for name, rows in counts.items() if rows}
    with open_catalog(elsewhere) as copy:
        assert patches(copy) == patches(lab.catalog)
        with copy.write() as session:
            new = add_person(session, Change.now(admin.id), "new", Role.VIEWER)
            assert new.id > 2
            add_job(session, Change.now(None), JobKind.HASH, {}, "c")


def patches(catalog: Catalog) -> tuple[object, ...]:
    with catalog.read() as session:
        return list_patches(session).rows


@pytest.mark.parametrize("database", ["sqlite"])
def test_absent_json_is_absent_in_the_copy(
    lab: Workspace, admin: PersonRecord, elsewhere: sa.URL
) -> None:
    copy_catalog(lab, admin, address(elsewhere))
    engine = sa.create_engine(elsewhere)
    with engine.connect() as connection:
        found = connection.scalar(sa.text("SELECT count(*) FROM events WHERE before IS NULL"))
        assert found
        words = sa.text("SELECT count(*) FROM events WHERE CAST(before AS text) = 'null'")
        assert connection.scalar(words) == 0
    engine.dispose()


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_copy_has_the_digest_of_its_original_and_another_after_a_change(
    lab: Workspace, admin: PersonRecord, elsewhere: sa.URL
) -> None:
    copy_catalog(lab, admin, address(elsewhere))
    people = metadata.tables["people"]
    engines = [sa.create_engine(lab.catalog.url), sa.create_engine(elsewhere)]
    with engines[0].connect() as old, engines[1].connect() as new:
        assert digest(old, people) == digest(new, people)
        new.execute(sa.update(people).where(people.c.id == 1).values(name="other"))
        assert digest(old, people) != digest(new, people)
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_catalog_is_copied_over_no_other(
    lab: Workspace, admin: PersonRecord, elsewhere: sa.URL
) -> None:
    copy_catalog(lab, admin, address(elsewhere))
    with pytest.raises(CatalogError, match=r"there already|has tables already"):
        copy_catalog(lab, admin, address(elsewhere))


@pytest.mark.parametrize("database", ["sqlite"])
def test_only_an_admin_copies_a_catalog(lab: Workspace, database: str, tmp_path: Path) -> None:
    with lab.catalog.read() as session:
        anna = get_person(session, "anna")
    with pytest.raises(NotAllowedError):
        copy_catalog(lab, anna, f"sqlite:///{tmp_path}/copy.sqlite")
    assert not (tmp_path / "copy.sqlite").exists()
