"""Every hostile file at its real door: refused soon, small, in one sentence, and nothing touched.

The table is battery.py, the doors are doors.py.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.access.os_user import acting_person
from core.demo.synthetic import make_tomogram, write_tomogram
from core.imaging.geometry import Zyx
from core.lab.lab import Lab as ActingLab
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.workspace.results import count_failed
from core.workspace.workspace import init_workspace
from db.vocabulary import ChosenBecause
from tests.security.battery import ROWS, SECRET
from tests.security.doors import PATCH

SECONDS, MEBIBYTES = 2.0, 500
REPOSITORY = Path(__file__).parents[2]
LONGEST = 1000
"""Signs of a sentence."""

OURS = ("catalog.sqlite", "lab/store/refused", "lab/patches/records", "lab/cache", "inbox")
"""What may change: the catalog, what is kept of refused uploads, records, and what was brought."""


class Lab(NamedTuple):
    """A workspace with a patch, what lies beside it, and a program at its doors."""

    folder: Path
    doors: "subprocess.Popen[str]"

    def bring(self, door: str, path: Path) -> dict[str, Any]:
        assert self.doors.stdin
        assert self.doors.stdout
        self.doors.stdin.write(json.dumps({"door": door, "path": str(path)}) + "\n")
        self.doors.stdin.flush()
        return dict(json.loads(self.doors.stdout.readline()))

    def listing(self) -> dict[str, tuple[int, int]]:
        """Every file and link but what may change, with its size and time."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if not path.is_dir() and not any(ours in name for ours in OURS):
                found[name] = (path.lstat().st_size, path.lstat().st_mtime_ns)
        return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("battery")
    for name in ("data", "inbox", "outside"):
        (folder / name).mkdir()
    made = make_tomogram(Zyx(170, 180, 180))
    write_tomogram(folder / "data", "TS_001", made)
    write_tomogram(folder / "data", "TS_002", made)
    write_tomogram(folder / "outside", "TS_001", made)
    (folder / "outside" / "secret").write_text(SECRET)
    with init_workspace(folder / "lab") as workspace:
        me = acting_person(workspace)
        pairings = plan_registration(workspace, [folder / "data"])
        assert not count_failed(register(ActingLab(workspace, me), pairings, add_roots=True))
        (folder / "inbox" / "TS_003.mrc").hardlink_to(folder / "data" / "TS_002.mrc")
        pairings = plan_registration(workspace, [folder / "inbox" / "TS_003.mrc"])
        assert not count_failed(register(ActingLab(workspace, me), pairings, add_roots=True))
        choose(ActingLab(workspace, me), "TS_001", [Zyx(84, 90, 90)], reason=ChosenBecause.OTHER)
        assert not count_failed(extract(ActingLab(workspace, me), [PATCH]))
    doors = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error::ResourceWarning",
            "-m",
            "tests.security.doors",
            str(folder / "lab"),
        ],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with doors:
        yield Lab(folder, doors)
        assert doors.stdin
        doors.stdin.close()


@pytest.mark.parametrize("kind", ROWS)
def test_a_hostile_file_is_refused(lab: Lab, kind: str) -> None:
    door, name, make = ROWS[kind]
    inbox = lab.folder / "inbox" / f"row{list(ROWS).index(kind)}"
    inbox.mkdir()
    make(inbox / name)
    brought = {path for path in inbox.rglob("*") if not path.is_dir()}
    before = lab.listing()
    found = lab.bring(door, inbox / name)
    assert found["broke"] is None
    assert found["said"], "nobody refused it"
    assert "\n" not in found["said"]
    assert len(found["said"]) < LONGEST
    assert SECRET not in found["said"]
    assert found["busy"] <= SECONDS
    assert found["peak"] <= MEBIBYTES
    assert lab.listing() == before
    left = {path for path in inbox.rglob("*") if not path.is_dir()} - brought
    assert {path for path in left if not path.name.startswith("catalog.")} <= (
        {inbox / name} if door == "rebuild" else set()
    )
    for path in sorted(inbox.rglob("*"), reverse=True):
        if not path.is_dir():
            path.unlink()


def test_what_lies_beside_the_workspace_was_never_shown(lab: Lab) -> None:
    kept = [path for path in (lab.folder / "lab").rglob("*") if path.is_file()]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
