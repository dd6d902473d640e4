"""Map the operating-system account to a person of the catalog, for the command line."""

from core.access.account import current_account
from core.workspace.workspace import Workspace
from db.errors import NotAllowedError
from db.queries.people import PersonRecord, person_by_account


def acting_person(workspace: Workspace) -> PersonRecord:
    """Return the person registered for this account.

    Errors: NotAllowedError where there is none, or they are disabled.
    """
    account = current_account()
    with workspace.catalog.read() as session:
        person = person_by_account(session, account)
    if person is None:
        raise NotAllowedError(
            f"no user is registered for account {account!r} in {workspace.catalog.name}; ask an "
            f"admin to run: tomocurate people add NAME --account {account}"
        )
    if person.disabled:
        raise NotAllowedError(f"{person.name} is disabled; ask an admin.")
    return person
