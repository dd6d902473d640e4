// A filled outline: the cells whose middle lies inside a closed line drawn by hand, and the line.

import type { PlanePoint } from "../../planes/geometry.ts";
import { type Cell, cellOf, line } from "./brush.ts";

/** Cells inside a polygon (even-odd rule) and on its edge, each once. */
export function filled(points: readonly PlanePoint[]): Cell[] {
  if (!points.length) return [];
  const cells = new Map<string, Cell>();
  const add = (cell: Cell): void => void cells.set(`${cell.column},${cell.row}`, cell);
  points.forEach((point, i) => {
    const next = points[(i + 1) % points.length]!;
    line(cellOf(point), cellOf(next)).forEach(add);
  });
  const rows = points.map((point) => point.row);
  const last = Math.ceil(Math.max(...rows));
  for (let row = Math.floor(Math.min(...rows)); row <= last; row++) {
    const crossings = crossed(points, row + 0.5);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const end = Math.floor(crossings[i + 1]! - 0.5);
      for (let column = Math.ceil(crossings[i]! - 0.5); column <= end; column++)
        add({ column, row });
    }
  }
  return [...cells.values()];
}

/** Where a horizontal line crosses the polygon, from left to right. */
function crossed(points: readonly PlanePoint[], row: number): number[] {
  const crossings: number[] = [];
  points.forEach((a, i) => {
    const b = points[(i + 1) % points.length]!;
    if (a.row <= row === b.row <= row) return;
    crossings.push(a.column + ((row - a.row) / (b.row - a.row)) * (b.column - a.column));
  });
  return crossings.sort((a, b) => a - b);
}
