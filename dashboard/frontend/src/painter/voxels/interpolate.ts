// Paint between painted slices. What encloses something (a vesicle) is taken as its outline without its
// hole, and both blend by their signed distances; of anything else, each cell moves to the nearest
// cell of the other slice, so that a sheet keeps its thickness however it leans. Outlines that do not
// overlap are shifted onto each other by their centroids.

import { type Mask, nearestCells, signedDistance } from "./distance.ts";
import { holesOf } from "./regions.ts";

export const MOST_BETWEEN = 12; // slices; over more nobody can say where a membrane goes

/** Slices without paint between two with paint. */
export interface Gap {
  before: number;
  after: number;
}

interface Shift {
  column: number;
  row: number;
}

/** A painted slice: its mask and what is computed of it once. */
export class Outline {
  readonly hole: Outline | null;
  private readonly known: { distances?: Float64Array; nearest?: Int32Array; outer?: Outline } = {};

  constructor(readonly mask: Mask) {
    const hole = holesOf(mask);
    this.hole = hole.cells.includes(1) ? new Outline(hole) : null;
  }

  get distances(): Float64Array {
    this.known.distances ??= signedDistance(this.mask);
    return this.known.distances;
  }

  /** Of each cell, the nearest painted one. */
  get nearest(): Int32Array {
    this.known.nearest ??= nearestCells(this.mask);
    return this.known.nearest;
  }

  /** The mask with its hole. */
  get outer(): Outline {
    const { mask, hole } = this;
    if (!hole) return this;
    this.known.outer ??= new Outline({
      ...mask,
      cells: mask.cells.map((cell, i) => cell | hole.mask.cells[i]!),
    });
    return this.known.outer;
  }
}

/** The gaps between painted slices that are narrow enough, first to last. */
export function gapsIn(isPainted: readonly boolean[]): Gap[] {
  const painted = isPainted.flatMap((paint, slice) => (paint ? [slice] : []));
  return painted
    .slice(1)
    .map((after, i) => ({ before: painted[i]!, after }))
    .filter(({ before, after }) => after - before > 1 && after - before - 1 <= MOST_BETWEEN);
}

/** The masks of the slices between two, in their order. */
export function between(from: Outline, to: Outline, count: number): Mask[] {
  const shares = Array.from({ length: count }, (_, i) => (i + 1) / (count + 1));
  const { hole: hollow } = from;
  if (!hollow || !to.hole) return matched(from, to, shares);
  const outer = blends(from.outer, to.outer, shares);
  const inner = blends(hollow, to.hole, shares);
  return outer.map((mask, i) => ({
    ...mask,
    cells: mask.cells.map((cell, j) => cell & ~inner[i]!.cells[j]!),
  }));
}

/** Move each cell of both slices its share of the way to the nearest cell of the other. */
function matched(from: Outline, to: Outline, shares: readonly number[]): Mask[] {
  const shift = shiftFor(from, to);
  const back = { column: -shift.column, row: -shift.row };
  return shares.map((share) => {
    const mask = { ...from.mask, cells: new Uint8Array(from.mask.cells.length) };
    moveCells(from, to, shift, share, mask);
    moveCells(to, from, back, 1 - share, mask);
    return withoutGaps(mask);
  });
}

/** Put the cells of one slice where they are after a share of the way. */
function moveCells(from: Outline, to: Outline, shift: Shift, share: number, onto: Mask): void {
  const { width, height, cells } = from.mask;
  const last = { column: width - 1, row: height - 1 };
  for (let cell = cells.indexOf(1); cell >= 0; cell = cells.indexOf(1, cell + 1)) {
    const [column, row] = [cell % width, Math.floor(cell / width)];
    const near = clamp(Math.round(row + shift.row), last.row) * width;
    const goal = to.nearest[near + clamp(Math.round(column + shift.column), last.column)]!;
    const [goalColumn, goalRow] = [goal % width, Math.floor(goal / width)];
    const [x, y] = [column + share * (goalColumn - column), row + share * (goalRow - row)];
    onto.cells[Math.round(y) * width + Math.round(x)] = 1;
  }
}

/** Rounding leaves single cells out: what lies between two cells is painted, too. */
function withoutGaps({ width, height, cells }: Mask): Mask {
  const filled = cells.slice();
  for (let i = width; i < cells.length - width; i++) {
    const isBetween = (cells[i - 1]! & cells[i + 1]!) | (cells[i - width]! & cells[i + width]!);
    if (isBetween && i % width > 0 && i % width < width - 1) filled[i] = 1;
  }
  return { width, height, cells: filled };
}

/** Blend two outlines: the edge is where the blended distance is zero. */
function blends(from: Outline, to: Outline, shares: readonly number[]): Mask[] {
  const shift = shiftFor(from, to);
  return shares.map((share) => {
    const distances = blended(from, to, shift, share);
    const cells = new Uint8Array(distances.length);
    for (let i = 0; i < cells.length; i++) cells[i] = Number(distances[i]! <= 0);
    return { ...from.mask, cells };
  });
}

/** The blended distances on the way, with both outlines moved to where they would be. */
function blended(from: Outline, to: Outline, shift: Shift, share: number): Float64Array {
  const a = moved(from, shift, share);
  const b = moved(to, shift, share - 1);
  const blend = new Float64Array(a.length);
  for (let i = 0; i < blend.length; i++) blend[i] = a[i]! * (1 - share) + b[i]! * share;
  return blend;
}

/** Distances moved by a share of a shift, in whole cells; what comes from beyond the edge is far. */
function moved({ distances, mask }: Outline, shift: Shift, share: number): Float64Array {
  const columns = Math.round(shift.column * share);
  const rows = Math.round(shift.row * share);
  if (!columns && !rows) return distances;
  const { width, height } = mask;
  const out = new Float64Array(distances.length).fill(width + height);
  const [first, last] = [Math.max(columns, 0), Math.min(width + columns, width)];
  for (let row = Math.max(rows, 0); row < Math.min(height + rows, height); row++) {
    const start = (row - rows) * width - columns;
    out.set(distances.subarray(start + first, start + last), row * width + first);
  }
  return out;
}

function shiftFor(from: Outline, to: Outline): Shift {
  if (overlap(from.mask, to.mask)) return { column: 0, row: 0 };
  const [a, b] = [centroid(from.mask), centroid(to.mask)];
  return { column: b.column - a.column, row: b.row - a.row };
}

function centroid({ width, cells }: Mask): Shift {
  let [column, row, count] = [0, 0, 0];
  for (let i = cells.indexOf(1); i >= 0; i = cells.indexOf(1, i + 1)) {
    column += i % width;
    row += Math.floor(i / width);
    count += 1;
  }
  return { column: column / count, row: row / count };
}

function overlap(a: Mask, b: Mask): boolean {
  return a.cells.some((cell, i) => cell && b.cells[i]);
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most);
}
