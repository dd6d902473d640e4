import assert from "node:assert/strict";
import { test } from "node:test";
import type { Zyx } from "../src/planes/geometry.ts";
import { placeIn, withPlace } from "../src/viewer/address.ts";
import { objection, propose, wayToSave } from "../src/viewer/proposal.ts";
import type { PatchMark } from "../src/viewer/types.ts";

const SHAPE: Zyx = [200, 400, 400];
const patch = (center: Zyx): PatchMark => {
  const { start, stop } = propose(center, SHAPE, 160, []);
  return { name: "TS_patch0", center, start, stop, color: "#ffffff", label: "patch0", note: "" };
};

test("the first and the last legal position are legal", () => {
  for (const center of [
    [80, 80, 80],
    [120, 320, 320],
  ] as Zyx[]) {
    const proposal = propose(center, SHAPE, 160, []);
    assert.equal(proposal.leaves, false);
    assert.equal(wayToSave(proposal), "refuse");
    assert.equal(objection(proposal, SHAPE, 160), null);
  }
});

test("one voxel further leaves the tomogram, and fits when it is shifted", () => {
  const proposal = propose([121, 79, 200], SHAPE, 160, []);
  assert.ok(proposal.leaves);
  assert.deepEqual(proposal.fits, [120, 80, 200]);
  assert.equal(wayToSave(proposal), null);
  assert.match(objection(proposal, SHAPE, 160)!, /leaves the tomogram in y and z/);
});

test("a tomogram that is too thin can only be padded", () => {
  const proposal = propose([50, 200, 200], [100, 400, 400], 160, []);
  assert.equal(wayToSave(proposal), "pad");
  assert.match(objection(proposal, [100, 400, 400], 160)!, /thinner than 160 voxels in z/);
});

test("an overlap is named; boxes that only touch do not overlap", () => {
  const there = patch([100, 120, 120]);
  assert.deepEqual(propose([100, 120, 279], SHAPE, 160, [there]).overlaps, ["TS_patch0"]);
  assert.deepEqual(propose([100, 120, 280], SHAPE, 160, [there]).overlaps, []);
});

test("the address restores plane, place and patch, and keeps what others wrote", () => {
  const search = withPlace("?tomogram=demo%2FTS_001", 2, [3, 2, 1], "demo_TS_001_patch0");
  assert.equal(search, "?tomogram=demo%2FTS_001&plane=YZ&at=1,2,3&patch=demo_TS_001_patch0");
  assert.deepEqual(placeIn(search), { plane: 2, at: [3, 2, 1], patch: "demo_TS_001_patch0" });
  assert.equal(withPlace(search, 0, [0, 0, 0], null), "?tomogram=demo%2FTS_001&plane=XY&at=0,0,0");
});

test("an address that is nonsense names no place", () => {
  for (const search of [
    "",
    "?plane=AB&at=1,2",
    "?at=1,x,3",
    "?at=-1,2,3",
    "?at=1e9,2,3",
    "?at=9999999,1,1",
  ]) {
    const { plane, at } = placeIn(search);
    assert.equal(plane, null);
    assert.equal(at, null);
  }
});
