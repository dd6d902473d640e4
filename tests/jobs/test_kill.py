"""kill -9 at random moments of extract, collect, merge and backup loses nothing acknowledged.

``TOMOCURATE_SOAK=1`` kills 200 times instead of 20.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from core.imaging.correction import write_correction
from core.imaging.formats.nifti import NiftiVolume
from core.imaging.geometry import Box, Zyx, whole
from core.imaging.hashes import file_hash
from core.imaging.patch import patch_grid
from core.jobs import queue
from core.lab.lab import Lab
from core.maintenance.doctor import BAD, examine
from core.maintenance.manifest import manifests, read_manifest
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import Workspace
from db.queries.jobs import JobFilter, JobRecord
from db.queries.life import merges_of, slots_of
from db.queries.patches import list_patches
from db.queries.people import PersonRecord
from db.vocabulary import BackupKind, ChosenBecause, CorrectionKind, JobKind, JobState
from db.writes.events import Change
from db.writes.jobs import add_job

SOAK = bool(os.environ.get("TOMOCURATE_SOAK"))
KILLS = 200 if SOAK else 20
SHAPE = Zyx(164, 170, 180)
CENTERS = (Zyx(81, 82, 85), Zyx(83, 88, 98))

HARNESS = """
import os, signal, sys, time
import core.maintenance.backup, core.corrections.collect, core.patches.extract, core.labels.merge
import core.cli.commands.patches, core.cli.commands.maintenance
from core.cli.main import main as command
from core.jobs.worker import main as worker

