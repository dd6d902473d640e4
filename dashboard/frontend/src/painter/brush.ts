// The voxels of a pen: a disc in the plane, along a line, through some slices on both sides.

import type { Axis, Zyx } from "../planes/geometry.ts";
import { columnAxis, type PlanePoint, rowAxis } from "../planes/geometry.ts";
import type { Grid } from "./grid.ts";

export const MOST_SIZE = 41;
export const MOST_THROUGH = 20;

/** A place in a plane, in whole voxels. */
export interface Cell {
  column: number;
  row: number;
}

export function cellOf(point: PlanePoint): Cell {
  return { column: Math.floor(point.column), row: Math.floor(point.row) };
}

/** The cells of a disc of a diameter in voxels, around (0, 0). */
export function disc(size: number): Cell[] {
  const radius = size / 2;
  const reach = Math.floor(radius);
  const shift = size % 2 === 0 ? 0.5 : 0; // an even disc has its middle at a corner
  const cells: Cell[] = [];
  for (let row = -reach; row <= reach; row++) {
    for (let column = -reach; column <= reach; column++) {
      if (Math.hypot(row + shift, column + shift) <= radius) cells.push({ column, row });
    }
  }
  return cells;
}

/** Every cell on the way from one to another (Bresenham). */
export function line(from: Cell, to: Cell): Cell[] {
  const cells: Cell[] = [];
  let { column, row } = from;
  const columns = Math.abs(to.column - column);
  const rows = -Math.abs(to.row - row);
  const right = column < to.column ? 1 : -1;
  const down = row < to.row ? 1 : -1;
  let error = columns + rows;
  for (;;) {
    cells.push({ column, row });
    if (column === to.column && row === to.row) return cells;
    const twice = 2 * error;
    if (twice >= rows) {
      error += rows;
      column += right;
    }
    if (twice <= columns) {
      error += columns;
      row += down;
    }
  }
}

/** Visit the voxels of cells of a plane, in it and in so many slices before and behind it. */
export function forEachVoxel(
  grid: Grid,
  axis: Axis,
  at: Zyx,
  through: number,
  cells: Iterable<Cell>,
  visit: (voxel: number) => void,
): void {
  const rows = grid.shape[rowAxis(axis)];
  const columns = grid.shape[columnAxis(axis)];
  const first = Math.max(at[axis] - through, 0);
  const last = Math.min(at[axis] + through, grid.shape[axis] - 1);
  const { rowStep, columnStep } = grid.plane(axis, 0);
  const sliceStep = grid.strides[axis];
  for (const { column, row } of cells) {
    if (column < 0 || row < 0 || column >= columns || row >= rows) continue;
    const voxel = row * rowStep + column * columnStep;
    for (let slice = first; slice <= last; slice++) visit(voxel + slice * sliceStep);
  }
}

/** The cells under a stroke from one cell to another. */
export function* stroke(from: Cell, to: Cell, size: number): Generator<Cell> {
  const tip = disc(size);
  for (const { column, row } of line(from, to)) {
    for (const cell of tip) yield { column: column + cell.column, row: row + cell.row };
  }
}
