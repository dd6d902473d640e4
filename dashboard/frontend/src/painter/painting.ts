// The primary button in the painter: strokes, outlines, whole pieces and pinned comments.

import type { StrokeMove } from "../autosave/strokes.ts";
import { type Axis, moved, type PlanePoint, type Zyx } from "../planes/geometry.ts";
import type { Pixel } from "../planes/gestures.ts";
import type { PrimaryTool, SlicePane } from "../planes/slice_pane.ts";
import { lengthText, type PatchPicture } from "./pictures/patch_picture.ts";
import type { Scene } from "./scene.ts";
import { KIND_NAMES, MEMBRANE, NOTHING } from "./types.ts";
import { type Cell, cellOf, forEachStrokeVoxel, forEachVoxel } from "./voxels/brush.ts";
import { connectedComponent } from "./voxels/component_fill.ts";
import type { Diff } from "./voxels/diff.ts";
import type { Drawing, Threshold } from "./voxels/drawing.ts";
import { type Edit, edited } from "./voxels/edits.ts";
import { cut } from "./voxels/grid.ts";
import { MOST_BETWEEN } from "./voxels/interpolate.ts";
import { forEachCell } from "./voxels/morphology.ts";
import { filled } from "./voxels/polygon.ts";

/** Whether somebody may paint now: if not, the planes can still be looked through, or wait. */
export type Leave = "paint" | "look" | "wait";

export interface PaintingEvents {
  leave(): Leave;
  changed(diff: Diff, move: StrokeMove): void;
  painted(): void; // a stroke in progress reached further
  hint(text: string): void; // why nothing happened
  measured(text: string): void;
  pinned(at: Zyx): void;
  movedTo(at: Zyx): void;
}

export class Painting implements PrimaryTool {
  isDrawing = false;
  private last: Cell | null = null;

  constructor(
    private readonly scene: () => Scene,
    private readonly events: PaintingEvents,
  ) {}

  press(pane: SlicePane, at: Pixel): void {
    const { tool, patch } = this.scene();
    if (tool.name === "comment") {
      const voxel = pane.voxelAt(at);
      if (voxel && patch.facts.mayComment) this.events.pinned(voxel);
      return;
    }
    if (tool.name === "ruler") return this.measure(pane, at, at);
    const leave = this.events.leave();
    if (leave === "look") return this.moveCross(pane, at);
    if (leave === "wait") return;
    this.isDrawing = true;
    const point = pane.pointAt(at);
    if (tool.name === "outline") pictureOf(pane).lasso = [point];
    else if (tool.name === "component") this.fillComponent(pane, at);
    else this.paintAlong(pane, [at]);
  }

  drag(pane: SlicePane, points: Pixel[]): void {
    const { ruler, tool } = this.scene();
    if (tool.name === "ruler" && ruler) {
      return this.measure(pane, pane.pixelOf(ruler.from), points.at(-1)!);
    }
    if (!this.isDrawing) {
      if (this.events.leave() === "look") this.moveCross(pane, points.at(-1)!);
      return;
    }
    const { name } = this.scene().tool;
    if (name === "outline") {
      pictureOf(pane).lasso.push(...points.map((pixel) => pane.pointAt(pixel)));
      pane.draw();
    } else if (name === "pen") {
      this.paintAlong(pane, points);
    }
  }

  release(pane: SlicePane): void {
    if (!this.isDrawing) return;
    const { lasso } = pictureOf(pane);
    pictureOf(pane).lasso = [];
    if (lasso.length) this.fillOutline(pane.shows, lasso);
    this.finish();
  }

  /** A second finger came: the first one meant a pinch. */
  cancel(pane: SlicePane): void {
    pictureOf(pane).lasso = [];
    this.isDrawing = false;
    this.last = null;
    this.scene().patch.drawing.cancel();
    this.events.painted();
  }

  /** Change all paint of the kind that is chosen, as one step. */
  edit(edit: Edit, axis: Axis): void {
    if (!this.canChange()) return;
    const { patch, tool } = this.scene();
    const { drawing, shape } = patch;
    const block = edited(drawing.voxels, shape, tool.kind, edit, axis);
    if (!block || tool.kind === NOTHING) {
      return this.events.hint(`Nothing to edit: no ${KIND_NAMES[tool.kind]} is painted.`);
    }
    forEachCell(block, shape, (cell, voxel) => {
      const is = drawing.voxels[voxel];
      if (block.cells[cell] && is === NOTHING) drawing.paint(voxel, tool.kind, tool.brush.where);
      else if (!block.cells[cell] && is === tool.kind) drawing.paint(voxel, NOTHING, "anywhere");
    });
    this.finish(EDITED_NOTHING[edit]);
  }

