// What the painter draws on a plane: gray, overlay, pinned comments, the brush and the lasso.

import { type Axis, type PlanePoint, toPlane, type Zyx } from "../../planes/geometry.ts";
import type { Marks } from "../../planes/marks.ts";
import type { Place, PlanePicture, SlicePane } from "../../planes/slice_pane.ts";
import type { OpenPatch } from "../patch/patch.ts";
import type { Ruler, Scene } from "../scene.ts";
import { KINDS } from "../types.ts";
import { type Cell, section } from "../voxels/brush.ts";
import { grayPlane, overlayPlane } from "./slice.ts";

const ERASER = "#ffffff";
const PIN_RADIUS = 7;
const PIN_REACH = 4; // slices away from which a pin is still seen

export class PatchPicture implements PlanePicture {
  lasso: PlanePoint[] = [];
  private readonly gray = new OffscreenCanvas(1, 1);
  private readonly overlay = new OffscreenCanvas(1, 1);
  private shownGray = "";
  private shownPatch: OpenPatch | null = null;

  constructor(
    private readonly pane: SlicePane,
    private readonly scene: () => Scene | null,
  ) {}

  /** Compose the slice anew; ``draw`` shows it. */
  compose(): void {
    const scene = this.scene();
    if (!scene) return;
    const axis = this.pane.shows;
    const { columns } = scene.patch.grid.plane(axis, 0);
    this.composeGray(scene, axis, columns);
    fill(this.overlay, overlayPlane(scene, axis), columns);
  }

  /** Gray stays as it is while somebody paints. */
  private composeGray(scene: Scene, axis: Axis, columns: number): void {
    const { black, white } = scene.contrast;
    const shown = [axis, scene.at[axis], scene.slab, black, white].join();
    if (shown === this.shownGray && scene.patch === this.shownPatch) return;
    this.shownGray = shown;
    this.shownPatch = scene.patch;
    fill(this.gray, grayPlane(scene, axis), columns);
  }

  draw(context: CanvasRenderingContext2D, place: Place): void {
    context.imageSmoothingEnabled = true;
    context.drawImage(this.gray, ...place);
    context.imageSmoothingEnabled = false; // a painted voxel is a square: one sees what one paints
    context.drawImage(this.overlay, ...place);
  }

  drawMarks(marks: Marks): void {
    const scene = this.scene()!;
    for (const comment of scene.patch.facts.comments) {
      if (comment.at && !comment.resolved) this.drawPin(marks, scene, comment.at);
    }
    if (scene.pin) this.drawPin(marks, scene, scene.pin);
    if (scene.ruler) this.drawRuler(marks, scene, scene.ruler);
    if (this.lasso.length) this.drawLasso(marks, scene);
    else if (scene.brushAt && scene.mayPaint && scene.tool.name === "pen") {
      this.drawBrush(marks, scene, scene.brushAt);
    }
  }

  /** A ring where somebody wrote something; full where this slice holds it. */
  private drawPin({ context, axis, pixelRatio }: Marks, scene: Scene, at: Zyx): void {
    const away = Math.abs(at[axis] - scene.at[axis]);
    if (away > PIN_REACH) return;
    const { column, row } = toPlane(at, axis);
    const { x, y } = this.pane.pixelOf({ column: column + 0.5, row: row + 0.5 });
    context.save();
    context.beginPath();
    context.arc(x, y, PIN_RADIUS * pixelRatio, 0, 2 * Math.PI);
    context.lineWidth = 2 * pixelRatio;
    context.strokeStyle = scene.data.colors.selected;
    context.globalAlpha = away === 0 ? 1 : 0.5;
    context.stroke();
    context.restore();
  }

  /** The edge of the voxels that a press would paint, in every plane that cuts the brush. */
  private drawBrush(
    { context, axis, pixelRatio }: Marks,
    scene: Scene,
    { axis: painted, voxel }: { axis: Axis; voxel: Zyx },
  ): void {
    const cells = section(scene.tool.brush, painted, axis, scene.at[axis] - voxel[axis]);
    if (!cells.length) return;
    context.save();
    context.beginPath();
    for (const [a, b] of edgesOf(cells)) {
      const from = this.pane.pixelOf(moveBy(a, toPlane(voxel, axis)));
      const to = this.pane.pixelOf(moveBy(b, toPlane(voxel, axis)));
      context.moveTo(from.x, from.y);
      context.lineTo(to.x, to.y);
    }
    context.globalAlpha = painted === axis ? 1 : 0.7;
    context.lineWidth = 3 * pixelRatio;
    context.strokeStyle = "rgba(0,0,0,.6)";
    context.stroke();
    context.lineWidth = 1.2 * pixelRatio;
    context.strokeStyle = colorOf(scene);
    context.stroke();
    context.restore();
  }

