// Paint between painted slices: the outlines of two slices blend by their signed distances. A ring
// is taken as what it encloses without its hole, so that a vesicle stays one; outlines that do not
// overlap are shifted onto each other by their centroids.

import { type Mask, signedDistance } from "./distance.ts";
import { holesOf } from "./regions.ts";

export const MOST_BETWEEN = 12; // slices; over more nobody can say where a membrane goes
const BINS = 16; // a voxel of distance, when an edge is searched

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
  readonly area: number;
  readonly hole: Outline | null;
  private readonly known: { distances?: Float64Array; outer?: Outline } = {};

  constructor(readonly mask: Mask) {
    this.area = areaOf(mask);
    const hole = holesOf(mask);
    this.hole = hole.cells.includes(1) ? new Outline(hole) : null;
  }

  get distances(): Float64Array {
    this.known.distances ??= signedDistance(this.mask);
    return this.known.distances;
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
  if (!from.hole || !to.hole)
    return blends(from, to, count, (share) => areaBetween(from, to, share));
  const outer = blends(from.outer, to.outer, count, () => 0);
  const inner = blends(from.hole, to.hole, count, () => 0);
  return outer.map((mask, i) => ({
    ...mask,
    cells: mask.cells.map((cell, j) => cell & ~inner[i]!.cells[j]!),
  }));
}

/** Blend two outlines: what is nearer than zero, and as many cells as the area asks for, so that a
 * thin sheet does not vanish where its two outlines lie apart. */
function blends(
  from: Outline,
  to: Outline,
  count: number,
  areaAt: (share: number) => number,
): Mask[] {
  const shift = overlap(from.mask, to.mask) ? { column: 0, row: 0 } : shiftBetween(from, to);
  return Array.from({ length: count }, (_, i) => {
    const share = (i + 1) / (count + 1);
    const distances = blended(from, to, shift, share);
    const edge = Math.max(edgeFor(distances, areaAt(share)), 0);
    const cells = new Uint8Array(distances.length);
    for (let j = 0; j < cells.length; j++) cells[j] = Number(distances[j]! <= edge);
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

/** The distance within which so many cells lie. */
function edgeFor(distances: Float64Array, area: number): number {
  if (!area) return 0;
  const most = 16; // voxels: beyond that an outline has nothing to do with the slice
  const tally = new Int32Array(2 * most * BINS);
  for (const distance of distances) {
    const bin = Math.floor((distance + most) * BINS);
    if (bin < tally.length) tally[Math.max(bin, 0)]! += 1;
  }
  let count = 0;
  const bin = tally.findIndex((cells) => (count += cells) >= area);
  return bin < 0 ? most : (bin + 1) / BINS - most;
}

function areaBetween(from: Outline, to: Outline, share: number): number {
  return Math.round(from.area * (1 - share) + to.area * share);
}

function shiftBetween(from: Outline, to: Outline): Shift {
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

function areaOf({ cells }: Mask): number {
  let area = 0;
  for (const cell of cells) area += cell;
  return area;
}
