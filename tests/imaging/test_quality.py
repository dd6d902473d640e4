"""The figures of a label, held against their definition, voxel by voxel."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.imaging.quality import (
    SMALL_ISLAND,
    agreement,
    count_components,
    dice,
    measure,
    surface_dice,
)

masks = arrays(bool, st.tuples(*[st.integers(1, 5)] * 3))
SIX = [step for step in product((-1, 0, 1), repeat=3) if sum(map(abs, step)) == 1]
ALL = [step for step in product((-1, 0, 1), repeat=3) if any(step)]


def neighbours(voxel: Any, steps: Any) -> Any:
    return [tuple(a + b for a, b in zip(voxel, step, strict=True)) for step in steps]


def pieces(mask: np.ndarray) -> list[int]:
    """Sizes of the pieces, by walking from voxel to voxel."""
    left, sizes = set(map(tuple, np.argwhere(mask).tolist())), []
    while left:
        todo, size = [left.pop()], 0
        while todo:
            size += 1
            near = left.intersection(neighbours(todo.pop(), ALL))
            left -= near
            todo += near
        sizes.append(size)
    return sizes


def edge(mask: np.ndarray) -> set[tuple[int, ...]]:
    """Voxels of which a face touches a voxel that is not set; the array's faces touch none."""
    inside = set(np.ndindex(mask.shape))
    return {
        voxel
        for voxel in map(tuple, np.argwhere(mask).tolist())
        if any(near in inside and not mask[near] for near in neighbours(voxel, SIX))
    }


@given(masks)
def test_pieces_touch_by_face_edge_or_corner(mask: Any) -> None:
    sizes, found = pieces(mask), count_components(mask)
    assert found.count == len(sizes)
    assert found.small_islands == sum(size < SMALL_ISLAND for size in sizes)
    assert found.largest_fraction == pytest.approx(max(sizes) / sum(sizes) if sizes else 0.0)


@pytest.mark.parametrize("step", ALL)
def test_two_voxels_that_touch_anyhow_are_one_piece(step: Any) -> None:
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = mask[tuple(1 + s for s in step)] = True
    assert count_components(mask).count == 1


def test_an_island_of_50_voxels_is_not_small_and_one_of_49_is() -> None:
    mask = np.zeros((1, 5, 120), bool)
    mask[0, 0, :50] = mask[0, 2, :49] = mask[0, 4, :99] = True
    found = count_components(mask)
    assert (found.count, found.small_islands) == (3, 1)
    assert found.largest_fraction == 99 / 198


@given(st.data())
def test_surface_dice_counts_boundary_voxels_within_one_voxel_of_the_other_boundary(
    data: Any,
) -> None:
    a = data.draw(masks)
    b = data.draw(arrays(bool, a.shape))
    edges = edge(a), edge(b)
    total = len(edges[0]) + len(edges[1])
    common = sum(
        voxel in other or any(near in other for near in neighbours(voxel, ALL))
        for own, other in (edges, edges[::-1])
        for voxel in own
    )
    assert surface_dice(a, b) == (common / total if total else None)


def sheet(at: int) -> np.ndarray:
    mask = np.zeros((8, 8, 12), bool)
    mask[:, :, at : at + 3] = True
    return mask


@pytest.mark.parametrize(
    ("by", "plain", "surface"), [(0, 1.0, 1.0), (1, 2 / 3, 1.0), (2, 1 / 3, 0.5)]
)
def test_a_membrane_one_voxel_off_is_the_same_surface_and_two_off_is_not(
    by: Any, plain: Any, surface: Any
) -> None:
    assert dice(sheet(3), sheet(3 + by)) == pytest.approx(plain)
    assert surface_dice(sheet(3), sheet(3 + by)) == pytest.approx(surface)


def test_agreement_leaves_out_what_either_ignores() -> None:
    first, second = (sheet(3).astype(np.uint8) for _ in range(2))
    first[:, :2], second[:, 1:3] = 2, 2
    found = agreement(first, second)
    assert (found.dice, found.surface_dice) == (1.0, 1.0)
    assert found.compared_voxels == 8 * 5 * 12
    assert found.ignore_overlap == pytest.approx(1 / 3)
    nothing = agreement(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8))
    assert (nothing.dice, nothing.surface_dice, nothing.ignore_overlap) == (None, None, None)


def test_the_figures_of_a_label_are_those_inside_the_border() -> None:
    before = np.zeros((40, 40, 40), np.uint8)
    before[16:24, 16:24, 20] = 1
    after = before.copy()
    after[16:24, 16:18, 20] = 0
    after[16:18, 16:24, 22] = 1
    after[23, 16:24, 16:24] = 2
    found = measure(after, before)
    assert found.membrane_voxels == (after[16:24, 16:24, 16:24] == 1).sum()
    assert found.labelled_voxels == 8**3 - 64
    assert found.ignore_fraction_core == 64 / 8**3
    assert found.membrane_sections == 7
    change = found.change
    assert change is not None
    assert (change.added, change.removed, change.ignored) == (16, 14, 64)
