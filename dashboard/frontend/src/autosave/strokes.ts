// How many strokes separate a drawing from its saved version: undo takes one off, and an undo below
// the saved version counts as well.

export interface Strokes {
  ahead: number; // strokes since the saved version; negative when saved ones were undone
  lost: number; // saved strokes that were undone and painted over, so that redo cannot bring them back
}

export type StrokeMove = "stroke" | "undo" | "redo";

export const NO_STROKES: Strokes = { ahead: 0, lost: 0 };

export function countOf({ ahead, lost }: Strokes): number {
  return lost + Math.abs(ahead);
}

export function afterMove({ ahead, lost }: Strokes, move: StrokeMove): Strokes {
  if (move === "undo") return { ahead: ahead - 1, lost };
  if (move === "redo" || ahead >= 0) return { ahead: ahead + 1, lost };
  return { ahead: 1, lost: lost - ahead };
}

export function strokesWord(count: number): string {
  return count === 1 ? "1 stroke" : `${count} strokes`;
}
