import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { sha256InScript } from "../src/painter/patch/checksum.ts";
import { labelTint, palette, stateTints } from "../src/painter/pictures/views.ts";
import { Tour } from "../src/painter/tour.ts";
import { ADD, BITS, IGNORE, type Kind, NOTHING, REMOVE } from "../src/painter/types.ts";
import {
  type Brush,
  cellOf,
  forEachStrokeVoxel,
  forEachVoxel,
  line,
  section,
  tip,
} from "../src/painter/voxels/brush.ts";
import {
  connectedComponent,
  connectedComponents,
  middleVoxel,
} from "../src/painter/voxels/component_fill.ts";
import { apply, between, changedVoxels, inverse } from "../src/painter/voxels/diff.ts";
import { Drawing, History } from "../src/painter/voxels/drawing.ts";
import { cut, Grid } from "../src/painter/voxels/grid.ts";
import { filled } from "../src/painter/voxels/polygon.ts";
import { drawingOf, MERGED, Result } from "../src/painter/voxels/result.ts";
import type { Axis, Zyx } from "../src/planes/geometry.ts";
import { codeOf } from "../src/volume3d/nifti.ts";

const SHAPE: Zyx = [12, 14, 16];
const SIZE = 12 * 14 * 16;
const BORDER = 2;

function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}

function noise(seed: number, values: number, size = SIZE): Uint8Array<ArrayBuffer> {
  const next = random(seed);
  return Uint8Array.from({ length: size }, () => Math.floor(next() * values));
}

function ready(label = new Uint8Array(SIZE)): { grid: Grid; drawing: Drawing } {
  const grid = new Grid(SHAPE, BORDER);
  return { grid, drawing: new Drawing({ inside: grid.inside, predicted: label }) };
}

test("what is painted at a place in a plane is the voxel (z, y, x) of that place, in each plane", () => {
  const at: Zyx = [5, 6, 7];
  const expected: Zyx[] = [
    [5, 3, 4],
    [3, 6, 4],
    [3, 4, 7],
  ];
  for (const axis of [0, 1, 2] as Axis[]) {
    const { grid } = ready();
    const hit: number[] = [];
    forEachVoxel(grid, axis, at, 0, [{ column: 4, row: 3 }], (voxel) => hit.push(voxel));
    assert.deepEqual(hit, [grid.index(...expected[axis]!)]);
  }
});

test("a plane that is cut out holds at (row, column) the voxels of that place", () => {
  const { grid } = ready();
  const volume = Uint8Array.from({ length: SIZE }, (_, i) => i % 251);
  const plane = cut(volume, grid.plane(2, 7));
  assert.equal(plane[3 * 14 + 4], volume[grid.index(3, 4, 7)]);
});

test("a brush through slices stops at the patch", () => {
  const { grid } = ready();
  const slices = new Set<number>();
  forEachVoxel(grid, 0, [1, 5, 5], 3, [{ column: 5, row: 5 }], (voxel) =>
    slices.add(Math.floor(voxel / (14 * 16))),
  );
  assert.deepEqual([...slices], [0, 1, 2, 3, 4]);
});

const disc = (size: number, through = 0): Brush => ({ size, through, isBall: false });
const ball = (size: number): Brush => ({ size, through: 0, isBall: true });

test("discs are round, and of their size", () => {
  assert.equal(tip(disc(1), 0).length, 1);
  assert.equal(tip(disc(2), 0).length, 4);
  assert.equal(tip(disc(3), 0).length, 9);
  for (const size of [4, 5, 9, 15]) {
    const columns = tip(disc(size), 0).map((cell) => cell.column);
    assert.equal(Math.max(...columns) - Math.min(...columns) + 1, size);
  }
});

test("a ball is as deep as it is wide, and the same in every plane", () => {
  const { grid } = ready();
  const at: Zyx = [6, 7, 8];
  const painted = [0, 1, 2].map((axis) => {
    const cell = [
      { column: 8, row: 7 },
      { column: 8, row: 6 },
      { column: 7, row: 6 },
    ][axis]!;
    const voxels = new Set<number>();
    forEachStrokeVoxel(grid, axis as Axis, at, [cell, cell], ball(5), (voxel) => voxels.add(voxel));
    return [...voxels].sort((a, b) => a - b);
  });
  assert.deepEqual(painted[1], painted[0]);
  assert.deepEqual(painted[2], painted[0]);
  const slices = new Set(painted[0]!.map((voxel) => Math.floor(voxel / (14 * 16))));
  assert.deepEqual([...slices], [4, 5, 6, 7, 8]);
});

