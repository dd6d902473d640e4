"""Many at once on one catalog: nothing is lost, nobody fails, and of two who decide one wins.

``TOMOCURATE_SOAK=1`` runs them at full size: 20 processes with 100 steps each.
"""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from core.lab.lab import Lab
from core.labels.review import accept, reject
from core.patches.assign import claim
from core.patches.history import show
from core.workspace.workspace import Workspace, open_workspace
from db.errors import ConflictError
from db.queries.people import PersonRecord
from db.vocabulary import Stage

SOAK = bool(os.environ.get("TOMOCURATE_SOAK"))
PROCESSES, STEPS = (20, 100) if SOAK else (4, 12)
DECISIONS = 40 if SOAK else 6
COUNTED = 5
"""Patches whose notes are counters; fewer mean more conflicts."""

COUNT = """
import json, random, sys, time
from pathlib import Path
from core.workspace.workspace import open_workspace
from db.errors import ConflictError, TomocurateError
from db.queries.patches import get_patch
from db.writes.events import Change
from db.writes.patches import change_patch, lock_patch

folder, names, steps = Path(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3])
told = {"done": 0, "conflicts": 0, "errors": [], "slowest": 0.0}
with open_workspace(folder) as workspace:
    while told["done"] < steps:
        name = random.choice(names)
        with workspace.catalog.read() as session:
            seen = get_patch(session, name)
        began = time.monotonic()
        try:
            with workspace.catalog.write() as session:
                patch = lock_patch(session, name, seen.version)
                more = str(int(seen.note or 0) + 1)
                change_patch(session, Change.now(None), patch, "counted", note=more)
            told["done"] += 1
        except ConflictError:
            told["conflicts"] += 1
        except TomocurateError as error:
            told["errors"].append(str(error))
            break
        told["slowest"] = max(told["slowest"], time.monotonic() - began)
print(json.dumps(told))
"""


def test_many_processes_lose_no_update(any_workspace: Any, any_patches: Any) -> None:
    names = [f"other_TS_1_patch{number}" for number in range(COUNTED)]
    for name in names:
        any_patches.at(Stage.CHOSEN, name)
    command = [sys.executable, "-c", COUNT, str(any_workspace.folder), ",".join(names), str(STEPS)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    told = [json.loads(process.communicate(timeout=900)[0]) for process in running]
    assert [each["errors"] for each in told] == [[]] * PROCESSES
    notes = [show(any_workspace, name, 1).patch.note for name in names]
    assert sum(int(note or 0) for note in notes) == PROCESSES * STEPS
    if SOAK:
        print(
            f"{PROCESSES} processes x {STEPS} steps: 0 lost, 0 errors,",
            f"{sum(each['conflicts'] for each in told)} told of a conflict,",
            f"slowest {max(each['slowest'] for each in told):.1f} s",
        )


def accepts(person: PersonRecord, name: str, seen: int | None, workspace: Workspace) -> None:
    accept(Lab(workspace, person), name, seen=seen)


def rejects(person: PersonRecord, name: str, seen: int | None, workspace: Workspace) -> None:
    reject(Lab(workspace, person), name, "no", seen=seen)


def decide_at_once(
    workspace: Workspace, deciders: list[Callable[[Workspace], object]]
) -> list[str | None]:
    """Run each in a thread with a catalog of its own; give what each was told, None is a win."""
    barrier, told = threading.Barrier(len(deciders)), [""] * len(deciders)
    said: list[str | None] = list(told)

    def run(number: int) -> None:
        with open_workspace(workspace.folder) as own:
            barrier.wait()
            try:
                deciders[number](own)
                said[number] = None
            except ConflictError as error:
                said[number] = str(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(deciders))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


@pytest.mark.parametrize("checks_version", [True, False])
def test_of_two_who_decide_on_a_patch_one_wins_and_the_other_is_told(
    any_workspace: Any, any_patches: Any, checks_version: Any
) -> None:
    team = any_patches.team
    for number in range(DECISIONS):
        name = f"other_TS_{number}_patch0"
        version = any_patches.at(Stage.IN_REVIEW, name).version
        seen = version if checks_version else None
        said = decide_at_once(
            any_workspace,
            [
                partial(accepts, team.rolf, name, seen),
                partial(rejects, team.rita, name, seen),
            ],
        )
        assert said.count(None) == 1
        winner = ("rolf", "rita")[said.index(None)]
        assert f"{name}: {winner}" in next(each for each in said if each)
        life = show(any_workspace, name)
        assert [review.reviewer for review in life.reviews] == [winner]
        assert life.patch.updated_by == winner


def test_a_patch_is_claimed_by_one_of_many(any_workspace: Any, any_patches: Any) -> None:
    team = any_patches.team
    any_patches.at(Stage.EXTRACTED)
    name = "other_TS_1_patch0"

    def claims(person: PersonRecord) -> Callable[[Workspace], object]:
        return lambda workspace: claim(Lab(workspace, person), name)

    people = [team.annika, team.anton, team.rolf, team.rita]
    said = decide_at_once(any_workspace, [claims(person) for person in people])
    owner = show(any_workspace, name).patch.assignee
    assert Counter(each is None for each in said) == {True: 1, False: 3}
    assert people[said.index(None)].name == owner
    assert all(f"{owner} has it" in each for each in said if each)
