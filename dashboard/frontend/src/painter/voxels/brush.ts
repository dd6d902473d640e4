// The voxels of a pen: a disc in the plane through some slices, or a ball, along a line.

import type { Axis, Zyx } from "../../planes/geometry.ts";
import { columnAxis, type PlanePoint, rowAxis } from "../../planes/geometry.ts";
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

/** What a pen paints around its middle. */
export interface Brush {
  size: number; // diameter in voxels
  through: number; // slices on both sides, of a disc
  isBall: boolean;
}

/** How far a brush reaches from its middle in its own plane, and across it. */
export function reachOf({ size, through, isBall }: Brush): { inPlane: number; across: number } {
  const inPlane = Math.floor(size / 2);
  return { inPlane, across: isBall ? inPlane : through };
}

/** Whether a brush paints a voxel so far from its middle. */
export function isInBrush(brush: Brush, across: number, row: number, column: number): boolean {
  const radius = brush.size / 2;
  const shift = brush.size % 2 === 0 ? 0.5 : 0; // an even disc has its middle at a corner
  const [a, b] = [row + shift, column + shift];
  if (brush.isBall) return Math.hypot(across + shift, a, b) <= radius;
  return Math.abs(across) <= brush.through && Math.hypot(a, b) <= radius;
}

/** The cells of a brush in its own plane, so many slices away from its middle. */
export function tip(brush: Brush, across: number): Cell[] {
  const { inPlane } = reachOf(brush);
  const cells: Cell[] = [];
  for (let row = -inPlane; row <= inPlane; row++) {
    for (let column = -inPlane; column <= inPlane; column++) {
      if (isInBrush(brush, across, row, column)) cells.push({ column, row });
    }
  }
  return cells;
}

/** The cells of a brush that lies in one plane, where another plane cuts it ``offset`` voxels from its
 * middle: what is drawn of the brush there. */
export function section(brush: Brush, axis: Axis, plane: Axis, offset: number): Cell[] {
  if (axis === plane) return tip(brush, offset);
  const cells: Cell[] = [];
  const { inPlane, across } = reachOf(brush);
  const reach = Math.max(inPlane, across);
  for (let row = -reach; row <= reach; row++) {
    for (let column = -reach; column <= reach; column++) {
      const voxel: [number, number, number] = [0, 0, 0];
      voxel[plane] = offset;
      voxel[rowAxis(plane)] = row;
      voxel[columnAxis(plane)] = column;
      if (isInBrush(brush, voxel[axis]!, voxel[rowAxis(axis)]!, voxel[columnAxis(axis)]!)) {
        cells.push({ column, row });
      }
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

/** Visit the voxels under a stroke from one cell of a plane to another, some more than once. */
export function forEachStrokeVoxel(
  grid: Grid,
  axis: Axis,
  at: Zyx,
  [from, to]: readonly [Cell, Cell],
  brush: Brush,
  visit: (voxel: number) => void,
): void {
  const way = line(from, to);
  const { across } = reachOf(brush);
  const layers = brush.isBall ? Array.from({ length: 2 * across + 1 }, (_, i) => i - across) : [0];
  for (const layer of layers) {
    const slice = at[axis] + layer;
    if (slice < 0 || slice >= grid.shape[axis]) continue;
    const place: [number, number, number] = [...at];
    place[axis] = slice;
    const cells = swept(way, tip(brush, layer));
    forEachVoxel(grid, axis, place, brush.isBall ? 0 : brush.through, cells, visit);
  }
}

function* swept(way: readonly Cell[], tip: readonly Cell[]): Generator<Cell> {
  for (const { column, row } of way) {
    for (const cell of tip) yield { column: column + cell.column, row: row + cell.row };
  }
}
