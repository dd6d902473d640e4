// What the viewer draws on a plane: the tomogram's slice, the masks of segmentations, patch boxes.

import { Refused } from "../api.ts";
import { table } from "../planes/contrast.ts";
import { planeSize, toPlane, type Zyx } from "../planes/geometry.ts";
import { drawBox, drawCenter, drawLabel, type Marks } from "../planes/marks.ts";
import type { Place, PlanePicture, SlicePane } from "../planes/slice_pane.ts";
import type { Viewport } from "../planes/viewport.ts";
import { compose, type Mask, MOST_THICK } from "./compose.ts";
import type { Layer } from "./layers.ts";
import { drawProposed } from "./proposed.ts";
import type { Scene } from "./scene.ts";
import type { Slice } from "./slices.ts";
import type { PatchMark } from "./types.ts";

export interface PictureEvents {
  shown(pane: SlicePane, index: number): void;
  failed(error: unknown): void;
  overlayFailed(layer: Layer): void;
}

const WAITING_MS = 250;
const OUTLINE_PX = 2;
const SMOOTH_BELOW = 2.5; // canvas pixels a picture pixel; above that a voxel is seen as a square
const FULL_ABOVE = 1.5;

export class VolumePicture implements PlanePicture {
  private readonly picture = new OffscreenCanvas(1, 1);
  private gray: Slice | null = null;
  private wanted = 0;
  private direction = 1;
  private last = { axis: -1, index: -1 };

  constructor(
    private readonly pane: SlicePane,
    private readonly scene: () => Scene | null,
    private readonly events: PictureEvents,
  ) {}

  /** Fetch what this pane must show, and draw it when it is there; a newer wish wins. */
  async update(): Promise<void> {
    const scene = this.scene();
    if (!scene) return;
    const wish = ++this.wanted;
    const index = this.turnTo(scene);
    const { element } = this.pane;
    const waiting = setTimeout(() => element.classList.add("waiting"), WAITING_MS);
    try {
      await this.show(scene, () => wish === this.wanted);
      if (wish === this.wanted) this.events.shown(this.pane, index);
    } catch (error) {
      if (wish === this.wanted) this.events.failed(error);
    } finally {
      clearTimeout(waiting);
      if (wish === this.wanted) element.classList.remove("waiting");
    }
  }

  draw(context: CanvasRenderingContext2D, place: Place, view: Viewport): void {
    const scene = this.scene();
    if (!this.gray || !scene || this.last.axis !== this.pane.shows) return;
    const { picture } = this;
    const { shape, binning } = scene.tomogram.facts;
    const { width } = planeSize(shape, this.pane.shows);
    // The last bin may reach beyond the volume, so the picture is drawn in whole bins.
    const isBinned = picture.width * binning >= width && picture.width < width;
    const scale = view.scale * (isBinned ? binning : width / picture.width);
    context.imageSmoothingEnabled = scale < SMOOTH_BELOW;
    context.imageSmoothingQuality = "medium";
    const [left, top] = place;
    context.drawImage(picture, left, top, picture.width * scale, picture.height * scale);
    if (scene.overlay) scene.heat?.draw(context, place, this.pane.shows, scene.at, shape);
  }

  drawMarks(marks: Marks): void {
    const scene = this.scene()!;
    if (scene.boxes) this.drawPatches(marks, scene);
    const { proposal } = scene;
    drawProposed(marks, scene.data.proposed, scene.at, scene.data.colors.proposed);
    if (!proposal) return;
    const { refused, proposed } = scene.data.colors;
    const color = proposal.leaves || proposal.overlaps.length ? refused : proposed;
    const style = { color, width: 2, dashed: true, faint: false };
    drawBox(marks, proposal.start, proposal.stop, scene.at, style);
    drawCenter(marks, proposal.center, scene.at, color);
  }

  /** What changes how a slice is fetched and composed when the zoom does. */
  get detail(): string {
    const scene = this.scene();
    return scene ? [this.wantsFull(scene), this.thickness(scene)].join() : "";
  }

  /** The gray of a voxel of the slice that is shown. */
  grayAt(voxel: Zyx): number | null {
    const scene = this.scene();
    if (!scene || !this.gray) return null;
    const { values, width, height } = this.gray;
    const size = planeSize(scene.shape, this.pane.shows);
    const point = toPlane(voxel, this.pane.shows);
    const column = Math.floor((point.column * width) / size.width);
    const row = Math.floor((point.row * height) / size.height);
    return values[row * width + column] ?? null;
  }

  /** Note which way one goes through the slices, to fetch ahead there. */
  private turnTo(scene: Scene): number {
    const axis = this.pane.shows;
    const index = scene.at[axis];
    const { last } = this;
    if (last.axis !== axis) this.gray = null;
    else if (index !== last.index) this.direction = Math.sign(index - last.index);
    this.last = { axis, index };
    return index;
  }

