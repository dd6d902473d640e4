"""Damaged real files: every reader ends soon, stays small and says one sentence.

A short round in every test run; TOMOCURATE_SOAK seconds of it in make soak.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import CorrectionError, PointsError, VolumeError
from core.imaging.correction import read_correction
from core.imaging.points.read import read_points

SECONDS = float(os.environ.get("TOMOCURATE_FUZZ_SECONDS", "6"))
PROGRAM = Path(__file__).with_name("fuzzing.py")
LABEL = np.zeros((4, 4, 4), np.uint8)


def test_no_damaged_file_makes_a_reader_crash_hang_or_grow(tmp_path: Path) -> None:
    seed = str(int.from_bytes(os.urandom(4))) if SECONDS > 60 else "1"
    done = subprocess.run(
        [
            sys.executable,
            PROGRAM,
            "--seconds",
            str(SECONDS),
            "--seed",
            seed,
            "--keep",
            tmp_path / "kept",
        ],
        capture_output=True,
        text=True,
        cwd=PROGRAM.parents[2],
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])},
    )
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    tried = int(done.stdout.split()[0])
    assert tried > 20 * SECONDS


def nrrd(path: Path, directions: str, origin: str) -> Path:
    head = (
        f"NRRD0005\ntype: uint8\ndimension: 3\nspace: LPS\nsizes: 4 4 4\n"
        f"space directions: {directions}\nspace origin: {origin}\nencoding: raw\n\n"
    )
    path.write_bytes(head.encode() + bytes(64))
    return path


@pytest.mark.parametrize(
    ("directions", "origin"),
    [
        ("(1e308,0,0) (0,1e308,0) (0,0,1e308)", "(0,0,0)"),
        ("(1,0,0) (0,1,0) (0,0,99999999999999999999)", "(0,0,0)"),
        ("(1,0,0) (0,1,0) (0,0,1)", "(1e308,0,0)"),
        ("(1e-320,0,0) (0,1,0) (0,0,1)", "(0,0,0)"),
    ],
)
def test_a_grid_of_impossible_numbers_is_refused(
    tmp_path: Path, directions: str, origin: str
) -> None:
    with pytest.raises(VolumeError, match="flat, not finite or too large"):
        read_correction(nrrd(tmp_path / "Add1.nrrd", directions, origin), LABEL, None)


def test_a_file_that_lies_unimaginably_far_away_is_on_another_grid(tmp_path: Path) -> None:
    from core.imaging.geometry import Grid

    path = nrrd(tmp_path / "Add1.nrrd", "(1e-3,0,0) (0,1e-3,0) (0,0,1e-3)", "(999999999,0,0)")
    with pytest.raises(CorrectionError, match="expected"):
        read_correction(path, LABEL, Grid.aligned(1e-3))


def test_a_star_table_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    path.write_text(
        "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n"
        "_rlnCoordinateZ #4\n1 2 3 4\n"
    )
    with pytest.raises(PointsError, match="twice"):
        read_points(path)
