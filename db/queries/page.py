"""A page of a list: its rows, how many there are in all, and where the page begins."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

Row = TypeVar("Row")

LIMIT = 100
"""Rows of a page, unless told."""

MAX_LIMIT = 10_000


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows of a list; ``total`` counts all that the filter hits."""

    rows: tuple[Row, ...]
    total: int
    offset: int

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def count(session: Session, counted: Any, where: Iterable[Any]) -> int:
    """Count the rows that fulfil all conditions."""
    return session.scalar(select(func.count(counted)).where(*where)) or 0


def page_of(statement: Any, offset: int, limit: int) -> Any:
    """The rows of one page; a limit beyond ``MAX_LIMIT`` is cut to it."""
    return statement.offset(max(0, offset)).limit(max(1, min(limit, MAX_LIMIT)))
