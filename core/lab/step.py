"""The step of a lab: changes that are made together at its end, or not at all."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.errors import OutputError
from core.files.atomic import sync_folder
from core.lab.file_moves import Placement, forget_placements, note_placements
from core.labels.inputs import in_folder, update_stale
from core.workspace.folders import Folders
from db.errors import ConflictError
from db.queries.life import SlotRecord, slots_of
from db.queries.patches import PatchRecord
from db.queries.people import PersonRecord
from db.vocabulary import Stage
from db.writes.corrections import Received, add_correction, mark_correction
from db.writes.events import Change
from db.writes.patches import change_patch


class Changes:
    """One write transaction of a person, and the files that follow it."""

    def __init__(self, session: Session, change: Change, person: PersonRecord) -> None:
        self.session = session
        self.change = change
        self.person = person
        """As the catalog has them now."""
        self.recorded: list[str] = []
        self._placements: list[Placement] = []

    def place(self, staged: Path, target: Path) -> None:
        """Rename a finished file to its target once the transaction is committed.

        ``staged`` lies on the target's file system (``staged_copy``).
        """
        self._placements.append(Placement(staged, target))

    def record(self, patch: str) -> None:
        """Write a patch's record once the transaction is committed."""
        self.recorded.append(patch)

    def publish(self) -> None:
        """Put the placed files where they belong; the transaction is committed.

        Errors: OutputError; the next step of the patch tries again.
        """
        for source, target in self._placements:
            try:
                source.replace(target)
                sync_folder(target.parent)
            except OSError as error:
                raise OutputError(
                    f"{target}: cannot be written ({error.strerror}); it is saved in the store "
                    "and the catalog, and placed here by the next step of its patch."
                ) from error


class Step(Changes):
    """One change of one patch."""

    def __init__(
        self,
        session: Session,
        change: Change,
        person: PersonRecord,
        *,
        folders: Folders,
        patch: PatchRecord,
        stage: Stage,
    ) -> None:
        super().__init__(session, change, person)
        self.folders = folders
        self.patch = patch
        self.stage = stage
        """Where the transition leads."""
        self._corrected = False

    @functools.cached_property
    def slots(self) -> Mapping[str, SlotRecord]:
        """The patch's corrections by file name, as they were when the step began."""
        return {slot.name: slot for slot in slots_of(self.session, self.patch.id)}

    def add_version(self, slot: str, received: Received, *, expected: int | None = None) -> int:
        """Add a correction's next version; give its number.

        ``expected`` is the version that it replaces, 0 for none; None replaces any.

        Errors: ConflictError.
        """
        self._begin_correcting()
        return add_correction(
            self.session, self.change, self.patch, slot, received, expected=expected
        )

    def mark(
        self,
        slot: str,
        *,
        withdrawn: bool | None = None,
        missing: bool | None = None,
        reason: str | None = None,
    ) -> None:
        """Withdraw a correction, reinstate it, or note whether its file is in the folder.

        Errors: UnknownNameError.
        """
        self._begin_correcting()
        change = replace(self.change, reason=reason) if reason else self.change
        mark_correction(
            self.session, change, self.patch, slot, withdrawn=withdrawn, missing=missing
        )

    def move(self, source: Path, target: Path) -> None:
        """Rename a file of the workspace once the transaction is committed."""
        self._placements.append(Placement(source, target))

    def set(self, event: str, **values: Any) -> PatchRecord:
        """Set columns of the patch at the stage that the transition leads to.

        Errors: ConflictError.
        """
        self.patch = change_patch(
            self.session, self.change, self.patch, event, **({"stage": self.stage} | values)
        )
        return self.patch

    def check_seen(self, seen: Mapping[str, int]) -> None:
        """Refuse where a correction is at another version than the caller saw.

        Errors: ConflictError names who changed it and when.
        """
        for name, number in seen.items():
            slot = self.slots.get(name)
            if slot is None or slot.latest.number != number:
                raise slot_conflict(self.patch.name, name, slot, number)

    def finish(self) -> None:
        """Update the stale mark, and note which files follow the transaction."""
        if self._corrected:
            self.patch = update_stale(self.session, self.change, self.patch)
        self.session.flush()
        before = {name: in_folder(slot) for name, slot in self.slots.items()}
        note_placements(self.folders, self.patch.name, self._placements, before)

    def publish(self) -> None:
        super().publish()
        forget_placements(self.folders, self.patch.name)

    def _begin_correcting(self) -> None:
        _ = self.slots  # as they are before anything changes
        self._corrected = True


def slot_conflict(patch: str, name: str, slot: SlotRecord | None, seen: int) -> ConflictError:
    """Say who changed a correction since it was seen at a version."""
    if slot is None or not slot.counts:
        return ConflictError(
            f"{patch}: {name} was withdrawn since you looked at it; look at it again, then repeat."
        )
    latest = slot.latest
    return ConflictError.since(
        f"{patch}, {name}", latest.received_by, latest.received_at, (latest.number, seen)
    )
