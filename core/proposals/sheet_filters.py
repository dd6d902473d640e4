"""Sheet evidence: how much the image looks like a membrane at each voxel, whatever was predicted.

A dark sheet has one large positive second derivative, across it (Martinez-Sanchez et al., J Struct
Biol 2011). Its strength is gathered over neighbours whose normals agree, as in tensor voting, so
that noise, whose normals are random, cancels. Arrays are float32 (z, y, x); lengths in angstrom.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RIDGE_SIGMA = 25.0
"""Angstrom: about half of a bilayer, so that both leaflets make one sheet."""
VOTE_SIGMA = 50.0
"""Angstrom over which normals must agree."""
REACH = 200.0
"""Angstrom that a voxel's evidence depends on, nearly."""
EDGE_PENALTY = 1.0
"""A step edge (carbon, the rim of ice) has its largest curvature where its slope is as large."""

FADED_NORMAL = 0.7
"""|n_z| above which the missing wedge of a usual tilt series leaves too little to tell."""

Floats = NDArray[np.float32]
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""The order of a symmetric tensor's six components."""


class Eigen(NamedTuple):
    """Eigenvalues of symmetric 3 × 3 tensors, largest first."""

    first: Floats
    second: Floats
    third: Floats


def sheet_strength(
    density: Floats, spacing: float, least_curvature: float
) -> tuple[list[Floats], Floats]:
    """Compute the tensor strength × normal × normalᵀ of dark sheets, and the curvature (Laplacian).

    ``spacing`` is angstrom a voxel. Voxels whose curvature is below ``least_curvature`` get none.
    """
    from scipy import ndimage

    sigma = RIDGE_SIGMA / spacing
    smooth = ndimage.gaussian_filter(density, sigma, mode="nearest", truncate=3.0)
    slopes = [slope(smooth, axis) for axis in range(3)]
    curves = [bend(smooth, axis) for axis in range(3)]
    curvature = curves[0] + curves[1] + curves[2]
    at = np.flatnonzero(curvature > max(least_curvature, 1e-6))
    curves += [slope(slopes[a], b) for a, b in PAIRS[3:]]
    del smooth
    hessian = [part.ravel()[at] for part in curves]
    del curves
    normal, strength = _normal_and_strength(hessian, [part.ravel()[at] for part in slopes], sigma)
    tensor = []
    for a, b in PAIRS:
        part = np.zeros(density.shape, np.float32)
        part.ravel()[at] = strength * normal[a] * normal[b]
        tensor.append(part)
    return tensor, curvature


def coherence(
    tensor: list[Floats], spacing: float, least: float = 0.0
) -> tuple[Floats, NDArray[np.bool_]]:
    """Gather sheet tensors over neighbours: large where strong normals agree; 0 below ``least``.

    The second array tells where the normal is far enough from z for the missing wedge to show the
    sheet. The tensor's arrays are overwritten.
    """
    from scipy import ndimage

    sigma = VOTE_SIGMA / spacing
    for part in tensor:
        ndimage.gaussian_filter(part, sigma, mode="nearest", truncate=2.5, output=part)
    trace = tensor[0] + tensor[1] + tensor[2]
    at = np.flatnonzero(trace > max(least, 1e-9))  # the coherence never exceeds the trace
    eigen = eigenvalues([part.ravel()[at] for part in tensor])
    shown = tensor[0] < np.float32(FADED_NORMAL**2) * trace
    trace[...] = 0
    trace.ravel()[at] = eigen.first - eigen.second
    return trace, shown


