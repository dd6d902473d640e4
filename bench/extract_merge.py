"""Extract and merge: ours against its limits, and with PEER=1 against MemBrain-seg's commands.

The tomogram is 1024 × 1024 × 512 float32 (2 GiB) with an int8 segmentation, page cache warm, both
writing to the same memory file system; to disk is printed beside it.
"""

import compileall
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import core
from bench.processes import Cost, measure, median, ratio
from core.demo.synthetic import write_mrc
from core.imaging.correction import read_correction, write_correction
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid, Zyx, box_around, whole
from core.imaging.labels import merge
from core.imaging.merging import read_label
from db.vocabulary import CorrectionKind

SHAPE = Zyx(512, 1024, 1024)
COUNTS = (1, 5, 50)
TARGET = {
    ("extract", 1): 40,
    ("extract", 5): 30,
    ("extract", 50): 15,
    ("merge", 1): 15,
    ("merge", 5): 12,
    ("merge", 50): 12,
}
MEMORY_MIB = {1: 80, 5: 150, 50: 150}
ROUNDS = {1: 5, 5: 5, 50: 3}
PEER_PACKAGES = ("torch==2.13.0", "membrain-seg==0.0.10", "click")
MEMORY_FOLDER = Path("/dev/shm")


def run() -> None:
    for floor in ("core", "db"):  # as installing does; the peer was installed
        compileall.compile_dir(Path(core.__file__).parents[1] / floor, quiet=1)
    fast = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as disk,
        tempfile.TemporaryDirectory(prefix="bench-", dir=fast) as memory,
    ):
        inputs = _make_inputs(Path(disk))
        lines = [f"# Extract and merge\n\n{_machine()}\n"]
        lines += _parts(inputs, Path(memory))
        peer = _peer() if os.environ.get("PEER") else None
        lines += _whole(inputs, Path(memory), Path(disk), peer)
    print("\n".join(lines))


