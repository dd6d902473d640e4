"""A lab: a workspace that a person works in. Whatever changes a patch is one step of a lab.

    with lab.step(name, Action.SUBMIT_CORRECTION, Transition.CORRECT) as step:
        step.add_version("Add1.nrrd", received)
        step.place(staged, target)

Entering takes the patch's lock, begins the only write transaction, reads the person's role and the
patch anew, and checks the version that the caller saw and the table of legal transitions. Leaving
marks the label stale or not, records the events, commits, renames the placed files to their
targets and writes the patch's record. If the block fails, nothing of it has happened.

Read, compute and stage files before the step: others wait for the transaction. Check inside it
whatever may have changed since (``step.patch``, ``step.slots``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.access.permissions import Action, require, require_role
from core.corrections.store import Store
from core.lab.file_moves import finish_placing, forget_placements
from core.lab.step import Changes, Step
from core.patches.lifecycle import Transition, next_stage
from core.patches.record import write_record
from core.workspace.folders import Folders
from core.workspace.locks import patch_lock
from core.workspace.settings import Settings
from core.workspace.workspace import Workspace
from db.engine import Catalog
from db.queries.people import PersonRecord
from db.writes.events import Change
from db.writes.patches import lock_patch


@dataclass(frozen=True)
class Lab:
    """A workspace opened by a person."""

    workspace: Workspace
    person: PersonRecord

    @property
    def folders(self) -> Folders:
        return self.workspace.folders

    @property
    def settings(self) -> Settings:
        return self.workspace.settings

    @property
    def catalog(self) -> Catalog:
        return self.workspace.catalog

    @property
    def store(self) -> Store:
        return Store(self.workspace.folders.store)

    def check(self, action: Action) -> None:
        """Refuse early, by the role that the person had when the lab was opened.

        The step itself reads the role anew.

        Errors: NotAllowedError.
        """
        require_role(self.person, action)

    @contextmanager
    def read(self, action: Action = Action.VIEW) -> Iterator[Session]:
        """Give one snapshot of the catalog to a person who may take an action.

        Errors: NotAllowedError.
        """
        with self.catalog.read() as session:
            require(session, self.person, action)
            yield session

    @contextmanager
    def change(self, action: Action, *, reason: str | None = None) -> Iterator[Changes]:
        """Change what is no existing patch's alone: choose, adopt or import patches, for instance.

        Errors: NotAllowedError; CatalogError.
        """
        with self.catalog.write() as session:
            person = require(session, self.person, action)
            changes = Changes(session, Change.now(person.id, reason), person)
            yield changes
        changes.publish()
        for patch in changes.recorded:
            write_record(self.workspace, patch)

    @contextmanager
    def step(
        self,
        patch: str,
        action: Action,
        transition: Transition,
        *,
        seen: int | None = None,
        reason: str | None = None,
    ) -> Iterator[Step]:
        """Change one patch, whole or not at all; ``seen`` is the version that the caller saw.

        Errors: NotAllowedError; StepError where the transition is not legal; ConflictError where
        somebody changed the patch since, or holds its lock for a minute; UnknownNameError;
        OutputError; CatalogError.
        """
        with patch_lock(self.workspace, patch):
            finish_placing(self.workspace, patch)
            try:
                with self.catalog.write() as session:
                    person = require(session, self.person, action)
                    record = lock_patch(session, patch, seen)
                    step = Step(
                        session,
                        Change.now(person.id, reason),
                        person,
                        folders=self.folders,
                        patch=record,
                        stage=next_stage(record, transition),
                    )
                    yield step
                    step.finish()
            except BaseException:
                forget_placements(self.folders, patch)
                raise
            step.publish()
        write_record(self.workspace, patch)
