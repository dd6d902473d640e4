import assert from "node:assert/strict";
import { test } from "node:test";
import { type Mask, nearestCells, signedDistance } from "../src/painter/voxels/distance.ts";
import { Drawing } from "../src/painter/voxels/drawing.ts";
import { type Edit, edited } from "../src/painter/voxels/edits.ts";
import { Grid } from "../src/painter/voxels/grid.ts";
import { between, gapsIn, Outline } from "../src/painter/voxels/interpolate.ts";
import { forEachCell } from "../src/painter/voxels/morphology.ts";
import { holesOf } from "../src/painter/voxels/regions.ts";
import { slabPlane, smoothed } from "../src/painter/voxels/slab.ts";
import type { Axis, Zyx } from "../src/planes/geometry.ts";

const SIDE = 32;
const VOLUME: Zyx = [24, SIDE, SIDE];

function mask(isInside: (column: number, row: number) => boolean, side = SIDE): Mask {
  const cells = Uint8Array.from({ length: side * side }, (_, i) =>
    Number(isInside(i % side, Math.floor(i / side))),
  );
  return { width: side, height: side, cells };
}

const ring = (radius: number, x = 16, y = 16): Mask =>
  mask((column, row) => Math.abs(Math.hypot(column - x, row - y) - radius) <= 1.5);
const disc = (radius: number, x: number, y: number): Mask =>
  mask((column, row) => Math.hypot(column - x, row - y) <= radius);

function dice(a: Uint8Array, b: Uint8Array): number {
  let [both, sum] = [0, 0];
  a.forEach((value, i) => {
    both += value & b[i]!;
    sum += value + b[i]!;
  });
  return (2 * both) / sum;
}

/** A volume after an edit of its voxels of kind 1. */
function afterEdit(voxels: Uint8Array, edit: Edit, axis: Axis = 0): Uint8Array {
  const made = voxels.slice();
  const block = edited(voxels, VOLUME, 1, edit, axis)!;
  forEachCell(block, VOLUME, (cell, voxel) => (made[voxel] = block.cells[cell]!));
  return made;
}

function volumeOf(isInside: (z: number, y: number, x: number) => boolean): Uint8Array {
  const [depth, height, width] = VOLUME;
  return Uint8Array.from({ length: depth * height * width }, (_, i) =>
    Number(isInside(Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width)),
  );
}

const count = (cells: Uint8Array): number => cells.reduce((sum, cell) => sum + cell, 0);

test("distances are those to the nearest edge, negative inside", () => {
  const random = mask((column, row) => (column * 7 + row * 13 + column * row) % 11 < 2, 12);
  const distances = signedDistance(random);
  random.cells.forEach((cell, i) => {
    let nearest = Infinity;
    random.cells.forEach((other, j) => {
      if (other === cell) return;
      const [dx, dy] = [(i % 12) - (j % 12), Math.floor(i / 12) - Math.floor(j / 12)];
      nearest = Math.min(nearest, Math.hypot(dx, dy));
    });
    assert.ok(Math.abs(Math.abs(distances[i]!) - (nearest - 0.5)) < 1e-9);
    assert.equal(distances[i]! < 0, cell === 1);
  });
});

test("the nearest painted cell of each cell is found", () => {
  const random = mask((column, row) => (column * 5 + row * 11 + column * row) % 23 < 2, 14);
  const nearest = nearestCells(random);
  const distance = (i: number, j: number): number =>
    Math.hypot((i % 14) - (j % 14), Math.floor(i / 14) - Math.floor(j / 14));
  nearest.forEach((goal, i) => {
    assert.equal(random.cells[goal], 1);
    random.cells.forEach((cell, j) => assert.ok(!cell || distance(i, goal) <= distance(i, j)));
  });
});

test("gaps over more than twelve slices are left open", () => {
  const painted = Array.from({ length: 40 }, (_, slice) => [2, 3, 11, 24, 38].includes(slice));
  assert.deepEqual(gapsIn(painted), [
    { before: 3, after: 11 },
    { before: 11, after: 24 },
  ]);
});

