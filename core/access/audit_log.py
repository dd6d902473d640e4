"""Record refusals and downloads in the event log, and export the log."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.access.permissions import Action, require
from core.errors import OutputError
from core.files.atomic import whole_file
from core.workspace.workspace import Workspace
from db.errors import NotAllowedError
from db.queries.life import EventFilter, EventRecord, list_events
from db.queries.people import PersonRecord
from db.writes.events import Change, Subject, record_event

PAGE = 5000
MOST_NAMES = 200
"""Names that one event lists; a larger download says how many it held."""


def note_refusal(workspace: Workspace, by: PersonRecord, error: NotAllowedError) -> None:
    """Record that somebody asked for what they may not do."""
    with workspace.catalog.write() as session:
        subject = Subject("person", by.id, by.name)
        record_event(session, Change.now(by.id), "refused", subject, None, {"said": str(error)})


def note_download(workspace: Workspace, by: PersonRecord, what: str, names: Sequence[str]) -> None:
    """Record that somebody took files away, such as the kits of some patches."""
    after = {"names": list(names[:MOST_NAMES]), "count": len(names)}
    with workspace.catalog.write() as session:
        require(session, by, Action.VIEW)
        subject = Subject("person", by.id, by.name)
        record_event(session, Change.now(by.id), f"downloaded {what}"[:80], subject, None, after)


def export_events(
    workspace: Workspace,
    by: PersonRecord,
    out: Path,
    wanted: EventFilter | None = None,
    progress: Callable[[int], None] = lambda written: None,
) -> int:
    """Write the log as JSON lines, the latest event first; give how many.

    Errors: NotAllowedError; OutputError where the file is there already or cannot be written.
    """
    if out.exists():
        raise OutputError(f"{out}: is there already; name another file.")
    with workspace.catalog.write() as session:
        require(session, by, Action.READ_LOG)
        subject = Subject("person", by.id, by.name)
        record_event(session, Change.now(by.id), "exported the log", subject)
    written = 0
    with whole_file(out, exist_ok=False) as partial, partial.open("w", encoding="utf-8") as file:
        for event in all_events(workspace, wanted):
            file.write(json.dumps(_plain(event), ensure_ascii=False, sort_keys=True) + "\n")
            written += 1
            if written % PAGE == 0:
                progress(written)
    return written


def all_events(workspace: Workspace, wanted: EventFilter | None = None) -> Iterator[EventRecord]:
    """Every event, the latest first, a page at a time, so that no read stays open."""
    before: int | None = None
    while True:
        with workspace.catalog.read() as session:
            page = list_events(session, wanted, before, PAGE)
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].id


def _plain(event: EventRecord) -> dict[str, Any]:
    return {**asdict(event), "at": event.at.isoformat()}
