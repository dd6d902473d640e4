"""How many voxels proposed boxes let people correct, against random, most membrane and an oracle.

Two generators of synthetic tomograms whose truth is known; errors spread evenly, or clustered in a
third of the volume. A ridge filter likes synthetic membranes, so the figures are upper bounds.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bench import second_generator
from bench.processes import measure
from core.demo import synthetic
from core.demo.synthetic import write_mrc
from core.imaging.geometry import BORDER, PATCH_SIDE, Zyx, box_around
from core.proposals.boxes import Boxes, legal_boxes, shared_fraction
from core.proposals.choose import MOST_SHARED, Settings, choose_boxes
from core.proposals.reading import Inputs
from core.proposals.scan import Cells, scan
from db.vocabulary import CorrectionKind

SHAPE = Zyx(180, 512, 512)
SEEDS = range(1, 9)
EACH = 2
"""Patches a tomogram: the first round."""
DRAWS = 200
RESAMPLES = 2000
LARGE = Zyx(512, 1024, 1024)
SPARSE = Zyx(894, 4096, 4096)
SPARSE_BLOCKS = 64
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """A tomogram, what was predicted in it, and what an annotator would change."""

    density: NDArray[np.float32]
    predicted: Mask
    wrong: Mask
    voxel_size: float


@dataclass(frozen=True)
class Outcome:
    """Mean voxels to correct in the cores of the boxes that each rule takes."""

    ours: float
    random: float
    membrane: float
    oracle: float


def run() -> None:
    print("# Proposals (corrected voxels a patch; 8 seeds, 2 patches a tomogram)\n")
    print("| generator, errors | × random [95 %] | share of the oracle's gain | × most membrane |"
          " audits only |\n|---|---|---|---|---|")  # fmt: skip
    for name, make in GENERATORS.items():
        found: dict[str, list[Outcome]] = {"even": [], "clustered": []}
        quiet = 0
        for seed in SEEDS:
            for kind, world in make(seed).items():
                if kind == "perfect":
                    quiet += _only_audits(world, seed)
                    continue
                found[kind].append(_outcome(world, seed))
        for kind, outcomes in found.items():
            print(f"| {name}, {kind} | {_told(outcomes)} | |", flush=True)
        print(f"| {name}, perfect prediction | | | | {quiet} of {len(SEEDS)} |", flush=True)
    _costs()


def demo_worlds(seed: int) -> dict[str, World]:
    """The demo's generator."""
    tomogram = synthetic.make_tomogram(SHAPE, seed)
    seen = tomogram.membrane & tomogram.visible
    near = ndimage.binary_dilation(tomogram.membrane, iterations=2)

    def world(predicted: Mask) -> World:
        drawn = synthetic.annotate(tomogram.membrane, tomogram.visible, predicted)
        wrong = drawn[CorrectionKind.ADD] | (drawn[CorrectionKind.REMOVE] & predicted)
        return World(tomogram.density, predicted, wrong, synthetic.VOXEL_SIZE)

    return {
        "even": world(tomogram.prediction == 1),
        "clustered": world(_clustered(tomogram, seen, near, seed)),
        "perfect": world(seen),
    }


def second_worlds(seed: int) -> dict[str, World]:
    """The second generator; the perfect one has no microtubules, which look like membrane."""
    shape = (SHAPE.z, SHAPE.y, SHAPE.x)
    phantom = second_generator.make_phantom(shape, seed)
    plain = second_generator.make_phantom(shape, seed, microtubules=False)

    def world(of: second_generator.Phantom, predicted: Mask) -> World:
        add, remove = second_generator.corrections(of, predicted)
        return World(of.density, predicted, add | remove, second_generator.VOXEL_SIZE)

    return {
        "even": world(phantom, second_generator.predict(phantom, seed, clustered=False)),
        "clustered": world(phantom, second_generator.predict(phantom, seed, clustered=True)),
        "perfect": world(plain, plain.membrane & plain.visible),
    }


GENERATORS: dict[str, Callable[[int], dict[str, World]]] = {
    "demo": demo_worlds,
    "second": second_worlds,
}


def _clustered(tomogram: synthetic.SyntheticTomogram, seen: Mask, near: Mask, seed: int) -> Mask:
    """As many errors as the demo's, 85 % of them in a third of the tomogram."""
    rng = np.random.default_rng((seed, 5))
    direction = rng.standard_normal(2)
    y, x = np.ogrid[0 : SHAPE.y, 0 : SHAPE.x]
    along = np.broadcast_to(direction[0] * y + direction[1] * x, SHAPE)
    region = along > np.quantile(along[0, ::4, ::4], 2 / 3)
    predicted = seen.copy()
    for again in range(2):  # each has twice the errors of one prediction
        other = synthetic.predict_again(tomogram, seed * 10 + again) == 1
        for errors, value in ((seen & ~other, False), (other & ~near, True)):
            labels, count = ndimage.label(errors)
            middles = np.array(ndimage.center_of_mass(errors, labels, range(1, count + 1)))
            inside = region[tuple(middles.astype(int).T)]
            keep = rng.uniform(size=count) < np.where(inside, 0.64, 0.056)
            predicted[np.concatenate([[False], keep])[labels]] = value
    return predicted


