"""A second synthetic tomogram that shares no code with the demo's, so that no rule is tuned to one.

Membranes are level sets of smooth random fields (cisternae, vesicles) and bent tubules; one dark
band each, of its own thickness. Around them: a carbon film with its edge, gold beads with
bright fringes, microtubules and filaments (which are no membranes), density that changes with
depth, coloured noise, and the soft missing wedge of ±54° about y.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

VOXEL_SIZE = 12.0
WEDGE_DEGREES = 54.0
SEEN_BELOW = 0.78
"""A normal closer to z than this is invisible: cosine."""

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Phantom:
    """Arrays of one shape, (z, y, x)."""

    density: Floats
    membrane: Mask
    visible: Mask
    decoys: Mask
    """What networks take for membrane: carbon's edge, bead rims, microtubule walls."""


def make_phantom(shape: tuple[int, int, int], seed: int, microtubules: bool = True) -> Phantom:
    """Make one; without microtubules, nothing but membrane looks like membrane."""
    rng = np.random.default_rng((seed, 77))
    dark = np.zeros(shape, np.float32)
    membrane, visible, decoys = (np.zeros(shape, bool) for _ in range(3))
    for wavelength, bands in ((110.0, 1), (60.0, 1)):
        _add_level_sets(dark, membrane, visible, wavelength, bands, rng)
    for _ in range(max(2, round(dark.size / 9e6))):
        _add_tubule(dark, membrane, visible, rng)
    for _ in range(max(2, round(dark.size / 6e6)) if microtubules else 0):
        _add_microtubule(dark, membrane, decoys, rng)
    _add_carbon(dark, decoys, rng)
    _add_gold(dark, membrane, decoys, rng)
    depth = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None, None]
    dark *= 1 + 0.15 * depth
    noise = 1.15 * rng.standard_normal(shape, np.float32)
    noise += 0.6 * _smooth_field(shape, 2.2, rng)
    return Phantom(_imaged(noise - dark), membrane, visible, decoys)


def predict(phantom: Phantom, seed: int, clustered: bool) -> Mask:
    """An imperfect network: ragged gaps, and decoys and flat patches taken for membrane."""
    rng = np.random.default_rng((seed, 78, clustered))
    shape = phantom.membrane.shape
    seen = phantom.membrane & phantom.visible
    rate = np.ones(shape, np.float32)
    if clustered:
        rate = np.where(_region(shape, rng), np.float32(2.5), np.float32(0.2))
    gaps = _smooth_field(shape, 15, rng) > _cut(rate, gap=0.13)
    found = seen & ~gaps
    false = phantom.decoys & (_smooth_field(shape, 20, rng) > _cut(rate, gap=0.1))
    for _ in range(round(np.prod(shape) / 700_000 * 3)):
        at = tuple(int(c) for c in rng.uniform(12, np.asarray(shape) - 12))
        if rng.uniform() < rate[at] / 3:
            _stamp_plate(false, at, rng)
    return found | (false & ~phantom.membrane)


def corrections(phantom: Phantom, predicted: Mask) -> tuple[Mask, Mask]:
    """What an annotator adds and removes: visible membrane; what is clear of any."""
    near = ndimage.binary_dilation(phantom.membrane, iterations=2)
    return phantom.membrane & phantom.visible & ~predicted, predicted & ~near


def _cut(rate: Floats, gap: float) -> Floats:
    """The level that a standard normal field exceeds in a share gap × rate of the volume."""
    from scipy.special import ndtri

    cuts: Floats = ndtri(1 - np.clip(gap * rate, 1e-4, 0.6)).astype(np.float32)
    return cuts


def _region(shape: tuple[int, int, int], rng: np.random.Generator) -> Mask:
    field = _smooth_field(shape, min(shape) / 2.5, rng)
    return np.asarray(field > np.quantile(field[::4, ::8, ::8], 0.67))


