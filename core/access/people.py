"""People of a workspace: who works here, by which account, and what they may do."""

from core.access.permissions import Action, require
from core.workspace.workspace import Workspace
from db.queries import people as queries
from db.queries.people import PersonRecord
from db.vocabulary import Role
from db.writes.events import Change
from db.writes.people import add_person, change_person
from db.writes.sessions import end_sessions_of


def list_people(workspace: Workspace) -> tuple[PersonRecord, ...]:
    """Everybody by name, disabled people too."""
    with workspace.catalog.read() as session:
        return queries.list_people(session)


def add(
    workspace: Workspace,
    by: PersonRecord,
    name: str,
    role: Role,
    os_user: str | None = None,
    identity: tuple[str, str] | None = None,
) -> PersonRecord:
    """Add somebody; ``identity`` is the issuer and subject of an OpenID provider.

    Errors: NotAllowedError; TakenNameError; CatalogError for a name that cannot be one.
    """
    with workspace.catalog.write() as session:
        require(session, by, Action.MANAGE_PEOPLE)
        change = Change.now(by.id)
        return add_person(session, change, name, role, os_user=os_user, identity=identity)


def change_role(
    workspace: Workspace, by: PersonRecord, name: str, role: Role, seen: int | None = None
) -> PersonRecord:
    """Change what somebody may do; it counts from their next step on.

    Errors: NotAllowedError; UnknownNameError; ConflictError; CatalogError for the last admin.
    """
    return _change(workspace, by, name, seen, role=role)


def set_account(
    workspace: Workspace,
    by: PersonRecord,
    name: str,
    *,
    os_user: str | None = None,
    identity: tuple[str, str] | None = None,
    seen: int | None = None,
) -> PersonRecord:
    """State by which account of the machine, or of an OpenID provider, somebody is known.

    Errors: as ``change_role``; TakenNameError where the account is somebody else's.
    """
    values: dict[str, object] = {}
    if os_user is not None:
        values["os_user"] = os_user
    if identity is not None:
        values["issuer"], values["subject"] = identity
    return _change(workspace, by, name, seen, **values)


def identify(
    workspace: Workspace, by: PersonRecord, name: str, issuer: str, subject: str
) -> PersonRecord:
    """State as which subject an OpenID provider knows somebody.

    Errors: as ``set_account``.
    """
    return set_account(workspace, by, name, identity=(issuer, subject))


def disable(
    workspace: Workspace, by: PersonRecord, name: str, seen: int | None = None
) -> PersonRecord:
    """Let somebody do nothing any more; what they did keeps their name.

    Their browser sessions end for good: enabling them again revives none.

    Errors: as ``change_role``.
    """
    with workspace.catalog.write() as session:
        require(session, by, Action.MANAGE_PEOPLE)
        change = Change.now(by.id)
        person = change_person(session, change, name, seen, disabled=True)
        end_sessions_of(session, change, person.id)
    return person


def enable(
    workspace: Workspace, by: PersonRecord, name: str, seen: int | None = None
) -> PersonRecord:
    """Let somebody who was disabled work again.

    Errors: as ``change_role``.
    """
    return _change(workspace, by, name, seen, disabled=False)


def _change(
    workspace: Workspace, by: PersonRecord, name: str, seen: int | None, **values: object
) -> PersonRecord:
    with workspace.catalog.write() as session:
        require(session, by, Action.MANAGE_PEOPLE)
        return change_person(session, Change.now(by.id), name, seen, **values)
