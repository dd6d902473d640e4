"""People: who acts, by which account, and what they may do."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Changed, JsonDict, one_of, together, word
from db.vocabulary import Role


class Person(Changed, Base):
    """Someone who works on the catalog; disabled, never deleted."""

    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    os_user: Mapped[str | None] = mapped_column(unique=True)
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    role: Mapped[Role] = word(Role)
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]

    __table_args__ = (
        one_of("role", Role),
        together("identity", ("issuer", "subject")),
        CheckConstraint("length(name) BETWEEN 1 AND 200", name="name_length"),
        UniqueConstraint("issuer", "subject"),
    )


class SavedView(Base):
    """A filter that somebody keeps under a name, stored as its rules."""

    __tablename__ = "saved_views"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    name: Mapped[str]
    page: Mapped[str]
    rules: Mapped[JsonDict]
    shared: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("owner_id", "name"), Index(None, "shared"))
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - read once, at mapping


class BrowserSession(Base):
    """A browser that somebody signed in with, until it ends or is ended."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(primary_key=True)
    """A hash of the session's secret, not what a browser holds."""
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    server: Mapped[str]
    """The run of serve that it belongs to; empty where it outlives one."""
    began_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "person_id"), Index(None, "ends_at"))
