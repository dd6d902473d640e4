// Where a plane lies on its canvas: one scale (canvas pixels a voxel) and an offset.

import type { PlanePoint } from "./geometry.ts";

export interface Viewport {
  scale: number;
  left: number; // canvas pixel of the plane's first column
  top: number;
  flipped: boolean; // y up, as 3dmod shows it
}

export const MAX_SCALE = 16;
const MARGIN = 0.25; // of the canvas, that a plane may be pushed away from its edge

export function fitted(
  width: number,
  height: number,
  canvasWidth: number,
  canvasHeight: number,
  flipped: boolean,
): Viewport {
  const scale = Math.min(canvasWidth / width, canvasHeight / height);
  return {
    scale,
    left: (canvasWidth - width * scale) / 2,
    top: (canvasHeight - height * scale) / 2,
    flipped,
  };
}

export function toCanvas(
  view: Viewport,
  point: PlanePoint,
  planeHeight: number,
): { x: number; y: number } {
  const row = view.flipped ? planeHeight - point.row : point.row;
  return { x: view.left + point.column * view.scale, y: view.top + row * view.scale };
}

export function fromCanvas(view: Viewport, x: number, y: number, planeHeight: number): PlanePoint {
  const row = (y - view.top) / view.scale;
  return { column: (x - view.left) / view.scale, row: view.flipped ? planeHeight - row : row };
}

/** Zoom about a canvas pixel, which keeps its place. */
export function zoomed(
  view: Viewport,
  factor: number,
  x: number,
  y: number,
  least: number,
): Viewport {
  const scale = Math.min(Math.max(view.scale * factor, least), MAX_SCALE);
  const grown = scale / view.scale;
  return { ...view, scale, left: x - (x - view.left) * grown, top: y - (y - view.top) * grown };
}

/** Pan, but never so far that the plane is lost. */
export function panned(
  view: Viewport,
  dx: number,
  dy: number,
  size: { width: number; height: number },
  canvas: { width: number; height: number },
): Viewport {
  const keep = (offset: number, extent: number, room: number): number =>
    Math.min(Math.max(offset, room * MARGIN - extent), room * (1 - MARGIN));
  return {
    ...view,
    left: keep(view.left + dx, size.width * view.scale, canvas.width),
    top: keep(view.top + dy, size.height * view.scale, canvas.height),
  };
}
