"""The merge rule: remove, add, ignore, border; the later wins."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from core.errors import LabelError, SegmentationError
from core.imaging.geometry import BORDER, Zyx
from core.imaging.labels import (
    check_label,
    core_of,
    count_values,
    ignore_border,
    label_from_prediction,
    merge,
)
from db.vocabulary import CorrectionKind

ADD, REMOVE, IGNORE = CorrectionKind.ADD, CorrectionKind.REMOVE, CorrectionKind.IGNORE
SHAPE = (36, 35, 34)
CORE = core_of(Zyx(*SHAPE))
CORE_SHAPE = (4, 3, 2)

labels = npst.arrays(np.uint8, CORE_SHAPE, elements=st.integers(0, 2))
masks = npst.arrays(np.bool_, CORE_SHAPE)
corrections = st.lists(st.dictionaries(st.sampled_from(list(CorrectionKind)), masks), max_size=4)


def in_patch(core: np.ndarray) -> np.ndarray:
    out = np.zeros(SHAPE, core.dtype)
    out[CORE] = core
    return out


def widened(painted: Any) -> Any:
    return [{kind: in_patch(mask) for kind, mask in one.items()} for one in painted]


def one_voxel_at_a_time(label: np.ndarray, painted: Any) -> np.ndarray:
    """The rule as the guide states it, voxel by voxel."""
    out = label.copy()
    for index in np.ndindex(label.shape):
        kinds = {kind for one in painted for kind, mask in one.items() if mask[index]}
        if IGNORE in kinds:
            out[index] = 2
        elif ADD in kinds:
            out[index] = 1
        elif REMOVE in kinds:
            out[index] = 0
    return out


@given(labels, corrections)
def test_each_voxel_follows_the_guide(label: Any, painted: Any) -> None:
    merged = merge(in_patch(label), widened(painted)).voxels
    np.testing.assert_array_equal(merged[CORE], one_voxel_at_a_time(label, painted))


@given(labels, corrections, st.randoms())
def test_the_order_of_the_files_changes_nothing(label: Any, painted: Any, random: Any) -> None:
    shuffled = random.sample(painted, len(painted))
    first, second = (merge(in_patch(label), widened(order)) for order in (painted, shuffled))
    np.testing.assert_array_equal(first.voxels, second.voxels)
    assert first.counts == second.counts


@given(labels, corrections)
def test_merging_twice_is_merging_once(label: Any, painted: Any) -> None:
    once = merge(in_patch(label), widened(painted)).voxels
    np.testing.assert_array_equal(merge(once, widened(painted)).voxels, once)


@given(labels, corrections)
def test_the_counts_are_those_of_the_voxels(label: Any, painted: Any) -> None:
    result = merge(in_patch(label), widened(painted))
    after = result.voxels[CORE]
    assert result.counts.added == ((label != 1) & (after == 1)).sum()
    assert result.counts.removed == ((label == 1) & (after == 0)).sum()
    assert result.counts.ignored == ((label != 2) & (after == 2)).sum()
    claims = np.zeros(CORE_SHAPE, int)
    for kind in CorrectionKind:
        claims += np.any([one[kind] for one in painted if kind in one], axis=0)
    assert result.counts.contested == (claims > 1).sum()
    assert result.counts.lost_in_border == 0


def test_no_correction_changes_nothing_but_the_border() -> None:
    label = np.ones(SHAPE, np.uint8)
    merged = merge(label, [])
    assert count_values(merged.voxels).membrane == np.prod(CORE_SHAPE)
    assert (label == 1).all(), "the extracted label is left as it was"


def test_work_in_the_border_is_reported_as_lost() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[10:20, 17, 17] = True
    counts = merge(np.zeros(SHAPE, np.uint8), [{ADD: mask}]).counts
    assert (counts.added, counts.lost_in_border) == (4, 6)


@pytest.mark.parametrize("shape", [(160, 160, 160), (33, 40, 50), (32, 32, 32), (5, 40, 20)])
def test_the_border_is_16_voxels_on_every_side_of_any_shape(shape: Any) -> None:
    label = np.zeros(shape, np.uint8)
    ignore_border(label)
    distance = np.minimum.reduce(
        np.meshgrid(*[np.minimum(np.arange(n), n - 1 - np.arange(n)) for n in shape], indexing="ij")
    )
    np.testing.assert_array_equal(label == 2, distance < BORDER)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.float32, np.float16])
def test_a_prediction_of_0_and_1_is_taken_as_it_is(dtype: Any) -> None:
    label, findings = label_from_prediction(np.array([[[0, 1], [1, 0]]], dtype))
    assert label.tolist() == [[[0, 1], [1, 0]]]
    assert label.dtype == np.uint8
    assert findings == ()


@pytest.mark.parametrize(("values", "said"), [([0, 1, 7], "up to 7"), ([0, -1, -1], "255")])
def test_components_and_minus_one_count_as_membrane_and_it_is_said(values: Any, said: Any) -> None:
    label, findings = label_from_prediction(np.array(values, np.int8).reshape(1, 1, 3))
    assert label.ravel().tolist() == [0, 1, 1]
    assert said in findings[0]


def test_scaled_scores_are_told_from_components_and_need_a_threshold() -> None:
    """easymode writes probability × 127 as int8; everything above 0 would become membrane."""
    _z, _y, x = np.mgrid[0:24, 0:24, 0:24]
    ramp = np.exp(-(((x - 12) / 4.0) ** 2) / 2)
    scaled = (ramp * 127).astype(np.int8)
    with pytest.raises(SegmentationError, match=r"scaled scores .*--threshold"):
        label_from_prediction(scaled)
    assert label_from_prediction(scaled, 64)[0].sum() == (scaled > 64).sum()
    components = np.zeros((24, 24, 24), np.int16)
    for number in range(12):
        components[2 * number, 2:9] = number + 1
    label, findings = label_from_prediction(components)
    assert label.sum() == (components > 0).sum()
    assert "connected components" in findings[0]


def test_scores_need_a_threshold_and_membrane_lies_above_it() -> None:
    scores = np.array([-0.5, 0.0, 0.5], np.float32).reshape(1, 1, 3)
    with pytest.raises(SegmentationError, match="--threshold"):
        label_from_prediction(scores)
    assert label_from_prediction(scores, 0.0)[0].ravel().tolist() == [0, 0, 1]


@pytest.mark.parametrize("bad", [[np.nan, 0, 1], [-3, 0, 1]])
def test_a_prediction_with_nan_or_other_negatives_is_refused(bad: Any) -> None:
    with pytest.raises(SegmentationError):
        label_from_prediction(np.array(bad, np.float32).reshape(1, 1, 3))


@pytest.mark.parametrize("bad", [3, 255, -1, 0.5, np.nan])
def test_a_label_with_another_value_is_refused_and_the_value_named(bad: Any) -> None:
    label = np.zeros((4, 4, 4), np.float32)
    label[1, 1, 1] = bad
    with pytest.raises(LabelError, match=str(bad)):
        check_label(label)
