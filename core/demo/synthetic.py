"""A believable tomogram with an imperfect segmentation, the same one for the same seed.

Vesicles and a curved sheet with two leaflets, ribosome-like grains, gold beads, the missing wedge
of a ±60° tilt series, and noise. As in real ones, membranes whose normal lies along z fade, so a
network misses them; this one also has holes and false blobs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.files.atomic import whole_file
from core.imaging.geometry import Zyx, legal_centers
from db.vocabulary import CorrectionKind

SHAPE = Zyx(180, 256, 256)
VOXEL_SIZE = 10.0
LEAFLET = 1.9
"""Voxels from the middle of a membrane to a leaflet: 3.8 nm between leaflets."""
HALF_THICKNESS = 2.6
"""Voxels of a membrane's label on each side of its middle."""
COARSE = 5
"""Voxels that an annotator paints around what is to be removed."""
NOISE = 1.7
FADED = 0.8
"""A normal this close to z lies in the missing wedge."""
BEAD_RADIUS = 5
"""Voxels: gold of 10 nm."""
BEAD_DENSITY = 5.0
TILT = np.deg2rad(60)

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SyntheticTomogram:
    """Arrays of one shape, (z, y, x)."""

    density: Floats
    """Membranes are dark, as in a reconstruction."""
    membrane: Mask
    """The truth."""
    visible: Mask
    """Membrane that a person can see; the rest faded in the missing wedge."""
    prediction: NDArray[np.int8]
    """What an imperfect network says: 0 and 1."""


def make_tomogram(shape: Zyx = SHAPE, seed: int = 1) -> SyntheticTomogram:
    """Make a tomogram; about three seconds for the default shape."""
    rng = np.random.default_rng(seed)
    density = np.zeros(shape, np.float32)
    membrane, visible = np.zeros(shape, bool), np.zeros(shape, bool)
    _add_sheet(density, membrane, visible, rng)
    for _ in range(round(np.prod(shape) / 120_000)):
        _add_vesicle(density, membrane, visible, rng)
    _add_grains(density, membrane, rng)
    _add_beads(density, membrane, rng)
    prediction = _imperfect(membrane, visible, rng)
    noise = rng.normal(0, NOISE, shape).astype(np.float32)
    seen = _with_missing_wedge(density + noise)
    return SyntheticTomogram(seen, membrane, visible, prediction)


def choose_centers(tomogram: SyntheticTomogram, count: int, apart: int = 40) -> list[Zyx]:
    """The legal centers around which the prediction is worst, at least ``apart`` voxels apart."""
    legal = legal_centers(Zyx(*tomogram.density.shape))
    if legal is None:
        return []
    wrong = (tomogram.prediction != 0) != (tomogram.membrane & tomogram.visible)
    step = 8
    coarse = [range(a, b, step) for a, b in zip(legal.start, legal.stop, strict=True)]
    scored = sorted(
        (
            (int(_near(wrong, Zyx(z, y, x)).sum()), Zyx(z, y, x))
            for z in coarse[0]
            for y in coarse[1]
            for x in coarse[2]
        ),
        reverse=True,
    )
    chosen: list[Zyx] = []
    for _, center in scored:
        if all(_distance(center, other) >= apart for other in chosen):
            chosen.append(center)
        if len(chosen) == count:
            break
    return chosen


def annotate(membrane: Mask, visible: Mask, predicted: Mask) -> dict[CorrectionKind, Mask]:
    """Paint a patch as an annotator would.

    Add: membrane that is seen and was missed, accurately. Remove: false blobs, coarsely, but clear
    of membrane. Ignore: where membrane faded and nobody can tell.
    """
    near = _grown(membrane, 2)
    return {
        CorrectionKind.ADD: membrane & visible & ~predicted,
        CorrectionKind.REMOVE: _grown(predicted & ~near, COARSE) & ~near,
        CorrectionKind.IGNORE: _grown(membrane & ~visible, 3) & ~(membrane & visible),
    }


