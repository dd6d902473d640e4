// What the painter paints with: the tool, the kind of voxel, the brush's size and where it may paint.

import type { Where } from "./drawing.ts";
import { ADD, IGNORE, type Kind, NOTHING, REMOVE } from "./types.ts";

export type ToolName = "pen" | "outline" | "component" | "comment";
export const TOOL_NAMES: Readonly<Record<ToolName, string>> = {
  pen: "Pen",
  outline: "Outline",
  component: "Whole piece",
  comment: "Comment",
};
export const PLACES: readonly Where[] = ["anywhere", "on prediction", "outside prediction"];

interface Brush {
  size: number; // diameter in voxels
  through: number; // slices on both sides
  where: Where;
}

/** Each kind keeps its own size and place: Ignore is coarse, Add is fine. */
export class Tool {
  kind: Kind = ADD;
  name: ToolName = "pen";
  private readonly brushes: Record<Kind, Brush> = {
    [NOTHING]: { size: 7, through: 0, where: "anywhere" },
    [ADD]: { size: 3, through: 0, where: "outside prediction" },
    [REMOVE]: { size: 9, through: 0, where: "on prediction" },
    [IGNORE]: { size: 15, through: 2, where: "anywhere" },
  };

  get brush(): Brush {
    return this.brushes[this.kind];
  }

  nextPlace(): void {
    const { brush } = this;
    brush.where = PLACES[(PLACES.indexOf(brush.where) + 1) % PLACES.length]!;
  }
}
