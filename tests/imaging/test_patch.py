"""Patches are cut where their center says, or refused with the legal range."""

from pathlib import Path
from typing import Any

import mrcfile
import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CenterError, SegmentationError
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Zyx, box_around, legal_centers, shifted_to_fit, whole
from core.imaging.patch import check_pair, cut_patch, patch_grid, place_patch, read_prediction
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
def test_a_center_is_legal_exactly_when_its_box_lies_in_the_tomogram(
    shape: Any, center: Any
) -> None:
    legal = legal_centers(shape)
    inside = legal is not None and all(
        a <= c < b for a, c, b in zip(legal.start, center, legal.stop, strict=True)
    )
    assert box_around(center).lies_in(shape) == inside


@given(shapes, centers)
def test_a_shifted_center_is_legal_and_a_legal_one_stays(shape: Any, center: Any) -> None:
    shifted = shifted_to_fit(center, shape)
    if min(shape) < 160:
        assert shifted is None
        return
    assert shifted is not None
    assert box_around(shifted).lies_in(shape)
    if box_around(center).lies_in(shape):
        assert shifted == center


@given(shapes, shapes, centers, centers)
def test_the_overlap_of_two_boxes_is_what_both_hold(
    one: Any, two: Any, first: Any, second: Any
) -> None:
    a = Box(first, Zyx(*map(sum, zip(first, one, strict=True))))
    b = Box(second, Zyx(*map(sum, zip(second, two, strict=True))))
    both = a.overlap(b)
    assert both == b.overlap(a)
    if both is not None:
        assert both.overlap(a) == both
        assert both.overlap(b) == both


def test_a_center_on_the_last_legal_voxel_is_accepted() -> None:
    shape = Zyx(200, 320, 256)
    assert place_patch(Zyx(120, 240, 176), shape).box.stop == shape
    assert place_patch(Zyx(80, 80, 80), shape).box.start == (0, 0, 0)
    assert place_patch(Zyx(80, 80, 80), Zyx(160, 160, 160)).box.stop == (160, 160, 160)


@pytest.mark.parametrize("center", [(79, 160, 128), (121, 160, 128), (-90, 160, 128)])
def test_a_center_outside_is_refused_with_the_legal_range_in_xyz(center: Any) -> None:
    with pytest.raises(CenterError, match=r"x 80\.\.176, y 80\.\.240, z 80\.\.120"):
        place_patch(Zyx(*center), Zyx(200, 320, 256))


def test_a_tomogram_thinner_than_a_patch_is_refused_naming_the_way_out() -> None:
    with pytest.raises(CenterError, match="--near-border pad"):
        place_patch(Zyx(70, 160, 128), Zyx(140, 320, 256))
    with pytest.raises(CenterError, match="--near-border pad"):
        place_patch(Zyx(70, 160, 128), Zyx(140, 320, 256), NearBorder.SHIFT)


def test_padding_is_the_mean_outside_and_ignore_in_the_label(tmp_path: Path) -> None:
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


def test_a_float16_tomogram_becomes_float32(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).normal(size=(160, 160, 160)).astype(np.float16)
    tomogram = save(tmp_path / "t.mrc", voxels)
    segmentation = save(tmp_path / "s.mrc", np.zeros(voxels.shape, np.int8))
    with open_volume(tomogram) as a, open_volume(segmentation) as b:
        cut = cut_patch(a, b, place_patch(Zyx(80, 80, 80), a.shape))
    assert cut.image.dtype == np.float32
    np.testing.assert_array_equal(cut.image, voxels.astype(np.float32))


def test_a_segmentation_of_another_shape_is_refused_with_both_shapes(tmp_path: Path) -> None:
    tomogram = save(tmp_path / "t.mrc", np.zeros((160, 170, 180), np.int8))
    segmentation = save(tmp_path / "s.mrc", np.zeros((80, 85, 90), np.int8))
    with open_volume(tomogram) as a, open_volume(segmentation) as b:
        placed = place_patch(Zyx(80, 80, 80), a.shape)
        with pytest.raises(SegmentationError, match=r"90,85,80.*180,170,160"):
            cut_patch(a, b, placed)


def test_the_patch_knows_its_place_in_angstrom() -> None:
    grid = patch_grid(box_around(Zyx(100, 160, 128)), 13.48)
    assert grid.origin_xyz == pytest.approx((48 * 13.48, 80 * 13.48, 20 * 13.48))
    assert grid.spacing_xyz == pytest.approx((13.48,) * 3)


SHAPE = (20, 24, 28)
SEGMENTATION = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 7 == 0).astype(np.uint8)
LPS = np.diag([-10.0, -10.0, 10.0, 1.0])


