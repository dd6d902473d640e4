// Every key and gesture of viewer and painter, as data: what they do, how the help panel names them,
// and the table of docs/keys.md. A key means the same everywhere; c and r are Streamlit's own.

export type Mode = "viewer" | "painter" | "review"; // a review is a painter that only looks

/** What the three planes do themselves. */
export type PlanesAction =
  | { name: "slices"; by: number }
  | { name: "plane"; axis: 0 | 1 | 2 }
  | { name: "zoom"; factor: number }
  | { name: "fit" | "flip" | "contrast" | "goto" | "fullscreen" | "picture" };

export type ViewerAction =
  | { name: "patch"; by: 1 | -1 }
  | { name: "overlay" | "style" | "boxes" | "help" | "dismiss" };

export type PainterAction =
  | { name: "kind"; kind: 0 | 1 | 2 | 3 }
  | { name: "tool"; tool: "pen" | "outline" | "component" | "comment" | "ruler" }
  | { name: "size" | "through"; by: number }
  | { name: "view" | "nextComment" | "nextContested" | "nextPiece" }
  | { name: "ball" | "dark" | "interpolate" | "slab" }
  | { name: "copy"; by: 1 | -1 }
  | { name: "undo" | "redo" | "save" | "where" | "volume3d" }
  | { name: "overlay" | "help" | "dismiss" };

export type Action = PlanesAction | ViewerAction | PainterAction;

/** One row of the help: keys that belong together. Gestures have a name and no keys. */
export interface KeyRow {
  shown: string;
  what: string;
  modes: readonly Mode[];
  keys?: Readonly<Record<string, Action>>;
  control?: Readonly<Record<string, Action>>; // together with Ctrl or Cmd
}

const ALL: readonly Mode[] = ["viewer", "painter", "review"];
const PAINTER: readonly Mode[] = ["painter"];
const PATCH: readonly Mode[] = ["painter", "review"];
const VIEWER: readonly Mode[] = ["viewer"];