def _scanned(world: World) -> Cells:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        paths = Path(folder) / "t.mrc", Path(folder) / "s.mrc"
        write_mrc(paths[0], world.density, world.voxel_size)
        write_mrc(paths[1], world.predicted.astype(np.int8), world.voxel_size)
        return scan(Inputs(*paths, voxel_size=world.voxel_size))


def _outcome(world: World, seed: int) -> Outcome:
    cells = _scanned(world)
    boxes = legal_boxes(cells)
    truth = _in_cores(world.wrong, boxes)
    chosen = choose_boxes(cells, Settings(EACH, seed, "bench"))
    where = {tuple(boxes.center(number)): number for number in range(len(boxes))}
    rng = np.random.default_rng(seed)
    random = [_greedy(boxes, rng.uniform(size=len(boxes))) for _ in range(DRAWS)]
    return Outcome(
        ours=float(np.mean([truth[where[tuple(p.center)]] for p in chosen])),
        random=float(np.mean([truth[draw].mean() for draw in random])),
        membrane=float(truth[_greedy(boxes, boxes.predicted)].mean()),
        oracle=float(truth[_greedy(boxes, truth)].mean()),
    )


def _only_audits(world: World, seed: int) -> bool:
    return all(p.audit for p in choose_boxes(_scanned(world), Settings(EACH, seed, "bench")))


def _in_cores(wrong: Mask, boxes: Boxes) -> NDArray[np.float64]:
    side = PATCH_SIDE - 2 * BORDER
    cores = (box_around(boxes.center(number), side).slices for number in range(len(boxes)))
    return np.array([np.count_nonzero(wrong[core]) for core in cores], np.float64)


def _greedy(boxes: Boxes, scores: NDArray[np.float64]) -> list[int]:
    free, chosen = np.ones(len(boxes), bool), []
    for _ in range(EACH):
        best = int(np.argmax(np.where(free, scores, -1)))
        chosen.append(best)
        free &= shared_fraction(boxes.starts, boxes.starts[best].tolist()) <= MOST_SHARED
    return chosen


def _told(outcomes: list[Outcome]) -> str:
    table = np.array([[o.ours, o.random, o.membrane, o.oracle] for o in outcomes])
    rng = np.random.default_rng(0)
    means = table[rng.integers(0, len(table), (RESAMPLES, len(table)))].mean(1)
    parts = []
    for ratio in (_times_random, _share_of_gain, _times_membrane):
        low, high = np.percentile(ratio(means), (2.5, 97.5))
        parts.append(f"{ratio(table.mean(0)[None])[0]:.2f} [{low:.2f}, {high:.2f}]")
    return " | ".join(parts)


def _times_random(m: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(m[:, 0] / m[:, 1])


def _share_of_gain(m: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((m[:, 0] - m[:, 1]) / (m[:, 3] - m[:, 1]))


def _times_membrane(m: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(m[:, 0] / m[:, 2])


_SCAN = """
import sys
from pathlib import Path
from core.proposals.reading import Inputs
from core.proposals.scan import scan
seen = 0
class Enough(Exception): pass
def progress(share):
    global seen
    seen += 1
    if seen == int(sys.argv[3]): raise Enough
try: scan(Inputs(Path(sys.argv[1]), Path(sys.argv[2]), voxel_size=10.0), progress)
except Enough: pass
"""


def _costs() -> None:
    """CPU and memory of whole processes, for 2 GiB and for a sparse file of 60 GB."""
    print("\n| volume | CPU s | peak MiB |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sparse = f"60 GB, sparse, first {SPARSE_BLOCKS} blocks", SPARSE, SPARSE_BLOCKS
        for name, shape, blocks in (("1024 × 1024 × 512", LARGE, 0), sparse):
            paths = _large(Path(folder), shape, sparse=bool(blocks))
            cost = measure([sys.executable, "-c", _SCAN, *paths, str(blocks)])
            print(f"| {name} | {cost.cpu_s:.0f} | {cost.peak_mib:.0f} |", flush=True)


def _large(folder: Path, shape: Zyx, sparse: bool) -> tuple[Path, Path]:
    """A tomogram tiled from the demo's, and its prediction; or files that hold next to nothing."""
    import mrcfile

    paths = folder / f"t{shape.x}.mrc", folder / f"s{shape.x}.mrc"
    small = synthetic.make_tomogram(Zyx(128, 256, 256), 1)
    volumes: tuple[np.ndarray, ...] = (small.density, small.prediction)
    for path, voxels in zip(paths, volumes, strict=True):
        mode = 2 if voxels.dtype == np.float32 else 0
        with mrcfile.new_mmap(path, tuple(shape), mrc_mode=mode, overwrite=True) as mrc:
            depth = 128 if sparse else shape.z
            for z in range(0, depth, 128):
                width = 1 if sparse else shape.y // 256
                tiled = np.tile(voxels, (1, width, width))
                mrc.data[z : z + 128, : 256 * width, : 256 * width] = tiled
    return paths
