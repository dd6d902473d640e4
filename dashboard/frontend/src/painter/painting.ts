// The primary button in the painter: strokes, outlines, whole pieces and pinned comments.

import type { StrokeMove } from "../autosave/strokes.ts";
import type { Axis, PlanePoint, Zyx } from "../planes/geometry.ts";
import type { Pixel } from "../planes/gestures.ts";
import type { PrimaryTool, SlicePane } from "../planes/slice_pane.ts";
import { type Cell, cellOf, forEachStrokeVoxel, forEachVoxel } from "./brush.ts";
import { connectedComponent } from "./component_fill.ts";
import type { Diff } from "./diff.ts";
import type { PatchPicture } from "./patch_picture.ts";
import { filled } from "./polygon.ts";
import type { Scene } from "./scene.ts";
import { KIND_NAMES, MEMBRANE } from "./types.ts";

/** Whether somebody may paint now: if not, the planes can still be looked through, or wait. */
export type Leave = "paint" | "look" | "wait";

export interface PaintingEvents {
  leave(): Leave;
  changed(diff: Diff, move: StrokeMove): void;
  painted(): void; // a stroke in progress reached further
  hint(text: string): void; // why nothing happened
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
    forEachStrokeVoxel(patch.grid, axis, at, [from, cell], brush, (voxel) =>
      patch.drawing.paint(voxel, kind, brush.where),
    );
  }

  private fillOutline(axis: Axis, lasso: readonly PlanePoint[]): void {
    const { patch, at, tool } = this.scene();
    const { brush, kind } = tool;
    forEachVoxel(patch.grid, axis, at, brush.through, filled(lasso), (voxel) =>
      patch.drawing.paint(voxel, kind, brush.where),
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

  private finish(): void {
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
    this.events.hint(this.whyNothing(blocked));
  }

  private whyNothing({ border, place }: { border: number; place: number }): string {
    const { tool, data } = this.scene();
    const kind = KIND_NAMES[tool.kind];
    if (place) {
      const where = tool.brush.where === "on prediction" ? "on the prediction" : "outside it";
      return `Nothing painted: ${kind} is set to paint only ${where} (w changes it).`;
    }
    if (border) return `Nothing painted: the outer ${data.border} voxels are always ignore.`;
    return "";
  }
}

function pictureOf(pane: SlicePane): PatchPicture {
  return pane.picture as PatchPicture;
}
