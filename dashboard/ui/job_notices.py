"""Messages on any page about the person's jobs that finished meanwhile."""

import streamlit as st

from core.jobs.queue import list_jobs
from core.lab.lab import Lab
from dashboard.ui.escape import escape
from dashboard.ui.session_keys import Key
from db.queries.jobs import JobFilter, JobRecord
from db.queries.people import PersonRecord
from db.vocabulary import JobKind, JobState

LOOKED_AT = 60
"""The newest jobs that are watched."""
EVERY_S = 4.0
REDRAWN = frozenset({"progress", "browse", "patches"})
"""Pages that show what jobs change, and hold nothing half done."""

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

STATE_WORDS = {
    JobState.DONE: ("finished", ":material/task_alt:"),
    JobState.FAILED: ("failed", ":material/error:"),
    JobState.CANCELLED: ("was cancelled", ":material/cancel:"),
}


def newly_finished(
    jobs: tuple[JobRecord, ...], person: PersonRecord, active_before: list[int]
) -> list[JobRecord]:
    """Find this person's jobs that were active at the last look and are no longer."""
    return [
        job
        for job in jobs
        if job.created_by_id == person.id and not job.is_active and job.id in active_before
    ]


def active_now(jobs: tuple[JobRecord, ...], person: PersonRecord) -> list[int]:
    """List the numbers of this person's queued and running jobs."""
    return [job.id for job in jobs if job.created_by_id == person.id and job.is_active]


@st.fragment(run_every=EVERY_S)
def notify_finished_jobs(lab: Lab, page: str) -> None:
    """Say which jobs finished since the last look; a page of results is drawn anew first."""
    jobs = list_jobs(lab.workspace, JobFilter(top=True), limit=LOOKED_AT).rows
    finished = newly_finished(jobs, lab.person, st.session_state.get(Key.JOBS_SEEN, []))
    st.session_state[Key.JOBS_SEEN] = active_now(jobs, lab.person)
    loud = [job for job in finished if job.kind not in QUIET or job.state is JobState.FAILED]
    messages = [*st.session_state.pop(Key.TOASTS, []), *map(_message, loud)]
    if loud and page in REDRAWN:
        st.session_state[Key.TOASTS] = messages
        st.rerun()
    for message, icon in messages:
        st.toast(message, icon=icon, duration="long")


def _message(job: JobRecord) -> tuple[str, str]:
    word, icon = STATE_WORDS[job.state]
    reason = f": {escape(job.error)}" if job.error else ""
    return f"{KIND_NAMES[job.kind]} {word}{reason}", icon
