import assert from "node:assert/strict";
import { test } from "node:test";
import { byPercentile, dragged, table } from "../src/planes/contrast.ts";
import { scaleBar } from "../src/planes/marks.ts";
import { edgeOf, outline, voxelsOf } from "../src/planes/masks.ts";
import { parseColor } from "../src/planes/palette.ts";
import { compose } from "../src/viewer/compose.ts";
import { Shelf, unpack } from "../src/viewer/slices.ts";

const square = (side: number, from: number, to: number): Uint8Array =>
  Uint8Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [i % side, Math.floor(i / side)];
    return x >= from && x < to && y >= from && y < to ? 1 : 0;
  });

test("an outline is the edge of a mask, and thicker ones reach inside", () => {
  const mask = square(12, 2, 10);
  const count = (thick: number): number => edgeOf(mask, 12, 12, thick).length;
  assert.equal(count(1), 28);
  assert.equal(count(2), 28 + 20);
  assert.equal(count(4), 64);
  assert.equal(count(9), 64);
});

test("a mask at the picture's rim is outlined there", () => {
  assert.deepEqual([...outline(new Uint8Array(9).fill(1), 3, 3)], [1, 1, 1, 1, 0, 1, 1, 1, 1]);
});

test("gray goes through the contrast, and masks are blended over it", () => {
  const words = compose(
    new Uint8Array([0, 128, 255]),
    table({ black: 0, white: 255 }),
    [{ voxels: new Uint32Array([2]), rgb: [86, 180, 233] }],
    1,
  );
  const bytes = new Uint8Array(words.buffer);
  assert.deepEqual([...bytes.slice(0, 8)], [0, 0, 0, 255, 128, 128, 128, 255]);
  assert.deepEqual([...bytes.slice(8)], [86, 180, 233, 255]);
});

test("half opacity is half way between gray and colour", () => {
  const words = compose(
    new Uint8Array([100]),
    table({ black: 0, white: 255 }),
    [{ voxels: new Uint32Array([0]), rgb: [200, 0, 100] }],
    0.5,
  );
  assert.deepEqual([...new Uint8Array(words.buffer)], [150, 50, 100, 255]);
});

test("black and white lie at the percentiles", () => {
  const histogram = new Array<number>(256).fill(0);
  histogram[10] = 1;
  histogram[100] = 98;
  histogram[200] = 1;
  assert.deepEqual(byPercentile(histogram, 0.5), { black: 10, white: 200 });
  assert.deepEqual(byPercentile([], 0.5), { black: 0, white: 255 });
  assert.deepEqual(byPercentile(new Array<number>(256).fill(0), 1), { black: 0, white: 255 });
});

test("dragging far never turns the scale over", () => {
  let contrast = { black: 0, white: 255 };
  for (let i = 0; i < 100; i++) contrast = dragged(contrast, 3, -50);
  assert.ok(contrast.white - contrast.black >= 3.99);
  const words = table(contrast);
  assert.ok(words.every((word) => word >>> 24 === 255));
});

test("a scale bar is of a round length and fits", () => {
  const bar = scaleBar(10, 0.5, 200);
  assert.equal(bar.nanometers, 200);
  assert.equal(bar.pixels, 100);
  assert.ok(scaleBar(13.7, 0.31, 150).pixels <= 150);
});

test("a colour is its three bytes", () =>
  assert.deepEqual(parseColor("#56B4E9"), [0x56, 0xb4, 0xe9]));

test("the least recently used slices leave first", () => {
  const shelf = new Shelf<string>(30);
  for (const key of ["a", "b", "c"]) shelf.put(key, key, 10);
  shelf.get("a");
  shelf.put("d", "d", 10);
  assert.deepEqual(
    ["a", "b", "c", "d"].filter((key) => shelf.has(key)),
    ["a", "c", "d"],
  );
});

test("packed bits become a mask, row by row", () => {
  const { values } = unpack(new Uint8Array([0b10000001, 0b01000000, 0, 0b11000000]), 10, 2);
  assert.deepEqual([...values], [1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
});

test("the voxels of a mask are found wherever they lie", () => {
  const mask = new Uint8Array(11);
  mask.set([1, 0, 0, 255, 0, 0, 0, 0, 0, 1, 1]);
  assert.deepEqual([...voxelsOf(mask)], [0, 3, 9, 10]);
});
