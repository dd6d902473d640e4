// The empty regions of a mask: what lies around it and what it encloses.

import type { Mask } from "./distance.ts";

/** Visit every connected empty region (4 neighbours): its cells, and whether it reaches the rim. */
export function forEachEmptyRegion(
  mask: Mask,
  visit: (region: Int32Array, isOpen: boolean) => void,
): void {
  const { cells } = mask;
  const isSeen = cells.slice(); // what is painted is no part of any region
  const queue = new Int32Array(cells.length);
  for (let start = isSeen.indexOf(0); start >= 0; start = isSeen.indexOf(0, start + 1)) {
    const { count, isOpen } = flood(mask, start, isSeen, queue);
    visit(queue.subarray(0, count), isOpen);
  }
}

/** What a mask encloses and does not hold. */
export function holesOf(mask: Mask): Mask {
  const holes = new Uint8Array(mask.cells.length);
  forEachEmptyRegion(mask, (region, isOpen) => {
    if (!isOpen) for (const cell of region) holes[cell] = 1;
  });
  return { ...mask, cells: holes };
}

function flood(
  { width, height }: Mask,
  start: number,
  isSeen: Uint8Array,
  queue: Int32Array,
): { count: number; isOpen: boolean } {
  let count = 0;
  let isOpen = false;
  const reach = (cell: number): void => {
    if (isSeen[cell]) return;
    isSeen[cell] = 1;
    queue[count++] = cell;
  };
  reach(start);
  for (let next = 0; next < count; next++) {
    const cell = queue[next]!;
    const column = cell % width;
    const isRim =
      column === 0 || column === width - 1 || cell < width || cell >= width * (height - 1);
    isOpen ||= isRim;
    if (column > 0) reach(cell - 1);
    if (column < width - 1) reach(cell + 1);
    if (cell >= width) reach(cell - width);
    if (cell < width * (height - 1)) reach(cell + width);
  }
  return { count, isOpen };
}