def as_nifti(path: Path, affine: np.ndarray, voxels: np.ndarray = SEGMENTATION) -> Path:
    nibabel.save(nibabel.Nifti1Image(voxels.T, affine), path)
    return path


def as_mrc(path: Path, size: float = 10.0) -> Path:
    with mrcfile.new(path) as mrc:
        mrc.set_data(SEGMENTATION.astype(np.int8))
        mrc.voxel_size = size
    return path


def moved(affine: np.ndarray, x: float) -> np.ndarray:
    affine = affine.copy()
    affine[0, 3] += x
    return affine


CANONICAL = nibabel.as_closest_canonical(nibabel.Nifti1Image(SEGMENTATION.T, LPS)).affine
RAS = np.diag([10.0, 10.0, 10.0, 1.0])
TURNED = np.array([[0, 0, -10.0, 0], [0, -10.0, 0, 0], [10.0, 0, 0, 0], [0, 0, 0, 1]])


def pair_findings(tomogram: Path, segmentation: Path) -> tuple[str, ...]:
    with open_volume(tomogram) as one, open_volume(segmentation) as other:
        return check_pair(one, other)


@pytest.mark.parametrize(
    ("affine", "told"),
    [(LPS, None), (np.eye(4), "states no place"), (np.diag([-1.0, -1, 1, 1]), "states no place")],
)
def test_a_segmentation_that_lies_on_its_tomogram_or_states_nothing_is_taken(
    tmp_path: Path, affine: Any, told: Any
) -> None:
    found = pair_findings(as_nifti(tmp_path / "t.nii", LPS), as_nifti(tmp_path / "s.nii", affine))
    assert (told in found[0]) if told else found == ()


def test_a_segmentation_that_lost_its_origin_is_taken_and_told(tmp_path: Path) -> None:
    tomogram = as_nifti(tmp_path / "t.nii", moved(LPS, 200))
    found = pair_findings(tomogram, as_nifti(tmp_path / "s.nii", LPS))
    assert "origin is 0, 0, 0" in found[0]


@pytest.mark.parametrize("affine", [CANONICAL, moved(LPS, 30), np.diag([-12.0, -12, 12, 1])])
def test_a_segmentation_in_another_place_or_orientation_is_refused(
    tmp_path: Path, affine: Any
) -> None:
    tomogram = as_nifti(tmp_path / "t.nii", LPS)
    with pytest.raises(SegmentationError, match="another place or orientation"):
        pair_findings(tomogram, as_nifti(tmp_path / "s.nii", affine))


@pytest.mark.parametrize("affine", [LPS, RAS, np.eye(4), moved(LPS, 55)])
def test_beside_an_mrc_tomogram_the_usual_orientations_are_taken(
    tmp_path: Path, affine: Any
) -> None:
    assert pair_findings(as_mrc(tmp_path / "t.mrc"), as_nifti(tmp_path / "s.nii", affine)) == ()


def test_beside_an_mrc_tomogram_a_turned_segmentation_is_refused(tmp_path: Path) -> None:
    tomogram = as_mrc(tmp_path / "t.mrc")
    cube = np.zeros((20, 24, 28), np.uint8)
    for affine in (CANONICAL, TURNED):
        with pytest.raises(SegmentationError, match="another place or orientation"):
            pair_findings(tomogram, as_nifti(tmp_path / "s.nii", affine, cube))


def test_voxel_sizes_that_differ_are_told(tmp_path: Path) -> None:
    found = pair_findings(as_mrc(tmp_path / "t.mrc"), as_mrc(tmp_path / "s.mrc", 20.0))
    assert found == ("the segmentation states 20 Å a voxel, the tomogram 10 Å",)


def test_a_segmentation_of_several_layers_is_refused(tmp_path: Path) -> None:
    two = SimpleITK.Compose([SimpleITK.GetImageFromArray(SEGMENTATION) for _ in range(2)])
    SimpleITK.WriteImage(two, str(tmp_path / "two.nrrd"))
    with pytest.raises(SegmentationError, match="holds 2 layers"):
        pair_findings(as_mrc(tmp_path / "t.mrc"), tmp_path / "two.nrrd")


def test_float_predictions_within_rounding_need_no_threshold(tmp_path: Path) -> None:
    almost = SEGMENTATION * np.float32(1.00002)
    path = as_nifti(tmp_path / "s.nii", LPS, almost)
    with open_volume(path) as volume:
        label, _ = read_prediction(volume, whole(volume.shape))
        scores, _ = read_prediction(volume, whole(volume.shape), 1.00001)
    np.testing.assert_array_equal(label, SEGMENTATION)
    np.testing.assert_array_equal(scores, SEGMENTATION)
