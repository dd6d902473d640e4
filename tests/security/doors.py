"""The real doors that strangers' files come through, each file tried in a process of its own.

    python -m tests.security.doors WORKSPACE

A line in is {"door", "path"}, a line out is what came of it. The program imports everything first
and forks for each file, so that seconds and memory are those of the file alone.
"""

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import starfile  # noqa: F401 - what a door imports late must not count for its file
import tifffile  # noqa: F401

from core.access.os_user import acting_person
from core.adopt.adopt import adopt
from core.bundles.import_bundle import preview_bundle
from core.corrections.receive import receive, receive_many
from core.lab.lab import Lab
from core.maintenance.rebuild import rebuild
from core.maintenance.restore import restore
from core.patches.choose import read_centers
from core.tomograms.register import plan_registration, register
from core.workspace.results import FAILED, Outcome
from core.workspace.workspace import Workspace, open_workspace
from db.errors import TomocurateError

KILLED_S = 30.0
PATCH = "other_TS_001_patch0"


def said_by(outcomes: Iterable[Outcome]) -> str | None:
    """What the first failed outcome says."""
    return next((each.message for each in outcomes if each.outcome == FAILED), None)


def _register(workspace: Workspace, path: Path) -> str | None:
    pairings = plan_registration(workspace, [path])
    return said_by(register(Lab(workspace, acting_person(workspace)), pairings))


def _segmentation(workspace: Workspace, path: Path) -> str | None:
    tomogram = path.parents[2] / "data" / "TS_002.mrc"
    pairings = plan_registration(workspace, [tomogram], segmentation=path)
    return said_by(register(Lab(workspace, acting_person(workspace)), pairings))


def _choose(workspace: Workspace, path: Path) -> str | None:
    points = read_centers(workspace, "TS_001", path)
    return f"{len(points.failed)} rows are no centers" if points.failed else None


def _receive(workspace: Workspace, path: Path) -> str | None:
    return said_by([receive(Lab(workspace, acting_person(workspace)), PATCH, path.name, path)])


def _kit(workspace: Workspace, path: Path) -> str | None:
    return said_by(receive_many(Lab(workspace, acting_person(workspace)), path))


def _bundle(workspace: Workspace, path: Path) -> None:
    preview_bundle(Lab(workspace, acting_person(workspace)), path)


def _adopt(workspace: Workspace, path: Path) -> str | None:
    return said_by(adopt(Lab(workspace, acting_person(workspace)), path.parent, dry_run=True))


def _open(_: Workspace, path: Path) -> None:
    open_workspace(path.parent).close()


def _rebuild(_: Workspace, path: Path) -> str | None:
    return said_by(rebuild(path.parents[2]))


def _restore(_: Workspace, path: Path) -> None:
    restore(path, path.parent / "restored")


DOORS: dict[str, Callable[[Workspace, Path], str | None]] = {
    "register": _register,
    "segmentation": _segmentation,
    "choose --from": _choose,
    "receive": _receive,
    "receive_many": _kit,
    "import-bundle": _bundle,
    "adopt": _adopt,
    "open": _open,
    "rebuild": _rebuild,
    "restore": _restore,
}


def answer(folder: Path, door: str, path: Path) -> dict[str, Any]:
    """Bring a file to a door, here and now."""
    began, busy = time.monotonic(), time.process_time()
    said, broke = None, None
    try:
        with open_workspace(folder) as workspace:
            began, busy = time.monotonic(), time.process_time()
            said = DOORS[door](workspace, path)
    except TomocurateError as error:
        said = str(error)
    except BaseException:
        broke = traceback.format_exc(limit=-4)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    return {
        "said": said,
        "broke": broke,
        "seconds": time.monotonic() - began,
        "busy": time.process_time() - busy,
        "peak": peak,
    }


def in_a_process(folder: Path, door: str, path: Path) -> dict[str, Any]:
    """Bring a file to a door in a process of its own, which ends in time or is ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is this file's own
        os.write(writing, json.dumps(answer(folder, door, path)).encode())
        os._exit(0)
    os.close(writing)
    pieces = []
    while select.select([reading], [], [], KILLED_S)[0] and (piece := os.read(reading, 1 << 16)):
        pieces.append(piece)
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if pieces:
        return dict(json.loads(b"".join(pieces)))
    return {
        "said": None,
        "broke": f"ended, or took more than {KILLED_S} s",
        "seconds": KILLED_S,
        "busy": KILLED_S,
        "peak": 0.0,
    }


def main() -> None:
    """Answer line by line."""
    folder = Path(sys.argv[1])
    with open_workspace(folder):
        pass
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(in_a_process(folder, asked["door"], Path(asked["path"]))), flush=True)


if __name__ == "__main__":
    main()
