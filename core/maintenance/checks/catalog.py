"""Check that the catalog is sound, its clock plausible and written by one machine."""

import os
from collections.abc import Iterator
from datetime import timedelta

from core.maintenance.checks.findings import BAD, OK, WARN, Finding, name_some
from core.workspace.workspace import Workspace
from db.engine import HOST_QUIET
from db.queries.jobs import database_time
from db.queries.maintenance import (
    last_backup,
    latest_time,
    machines,
    unsound,
)

CLOCK_TOLERANCE = timedelta(minutes=10)


def catalog_of(workspace: Workspace) -> Iterator[Finding]:
    """The catalog is sound from its first page to its last, and may be written."""
    name, file = workspace.catalog.name, workspace.catalog.file
    with workspace.catalog.read() as session:
        faults = unsound(session)
    if faults:
        message = f"{name}: is damaged ({name_some(faults)}); restore the last backup."
        yield Finding("catalog", BAD, message)
    elif file is not None and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        message = f"{name}: is read-only for this account; make the file and its folder writable."
        yield Finding("catalog", BAD, message)
    else:
        yield Finding("catalog", OK, f"{name}: is sound.")


def clock_of(workspace: Workspace) -> Iterator[Finding]:
    """Nothing was recorded in the future: then the clock is wrong, or was."""
    with workspace.catalog.read() as session:
        latest, now = latest_time(session), database_time(session)
        backup = last_backup(session)
    times = [latest] if latest else []
    times += [backup.made_at] if backup else []
    if times and max(times) > now + CLOCK_TOLERANCE:
        message = (
            f"the catalog has an entry dated {max(times):%Y-%m-%d at %H:%M} UTC, later than now "
            f"({now:%Y-%m-%d at %H:%M}); check the system clock."
        )
        yield Finding("clock", BAD, message)
    else:
        yield Finding("clock", OK, "no entry is dated in the future.")


def machines_of(workspace: Workspace) -> Iterator[Finding]:
    """A SQLite catalog is written by one machine."""
    if workspace.catalog.file is None:
        return
    with workspace.catalog.read() as session:
        seen, now = machines(session), database_time(session)
    lately = [name for name, at in seen if now - HOST_QUIET < at < now + HOST_QUIET]
    if len(lately) > 1:
        message = (
            f"{name_some(lately)} all wrote to this SQLite file lately; let one machine do so."
        )
        yield Finding("machines", BAD, message)
    elif len(seen) > 1:
        names = name_some(name for name, _ in seen)
        yield Finding("machines", WARN, f"{names} have written to this SQLite file, not at once.")
    else:
        yield Finding("machines", OK, "one machine writes to this SQLite file.")
