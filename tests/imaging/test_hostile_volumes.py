"""Files made to hang or to eat memory: each is over in two seconds and half a gigabyte.

Each is opened and read in a process of its own, whose time and peak memory are looked at.
"""

import bz2
import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from isal import isal_zlib

SECONDS, MEBIBYTES = 2.0, 500

PROGRAM = """
import json, sys, time
from pathlib import Path
from core.errors import VolumeError
from core.imaging.geometry import Box, Zyx
from core.imaging.formats.volume import open_volume
began, said = time.monotonic(), None
try:
    with open_volume(Path(sys.argv[1])) as volume:
        volume.read(Box(Zyx(0, 0, 0), Zyx(*(min(160, side) for side in volume.shape))))
except VolumeError as error:
    said = str(error)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
print(json.dumps({"said": said, "seconds": time.monotonic() - began, "peak": peak / 1024}))
"""

GZIP_NRRD = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 3 3 3\nencoding: gzip\n\n"


def outcome(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore:Setting the dtype:DeprecationWarning",
            "-W",
            "ignore:datetime.datetime.utcnow:DeprecationWarning",
            "-c",
            PROGRAM,
            str(path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def header(*sides_and_mode: int) -> bytes:
    raw = bytearray(1024)
    struct.pack_into("<4i", raw, 0, *sides_and_mode)
    raw[208:216] = b"MAP DD\0\0"
    return bytes(raw)


def wrote(path: Path, *pieces: bytes) -> None:
    path.write_bytes(b"".join(pieces))


def sparse(path: Path, head: bytes, length: int) -> None:
    path.write_bytes(head)
    os.truncate(path, length)


def with_file(path: Path, where: str) -> None:
    wrote(path, GZIP_NRRD[:-1], f"data file: {where}\n\n".encode())


def fifo(path: Path) -> None:
    os.mkfifo(path.with_suffix(".pipe"))
    with_file(path, str(path.with_suffix(".pipe")))


def patched(path: Path, field: int, value: int) -> None:
    with mrcfile.new(path) as file:
        file.set_data(np.zeros((4, 5, 6), np.int16))
    with path.open("r+b") as raw:
        raw.seek(field)
        raw.write(struct.pack("<i", value))


def gibibyte() -> bytes:
    """A GiB of zeros in a gzip."""
    packer, chunk = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31), bytes(1 << 20)
    return b"".join(packer.compress(chunk) for _ in range(1024)) + packer.flush()


HOSTILE: dict[str, Callable[[Path], object]] = {
    "NRRD gzip that inflates to 1 GiB": lambda p: wrote(p, GZIP_NRRD, gibibyte()),
    "NRRD of a 100 GB sparse file": lambda p: sparse(p, GZIP_NRRD, 100 << 30),
    "NRRD text of a 100 GB sparse file": lambda p: sparse(
        p, GZIP_NRRD.replace(b"gzip", b"text"), 100 << 30
    ),
    "NRRD of a million empty gzips": lambda p: wrote(p, GZIP_NRRD, gzip.compress(b"") * 1_000_000),
    "NRRD with a line of 300 MB": lambda p: sparse(p, GZIP_NRRD[:-1] + b"a:=", 300 << 20),
    "NRRD line skip": lambda p: wrote(p, GZIP_NRRD[:-1], b"line skip: 1000000000000\n\n"),
    "NRRD data in a FIFO": fifo,
    "NRRD data in a secret": lambda p: with_file(p, "/etc/hostname"),
    "NRRD that promises 2^48 voxels": lambda p: wrote(
        p, GZIP_NRRD.replace(b"3 3 3", b"65535 65535 65535"), gzip.compress(bytes(99))
    ),
    "MRC with 2 GiB of extended header": lambda p: patched(p, 92, 2**31 - 1),
    "MRC that promises 65535 sections": lambda p: patched(p, 8, 65535),
    "gzipped MRC of 1 GiB that promises 27 voxels, then tail": lambda p: wrote(
        p, gzip.compress(header(3, 3, 3, 0)), gibibyte()
    ),
    "gzipped MRC that promises what it has not": lambda p: wrote(
        p, gzip.compress(header(900, 900, 100, 0) + os.urandom(1 << 20))
    ),
    "bzipped MRC that promises what it has not": lambda p: wrote(
        p, bz2.compress(header(900, 900, 100, 0) + os.urandom(1 << 20))
    ),
    "two million empty gzips": lambda p: wrote(p, gzip.compress(b"") * 2_000_000),
    "gzip of a gzip of an MRC": lambda p: wrote(
        p, gzip.compress(gzip.compress(header(3, 3, 3, 0)))
    ),
    "gzip of nothing": lambda p: wrote(p, gzip.compress(b"")),
    "half a gzip header": lambda p: wrote(p, b"\x1f\x8b\x08"),
    "half a bzip2 header": lambda p: wrote(p, b"BZh9"),
    "NIfTI header alone": lambda p: wrote(p, bytes(344), b"n+1\0"),
    "zeros": lambda p: wrote(p, bytes(5000)),
    "a link to /dev/zero": lambda p: p.symlink_to("/dev/zero"),
    "a link to itself": lambda p: p.symlink_to(p),
}

HARMLESS = {"gzipped MRC of 1 GiB that promises 27 voxels, then tail"}
"""What follows the promised voxels is not looked at."""


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_over_soon_and_small(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "a.volume"
    HOSTILE[kind](path)
    found = outcome(path)
    assert found["seconds"] < SECONDS
    assert found["peak"] < MEBIBYTES
    if kind not in HARMLESS:
        assert str(path) in found["said"]
        assert "\n" not in found["said"]


def test_gzip_in_many_parts_is_read_in_time(tmp_path: Path) -> None:
    """As bgzip writes: 64 KB a part; 40 MB."""
    voxels = np.random.default_rng(0).integers(-99, 99, (160, 512, 256)).astype(np.int16)
    raw = header(256, 512, 160, 1) + voxels.tobytes()
    parts = (gzip.compress(raw[at : at + 65280], 1) for at in range(0, len(raw), 65280))
    wrote(tmp_path / "a.mrc.gz", *parts)
    found = outcome(tmp_path / "a.mrc.gz")
    assert found["said"] is None
    assert found["seconds"] < SECONDS
    assert found["peak"] < 150


def test_an_almost_empty_bzip2_is_honest(tmp_path: Path) -> None:
    """bzip2 shrinks zeros a million to one."""
    raw = bz2.compress(header(512, 512, 160, 0) + bytes(512 * 512 * 160))
    wrote(tmp_path / "a.mrc.bz2", raw)
    assert outcome(tmp_path / "a.mrc.bz2")["said"] is None
