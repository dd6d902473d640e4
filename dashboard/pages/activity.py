"""Activity: running and finished jobs, and the log of who did what."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from core.access.permissions import Action, may
from core.jobs import queue
from core.lab.lab import Lab
from core.workspace.workspace import Workspace
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import PROGRESS, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.job_notices import KIND_NAMES
from dashboard.ui.navigation import tabs
from dashboard.ui.notifications import describe_change, run_action
from dashboard.ui.session_keys import Key
from dashboard.ui.theme import begin_page, count
from dashboard.ui.times import (
    format_age,
    format_time,
    time_column,
)
from db.queries.jobs import JobFilter, JobRecord, WorkerRecord
from db.queries.life import EventFilter, EventRecord, list_events
from db.queries.people import list_people
from db.queries.volumes import segmentation_by_id, tomogram_by_id
from db.vocabulary import JobState

JOBS, LOG = "Jobs", "Who did what"
JOBS_SHOWN = 12
ENDED_SHOWN = 60
EVENTS_SHOWN = 60
POLLED_S = 2.0
# A worker that was not heard of for so long counts as silent.
SILENT = dt.timedelta(seconds=90)

ICONS = {
    JobState.QUEUED: ":material/schedule:",
    JobState.RUNNING: ":material/sync:",
    JobState.DONE: ":material/task_alt:",
    JobState.FAILED: ":material/error:",
    JobState.CANCELLED: ":material/cancel:",
}
# Words of the address.
WHO, WHAT, SINCE = "who", "what", "since"

SUBJECTS = ("patch", "tomogram", "person", "export", "bundle", "job", "backup")
PERIODS = {"today": 1, "7 days": 7, "30 days": 30}


def show() -> None:
    """Show the page."""
    lab = current_lab()
    begin_page("Activity")
    shown = tabs("activity", [JOBS, LOG])
    if shown[JOBS].open:
        with shown[JOBS]:
            show_jobs(lab)
    if shown[LOG].open:
        with shown[LOG]:
            _log(lab.workspace)


@st.fragment(run_every=POLLED_S)
def show_jobs(lab: Lab) -> None:
    """Show the jobs, refreshed while they run."""
    _workers(queue.list_workers(lab.workspace))
    active = queue.list_jobs(lab.workspace, JobFilter(active=True, top=True), limit=JOBS_SHOWN)
    ended = queue.list_jobs(lab.workspace, JobFilter(active=False, top=True), limit=ENDED_SHOWN)
    if not active.total and not ended.total:
        show_empty(
            "No job yet.",
            "Previews, large extractions, merges, exports and backups run in the background.",
            PROGRESS,
        )
        return
    names = object_names(lab.workspace, (*active.rows, *ended.rows))
    st.markdown(f"**{count(active.total, 'job')} running or queued**")
    for job in active.rows:
        _job(lab, job, names)
    if active.total > len(active):
        st.caption(f"and {active.total - len(active)} more queued")
    troubled = [job for job in ended if job.state is not JobState.DONE]
    if troubled:
        st.markdown("**Failed or cancelled**")
    for job in troubled[:JOBS_SHOWN]:
        _job(lab, job, names)
    if not ended.total:
        return
    st.markdown("**Recently finished**")
    st.dataframe(
        rows_of_jobs(ended.rows, names),
        hide_index=True,
        key="ended",
        height=min(38 + 35 * len(ended), 460),
        column_config={"Finished": time_column("D MMM YYYY, HH:mm:ss")},
    )


def object_names(workspace: Workspace, jobs: Iterable[JobRecord]) -> dict[str, str]:
    """Name the volumes that jobs work on."""
    objects = {str(job.arguments["object"]) for job in jobs if "object" in job.arguments}
    names = {}
    with workspace.catalog.read() as session:
        for name in objects:
            kind, _, number = name.partition("-")
            if kind == "tomogram" and number.isdecimal():
                names[name] = tomogram_by_id(session, int(number)).name
            elif kind == "segmentation" and number.isdecimal():
                names[name] = segmentation_by_id(session, int(number)).on_disk.file.name
    return names


def rows_of_jobs(jobs: Sequence[JobRecord], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Make rows of the table of finished jobs; a table shows text as it is."""
    return [
        {
            "Job": job.id,
            "Kind": KIND_NAMES[job.kind],
            "Item": ", ".join(about(job, names)),
            "State": job.state.value,
            "Finished": job.finished_at,
            "By": job.created_by or "tomocurate",
            "Message": job.error or job.message or "",
        }
        for job in jobs
    ]


def about(job: JobRecord, names: Mapping[str, str]) -> list[str]:
    """List the names of what a job works on."""
    arguments = job.arguments
    if isinstance(arguments.get("names"), list):
        return [str(name) for name in arguments["names"]]
    return [
        names.get(str(arguments[key]), str(arguments[key]))
        for key in ("object", "out", "file")
        if key in arguments
    ]


