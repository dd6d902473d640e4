// One plane on one canvas: where it lies there, its slice slider and caption, and the gestures on it.
// Drawing is done on canvases of our own: in NiiVue every pen move uploads the whole volume anew
// (0.4 s with software rendering), here a move redraws three pictures of one slice each.

import type { Contrast } from "./contrast.ts";
import { button, element } from "./elements.ts";
import {
  AXIS_LETTERS,
  type Axis,
  moved,
  PLANE_NAMES,
  type PlanePoint,
  planeSize,
  toPlane,
  toVoxel,
  type Zyx,
} from "./geometry.ts";
import { Gestures, type Pixel } from "./gestures.ts";
import { drawCrosshair, drawScaleBar, type Marks } from "./marks.ts";
import { fitted, fromCanvas, panned, toCanvas, type Viewport, zoomed } from "./viewport.ts";

/** What the planes of one volume have in common. */
export interface PlanesState {
  shape: Zyx;
  at: Zyx; // the cross
  main: Axis; // of the large pane
  flipped: boolean; // y up, as 3dmod shows it
  contrast: Contrast;
  voxelSizeAngstrom: number | null;
  crossColor: string;
}

/** Where a slice is drawn: left, top, width and height in canvas pixels. */
export type Place = readonly [number, number, number, number];

/** What a component draws on a plane. */
export interface PlanePicture {
  draw(context: CanvasRenderingContext2D, place: Place, view: Viewport): void;
  drawMarks(marks: Marks): void;
}

/** What the primary button does in a component. */
export interface PrimaryTool {
  press(pane: SlicePane, at: Pixel): void;
  drag(pane: SlicePane, points: Pixel[]): void;
  release(pane: SlicePane): void;
  cancel(pane: SlicePane): void;
}

export interface PaneEvents {
  movedTo(at: Zyx): void;
  hovered(pane: SlicePane, voxel: Zyx | null): void;
  contrastDragged(dx: number, dy: number): void;
  viewChanged(pane: SlicePane): void; // zoomed, panned or resized
}

export class SlicePane {
  readonly element = element("div", "pane");
  readonly canvas = document.createElement("canvas");
  readonly picture: PlanePicture;
  pointer: Pixel | null = null;
  private readonly frame = element("div", "frame");
  private readonly caption = element("span", "caption");
  private readonly slider = document.createElement("input");
  private readonly failure = element("div", "failure");
  private readonly context: CanvasRenderingContext2D;
  private readonly gestures: Gestures;
  private view: Viewport | null = null;
  private isAdjusted = false; // zoomed or panned by hand, so a new size does not fit anew

  constructor(
    private axis: Axis,
    private readonly state: () => PlanesState | null,
    makePicture: (pane: SlicePane) => PlanePicture,
    private readonly tool: PrimaryTool,
    private readonly events: PaneEvents,
  ) {
    this.picture = makePicture(this);
    this.failure.hidden = true;
    this.slider.type = "range";
    this.slider.className = "slices";
    this.frame.append(this.caption, this.canvas, this.failure);
    this.element.append(this.frame, this.slider);
    this.canvas.setAttribute("role", "img");
    this.context = this.canvas.getContext("2d")!;
    this.gestures = this.listen();
  }

  get shows(): Axis {
    return this.axis;
  }

  get isDragging(): boolean {
    return this.gestures.isDragging;
  }

  set isSpaceDown(isDown: boolean) {
    this.gestures.isSpaceDown = isDown;
  }

  show(axis: Axis): void {
    if (axis === this.axis) return;
    this.axis = axis;
    this.pointer = null;
    this.fit();
  }

  fit(): void {
    this.isAdjusted = false;
    this.view = null;
  }

  /** Draw the slice as it was composed last, and the marks over it. */
  draw(): void {
    const state = this.state();
    if (!state) return;
    const { context, canvas } = this;
    const view = this.viewport(state);
    const { width, height } = planeSize(state.shape, this.axis);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.save();
    if (view.flipped) {
      context.translate(0, 2 * view.top + height * view.scale);
      context.scale(1, -1);
    }
    const place: Place = [view.left, view.top, width * view.scale, height * view.scale];
    this.picture.draw(context, place, view);
    context.restore();
    this.drawMarks(state, view);
    this.describe(state);
  }

  /** Say why the slice cannot be shown, in its place. */
  fail(reasons: readonly string[], retry: () => void): void {
    this.failure.replaceChildren(
      ...reasons.map((reason) => element("p", "", reason)),
      button("Try again", "Ask the server for this tomogram again", retry),
    );
    this.failure.hidden = false;
  }

  recover(): void {
    this.failure.hidden = true;
  }

  zoom(factor: number, at: Pixel = { x: this.canvas.width / 2, y: this.canvas.height / 2 }): void {
    const state = this.state();
    if (!state) return;
    const { width, height } = planeSize(state.shape, this.axis);
    const least = fitted(width, height, this.canvas.width, this.canvas.height, false).scale / 2;
    this.adjust(zoomed(this.viewport(state), factor, at.x, at.y, least));
  }

  pan(dx: number, dy: number): void {
    const state = this.state();
    if (!state) return;
    const size = planeSize(state.shape, this.axis);
    this.adjust(panned(this.viewport(state), dx, dy, size, this.canvas));
  }

  /** Bring a voxel into view, if it is not. */
  reveal(voxel: Zyx): void {
    if (!this.view) return;
    const { width, height } = this.canvas;
    const { x, y } = this.pixelOf(toPlane(voxel, this.axis));
    if (x < 0 || y < 0 || x >= width || y >= height) this.pan(width / 2 - x, height / 2 - y);
  }