export const KEYMAP: readonly KeyRow[] = [
  {
    shown: "a d i e",
    what: "Add, Remove, Ignore, eraser",
    modes: PAINTER,
    keys: {
      a: { name: "kind", kind: 1 },
      d: { name: "kind", kind: 2 },
      i: { name: "kind", kind: 3 },
      e: { name: "kind", kind: 0 },
    },
  },
  {
    shown: "b l g",
    what: "pen, filled outline, whole piece of the prediction",
    modes: PAINTER,
    keys: {
      b: { name: "tool", tool: "pen" },
      l: { name: "tool", tool: "outline" },
      g: { name: "tool", tool: "component" },
    },
  },
  {
    shown: "[ ]",
    what: "smaller or larger pen",
    modes: PAINTER,
    keys: { "[": { name: "size", by: -1 }, "]": { name: "size", by: 1 } },
  },
  {
    shown: "Shift + b",
    what: "ball or disc: a ball paints in the slices around, too",
    modes: PAINTER,
    keys: { B: { name: "ball" } },
  },
  {
    shown: ", .",
    what: "fewer or more slices on both sides",
    modes: PAINTER,
    keys: { ",": { name: "through", by: -1 }, ".": { name: "through", by: 1 } },
  },
  {
    shown: "w",
    what: "paint anywhere, only on the prediction, or only outside it",
    modes: PAINTER,
    keys: { w: { name: "where" } },
  },
  {
    shown: "Shift + d",
    what: "paint only voxels darker than a threshold",
    modes: PAINTER,
    keys: { D: { name: "dark" } },
  },
  {
    shown: "u",
    what: "interpolate between painted slices, over at most 12",
    modes: PAINTER,
    keys: { u: { name: "interpolate" } },
  },
  {
    shown: "q, Shift + q",
    what: "copy this kind's paint to the next or previous slice, and go there",
    modes: PAINTER,
    keys: { q: { name: "copy", by: 1 }, Q: { name: "copy", by: -1 } },
  },
  {
    shown: "z, Shift + z",
    what: "undo, redo (also with Ctrl)",
    modes: PAINTER,
    keys: { z: { name: "undo" }, Z: { name: "redo" } },
    control: { z: { name: "undo" }, Z: { name: "redo" }, y: { name: "redo" } },
  },
  {
    shown: "s",
    what: "save as a version",
    modes: PAINTER,
    keys: { s: { name: "save" } },
    control: { s: { name: "save" } },
  },
  { shown: "click", what: "propose a patch center; its box is shown first", modes: VIEWER },
  {
    shown: "↑ ↓, wheel",
    what: "next slice; with Shift or the Page keys, ten slices",
    modes: ALL,
    keys: {
      ArrowUp: { name: "slices", by: 1 },
      ArrowDown: { name: "slices", by: -1 },
      PageUp: { name: "slices", by: 10 },
      PageDown: { name: "slices", by: -10 },
    },
  },
  {
    shown: "1 2 3",
    what: "show XY, XZ or YZ large",
    modes: ALL,
    keys: {
      1: { name: "plane", axis: 0 },
      2: { name: "plane", axis: 1 },
      3: { name: "plane", axis: 2 },
    },
  },
  { shown: "Shift + drag", what: "move the cross, and with it the other planes", modes: ALL },
  {
    shown: "+ −, Ctrl + wheel, pinch",
    what: "zoom",
    modes: ALL,
    keys: {
      "+": { name: "zoom", factor: 1.25 },
      "=": { name: "zoom", factor: 1.25 },
      "-": { name: "zoom", factor: 0.8 },
    },
  },
  {
    shown: "middle or Space + drag, two fingers",
    what: "pan",
    modes: ALL,
  },
  { shown: "0", what: "show the whole plane", modes: ALL, keys: { 0: { name: "fit" } } },
  {
    shown: "Shift + g",
    what: "go to x, y, z",
    modes: ALL,
    keys: { G: { name: "goto" } },
  },
  {
    shown: "Shift + f",
    what: "full screen",
    modes: ALL,
    keys: { F: { name: "fullscreen" } },
  },
  {
    shown: "Shift + p",
    what: "save a picture of the plane under the pointer",
    modes: ALL,
    keys: { P: { name: "picture" } },
  },
  {
    shown: "k, right drag",
    what: "automatic contrast; right is brighter, up is stronger",
    modes: ALL,
    keys: { k: { name: "contrast" } },
  },
  {
    shown: "y",
    what: "y up, as 3dmod shows it",
    modes: ALL,
    keys: { y: { name: "flip" } },
  },
  { shown: "o", what: "overlay on or off", modes: ALL, keys: { o: { name: "overlay" } } },
  {
    shown: "f",
    what: "fill or outline of the segmentation",
    modes: VIEWER,
    keys: { f: { name: "style" } },
  },
  {
    shown: "h",
    what: "hide or show the boxes of the patches",
    modes: VIEWER,
    keys: { h: { name: "boxes" } },
  },
  {
    shown: "n p",
    what: "next or previous patch",
    modes: VIEWER,
    keys: { n: { name: "patch", by: 1 }, p: { name: "patch", by: -1 } },
  },
  {
    shown: "j y n",
    what: "next proposal, accept it, nothing wrong there (while one is in focus)",
    modes: VIEWER,
  },
  {
    shown: "v",
    what: "next view: corrections, result, before, difference",
    modes: PATCH,
    keys: { v: { name: "view" } },
  },
  {
    shown: "j m",
    what: "next comment, pin a comment to a voxel",
    modes: PATCH,
    keys: { j: { name: "nextComment" }, m: { name: "tool", tool: "comment" } },
  },
  {
    shown: "Shift + j",
    what: "next contested place: claimed by more than one kind",
    modes: PATCH,
    keys: { J: { name: "nextContested" } },
  },
  {
    shown: "Shift + v",
    what: "next piece of the prediction, the smallest first",
    modes: PATCH,
    keys: { V: { name: "nextPiece" } },
  },
  {
    shown: "Shift + a",
    what: "average 1, 3, 5 or 9 slices to look at",
    modes: PATCH,
    keys: { A: { name: "slab" } },
  },
  {
    shown: "Shift + m",
    what: "measure a distance in nm by a drag",
    modes: PATCH,
    keys: { M: { name: "tool", tool: "ruler" } },
  },
  { shown: "t", what: "3D view", modes: PATCH, keys: { t: { name: "volume3d" } } },
  {
    shown: "?",
    what: "show or hide these keys",
    modes: ALL,
    keys: { "?": { name: "help" } },
  },
  {
    shown: "Esc",
    what: "close, or discard what is proposed",
    modes: ALL,
    keys: { Escape: { name: "dismiss" } },
  },
];

export type KeyPress = Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">;

/** What a key does in a mode; null for keys that are not ours, which go on to the page. */
export function actionOf(event: KeyPress, mode: Mode): Action | null {
  if (event.altKey) return null;
  const isControl = event.ctrlKey || event.metaKey;
  const action = bindings(mode, isControl ? "control" : "keys").get(event.key) ?? null;
  const isFar = event.shiftKey && event.key.startsWith("Arrow");
  return isFar && action?.name === "slices" ? { name: "slices", by: action.by * 10 } : action;
}

/** The rows of the help panel of a mode: keys, and what they do. */
export function helpRows(mode: Mode): [string, string][] {
  return rowsOf(mode).map(({ shown, what }) => [shown, what]);
}

const PLANES_ACTIONS = new Set([
  "slices",
  "plane",
  "zoom",
  "fit",
  "flip",
  "contrast",
  "goto",
  "fullscreen",
  "picture",
]);

export function isPlanesAction(action: Action): action is PlanesAction {
  return PLANES_ACTIONS.has(action.name);
}

function rowsOf(mode: Mode): KeyRow[] {
  return KEYMAP.filter((row) => row.modes.includes(mode));
}

function bindings(mode: Mode, held: "keys" | "control"): Map<string, Action> {
  return new Map(rowsOf(mode).flatMap((row) => Object.entries(row[held] ?? {})));
}
