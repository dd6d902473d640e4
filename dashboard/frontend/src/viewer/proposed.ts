// Proposed places of a tomogram: their boxes and pins, and what a key decides about the one in focus.

import type { Zyx } from "../planes/geometry.ts";
import type { KeyPress } from "../planes/keymap.ts";
import { drawBox, drawCenter, drawLabel, type Marks } from "../planes/marks.ts";

export interface ProposedPlace {
  id: number;
  center: Zyx;
  start: Zyx;
  stop: Zyx;
  label: string;
  reason: string;
  pins: { center: Zyx; label: string }[]; // the largest pieces
}

export interface Proposed {
  places: ProposedPlace[];
  focus: number | null;
  mayDecide: boolean;
}

export type Decision = "next" | "accept" | "nothing_wrong" | "cannot_tell";

const KEYS: Readonly<Record<string, Decision>> = { j: "next", y: "accept", n: "nothing_wrong" };
const PIN_REACH = 6; // voxels before and behind the plane in which a pin is seen

export function focused(proposed: Proposed): ProposedPlace | null {
  return proposed.places.find((place) => place.id === proposed.focus) ?? null;
}

/** Where to look in a place: at its largest piece, which is seen, rather than at its center. */
export function lookAt(place: ProposedPlace): Zyx {
  return place.pins[0]?.center ?? place.center;
}

/** What a key decides while a place is in focus; null for keys that mean something else. */
export function decisionOf(event: KeyPress, proposed: Proposed): Decision | null {
  if (event.altKey || event.ctrlKey || event.metaKey || !focused(proposed)) return null;
  const decision = KEYS[event.key] ?? null;
  return decision === "next" || proposed.mayDecide ? decision : null;
}

export function drawProposed(marks: Marks, proposed: Proposed, at: Zyx, color: string): void {
  for (const place of proposed.places) {
    const isFocused = place.id === proposed.focus;
    const style = { color, width: isFocused ? 2.5 : 1.5, dashed: true, faint: !isFocused };
    if (!drawBox(marks, place.start, place.stop, at, style)) continue;
    drawLabel(marks, place.start, place.stop, place.label, color);
    if (isFocused) drawPins(marks, place, at, color);
  }
}

function drawPins(marks: Marks, place: ProposedPlace, at: Zyx, color: string): void {
  for (const { center, label } of place.pins) {
    if (Math.abs(center[marks.axis] - at[marks.axis]) > PIN_REACH) continue;
    drawCenter(marks, center, at, color);
    drawLabel(marks, center, center, label, color);
  }
}
