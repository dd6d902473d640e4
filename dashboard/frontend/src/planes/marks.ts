// What is drawn over a plane: patch boxes and centers, the crosshair, the scale bar.

import type { Axis, Zyx } from "./geometry.ts";
import { planeSize, toPlane } from "./geometry.ts";
import { toCanvas, type Viewport } from "./viewport.ts";

export interface Marks {
  context: CanvasRenderingContext2D;
  view: Viewport;
  axis: Axis;
  shape: Zyx;
  pixelRatio: number;
}

export interface BoxStyle {
  color: string;
  width: number;
  dashed: boolean;
  faint: boolean; // others than the selected one step back
}

const HALO = "rgba(0,0,0,.7)";
const FAINT = 0.6;

/** A box where the plane cuts it; nothing where it does not. */
export function drawBox(marks: Marks, start: Zyx, stop: Zyx, at: Zyx, style: BoxStyle): boolean {
  const { axis, context, pixelRatio } = marks;
  if (at[axis] < start[axis] || at[axis] >= stop[axis]) return false;
  const a = place(marks, start);
  const b = place(marks, stop);
  const sides = [
    Math.min(a.x, b.x),
    Math.min(a.y, b.y),
    Math.abs(b.x - a.x),
    Math.abs(b.y - a.y),
  ] as const;
  context.save();
  context.globalAlpha = style.faint ? FAINT : 1;
  context.strokeStyle = HALO; // any colour is seen on any gray
  context.lineWidth = (style.width + (style.faint ? 1.5 : 2.5)) * pixelRatio;
  context.strokeRect(...sides);
  context.strokeStyle = style.color;
  context.lineWidth = style.width * pixelRatio;
  context.setLineDash(style.dashed ? [6 * pixelRatio, 4 * pixelRatio] : []);
  context.strokeRect(...sides);
  context.restore();
  return true;
}

/** A center: filled where the plane holds it, hollow where it lies elsewhere in the box. */
export function drawCenter(marks: Marks, center: Zyx, at: Zyx, color: string): void {
  const { context, pixelRatio, axis } = marks;
  const { x, y } = place(marks, center, 0.5);
  context.save();
  context.beginPath();
  context.arc(x, y, 4 * pixelRatio, 0, 2 * Math.PI);
  context.strokeStyle = HALO;
  context.lineWidth = 4 * pixelRatio;
  context.stroke();
  context.lineWidth = 1.5 * pixelRatio;
  context.strokeStyle = color;
  context.fillStyle = color;
  if (Math.abs(center[axis] - at[axis]) <= 1) context.fill();
  context.stroke();
  context.restore();
}

export function drawLabel(marks: Marks, start: Zyx, stop: Zyx, text: string, color: string): void {
  const { context, pixelRatio } = marks;
  const a = place(marks, start);
  const b = place(marks, stop);
  context.save();
  context.font = `${11 * pixelRatio}px system-ui, sans-serif`;
  const x = Math.min(a.x, b.x) + 4 * pixelRatio;
  const y = Math.min(a.y, b.y) + 14 * pixelRatio;
  context.lineWidth = 3 * pixelRatio;
  context.strokeStyle = HALO;
  context.strokeText(text, x, y);
  context.fillStyle = color;
  context.fillText(text, x, y);
  context.restore();
}

/** Two lines through the position, open around it. */
export function drawCrosshair(marks: Marks, at: Zyx, color: string): void {
  const { context, view, axis, shape, pixelRatio } = marks;
  const { width, height } = planeSize(shape, axis);
  const { x, y } = place(marks, at, 0.5);
  const gap = 10 * pixelRatio;
  const right = view.left + width * view.scale;
  const bottom = view.top + height * view.scale;
  context.save();
  context.strokeStyle = color;
  context.globalAlpha = 0.7;
  context.lineWidth = pixelRatio;
  context.beginPath();
  for (const [fromX, fromY, toX, toY] of [
    [view.left, y, x - gap, y],
    [x + gap, y, right, y],
    [x, view.top, x, y - gap],
    [x, y + gap, x, bottom],
  ] as const) {
    context.moveTo(fromX, fromY);
    context.lineTo(toX, toY);
  }
  context.stroke();
  context.restore();
}

export function drawScaleBar(marks: Marks, voxelSizeAngstrom: number): void {
  const { context, view, pixelRatio } = marks;
  const bar = scaleBar(voxelSizeAngstrom, view.scale, context.canvas.width * 0.25);
  const x = 12 * pixelRatio;
  const y = context.canvas.height - 14 * pixelRatio;
  context.save();
  context.shadowColor = "black";
  context.shadowBlur = 3 * pixelRatio;
  context.fillStyle = "white";
  context.fillRect(x, y, bar.pixels, 4 * pixelRatio);
  context.font = `600 ${12 * pixelRatio}px system-ui, sans-serif`;
  context.fillText(`${bar.nanometers} nm`, x, y - 6 * pixelRatio);
  context.restore();
}

function place(marks: Marks, position: Zyx, within = 0): { x: number; y: number } {
  const { axis, view, shape } = marks;
  const point = toPlane(position, axis);
  const { height } = planeSize(shape, axis);
  return toCanvas(view, { column: point.column + within, row: point.row + within }, height);
}

/** The longest round length (1, 2 or 5 times a power of ten, in nm) within some pixels. */
export function scaleBar(
  voxelSizeAngstrom: number,
  pixelsPerVoxel: number,
  most: number,
): { nanometers: number; pixels: number } {
  const pixelsPerNanometer = (10 / voxelSizeAngstrom) * pixelsPerVoxel;
  const room = most / pixelsPerNanometer;
  const power = 10 ** Math.floor(Math.log10(room));
  const step = [5, 2, 1].find((factor) => factor * power <= room) ?? 1;
  return { nanometers: step * power, pixels: step * power * pixelsPerNanometer };
}
