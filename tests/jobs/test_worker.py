"""A worker does jobs, keeps its lease, gives back what it cannot end, and idles quietly."""

import hashlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from core.jobs import queue
from core.jobs.engines import Inline, LocalPool
from core.jobs.handlers import KINDS
from core.jobs.schedule import DAILY, CollectPlan, plan_daily_backup
from core.jobs.worker import Timing, run_worker
from core.lab.lab import Lab
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import Workspace
from db.queries.jobs import JobFilter, JobRecord, last_job
from db.queries.maintenance import last_backup
from db.queries.people import PersonRecord
from db.queries.volumes import list_tomograms
from db.vocabulary import JobKind, JobState, PictureState
from db.writes.events import Change
from db.writes.jobs import claim_job
from db.writes.people import change_person

BIG = (700, 2000, 2000)
"""Of a sparse file that takes some seconds to hash."""


def tomogram(folder: Path, shape: tuple[int, int, int] = (8, 30, 40)) -> Path:
    path = folder / "TS_001.mrc"
    with mrcfile.new(path) as file:
        file.set_data(np.ones((1, 1, 1), np.int8))
        file.voxel_size = 10.0
        for axis, size in zip(("nz", "ny", "nx"), shape, strict=True):
            file.header[axis] = size
            file.header[axis.replace("n", "m")] = size
    os.truncate(path, 1024 + shape[0] * shape[1] * shape[2])
    return path


def register_one(workspace: Workspace, admin: PersonRecord, folder: Path, *shape: int) -> Path:
    path = tomogram(folder, shape) if shape else tomogram(folder)  # type: ignore[arg-type]
    register(Lab(workspace, admin), plan_registration(workspace, [path]), add_roots=True)
    return path


def jobs(workspace: Workspace, kind: JobKind) -> list[JobRecord]:
    return list(queue.list_jobs(workspace, JobFilter(kind=kind)))


def ended(workspace: Workspace, job_id: int) -> list[str]:
    return [event.action for event in queue.what_happened(workspace, job_id)]


def test_every_kind_of_job_has_its_function() -> None:
    assert set(KINDS) == set(JobKind)


def test_a_registered_tomogram_is_hashed_and_gets_its_pictures(
    workspace: Workspace, admin: PersonRecord, tmp_path: Path
) -> None:
    path = register_one(workspace, admin, tmp_path)
    run_worker(workspace, once=True, executor=Inline())
    (hashed,), (pictured,) = jobs(workspace, JobKind.HASH), jobs(workspace, JobKind.PREVIEW)
    assert (hashed.state, pictured.state) == (JobState.DONE, JobState.DONE)
    with workspace.catalog.read() as session:
        (line,) = list_tomograms(session)
        found = line.tomogram
        assert found.on_disk.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
        assert found.preview == PictureState.READY


def test_a_backup_is_made_by_a_job_in_a_process_beside(
    workspace: Workspace, admin: PersonRecord
) -> None:
    job_id = queue.submit(Lab(workspace, admin), JobKind.BACKUP, {})
    assert run_worker(workspace, once=True) == 1
    done = queue.job(workspace, job_id)
    assert (done.state, done.progress, done.error) == (JobState.DONE, 1.0, None)
    assert Path(str((done.result or {})["path"])).is_file()
    assert ended(workspace, job_id) == ["queued", "claimed", "done"]
    workers = queue.list_workers(workspace)
    assert [worker.stopped_at is not None for worker in workers] == [True]