for line in sys.stdin:
    delay, program, *words = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number, target in enumerate((nothing, log, log)):
            os.dup2(target, number)
        status = 1
        try:
            status = (worker if program == "worker" else command)(words)
        finally:
            os._exit(status)
    if float(delay):
        time.sleep(float(delay))
        os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Forks itself, so that what is killed has begun its work and not only its imports."""


class Killer:
    """Starts programs and kills them after a while."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *words: str, kill_after: float = 0.0) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\t".join([str(kill_after), *words]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture
def killer(tmp_path: Path) -> Iterator[Killer]:
    with harness(tmp_path / "log") as started:
        yield started


@contextmanager
def harness(log: Path) -> Iterator[Killer]:
    command = [sys.executable, "-c", HARNESS, str(log)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Killer(process)
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def names(workspace: Workspace, admin: PersonRecord, tmp_path: Path) -> list[str]:
    """Patches that are chosen and extracted."""
    data = tmp_path / "data"
    data.mkdir()
    z, y, x = np.ogrid[: SHAPE.z, : SHAPE.y, : SHAPE.x]
    membrane = (abs(np.sqrt((z - 82) ** 2 + (y - 85) ** 2 + (x - 90) ** 2) - 50) < 3).astype("i1")
    for name in ("TS_001.mrc", "TS_001_model.ckpt_segmented.mrc"):
        with mrcfile.new(data / name) as file:
            file.set_data(membrane)
            file.voxel_size = 10.0
    register(Lab(workspace, admin), plan_registration(workspace, [data / "*.mrc"]), add_roots=True)
    choose(Lab(workspace, admin), "TS_001", list(CENTERS), reason=ChosenBecause.OTHER)
    for job in queue.list_jobs(workspace):  # hashes and pictures are not what is killed here
        queue.cancel(Lab(workspace, admin), job.id)
    return [each.name for each in extract(Lab(workspace, admin))]


class Work:
    """Hands in work, and remembers what was acknowledged."""

    def __init__(self, workspace: Workspace, by: PersonRecord, names: list[str]) -> None:
        self.workspace, self.by, self.names = workspace, by, names
        self.done: dict[int, JobRecord] = {}
        self.kept: dict[str, tuple[int, int]] = {}
        self.jobs: list[int] = []

    def feed(self, number: int) -> None:
        """A new version of a correction, the jobs that take it in, and a patch to cut again."""
        name = self.names[number % len(self.names)]
        self.paint(name, number)
        if number % 4 == 0:
            self.workspace.folders.image_of(name).unlink(missing_ok=True)
            self.submit(JobKind.EXTRACT, {"names": [name]}, number)
        self.submit(JobKind.COLLECT, {"names": [name]}, number)
        self.submit(JobKind.MERGE, {"names": [name]}, number)
        if number % 2 == 0:
            self.submit(JobKind.BACKUP, {"kind": BackupKind.ASKED.value}, number)

    def paint(self, name: str, number: int) -> None:
        painted = np.zeros((160, 160, 160), bool)
        painted[30 : 60 + number % 20, 40:60, 20 + number : 30 + number] = True
        center = CENTERS[self.names.index(name)]
        start = Zyx(*(each - 80 for each in center))
        grid = patch_grid(Box(start, Zyx(*(each + 160 for each in start))), 10.0)
        file = self.workspace.folders.corrections_of(name) / "Add1.nrrd"
        write_correction(file, painted, grid, CorrectionKind.ADD)

    def submit(self, kind: JobKind, arguments: dict[str, object], number: int) -> None:
        """With attempts enough for a worker that is killed all the time."""
        with self.workspace.catalog.write() as session:
            change = Change.now(self.by.id)
            key = f"{kind} {number}"
            self.jobs.append(
                add_job(session, change, kind, arguments, key, max_attempts=10 * KILLS)
            )

    def check(self) -> None:
        """Nothing that was acknowledged is gone; every file under a final name is whole."""
        finished = queue.list_jobs(self.workspace, JobFilter(state=JobState.DONE), limit=10_000)
        now = {job.id: job for job in finished}
        assert self.done.items() <= now.items()
        self.done = now
        with self.workspace.catalog.read() as session:
            for patch in list_patches(session):
                versions = sum(len(slot.versions) for slot in slots_of(session, patch.id))
                kept = versions, len(merges_of(session, patch.id))
                assert kept >= self.kept.get(patch.name, (0, 0))
                self.kept[patch.name] = kept
        folders = self.workspace.folders
        for folder in (folders.labels, folders.merged):
            for path in folder.glob("[!.]*.nii.gz"):
                with NiftiVolume(path) as volume:
                    assert volume.read(whole(volume.shape)).shape == (160, 160, 160)
        for path in folders.store.glob("??/[!.]*"):
            assert file_hash(path) == path.parent.name + path.name

    def check_end(self) -> None:
        """Every job finished once, and the doctor has nothing bad to say."""
        self.check()
        for job_id in self.jobs:
            told = [event.action for event in queue.what_happened(self.workspace, job_id)]
            job = queue.job(self.workspace, job_id)
            assert job.state == JobState.DONE, (job.kind, job.error, told)
            assert told.count("done") == 1
        for path in manifests(self.workspace.backup_folder):
            manifest = read_manifest(path)
            assert file_hash(path.parent / manifest.archive) == manifest.sha256
        findings = examine(self.workspace, thorough=True)
        assert [each for each in findings if each.state == BAD] == []


def test_a_worker_killed_at_random_moments_loses_nothing(
    workspace: Workspace, admin: PersonRecord, names: list[str], killer: Killer, database: str
) -> None:
    kills = KILLS if database == "sqlite" or SOAK else 4
    rng = random.Random(5)
    work = Work(workspace, admin, names)
    words = ("worker", "--workspace", str(workspace.folder), "--lease", "0.4", "--heartbeat", "0.1")
    for number in range(kills):
        work.feed(number)
        killer.run(*words, kill_after=rng.uniform(0.03, 0.7))
        work.check()
    until = time.monotonic() + 60 + 5 * kills
    while any(queue.job(workspace, job_id).is_active for job_id in work.jobs):
        assert time.monotonic() < until
        assert killer.run(*words, "--once") == 0
    work.check_end()


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_command_line_killed_at_random_moments_loses_nothing(
    workspace: Workspace, admin: PersonRecord, names: list[str], killer: Killer, database: str
) -> None:
    rng = random.Random(6)
    work = Work(workspace, admin, names)
    here = ("--workspace", str(workspace.folder))
    verbs: tuple[tuple[str, ...], ...] = (
        ("extract", "--all"),
        ("collect",),
        ("merge", "--all"),
        ("backup",),
    )
    for number in range(KILLS):
        work.paint(names[number % 2], number)
        if number % 4 == 0:
            workspace.folders.image_of(names[0]).unlink(missing_ok=True)
        verb = verbs[number % len(verbs)]
        killer.run("command", *verb, *here, kill_after=rng.uniform(0.02, 0.4))
        work.check()
    for verb in (("extract", *names), ("collect",), ("merge", "--all"), ("backup",)):
        assert killer.run("command", *verb, *here) == 0, verb
    work.check_end()
    with workspace.catalog.read() as session:
        assert [patch.stale for patch in list_patches(session)] == [False, False]
