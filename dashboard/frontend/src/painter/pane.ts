// One plane on one canvas: draws the slice and the brush, and tells what the pointer paints there.
// Painting is done on canvases of our own: in NiiVue every pen move uploads the whole volume anew
// (0.4 s with software rendering), here a move redraws three pictures of one slice each.

import {
  type Axis,
  PLANE_NAMES,
  type PlanePoint,
  planeSize,
  toPlane,
  toVoxel,
  type Zyx,
} from "../planes/geometry.ts";
import { drawCrosshair, drawScaleBar, type Drawing as Marks } from "../planes/marks.ts";
import { fitted, fromCanvas, panned, toCanvas, type Viewport, zoomed } from "../planes/viewport.ts";
import { type Cell, cellOf, disc } from "./brush.ts";
import type { Scene } from "./scene.ts";
import { grayPlane, overlayPlane } from "./slice.ts";
import { KINDS, NOTHING } from "./types.ts";

export interface PaneEvents {
  scrolled(axis: Axis, by: number): void;
  pressed(axis: Axis, cell: Cell): void;
  dragged(axis: Axis, from: Cell, to: Cell): void;
  lassoed(axis: Axis, points: PlanePoint[]): void;
  released(): void;
  moved(voxel: Zyx): void; // the crosshair
  hovered(voxel: Zyx | null): void;
  contrastDragged(dx: number, dy: number): void;
}

const WHEEL_ZOOM = 1.0015;
const NOTCH = 50;
const CURSOR = "#ffffff";

export class Pane {
  readonly element = document.createElement("div");
  private readonly canvas = document.createElement("canvas");
  private readonly caption = document.createElement("span");
  private readonly context: CanvasRenderingContext2D;
  private readonly gray = new OffscreenCanvas(1, 1);
  private readonly overlay = new OffscreenCanvas(1, 1);
  private view: Viewport | null = null;
  private isTouched = false; // zoomed or panned by hand, so a new size does not fit anew
  private wheel = 0;
  private pointer: PlanePoint | null = null;
  private lasso: PlanePoint[] = [];
  isPanning = false; // while Space is down

  constructor(
    private axis: Axis,
    private readonly scene: () => Scene | null,
    private readonly events: PaneEvents,
  ) {
    this.element.className = "pane";
    this.caption.className = "caption";
    this.element.append(this.canvas, this.caption);
    this.context = this.canvas.getContext("2d")!;
    this.listen();
  }

  get shows(): Axis {
    return this.axis;
  }

  show(axis: Axis): void {
    if (axis === this.axis) return;
    this.axis = axis;
    this.fit();
  }

  fit(): void {
    this.isTouched = false;
    this.view = null;
  }

  zoom(factor: number): void {
    this.zoomAt(factor, this.canvas.width / 2, this.canvas.height / 2);
  }

  /** Compose the slice anew and draw it. */
  update(): void {
    const scene = this.scene();
    if (!scene) return;
    const { width } = planeSize(scene.patch.shape, this.axis);
    fill(this.gray, grayPlane(scene, this.axis), width);
    fill(this.overlay, overlayPlane(scene, this.axis), width);
    this.draw();
  }

  /** Draw the composed slice, and the marks over it. */
  draw(): void {
    const scene = this.scene();
    if (!scene) return;
    const { context, canvas } = this;
    const view = this.viewport(scene);
    const size = planeSize(scene.patch.shape, this.axis);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.save();
    if (view.flipped) {
      context.translate(0, 2 * view.top + size.height * view.scale);
      context.scale(1, -1);
    }
    const place = [view.left, view.top, size.width * view.scale, size.height * view.scale] as const;
    context.imageSmoothingEnabled = true;
    context.drawImage(this.gray, ...place);
    context.imageSmoothingEnabled = false; // a painted voxel is a square: one sees what one paints
    context.drawImage(this.overlay, ...place);
    context.restore();
    this.drawMarks(scene, view);
    const last = scene.patch.shape[this.axis] - 1;
    this.caption.textContent = `${PLANE_NAMES[this.axis]}  ${"zyx"[this.axis]} = ${scene.at[this.axis]} / ${last}`;
  }