def predict_again(tomogram: SyntheticTomogram, seed: int) -> NDArray[np.int8]:
    """Predict with another imperfect network: twice as many holes and false blobs."""
    rng = np.random.default_rng((seed, 1))
    first = _imperfect(tomogram.membrane, tomogram.visible, rng) == 1
    again = _imperfect(tomogram.membrane, first & tomogram.visible, rng) == 1
    both: NDArray[np.int8] = (again | (first & ~tomogram.membrane)).astype(np.int8)
    return both


def write_tomogram(folder: Path, token: str, tomogram: SyntheticTomogram) -> tuple[Path, Path]:
    """Write the tomogram and its segmentation as MRC, named as MemBrain-seg names them."""
    paths = folder / f"{token}.mrc", folder / f"{token}_MemBrain_seg_v10_alpha.ckpt_segmented.mrc"
    write_mrc(paths[0], tomogram.density, VOXEL_SIZE)
    write_mrc(paths[1], tomogram.prediction, VOXEL_SIZE)
    return paths


def write_mrc(path: Path, voxels: NDArray[Any], voxel_size: float) -> None:
    """Write a (z, y, x) array as MRC with a voxel size in angstrom, whole or not at all."""
    import mrcfile

    with whole_file(path) as temporary, mrcfile.new(temporary, overwrite=True) as mrc:
        mrc.set_data(voxels)
        mrc.header.label[0] = "Written by tomocurate"  # mrcfile states the time: never twice alike
        mrc.voxel_size = voxel_size


def _add_vesicle(density: Floats, membrane: Mask, visible: Mask, rng: np.random.Generator) -> None:
    radii = rng.uniform(16, 44) * rng.uniform(0.8, 1.25, 3)
    center = rng.uniform(0, 1, 3) * density.shape
    start = np.maximum(0, np.floor(center - radii - 8)).astype(int)
    stop = np.minimum(density.shape, np.ceil(center + radii + 8)).astype(int)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    grid = np.ogrid[box]
    parts = [(g - c) / r for g, c, r in zip(grid, center, radii, strict=True)]
    k0 = np.sqrt(sum(part**2 for part in parts))
    k1 = np.sqrt(sum((part / r) ** 2 for part, r in zip(parts, radii, strict=True))) + 1e-6
    distance = k0 * (k0 - 1) / k1
    normal_z = abs(parts[0] / radii[0]) / k1
    if (membrane[box] & (distance < 8)).any():
        return  # touches another one
    _paint(density[box], membrane[box], visible[box], distance, normal_z)


def _add_sheet(density: Floats, membrane: Mask, visible: Mask, rng: np.random.Generator) -> None:
    """A membrane that stands across the tomogram, gently curved."""
    z, y, x = np.ogrid[tuple(slice(0, n) for n in density.shape)]
    phase, at = rng.uniform(0, 6), rng.uniform(0.25, 0.4) * density.shape[2]
    surface = at + 14 * np.sin(y / 45 + phase) + 8 * np.sin(z / 60 + phase)
    slope_y, slope_z = 14 / 45 * np.cos(y / 45 + phase), 8 / 60 * np.cos(z / 60 + phase)
    length = np.sqrt(1 + slope_y**2 + slope_z**2)
    _paint(density, membrane, visible, (x - surface) / length, abs(slope_z) / length + 0 * x)


def _paint(density: Floats, membrane: Mask, visible: Mask, distance: Any, normal_z: Any) -> None:
    """Two dark leaflets with a lighter gap, and the label between them."""
    leaflets = sum(np.exp(-(((distance - side) / 0.9) ** 2) / 2) for side in (-LEAFLET, LEAFLET))
    density -= (1.6 * leaflets).astype(np.float32)
    inside = abs(distance) <= HALF_THICKNESS
    membrane |= inside
    visible |= inside & (normal_z < FADED)


def _add_grains(density: Floats, membrane: Mask, rng: np.random.Generator) -> None:
    """Ribosome-like dark grains off the membranes."""
    offsets = np.mgrid[-9:10, -9:10, -9:10]
    shape = np.asarray(density.shape)
    for _ in range(round(density.size / 150_000)):
        center = rng.integers(10, shape - 10)
        radius = rng.uniform(3, 6)
        box = tuple(slice(c - 9, c + 10) for c in center)
        if membrane[box].any():
            continue
        squared = (offsets**2).sum(0)
        lumps = 1 + 0.4 * rng.normal(size=squared.shape)
        density[box] -= (1.1 * np.exp(-squared / (radius**2)) * lumps).astype(np.float32)