def eigenvalues(parts: list[Floats]) -> Eigen:
    """Solve symmetric 3 × 3 tensors in closed form (Smith, CACM 1961), largest value first."""
    xx, yy, zz, xy, xz, yz = parts
    mean = (xx + yy + zz) / np.float32(3)
    off = xy * xy + xz * xz + yz * yz
    spread = np.sqrt(((xx - mean) ** 2 + (yy - mean) ** 2 + (zz - mean) ** 2 + 2 * off) / 6)
    safe = np.maximum(spread, np.float32(1e-20))
    a, b, c = (xx - mean) / safe, (yy - mean) / safe, (zz - mean) / safe
    d, e, f = xy / safe, xz / safe, yz / safe
    half = (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / 2
    angle = np.arccos(np.clip(half, -1, 1)) / np.float32(3)
    first = mean + 2 * spread * np.cos(angle)
    third = mean + 2 * spread * np.cos(angle + np.float32(2 * np.pi / 3))
    return Eigen(first, 3 * mean - first - third, third)


def main_normals(smooth: Floats, at: NDArray[np.intp]) -> list[Floats]:
    """Compute the unit directions (z, y, x) in which a volume curves most, at flat positions."""
    parts = [bend(smooth, axis).ravel()[at] for axis in range(3)]
    parts += [slope(slope(smooth, a), b).ravel()[at] for a, b in PAIRS[3:]]
    return first_vectors(parts, eigenvalues(parts))


def _normal_and_strength(
    hessian: list[Floats], slopes: list[Floats], sigma: float
) -> tuple[list[Floats], Floats]:
    eigen = eigenvalues(hessian)
    normal = first_vectors(hessian, eigen)
    along = sum((n * s for n, s in zip(normal, slopes, strict=True)), np.float32(0))
    strength = eigen.first - np.sqrt(np.abs(eigen.second * eigen.third))
    strength -= np.float32(EDGE_PENALTY / sigma) * np.abs(along)
    return normal, np.maximum(strength, 0)


def first_vectors(parts: list[Floats], eigen: Eigen) -> list[Floats]:
    """The unit eigenvectors of the largest eigenvalues: the longest column of (A - b)(A - c)."""
    xx, yy, zz, xy, xz, yz = parts
    low, mid = eigen.third, eigen.second
    rows = [[xx - mid, xy, xz], [xy, yy - mid, yz], [xz, yz, zz - mid]]
    columns = [[xx - low, xy, xz], [xy, yy - low, yz], [xz, yz, zz - low]]
    best = [np.zeros_like(xx) for _ in range(3)]
    longest = np.zeros_like(xx)
    for column in columns:
        vector = [r[0] * column[0] + r[1] * column[1] + r[2] * column[2] for r in rows]
        length = vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2
        longer = length > longest
        best = [np.where(longer, new, old) for new, old in zip(vector, best, strict=True)]
        longest = np.where(longer, length, longest)
    norm: Floats = np.sqrt(np.maximum(longest, np.float32(1e-30)))
    return [np.asarray(part / norm, np.float32) for part in best]


def slope(values: Floats, axis: int) -> Floats:
    """First differences, central; 0 at the faces."""
    result = np.zeros_like(values)
    out, v = np.moveaxis(result, axis, 0), np.moveaxis(values, axis, 0)
    np.subtract(v[2:], v[:-2], out=out[1:-1])
    out *= np.float32(0.5)
    return result


def bend(values: Floats, axis: int) -> Floats:
    """Second differences; 0 at the faces."""
    result = np.zeros_like(values)
    out, v = np.moveaxis(result, axis, 0), np.moveaxis(values, axis, 0)
    np.add(v[2:], v[:-2], out=out[1:-1])
    out[1:-1] -= 2 * v[1:-1]
    return result


def pool(values: NDArray[Any], factor: int) -> Floats:
    """Average ``factor``³ voxels; an incomplete last bin averages what it has, by edge values."""
    if factor == 1:
        return np.asarray(values, np.float32)
    short = [(0, -side % factor) for side in values.shape]
    padded = np.pad(values, short, mode="edge") if any(s for _, s in short) else values
    z, y, x = (side // factor for side in padded.shape)
    split = padded.reshape(z, factor, y, factor, x, factor)
    mean: Floats = np.zeros((z, y, x), np.float32)
    for i in range(factor):  # adding strided views is several times faster than a mean over axes
        for j in range(factor):
            for k in range(factor):
                mean += split[:, i, :, j, :, k]
    mean /= np.float32(factor**3)
    return mean
