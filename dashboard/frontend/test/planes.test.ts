import assert from "node:assert/strict";
import { test } from "node:test";
import type { Axis, Zyx } from "../src/planes/geometry.ts";
import { moved, planeIndex, planeSize, toPlane, toVoxel } from "../src/planes/geometry.ts";
import { fitted, fromCanvas, panned, toCanvas, zoomed } from "../src/planes/viewport.ts";

const SHAPE: Zyx = [40, 60, 80];

test("a plane shows its two axes: XY (y, x), XZ (z, x), YZ (z, y)", () => {
  assert.deepEqual(planeSize(SHAPE, 0), { width: 80, height: 60 });
  assert.deepEqual(planeSize(SHAPE, 1), { width: 80, height: 40 });
  assert.deepEqual(planeSize(SHAPE, 2), { width: 60, height: 40 });
});

test("a voxel goes to a plane and comes back, in every plane", () => {
  const voxel: Zyx = [7, 21, 63];
  for (const axis of [0, 1, 2] as Axis[]) {
    const { column, row } = toPlane(voxel, axis);
    assert.deepEqual(toVoxel({ column: column + 0.9, row: row + 0.1 }, axis, voxel, SHAPE), voxel);
  }
});

test("a step stays inside the volume", () => {
  assert.deepEqual(moved([39, 0, 0], 0, 1, SHAPE), [39, 0, 0]);
  assert.deepEqual(moved([0, 0, 0], 2, -10, SHAPE), [0, 0, 0]);
  assert.deepEqual(moved([5, 5, 5], 1, 10, SHAPE), [5, 15, 5]);
});

test("a binned plane shows the voxels of its bin", () => {
  assert.equal(planeIndex([7, 0, 0], 0, 4), 1);
  assert.equal(planeIndex([8, 0, 0], 0, 4), 2);
});

test("canvas and plane agree, y up as well", () => {
  for (const flipped of [false, true]) {
    const view = fitted(80, 60, 800, 800, flipped);
    const { x, y } = toCanvas(view, { column: 12.5, row: 33.25 }, 60);
    const back = fromCanvas(view, x, y, 60);
    assert.ok(Math.abs(back.column - 12.5) < 1e-9 && Math.abs(back.row - 33.25) < 1e-9);
  }
  assert.ok(
    toCanvas(fitted(80, 60, 800, 800, true), { column: 0, row: 0 }, 60).y >
      toCanvas(fitted(80, 60, 800, 800, true), { column: 0, row: 59 }, 60).y,
  );
});

test("zooming keeps the pixel under the pointer where it is", () => {
  const view = fitted(80, 60, 800, 600, false);
  const near = zoomed(view, 3, 200, 150, 0.1);
  const before = fromCanvas(view, 200, 150, 60);
  const after = fromCanvas(near, 200, 150, 60);
  assert.ok(
    Math.abs(before.column - after.column) < 1e-9 && Math.abs(before.row - after.row) < 1e-9,
  );
});

test("a plane cannot be pushed out of sight", () => {
  const view = fitted(80, 60, 800, 600, false);
  const away = panned(view, 1e6, -1e6, { width: 80, height: 60 }, { width: 800, height: 600 });
  assert.ok(away.left < 800 && away.top + 60 * away.scale > 0);
});
