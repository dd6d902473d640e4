// One plane on one canvas: fetches its slice, draws it, and tells what the pointer does there.

import { Refused } from "../api.ts";
import { table } from "../planes/contrast.ts";
import {
  type Axis,
  PLANE_NAMES,
  planeSize,
  toPlane,
  toVoxel,
  type Zyx,
} from "../planes/geometry.ts";
import {
  type Drawing,
  drawBox,
  drawCenter,
  drawCrosshair,
  drawLabel,
  drawScaleBar,
} from "../planes/marks.ts";
import { compose, type Mask, MOST_THICK } from "../planes/masks.ts";
import { fitted, fromCanvas, panned, toCanvas, type Viewport, zoomed } from "../planes/viewport.ts";
import type { Layer } from "./layers.ts";
import type { Scene } from "./scene.ts";
import type { Slice } from "./slices.ts";

export interface PaneEvents {
  scrolled(axis: Axis, by: number): void;
  clicked(axis: Axis, voxel: Zyx): void;
  hovered(voxel: Zyx | null, gray: number | null): void;
  contrastDragged(dx: number, dy: number): void;
  contrastEnded(): void;
  shown(axis: Axis, index: number): void;
  failed(error: unknown): void;
  overlayFailed(layer: Layer): void;
}

const CLICK_PIXELS = 4;
const WAITING_MS = 250;
const WHEEL_ZOOM = 1.0015;

export class Pane {
  readonly element: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D;
  private readonly picture = new OffscreenCanvas(1, 1);
  private readonly caption: HTMLElement;
  private view: Viewport | null = null;
  private touched = false; // zoomed or panned by hand, so a new size does not fit anew
  private gray: Slice | null = null;
  private wanted = 0;
  private direction = 1;
  private wheel = 0;
  private lastIndex = -1;

  constructor(
    private axis: Axis,
    private readonly scene: () => Scene | null,
    private readonly events: PaneEvents,
  ) {
    this.element = document.createElement("div");
    this.element.className = "pane";
    this.canvas = document.createElement("canvas");
    this.caption = document.createElement("span");
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
    this.gray = null;
    this.lastIndex = -1;
    this.fit();
  }

  fit(): void {
    this.touched = false;
    this.view = null;
  }

  zoom(factor: number): void {
    this.zoomAt(factor, this.canvas.width / 2, this.canvas.height / 2);
  }

  /** Bring a voxel into view, if it is not. */
  reveal(voxel: Zyx): void {
    const scene = this.scene();
    if (!scene || !this.view) return;
    const { width, height } = this.canvas;
    const size = planeSize(scene.tomogram.facts.shape, this.axis);
    const { x, y } = toCanvas(this.view, toPlane(voxel, this.axis), size.height);
    if (x >= 0 && y >= 0 && x < width && y < height) return;
    this.view = panned(this.view, width / 2 - x, height / 2 - y, size, this.canvas);
  }

  /** Fetch what this pane must show, and draw it when it is there; a newer wish wins. */
  async update(): Promise<void> {
    const scene = this.scene();
    if (!scene) return;
    const wish = ++this.wanted;
    const full = this.wantsFull(scene);
    const index = scene.at[this.axis];
    if (this.lastIndex >= 0 && index !== this.lastIndex)
      this.direction = Math.sign(index - this.lastIndex);
    this.lastIndex = index;
    const layers = [scene.tomogram, ...this.overlays(scene)];
    const waiting = setTimeout(() => this.element.classList.add("waiting"), WAITING_MS);
    try {
      const slices = layers.map((layer) => this.slice(layer, scene, full));
      const ready = slices.every((s) => !(s instanceof Promise))
        ? (slices as Slice[])
        : await Promise.all(slices.map((slice, i) => (i ? this.spared(slice, layers[i]!) : slice)));
      if (wish !== this.wanted) return;
      const seen = layers.flatMap((layer, i) =>
        i && ready[i] ? [{ layer, slice: ready[i] }] : [],
      );
      this.paint(
        scene,
        ready[0]!,
        seen.map((s) => s.layer),
        seen.map((s) => s.slice),
      );
      this.draw();
      this.events.shown(this.axis, index);
      for (const layer of layers) {
        layer.lookAhead(this.axis, scene.at, this.direction, full && layer === scene.tomogram);
      }
    } catch (error) {
      if (wish === this.wanted) this.events.failed(error);
    } finally {
      clearTimeout(waiting);
      if (wish === this.wanted) this.element.classList.remove("waiting");
    }
  }

