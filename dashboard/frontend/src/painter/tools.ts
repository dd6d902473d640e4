// What the painter paints with: the tool, the kind of voxel, and the brush of each kind.

import { ADD, IGNORE, type Kind, NOTHING, REMOVE } from "./types.ts";
import type { Brush } from "./voxels/brush.ts";
import type { Where } from "./voxels/drawing.ts";

export type ToolName = "pen" | "outline" | "component" | "comment" | "ruler";
export const TOOL_NAMES: Readonly<Record<ToolName, string>> = {
  pen: "Pen",
  outline: "Outline",
  component: "Whole piece",
  comment: "Comment",
  ruler: "Measure",
};
export const PLACES: readonly Where[] = ["anywhere", "on prediction", "outside prediction"];

export interface KindBrush extends Brush {
  where: Where;
  darkerThan: number | null; // smoothed gray; null paints whatever is there
}

/** Each kind keeps its own brush: Ignore is coarse, Add is fine. */
export class Tool {
  kind: Kind = ADD;
  name: ToolName = "pen";
  private readonly brushes: Record<Kind, KindBrush> = {
    [NOTHING]: { size: 7, through: 0, isBall: false, where: "anywhere", darkerThan: null },
    [ADD]: { size: 3, through: 0, isBall: false, where: "outside prediction", darkerThan: null },
    [REMOVE]: { size: 9, through: 0, isBall: false, where: "on prediction", darkerThan: null },
    [IGNORE]: { size: 15, through: 2, isBall: false, where: "anywhere", darkerThan: null },
  };

  get brush(): KindBrush {
    return this.brushes[this.kind];
  }

  nextPlace(): void {
    const { brush } = this;
    brush.where = PLACES[(PLACES.indexOf(brush.where) + 1) % PLACES.length]!;
  }
}
