"""OME-Zarr 0.4 with labels, for napari, neuroglancer and Vizarr: one image a case.

The Zarr version 2 layout is a few JSON files and raw chunks, so it is written here exactly and
needs no library: https://ngff.openmicroscopy.org/0.4 and https://zarr-specs.readthedocs.io.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from core.exports.check_folder import Pair
from core.exports.manifest import LABEL_VALUES, canonical_json
from core.exports.targets.nifti_folder import SPLITS
from core.imaging.colors import IGNORE, PREDICTION
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole

CHUNK = 80
"""Voxels along each side of a chunk: a patch of 160 has eight."""

LABEL = "membrane"


class OmeZarr:
    """Each case as a group with one image and its label."""

    name = "ome-zarr"
    marker = "cases.json"

    def write(self, pairs: Sequence[Pair], source: Path, folder: Path) -> None:
        """Write ``SPLIT/CASE.zarr`` for each case, and a list of them."""
        cases = sorted(pairs, key=lambda pair: pair.case)
        for pair in cases:
            _write_case(pair, folder / SPLITS[pair.split] / f"{pair.case}.zarr")
        listed = {pair.case: f"{SPLITS[pair.split]}/{pair.case}.zarr" for pair in cases}
        (folder / self.marker).write_bytes(canonical_json(listed).encode())

    def written(self, folder: Path) -> frozenset[str]:
        """List ``cases.json``, and all files of the groups that it names."""
        groups = json.loads((folder / self.marker).read_bytes()).values()
        files = [path for group in groups for path in (folder / group).rglob("*")]
        return frozenset({self.marker, *(path.relative_to(folder).as_posix() for path in files)})


def _write_case(pair: Pair, group: Path) -> None:
    with open_volume(pair.image) as image:
        voxels = image.read(whole(image.shape))
        size = image.grid.spacing_xyz[0] if image.grid else 1.0
    with open_volume(pair.label) as volume:
        label = volume.read(whole(volume.shape)).astype(np.uint8)
    _group(group, {"multiscales": _multiscales(pair.case, size)})
    _array(group / "0", voxels)
    _group(group / "labels", {"labels": [LABEL]})
    shown = {"image-label": _image_label(), "multiscales": _multiscales(LABEL, size)}
    _group(group / "labels" / LABEL, shown)
    _array(group / "labels" / LABEL / "0", label)


def _multiscales(name: str, size: float) -> list[dict[str, Any]]:
    return [
        {
            "version": "0.4",
            "name": name,
            "axes": [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": [size] * 3}],
                }
            ],
        }
    ]


def _image_label() -> dict[str, Any]:
    names = {value: name for name, value in LABEL_VALUES.items()}
    colors = {0: [0, 0, 0, 0], 1: _rgba(PREDICTION), 2: _rgba(IGNORE)}
    return {
        "version": "0.4",
        "source": {"image": "../../"},
        "colors": [{"label-value": value, "rgba": rgba} for value, rgba in colors.items()],
        "properties": [{"label-value": value, "class": name} for value, name in names.items()],
    }


def _rgba(color: str) -> list[int]:
    return [*bytes.fromhex(color.removeprefix("#")), 255]


def _group(folder: Path, attributes: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / ".zgroup").write_bytes(canonical_json({"zarr_format": 2}).encode())
    (folder / ".zattrs").write_bytes(canonical_json(attributes).encode())


def _array(folder: Path, voxels: NDArray[Any]) -> None:
    """A Zarr version 2 array: chunks by ``z/y/x``, each squeezed by zlib, edges padded with 0."""
    little = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    folder.mkdir()
    about = {
        "zarr_format": 2,
        "shape": list(voxels.shape),
        "chunks": [CHUNK] * 3,
        "dtype": little.dtype.str,
        "compressor": {"id": "zlib", "level": 1},
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }
    (folder / ".zarray").write_bytes(canonical_json(about).encode())
    for z, y, x in np.ndindex(*(-(-side // CHUNK) for side in voxels.shape)):
        chunk = np.zeros((CHUNK,) * 3, little.dtype)
        part = little[
            z * CHUNK : (z + 1) * CHUNK, y * CHUNK : (y + 1) * CHUNK, x * CHUNK : (x + 1) * CHUNK
        ]
        chunk[tuple(slice(0, side) for side in part.shape)] = part
        path = folder / str(z) / str(y) / str(x)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(isal_zlib.compress(chunk.tobytes(), 1))
