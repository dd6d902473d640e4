"""Come in and go out: who a provider's subject is here, and which sessions are over.

Everybody is known by (issuer, subject), never by an e-mail address or a name, which others can
take. Each entry, refusal and exit is an event.
"""

import hashlib
from datetime import timedelta

from sqlalchemy.orm import Session

from core.workspace.workspace import Workspace
from db.errors import NotAllowedError, TakenNameError
from db.queries.people import PersonRecord, person_by_id, person_by_identity
from db.queries.sessions import session_ended
from db.vocabulary import Role
from db.writes.events import Change, Subject, record_event
from db.writes.people import add_person
from db.writes.sessions import end_session, forget_ended_sessions

NAME_LENGTH = 80


def enter(
    workspace: Workspace, identity: tuple[str, str], name: str, new_people: Role | None
) -> PersonRecord:
    """The person whom a provider knows as this (issuer, subject); the entry is recorded.

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


def leave(workspace: Workspace, person_id: int, session_id: str, lasts: timedelta) -> None:
    """End a browser session before its time."""
    change = Change.now(person_id)
    with workspace.catalog.write() as session:
        person = person_by_id(session, person_id)
        forget_ended_sessions(session, change.at)
        end_session(session, change, ended_mark(session_id), change.at + lasts)
        subject = Subject("person", person_id, person.name if person else str(person_id))
        record_event(session, change, "signed out", subject)


def present(workspace: Workspace, person_id: int, session_id: str) -> PersonRecord | None:
    """The person of a session as the catalog has them now; None for one that is over.

    Read at each request, so that disabling somebody takes effect at once.
    """
    with workspace.catalog.read() as session:
        person = person_by_id(session, person_id)
        if person is None or person.disabled or session_ended(session, ended_mark(session_id)):
            return None
        return person


def ended_mark(session_id: str) -> str:
    """What stands in the catalog for an ended session; nothing that a browser could use."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def _add(session: Session, identity: tuple[str, str], name: str, role: Role) -> PersonRecord:
    shown = "".join(c for c in name if c.isprintable()).strip()[:NAME_LENGTH].strip() or "somebody"
    for candidate in (shown, *(f"{shown} {number}" for number in range(2, 100))):
        try:
            return add_person(session, Change.now(None), candidate, role, identity=identity)
        except TakenNameError:
            continue
    raise TakenNameError(f"person {shown!r}: too many have this name; an admin adds you.")


def _refusal(person: PersonRecord | None, identity: tuple[str, str]) -> str | None:
    if person is None:
        return (
            f"You are signed in at {identity[0]} as {identity[1]}, but nobody here has this "
            "identity. Ask an admin to run: tomocurate people account NAME --issuer "
            f"{identity[0]} --subject {identity[1]}"
        )
    return f"{person.name} is disabled; ask an admin." if person.disabled else None