  /** Copy this slice's paint of the chosen kind to the next one, and go there. */
  copyTo(axis: Axis, by: 1 | -1): void {
    if (!this.canChange()) return;
    const { patch, tool, at } = this.scene();
    const to = moved(at, axis, by, patch.shape);
    if (to[axis] === at[axis]) return;
    const { drawing, grid } = patch;
    const painted = cut(drawing.voxels, grid.plane(axis, at[axis]));
    const { first, rowStep, columnStep, columns } = grid.plane(axis, to[axis]);
    painted.forEach((kind, i) => {
      if (kind !== tool.kind || kind === NOTHING) return;
      const voxel = first + Math.floor(i / columns) * rowStep + (i % columns) * columnStep;
      drawing.paint(voxel, tool.kind, tool.brush.where, this.threshold());
    });
    this.finish(`Nothing copied: no ${KIND_NAMES[tool.kind]} is painted in this slice.`);
    this.events.movedTo(to);
  }

  undo(): void {
    const { history, drawing } = this.scene().patch;
    const diff = this.canChange() && history.undo(drawing.voxels);
    if (diff) this.events.changed(diff, "undo");
  }

  redo(): void {
    const { history, drawing } = this.scene().patch;
    const diff = this.canChange() && history.redo(drawing.voxels);
    if (diff) this.events.changed(diff, "redo");
  }

  private canChange(): boolean {
    return this.events.leave() === "paint" && !this.isDrawing;
  }

  private measure(pane: SlicePane, from: Pixel, to: Pixel): void {
    const scene = this.scene();
    const axis = pane.shows;
    const points = { from: pane.pointAt(from), to: pane.pointAt(to) };
    scene.ruler = { axis, slice: scene.at[axis], ...points };
    this.events.measured(lengthText(points, scene.voxelSizeAngstrom));
    pane.draw();
  }

  /** What is too bright to be painted, where a threshold is set. */
  private threshold(): Threshold | null {
    const { patch, tool } = this.scene();
    const { darkerThan } = tool.brush;
    return darkerThan === null ? null : { gray: patch.smoothGray, darkerThan };
  }

  private moveCross(pane: SlicePane, at: Pixel): void {
    const voxel = pane.voxelAt(at);
    if (voxel) this.events.movedTo(voxel);
  }

  private paintAlong(pane: SlicePane, points: readonly Pixel[]): void {
    for (const pixel of points) this.paintTo(pane.shows, cellOf(pane.pointAt(pixel)));
    this.events.painted();
  }

  private paintTo(axis: Axis, cell: Cell): void {
    const from = this.last ?? cell;
    if (this.last && cell.column === from.column && cell.row === from.row) return;
    this.last = cell;
    const { patch, at, tool } = this.scene();
    const { brush, kind } = tool;
    const threshold = this.threshold();
    forEachStrokeVoxel(patch.grid, axis, at, [from, cell], brush, (voxel) =>
      patch.drawing.paint(voxel, kind, brush.where, threshold),
    );
  }

  private fillOutline(axis: Axis, lasso: readonly PlanePoint[]): void {
    const { patch, at, tool } = this.scene();
    const { brush, kind } = tool;
    const threshold = this.threshold();
    forEachVoxel(patch.grid, axis, at, brush.through, filled(lasso), (voxel) =>
      patch.drawing.paint(voxel, kind, brush.where, threshold),
    );
  }

  private fillComponent(pane: SlicePane, at: Pixel): void {
    const { patch, tool } = this.scene();
    const place = pane.voxelAt(at);
    const seed = place && patch.grid.index(...place);
    if (seed === null || patch.predicted[seed] !== MEMBRANE) {
      this.isDrawing = false;
      return this.events.hint("No predicted membrane here: click on a piece of the prediction.");
    }
    for (const voxel of connectedComponent(patch.predicted, patch.shape, seed)) {
      patch.drawing.paint(voxel, tool.kind, "anywhere");
    }
  }

  private finish(nothing?: string): void {
    this.isDrawing = false;
    this.last = null;
    const { patch } = this.scene();
    const { blocked } = patch.drawing;
    const diff = patch.drawing.finish();
    if (diff) {
      patch.history.add(diff);
      this.events.changed(diff, "stroke");
      return;
    }
    this.events.painted();
    this.events.hint(this.whyNothing(blocked) || nothing || "");
  }

  private whyNothing({ border, place, bright }: Drawing["blocked"]): string {
    const { tool, data } = this.scene();
    const kind = KIND_NAMES[tool.kind];
    if (place) {
      const where = tool.brush.where === "on prediction" ? "on the prediction" : "outside it";
      return `Nothing painted: ${kind} is set to paint only ${where} (w changes it).`;
    }
    if (bright)
      return "Nothing painted: it is brighter than the threshold (Shift + d turns it off).";
    if (border) return `Nothing painted: the outer ${data.border} voxels are always ignore.`;
    return "";
  }
}

const EDITED_NOTHING: Readonly<Record<Edit, string>> = {
  interpolate: `No gap of at most ${MOST_BETWEEN} slices lies between painted slices.`,
  fillHoles: "No small hole was found.",
  smooth: "Nothing changed.",
  grow: "Nothing changed.",
  shrink: "Nothing changed.",
};

function pictureOf(pane: SlicePane): PatchPicture {
  return pane.picture as PatchPicture;
}
