// Grow, shrink and smooth one kind of one's own paint, in the box around it.

import type { Axis, Zyx } from "../../planes/geometry.ts";

/** Part of a volume as 0 and 1, x fastest. */
export interface Block {
  start: Zyx;
  shape: Zyx;
  cells: Uint8Array;
}

const MAJORITY = 14; // of 27

/** The box around a kind's voxels and some voxels more; null where there is none. */
export function blockOf(
  voxels: Uint8Array,
  shape: Zyx,
  kind: number,
  margin: number,
): Block | null {
  const [, height, width] = shape;
  const least: [number, number, number] = [...shape];
  const most: [number, number, number] = [-1, -1, -1];
  for (let i = voxels.indexOf(kind); i >= 0; i = voxels.indexOf(kind, i + 1)) {
    const place = [Math.floor(i / (width * height)), Math.floor(i / width) % height, i % width];
    place.forEach((value, axis) => {
      if (value < least[axis]!) least[axis] = value;
      if (value > most[axis]!) most[axis] = value;
    });
  }
  if (most[0] < 0) return null;
  const start = least.map((value) => Math.max(value - margin, 0)) as unknown as Zyx;
  const stop = most.map((value, axis) => Math.min(value + margin + 1, shape[axis]!));
  const size = stop.map((value, axis) => value - start[axis]!) as unknown as Zyx;
  const block = { start, shape: size, cells: new Uint8Array(size[0] * size[1] * size[2]) };
  forEachCell(block, shape, (cell, voxel) => {
    block.cells[cell] = Number(voxels[voxel] === kind);
  });
  return block;
}

/** Visit the cells of a block with the voxels of the volume that they are. */
export function forEachCell(
  { start, shape }: Block,
  volume: Zyx,
  visit: (cell: number, voxel: number) => void,
): void {
  let cell = 0;
  for (let z = 0; z < shape[0]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      const row = ((z + start[0]) * volume[1] + y + start[1]) * volume[2] + start[2];
      for (let x = 0; x < shape[2]; x++) visit(cell++, row + x);
    }
  }
}

/** One voxel more on every side (6 neighbours). */
export function grow(block: Block): Block {
  return { ...block, cells: overNeighbours(block, (a, b) => a | b) };
}

/** One voxel less on every side; the edge of the volume counts as inside. */
export function shrink(block: Block): Block {
  return { ...block, cells: overNeighbours(block, (a, b) => a & b) };
}

/** What most of the 27 voxels around are: bumps go, dents are filled. */
export function smooth(block: Block): Block {
  let sums = block.cells;
  for (const axis of [0, 1, 2] as const) {
    const from = sums;
    const to = from.slice();
    forEachPair(block.shape, axis, (cell, next) => {
      to[cell]! += from[next]!;
      to[next]! += from[cell]!;
    });
    sums = to;
  }
  return { ...block, cells: sums.map((sum) => Number(sum >= MAJORITY)) };
}

/** Combine each cell with its six neighbours, as far as there are any. */
function overNeighbours(
  { cells, shape }: Block,
  combine: (a: number, b: number) => number,
): Uint8Array {
  const out = cells.slice();
  for (const axis of [0, 1, 2] as const) {
    forEachPair(shape, axis, (cell, next) => {
      out[cell] = combine(out[cell]!, cells[next]!);
      out[next] = combine(out[next]!, cells[cell]!);
    });
  }
  return out;
}

/** Visit each cell with the next one along an axis. */
export function forEachPair(
  shape: Zyx,
  axis: Axis,
  visit: (cell: number, next: number) => void,
): void {
  const stride = stridesOf(shape)[axis];
  const side = shape[axis];
  const size = shape[0] * shape[1] * shape[2];
  for (let start = 0; start < size; start += stride * side) {
    const end = start + stride * (side - 1);
    for (let cell = start; cell < end; cell++) visit(cell, cell + stride);
  }
}

/** Visit the first and the last cell of each line along an axis. */
export function forEachRim(shape: Zyx, axis: Axis, visit: (cell: number) => void): void {
  const stride = stridesOf(shape)[axis];
  const side = shape[axis];
  const size = shape[0] * shape[1] * shape[2];
  for (let start = 0; start < size; start += stride * side) {
    for (let cell = start; cell < start + stride; cell++) {
      visit(cell);
      visit(cell + stride * (side - 1));
    }
  }
}

function stridesOf([, height, width]: Zyx): Zyx {
  return [height * width, width, 1];
}
