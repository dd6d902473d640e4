"""Every list, filter and count of a page sends as many statements for many rows as for few."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.catalog import queries, statements
from bench.full_catalog import Sizes, fill
from db.schema import create_catalog

FEW = Sizes(tomograms=8, corrections=100, events=200, people=50, datasets=20, jobs=30)
MANY = Sizes(tomograms=80, corrections=1_000, events=2_000, people=50, datasets=20, jobs=300)
MOST = 5
"""Statements of any of them: a page, its total, and what belongs to its rows."""


def counted(url: sa.URL, sizes: Sizes) -> dict[str, int]:
    with create_catalog(url) as catalog:
        with catalog.write() as session:
            fill(session.connection(), sizes)
        return {name: len(statements(catalog, query)[0]) for name, query in queries(sizes).items()}


def test_no_list_asks_once_a_row(empty_url: Any, tmp_path: Path, database: Any) -> None:
    if database == "postgresql":
        many = counted(empty_url, MANY)
        assert max(many.values()) <= MOST
        return
    few = counted(sa.URL.create("sqlite", database=str(tmp_path / "few.sqlite")), FEW)
    many = counted(empty_url, MANY)
    assert many == few
    assert max(many.values()) <= MOST
