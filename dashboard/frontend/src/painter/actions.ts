// What the painter's keys and buttons do to what is shown.

import type { PainterAction } from "../planes/keymap.ts";
import type { View } from "./pictures/views.ts";
import { nextView, type Scene } from "./scene.ts";
import type { ToolName } from "./tools.ts";
import { Tour } from "./tour.ts";
import type { Kind } from "./types.ts";
import { MOST_SIZE, MOST_THROUGH } from "./voxels/brush.ts";
import type { Edit } from "./voxels/edits.ts";
import { SLABS, type Slab } from "./voxels/slab.ts";

/** What an action needs of the painter. */
export interface ActionHost {
  readonly scene: Scene;
  go(at: Scene["at"]): void;
  edit(edit: Edit): void;
  copy(by: 1 | -1): void;
  undo(): void;
  redo(): void;
  save(): void;
  toggleVolume3d(): void;
  toggleHelp(): void;
  closeHelp(): boolean; // whether it was open
  say(text: string): void;
  refreshBars(): void;
  refreshSide(): void;
  compose(): void;
  draw(): void;
}

export class Actions {
  private commentNumber = -1;

  private readonly contested: Tour;
  private readonly pieces: Tour;

  constructor(private readonly host: ActionHost) {
    this.contested = new Tour(host, "contested place", () => host.scene.patch.contestedPlaces());
    this.pieces = new Tour(host, "piece", () => host.scene.patch.pieces());
  }

  act(action: PainterAction): void {
    const scene = this.host.scene;
    const { brush } = scene.tool;
    switch (action.name) {
      case "kind":
        return this.chooseKind(action.kind);
      case "tool":
        return this.chooseTool(action.tool);
      case "size":
        brush.size = within(brush.size + action.by, 1, MOST_SIZE);
        return this.brushChanged();
      case "through":
        brush.through = within(brush.through + action.by, 0, MOST_THROUGH);
        return this.brushChanged();
      case "where":
        scene.tool.nextPlace();
        return this.brushChanged();
      case "ball":
        brush.isBall = !brush.isBall;
        return this.brushChanged();
      case "dark":
        brush.darkerThan = brush.darkerThan === null ? scene.threshold : null;
        return this.brushChanged();
      case "interpolate":
        return this.host.edit("interpolate");
      case "copy":
        return this.host.copy(action.by);
      case "slab":
        return this.chooseSlab(SLABS[(SLABS.indexOf(scene.slab) + 1) % SLABS.length]!);
      case "undo":
        return this.host.undo();
      case "redo":
        return this.host.redo();
      case "save":
        return this.host.save();
      case "view":
        return this.chooseView(nextView(scene));
      case "overlay":
        scene.overlay = !scene.overlay;
        this.host.refreshBars();
        return this.host.compose();
      case "nextContested":
        return this.contested.next();
      case "nextPiece":
        return this.pieces.next();
      case "nextComment":
        return this.nextComment();
      case "volume3d":
        return this.host.toggleVolume3d();
      case "help":
        return this.host.toggleHelp();
      case "dismiss":
        return this.dismiss();
    }
  }

  private dismiss(): void {
    if (this.host.closeHelp()) return;
    this.host.scene.pin = null;
    this.host.scene.ruler = null;
    this.host.refreshSide();
    this.host.draw();
  }

  chooseKind(kind: Kind): void {
    const { tool } = this.host.scene;
    tool.kind = kind;
    if (tool.name === "comment") tool.name = "pen";
    this.brushChanged();
    this.host.refreshSide();
  }

  chooseTool(name: ToolName): void {
    const scene = this.host.scene;
    if (name === "comment" && !scene.patch.facts.mayComment) return;
    scene.tool.name = name;
    scene.pin = null;
    scene.ruler = null;
    this.brushChanged();
    this.host.refreshSide();
  }

  chooseView(view: View): void {
    this.host.scene.view = view;
    this.host.refreshBars();
    this.host.compose();
  }

  chooseSlab(slices: Slab): void {
    this.host.scene.slab = slices;
    this.host.refreshBars();
    this.host.compose();
  }

  private nextComment(): void {
    const { comments } = this.host.scene.patch.facts;
    const pinned = comments.filter((comment) => comment.at && !comment.resolved);
    if (!pinned.length) return this.host.say("No comment is pinned to a voxel.");
    this.commentNumber = (this.commentNumber + 1) % pinned.length;
    this.host.go(pinned[this.commentNumber]!.at!);
  }

  private brushChanged(): void {
    this.host.refreshBars();
    this.host.draw();
  }
}

function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
