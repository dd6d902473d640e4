// The voxels of a patch in one flat array, x fastest, and which of them lie inside the border.

import type { Axis, Zyx } from "../../planes/geometry.ts";
import { columnAxis, rowAxis } from "../../planes/geometry.ts";

export class Grid {
  readonly size: number;
  readonly strides: Zyx;
  readonly inside: Uint8Array; // 1 inside the border

  constructor(
    readonly shape: Zyx,
    readonly border: number,
  ) {
    const [depth, height, width] = shape;
    this.size = depth * height * width;
    this.strides = [height * width, width, 1];
    this.inside = new Uint8Array(this.size);
    for (let z = border; z < depth - border; z++) {
      for (let y = border; y < height - border; y++) {
        const row = z * this.strides[0] + y * width;
        if (width > 2 * border) this.inside.fill(1, row + border, row + width - border);
      }
    }
  }

  index(z: number, y: number, x: number): number {
    return z * this.strides[0] + y * this.strides[1] + x;
  }

  /** The plane across an axis: where it begins, and the steps down and to the right. */
  plane(axis: Axis, slice: number): Plane {
    const down = rowAxis(axis);
    const right = columnAxis(axis);
    return {
      first: slice * this.strides[axis],
      rowStep: this.strides[down],
      columnStep: this.strides[right],
      rows: this.shape[down],
      columns: this.shape[right],
    };
  }
}

export interface Plane {
  first: number;
  rowStep: number;
  columnStep: number;
  rows: number;
  columns: number;
}

/** Copy a plane out of a volume, row by row. */
export function cut(volume: Uint8Array, plane: Plane): Uint8Array {
  const out = new Uint8Array(plane.rows * plane.columns);
  for (let row = 0, i = 0; row < plane.rows; row++) {
    let voxel = plane.first + row * plane.rowStep;
    for (let column = 0; column < plane.columns; column++, i++, voxel += plane.columnStep) {
      out[i] = volume[voxel]!;
    }
  }
  return out;
}
