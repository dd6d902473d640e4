"""Base of every table: names of constraints, UTC times, enums by value, who changed it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from sqlalchemy import JSON, CheckConstraint, DateTime, Dialect, ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.types import TypeDecorator

from db.errors import CatalogError

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Word = TypeVar("Word", bound=StrEnum)
JsonDict = dict[str, Any]


class Utc(TypeDecorator[datetime]):
    """A moment in UTC. One without a time zone is refused: nobody can tell when it was."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise CatalogError(f"the time {value} has no time zone; times in the catalog are UTC.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class WordType(TypeDecorator[Any]):
    """A word of the vocabulary, stored by its value; the table's CHECK lists the values."""

    impl = String(24)
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.words(value)


def word(words: type[StrEnum], **options: Any) -> Any:
    """Make a column that holds a word of the vocabulary; see ``one_of`` for its CHECK."""
    return mapped_column(WordType(words), **options)


def one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """The CHECK that a column holds one of the words."""
    listed = ", ".join(f"'{member.value}'" for member in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def together(name: str, columns: Sequence[str]) -> CheckConstraint:
    """The CHECK that columns are all stated or all empty."""
    none = " AND ".join(f"{column} IS NULL" for column in columns)
    every = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return CheckConstraint(f"({none}) OR ({every})", name=name)


class Base(DeclarativeBase):
    """The root of the tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Utc(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
    }


class Changed:
    """Of what people change: the version a writer must have seen, and who was last."""

    version: Mapped[int] = mapped_column()
    updated_at: Mapped[datetime]
    updated_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805 - SQLAlchemy calls it on the class
        return {"version_id_col": cls.version}