  /** The measured line, and its length at its middle. */
  private drawRuler({ context, axis, pixelRatio }: Marks, scene: Scene, ruler: Ruler): void {
    if (ruler.axis !== axis || ruler.slice !== scene.at[axis]) return;
    const [from, to] = [this.pane.pixelOf(ruler.from), this.pane.pixelOf(ruler.to)];
    context.save();
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.lineWidth = 4 * pixelRatio;
    context.strokeStyle = "rgba(0,0,0,.6)";
    context.stroke();
    context.lineWidth = 2 * pixelRatio;
    context.strokeStyle = scene.data.colors.selected;
    context.stroke();
    context.font = `600 ${13 * pixelRatio}px system-ui, sans-serif`;
    const text = lengthText(ruler, scene.voxelSizeAngstrom);
    const [x, y] = [(from.x + to.x) / 2 + 8 * pixelRatio, (from.y + to.y) / 2 - 8 * pixelRatio];
    context.lineWidth = 3 * pixelRatio;
    context.strokeStyle = "rgba(0,0,0,.8)";
    context.strokeText(text, x, y);
    context.fillStyle = "white";
    context.fillText(text, x, y);
    context.restore();
  }

  private drawLasso({ context, pixelRatio }: Marks, scene: Scene): void {
    context.save();
    context.beginPath();
    for (const point of this.lasso) {
      const { x, y } = this.pane.pixelOf(point);
      context.lineTo(x, y);
    }
    context.closePath();
    context.globalAlpha = 0.25;
    context.fillStyle = colorOf(scene);
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.5 * pixelRatio;
    context.strokeStyle = colorOf(scene);
    context.stroke();
    context.restore();
  }
}

/** A measured length: in nm where the voxel size is known. */
export function lengthText(
  { from, to }: Pick<Ruler, "from" | "to">,
  angstrom: number | null,
): string {
  const voxels = Math.hypot(to.column - from.column, to.row - from.row);
  return angstrom ? `${((voxels * angstrom) / 10).toFixed(1)} nm` : `${voxels.toFixed(1)} voxels`;
}

/** The neighbour on each side of a cell, and the two corners of that side. */
const SIDES = [
  [-1, 0, 0, 0, 0, 1],
  [1, 0, 1, 0, 1, 1],
  [0, -1, 0, 0, 1, 0],
  [0, 1, 0, 1, 1, 1],
] as const;

/** The sides of cells that no other of them shares. */
function edgesOf(cells: readonly Cell[]): [PlanePoint, PlanePoint][] {
  const reach =
    1 + Math.max(...cells.map((cell) => Math.max(Math.abs(cell.row), Math.abs(cell.column))));
  const width = 2 * reach + 1;
  const isTaken = new Uint8Array(width * width);
  const indexOf = (row: number, column: number): number => (row + reach) * width + column + reach;
  for (const { row, column } of cells) isTaken[indexOf(row, column)] = 1;
  const edges: [PlanePoint, PlanePoint][] = [];
  for (const { row, column } of cells) {
    for (const [right, down, ax, ay, bx, by] of SIDES) {
      if (isTaken[indexOf(row + down, column + right)]) continue;
      edges.push([
        { column: column + ax, row: row + ay },
        { column: column + bx, row: row + by },
      ]);
    }
  }
  return edges;
}

function moveBy(point: PlanePoint, by: PlanePoint): PlanePoint {
  return { column: point.column + by.column, row: point.row + by.row };
}

function fill(canvas: OffscreenCanvas, words: Uint32Array<ArrayBuffer>, width: number): void {
  const height = words.length / width;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const image = new ImageData(new Uint8ClampedArray(words.buffer), width);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

function colorOf({ tool, data }: Scene): string {
  const { add, remove, ignore } = data.colors;
  return KINDS.includes(tool.kind) ? [ERASER, add, remove, ignore][tool.kind]! : ERASER;
}
