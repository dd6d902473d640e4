"""Patches are cut where their center says, or refused with the legal range."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CenterError, SegmentationError
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Zyx, box_around, legal_centers, shifted_to_fit
from core.imaging.patch import cut_patch, patch_grid, place_patch
from db.vocabulary import NearBorder

sides = st.integers(1, 400)
shapes = st.builds(Zyx, sides, sides, sides)
positions = st.integers(-500, 900)
centers = st.builds(Zyx, positions, positions, positions)


def save(path: Path, voxels: np.ndarray, voxel_size: float = 10.0) -> Path:
    with mrcfile.new(path) as mrc:
        mrc.set_data(voxels)
        mrc.voxel_size = voxel_size
    return path


@given(shapes, centers)
def test_a_center_is_legal_exactly_when_its_box_lies_in_the_tomogram(shape, center):
    legal = legal_centers(shape)
    inside = legal is not None and all(
        a <= c < b for a, c, b in zip(legal.start, center, legal.stop, strict=True)
    )
    assert box_around(center).lies_in(shape) == inside


@given(shapes, centers)
def test_a_shifted_center_is_legal_and_a_legal_one_stays(shape, center):
    shifted = shifted_to_fit(center, shape)
    if min(shape) < 160:
        assert shifted is None
        return
    assert shifted is not None
    assert box_around(shifted).lies_in(shape)
    if box_around(center).lies_in(shape):
        assert shifted == center


@given(shapes, shapes, centers, centers)
def test_the_overlap_of_two_boxes_is_what_both_hold(one, two, first, second):
    a = Box(first, Zyx(*map(sum, zip(first, one, strict=True))))
    b = Box(second, Zyx(*map(sum, zip(second, two, strict=True))))
    both = a.overlap(b)
    assert both == b.overlap(a)
    if both is not None:
        assert both.overlap(a) == both
        assert both.overlap(b) == both


def test_a_center_on_the_last_legal_voxel_is_accepted():
    shape = Zyx(200, 320, 256)
    assert place_patch(Zyx(120, 240, 176), shape).box.stop == shape
    assert place_patch(Zyx(80, 80, 80), shape).box.start == (0, 0, 0)
    assert place_patch(Zyx(80, 80, 80), Zyx(160, 160, 160)).box.stop == (160, 160, 160)


@pytest.mark.parametrize("center", [(79, 160, 128), (121, 160, 128), (-90, 160, 128)])
def test_a_center_outside_is_refused_with_the_legal_range_in_xyz(center):
    with pytest.raises(CenterError, match=r"x 80\.\.176, y 80\.\.240, z 80\.\.120"):
        place_patch(Zyx(*center), Zyx(200, 320, 256))


def test_a_tomogram_thinner_than_a_patch_is_refused_naming_the_way_out():
    with pytest.raises(CenterError, match="--near-border pad"):
        place_patch(Zyx(70, 160, 128), Zyx(140, 320, 256))
    with pytest.raises(CenterError, match="--near-border pad"):
        place_patch(Zyx(70, 160, 128), Zyx(140, 320, 256), NearBorder.SHIFT)


def test_padding_is_the_mean_outside_and_ignore_in_the_label(tmp_path):
    rng = np.random.default_rng(3)
    voxels = rng.normal(size=(140, 170, 180)).astype(np.float32)
    tomogram = save(tmp_path / "t.mrc", voxels)
    segmentation = save(tmp_path / "s.mrc", np.ones(voxels.shape, np.int8))
    placed = place_patch(Zyx(60, 85, 90), Zyx(*voxels.shape), NearBorder.PAD)
    with open_volume(tomogram) as a, open_volume(segmentation) as b:
        cut = cut_patch(a, b, placed)
    assert cut.image.shape == cut.label.shape == (160, 160, 160)
    inside = voxels[:140, 5:165, 10:170]
    np.testing.assert_array_equal(cut.image[20:], inside)
    np.testing.assert_allclose(cut.image[:20], inside.mean(dtype=float), rtol=1e-5)
    assert (cut.label[:20] == 2).all()
    assert (cut.label[20:144, 16:144, 16:144] == 1).all()


def test_a_float16_tomogram_becomes_float32(tmp_path):
    voxels = np.random.default_rng(1).normal(size=(160, 160, 160)).astype(np.float16)
    tomogram = save(tmp_path / "t.mrc", voxels)
    segmentation = save(tmp_path / "s.mrc", np.zeros(voxels.shape, np.int8))
    with open_volume(tomogram) as a, open_volume(segmentation) as b:
        cut = cut_patch(a, b, place_patch(Zyx(80, 80, 80), a.shape))
    assert cut.image.dtype == np.float32
    np.testing.assert_array_equal(cut.image, voxels.astype(np.float32))


def test_a_segmentation_of_another_shape_is_refused_with_both_shapes(tmp_path):
    tomogram = save(tmp_path / "t.mrc", np.zeros((160, 170, 180), np.int8))
    segmentation = save(tmp_path / "s.mrc", np.zeros((80, 85, 90), np.int8))
    with open_volume(tomogram) as a, open_volume(segmentation) as b:
        placed = place_patch(Zyx(80, 80, 80), a.shape)
        with pytest.raises(SegmentationError, match=r"90,85,80.*180,170,160"):
            cut_patch(a, b, placed)


def test_the_patch_knows_its_place_in_angstrom():
    grid = patch_grid(box_around(Zyx(100, 160, 128)), 13.48)
    assert grid.origin_xyz == pytest.approx((48 * 13.48, 80 * 13.48, 20 * 13.48))
    assert grid.spacing_xyz == pytest.approx((13.48,) * 3)