  resize(): void {
    const box = this.element.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * devicePixelRatio));
    const height = Math.max(1, Math.round(box.height * devicePixelRatio));
    if (width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    if (!this.isTouched) this.view = null;
    this.draw();
  }

  /** Where a voxel's middle is on the page; tests paint there with a real pointer. */
  pageOf(voxel: Zyx): { x: number; y: number } {
    const scene = this.scene()!;
    const size = planeSize(scene.patch.shape, this.axis);
    const point = toPlane(voxel, this.axis);
    const middle = { column: point.column + 0.5, row: point.row + 0.5 };
    const { x, y } = toCanvas(this.viewport(scene), middle, size.height);
    const box = this.canvas.getBoundingClientRect();
    return {
      x: box.left + (x * box.width) / this.canvas.width,
      y: box.top + (y * box.height) / this.canvas.height,
    };
  }

  private drawMarks(scene: Scene, view: Viewport): void {
    const { context } = this;
    const marks: Marks = {
      context,
      view,
      axis: this.axis,
      shape: scene.patch.shape,
      pixelRatio: devicePixelRatio,
    };
    drawCrosshair(marks, scene.at, scene.data.colors.selected);
    const voxelSize = scene.patch.facts.voxelSizeAngstrom;
    if (voxelSize) drawScaleBar(marks, voxelSize);
    for (const comment of scene.patch.facts.comments)
      if (comment.at && !comment.resolved) this.drawPin(scene, view, comment.at);
    if (scene.pin) this.drawPin(scene, view, scene.pin);
    if (this.lasso.length) this.drawLasso(scene, view);
    else if (this.pointer && scene.mayPaint && scene.tool.name === "pen")
      this.drawBrush(scene, view);
  }

  /** A ring where somebody wrote something; full where this slice holds it. */
  private drawPin(scene: Scene, view: Viewport, at: Zyx): void {
    const { context } = this;
    const away = Math.abs(at[this.axis] - scene.at[this.axis]);
    if (away > 4) return;
    const { x, y } = this.onCanvas(scene, view, middleOf(toPlane(at, this.axis)));
    context.save();
    context.beginPath();
    context.arc(x, y, 7 * devicePixelRatio, 0, 2 * Math.PI);
    context.lineWidth = 2 * devicePixelRatio;
    context.strokeStyle = scene.data.colors.selected;
    context.globalAlpha = away === 0 ? 1 : 0.5;
    context.stroke();
    context.restore();
  }

  /** The edge of the voxels that a press would paint. */
  private drawBrush(scene: Scene, view: Viewport): void {
    const { context } = this;
    const { column, row } = cellOf(this.pointer!);
    const cells = new Set(disc(scene.tool.brush.size).map((c) => `${c.column},${c.row}`));
    context.save();
    context.beginPath();
    for (const key of cells) {
      const [dx, dy] = key.split(",").map(Number) as [number, number];
      for (const [nx, ny, ax, ay, bx, by] of SIDES) {
        if (cells.has(`${dx + nx},${dy + ny}`)) continue;
        const a = this.onCanvas(scene, view, { column: column + dx + ax, row: row + dy + ay });
        const b = this.onCanvas(scene, view, { column: column + dx + bx, row: row + dy + by });
        context.moveTo(a.x, a.y);
        context.lineTo(b.x, b.y);
      }
    }
    context.lineWidth = 3 * devicePixelRatio;
    context.strokeStyle = "rgba(0,0,0,.6)";
    context.stroke();
    context.lineWidth = 1.2 * devicePixelRatio;
    context.strokeStyle = colorOf(scene);
    context.stroke();
    context.restore();
  }

  private drawLasso(scene: Scene, view: Viewport): void {
    const { context } = this;
    context.save();
    context.beginPath();
    for (const point of this.lasso) {
      const { x, y } = this.onCanvas(scene, view, point);
      context.lineTo(x, y);
    }
    context.closePath();
    context.globalAlpha = 0.25;
    context.fillStyle = colorOf(scene);
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.5 * devicePixelRatio;
    context.strokeStyle = colorOf(scene);
    context.stroke();
    context.restore();
  }

  private onCanvas(scene: Scene, view: Viewport, point: PlanePoint): { x: number; y: number } {
    return toCanvas(view, point, planeSize(scene.patch.shape, this.axis).height);
  }

  private viewport(scene: Scene): Viewport {
    if (!this.view || this.view.flipped !== scene.flipped) {
      const { width, height } = planeSize(scene.patch.shape, this.axis);
      this.view = fitted(width, height, this.canvas.width, this.canvas.height, scene.flipped);
    }
    return this.view;
  }

  private zoomAt(factor: number, x: number, y: number): void {
    const scene = this.scene();
    if (!scene) return;
    const { width, height } = planeSize(scene.patch.shape, this.axis);
    const least = fitted(width, height, this.canvas.width, this.canvas.height, false).scale / 2;
    this.view = zoomed(this.viewport(scene), factor, x, y, least);
    this.isTouched = true;
    this.draw();
  }

  private listen(): void {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.pressed(event));
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.draw();
      this.events.hovered(null);
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  private wheeled(event: WheelEvent): void {
    event.preventDefault();
    const [x, y] = this.pixel(event);
    if (event.ctrlKey || event.metaKey) return this.zoomAt(WHEEL_ZOOM ** -event.deltaY, x, y);
    // Mice tell notches of 100 or so, touchpads many small steps: both move one slice a notch.
    this.wheel += Math.abs(event.deltaY) >= NOTCH ? Math.sign(event.deltaY) * NOTCH : event.deltaY;
    const steps = Math.trunc(this.wheel / NOTCH);
    this.wheel -= steps * NOTCH;
    if (steps) this.events.scrolled(this.axis, event.shiftKey ? steps * 10 : steps);
  }

  private pressed(down: PointerEvent): void {
    if (!this.scene()) return;
    this.canvas.setPointerCapture(down.pointerId);
    if (down.button === 2) this.follow(down, (dx, dy) => this.events.contrastDragged(dx, dy));
    else if (down.button === 1 || this.isPanning) this.follow(down, (dx, dy) => this.pan(dx, dy));
    else if (down.button === 0 && (down.shiftKey || !this.scene()!.mayPaint)) this.point(down);
    else if (down.button === 0) this.paint(down);
  }

  /** Tell the steps of a drag until it ends. */
  private follow(down: PointerEvent, moved: (dx: number, dy: number) => void): void {
    let last = down;
    this.drag((event) => {
      moved(event.clientX - last.clientX, event.clientY - last.clientY);
      last = event;
    });
  }

  private point(down: PointerEvent): void {
    const go = (event: PointerEvent): void => {
      const voxel = this.voxelAt(event);
      if (voxel) this.events.moved(voxel);
    };
    if (this.scene()!.tool.name === "comment" && !down.shiftKey)
      return this.events.pressed(this.axis, cellOf(this.pointAt(down)));
    go(down);
    this.drag(go);
  }

  private paint(down: PointerEvent): void {
    const tool = this.scene()!.tool.name;
    const start = this.pointAt(down);
    if (tool === "outline") return this.lassoFrom(start);
    let last = cellOf(start);
    this.events.pressed(this.axis, last);
    if (tool !== "pen") return;
    const move = (event: PointerEvent): void => {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const step of events.length ? events : [event]) {
        const next = cellOf(this.pointAt(step));
        if (next.column === last.column && next.row === last.row) continue;
        this.events.dragged(this.axis, last, next);
        last = next;
      }
    };
    this.drag(move, () => this.events.released());
  }

  private lassoFrom(start: PlanePoint): void {
    this.lasso = [start];
    const move = (event: PointerEvent): void => {
      this.lasso.push(this.pointAt(event));
      this.draw();
    };
    this.drag(move, () => {
      const points = this.lasso;
      this.lasso = [];
      this.events.lassoed(this.axis, points);
    });
  }

  private drag(move: (event: PointerEvent) => void, done: () => void = () => undefined): void {
    const { canvas } = this;
    const end = (): void => {
      canvas.removeEventListener("pointermove", move);
      canvas.removeEventListener("pointerup", end);
      canvas.removeEventListener("pointercancel", end);
      done();
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
  }

  private pan(dx: number, dy: number): void {
    const scene = this.scene()!;
    const size = planeSize(scene.patch.shape, this.axis);
    this.view = panned(
      this.viewport(scene),
      dx * devicePixelRatio,
      dy * devicePixelRatio,
      size,
      this.canvas,
    );
    this.isTouched = true;
    this.draw();
  }

  private hover(event: PointerEvent): void {
    this.pointer = this.pointAt(event);
    if (!event.buttons) this.draw();
    this.events.hovered(this.voxelAt(event));
  }

  private voxelAt(event: MouseEvent): Zyx | null {
    const scene = this.scene();
    if (!scene) return null;
    const point = this.pointAt(event);
    const { width, height } = planeSize(scene.patch.shape, this.axis);
    const isInside =
      point.column >= 0 && point.row >= 0 && point.column < width && point.row < height;
    return isInside ? toVoxel(point, this.axis, scene.at, scene.patch.shape) : null;
  }

  private pointAt(event: MouseEvent): PlanePoint {
    const scene = this.scene()!;
    const [x, y] = this.pixel(event);
    return fromCanvas(this.viewport(scene), x, y, planeSize(scene.patch.shape, this.axis).height);
  }

  private pixel(event: MouseEvent): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * this.canvas.width) / box.width,
      ((event.clientY - box.top) * this.canvas.height) / box.height,
    ];
  }
}

/** The neighbour on each side of a cell, and the two corners of that side. */
const SIDES = [
  [-1, 0, 0, 0, 0, 1],
  [1, 0, 1, 0, 1, 1],
  [0, -1, 0, 0, 1, 0],
  [0, 1, 0, 1, 1, 1],
] as const;

function fill(canvas: OffscreenCanvas, words: Uint32Array<ArrayBuffer>, width: number): void {
  const height = words.length / width;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas
    .getContext("2d")!
    .putImageData(new ImageData(new Uint8ClampedArray(words.buffer), width), 0, 0);
}

function middleOf({ column, row }: PlanePoint): PlanePoint {
  return { column: column + 0.5, row: row + 0.5 };
}

function colorOf({ tool, data }: Scene): string {
  if (tool.kind === NOTHING || !KINDS.includes(tool.kind)) return CURSOR;
  return [CURSOR, data.colors.add, data.colors.remove, data.colors.ignore][tool.kind]!;
}