  resize(): void {
    const box = this.frame.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * devicePixelRatio));
    const height = Math.max(1, Math.round(box.height * devicePixelRatio));
    if (width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    if (!this.isAdjusted) this.view = null;
    this.draw();
  }

  /** The plane's point under a canvas pixel. */
  pointAt({ x, y }: Pixel): PlanePoint {
    const state = this.state()!;
    return fromCanvas(this.viewport(state), x, y, planeSize(state.shape, this.axis).height);
  }

  /** The canvas pixel of a point of the plane. */
  pixelOf(point: PlanePoint): Pixel {
    const state = this.state()!;
    return toCanvas(this.viewport(state), point, planeSize(state.shape, this.axis).height);
  }

  /** The voxel under a canvas pixel; null outside the volume. */
  voxelAt(pixel: Pixel): Zyx | null {
    const state = this.state();
    if (!state) return null;
    const point = this.pointAt(pixel);
    const { width, height } = planeSize(state.shape, this.axis);
    const isInside =
      point.column >= 0 && point.row >= 0 && point.column < width && point.row < height;
    return isInside ? toVoxel(point, this.axis, state.at, state.shape) : null;
  }

  get voxelUnderPointer(): Zyx | null {
    return this.pointer && this.voxelAt(this.pointer);
  }

  /** Canvas pixels a voxel. */
  get scale(): number {
    const state = this.state();
    return state ? this.viewport(state).scale : 1;
  }

  /** Where a voxel's middle is on the page; tests paint there with a real pointer. */
  pageOf(voxel: Zyx): Pixel {
    const { column, row } = toPlane(voxel, this.axis);
    const { x, y } = this.pixelOf({ column: column + 0.5, row: row + 0.5 });
    const box = this.canvas.getBoundingClientRect();
    return {
      x: box.left + (x * box.width) / this.canvas.width,
      y: box.top + (y * box.height) / this.canvas.height,
    };
  }

  /** Let the browser save what the pane shows, as PNG. */
  savePicture(title: string): void {
    const state = this.state();
    if (!state) return;
    const slice = `${AXIS_LETTERS[this.axis]}${state.at[this.axis]}`;
    const link = document.createElement("a");
    link.download = `${title.replaceAll("/", "_")}_${PLANE_NAMES[this.axis]}_${slice}.png`;
    link.href = this.canvas.toDataURL("image/png");
    link.click();
  }

  private drawMarks(state: PlanesState, view: Viewport): void {
    const marks: Marks = {
      context: this.context,
      view,
      axis: this.axis,
      shape: state.shape,
      pixelRatio: devicePixelRatio,
    };
    this.picture.drawMarks(marks);
    drawCrosshair(marks, state.at, state.crossColor);
    if (state.voxelSizeAngstrom) drawScaleBar(marks, state.voxelSizeAngstrom);
  }

  /** Name the slice in the caption, on the slider and for screen readers. */
  private describe({ at, shape }: PlanesState): void {
    const plane = PLANE_NAMES[this.axis];
    const letter = AXIS_LETTERS[this.axis];
    const last = shape[this.axis] - 1;
    const text = `${plane}  ${letter} = ${at[this.axis]} / ${last}`;
    if (this.caption.textContent === text) return;
    this.caption.textContent = text;
    this.slider.max = String(last);
    this.slider.value = String(at[this.axis]);
    this.slider.title = `Slice ${letter} of the ${plane} plane`;
    this.slider.setAttribute("aria-label", this.slider.title);
    this.canvas.setAttribute(
      "aria-label",
      `${plane} plane of the tomogram, slice ${letter} ${at[this.axis]} of ${last}`,
    );
  }

  private viewport(state: PlanesState): Viewport {
    if (!this.view || this.view.flipped !== state.flipped) {
      const { width, height } = planeSize(state.shape, this.axis);
      this.view = fitted(width, height, this.canvas.width, this.canvas.height, state.flipped);
    }
    return this.view;
  }

  private adjust(view: Viewport): void {
    this.view = view;
    this.isAdjusted = true;
    this.events.viewChanged(this);
  }

  private listen(): Gestures {
    this.slider.addEventListener("input", () => this.slideTo(Number(this.slider.value)));
    return new Gestures(this.canvas, {
      scrolled: (slices) => this.slideBy(slices),
      zoomed: (factor, at) => this.zoom(factor, at),
      panned: (dx, dy) => this.pan(dx, dy),
      contrastDragged: (dx, dy) => this.state() && this.events.contrastDragged(dx, dy),
      crossMoved: (at) => {
        const voxel = this.voxelAt(at);
        if (voxel) this.events.movedTo(voxel);
      },
      pressed: (at) => this.state() && this.tool.press(this, at),
      dragged: (points) => this.state() && this.tool.drag(this, points),
      released: () => this.state() && this.tool.release(this),
      cancelled: () => this.state() && this.tool.cancel(this),
      hovered: (at) => {
        this.pointer = at;
        this.events.hovered(this, this.voxelUnderPointer);
      },
    });
  }

  private slideBy(slices: number): void {
    const state = this.state();
    if (state) this.events.movedTo(moved(state.at, this.axis, slices, state.shape));
  }

  private slideTo(slice: number): void {
    const state = this.state();
    if (state) this.slideBy(slice - state.at[this.axis]);
  }
}
