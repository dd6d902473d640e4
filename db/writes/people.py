"""Add people and change what they may do; nobody is deleted."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import CatalogError, TakenNameError, UnknownNameError
from db.models.people import Person, SavedView
from db.queries.people import PersonRecord, person_record
from db.vocabulary import Role
from db.writes.events import Change, Subject, apply, check_version, record_event


def add_person(
    session: Session,
    change: Change,
    name: str,
    role: Role,
    *,
    os_user: str | None = None,
    identity: tuple[str, str] | None = None,
) -> PersonRecord:
    """Add somebody; ``identity`` is the issuer and subject of an OpenID provider.

    Errors: TakenNameError where the name or account is somebody else's.
    """
    _check_name(name)
    for column, value in ((Person.name, name), (Person.os_user, os_user)):
        if value is not None and session.scalar(select(Person.id).where(column == value)):
            raise TakenNameError(f"person {value!r}: there is one already; choose another name.")
    issuer, subject = identity or (None, None)
    person = Person(
        name=name,
        role=role,
        os_user=os_user,
        issuer=issuer,
        subject=subject,
        disabled=False,
        created_at=change.at,
        updated_at=change.at,
        updated_by_id=change.by_id,
    )
    session.add(person)
    session.flush()
    after = {"role": role, "os_user": os_user, "issuer": issuer, "subject": subject}
    record_event(session, change, "person added", _subject(person), None, after)
    return person_record(person)


def change_person(
    session: Session, change: Change, name: str, seen: int | None = None, **values: object
) -> PersonRecord:
    """Change somebody's role, account, identity or whether they are disabled.

    Errors: UnknownNameError; ConflictError; CatalogError where no admin would be left.
    """
    person = session.scalar(select(Person).where(Person.name == name).with_for_update())
    if person is None:
        raise UnknownNameError.among("person", name, session.scalars(select(Person.name)))
    check_version(session, person, name, seen)
    before, after = apply(person, change, values)
    session.flush()
    admins = select(Person.id).where(Person.role == Role.ADMIN, Person.disabled.is_(False))
    if session.scalar(admins.limit(1)) is None:
        raise CatalogError(f"person {name!r}: is the last admin; make somebody else admin first.")
    record_event(session, change, "person changed", _subject(person), before, after)
    return person_record(person)


def save_view(
    session: Session, change: Change, name: str, page: str, rules: dict[str, object]
) -> None:
    """Keep a filter under a name of its owner, over an older one of that name."""
    _check_name(name)
    owned = select(SavedView).where(SavedView.owner_id == change.by_id, SavedView.name == name)
    view = session.scalar(owned)
    if view is None:
        view = SavedView(owner_id=change.by_id, name=name, shared=False)
        session.add(view)
    view.page, view.rules, view.updated_at = page, rules, change.at


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= 200 or not name.isprintable() or name != name.strip():
        raise CatalogError(
            f"the name {name[:60]!r}: use 1 to 200 printable characters, no space at its ends."
        )


def _subject(person: Person) -> Subject:
    return Subject("person", person.id, person.name)
