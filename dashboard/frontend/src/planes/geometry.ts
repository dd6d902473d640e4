// Which voxel axes a plane shows: rows down, columns to the right, as the API sends them.

/** A voxel or a shape: z, y, x. */
export type Zyx = readonly [number, number, number];
/** The axis across which a plane lies: 0 is XY, 1 is XZ, 2 is YZ. */
export type Axis = 0 | 1 | 2;
export const AXES: readonly Axis[] = [0, 1, 2];
export const AXIS_LETTERS = ["z", "y", "x"] as const;
export const PLANE_NAMES = ["XY", "XZ", "YZ"] as const;

export interface PlanePoint {
  column: number;
  row: number;
}

const ROWS: readonly Axis[] = [1, 0, 0]; // XY (y, x), XZ (z, x), YZ (z, y)
const COLUMNS: readonly Axis[] = [2, 2, 1];

export function rowAxis(axis: Axis): Axis {
  return ROWS[axis]!;
}

export function columnAxis(axis: Axis): Axis {
  return COLUMNS[axis]!;
}

export function planeSize(shape: Zyx, axis: Axis): { width: number; height: number } {
  return { width: shape[columnAxis(axis)], height: shape[rowAxis(axis)] };
}

export function toPlane(position: Zyx, axis: Axis): PlanePoint {
  return { column: position[columnAxis(axis)], row: position[rowAxis(axis)] };
}

/** The voxel under a point of a plane, kept inside the volume. */
export function toVoxel(point: PlanePoint, axis: Axis, at: Zyx, shape: Zyx): Zyx {
  const voxel: [number, number, number] = [...at];
  voxel[rowAxis(axis)] = Math.floor(point.row);
  voxel[columnAxis(axis)] = Math.floor(point.column);
  return clampTo(voxel, shape);
}

export function clampTo(voxel: Zyx, shape: Zyx): Zyx {
  const kept = voxel.map((value, i) => Math.min(Math.max(Math.round(value), 0), shape[i]! - 1));
  return [kept[0]!, kept[1]!, kept[2]!];
}

export function middleOf([depth, height, width]: Zyx): Zyx {
  return [Math.floor(depth / 2), Math.floor(height / 2), Math.floor(width / 2)];
}

export function moved(at: Zyx, axis: Axis, by: number, shape: Zyx): Zyx {
  const next: [number, number, number] = [...at];
  next[axis] += by;
  return clampTo(next, shape);
}

/** The binned plane that shows a voxel of the full volume. */
export function planeIndex(at: Zyx, axis: Axis, binning: number): number {
  return Math.floor(at[axis] / binning);
}