class Inputs:
    """The big tomogram, its segmentation, a sparse one ten times as large, and centers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tomogram, self.segmentation = folder / "tomo.mrc", folder / "seg.mrc"
        self.sparse, self.sparse_segmentation = folder / "sparse.mrc", folder / "sparse_seg.mrc"

    def centers(self, count: int) -> Path:
        path = self.folder / f"centers{count}.csv"
        rng = np.random.default_rng(count)
        rows = np.column_stack([rng.integers(80, n - 80, count) for n in SHAPE.to_xyz()])
        path.write_text("".join(f"{x},{y},{z}\n" for x, y, z in rows))
        return path

    def labels(self, count: int) -> tuple[Path, Path]:
        """Labels and three corrections for each, as annotators leave them."""
        labels, corrections = self.folder / f"labels{count}", self.folder / f"corr{count}"
        if labels.exists():
            return labels, corrections
        labels.mkdir()
        corrections.mkdir()
        grid = Grid.aligned()  # the peer's own: it drops the voxel size
        for number in range(count):
            rng = np.random.default_rng(number)
            prediction = _blobs(rng, 30)
            write_nifti(labels / f"p{number}.nii.gz", prediction.astype(np.uint8), grid)
            (corrections / f"p{number}").mkdir()
            for kind in CorrectionKind:
                path = corrections / f"p{number}" / f"{kind.capitalize()}1.nrrd"
                write_correction(path, _blobs(rng, 6), grid, kind)
        return labels, corrections


def _blobs(rng: np.random.Generator, count: int) -> np.ndarray:
    mask = np.zeros((160, 160, 160), bool)
    for z, y, x in rng.integers(20, 130, (count, 3)):
        mask[z : z + 12, y : y + 9, x : x + 15] = True
    return mask


def _make_inputs(folder: Path) -> Inputs:
    inputs = Inputs(folder)
    rng = np.random.default_rng(0)
    section = rng.normal(size=(8, *SHAPE[1:])).astype(np.float32)
    write_mrc(inputs.tomogram, np.tile(section, (SHAPE.z // 8, 1, 1)), 10.0)
    label = (section > 1.5).astype(np.int8)
    write_mrc(inputs.segmentation, np.tile(label, (SHAPE.z // 8, 1, 1)), 10.0)
    _sparse_copy(inputs.tomogram, inputs.sparse, 4)
    _sparse_copy(inputs.segmentation, inputs.sparse_segmentation, 1)
    return inputs


def _sparse_copy(source: Path, target: Path, itemsize: int) -> None:
    """A volume ten times as deep that holds no data."""
    header = bytearray(_head(source))
    header[8:12] = (SHAPE.z * 10).to_bytes(4, "little")
    with target.open("wb") as out:
        out.write(header)
        out.truncate(1024 + itemsize * SHAPE.z * 10 * SHAPE.y * SHAPE.x)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)


def _machine() -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}. The tomogram is 1024 × 1024 × 512 "
        "float32 noise with an int8 segmentation; page cache warm."
    )


def _best_ms(work: Callable[[], object], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def _parts(inputs: Inputs, memory: Path) -> list[str]:
    """Each part of one patch against what it cannot be faster than."""
    box = box_around(Zyx(250, 500, 500))
    raw = bytearray(160 * 160 * 1024 * 4)
    with open_volume(inputs.tomogram) as tomogram, inputs.tomogram.open("rb") as file:
        tomogram.read(box)
        read = _best_ms(lambda: tomogram.read(box))
        patch = tomogram.read(box)

        def bare_read() -> None:
            for z in range(box.start.z, box.stop.z):
                os.preadv(file.fileno(), [memoryview(raw)[: 160 * 4096]], 1024 + z * (1 << 22))

        bare = _best_ms(bare_read)
    copied = np.empty_like(patch)
    copy = _best_ms(lambda: np.copyto(copied, patch))
    write = _best_ms(lambda: write_nifti(memory / "a.nii.gz", patch, Grid.aligned(10.0)))
    squeeze = _best_ms(lambda: _igzip(patch))
    labels, corrections = inputs.labels(1)
    label, grid = read_label(labels / "p0.nii.gz")
    path = corrections / "p0" / "Add1.nrrd"
    placed = _best_ms(lambda: read_correction(path, label, grid))
    with open_volume(path) as volume:
        inflated = _best_ms(lambda: _reopen(path))
        volume.read(whole(volume.shape))
    masks = [read_correction(p, label, grid).masks for p in (corrections / "p0").iterdir()]
    merged = _best_ms(lambda: merge(label, masks))
    rows = [
        ("read a patch's box", read, "the same rows by bare pread", bare),
        ("", read, "memcpy of the patch", copy),
        ("write a float patch as .nii.gz", write, "igzip level 1 alone", squeeze),
        ("read and place a correction", placed, "open and inflate it alone", inflated),
        ("merge three corrections", merged, "memcpy of the label", copy / 4),
    ]
    lines = [
        "## Parts of one patch (ms, median)\n",
        "| part | ours | limit | limit | ours ÷ limit |",
    ]
    lines += ["|---|---|---|---|---|"]
    lines += [
        f"| {name} | {ours:.1f} | {what} | {limit:.1f} | {ours / limit:.1f} |"
        for name, ours, what, limit in rows
    ]
    return [*lines, ""]


def _igzip(patch: np.ndarray) -> int:
    from isal import isal_zlib

    return len(isal_zlib.compress(patch.data.cast("B"), 1))


def _reopen(path: Path) -> None:
    with open_volume(path) as volume:
        volume.read(whole(volume.shape))


def _ours() -> list[str | Path]:
    return [Path(sys.executable).with_name("patch_corrections")]


def _peer() -> list[str | Path]:
    """MemBrain-seg's command in an environment of its own, made with pip."""
    folder = Path(os.environ.get("PEER_ENV", Path(tempfile.gettempdir()) / "bench-membrain-seg"))
    program = folder / "bin" / "patch_corrections"
    if not program.exists():
        print(f"installing {', '.join(PEER_PACKAGES)} into {folder} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "install", "-q"]
        for package in PEER_PACKAGES:
            subprocess.run([*pip, package], check=True)
    return [program]


def _whole(inputs: Inputs, memory: Path, disk: Path, peer: list[str | Path] | None) -> list[str]:
    """Whole processes, ours and the peer's in turn."""
    lines = ["## Whole processes (median; peer ÷ ours pair by pair)\n"]
    lines += [
        "| work | ours s | CPU s | peak MiB | to disk s | peer s | CPU s | peak MiB |"
        " peer ÷ ours | wanted |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for work in ("extract", "merge"):
        for count in COUNTS:
            lines.append(_row(work, count, inputs, memory, disk, peer))
    sparse = [_once("extract", 1, inputs, memory, _ours(), sparse=True) for _ in range(3)]
    lines.append(
        f"\nExtract of one patch of a sparse volume ten times as large: "
        f"{median(sparse).peak_mib:.0f} MiB, {median(sparse).wall_s:.2f} s."
    )
    bare = [measure([sys.executable, "-c", "import numpy"]) for _ in range(5)]
    lines.append(
        f"Python with numpy alone: {median(bare).wall_s:.2f} s, {median(bare).peak_mib:.0f} MiB."
    )
    return lines


def _row(
    work: str, count: int, inputs: Inputs, memory: Path, disk: Path, peer: list[str | Path] | None
) -> str:
    ours: list[Cost] = []
    theirs: list[Cost] = []
    _once(work, count, inputs, memory, _ours())
    for _ in range(ROUNDS[count]):
        ours.append(_once(work, count, inputs, memory, _ours()))
        if peer:
            theirs.append(_once(work, count, inputs, memory, peer))
    to_disk = median([_once(work, count, inputs, disk, _ours()) for _ in range(3)])
    mine = median(ours)
    cells = [f"{work} {count}", f"{mine.wall_s:.2f}", f"{mine.cpu_s:.2f}"]
    cells += [f"{mine.peak_mib:.0f} (≤ {MEMORY_MIB[count]})", f"{to_disk.wall_s:.2f}"]
    if theirs:
        other = median(theirs)
        cells += [f"{other.wall_s:.1f}", f"{other.cpu_s:.1f}", f"{other.peak_mib:.0f}"]
        cells += [f"{ratio(ours, theirs):.1f}", f"≥ {TARGET[work, count]}"]
    else:
        cells += [""] * 5
    return f"| {' | '.join(cells)} |"


def _once(
    work: str,
    count: int,
    inputs: Inputs,
    folder: Path,
    program: list[str | Path],
    sparse: bool = False,
) -> Cost:
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    if work == "merge":
        labels, corrections = inputs.labels(count)
        options: list[str | Path] = ["merge_corrections", "--labels-dir", labels]
        options += ["--corrections-dir", corrections, "--out-dir", out]
    else:
        tomogram = inputs.sparse if sparse else inputs.tomogram
        segmentation = inputs.sparse_segmentation if sparse else inputs.segmentation
        options = ["extract_patches", "--tomogram-path", tomogram, "--segmentation-path"]
        options += [segmentation, "--out-folder", out, "--coords-file", inputs.centers(count)]
    try:
        return measure([*program, *options])
    finally:
        shutil.rmtree(out)
