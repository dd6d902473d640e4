"""kill -9 at any moment: no partial file under a final name, nothing told is lost, a rerun ends it.

TOMOCURATE_SOAK=1 (make soak) kills 200 times instead of 20.
"""

import os
import random
import shutil
import signal
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.access.os_user import acting_person
from core.corrections.collect import collect
from core.corrections.receive import receive
from core.corrections.store import Store
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Zyx, whole
from core.imaging.hashes import content_hash
from core.lab.lab import Lab
from core.labels.merge import merge
from core.labels.verify import verify
from core.patches.choose import choose
from core.patches.extract import extract
from core.patches.record import read_record, refresh_records
from core.workspace.results import Outcome, silent
from core.workspace.workspace import Workspace, open_workspace
from db.queries.life import merges_of, slots_of
from db.queries.patches import PatchRecord, list_patches
from db.vocabulary import ChosenBecause, Stage

STEPS = ("extract", "collect", "receive", "merge")
KILLS = 200 if os.environ.get("TOMOCURATE_SOAK") else 20


@pytest.fixture
def prepared(lab: Any) -> Any:
    """Six more chosen patches, corrections to collect and to receive for those that are cut."""
    centers = [Zyx(82 + n, 90 + 2 * n, 100 + 3 * n) for n in range(6)]
    choose(lab.by.ada, "TS_001", centers, reason=ChosenBecause.OTHER)
    brought = lab.folders.root / "brought"
    brought.mkdir()
    for name in lab.names:
        lab.save("Add1.nrrd", np.s_[80, 80, 70:90], name=name)
        lab.save("Remove1.nrrd", np.s_[40:60, 40:60, 40:60], name=name)
        shutil.copy(lab.file("Add1.nrrd", name), brought / f"{name}.nrrd")
    return lab


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_step_loses_nothing_and_ends_when_it_is_run_again(
    step: str, prepared: Any, tmp_path: Path
) -> None:
    prepared.workspace.close()
    folder = prepared.folders.root
    if step == "merge":
        run(folder, "collect")
    seconds = run(prepared.copied_to(tmp_path / "once"), step)[1]
    chance = random.Random(step)  # the same moments in every run
    for number in range(KILLS // len(STEPS)):
        again = prepared.copied_to(tmp_path / f"killed-{number}")
        told, _ = run(again, step, kill_after=chance.uniform(0, 1.1 * seconds))
        with open_workspace(again) as workspace:
            check_whole(workspace)
            check_told(workspace, step, told)
            outcomes = one(workspace, acting_person(workspace), step)
            assert {each.outcome for each in outcomes} <= {"done", "kept"}
            check_finished(workspace, step)
        shutil.rmtree(again)


def run(folder: Path, step: str, kill_after: float | None = None) -> tuple[list[str], float]:
    """Take a step in a process of its own; the patches that it told, and its seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os._exit(take(folder, step, writer))
    os.close(writer)
    with os.fdopen(reader, "rb") as lines:
        assert lines.readline() == b"ready\n"
        began = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        told = [line.split()[0].decode() for line in lines if line.endswith(b" done\n")]
        seconds = time.monotonic() - began
    _, status = os.waitpid(child, 0)
    assert status in ((0,) if kill_after is None else (0, signal.SIGKILL))
    return told, seconds


def take(folder: Path, step: str, writer: int) -> int:
    """The child's part: what is written to the pipe was told, and must not be lost."""
    try:
        with open_workspace(folder) as workspace:
            os.write(writer, b"ready\n")
            by = acting_person(workspace)

            def tell(outcome: Any) -> None:
                os.write(writer, f"{outcome.name} {outcome.outcome}\n".encode())

            one(workspace, by, step, tell)
        return 0
    except BaseException:
        traceback.print_exc()
        return 1


def one(workspace: Workspace, by: Any, step: str, tell: Any = silent) -> list[Outcome]:
    if step != "receive":
        steps = {"extract": extract, "collect": collect, "merge": merge}
        return list(steps[step](Lab(workspace, by), progress=tell))
    outcomes = []
    for file in sorted((workspace.folder / "brought").iterdir()):
        outcomes.append(receive(Lab(workspace, by), file.stem, "Ignore1.nrrd", file))
        tell(outcomes[-1])
    return outcomes


def check_whole(workspace: Workspace) -> None:
    """Whatever has a final name can be read, and the store's files are what they are named."""
    folders = workspace.folders
    volumes = [*folders.images.iterdir(), *folders.labels.iterdir(), *folders.merged.iterdir()]
    for path in [*volumes, *folders.corrections.glob("*/*.nrrd")]:
        if not path.name.startswith("."):
            with open_volume(path) as volume:
                volume.read(whole(volume.shape))
    for path in folders.records.glob("*.json"):
        read_record(path)
    store = Store(folders.store)
    for path in folders.store.glob("??/*"):
        if not path.name.startswith("."):
            store.checked(path.parent.name + path.name, "a stored file")


def patches(workspace: Workspace) -> list[PatchRecord]:
    with workspace.catalog.read() as session:
        return list(list_patches(session))


def check_told(workspace: Workspace, step: str, told: list[str]) -> None:
    """What was told to have been done is in the catalog, with its files."""
    store = Store(workspace.folders.store)
    for patch in patches(workspace):
        if patch.name not in told:
            continue
        with workspace.catalog.read() as session:
            slots, merges = slots_of(session, patch.id), merges_of(session, patch.id)
        if step == "extract":
            assert patch.stage is Stage.EXTRACTED
            with open_volume(workspace.folders.label_of(patch.name)) as volume:
                assert content_hash(volume.read(whole(volume.shape))) == patch.label_hash
        if step in ("collect", "receive"):
            assert slots
            assert all(store.holds(slot.latest.sha256) for slot in slots)
        if step == "merge":
            assert store.holds(merges[-1].file_sha256)
            assert patch.current_merge_id


def check_finished(workspace: Workspace, step: str) -> None:
    """All is as if nobody had killed anything: once each, and no more."""
    by = acting_person(workspace)
    refresh_records(workspace)
    check_whole(workspace)
    for patch in patches(workspace):
        with workspace.catalog.read() as session:
            slots, merges = slots_of(session, patch.id), merges_of(session, patch.id)
        record = read_record(workspace.folders.record_of(patch.name))
        assert record["version"] == patch.version
        assert all(len(slot.versions) == 1 for slot in slots)
        assert len(merges) <= 1
        if step == "receive" and slots:
            (slot,) = [slot for slot in slots if slot.name == "Ignore1.nrrd"]
            assert slot.latest.origin == "uploaded"
    if step == "extract":
        assert all(patch.stage is Stage.EXTRACTED for patch in patches(workspace))
        assert {each.outcome for each in extract(Lab(workspace, by), named(workspace))} == {"kept"}
    if step == "collect":
        assert {each.outcome for each in collect(Lab(workspace, by))} == {"kept"}
    if step == "merge":
        assert merge(Lab(workspace, by)) == ()
        verified = verify(workspace, [p.name for p in patches(workspace) if p.current_merge_id])
        assert [each.outcome for each in verified] == ["done"] * 3


def named(workspace: Workspace) -> list[str]:
    return [patch.name for patch in patches(workspace)]
