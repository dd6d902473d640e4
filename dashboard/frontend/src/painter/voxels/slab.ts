// Averages over neighbouring voxels: slabs to look at, and smoothed gray to compare with.

import type { Axis, Zyx } from "../../planes/geometry.ts";
import { cut, type Grid } from "./grid.ts";
import { forEachPair, forEachRim } from "./morphology.ts";

export const SLABS = [1, 3, 5, 9] as const; // slices that are averaged
export type Slab = (typeof SLABS)[number];

/** A plane as the mean of so many slices around it, as far as the volume goes. */
export function slabPlane(
  volume: Uint8Array,
  grid: Grid,
  axis: Axis,
  slice: number,
  slices: number,
): Uint8Array {
  if (slices === 1) return cut(volume, grid.plane(axis, slice));
  const half = Math.floor(slices / 2);
  const first = Math.max(slice - half, 0);
  const last = Math.min(slice + half, grid.shape[axis] - 1);
  const { rows, columns, rowStep, columnStep } = grid.plane(axis, 0);
  const sums = new Uint16Array(rows * columns);
  for (let layer = first; layer <= last; layer++) {
    const start = layer * grid.strides[axis];
    for (let row = 0, i = 0; row < rows; row++) {
      let voxel = start + row * rowStep;
      for (let column = 0; column < columns; column++, i++, voxel += columnStep) {
        sums[i]! += volume[voxel]!;
      }
    }
  }
  const count = last - first + 1;
  return Uint8Array.from(sums, (sum) => Math.round(sum / count));
}

/** Each voxel with half the weight of its neighbours along each axis (1 2 1): noise does not decide
 * alone. At the rim a voxel stands for its missing neighbour. */
export function smoothed(volume: Uint8Array, shape: Zyx): Uint8Array {
  let from = volume;
  for (const axis of [0, 1, 2] as const) from = smoothedAlong(from, shape, axis);
  return from;
}

function smoothedAlong(volume: Uint8Array, shape: Zyx, axis: Axis): Uint8Array {
  const sums = new Uint16Array(volume.length);
  for (let i = 0; i < sums.length; i++) sums[i] = volume[i]! * 2 + 2;
  forEachPair(shape, axis, (voxel, next) => {
    sums[voxel]! += volume[next]!;
    sums[next]! += volume[voxel]!;
  });
  forEachRim(shape, axis, (voxel) => {
    sums[voxel]! += volume[voxel]!;
  });
  const out = new Uint8Array(volume.length);
  for (let i = 0; i < out.length; i++) out[i] = sums[i]! >> 2;
  return out;
}