def _smooth_field(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> Floats:
    """A smooth normal field of deviation 1, made coarse and magnified where it is very smooth."""
    coarse = max(1, int(sigma // 2.5))
    small = [side // coarse + 3 for side in shape]
    grains = rng.standard_normal(small, np.float32)
    field = ndimage.gaussian_filter(grains, sigma / coarse, mode="wrap")
    if coarse > 1:
        field = ndimage.zoom(field, coarse, order=1, grid_mode=True, mode="nearest")
    field = field[tuple(slice(0, side) for side in shape)]
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def _add_level_sets(
    dark: Floats, membrane: Mask, visible: Mask, wavelength: float, bands: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    field = _smooth_field(dark.shape, wavelength / 3, rng)
    field = ndimage.gaussian_filter(field, 3)
    slopes = np.gradient(field)
    steep = np.sqrt(sum(s**2 for s in slopes)) + 1e-9
    tilt = np.abs(slopes[0]) / steep
    for number in range(bands):
        distance = (field - (0.9 + 0.75 * number)) / steep
        half = rng.uniform(1.5, 2.6)
        flat = steep < np.quantile(steep[::3, ::5, ::5], 0.08)
        distance[flat] = 1e3  # no distance can be told there
        _paint(dark, membrane, visible, distance, half, tilt)


def _paint(
    dark: Floats, membrane: Mask, visible: Mask, distance: Any, half: float, tilt: Any
) -> None:
    """One dark band; nothing is painted twice."""
    band = np.abs(distance) < half
    free = ~ndimage.binary_dilation(membrane, iterations=4)
    near = free & (np.abs(distance) < 3 * half)
    dark[near] += 2.0 * np.exp(-((distance[near] / (0.75 * half)) ** 2) / 2)
    membrane |= band & free
    visible |= band & free & (tilt < SEEN_BELOW)


def _distance_to_curve(
    shape: tuple[int, ...], rng: np.random.Generator, wobble: float
) -> tuple[Floats, Floats]:
    """Distance of each voxel to a bent curve that runs across in y, and the radial part along z."""
    y = np.arange(shape[1])
    phase = rng.uniform(0, 6, 4)
    cz = rng.uniform(0.25, 0.75) * shape[0] + wobble * np.sin(y / 60 + phase[0])
    cx = rng.uniform(0.1, 0.9) * shape[2] + 2 * wobble * np.sin(y / 75 + phase[1])
    z = np.arange(shape[0])[:, None, None] - cz[None, :, None]
    x = np.arange(shape[2])[None, None, :] - cx[None, :, None]
    radial = np.sqrt(z * z + x * x).astype(np.float32)
    return radial, (np.abs(z) / (radial + 1e-6)).astype(np.float32)


def _add_tubule(dark: Floats, membrane: Mask, visible: Mask, rng: np.random.Generator) -> None:
    radial, tilt = _distance_to_curve(dark.shape, rng, 14)
    distance, half = radial - rng.uniform(11, 24), rng.uniform(1.5, 2.4)
    _paint(dark, membrane, visible, distance, half, tilt)


def _add_microtubule(dark: Floats, membrane: Mask, decoys: Mask, rng: np.random.Generator) -> None:
    """25 nm across: a wall that networks take for membrane."""
    radial, _ = _distance_to_curve(dark.shape, rng, 6)
    wall = (np.abs(radial - 125 / VOXEL_SIZE) < 1.3) & ~membrane
    dark[wall] += 1.2
    decoys |= wall


def _add_carbon(dark: Floats, decoys: Mask, rng: np.random.Generator) -> None:
    """A film in one corner: grainy, darker than ice, with a sharp edge."""
    y, x = np.ogrid[0 : dark.shape[1], 0 : dark.shape[2]]
    edge = x - (0.12 * dark.shape[2] + 0.00035 * (y - dark.shape[1] * rng.uniform(0.3, 0.7)) ** 2)
    z = np.arange(dark.shape[0])[:, None, None]
    film = np.abs(z - 0.5 * dark.shape[0]) < 0.18 * dark.shape[0]
    grain = 0.5 * _smooth_field(dark.shape, 1.2, rng)
    dark += np.where(film & (edge < 0), 1.3 + grain, 0).astype(np.float32)
    decoys |= film & (np.abs(edge) < 2)


def _add_gold(dark: Floats, membrane: Mask, decoys: Mask, rng: np.random.Generator) -> None:
    shape = np.asarray(dark.shape)
    for center in rng.integers(14, shape - 14, (dark.size // 1_500_000, 3)):
        box = tuple(slice(c - 12, c + 13) for c in center)
        if membrane[box].any():
            continue
        g = np.mgrid[-12:13, -12:13, -12:13]
        r = np.sqrt((g**2).sum(0))
        dark[box] += (9.0 * (r < 4.2) - 1.5 * ((r >= 4.2) & (r < 6.5))).astype(np.float32)
        decoys[box] |= (r > 4) & (r < 6.5)


def _stamp_plate(false: Mask, at: tuple[int, ...], rng: np.random.Generator) -> None:
    """A bent disc of any direction, where there is nothing in the image."""
    reach = 12
    box = tuple(slice(max(0, c - reach), c + reach + 1) for c in at)
    grid = np.ogrid[box]
    normal = rng.standard_normal(3)
    normal /= np.linalg.norm(normal)
    offsets = [g - c for g, c in zip(grid, at, strict=True)]
    along = sum(n * o for n, o in zip(normal, offsets, strict=True))
    squared = sum(o**2 for o in offsets)
    radius = rng.uniform(6, 12)
    false[box] |= (np.abs(along + 0.02 * squared) < 2) & (squared < radius**2)


def _imaged(density: Floats) -> Floats:
    """Lose the wedge softly, and the highest frequencies."""
    waves = np.fft.rfftn(density).astype(np.complex64)
    kz = np.fft.fftfreq(density.shape[0]).astype(np.float32)[:, None, None]
    ky = np.fft.fftfreq(density.shape[1]).astype(np.float32)[None, :, None]
    kx = np.fft.rfftfreq(density.shape[2]).astype(np.float32)[None, None, :]
    angle = np.degrees(np.arctan2(np.abs(kz), np.abs(kx) + np.float32(1e-9)))
    waves *= 1 / (1 + np.exp((angle - WEDGE_DEGREES) / 1.5))
    waves *= 1 / (1 + ((kz**2 + ky**2 + kx**2) / 0.3**2) ** 3)
    return np.fft.irfftn(waves, density.shape, axes=(0, 1, 2)).astype(np.float32)
