// What is drawn over the gray voxels in each view: a colour and an opacity for every voxel state.

import { NO_TINT, parseColor, type Tint } from "../../planes/palette.ts";
import { ADD, type Colors, IGNORE, IGNORED, MEMBRANE, NOTHING, REMOVE } from "../types.ts";
import { isContested, isInside, isLost, MERGED, predictedIn } from "../voxels/result.ts";

export type View = "corrections" | "result" | "before" | "after" | "difference";
export const VIEWS: readonly View[] = ["corrections", "result", "before", "difference"];
export const REVIEW_VIEWS: readonly View[] = ["after", "before", "difference", "corrections"];
export const VIEW_NAMES: Readonly<Record<View, string>> = {
  corrections: "Corrections",
  result: "Result",
  before: "Before",
  after: "After",
  difference: "Difference",
};

export interface Palette {
  kinds: readonly Tint[]; // by kind: nothing, Add, Remove, Ignore
  membrane: Tint;
  warning: Tint;
}

export function palette(colors: Colors): Palette {
  const tint = (color: string, opacity: number): Tint => [...parseColor(color), opacity];
  return {
    kinds: [NO_TINT, tint(colors.add, 1), tint(colors.remove, 1), tint(colors.ignore, 1)],
    membrane: tint(colors.prediction, 1),
    warning: tint(colors.warning, 1),
  };
}

/** The tint of every state in the views that follow the live result. */
export function stateTints(view: View, colors: Palette): Tint[] {
  return Array.from({ length: 64 }, (_, state) => stateTint(view, state, colors));
}

/** The tint of a voxel whose label was one value and is another. */
export function labelTint(view: View, was: number, is: number, colors: Palette): Tint {
  const { kinds, membrane } = colors;
  if (view === "before") return valueTint(was, colors);
  if (view === "after") return valueTint(is, colors);
  if (was === is) return is === MEMBRANE ? faint(membrane) : NO_TINT;
  if (is === IGNORED) return kinds[IGNORE]!;
  return is === MEMBRANE ? kinds[ADD]! : kinds[REMOVE]!;
}

export function faint([red, green, blue]: Tint): Tint {
  return [red, green, blue, 0.3];
}

function stateTint(view: View, state: number, colors: Palette): Tint {
  const was = predictedIn(state);
  if (!isInside(state)) return isLost(state) ? colors.warning : NO_TINT;
  if (view === "corrections")
    return isContested(state) ? colors.warning : claimTint(state & 7, colors);
  if (view === "result") return resultTint(was, MERGED[state]!, colors);
  return labelTint(view, was, MERGED[state]!, colors);
}

function claimTint(claims: number, { kinds }: Palette): Tint {
  if (claims & 4) return kinds[IGNORE]!;
  if (claims & 1) return kinds[ADD]!;
  return claims & 2 ? kinds[REMOVE]! : kinds[NOTHING]!;
}

/** The label as it will be: what was added stands out, what was removed is gone. */
function resultTint(was: number, is: number, { kinds, membrane }: Palette): Tint {
  if (is === IGNORED) return kinds[IGNORE]!;
  if (is !== MEMBRANE) return NO_TINT;
  return was === MEMBRANE ? membrane : kinds[ADD]!;
}

function valueTint(value: number, { kinds, membrane }: Palette): Tint {
  if (value === MEMBRANE) return membrane;
  return value === IGNORED ? kinds[IGNORE]! : NO_TINT;
}