test("a brush is drawn in the other planes where it cuts them", () => {
  const brush = disc(5, 2);
  const inOtherPlane = section(brush, 0, 1, 0); // XZ, through the middle of a brush in XY
  const rows = inOtherPlane.map((cell) => cell.row);
  const columns = inOtherPlane.map((cell) => cell.column);
  assert.deepEqual([Math.min(...rows), Math.max(...rows)], [-2, 2]);
  assert.deepEqual([Math.min(...columns), Math.max(...columns)], [-2, 2]);
  assert.deepEqual(section(brush, 0, 1, 3), []);
  assert.deepEqual(section(brush, 0, 0, 1), tip(brush, 0));
  assert.deepEqual(section(brush, 0, 0, 3), []);
});

test("a line leaves no gap, and ends where it is told", () => {
  const cells = line({ column: 1, row: 2 }, { column: 9, row: 5 });
  assert.deepEqual(cells[0], { column: 1, row: 2 });
  assert.deepEqual(cells.at(-1), { column: 9, row: 5 });
  cells.slice(1).forEach((cell, i) => {
    assert.ok(
      Math.abs(cell.column - cells[i]!.column) <= 1 && Math.abs(cell.row - cells[i]!.row) <= 1,
    );
  });
});

test("a point between two voxels belongs to the one it lies in", () => {
  assert.deepEqual(cellOf({ column: 3.999, row: 4.0 }), { column: 3, row: 4 });
});

test("a stroke is a diff that can be taken back and done again", () => {
  const { grid, drawing } = ready();
  const before = drawing.voxels.slice();
  const way = [
    { column: 4, row: 5 },
    { column: 10, row: 8 },
  ] as const;
  forEachStrokeVoxel(grid, 0, [5, 5, 5], way, disc(3, 1), (voxel) =>
    drawing.paint(voxel, ADD, "anywhere"),
  );
  const diff = drawing.finish()!;
  const after = drawing.voxels.slice();
  const history = new History();
  history.add(diff);
  history.undo(drawing.voxels);
  assert.deepEqual(drawing.voxels, before);
  history.redo(drawing.voxels);
  assert.deepEqual(drawing.voxels, after);
  assert.equal(
    changedVoxels(diff),
    after.reduce((sum, kind) => sum + Number(kind === ADD), 0),
  );
});

test("diffs between random drawings lead there and back", () => {
  const [a, b] = [noise(1, 4), noise(2, 4)];
  const diff = between(a, b);
  const there = a.slice();
  apply(diff, there);
  assert.deepEqual(there, b);
  apply(inverse(diff), there);
  assert.deepEqual(there, a);
});

test("a stroke that is cancelled leaves nothing", () => {
  const { grid, drawing } = ready();
  drawing.voxels[grid.index(5, 5, 5)] = REMOVE;
  const before = drawing.voxels.slice();
  for (let x = 3; x < 9; x++) drawing.paint(grid.index(5, 5, x), ADD, "anywhere");
  drawing.cancel();
  assert.deepEqual(drawing.voxels, before);
  assert.equal(drawing.finish(), null);
});

test("a stroke knows why voxels were not painted", () => {
  const label = new Uint8Array(SIZE);
  const { grid, drawing } = ready(label);
  label[grid.index(5, 5, 5)] = 1;
  drawing.paint(grid.index(0, 5, 5), ADD, "outside prediction");
  drawing.paint(grid.index(5, 5, 5), ADD, "outside prediction");
  assert.deepEqual(drawing.blocked, { border: 1, place: 1, bright: 0 });
  drawing.finish();
  assert.deepEqual(drawing.blocked, { border: 0, place: 0, bright: 0 });
});

test("a voxel painted twice in one stroke is told with what it was before the stroke", () => {
  const { grid, drawing } = ready();
  const voxel = grid.index(5, 5, 5);
  drawing.paint(voxel, ADD, "anywhere");
  drawing.paint(voxel, IGNORE, "anywhere");
  assert.deepEqual([...drawing.finish()!], [voxel, 1, IGNORE << 8]);
  drawing.paint(voxel, NOTHING, "anywhere");
  drawing.paint(voxel, IGNORE, "anywhere");
  assert.equal(drawing.finish(), null);
});

