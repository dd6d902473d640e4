"""Jobs are queued once, claimed by one worker, fenced, repeated and cancelled."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import insert

from core.jobs import queue
from core.lab.lab import Lab
from core.workspace.enqueue import MAX_ARGUMENTS, enqueue
from core.workspace.workspace import Workspace
from db.errors import ConflictError, NotAllowedError, StepError, UnknownNameError
from db.models.work import Job
from db.queries.jobs import JobFilter, something_is_due
from db.queries.people import PersonRecord
from db.vocabulary import JobKind, JobState, Role
from db.writes import jobs as writes
from db.writes.events import Change
from db.writes.jobs import Claim
from db.writes.people import change_person

LEASE = timedelta(seconds=30)
ENDED_LEASE = timedelta(seconds=-1)


def claim(workspace: Workspace, worker: str = "w1", lease: timedelta = LEASE) -> Claim | None:
    with workspace.catalog.write() as session:
        return writes.claim_job(session, worker, lease)


def claimed(workspace: Workspace, worker: str = "w1", lease: timedelta = LEASE) -> Claim:
    found = claim(workspace, worker, lease)
    assert found is not None
    return found


def fail(workspace: Workspace, taken: Claim, *, again: bool = True) -> JobState:
    with workspace.catalog.write() as session:
        return writes.fail_job(session, taken, "it broke", again=again)


def finish(workspace: Workspace, taken: Claim) -> None:
    with workspace.catalog.write() as session:
        writes.finish_job(session, taken, {"counts": {}}, "done")


def queued(workspace: Workspace, by: PersonRecord, **options: object) -> int:
    arguments = {"names": [str(options.pop("name", "a"))]}
    return queue.submit(Lab(workspace, by), JobKind.MERGE, arguments, **options)  # type: ignore[arg-type]


def make_due(workspace: Workspace, job_id: int) -> None:
    with workspace.catalog.write() as session:
        past = datetime.now(UTC) - timedelta(minutes=1)
        session.execute(sa.update(Job).where(Job.id == job_id).values(due_at=past))


def test_the_same_work_asked_twice_is_one_job(workspace: Workspace, anna: PersonRecord) -> None:
    assert queued(workspace, anna) == queued(workspace, anna)
    assert queue.list_jobs(workspace).total == 1


def test_the_same_work_may_be_asked_again_once_it_has_ended(
    workspace: Workspace, anna: PersonRecord
) -> None:
    first = queued(workspace, anna)
    finish(workspace, claimed(workspace))
    assert queued(workspace, anna) != first


def test_a_double_click_from_eight_threads_is_one_job(
    workspace: Workspace, anna: PersonRecord
) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(queued(workspace, anna))) for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_job_of_a_transaction_that_fails_is_not_queued(
    workspace: Workspace, anna: PersonRecord
) -> None:
    def queue_and_fail() -> None:
        with workspace.catalog.write() as session:
            enqueue(session, Change.now(anna.id), JobKind.MERGE, {}, key="x")
            raise StepError("no")

    with pytest.raises(StepError):
        queue_and_fail()
    assert queue.list_jobs(workspace).total == 0


def test_arguments_too_large_for_a_row_are_refused(
    workspace: Workspace, anna: PersonRecord
) -> None:
    with pytest.raises(StepError, match="too many arguments"):
        queue.submit(Lab(workspace, anna), JobKind.MERGE, {"names": ["x" * MAX_ARGUMENTS]})


def test_an_annotator_may_not_queue_a_backup(workspace: Workspace, anna: PersonRecord) -> None:
    with pytest.raises(NotAllowedError, match="make or verify a backup"):
        queue.submit(Lab(workspace, anna), JobKind.BACKUP, {})


def test_every_kind_of_job_asks_for_a_step() -> None:
    assert set(queue.STEP_OF) == set(JobKind)


def test_a_job_is_claimed_by_one_of_many_workers(workspace: Workspace, anna: PersonRecord) -> None:
    for number in range(10):
        queued(workspace, anna, name=f"p{number}")
    taken: list[int] = []

    def work(name: str) -> None:
        while (found := claim(workspace, name)) is not None:
            taken.append(found.job.id)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 10


def test_the_most_urgent_job_comes_first_then_the_oldest(
    workspace: Workspace, anna: PersonRecord
) -> None:
    ids = {}
    with workspace.catalog.write() as session:
        for key, priority in (("a", 0), ("b", 5), ("c", 0)):
            ids[key] = enqueue(
                session, Change.now(anna.id), JobKind.MERGE, {}, key=key, priority=priority
            )
    assert [claimed(workspace).job.id for _ in ids] == [ids["b"], ids["a"], ids["c"]]


def test_a_job_that_is_due_tomorrow_is_not_claimed_today(
    workspace: Workspace, anna: PersonRecord
) -> None:
    queued(workspace, anna, due_at=datetime.now(UTC) + timedelta(days=1))
    assert claim(workspace) is None
    with workspace.catalog.read() as session:
        assert not something_is_due(session)


def test_a_job_of_a_silent_worker_shows_as_lost_and_is_taken_up_after_its_lease(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    claimed(workspace, "dead", ENDED_LEASE)
    assert queue.job(workspace, job_id).lost
    again = claimed(workspace, "alive")
    assert (again.job.id, again.job.attempts, again.job.worker) == (job_id, 2, "alive")
    assert not queue.job(workspace, job_id).lost
    told = [(event.action, event.detail) for event in queue.what_happened(workspace, job_id)]
    assert ("taken up again", {"silent": "dead"}) in told


def test_a_job_with_a_lease_is_left_to_its_worker(workspace: Workspace, anna: PersonRecord) -> None:
    queued(workspace, anna)
    claimed(workspace)
    assert claim(workspace, "other") is None


@pytest.mark.parametrize(
    "ending",
    [
        lambda session, taken: writes.finish_job(session, taken, {}, "done"),
        lambda session, taken: writes.fail_job(session, taken, "x", again=True),
        lambda session, taken: writes.give_back_job(session, taken),
        lambda session, taken: writes.tell_progress(session, taken, 0.5, "half"),
        lambda session, taken: writes.renew_lease(session, taken, LEASE),
        lambda session, taken: writes.end_cancelled_job(session, taken),
    ],
)
def test_a_worker_that_wakes_too_late_is_refused_by_the_fence(
    workspace: Workspace, anna: PersonRecord, ending: Callable[..., object]
) -> None:
    job_id = queued(workspace, anna)
    zombie = claimed(workspace, "zombie", ENDED_LEASE)
    claimed(workspace, "alive")
    with (
        pytest.raises(ConflictError, match="silent for too long"),
        workspace.catalog.write() as session,
    ):
        ending(session, zombie)
    now = queue.job(workspace, job_id)
    assert (now.state, now.worker, now.progress) == (JobState.RUNNING, "alive", 0.0)


def test_a_job_whose_workers_die_three_times_fails_with_the_reason(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    for number in range(3):
        claimed(workspace, f"w{number}", ENDED_LEASE)
    assert claim(workspace) is None
    failed = queue.job(workspace, job_id)
    assert failed.state == JobState.FAILED
    assert failed.error
    assert "died or hung 3 times, the last was w2" in failed.error


def test_a_failed_attempt_is_repeated_later_and_later_until_none_is_left(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    pauses = []
    for _ in range(2):
        before = datetime.now(UTC)
        assert fail(workspace, claimed(workspace)) == JobState.QUEUED
        pauses.append((queue.job(workspace, job_id).due_at - before).total_seconds())
        assert claim(workspace) is None
        make_due(workspace, job_id)
    assert pauses == pytest.approx([5, 10], abs=1)
    assert fail(workspace, claimed(workspace)) == JobState.FAILED
    assert queue.job(workspace, job_id).error == "it broke"


def test_a_failure_that_would_come_again_is_final(workspace: Workspace, anna: PersonRecord) -> None:
    queued(workspace, anna)
    assert fail(workspace, claimed(workspace), again=False) == JobState.FAILED


def test_a_job_that_is_given_back_has_lost_no_attempt(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    for _ in range(5):
        taken = claimed(workspace)
        with workspace.catalog.write() as session:
            writes.give_back_job(session, taken)
    assert queue.job(workspace, job_id).attempts == 0
    assert claimed(workspace).job.id == job_id


def test_a_queued_job_is_cancelled_at_once(workspace: Workspace, anna: PersonRecord) -> None:
    job_id = queued(workspace, anna)
    assert queue.cancel(Lab(workspace, anna), job_id).state == JobState.CANCELLED
    assert queue.cancel(Lab(workspace, anna), job_id).state == JobState.CANCELLED
    assert claim(workspace) is None


def test_a_running_job_hears_of_its_cancelling_with_its_progress_and_its_heartbeat(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    taken = claimed(workspace)
    assert queue.cancel(Lab(workspace, anna), job_id).state == JobState.RUNNING
    with workspace.catalog.write() as session:
        assert writes.tell_progress(session, taken, 0.3, "third")
        assert writes.renew_lease(session, taken, LEASE)
        writes.end_cancelled_job(session, taken)
    assert queue.job(workspace, job_id).state == JobState.CANCELLED


def test_a_cancelled_job_whose_worker_died_is_not_done_again(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    claimed(workspace, "dead", ENDED_LEASE)
    queue.cancel(Lab(workspace, anna), job_id)
    assert claim(workspace) is None
    assert queue.job(workspace, job_id).state == JobState.CANCELLED


def test_a_job_that_is_done_stays_done_when_it_is_cancelled(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    finish(workspace, claimed(workspace))
    assert queue.cancel(Lab(workspace, anna), job_id).state == JobState.DONE


def test_somebody_elses_job_is_cancelled_by_a_curator_only(
    workspace: Workspace, anna: PersonRecord, bert: PersonRecord, admin: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    with pytest.raises(NotAllowedError, match="others' jobs"):
        queue.cancel(Lab(workspace, bert), job_id)
    assert queue.cancel(Lab(workspace, admin), job_id).state == JobState.CANCELLED


def test_a_disabled_person_cancels_not_even_an_own_job(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    with workspace.catalog.write() as session:
        change_person(session, Change.now(None), "anna", disabled=True)
    with pytest.raises(NotAllowedError, match="disabled"):
        queue.cancel(Lab(workspace, anna), job_id)


def test_a_failed_job_is_repeated_with_all_its_attempts(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    with pytest.raises(StepError, match="is queued"):
        queue.repeat(Lab(workspace, anna), job_id)
    fail(workspace, claimed(workspace), again=False)
    repeated = queue.repeat(Lab(workspace, anna), job_id)
    assert (repeated.state, repeated.attempts, repeated.error) == (JobState.QUEUED, 0, None)
    finish(workspace, claimed(workspace))
    with pytest.raises(StepError, match="is done"):
        queue.repeat(Lab(workspace, anna), job_id)


def test_a_failed_job_is_not_repeated_beside_its_successor(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queued(workspace, anna)
    fail(workspace, claimed(workspace), again=False)
    successor = queued(workspace, anna)
    with pytest.raises(StepError, match=f"job {successor} does the same"):
        queue.repeat(Lab(workspace, anna), job_id)


def test_an_unknown_job_is_named_with_near_ones(workspace: Workspace, anna: PersonRecord) -> None:
    queued(workspace, anna)
    with pytest.raises(UnknownNameError, match="there is no job '77'"):
        queue.job(workspace, 77)
    with pytest.raises(UnknownNameError):
        queue.cancel(Lab(workspace, anna), 77)


def test_a_batch_is_reported_when_all_its_parts_have_ended(
    workspace: Workspace, anna: PersonRecord
) -> None:
    parent = queue.submit_batch(Lab(workspace, anna), JobKind.MERGE, ["a", "b", "c"])
    parts = [claimed(workspace) for _ in range(3)]
    assert parent not in [part.job.id for part in parts]
    assert claim(workspace) is None
    finish(workspace, parts[0])
    fail(workspace, parts[1], again=False)
    told = queue.job(workspace, parent)
    assert told.message == "2 of 3"
    assert told.progress == pytest.approx(2 / 3)
    finish(workspace, parts[2])
    assert claimed(workspace).job.id == parent


def test_a_batch_is_cancelled_with_its_parts(workspace: Workspace, anna: PersonRecord) -> None:
    parent = queue.submit_batch(Lab(workspace, anna), JobKind.MERGE, ["a", "b", "c"])
    running = claimed(workspace)
    queue.cancel(Lab(workspace, anna), parent)
    states = {part.id: part for part in queue.list_jobs(workspace, JobFilter(parent_id=parent))}
    assert states[running.job.id].cancel_requested
    others = [part.state for part in states.values() if part.id != running.job.id]
    assert others == [JobState.CANCELLED, JobState.CANCELLED]
    assert claim(workspace) is None


def test_jobs_are_listed_by_state_and_kind_without_the_parts_of_batches(
    workspace: Workspace, anna: PersonRecord, admin: PersonRecord
) -> None:
    queue.submit_batch(Lab(workspace, anna), JobKind.MERGE, ["a", "b"])
    queue.submit(Lab(workspace, admin), JobKind.BACKUP, {})
    assert queue.list_jobs(workspace).total == 4
    assert queue.list_jobs(workspace, JobFilter(top=True)).total == 2
    assert queue.list_jobs(workspace, JobFilter(kind=JobKind.BACKUP)).total == 1
    finish(workspace, claimed(workspace))
    assert queue.list_jobs(workspace, JobFilter(state=JobState.DONE)).total == 1
    assert queue.list_jobs(workspace, JobFilter(active=True)).total == 3
    page = queue.list_jobs(workspace, offset=2, limit=1)
    assert (len(page), page.total) == (1, 4)


def test_a_claim_among_ten_thousand_jobs_is_quick(workspace: Workspace, anna: PersonRecord) -> None:
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = [
        {
            "kind": JobKind.MERGE,
            "arguments": {},
            "idempotency_key": f"k{number}",
            "state": JobState.DONE if number % 2 else JobState.QUEUED,
            "priority": 0,
            "attempts": 0,
            "max_attempts": 3,
            "due_at": now,
            "fence": 0,
            "progress": 0.0,
            "cancel_requested": False,
            "created_at": now,
        }
        for number in range(10_000)
    ]
    with workspace.catalog.write() as session:
        session.execute(insert(Job), rows)
    began = time.perf_counter()
    for _ in range(5):
        claimed(workspace)
    assert (time.perf_counter() - began) / 5 < 0.2


def test_a_role_that_was_taken_away_counts_at_once(
    workspace: Workspace, anna: PersonRecord
) -> None:
    with workspace.catalog.write() as session:
        change_person(session, Change.now(None), "anna", role=Role.VIEWER)
    with pytest.raises(NotAllowedError, match="is a viewer"):
        queued(workspace, anna)