def test_what_a_step_refuses_fails_with_its_sentence_and_is_not_repeated(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queue.submit(Lab(workspace, anna), JobKind.MERGE, {"names": ["nobody"]})
    run_worker(workspace, once=True, executor=Inline())
    failed = queue.job(workspace, job_id)
    assert (failed.state, failed.attempts) == (JobState.FAILED, 1)
    assert "there is no patch 'nobody'" in str(failed.error)


def test_a_person_who_was_disabled_meanwhile_gets_nothing_done(
    workspace: Workspace, anna: PersonRecord
) -> None:
    job_id = queue.submit(Lab(workspace, anna), JobKind.COLLECT, {"names": None})
    with workspace.catalog.write() as session:
        change_person(session, Change.now(None), "anna", disabled=True)
    run_worker(workspace, once=True, executor=Inline())
    assert "disabled" in str(queue.job(workspace, job_id).error)


def test_a_bug_is_told_with_a_reference_to_the_log_and_tried_again(
    workspace: Workspace, admin: PersonRecord, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = queue.submit(Lab(workspace, admin), JobKind.HASH, {})
    run_worker(workspace, once=True, executor=Inline())
    failed = queue.job(workspace, job_id)
    assert failed.state == JobState.QUEUED
    assert failed.due_at > datetime.now(UTC)
    found = re.search(r"unexpected KeyError.* \(reference (\w+) in the log\)", str(failed.error))
    assert found
    reference = found[1]
    assert reference in caplog.text
    assert "Traceback" in caplog.text


def test_a_batch_reports_each_failure_and_a_bad_one_stops_no_other(
    workspace: Workspace, anna: PersonRecord
) -> None:
    parent = queue.submit_batch(Lab(workspace, anna), JobKind.COLLECT, ["a", "b"])
    run_worker(workspace, once=True, executor=Inline())
    report = queue.job(workspace, parent)
    assert report.state == JobState.FAILED
    assert "none of 2 succeeded; the first: there is no patch 'a'" in str(report.error)


@pytest.fixture
def slow(workspace: Workspace, admin: PersonRecord, tmp_path: Path) -> int:
    """A queued job that takes some seconds: the hash of a large file."""
    register_one(workspace, admin, tmp_path, *BIG)
    for each in jobs(workspace, JobKind.PREVIEW):
        queue.cancel(Lab(workspace, admin), each.id)
    return jobs(workspace, JobKind.HASH)[0].id


@contextmanager
def worker_process(
    workspace: Workspace, *options: str, lifeline: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **({"TOMOCURATE_LIFELINE": "stdin"} if lifeline else {})}
    command = [sys.executable, "-m", "core.jobs.worker", "--workspace", str(workspace.folder)]
    process = subprocess.Popen(
        [*command, *options], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def is_running(workspace: Workspace, job_id: int) -> bool:
    return queue.job(workspace, job_id).message is not None


def stop_by_signal(number: int) -> Callable[[subprocess.Popen[bytes]], None]:
    return lambda process: process.send_signal(number)


def close_stdin(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()
    process.stdin = None


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    "stop",
    [stop_by_signal(signal.SIGTERM), stop_by_signal(signal.SIGINT), close_stdin],
    ids=["SIGTERM", "SIGINT", "stdin closes"],
)
def test_a_worker_that_is_told_to_end_gives_its_job_back_at_once(
    workspace: Workspace,
    slow: int,
    stop: Callable[[subprocess.Popen[bytes]], None],
    database: str,
) -> None:
    with worker_process(workspace, lifeline=True) as process:
        wait_until(lambda: is_running(workspace, slow))
        stop(process)
        assert process.wait(8) == 0
    left = queue.job(workspace, slow)
    assert (left.state, left.attempts) == (JobState.QUEUED, 0)
    assert ended(workspace, slow)[-1] == "given back"
    assert queue.list_workers(workspace)[0].stopped_at is not None


def test_a_running_job_that_is_cancelled_stops(
    workspace: Workspace, slow: int, admin: PersonRecord
) -> None:
    with worker_process(workspace, "--heartbeat", "0.1") as process:
        wait_until(lambda: is_running(workspace, slow))
        queue.cancel(Lab(workspace, admin), slow)
        wait_until(lambda: not queue.job(workspace, slow).is_active, 8)
        assert process.poll() is None
    assert queue.job(workspace, slow).state == JobState.CANCELLED


@pytest.mark.parametrize("database", ["sqlite"])
def test_the_heartbeat_keeps_a_job_that_takes_longer_than_its_lease(
    workspace: Workspace, slow: int, database: str
) -> None:
    with worker_process(workspace, "--lease", "0.6", "--heartbeat", "0.1", "--once"):
        wait_until(lambda: is_running(workspace, slow))
        until = time.monotonic() + 1.5
        while time.monotonic() < until and queue.job(workspace, slow).state == JobState.RUNNING:
            with workspace.catalog.write() as session:
                assert claim_job(session, "thief", timedelta(seconds=60)) is None
            time.sleep(0.05)
    assert queue.job(workspace, slow).attempts == 1


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_job_that_tells_nothing_for_too_long_is_given_up_and_its_worker_ends(
    workspace: Workspace, slow: int, database: str
) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from core.jobs.worker import Timing, run_worker\n"
        "from core.workspace.workspace import open_workspace\n"
        "if __name__ == '__main__':\n"
        "    timing = Timing(heartbeat=0.1, quiet=0.5)\n"
        "    run_worker(open_workspace(Path(sys.argv[1])), timing=timing)\n"
    )
    command = [sys.executable, "-c", script, str(workspace.folder)]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, timeout=60).returncode == 70
    given_up = queue.job(workspace, slow)
    assert given_up.state == JobState.QUEUED
    assert "told nothing for" in str(given_up.error)


@pytest.mark.parametrize("database", ["sqlite"])
def test_an_idle_worker_writes_nothing_but_its_heartbeat_and_finds_work_within_a_second(
    workspace: Workspace, admin: PersonRecord, database: str
) -> None:
    with worker_process(workspace, "--heartbeat", "60"):
        wait_until(lambda: bool(queue.list_jobs(workspace).total))  # it planned the daily backup
        watcher = sqlite3.connect(str(workspace.catalog.file))
        seen = "PRAGMA data_version"
        time.sleep(0.3)
        before = watcher.execute(seen).fetchone()
        time.sleep(1.5)
        assert watcher.execute(seen).fetchone() == before
        watcher.close()
        job_id = queue.submit(Lab(workspace, admin), JobKind.MERGE, {"names": ["nobody"]})
        began = time.monotonic()
        wait_until(lambda: queue.job(workspace, job_id).started_at is not None)
        assert time.monotonic() - began < 3  # 0.5 s and what a busy machine takes


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_killed_process_beside_the_worker_fails_one_attempt(
    workspace: Workspace, slow: int, database: str
) -> None:
    with worker_process(workspace, "--once") as process:
        wait_until(lambda: bool(readers(process.pid)))
        os.kill(int(readers(process.pid)[0]), signal.SIGKILL)
        assert process.wait(20) == 0
    once = queue.job(workspace, slow)
    assert once.state == JobState.QUEUED
    assert "the process that did it died" in str(once.error)


def readers(parent: int) -> list[str]:
    """The children of a worker that have the tomogram open."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [pid for pid in children if any("TS_001.mrc" in name for name in open_files(pid))]


def open_files(pid: str) -> list[str]:
    try:
        return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def test_a_backup_is_planned_once_for_today_and_then_for_tomorrow(
    workspace: Workspace, admin: PersonRecord
) -> None:
    for _ in range(2):
        plan_daily_backup(workspace)
    (planned,) = jobs(workspace, JobKind.BACKUP)
    assert timedelta() < planned.due_at - datetime.now(UTC) <= timedelta(minutes=5)
    queue.cancel(Lab(workspace, admin), planned.id)
    queue.submit(Lab(workspace, admin), JobKind.BACKUP, {})
    run_worker(workspace, once=True, executor=Inline(), timing=Timing(poll=0.01))
    plan_daily_backup(workspace)
    with workspace.catalog.read() as session:
        tomorrow, made = last_job(session, DAILY), last_backup(session)
    assert tomorrow
    assert made
    assert tomorrow.due_at == made.made_at + timedelta(days=1)


def test_a_worker_on_no_workspace_says_so_and_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core.jobs.worker", "--workspace", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is no workspace" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_pool_that_was_never_needed_costs_nothing(workspace: Workspace, database: str) -> None:
    began = time.perf_counter()
    assert run_worker(workspace, once=True, executor=LocalPool()) == 0
    assert time.perf_counter() - began < 2


def test_what_was_saved_is_collected_once_it_rests(
    workspace: Workspace, admin: PersonRecord
) -> None:
    folder = workspace.folders.corrections / "other_TS_001_patch0"
    folder.mkdir(parents=True)
    plan = CollectPlan(workspace)

    def queued() -> int:
        return queue.list_jobs(workspace, JobFilter(kind=JobKind.COLLECT)).total

    plan.plan()
    plan.plan()
    assert queued() == 0, "there is nothing"
    (folder / "Add1.nrrd").write_bytes(b"half")
    plan.plan()
    (folder / "Add1.nrrd").write_bytes(b"half and the rest")
    plan.plan()
    assert queued() == 0, "it is still being saved"
    for _ in range(3):
        plan.plan()
    assert queued() == 1
    run_worker(workspace, once=True, executor=Inline())
    plan.plan()
    assert queued() == 1, "nothing changed since"
    with workspace.catalog.write() as session:
        change_person(session, Change.now(None), "admin", os_user="somebody else")
    (folder / "Add1.nrrd").unlink()
    for _ in range(3):
        plan.plan()
    assert queued() == 1, "an account that is nobody collects nothing"