def _add_beads(density: Floats, membrane: Mask, rng: np.random.Generator) -> None:
    """Gold beads off the membranes: very dark, with streaks once the wedge is missing."""
    shape = np.asarray(density.shape)
    for center in rng.integers(BEAD_RADIUS, shape - BEAD_RADIUS, (density.size // 2_000_000, 3)):
        box, squared = _ball(membrane, center, BEAD_RADIUS)
        if not membrane[box].any():
            density[box] -= (BEAD_DENSITY * (squared <= BEAD_RADIUS**2)).astype(np.float32)


def _with_missing_wedge(density: Floats) -> Floats:
    """Apply the missing wedge of a ±60° tilt series about y."""
    waves = np.fft.rfftn(density)
    kz = np.fft.fftfreq(density.shape[0])[:, None, None]
    ky = np.fft.fftfreq(density.shape[1])[None, :, None]
    kx = np.fft.rfftfreq(density.shape[2])[None, None, :]
    waves *= (abs(kz) <= abs(kx) * np.tan(TILT)) | ((kz == 0) & (kx == 0))
    waves *= np.exp(-(kz**2 + ky**2 + kx**2) / (2 * 0.22**2))
    return np.fft.irfftn(waves, density.shape, axes=(0, 1, 2)).astype(np.float32)


def _imperfect(membrane: Mask, visible: Mask, rng: np.random.Generator) -> NDArray[np.int8]:
    prediction = membrane & visible
    positions = np.argwhere(prediction)
    for center in positions[rng.integers(0, len(positions), round(len(positions) / 12000))]:
        _clear_ball(prediction, center, rng.uniform(6, 14))
    shape = np.asarray(membrane.shape)
    for _ in range(round(membrane.size / 500_000)):
        _false_blob(prediction, membrane, rng.integers(12, shape - 12), rng)
    return prediction.astype(np.int8)


def _clear_ball(prediction: Mask, center: Any, radius: float) -> None:
    box, squared = _ball(prediction, center, radius)
    prediction[box] &= squared > radius**2


def _false_blob(prediction: Mask, membrane: Mask, center: Any, rng: np.random.Generator) -> None:
    """A small curved plate, as networks see in ice, grains and carbon."""
    radius = rng.uniform(6, 11)
    box, squared = _ball(prediction, center, radius)
    if not membrane[box].any():
        prediction[box] |= (squared <= radius**2) & (squared >= (radius - 3.5) ** 2)
        z = np.arange(box[0].start, box[0].stop)[:, None, None]
        prediction[box] &= z < center[0] + radius / 2


def _ball(voxels: Mask, center: Any, radius: float) -> tuple[tuple[slice, ...], Any]:
    reach = int(np.ceil(radius))
    box = tuple(
        slice(max(0, c - reach), min(n, c + reach + 1))
        for c, n in zip(center.tolist(), voxels.shape, strict=True)
    )
    grid = np.ogrid[box]
    return box, sum((g - c) ** 2 for g, c in zip(grid, center, strict=True))


def _grown(mask: Mask, by: int) -> Mask:
    """The mask dilated by some voxels, with a diamond."""
    for _ in range(by):
        grown = mask.copy()
        for axis in range(3):
            along, back = np.moveaxis(grown, axis, 0), np.moveaxis(mask, axis, 0)
            along[1:] |= back[:-1]
            along[:-1] |= back[1:]
        mask = grown
    return mask


def _near(wrong: Mask, center: Zyx, reach: int = 64) -> Mask:
    z, y, x = (slice(max(0, c - reach), c + reach) for c in center)
    return wrong[z, y, x]


def _distance(a: Zyx, b: Zyx) -> int:
    return max(abs(p - q) for p, q in zip(a, b, strict=True))