test("nothing can be painted in the border, but it can be erased there", () => {
  const { grid, drawing } = ready();
  const voxel = grid.index(1, 5, 5);
  drawing.paint(voxel, ADD, "anywhere");
  assert.equal(drawing.finish(), null);
  drawing.voxels[voxel] = ADD;
  drawing.paint(voxel, NOTHING, "on prediction");
  assert.equal(drawing.voxels[voxel], NOTHING);
});

test("only on prediction and only outside prediction paint just there", () => {
  const label = noise(3, 2);
  for (const [where, value] of [
    ["on prediction", 1],
    ["outside prediction", 0],
  ] as const) {
    const { grid, drawing } = ready(label);
    for (let i = 0; i < SIZE; i++) drawing.paint(i, REMOVE, where);
    drawing.voxels.forEach((kind, i) =>
      assert.equal(kind === REMOVE, Boolean(grid.inside[i]) && label[i] === value),
    );
  }
});

test("the history forgets the oldest strokes when they take too much memory", () => {
  const history = new History([], 60);
  const voxels = new Uint8Array(10);
  for (let i = 0; i < 8; i++)
    history.add(
      between(
        voxels,
        voxels.map((_, j) => Number(j === i)),
      ),
    );
  let taken = 0;
  while (history.undo(voxels)) taken++;
  assert.equal(taken, 5);
});

test("a new stroke forgets what could have been redone", () => {
  const history = new History();
  const voxels = new Uint8Array(4);
  history.add(new Int32Array([0, 1, ADD << 8]));
  history.undo(voxels);
  history.add(new Int32Array([1, 1, ADD << 8]));
  assert.equal(history.canRedo, false);
});

test("an outline fills what it encloses, and its line", () => {
  const square = [
    { column: 2.5, row: 2.5 },
    { column: 6.5, row: 2.5 },
    { column: 6.5, row: 6.5 },
    { column: 2.5, row: 6.5 },
  ];
  assert.equal(filled(square).length, 25);
  assert.equal(filled([{ column: 3.2, row: 3.2 }]).length, 1);
  assert.deepEqual(filled([]), []);
});

test("an outline that crosses itself leaves no cell outside its box", () => {
  const next = random(9);
  const points = Array.from({ length: 12 }, () => ({
    column: 3 + 6 * next(),
    row: 2 + 5 * next(),
  }));
  for (const { column, row } of filled(points))
    assert.ok(column >= 3 && column < 9 && row >= 2 && row < 7);
});

test("one click takes one piece: corners touch, other pieces stay", () => {
  const { grid } = ready();
  const label = new Uint8Array(SIZE);
  const piece = [grid.index(3, 3, 3), grid.index(4, 4, 4), grid.index(4, 4, 5)];
  for (const voxel of [...piece, grid.index(8, 8, 8)]) label[voxel] = 1;
  assert.deepEqual(
    [...connectedComponent(label, SHAPE, piece[1]!)].sort((a, b) => a - b),
    piece,
  );
});

test("all pieces are found, and each leads to a voxel of its own near its middle", () => {
  const { grid } = ready();
  const label = new Uint8Array(SIZE);
  const ring = [
    [2, 2],
    [2, 3],
    [2, 4],
    [3, 4],
    [4, 4],
    [4, 3],
    [4, 2],
    [3, 2],
  ] as const;
  for (const [y, x] of ring) label[grid.index(6, y, x)] = 1;
  label[grid.index(9, 9, 9)] = 1;
  const pieces = connectedComponents(label, SHAPE, 1);
  assert.deepEqual(
    pieces.map((piece) => piece.length),
    [8, 1],
  );
  const [z, y, x] = middleVoxel(pieces[0]!, SHAPE);
  assert.equal(label[grid.index(z, y, x)], 1);
  assert.deepEqual(middleVoxel(pieces[1]!, SHAPE), [9, 9, 9]);
});

test("a tour goes around, and says where it is", () => {
  const reports: unknown[] = [];
  const places = [
    { at: [1, 1, 1] as const, voxels: 3 },
    { at: [2, 2, 2] as const, voxels: 9 },
  ];
  const tour = new Tour(
    { go: (at) => reports.push(at[0]), say: (text) => reports.push(text) },
    "piece",
    () => places,
  );
  for (let i = 0; i < 3; i++) tour.next();
  assert.deepEqual(
    reports.filter((word) => typeof word === "number"),
    [1, 2, 1],
  );
  assert.equal(reports.at(-1), "piece 1 of 2, 3 voxels");
  new Tour(
    { go: () => assert.fail(), say: (text) => reports.push(text) },
    "piece",
    () => [],
  ).next();
  assert.equal(reports.at(-1), "There is no piece.");
});