test("between two rings lies a ring, although they do not overlap", () => {
  const [middle] = between(new Outline(ring(6)), new Outline(ring(12)), 1);
  assert.ok(dice(middle!.cells, ring(9).cells) > 0.85);
  assert.ok(holesOf(middle!).cells[16 * SIDE + 16]);
});

test("between two rings apart lies a ring on the way", () => {
  const [middle] = between(new Outline(ring(4, 7, 8)), new Outline(ring(4, 23, 20)), 1);
  assert.ok(dice(middle!.cells, ring(4, 15, 14).cells) > 0.9);
});

test("between two discs apart lies a disc on the way", () => {
  const [first, middle] = between(new Outline(disc(3, 6, 8)), new Outline(disc(3, 24, 20)), 3);
  assert.ok(dice(middle!.cells, disc(3, 15, 14).cells) > 0.9);
  assert.ok(dice(first!.cells, disc(3, 11, 11).cells) > 0.8);
});

test("between two arcs of a sheet that leans lies as much sheet, not less", () => {
  const arc = (shift: number): Mask =>
    mask(
      (column, row) => Math.abs(row - 10 - shift - column / 8) <= 1 && column > 3 && column < 28,
    );
  const [middle] = between(new Outline(arc(0)), new Outline(arc(8)), 1);
  assert.ok(Math.abs(count(middle!.cells) - count(arc(4).cells)) < 0.2 * count(arc(4).cells));
  assert.ok(dice(middle!.cells, arc(4).cells) > 0.8);
});

test("a sheet whose slices meet at one end alone stays whole at the other", () => {
  const arc = (slope: number): Mask =>
    mask((column, row) => Math.abs(row - 6 - column * slope) <= 1 && column > 3 && column < 28);
  const [middle] = between(new Outline(arc(0)), new Outline(arc(0.4)), 1);
  const columns = new Set(
    [...middle!.cells.keys()].filter((i) => middle!.cells[i]).map((i) => i % SIDE),
  );
  assert.ok(columns.size >= 23, `${columns.size} of 24 columns`);
});

test("a vesicle painted on every eighth slice closes", () => {
  const isShell = (z: number, y: number, x: number): boolean =>
    Math.abs(Math.hypot(z - 12, y - 16, x - 16) - 11) <= 1.5;
  const whole = volumeOf((z, y, x) => z >= 4 && z <= 20 && isShell(z, y, x));
  const painted = volumeOf((z, y, x) => [4, 12, 20].includes(z) && isShell(z, y, x));
  assert.ok(dice(afterEdit(painted, "interpolate"), whole) > 0.7);
  const near = surfaceDice(afterEdit(painted, "interpolate"), whole);
  assert.ok(near >= 0.9, `surface Dice ${near}`);
});

const STEPS = Array.from({ length: 27 }, (_, i) => {
  const [dz, dy, dx] = [Math.floor(i / 9) - 1, (Math.floor(i / 3) % 3) - 1, (i % 3) - 1];
  return (dz * SIDE + dy) * SIDE + dx;
});

/** The share of voxels of each that have one of the other within a voxel. */
function surfaceDice(a: Uint8Array, b: Uint8Array): number {
  const hasNear = (voxels: Uint8Array, i: number): boolean =>
    STEPS.some((step) => voxels[i + step]);
  const share = (from: Uint8Array, to: Uint8Array): number[] =>
    [...from.keys()].filter((i) => from[i]).map((i) => Number(hasNear(to, i)));
  const near = [...share(a, b), ...share(b, a)];
  return near.reduce((sum, value) => sum + value, 0) / near.length;
}

