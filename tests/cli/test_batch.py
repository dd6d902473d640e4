"""A long batch runs unattended: one bad file stops nothing, and every patch has its line."""

import os
import shutil
from pathlib import Path
from typing import Any

from core.imaging.geometry import Zyx

COUNT = 1_000 if os.environ.get("TOMOCURATE_SOAK") else 12
BAD = "other_TS_001_patch5"


def centers(count: int) -> list[Zyx]:
    """Legal centers of the lab's tomogram, each another."""
    return [Zyx(81 + n % 19, 81 + n // 19 % 39, 82 + n // 741) for n in range(count)]


def test_a_batch_of_merges_reports_each_patch_and_goes_on_after_a_bad_file(
    lab: Any, tmp_path: Path
) -> None:
    rows = [",".join(map(str, center.to_xyz())) for center in centers(COUNT)]
    (tmp_path / "centers.csv").write_text("\n".join(["x,y,z", *rows]) + "\n")
    lab.done("choose", "TS_001", "--from", "centers.csv")
    lab.done("extract", "--all")
    names = [patch["name"] for patch in lab.done("patches", "--limit", "2000", "--json").json]
    painted = lab.paint()
    for name in names:
        folder = lab.folder / "corrections" / name
        folder.mkdir(exist_ok=True)
        if name == BAD:
            (folder / "Add1.nrrd").write_bytes(b"NRRD0004\nbroken")
        elif folder != painted.parent:
            shutil.copy(painted, folder / "Add1.nrrd")
    collected = lab("collect", "--json")
    merged = lab("merge", "--all", "--json")
    assert collected.status == 1
    assert BAD in collected.err
    done = {line["name"] for line in merged.json if line["outcome"] == "done"}
    assert done == set(names) - {BAD}
