"""Correct patches in napari: paint Add, Remove and Ignore, and save them where they belong.

    python correct_in_napari.py            the first patch
    python correct_in_napari.py PATCH      the patch of this name

It needs napari and numpy. Shift-S saves, and closing the window saves too. Each layer becomes a
file in corrections/PATCH/, with the patch's own geometry; layers that are empty become none.

In doubt, Ignore. Remove may be coarse, but only where no membrane is near. Add is drawn accurately,
and every voxel that is not Ignore must be reliable.
"""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
KINDS = ("Add", "Remove", "Ignore")
COLORS = {"Add": "#00c853", "Remove": "#ff5252", "Ignore": "#448aff"}

_DTYPES = {2: "u1", 256: "i1", 4: "i2", 512: "u2", 8: "i4", 768: "u4", 16: "f4", 64: "f8"}
"""NIfTI-1 datatype codes, of which patches have one."""

_DATA_OFFSET = 352


def read_volume(path: Path) -> tuple[Any, list[list[float]]]:
    """Read a patch's voxels, (z, y, x), and its 3 × 4 transform from index (x, y, z) to LPS."""
    raw = gzip.decompress(path.read_bytes())
    x, y, z = struct.unpack_from("<3h", raw, 42)
    (code,) = struct.unpack_from("<h", raw, 70)
    ras = np.array(struct.unpack_from("<12f", raw, 280), float).reshape(3, 4)
    voxels = np.frombuffer(raw, "<" + _DTYPES[code], offset=_DATA_OFFSET).reshape(z, y, x)
    return voxels, (ras * [[-1], [-1], [1]]).tolist()


def write_nrrd(path: Path, painted: Any, lps: list[list[float]]) -> None:
    """Write a mask, (z, y, x), as NRRD with the patch's geometry."""
    columns = [tuple(row[axis] for row in lps) for axis in range(4)]
    steps = " ".join(_vector(column) for column in columns[:3])
    x, y, z = painted.shape[::-1]
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {x} {y} {z}\nspace directions: {steps}\nkinds: domain domain domain\n"
        f"encoding: gzip\nspace origin: {_vector(columns[3])}\n\n"
    )
    data = gzip.compress(np.ascontiguousarray(painted, np.uint8).tobytes(), 6)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(header.encode("ascii") + data)
    partial.replace(path)


def free_names(folder: Path) -> dict[str, Path]:
    """Return the next free file name of each kind."""
    names = {}
    for kind in KINDS:
        number = 1
        while (folder / f"{kind}{number}.nrrd").exists():
            number += 1
        names[kind] = folder / f"{kind}{number}.nrrd"
    return names


def save(layers: dict[str, Any], names: dict[str, Path], lps: list[list[float]]) -> list[str]:
    """Save the layers in which something is painted; give the names of the files."""
    saved = []
    for kind, painted in layers.items():
        if np.any(painted):
            write_nrrd(names[kind], np.asarray(painted) != 0, lps)
            saved.append(names[kind].name)
        elif names[kind].exists():
            names[kind].unlink()  # of this session, and wiped since
    return saved


def main(arguments: list[str]) -> None:
    """Open a patch in napari and save what is painted."""
    import napari  # type: ignore[import-not-found]  # runs where napari is, not where this is checked

    patches = sorted(p.name[: -len(".nii.gz")] for p in (HERE / "imagesCorr").glob("*.nii.gz"))
    patch = arguments[0] if arguments else patches[0]
    if patch not in patches:
        sys.exit(f"There is no patch {patch} in this kit; there are {', '.join(patches)}.")
    image, lps = read_volume(HERE / "imagesCorr" / f"{patch}.nii.gz")
    label, _ = read_volume(HERE / "labelsCorr" / f"{patch}.nii.gz")
    folder = HERE / "corrections" / patch
    folder.mkdir(parents=True, exist_ok=True)
    names = free_names(folder)
    viewer = napari.Viewer(title=patch)
    low, high = np.percentile(image, (0.5, 99.5))
    viewer.add_image(image, name="tomogram", contrast_limits=(float(low), float(high)))
    viewer.add_labels(np.array(label), name="predicted label", opacity=0.3).editable = False
    layers = {kind: np.zeros(image.shape, np.uint8) for kind in KINDS}
    for kind in KINDS:
        color = {None: "transparent", 1: COLORS[kind]}
        viewer.add_labels(layers[kind], name=kind, colormap=color, opacity=0.6)

    @viewer.bind_key("Shift-S")  # type: ignore[untyped-decorator]  # napari is not here
    def _save(_: Any) -> None:
        viewer.status = f"saved {', '.join(save(layers, names, lps)) or 'nothing, all is empty'}"

    napari.run()
    save(layers, names, lps)


def _vector(numbers: tuple[float, ...]) -> str:
    return "(" + ",".join(repr(float(number)) for number in numbers) + ")"


if __name__ == "__main__":
    main(sys.argv[1:])