def title_of(job: JobRecord, names: Mapping[str, str]) -> str:
    """Describe a job, as Markdown."""
    if "batch" in job.arguments:
        many = count(int(job.arguments["batch"]), "patch", "patches")
        return f"{KIND_NAMES[job.kind]} of {many}"
    on = about(job, names)
    if not on:
        return KIND_NAMES[job.kind]
    more = f" and {len(on) - 3} more" if len(on) > 3 else ""
    return f"{KIND_NAMES[job.kind]} of {', '.join(escape(name) for name in on[:3])}{more}"


def cancel_job(lab: Lab, job_id: int) -> None:
    """Cancel a job."""
    run_action(
        partial(queue.cancel, lab, job_id),
        lambda job: (
            f"Job {job.id} cancelled."
            if not job.is_active
            else f"Job {job.id} will stop at its next step."
        ),
    )


def repeat_job(lab: Lab, job_id: int) -> None:
    """Queue a job again."""
    run_action(
        partial(queue.repeat, lab, job_id),
        lambda job: f"Job {job.id} queued again.",
    )


def _workers(workers: tuple[WorkerRecord, ...]) -> None:
    now = dt.datetime.now(dt.UTC)
    alive = [w for w in workers if w.stopped_at is None and abs(now - w.heartbeat_at) < SILENT]
    if not alive:
        st.warning(
            "No worker is running, so jobs stay queued. `tomocurate serve` or `tomocurate worker` "
            "starts one.",
            icon=":material/bedtime:",
        )
        return
    for worker in alive:
        heard = format_age(worker.heartbeat_at, now)
        st.caption(f"Worker {escape(worker.name)} on {escape(worker.host)}, last seen {heard}")


def _job(lab: Lab, job: JobRecord, names: Mapping[str, str]) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{ICONS[job.state]} **{title_of(job, names)}**", width="content")
            st.caption(_when(job), width="content")
            if job.created_by_id == lab.person.id or may(lab.person.role, Action.MANAGE_JOBS):
                _job_buttons(lab, job)
        if job.state is JobState.RUNNING:
            message = (
                "its worker stopped answering; another takes over" if job.lost else job.message
            )
            st.progress(job.progress, text=escape(message or "starting"))
        if job.error:
            st.caption(f":material/block: {escape(job.error)}")


def _job_buttons(lab: Lab, job: JobRecord) -> None:
    if job.is_active and not job.cancel_requested:
        st.button(
            "Cancel",
            key=f"cancel_{job.id}",
            type="tertiary",
            on_click=cancel_job,
            args=(lab, job.id),
        )
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        st.button(
            "Try again",
            key=f"repeat_{job.id}",
            type="tertiary",
            on_click=repeat_job,
            args=(lab, job.id),
        )


def _when(job: JobRecord) -> str:
    at = format_time(job.finished_at or job.started_at or job.created_at)
    if job.state is JobState.QUEUED and job.due_at > dt.datetime.now(dt.UTC):
        at = f"for {format_time(job.due_at)}"
    tries = f", attempt {job.attempts} of {job.max_attempts}" if job.attempts > 1 else ""
    return (
        f"job {job.id} · {job.state.value} {at} · {escape(job.created_by or 'tomocurate')}{tries}"
    )


def _log(workspace: Workspace) -> None:
    with workspace.catalog.read() as session:
        people = [member.name for member in list_people(session)]
    columns = st.columns(3)
    who = columns[0].selectbox(
        "Who", people, index=None, key=WHO, bind="query-params", placeholder="anybody"
    )
    what = columns[1].selectbox(
        "What", SUBJECTS, index=None, key=WHAT, bind="query-params", placeholder="anything"
    )
    period = columns[2].selectbox(
        "Since",
        list(PERIODS),
        index=None,
        key=SINCE,
        bind="query-params",
        placeholder="the beginning",
    )
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=PERIODS[period]) if period else None
    wanted = EventFilter(person=who, subject=what, since=since)
    before = st.session_state.get(Key.BEFORE)
    with workspace.catalog.read() as session:
        events = list_events(session, wanted, before, EVENTS_SHOWN)
    if not events:
        show_empty("No event matches.", "Change the filter, or go back to the newest.")
    else:
        st.dataframe(
            rows_of(events),
            hide_index=True,
            height=min(38 + 35 * len(events), 700),
            key="events",
            column_config=_COLUMNS,
        )
    with st.container(horizontal=True):
        if before is not None:
            st.button("Newest", on_click=_turn, args=(None,))
        if len(events) == EVENTS_SHOWN:
            st.button("Older", on_click=_turn, args=(events[-1].id,))


def rows_of(events: tuple[EventRecord, ...]) -> list[dict[str, Any]]:
    """Make rows of the log; a table shows text as it is."""
    return [
        {
            "When": event.at,
            "Who": event.person or "tomocurate",
            "What": event.action,
            "Item": event.name,
            "Details": describe_change(event),
        }
        for event in events
    ]


_COLUMNS = {
    "When": time_column("D MMM YYYY, HH:mm:ss", width="small"),
    "Who": st.column_config.TextColumn(width="small"),
    "What": st.column_config.TextColumn(width="small"),
    "Details": st.column_config.TextColumn(width="large"),
}


def _turn(before: int | None) -> None:
    st.session_state[Key.BEFORE] = before


if __name__ == "__main__":
    show()
