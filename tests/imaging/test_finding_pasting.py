"""Patches are found by their voxels, and labels go back where they came from."""

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.errors import OutputError
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Zyx, whole
from core.imaging.locate import find_patches
from core.imaging.pasting import PlacedLabel, paste_labels

SHAPE = (30, 40, 50)
BOX = Box(Zyx(3, 5, 7), Zyx(15, 17, 19))


def save(path: Path, voxels: np.ndarray) -> Path:
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(voxels)
        mrc.voxel_size = 12.0
    return path


def noise(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.normal(size=SHAPE) * 30).astype(dtype)


@pytest.mark.parametrize("dtype", ["f4", "i2", "i1", "f2"])
def test_a_patch_is_found_where_it_was_cut(tmp_path: Path, dtype: Any) -> None:
    voxels = noise(dtype)
    cut = voxels[BOX.slices]
    cut = cut.astype("f4") if dtype == "f2" else cut
    with open_volume(save(tmp_path / "t.mrc", voxels)) as tomogram:
        assert find_patches(tomogram, {"a": cut}) == {"a": BOX}


@pytest.mark.parametrize(
    ("dtype", "copy"), [("i1", "f4"), ("i2", "f8"), ("f4", "f8"), ("i1", "i2")]
)
def test_a_copy_of_another_type_with_equal_values_is_found(
    tmp_path: Path, dtype: Any, copy: Any
) -> None:
    voxels = noise(dtype)
    with open_volume(save(tmp_path / "t.mrc", voxels)) as tomogram:
        cut = voxels[BOX.slices].astype(copy)
        assert find_patches(tomogram, {"a": cut}) == {"a": BOX}


def test_what_is_not_there_or_there_twice_is_not_found(tmp_path: Path) -> None:
    voxels = noise("i2")
    cut = voxels[BOX.slices].copy()
    changed = cut.copy()
    changed[0, 0, 0] += 1
    voxels[17:29, 20:32, 30:42] = cut
    images = {
        "twice": cut,
        "changed": changed,
        "flat": np.zeros((12, 12, 12), np.int16),
        "no such values": cut + 0.5,
        "too large": np.zeros((99, 12, 12), np.int16),
    }
    with open_volume(save(tmp_path / "t.mrc", voxels)) as tomogram:
        assert find_patches(tomogram, images) == {}


def test_labels_go_back_ignore_keeps_the_prediction_and_the_later_wins(tmp_path: Path) -> None:
    prediction = (np.random.default_rng(1).random(SHAPE) > 0.5).astype(np.int8)
    first = np.ones(BOX.shape, np.uint8)
    first[:, :, 6:] = 2
    later = Box(Zyx(10, 5, 7), Zyx(35, 8, 9))  # padded: a part lies outside
    second = np.zeros(later.shape, np.uint8)
    labels = [PlacedLabel(BOX, first), PlacedLabel(later, second)]
    expected = prediction.copy()
    expected[3:15, 5:17, 7:13] = 1
    expected[10:30, 5:8, 7:9] = 0
    out = tmp_path / "out.mrc"
    with open_volume(save(tmp_path / "s.mrc", prediction)) as segmentation:
        changed = paste_labels(segmentation, labels, out)
        with pytest.raises(OutputError):
            paste_labels(segmentation, labels, out)
    with open_volume(out) as result:
        np.testing.assert_array_equal(result.read(whole(result.shape)), expected)
        assert result.voxel_size == 12.0
    assert changed == (expected != prediction).sum()
