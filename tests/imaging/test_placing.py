"""Corrections land where their header says, exactly, or not at all."""

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.imaging.geometry import Box, Grid, Zyx, whole
from core.imaging.placing import orientations, place

PATCH = Zyx(12, 10, 8)
PATCH_GRID = Grid.aligned(10.0, (300.0, 200.0, 100.0))

axis_orders = st.sampled_from(list(permutations(range(3))))
flips = st.tuples(st.booleans(), st.booleans(), st.booleans())


@st.composite
def boxes(draw: st.DrawFn, shape: Zyx = PATCH) -> Box:
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    stops = [draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    return Box(Zyx(*starts), Zyx(*stops))


def saved_by_another_program(
    patch: np.ndarray, box: Box, order_xyz: tuple[int, ...], flipped: tuple[bool, ...], grid: Grid
) -> tuple[np.ndarray, Grid]:
    """A crop of the patch in another axis order and direction, with a header that says so.

    Built forward, as a writer would: axis j of the file runs along axis order_xyz[j] of the patch.
    """
    array_xyz = patch[box.slices].transpose(2, 1, 0)
    start_xyz = np.array(box.start.to_xyz(), float)
    size_xyz = np.array(box.shape.to_xyz())
    steps = np.zeros((3, 3))
    first = start_xyz.copy()
    for j, (axis, flip) in enumerate(zip(order_xyz, flipped, strict=True)):
        steps[axis, j] = -1 if flip else 1
        if flip:
            first[axis] += size_xyz[axis] - 1
    out = array_xyz.transpose(order_xyz)
    out = out[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]
    world = np.asarray(grid.steps_xyz) @ steps
    origin = np.asarray(grid.steps_xyz) @ first + grid.origin_xyz
    return out.transpose(2, 1, 0), Grid.of(world, origin)


@given(boxes(), axis_orders, flips, st.floats(-4e-4, 4e-4))
def test_every_orientation_and_crop_comes_back_exactly(
    box: Any, order: Any, flipped: Any, jitter: Any
) -> None:
    patch = np.arange(np.prod(PATCH)).reshape(PATCH)
    voxels, grid = saved_by_another_program(patch, box, order, flipped, PATCH_GRID)
    shaken = Grid(tuple(np.add(grid.origin_xyz, jitter * 10)), grid.steps_xyz)
    placement = place(Zyx(*voxels.shape), shaken, PATCH_GRID)
    assert placement is not None
    assert placement.box == box
    np.testing.assert_array_equal(placement.apply(voxels), patch[box.slices])


@given(boxes(), axis_orders, flips)
def test_a_patch_with_turned_axes_of_its_own_is_placed_on_as_well(
    box: Any, order: Any, flipped: Any
) -> None:
    patch = np.arange(np.prod(PATCH)).reshape(PATCH)
    _, turned = saved_by_another_program(patch, whole(PATCH), order, flipped, PATCH_GRID)
    # The file lies on the plain grid; the patch's own axes are turned.
    cube = Zyx(9, 9, 9)
    placement = place(cube, PATCH_GRID, turned)
    assert placement is not None
    back = place(cube, turned, PATCH_GRID)
    assert back is not None
    assert sorted(placement.axes) == [0, 1, 2]
    assert sum(placement.flipped) == sum(flipped)
    assert sum(back.flipped) == sum(flipped)


@pytest.mark.parametrize(
    "steps",
    [
        [[10, 1, 0], [-1, 10, 0], [0, 0, 10]],  # turned by a few degrees
        [[13, 0, 0], [0, 13, 0], [0, 0, 13]],  # another spacing
        [[20, 0, 0], [0, 20, 0], [0, 0, 20]],  # binned
        [[10, 10, 0], [0, 10, 0], [0, 0, 10]],  # sheared
        [[10, 0, 0], [10, 0, 0], [0, 0, 10]],  # two axes alike
    ],
)
def test_a_grid_that_needs_resampling_is_not_placed(steps: Any) -> None:
    assert (
        place(PATCH, Grid.of(np.array(steps, float), np.array(PATCH_GRID.origin_xyz)), PATCH_GRID)
        is None
    )


@pytest.mark.parametrize("offset", [0.5, 0.01, -0.002])
def test_a_fraction_of_a_voxel_off_is_not_placed(offset: Any) -> None:
    origin = (300.0 + 10 * offset, 200.0, 100.0)
    assert place(PATCH, Grid(origin, PATCH_GRID.steps_xyz), PATCH_GRID) is None


def test_a_spacing_that_drifts_off_at_the_far_corner_is_not_placed() -> None:
    wide = Zyx(160, 160, 160)
    assert place(wide, Grid.aligned(10.0 * (1 + 1e-4)), Grid.aligned(10.0)) is None
    assert place(wide, Grid.aligned(10.0 * (1 + 1e-6)), Grid.aligned(10.0)) is not None


def test_a_cube_has_48_orientations_and_each_is_another() -> None:
    cube = np.arange(27).reshape(3, 3, 3)
    turned = {placement.apply(cube).tobytes() for placement in orientations(Zyx(3, 3, 3))}
    assert len(turned) == 48
    expected = {
        cube.transpose(order)[::a, ::b, ::c].tobytes()
        for order in permutations(range(3))
        for a, b, c in product((1, -1), repeat=3)
    }
    assert turned == expected
