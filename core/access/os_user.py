"""Who acts on the command line: the operating-system user, mapped to a person of the catalog."""

import getpass

from core.workspace.workspace import Workspace
from db.errors import NotAllowedError
from db.queries.people import PersonRecord, person_by_account


def acting_person(workspace: Workspace) -> PersonRecord:
    """The person of this account.

    Errors: NotAllowedError where nobody has it, or they are disabled.
    """
    account = getpass.getuser()
    with workspace.catalog.read() as session:
        person = person_by_account(session, account)
    if person is None:
        raise NotAllowedError(
            f"the account {account!r} is nobody in {workspace.catalog.name}; an admin adds you "
            f"with tomocurate people add NAME --account {account}."
        )
    if person.disabled:
        raise NotAllowedError(f"{person.name} is disabled; ask an admin.")
    return person