test("interpolation works across each axis and leaves painted slices as they are", () => {
  for (const axis of [0, 1, 2] as Axis[]) {
    const at = (z: number, y: number, x: number): number => [z, y, x][axis]!;
    const painted = volumeOf(
      (z, y, x) => [8, 14].includes(at(z, y, x)) && Math.abs(Math.hypot(z, y, x) - 20) < 3,
    );
    const made = afterEdit(painted, "interpolate", axis);
    painted.forEach((cell, i) => assert.ok(!cell || made[i]));
    const between11 = volumeOf((z, y, x) => at(z, y, x) === 11);
    assert.ok(made.some((cell, i) => cell && between11[i]));
  }
});

test("growing and shrinking move the surface by one voxel, and undo each other on a block", () => {
  const block = volumeOf((z, y, x) => z >= 8 && z < 14 && y >= 8 && y < 14 && x >= 8 && x < 14);
  assert.equal(count(afterEdit(block, "grow")), 6 ** 3 + 6 * 36);
  assert.equal(count(afterEdit(block, "shrink")), 4 ** 3);
  assert.deepEqual(afterEdit(afterEdit(block, "grow"), "shrink"), block);
});

test("smoothing takes a single voxel away and fills a single dent", () => {
  const isBlock = (z: number, y: number, x: number): boolean =>
    z >= 6 && z < 16 && y >= 6 && y < 16 && x >= 6 && x < 16;
  const rough = volumeOf((z, y, x) => isBlock(z, y, x) !== (z === 10 && y === 10 && x === 6));
  rough[(2 * SIDE + 2) * SIDE + 2] = 1;
  const made = afterEdit(rough, "smooth");
  assert.equal(made[(2 * SIDE + 2) * SIDE + 2], 0);
  assert.equal(made[(10 * SIDE + 10) * SIDE + 6], 1);
});

test("small holes of a slice are filled, the inside of a vesicle is not", () => {
  const isRing = (y: number, x: number): boolean => Math.abs(Math.hypot(y - 16, x - 16) - 10) <= 2;
  const hole = (y: number, x: number): boolean => y === 16 && (x === 26 || x === 25);
  const made = afterEdit(
    volumeOf((z, y, x) => z === 9 && isRing(y, x) && !hole(y, x)),
    "fillHoles",
  );
  assert.equal(made[(9 * SIDE + 16) * SIDE + 26], 1);
  assert.equal(made[(9 * SIDE + 16) * SIDE + 16], 0);
});

test("nothing painted is nothing edited", () => {
  assert.equal(edited(new Uint8Array(24 * SIDE * SIDE), VOLUME, 1, "smooth", 0), null);
});

test("a slab is the mean of the slices around, as far as there are any", () => {
  const grid = new Grid([4, 3, 2], 0);
  const volume = Uint8Array.from({ length: 24 }, (_, i) => Math.floor(i / 6) * 10);
  assert.deepEqual([...slabPlane(volume, grid, 0, 1, 3)], Array(6).fill(10));
  assert.deepEqual([...slabPlane(volume, grid, 0, 0, 3)], Array(6).fill(5));
  assert.deepEqual([...slabPlane(volume, grid, 0, 2, 1)], Array(6).fill(20));
});

test("smoothed gray weighs a voxel and what is around it", () => {
  const volume = new Uint8Array(27).fill(9);
  assert.deepEqual([...smoothed(volume, [3, 3, 3])], [...volume]);
  volume[13] = 36;
  assert.equal(smoothed(volume, [3, 3, 3])[13], 13);
});

test("only what is darker than the threshold is painted", () => {
  const gray = Uint8Array.from([10, 99, 100, 200]);
  const canvas = { inside: new Uint8Array(4).fill(1), predicted: new Uint8Array(4) };
  const drawing = new Drawing(canvas);
  for (let i = 0; i < 4; i++) drawing.paint(i, 1, "anywhere", { gray, darkerThan: 100 });
  assert.deepEqual([...drawing.voxels], [1, 1, 0, 0]);
  assert.equal(drawing.blocked.bright, 2);
  for (let i = 0; i < 4; i++) drawing.paint(i, 0, "anywhere", { gray, darkerThan: 0 });
  assert.deepEqual([...drawing.voxels], [0, 0, 0, 0]);
});
