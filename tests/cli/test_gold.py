"""The drop-in writes the voxels that MemBrain-seg's own commands write (see tests/data/gold)."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.cli.patch_corrections import main
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole

GOLD = Path(__file__).parents[1] / "data" / "gold"
EXTRACT = json.loads((GOLD / "extract.json").read_text())
MERGE = json.loads((GOLD / "merge.json").read_text())


def read(path: Path) -> np.ndarray:
    with open_volume(path) as volume:
        return volume.read(whole(volume.shape))


def sha256(voxels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(voxels).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gold's tomogram and segmentation, and the variants that its cases name."""
    folder = tmp_path_factory.mktemp("gold")
    tomogram = read(GOLD / "inputs" / "tomo.mrc.gz")
    segmentation = read(GOLD / "inputs" / "tomo_seg.mrc.gz")

    def save(name: str, voxels: np.ndarray, extended: bytes = b"") -> None:
        with mrcfile.new(folder / name) as mrc:
            mrc.set_data(voxels)
            mrc.voxel_size = 10.0
            if extended:
                mrc.set_extended_header(np.frombuffer(extended, dtype="V1"))

    save("tomo.mrc", tomogram)
    save("seg.mrc", segmentation)
    save("tomo_i16.mrc", np.round(tomogram * 100).astype(np.int16))
    save("tomo_exthdr.mrc", tomogram, b"x" * 131072)
    save("seg_f32.mrc", segmentation.astype(np.float32))
    (folder / "multi.csv").write_text("128,160,100\n100,200,90\n150,120,110\n")
    return folder


@pytest.mark.parametrize("case", EXTRACT, ids=lambda case: case["name"])
def test_extracted_voxels_are_those_of_membrain_seg(
    case: dict[str, Any], inputs: Path, tmp_path: Path
) -> None:
    arguments = [
        "extract_patches",
        *("--tomogram-path", str(inputs / case["tomogram"])),
        *("--segmentation-path", str(inputs / case["segmentation"])),
        *("--out-folder", str(tmp_path)),
        *("--token", "tomo"),
        *case["args"],
    ]
    if "coords_file" in case:
        arguments += ["--coords-file", str(inputs / case["coords_file"])]
    assert main(arguments) == 0
    for expected in case["outputs"]:
        name = expected["file"].replace(Path(case["tomogram"]).stem, "tomo")
        voxels = read(tmp_path / name)
        assert list(voxels.shape) == expected["shape_zyx"]
        if "dtype" in expected:
            assert voxels.dtype == expected["dtype"]
            assert sha256(voxels) == expected["sha256_of_voxels_zyx"]
        else:
            assert sha256(voxels) == expected["sha256_of_uint8_voxels_zyx"]


@pytest.mark.parametrize("case", MERGE, ids=lambda case: case["name"])
def test_merged_voxels_are_those_of_membrain_seg(case: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(GOLD / "merge" / case["name"], folder)
    for packed in folder.rglob("*.nrrd.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    arguments = ["merge_corrections", "--labels-dir", str(folder / "labels")]
    arguments += ["--corrections-dir", str(folder / "corr"), "--out-dir", str(tmp_path / "out")]
    assert main(arguments) == 0
    (expected,) = case["outputs"]
    voxels = read(tmp_path / "out" / expected["file"])
    assert sha256(voxels) == expected["sha256_of_uint8_voxels_zyx"]
    counts = np.bincount(voxels.ravel(), minlength=3)
    assert {str(value): int(count) for value, count in enumerate(counts)} == expected["counts"]
