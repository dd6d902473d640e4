import assert from "node:assert/strict";
import { test } from "node:test";
import type { Zyx } from "../src/planes/geometry.ts";
import { HeatPicture } from "../src/viewer/heat.ts";
import { decisionOf, type Proposed } from "../src/viewer/proposed.ts";

const key = (name: string, held = {}) => ({
  key: name,
  shiftKey: false,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  ...held,
});
const place = {
  id: 7,
  center: [90, 100, 110] as Zyx,
  start: [10, 20, 30] as Zyx,
  stop: [170, 180, 190] as Zyx,
  label: "7",
  reason: "because",
  pins: [],
};
const proposed: Proposed = { places: [place], focus: 7, mayDecide: true };

test("j, y and n decide about the place in focus, and are the planes' own keys without one", () => {
  assert.equal(decisionOf(key("j"), proposed), "next");
  assert.equal(decisionOf(key("y"), proposed), "accept");
  assert.equal(decisionOf(key("n"), proposed), "nothing_wrong");
  assert.equal(decisionOf(key("n", { ctrlKey: true }), proposed), null);
  for (const letter of "jyn") {
    assert.equal(decisionOf(key(letter), { ...proposed, focus: null }), null);
    assert.equal(decisionOf(key(letter), { ...proposed, focus: 8 }), null);
  }
});

test("who may not decide may go on to the next place", () => {
  const looking = { ...proposed, mayDecide: false };
  assert.equal(decisionOf(key("j"), looking), "next");
  assert.equal(decisionOf(key("y"), looking), null);
});

test("a plane of heat has the cells that the plane cuts", () => {
  const shape: Zyx = [2, 3, 4];
  const values = Uint8Array.from({ length: 24 }, (_, i) => i * 10);
  const heat = new HeatPicture({
    channel: "missed",
    cell: 16,
    shape,
    values: btoa(String.fromCharCode(...values)),
  });
  const alphas = (axis: 0 | 1 | 2, index: number): number[] =>
    [...heat.pixels(axis, index)].filter((_, i) => i % 4 === 3);
  const expected = (cells: number[]): number[] => [
    ...Uint8ClampedArray.from(cells.map((cell) => values[cell]! * 0.6)),
  ];
  assert.deepEqual(alphas(0, 1), expected([12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]));
  assert.deepEqual(alphas(1, 2), expected([8, 9, 10, 11, 20, 21, 22, 23]));
  assert.deepEqual(alphas(2, 3), expected([3, 7, 11, 15, 19, 23]));
});
