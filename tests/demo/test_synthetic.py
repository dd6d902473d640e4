"""The synthetic tomogram is believable, the same for a seed, and wrong where it should be."""

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.demo.synthetic import (
    VOXEL_SIZE,
    annotate,
    choose_centers,
    make_tomogram,
    write_tomogram,
)
from core.imaging.geometry import Zyx, box_around, legal_centers
from db.vocabulary import CorrectionKind

SHAPE = Zyx(168, 176, 184)


@pytest.fixture(scope="module")
def tomogram() -> Any:
    return make_tomogram(SHAPE, seed=3)


def test_a_seed_gives_the_same_files_and_another_seed_others(tomogram: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = write_tomogram(tmp_path / "one", "TS_001", tomogram)
    two = write_tomogram(tmp_path / "two", "TS_001", make_tomogram(SHAPE, seed=3))
    assert [a.read_bytes() for a in one] == [b.read_bytes() for b in two]
    other = make_tomogram(SHAPE, seed=4)
    assert not np.array_equal(tomogram.density, other.density)


def test_membranes_are_darker_than_what_lies_off_them(tomogram: Any) -> None:
    seen = tomogram.density[tomogram.membrane & tomogram.visible]
    off = tomogram.density[~tomogram.membrane]
    assert seen.mean() < off.mean() - 1.5 * off.std()


def test_a_membrane_has_two_dark_leaflets_about_4_nm_apart(tomogram: Any) -> None:
    """Along x through the sheet, aligned on its middle and averaged over y and z."""
    profiles = []
    for z in range(20, SHAPE.z - 20, 4):
        for y in range(20, SHAPE.y - 20, 4):
            xs = np.flatnonzero(tomogram.membrane[z, y])
            runs = np.split(xs, np.flatnonzero(np.diff(xs) > 1) + 1)
            for run in runs:
                if 4 <= len(run) <= 6 and run[0] > 10 and run[-1] < SHAPE.x - 10:
                    middle = int(run.mean())
                    profiles.append(tomogram.density[z, y, middle - 8 : middle + 9])
    profile = np.mean(profiles, axis=0)
    left, right = profile[:9].argmin(), 8 + profile[8:].argmin()
    assert 3 <= right - left <= 5
    assert profile[(left + right) // 2] > max(profile[left], profile[right])


def test_waves_beyond_the_last_tilt_are_missing(tomogram: Any) -> None:
    power = abs(np.fft.rfftn(tomogram.density)) ** 2
    kz = abs(np.fft.fftfreq(SHAPE.z))[:, None, None]
    kx = np.fft.rfftfreq(SHAPE.x)[None, None, :]
    steeper = np.broadcast_to((kz > kx * np.tan(np.deg2rad(60)) + 0.02), power.shape)
    assert power[steeper].sum() < 1e-6 * power.sum()
    assert steeper.mean() > 0.1


def test_the_prediction_misses_membrane_and_sees_some_where_none_is(tomogram: Any) -> None:
    assert tomogram.prediction.dtype == np.int8
    assert set(np.unique(tomogram.prediction)) == {0, 1}
    predicted = tomogram.prediction == 1
    real = tomogram.membrane & tomogram.visible
    assert 0.6 < (predicted & real).sum() / real.sum() < 0.98
    assert (predicted & ~tomogram.membrane).sum() > 500
    assert (tomogram.membrane & ~tomogram.visible).any()


def test_centers_are_legal_apart_and_lie_where_the_prediction_is_wrong(tomogram: Any) -> None:
    centers = choose_centers(tomogram, 3, apart=8)
    legal = legal_centers(SHAPE)
    assert legal is not None
    assert len(centers) == 3
    assert all(
        a <= c < b
        for center in centers
        for a, c, b in zip(legal.start, center, legal.stop, strict=True)
    )
    assert all(
        max(abs(p - q) for p, q in zip(a, b, strict=True)) >= 8
        for a in centers
        for b in centers
        if a is not b
    )
    assert choose_centers(make_tomogram(Zyx(60, 60, 60)), 2) == []


def test_an_annotator_keeps_the_guide_s_rules(tomogram: Any) -> None:
    box = box_around(choose_centers(tomogram, 1)[0])
    membrane, visible = tomogram.membrane[box.slices], tomogram.visible[box.slices]
    predicted = tomogram.prediction[box.slices] == 1
    painted = annotate(membrane, visible, predicted)
    assert set(painted) == set(CorrectionKind)
    assert all(mask.any() for mask in painted.values())
    assert not (painted[CorrectionKind.REMOVE] & membrane).any()
    assert not (painted[CorrectionKind.ADD] & ~membrane).any()
    corrected = predicted & ~painted[CorrectionKind.REMOVE] | painted[CorrectionKind.ADD]
    reliable = ~painted[CorrectionKind.IGNORE]
    wrong = (corrected != membrane) & reliable
    assert wrong.sum() < 0.01 * ((predicted != membrane) & reliable).sum()


def test_files_are_named_as_membrain_names_them_and_state_their_voxel_size(
    tomogram: Any, tmp_path: Path
) -> None:
    image, segmentation = write_tomogram(tmp_path, "TS_001", tomogram)
    assert segmentation.name == "TS_001_MemBrain_seg_v10_alpha.ckpt_segmented.mrc"
    for path, voxels in ((image, tomogram.density), (segmentation, tomogram.prediction)):
        mrcfile.validate(path)
        with mrcfile.open(path) as mrc:
            assert mrc.voxel_size.x == VOXEL_SIZE
            assert np.array_equal(mrc.data, voxels)
    assert sorted(tmp_path.iterdir()) == sorted([image, segmentation])
