// The painter's keys; c and r are Streamlit's own, n and p its pages' (next and previous patch).

import type { Pressed } from "../viewer/keys.ts";
import type { ToolName } from "./tools.ts";
import { ADD, IGNORE, type Kind, NOTHING, REMOVE } from "./types.ts";

export type Action =
  | { name: "kind"; kind: Kind }
  | { name: "tool"; tool: ToolName }
  | { name: "size" | "through"; by: number }
  | { name: "slices"; by: number }
  | { name: "plane"; axis: 0 | 1 | 2 }
  | { name: "zoom"; factor: number }
  | { name: "view" | "comment"; by: number }
  | { name: "undo" | "redo" | "save" | "where" | "fit" | "overlay" | "flip" | "contrast" }
  | { name: "volume3d" | "help" | "dismiss" };

export const HELP: readonly (readonly [string, string])[] = [
  ["a  d  i  e", "Add, Remove, Ignore, eraser"],
  ["b  l  g", "pen, filled outline, whole piece of the prediction"],
  ["[ ]   , .", "pen size; slices on both sides"],
  ["w", "where: only on prediction, only outside, anywhere"],
  ["z  Shift+z", "undo, redo (also with Ctrl)"],
  ["s", "save"],
  ["↑ ↓, wheel", "next slice (with Shift or Page keys: ten)"],
  ["Shift + drag", "move the other planes here"],
  ["right drag", "contrast; k for automatic"],
  ["middle or Space + drag", "pan; + − or Ctrl + wheel: zoom; 0: whole plane"],
  ["1 2 3", "show XY, XZ or YZ large; y: y up, as 3dmod"],
  ["v  o", "next view; overlay on or off"],
  ["j  m", "next comment; pin a comment"],
  ["t", "3D"],
];

const KEYS: Readonly<Record<string, Action>> = {
  a: { name: "kind", kind: ADD },
  d: { name: "kind", kind: REMOVE },
  i: { name: "kind", kind: IGNORE },
  e: { name: "kind", kind: NOTHING },
  b: { name: "tool", tool: "pen" },
  l: { name: "tool", tool: "outline" },
  g: { name: "tool", tool: "component" },
  m: { name: "tool", tool: "comment" },
  "[": { name: "size", by: -1 },
  "]": { name: "size", by: 1 },
  ",": { name: "through", by: -1 },
  ".": { name: "through", by: 1 },
  w: { name: "where" },
  z: { name: "undo" },
  Z: { name: "redo" },
  s: { name: "save" },
  ArrowUp: { name: "slices", by: 1 },
  ArrowDown: { name: "slices", by: -1 },
  PageUp: { name: "slices", by: 10 },
  PageDown: { name: "slices", by: -10 },
  "1": { name: "plane", axis: 0 },
  "2": { name: "plane", axis: 1 },
  "3": { name: "plane", axis: 2 },
  "+": { name: "zoom", factor: 1.25 },
  "=": { name: "zoom", factor: 1.25 },
  "-": { name: "zoom", factor: 0.8 },
  "0": { name: "fit" },
  o: { name: "overlay" },
  v: { name: "view", by: 1 },
  j: { name: "comment", by: 1 },
  y: { name: "flip" },
  k: { name: "contrast" },
  t: { name: "volume3d" },
  "?": { name: "help" },
  Escape: { name: "dismiss" },
};

const WITH_CONTROL: Readonly<Record<string, Action>> = {
  z: { name: "undo" },
  Z: { name: "redo" },
  y: { name: "redo" },
  s: { name: "save" },
};

export function actionOf(event: Pressed): Action | null {
  if (event.altKey) return null;
  if (event.ctrlKey || event.metaKey) return WITH_CONTROL[event.key] ?? null;
  const action = KEYS[event.key] ?? null;
  const far = event.shiftKey && (event.key === "ArrowUp" || event.key === "ArrowDown");
  return far && action?.name === "slices" ? { name: "slices", by: action.by * 10 } : action;
}
