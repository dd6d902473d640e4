// What the painter holds in its hand: the kind it paints, how, how wide, and where it may.

import type { Where } from "./drawing.ts";
import { ADD, IGNORE, type Kind, NOTHING, REMOVE } from "./types.ts";

export type ToolName = "pen" | "outline" | "piece" | "comment";
export const TOOL_NAMES: Readonly<Record<ToolName, string>> = {
  pen: "Pen",
  outline: "Outline",
  piece: "Whole piece",
  comment: "Comment",
};
export const PLACES: readonly Where[] = ["anywhere", "on prediction", "outside prediction"];

interface Grip {
  size: number; // diameter in voxels
  through: number; // slices on both sides
  where: Where;
}

/** Each kind keeps its own size and place: Ignore is coarse, Add is fine. */
export class Hand {
  kind: Kind = ADD;
  tool: ToolName = "pen";
  private readonly grips: Record<Kind, Grip> = {
    [NOTHING]: { size: 7, through: 0, where: "anywhere" },
    [ADD]: { size: 3, through: 0, where: "outside prediction" },
    [REMOVE]: { size: 9, through: 0, where: "on prediction" },
    [IGNORE]: { size: 15, through: 2, where: "anywhere" },
  };

  get grip(): Grip {
    return this.grips[this.kind];
  }

  nextPlace(): void {
    const { grip } = this;
    grip.where = PLACES[(PLACES.indexOf(grip.where) + 1) % PLACES.length]!;
  }
}