test("a piece does not go around the edge of a row", () => {
  const { grid } = ready();
  const label = new Uint8Array(SIZE);
  label[grid.index(3, 3, 15)] = label[grid.index(3, 4, 0)] = 1;
  assert.equal(connectedComponent(label, SHAPE, grid.index(3, 3, 15)).length, 1);
});

/** The rule of the core, said again in the plainest way. */
function mergedPlainly(inside: Uint8Array, label: Uint8Array, claims: Uint8Array): Uint8Array {
  return label.map((was, i) => {
    if (!inside[i] || claims[i]! & 4) return 2;
    if (claims[i]! & 1) return 1;
    return claims[i]! & 2 ? 0 : was;
  });
}

test("the live result is the merge, and follows strokes without looking at the rest", () => {
  const label = noise(4, 3);
  const others = [noise(5, 8), noise(6, 8)];
  const { grid, drawing } = ready(label);
  const result = new Result(grid.inside, label);
  result.recount(others, drawing.voxels);
  const next = random(7);
  for (let step = 0; step < 20; step++) {
    for (let i = 0; i < 300; i++)
      drawing.paint(Math.floor(next() * SIZE), Math.floor(next() * 4) as Kind, "anywhere");
    const diff = drawing.finish();
    if (diff) result.follow(diff);
  }
  const followed = result.counts();
  const claims = drawing.voxels.map(
    (kind, i) => BITS[kind as Kind]! | others[0]![i]! | others[1]![i]!,
  );
  const merged = mergedPlainly(grid.inside, label, claims);
  assert.deepEqual(result.label(drawing.voxels), merged);
  assert.equal(followed.membrane, merged.filter((value) => value === 1).length);
  assert.equal(
    followed.contested,
    claims.filter((c, i) => grid.inside[i] && [3, 5, 6, 7].includes(c)).length,
  );
  result.recount(others, drawing.voxels);
  assert.deepEqual(result.counts(), followed);
});

test("continuing the work of others leaves the merged label as it was", () => {
  const label = noise(8, 3);
  const others = [noise(9, 8), noise(10, 8), noise(11, 8)];
  const { grid } = ready(label);
  const before = new Result(grid.inside, label);
  const empty = new Uint8Array(SIZE);
  before.recount(others, empty);
  const joined = drawingOf(others, SIZE);
  const after = new Result(grid.inside, label);
  after.recount([], joined);
  assert.deepEqual(after.label(joined), before.label(empty));
});

test("in every state the border is ignore", () => {
  MERGED.forEach((value, state) => assert.ok(state & 32 || value === 2));
});

test("views tint what they are about", () => {
  const colors = {
    prediction: "#56B4E9",
    add: "#009E73",
    remove: "#D55E00",
    ignore: "#CC79A7",
    selected: "#F0E442",
    warning: "#E69F00",
  };
  const tints = palette(colors);
  const states = stateTints("corrections", tints);
  assert.deepEqual(states[32 | BITS[ADD]], tints.kinds[ADD]);
  assert.deepEqual(states[32 | BITS[ADD] | BITS[REMOVE]], tints.warning);
  assert.deepEqual(states[BITS[ADD]], tints.warning);
  assert.deepEqual(labelTint("difference", 1, 0, tints), tints.kinds[REMOVE]);
  assert.deepEqual(labelTint("difference", 0, 1, tints), tints.kinds[ADD]);
  assert.deepEqual(labelTint("before", 1, 0, tints), tints.membrane);
  assert.equal(labelTint("after", 1, 0, tints)[3], 0);
});

test("sha256 in script is sha256, at every length around a block", () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 1000]) {
    const bytes = noise(length + 1, 256, length);
    assert.equal(sha256InScript(bytes), createHash("sha256").update(bytes).digest("hex"));
  }
});

test("the 3D view tells kept, added, removed and ignored membrane apart, and leaves out the border", () => {
  assert.deepEqual(
    [codeOf(1, 1), codeOf(0, 1), codeOf(1, 0), codeOf(1, 2), codeOf(2, 2), codeOf(0, 0)],
    [1, 2, 3, 4, 0, 0],
  );
});