  private async show(scene: Scene, isWanted: () => boolean): Promise<void> {
    const axis = this.pane.shows;
    const full = this.wantsFull(scene);
    const layers = [scene.tomogram, ...overlaysOf(scene)];
    const slices = layers.map((layer) => this.slice(layer, scene, full));
    const ready = slices.every((slice) => !(slice instanceof Promise))
      ? (slices as Slice[])
      : await Promise.all(slices.map((slice, i) => (i ? this.spared(slice, layers[i]!) : slice)));
    if (!isWanted()) return;
    const seen = layers.flatMap((layer, i) => (i && ready[i] ? [{ layer, slice: ready[i] }] : []));
    this.compose(scene, ready[0]!, seen);
    this.pane.recover();
    this.pane.draw();
    for (const layer of layers) {
      layer.lookAhead(axis, scene.at, this.direction, full && layer === scene.tomogram);
    }
  }

  private slice(layer: Layer, scene: Scene, full: boolean): Slice | Promise<Slice> {
    const detail = full && layer === scene.tomogram;
    const axis = this.pane.shows;
    return layer.ready(axis, scene.at, detail) ?? layer.load(axis, scene.at, detail);
  }

  /** An overlay that cannot be shown leaves the tomogram in peace; why is reported once. */
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

  private wantsFull(scene: Scene): boolean {
    const { binning } = scene.tomogram.facts;
    return this.pane.shows === 0 && binning > 1 && this.pane.scale * binning > FULL_ABOVE;
  }

  /** Voxels that an outline must have to be seen where the plane is drawn small. */
  private thickness(scene: Scene): number {
    const pixels = this.pane.scale * scene.tomogram.facts.binning;
    return Math.min(MOST_THICK, Math.max(1, Math.round((OUTLINE_PX * devicePixelRatio) / pixels)));
  }

  /** Gray and masks into the offscreen picture, at the gray slice's own size. */
  private compose(scene: Scene, gray: Slice, labels: { layer: Layer; slice: Slice }[]): void {
    const thick = this.thickness(scene);
    const masks = labels.map(({ layer, slice }) => layer.mask(slice, scene.style, thick));
    const isSameSize = labels.every(
      ({ slice }) => slice.width === gray.width && slice.height === gray.height,
    );
    const overlaid = isSameSize ? masks : [];
    const words = compose(gray.values, table(scene.contrast), overlaid, scene.opacity);
    this.picture.width = gray.width;
    this.picture.height = gray.height;
    const context = this.picture.getContext("2d")!;
    context.putImageData(imageOf(words, gray.width), 0, 0);
    if (!isSameSize) {
      masks.forEach((mask, i) =>
        this.composeScaled(context, mask, labels[i]!.slice, scene.opacity),
      );
    }
    this.gray = gray;
  }

  /** A mask of another size than a full-resolution slice: drawn over it, stretched. */
  private composeScaled(
    context: OffscreenCanvasRenderingContext2D,
    { voxels, rgb: [red, green, blue] }: Mask,
    { width, height }: Slice,
    opacity: number,
  ): void {
    const words = new Uint32Array(width * height);
    const word = (Math.round(opacity * 255) << 24) | (blue << 16) | (green << 8) | red;
    for (const voxel of voxels) words[voxel] = word;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")!.putImageData(imageOf(words, width), 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, 0, 0, this.picture.width, this.picture.height);
  }

  private drawPatches(marks: Marks, scene: Scene): void {
    const isSelected = (patch: PatchMark): boolean => patch.name === scene.selected;
    for (const patch of scene.data.patches) {
      if (!isSelected(patch)) this.drawPatch(marks, scene, patch, false);
    }
    for (const patch of scene.data.patches) {
      if (isSelected(patch)) this.drawPatch(marks, scene, patch, true);
    }
  }

  private drawPatch(marks: Marks, scene: Scene, patch: PatchMark, isSelected: boolean): void {
    const color = isSelected ? scene.data.colors.selected : patch.color;
    const style = { color, width: isSelected ? 2.5 : 1.5, dashed: false, faint: !isSelected };
    if (!drawBox(marks, patch.start, patch.stop, scene.at, style)) return;
    drawCenter(marks, patch.center, scene.at, color);
    const isLarge = this.pane.element.classList.contains("large");
    if (isLarge || isSelected) drawLabel(marks, patch.start, patch.stop, patch.label, color);
  }
}

function overlaysOf(scene: Scene): Layer[] {
  return scene.overlay ? scene.segmentations.filter((layer) => layer.shown && !layer.failed) : [];
}

function imageOf(words: Uint32Array<ArrayBuffer>, width: number): ImageData {
  return new ImageData(new Uint8ClampedArray(words.buffer), width);
}
