"""Jobs that this person asked for and that ended meanwhile, told on whatever page they look at."""

import streamlit as st

from core.jobs.queue import list_jobs
from core.workspace.workspace import Workspace
from dashboard.ui.escape import escape
from dashboard.ui.session_keys import Key
from db.queries.jobs import JobFilter, JobRecord
from db.queries.people import PersonRecord
from db.vocabulary import JobKind, JobState

LOOKED_AT = 60
"""The newest jobs that are watched."""
EVERY_S = 4.0

KIND_NAMES = {
    JobKind.EXTRACT: "Extraction",
    JobKind.MERGE: "Merge",
    JobKind.COLLECT: "Collection",
    JobKind.HASH: "Checksum",
    JobKind.PREVIEW: "Preview",
    JobKind.EXPORT: "Export",
    JobKind.BACKUP: "Backup",
    JobKind.PROPOSE: "Proposals",
    JobKind.IMPORT: "Import",
    JobKind.SCORE: "Scores",
}
QUIET = frozenset({JobKind.HASH, JobKind.PREVIEW})
"""Kinds that nobody asked for by name: only their failure is told."""

TOLD = {
    JobState.DONE: ("finished", ":material/task_alt:"),
    JobState.FAILED: ("failed", ":material/error:"),
    JobState.CANCELLED: ("was cancelled", ":material/cancel:"),
}


def newly_finished(
    jobs: tuple[JobRecord, ...], person: PersonRecord, active_before: list[int]
) -> list[JobRecord]:
    """This person's jobs that were active when last looked at, and are no longer."""
    return [
        job
        for job in jobs
        if job.created_by_id == person.id and not job.is_active and job.id in active_before
    ]


def active_now(jobs: tuple[JobRecord, ...], person: PersonRecord) -> list[int]:
    """Numbers of this person's queued and running jobs."""
    return [job.id for job in jobs if job.created_by_id == person.id and job.is_active]


@st.fragment(run_every=EVERY_S)
def notify_finished_jobs(workspace: Workspace, person: PersonRecord) -> None:
    """Say which jobs ended since the last look."""
    jobs = list_jobs(workspace, JobFilter(top=True), limit=LOOKED_AT).rows
    for job in newly_finished(jobs, person, st.session_state.get(Key.JOBS_SEEN, [])):
        words, icon = TOLD[job.state]
        if job.kind in QUIET and job.state is not JobState.FAILED:
            continue
        said = f"{KIND_NAMES[job.kind]} {words}"
        why = f": {escape(job.error)}" if job.error else ""
        st.toast(f"{said} (job {job.id}){why}", icon=icon, duration="long")
    st.session_state[Key.JOBS_SEEN] = active_now(jobs, person)