  /** Draw again what was fetched: the picture, and the marks over it. */
  draw(): void {
    const scene = this.scene();
    if (!scene) return;
    const view = this.viewport(scene);
    const { context, canvas } = this;
    const size = planeSize(scene.tomogram.facts.shape, this.axis);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.gray) this.drawPicture(scene, view, size);
    const drawing: Drawing = {
      context,
      view,
      axis: this.axis,
      shape: scene.tomogram.facts.shape,
      pixelRatio: devicePixelRatio,
    };
    this.drawPatches(drawing, scene);
    drawCrosshair(drawing, scene.at, scene.data.colors.selected);
    const voxelSize = scene.tomogram.facts.voxelSizeAngstrom;
    if (voxelSize) drawScaleBar(drawing, voxelSize);
    const letter = "zyx"[this.axis];
    this.caption.textContent = `${PLANE_NAMES[this.axis]}  ${letter} = ${scene.at[this.axis]} / ${scene.tomogram.facts.shape[this.axis] - 1}`;
  }

  resize(): void {
    const box = this.element.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * devicePixelRatio));
    const height = Math.max(1, Math.round(box.height * devicePixelRatio));
    if (width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    if (!this.touched) this.view = null;
    this.draw();
  }

  /** An overlay that cannot be shown leaves the tomogram in peace; why is told once. */
  private async spared(slice: Slice | Promise<Slice>, layer: Layer): Promise<Slice | null> {
    try {
      return await slice;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      layer.failed = error.message;
      this.events.overlayFailed(layer);
      return null;
    }
  }

  private slice(layer: Layer, scene: Scene, full: boolean): Slice | Promise<Slice> {
    const detail = full && layer === scene.tomogram;
    return layer.ready(this.axis, scene.at, detail) ?? layer.load(this.axis, scene.at, detail);
  }

  private overlays(scene: Scene): Layer[] {
    return scene.overlay ? scene.segmentations.filter((layer) => layer.shown && !layer.failed) : [];
  }

  private wantsFull(scene: Scene): boolean {
    const { binning } = scene.tomogram.facts;
    return this.axis === 0 && binning > 1 && this.viewport(scene).scale * binning > 1.5;
  }

  /** Voxels that an outline must have to be seen where the plane is drawn small. */
  private thickness(scene: Scene): number {
    const pixels = this.viewport(scene).scale * scene.tomogram.facts.binning;
    return Math.min(MOST_THICK, Math.max(1, Math.round((1.3 * devicePixelRatio) / pixels)));
  }

  /** Gray and masks into the offscreen picture, at the gray slice's own size. */
  private paint(scene: Scene, gray: Slice, layers: Layer[], labels: Slice[]): void {
    const thick = this.thickness(scene);
    const masks: Mask[] = labels.map((label, i) => layers[i]!.mask(label, scene.style, thick));
    const sameSize = labels.every((l) => l.width === gray.width && l.height === gray.height);
    const words = compose(gray.values, table(scene.contrast), sameSize ? masks : [], scene.opacity);
    this.picture.width = gray.width;
    this.picture.height = gray.height;
    const context = this.picture.getContext("2d")!;
    context.putImageData(new ImageData(new Uint8ClampedArray(words.buffer), gray.width), 0, 0);
    if (!sameSize) this.paintScaled(context, masks, labels, scene.opacity);
    this.gray = gray;
  }

  /** Masks of another size than a full-resolution slice: drawn over it, stretched. */
  private paintScaled(
    context: OffscreenCanvasRenderingContext2D,
    masks: Mask[],
    labels: Slice[],
    opacity: number,
  ): void {
    context.imageSmoothingEnabled = false;
    masks.forEach(({ voxels, rgb: [r, g, b] }, i) => {
      const { width, height } = labels[i]!;
      const words = new Uint32Array(width * height);
      const word = (Math.round(opacity * 255) << 24) | (b << 16) | (g << 8) | r;
      for (const voxel of voxels) words[voxel] = word;
      const mask = new OffscreenCanvas(width, height);
      mask
        .getContext("2d")!
        .putImageData(new ImageData(new Uint8ClampedArray(words.buffer), width), 0, 0);
      context.drawImage(mask, 0, 0, this.picture.width, this.picture.height);
    });
  }

  private drawPicture(scene: Scene, view: Viewport, size: { width: number; height: number }): void {
    const { context, picture } = this;
    const { binning } = scene.tomogram.facts;
    // The last bin may reach beyond the volume, so the picture is drawn in whole bins.
    const perPixel =
      picture.width * binning >= size.width && picture.width < size.width
        ? binning
        : size.width / picture.width;
    const width = picture.width * perPixel * view.scale;
    const height = picture.height * perPixel * view.scale;
    context.imageSmoothingEnabled = view.scale * perPixel < 2.5;
    context.imageSmoothingQuality = "medium";
    context.save();
    if (view.flipped) {
      context.translate(0, 2 * view.top + size.height * view.scale);
      context.scale(1, -1);
    }
    context.drawImage(picture, view.left, view.top, width, height);
    context.restore();
  }

  private drawPatches(drawing: Drawing, scene: Scene): void {
    const large = this.element.classList.contains("large");
    const last = (name: string): number => Number(name === scene.selected);
    for (const patch of [...scene.data.patches].sort((a, b) => last(a.name) - last(b.name))) {
      const chosen = patch.name === scene.selected;
      const color = chosen ? scene.data.colors.selected : patch.color;
      const style = { color, width: chosen ? 2.5 : 1.5, dashed: false, faint: !chosen };
      if (!drawBox(drawing, patch.start, patch.stop, scene.at, style)) continue;
      drawCenter(drawing, patch.center, scene.at, color);
      if (large || chosen) drawLabel(drawing, patch.start, patch.stop, patch.label, color);
    }
    const { proposal } = scene;
    if (!proposal) return;
    const bad = proposal.leaves || proposal.overlaps.length > 0;
    const color = bad ? scene.data.colors.refused : scene.data.colors.proposed;
    drawBox(drawing, proposal.start, proposal.stop, scene.at, {
      color,
      width: 2,
      dashed: true,
      faint: false,
    });
    drawCenter(drawing, proposal.center, scene.at, color);
  }

  private viewport(scene: Scene): Viewport {
    if (!this.view || this.view.flipped !== scene.flipped) {
      const size = planeSize(scene.tomogram.facts.shape, this.axis);
      this.view = fitted(
        size.width,
        size.height,
        this.canvas.width,
        this.canvas.height,
        scene.flipped,
      );
    }
    return this.view;
  }

  private zoomAt(factor: number, x: number, y: number): void {
    const scene = this.scene();
    if (!scene) return;
    const size = planeSize(scene.tomogram.facts.shape, this.axis);
    const { width, height } = this.canvas;
    const least = fitted(size.width, size.height, width, height, false).scale / 2;
    const before = [this.wantsFull(scene), this.thickness(scene)].join();
    this.view = zoomed(this.viewport(scene), factor, x, y, least);
    this.touched = true;
    if ([this.wantsFull(scene), this.thickness(scene)].join() === before) this.draw();
    else void this.update();
  }

  private listen(): void {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.pressed(event));
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", () => this.events.hovered(null, null));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => {
      this.fit();
      this.draw();
    });
  }

  private wheeled(event: WheelEvent): void {
    event.preventDefault();
    const [x, y] = this.pixel(event);
    if (event.ctrlKey || event.metaKey) {
      this.zoomAt(WHEEL_ZOOM ** -event.deltaY, x, y);
      return;
    }
    // Mice tell notches of 100 or so, touchpads many small steps: both move one slice a notch.
    // With Shift, browsers turn the wheel sideways.
    const turned = event.deltaY || event.deltaX;
    this.wheel += Math.abs(turned) >= 50 ? Math.sign(turned) * 50 : turned;
    const steps = Math.trunc(this.wheel / 50);
    this.wheel -= steps * 50;
    if (steps) this.events.scrolled(this.axis, event.shiftKey ? steps * 10 : steps);
  }

  private pressed(down: PointerEvent): void {
    const stretching = down.button === 2 || down.shiftKey;
    if (down.button > 2) return;
    this.canvas.setPointerCapture(down.pointerId);
    let last = down;
    let isDrag = false;
    const move = (event: PointerEvent): void => {
      isDrag ||=
        Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > CLICK_PIXELS;
      if (!isDrag) return;
      const dx = event.clientX - last.clientX;
      const dy = event.clientY - last.clientY;
      last = event;
      if (stretching) this.events.contrastDragged(dx, dy);
      else this.pan(dx * devicePixelRatio, dy * devicePixelRatio);
    };
    const end = (event: PointerEvent): void => {
      this.canvas.removeEventListener("pointermove", move);
      this.canvas.removeEventListener("pointerup", end);
      this.canvas.removeEventListener("pointercancel", end);
      if (stretching) this.events.contrastEnded();
      else if (!isDrag && event.type === "pointerup" && down.button === 0) this.clicked(event);
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
  }

  private pan(dx: number, dy: number): void {
    const scene = this.scene();
    if (!scene) return;
    const size = planeSize(scene.tomogram.facts.shape, this.axis);
    this.view = panned(this.viewport(scene), dx, dy, size, this.canvas);
    this.touched = true;
    this.draw();
  }

  private clicked(event: PointerEvent): void {
    const voxel = this.voxelAt(event);
    if (voxel) this.events.clicked(this.axis, voxel);
  }

  private hover(event: PointerEvent): void {
    const voxel = this.voxelAt(event);
    this.events.hovered(voxel, voxel && this.grayAt(voxel));
  }

  private grayAt(voxel: Zyx): number | null {
    const scene = this.scene();
    if (!scene || !this.gray) return null;
    const size = planeSize(scene.tomogram.facts.shape, this.axis);
    const point = toPlane(voxel, this.axis);
    const column = Math.floor((point.column * this.gray.width) / size.width);
    const row = Math.floor((point.row * this.gray.height) / size.height);
    return this.gray.values[row * this.gray.width + column] ?? null;
  }

  private voxelAt(event: MouseEvent): Zyx | null {
    const scene = this.scene();
    if (!scene) return null;
    const { shape } = scene.tomogram.facts;
    const size = planeSize(shape, this.axis);
    const [x, y] = this.pixel(event);
    const point = fromCanvas(this.viewport(scene), x, y, size.height);
    const inside =
      point.column >= 0 && point.row >= 0 && point.column < size.width && point.row < size.height;
    return inside ? toVoxel(point, this.axis, scene.at, shape) : null;
  }

  private pixel(event: MouseEvent): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * this.canvas.width) / box.width,
      ((event.clientY - box.top) * this.canvas.height) / box.height,
    ];
  }
}
