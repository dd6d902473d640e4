"""The operating-system account of this process, as the kernel knows it."""

import os
import pwd


def current_account() -> str:
    """Return the account's name, or its number where it has none (a container, LDAP is away).

    Never taken from $LOGNAME or $USER: the caller sets those.
    """
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
