// The viewer's keys; c and r are Streamlit's own and are left alone.

export type Action =
  | { name: "slices"; by: number }
  | { name: "plane"; axis: 0 | 1 | 2 }
  | { name: "zoom"; factor: number }
  | { name: "patch"; by: 1 | -1 }
  | { name: "fit" | "overlay" | "style" | "flip" | "contrast" | "help" | "dismiss" };

export const HELP: readonly (readonly [string, string])[] = [
  ["↑ ↓, wheel", "next slice (with Shift or Page keys: ten)"],
  ["1 2 3", "show XY, XZ or YZ large"],
  ["+ −, Ctrl + wheel", "zoom; drag to pan"],
  ["0, double click", "whole plane"],
  ["o  f", "overlay on or off, fill or outline"],
  ["a", "automatic contrast; drag with the right button or Shift to change it"],
  ["y", "y up, as 3dmod shows it"],
  ["n  p", "next or previous patch"],
  ["Esc", "forget the proposal"],
];

const KEYS: Readonly<Record<string, Action>> = {
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
  f: { name: "style" },
  y: { name: "flip" },
  a: { name: "contrast" },
  n: { name: "patch", by: 1 },
  p: { name: "patch", by: -1 },
  "?": { name: "help" },
  Escape: { name: "dismiss" },
};

export interface Pressed {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

export function actionOf(event: Pressed): Action | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const action = KEYS[event.key] ?? null;
  const far = event.shiftKey && (event.key === "ArrowUp" || event.key === "ArrowDown");
  return far && action?.name === "slices" ? { name: "slices", by: action.by * 10 } : action;
}
