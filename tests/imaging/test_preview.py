"""A preview shows in every plane what the file holds, and a view without one shows the same."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import SegmentationError, VolumeError
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Zyx
from core.imaging.preview import store as module
from core.imaging.preview.store import (
    FILES,
    Look,
    PlaneAxis,
    Preview,
    bin_values,
    plane_shape,
    preview_key,
    write_preview,
)
from core.imaging.preview.view import ViewedFile, VolumeView

SHAPE = (37, 50, 61)


def write(path: Path, voxels: NDArray[Any]) -> Path:
    with warnings.catch_warnings(), mrcfile.new(path) as mrc:
        warnings.simplefilter("ignore")  # mrcfile warns of the NaN that one test wants
        mrc.set_data(voxels)
        mrc.voxel_size = 10.0
    return path


def make(path: Path, folder: Path, look: Look, threshold: float | None = None) -> Path:
    folder.mkdir()
    with open_volume(path) as volume:
        write_preview(volume, folder, look, threshold)
    return folder


@pytest.fixture
def gray(tmp_path: Path) -> Path:
    voxels = np.random.default_rng(1).normal(5, 2, SHAPE).astype(np.float32)
    return write(tmp_path / "TS_001.mrc", voxels)


@pytest.fixture
def label(tmp_path: Path) -> Path:
    voxels = (np.random.default_rng(2).random(SHAPE) > 0.8).astype(np.int8)
    return write(tmp_path / "TS_001_seg.mrc", voxels)


def across(voxels: NDArray[Any], axis: PlaneAxis, index: int) -> NDArray[Any]:
    plane: NDArray[Any] = np.take(voxels, index, axis.number)
    return plane


@pytest.mark.parametrize("axis", list(PlaneAxis))
@pytest.mark.parametrize("slab", [5, 32, 37, 64])
def test_every_gray_plane_shows_the_files_voxels(
    gray: Path, tmp_path: Path, axis: PlaneAxis, slab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLAB", slab)
    monkeypatch.setattr(module, "STRIP_BYTES", 40_000)
    voxels = mrcfile.read(gray)
    with Preview(make(gray, tmp_path / "p", Look.GRAY)) as shown:
        low, high = shown.facts.window
        expected = np.clip((voxels - low) / (high - low) * 255, 0, 255)
        for index in range(voxels.shape[axis.number]):
            found = shown.plane(axis, index).astype(float)
            assert np.abs(found - across(expected, axis, index)).max() <= 1.001


@pytest.mark.parametrize("axis", list(PlaneAxis))
def test_every_label_plane_shows_the_files_membrane(
    label: Path, tmp_path: Path, axis: PlaneAxis
) -> None:
    voxels = mrcfile.read(label)
    with Preview(make(label, tmp_path / "p", Look.LABEL)) as shown:
        columns = plane_shape(Zyx(*SHAPE), axis)[1]
        for index in range(voxels.shape[axis.number]):
            found = np.unpackbits(shown.plane(axis, index), axis=1, count=columns)
            assert (found == across(voxels, axis, index)).all()


def test_a_view_without_a_preview_shows_the_same_planes(gray: Path, tmp_path: Path) -> None:
    folder = make(gray, tmp_path / "p", Look.GRAY)
    with (
        VolumeView(ViewedFile(gray, Look.GRAY)) as bare,
        VolumeView(ViewedFile(gray, Look.GRAY), preview=folder) as quick,
    ):
        assert not bare.has_preview
        assert quick.has_preview
        for axis, side in zip(PlaneAxis, SHAPE, strict=True):
            for index in (0, side // 2, side - 1):
                assert (bare.plane(axis, index) == quick.plane(axis, index)).all()
        assert (bare.full_plane(3) == bare.plane(PlaneAxis.Z, 3)).all()


def test_a_label_view_without_a_preview_shows_the_same_planes(label: Path, tmp_path: Path) -> None:
    folder = make(label, tmp_path / "p", Look.LABEL)
    with (
        VolumeView(ViewedFile(label, Look.LABEL)) as bare,
        VolumeView(ViewedFile(label, Look.LABEL), preview=folder) as quick,
    ):
        for axis, side in zip(PlaneAxis, SHAPE, strict=True):
            assert (bare.plane(axis, side - 1) == quick.plane(axis, side - 1)).all()


def test_a_large_volume_is_binned_to_the_longest_side(tmp_path: Path) -> None:
    voxels = np.random.default_rng(5).normal(5, 2, (5, 8, 1101)).astype(np.float32)
    path = write(tmp_path / "wide.mrc", voxels)
    with Preview(make(path, tmp_path / "p", Look.GRAY)) as shown:
        assert shown.facts.binning == 2
        assert shown.facts.shape == (3, 4, 551)
        low, high = shown.facts.window
        mean = voxels[2:4, :, :1100].reshape(2, 4, 2, 550, 2).mean(axis=(0, 2, 4))
        expected = np.clip((mean - low) / (high - low) * 255, 0, 255)
        assert np.abs(shown.plane(PlaneAxis.Z, 1)[:, :550] - expected).max() <= 1.001
    with VolumeView(ViewedFile(path, Look.GRAY), preview=tmp_path / "p") as view:
        assert view.plane(PlaneAxis.Z, 2).shape == (4, 551)
        assert view.full_plane(4).shape == (8, 1101)


def test_thin_membrane_survives_binning() -> None:
    voxels = np.zeros((5, 5, 5), bool)
    voxels[4, 0, 3] = True
    binned = bin_values(voxels, 2, Look.LABEL)
    assert binned.shape == (3, 3, 3)
    assert np.argwhere(binned).tolist() == [[2, 0, 1]]


def test_scores_need_a_threshold_and_are_cut_by_it(tmp_path: Path) -> None:
    voxels = np.random.default_rng(3).normal(0, 1, (8, 9, 10)).astype(np.float32)
    path = write(tmp_path / "scores.mrc", voxels)
    with pytest.raises(SegmentationError):
        make(path, tmp_path / "refused", Look.LABEL)
    with VolumeView(ViewedFile(path, Look.LABEL, 0.5)) as shown:
        found = np.unpackbits(shown.plane(PlaneAxis.Z, 2), axis=1, count=10)
        assert (found == (voxels[2] > 0.5)).all()


def test_voxels_that_are_no_numbers_are_black_and_do_not_move_the_window(tmp_path: Path) -> None:
    voxels = np.random.default_rng(4).normal(0, 1, (8, 9, 10)).astype(np.float32)
    voxels[3, 4, 5], voxels[3, 4, 6] = np.nan, np.inf
    path = write(tmp_path / "nan.mrc", voxels)
    with VolumeView(ViewedFile(path, Look.GRAY)) as shown:
        low, high = shown.facts.window
        assert -4 < low < 0 < high < 4
        assert shown.plane(PlaneAxis.Z, 3)[4, 5] == 0


def test_a_plane_outside_the_volume_is_refused_with_the_range(gray: Path) -> None:
    with VolumeView(ViewedFile(gray, Look.GRAY)) as shown:
        with pytest.raises(VolumeError, match="not in 0 to 36"):
            shown.plane(PlaneAxis.Z, 37)
        with pytest.raises(VolumeError, match="not in 0 to 60"):
            shown.plane(PlaneAxis.X, -1)


def test_a_changed_file_has_another_key_and_another_version(gray: Path) -> None:
    before = preview_key(gray, Look.GRAY)
    with VolumeView(ViewedFile(gray, Look.GRAY)) as shown:
        version = shown.version
    os.utime(gray, (1, 1))
    assert preview_key(gray, Look.GRAY) != before
    with VolumeView(ViewedFile(gray, Look.GRAY)) as shown:
        assert shown.version != version


def test_a_preview_that_lost_a_file_or_its_facts_is_refused(gray: Path, tmp_path: Path) -> None:
    folder = make(gray, tmp_path / "p", Look.GRAY)
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    (folder / "preview.json").write_text(json.dumps({"look": "gray"}))
    with pytest.raises(VolumeError, match="preview is incomplete"):
        Preview(folder)
