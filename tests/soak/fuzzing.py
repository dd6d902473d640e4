"""Feed damaged real files to every reader: each must end soon, stay small, and say one sentence.

    python tests/soak/fuzzing.py --seconds 3600 --seed 1 --keep FOLDER

A file that made a reader crash, hang or grow is kept in FOLDER; from there it becomes a test.
"""

import argparse
import bz2
import gzip
import io
import json
import random
import re
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from core.imaging.correction import may_be_correction, read_correction
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Zyx
from core.imaging.points.read import read_points
from core.imaging.points.rows import Frame
from core.patches.record import read_record
from core.workspace.settings import FILE_NAME, read_settings
from db.errors import TomocurateError

DATA = Path(__file__).parents[1] / "data"
SECONDS, MEBIBYTES = 2, 500
"""Of the processor's time, so that a busy machine is no finding, and of memory."""
STUCK = 60
"""Seconds after which a reader that does nothing waits for something."""
LARGEST = 256 << 10
"""Bytes of a seed; of a larger one the beginning, since headers are there."""

ODD_NUMBERS = (0, 1, -1, 2, 3, 127, 128, 255, 256, 4096, 65535, 65536, 2**31 - 1, -(2**31))
ODD_TEXT = (
    b"",
    b"0",
    b"-1",
    b"1e308",
    b"nan",
    b"inf",
    b"99999999999999999999",
    b"\x00",
    b"../../etc/x",
    b"\xff\xfe",
    b"{",
    b"[" * 200,
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\t" * 50,
    b"=",
    b":=",
    b"none",
)


class Finding(NamedTuple):
    """What a damaged file did to a reader that it must not do."""

    seed: str
    what: str


class HangError(BaseException):
    """A reader took too long; not an Exception, so that no reader catches it."""


def seeds() -> dict[str, bytes]:
    """Small real files of every format, by name; the suffix says which readers look at it."""
    found = {
        path.name: path.read_bytes()[:LARGEST]
        for folder in ("mrc", "nrrd", "points", "gold/merge/m02_add", "gold/merge/m12_mitk_like")
        for path in sorted((DATA / folder).rglob("*"))
        if path.is_file() and path.suffix != ".md"
    }
    label = (np.random.default_rng(1).random((5, 6, 7)) > 0.7).astype(np.uint8)
    for name, options in (
        ("plain", {}),
        ("zlib", {"compression": "zlib"}),
        ("big", {"bigtiff": 1}),
    ):
        raw = io.BytesIO()
        tifffile.imwrite(raw, label, **options)
        found[f"Add_{name}.tif"] = raw.getvalue()
    small = found["czi_segmask.mrc"][: 16 << 10]
    found |= {"a.mrc.gz": gzip.compress(small, 1), "a.mrc.bz2": bz2.compress(small, 1)}
    found[FILE_NAME] = b'catalog = "c.sqlite"\nupload_mb = 5\n[sign_in]\nby = "proxy"\n'
    record = {"format": "tomocurate patch record", "format_version": 1, "name": "a", "slots": []}
    found["record.json"] = json.dumps(record).encode()
    return found


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with one to four damages, most of them near its beginning."""
    raw = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        if raw:
            chance.choice((_flip, _number, _cut, _repeat, _text, _digits))(raw, chance)
    return bytes(raw)


def _place(raw: bytearray, chance: random.Random) -> int:
    near = min(len(raw), chance.choice((64, 256, 1024, len(raw))))
    return chance.randrange(near)


def _flip(raw: bytearray, chance: random.Random) -> None:
    raw[_place(raw, chance)] ^= 1 << chance.randrange(8)


def _number(raw: bytearray, chance: random.Random) -> None:
    at = _place(raw, chance) & ~3
    piece = struct.pack(chance.choice("<>") + "i", chance.choice(ODD_NUMBERS))
    raw[at : at + 4] = piece


def _cut(raw: bytearray, chance: random.Random) -> None:
    del raw[_place(raw, chance) :]


def _repeat(raw: bytearray, chance: random.Random) -> None:
    at = _place(raw, chance)
    piece = raw[at : at + chance.randrange(1, 200)]
    raw[at:at] = piece * chance.choice((1, 2, 50))


def _text(raw: bytearray, chance: random.Random) -> None:
    at = _place(raw, chance)
    raw[at : at + chance.randrange(12)] = chance.choice(ODD_TEXT)


def _digits(raw: bytearray, chance: random.Random) -> None:
    """Put another number where one is written in text."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", bytes(raw[:4096])))
    if found:
        one = chance.choice(found)
        raw[one.start() : one.end()] = chance.choice(ODD_TEXT[1:8])


def readers(path: Path) -> Iterator[Callable[[], object]]:
    """Every reader that would look at a file of this name."""
    yield lambda: _read_volume(path)
    if may_be_correction(path):
        label = np.zeros((30, 30, 30), np.uint8)
        yield lambda: read_correction(path, label, None)
    frame = Frame(Zyx(30, 30, 30), 10.0, "TS_01")
    yield lambda: read_points(path, frame)
    if path.name == FILE_NAME:
        yield lambda: read_settings(path.parent)
    if path.suffix == ".json":
        yield lambda: read_record(path)


def _read_volume(path: Path) -> object:
    with open_volume(path) as volume:
        return volume.read(Box(Zyx(0, 0, 0), Zyx(*(min(40, side) for side in volume.shape))))


@contextmanager
def _in_time() -> Iterator[None]:
    def late(*_: object) -> None:
        raise HangError

    before = {number: signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, STUCK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def try_file(seed: str, path: Path) -> Finding | None:
    """Let every reader look at a file; give what went wrong, if anything."""
    for read in readers(path):
        try:
            with _in_time(), warnings.catch_warnings():
                warnings.simplefilter("error")
                read()
        except TomocurateError as error:
            said = str(error)
            if not said or len(said) > 2000 or "Traceback" in said:
                return Finding(seed, f"no sentence: {said[:200]!r}")
        except HangError:
            return Finding(seed, f"took more than {SECONDS} s")
        except Exception:
            return Finding(seed, traceback.format_exc(limit=-3))
    return None


def peak_mebibytes() -> float:
    """The most memory that this process has used."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def fuzz(seconds: float, number: int, keep: Path) -> tuple[int, list[Finding]]:
    """Damage files for so long; give how many were tried, and the findings, each kept once."""
    chance, corpus = random.Random(number), seeds()
    names, findings, tried = sorted(corpus), [], 0
    highest = peak_mebibytes()
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            name = chance.choice(names)
            path = Path(folder, name)
            path.write_bytes(damaged(corpus[name], chance))
            found = try_file(name, path)
            tried += 1
            if peak_mebibytes() > max(MEBIBYTES, highest + 50):
                highest = peak_mebibytes()
                found = found or Finding(name, f"memory grew to {highest:.0f} MB")
            if found:
                findings.append(found)
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{number}-{tried}-{name}").write_bytes(path.read_bytes())
            path.unlink()
    return tried, findings


def main() -> int:
    """Fuzz and report; exit status 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    given = parser.parse_args()
    tried, findings = fuzz(given.seconds, given.seed, given.keep)
    for finding in findings[:50]:
        print(f"{finding.seed}: {finding.what}")
    print(f"{tried} files, {len(findings)} findings, {peak_mebibytes():.0f} MB at most")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
