import assert from "node:assert/strict";
import { test } from "node:test";
import { dragKind, pinchStep, WheelSteps } from "../src/planes/gestures.ts";
import { placeIn } from "../src/planes/three_planes.ts";

const wheel = (deltaY: number, more = {}): Parameters<WheelSteps["add"]>[0] => ({
  deltaX: 0,
  deltaY,
  shiftKey: false,
  ...more,
});

test("a notch of the wheel is one slice, and with Shift ten, also where Shift turns it sideways", () => {
  const steps = new WheelSteps();
  assert.equal(steps.add(wheel(100)), 1);
  assert.equal(steps.add(wheel(-120)), -1);
  assert.equal(steps.add(wheel(100, { shiftKey: true })), 10);
  assert.equal(steps.add({ deltaX: -100, deltaY: 0, shiftKey: true }), -10);
});

test("many small steps of a touchpad add up to a slice", () => {
  const steps = new WheelSteps();
  const moved = Array.from({ length: 10 }, () => steps.add(wheel(12)));
  assert.equal(
    moved.reduce((sum, slices) => sum + slices, 0),
    2,
  );
});

test("the right button is contrast, the middle one or Space pans, Shift moves the cross", () => {
  assert.equal(dragKind({ button: 0, shiftKey: false }, false), "primary");
  assert.equal(dragKind({ button: 0, shiftKey: true }, false), "cross");
  assert.equal(dragKind({ button: 0, shiftKey: false }, true), "pan");
  assert.equal(dragKind({ button: 1, shiftKey: false }, false), "pan");
  assert.equal(dragKind({ button: 2, shiftKey: true }, false), "contrast");
  assert.equal(dragKind({ button: 4, shiftKey: false }, false), null);
});

test("two fingers that part zoom about their middle, and pan with it", () => {
  const step = pinchStep(
    [
      { x: 100, y: 100 },
      { x: 200, y: 100 },
    ],
    [
      { x: 60, y: 120 },
      { x: 260, y: 120 },
    ],
  );
  assert.deepEqual(step, { factor: 2, at: { x: 160, y: 120 }, dx: 10, dy: 20 });
});

test("two fingers at one place do not zoom", () => {
  const place = { x: 5, y: 5 };
  assert.equal(pinchStep([place, place], [place, { x: 9, y: 5 }]).factor, 1);
});

test("a typed place is x, y, z, kept inside the volume", () => {
  assert.deepEqual(placeIn("1, 2, 3", [10, 20, 30]), [3, 2, 1]);
  assert.deepEqual(placeIn(" 99 99;99 ", [10, 20, 30]), [9, 19, 29]);
  for (const text of ["", "1, 2", "1, 2, 3, 4", "a, b, c"]) {
    assert.equal(placeIn(text, [10, 20, 30]), null);
  }
});
