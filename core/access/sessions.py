"""Sign in and out: who a provider's subject is here, and which browser sessions count.

Everybody is known by (issuer, subject), never by an e-mail address or a name, which others can
take. A session is a row of the catalog with an end; a browser holds its secret, the catalog only
the secret's hash. Each entry, refusal and exit is an event.
"""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.workspace.workspace import Workspace
from db.errors import NotAllowedError, TakenNameError
from db.queries.people import (
    PersonRecord,
    get_person,
    person_by_id,
    person_by_identity,
    person_of_session,
)
from db.vocabulary import Role
from db.writes.events import Change, Subject, record_event
from db.writes.people import add_person
from db.writes.sessions import add_session, end_session, end_sessions_of

NAME_LENGTH = 80
LASTS = timedelta(days=7)
"""How long a session lasts where the settings say nothing."""


def sign_in(
    workspace: Workspace, identity: tuple[str, str], name: str, new_people: Role | None
) -> PersonRecord:
    """Return the person whom a provider knows as this (issuer, subject); the entry is recorded.

    Somebody new gets the role ``new_people``, if the settings state one, under the name that the
    provider tells, made unique.

    Errors: NotAllowedError for somebody unknown or disabled; the refusal is recorded too.
    """
    with workspace.catalog.write() as session:
        person = person_by_identity(session, *identity)
        if person is None and new_people is not None:
            person = _add(session, identity, name, new_people)
        refusal = _refusal(person, identity)
        by_id = person.id if person else None
        subject = Subject("person", by_id, person.name if person else f"{identity[1]}"[:200])
        action = "sign-in refused" if refusal else "signed in"
        record_event(session, Change.now(by_id), action, subject, None, {"issuer": identity[0]})
    if refusal or person is None:
        raise NotAllowedError(refusal or "")
    return person


def start_session(
    workspace: Workspace, person_id: int, *, server: str = "", lasts: timedelta = LASTS
) -> str:
    """Open a browser session and return its secret.

    ``server`` ties it to one run of ``serve``, whose end is its end.
    """
    secret = secrets.token_urlsafe(32)
    change = Change.now(person_id)
    with workspace.catalog.write() as session:
        add_session(session, change, mark_of(secret), person_id, server, change.at + lasts)
    return secret


def session_person(
    workspace: Workspace, secret: str, *, server: str = "", lasts: timedelta = LASTS
) -> PersonRecord | None:
    """Return the person of a session as the catalog has them now; None for one that is over.

    Read at each request, so that disabling somebody takes effect at once.
    """
    with workspace.catalog.read() as session:
        now = Change.now(None).at
        person = person_of_session(session, mark_of(secret), server, now, lasts)
    return None if person is None or person.disabled else person


def sign_out(workspace: Workspace, secret: str) -> None:
    """End a browser session before its time."""
    with workspace.catalog.write() as session:
        person_id = end_session(session, Change.now(None), mark_of(secret))
        person = person_by_id(session, person_id) if person_id else None
        if person:
            subject = Subject("person", person.id, person.name)
            record_event(session, Change.now(person.id), "signed out", subject)


def end_sessions(workspace: Workspace, by: PersonRecord, name: str) -> int:
    """End all browser sessions of somebody, and return how many there were.

    Errors: NotAllowedError; UnknownNameError.
    """
    with workspace.catalog.write() as session:
        require(session, by, Action.MANAGE_PEOPLE)
        person, change = get_person(session, name), Change.now(by.id)
        ended = end_sessions_of(session, change, person.id)
        subject = Subject("person", person.id, person.name)
        record_event(session, change, "sessions ended", subject, None, {"sessions": ended})
    return ended


def mark_of(secret: str) -> str:
    """Return what stands in the catalog for a session; nothing that a browser could use."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _add(session: Session, identity: tuple[str, str], name: str, role: Role) -> PersonRecord:
    shown = "".join(c for c in name if c.isprintable()).strip()[:NAME_LENGTH].strip() or "somebody"
    for candidate in (shown, *(f"{shown} {number}" for number in range(2, 100))):
        try:
            return add_person(session, Change.now(None), candidate, role, identity=identity)
        except TakenNameError:
            continue
    raise TakenNameError(f"person {shown!r}: too many people have this name; ask an admin.")


def _refusal(person: PersonRecord | None, identity: tuple[str, str]) -> str | None:
    if person is None:
        return (
            f"You are signed in at {identity[0]} as {identity[1]}, but nobody here has this "
            "identity. Ask an admin to run: tomocurate people account NAME --issuer "
            f"{identity[0]} --subject {identity[1]}"
        )
    return f"{person.name} is disabled; ask an admin." if person.disabled else None
