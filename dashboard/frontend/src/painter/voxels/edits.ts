// What can be done to all of one's paint of one kind at once: each edit gives the kind's voxels anew.

import { type Axis, columnAxis, rowAxis, type Zyx } from "../../planes/geometry.ts";
import type { Mask } from "./distance.ts";
import { between, gapsIn, Outline } from "./interpolate.ts";
import { type Block, blockOf, grow, shrink, smooth } from "./morphology.ts";
import { forEachEmptyRegion } from "./regions.ts";

export type Edit = "interpolate" | "fillHoles" | "smooth" | "grow" | "shrink";
export const EDIT_NAMES: Readonly<Record<Edit, string>> = {
  interpolate: "Interpolate between slices (u)",
  fillHoles: "Fill small holes",
  smooth: "Smooth",
  grow: "Grow by one voxel",
  shrink: "Shrink by one voxel",
};
const MARGIN = 2;
const MOST_HOLE_CELLS = 50; // larger holes in a slice are the inside of something

/** One kind's voxels after an edit, in the box around them; null where nothing is painted. */
export function edited(
  voxels: Uint8Array,
  shape: Zyx,
  kind: number,
  edit: Edit,
  axis: Axis,
): Block | null {
  const block = blockOf(voxels, shape, kind, MARGIN);
  return block && EDITS[edit](block, axis);
}

const EDITS: Readonly<Record<Edit, (block: Block, axis: Axis) => Block>> = {
  interpolate,
  fillHoles,
  smooth,
  grow,
  shrink,
};

/** Fill the gaps between painted slices across an axis. */
function interpolate(block: Block, axis: Axis): Block {
  const made = { ...block, cells: block.cells.slice() };
  const slices = Array.from({ length: block.shape[axis] }, (_, slice) => {
    const mask = maskOf(block, axis, slice);
    return mask.cells.includes(1) ? new Outline(mask) : null;
  });
  for (const { before, after } of gapsIn(slices.map((outline) => outline !== null))) {
    const filled = between(slices[before]!, slices[after]!, after - before - 1);
    filled.forEach((mask, i) => addMask(made, axis, before + 1 + i, mask));
  }
  return made;
}

/** Close small holes of each slice across an axis. */
function fillHoles(block: Block, axis: Axis): Block {
  const made = { ...block, cells: block.cells.slice() };
  for (let slice = 0; slice < block.shape[axis]; slice++) {
    const mask = maskOf(block, axis, slice);
    if (!mask.cells.includes(1)) continue;
    forEachEmptyRegion(mask, (region, isOpen) => {
      if (isOpen || region.length > MOST_HOLE_CELLS) return;
      for (const cell of region) mask.cells[cell] = 1;
    });
    addMask(made, axis, slice, mask);
  }
  return made;
}

function maskOf(block: Block, axis: Axis, slice: number): Mask {
  const [height, width] = [block.shape[rowAxis(axis)], block.shape[columnAxis(axis)]];
  const mask = { width, height, cells: new Uint8Array(width * height) };
  forEachPlaneCell(block, axis, slice, (i, cell) => {
    mask.cells[i] = block.cells[cell]!;
  });
  return mask;
}

function addMask(block: Block, axis: Axis, slice: number, mask: Mask): void {
  forEachPlaneCell(block, axis, slice, (i, cell) => {
    block.cells[cell]! |= mask.cells[i]!;
  });
}

function forEachPlaneCell(
  { shape }: Block,
  axis: Axis,
  slice: number,
  visit: (i: number, cell: number) => void,
): void {
  const strides: Zyx = [shape[1] * shape[2], shape[2], 1];
  const [down, right] = [rowAxis(axis), columnAxis(axis)];
  let i = 0;
  for (let row = 0; row < shape[down]; row++) {
    const start = slice * strides[axis] + row * strides[down];
    for (let column = 0; column < shape[right]; column++)
      visit(i++, start + column * strides[right]);
  }
}
