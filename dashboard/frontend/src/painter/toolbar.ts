// The controls above the planes: what one paints with, how, and the way back.

import { button, element, slider } from "../viewer/elements.ts";
import { MOST_SIZE, MOST_THROUGH } from "./brush.ts";
import { REVIEW_VIEWS, type View, VIEW_NAMES, VIEWS } from "./looks.ts";
import type { Scene } from "./scene.ts";
import { PLACES, TOOL_NAMES, type ToolName } from "./tools.ts";
import { ADD, IGNORE, type Kind, KIND_NAMES, NOTHING, REMOVE } from "./types.ts";

export interface ToolbarEvents {
  kindChosen(kind: Kind): void;
  toolChosen(tool: ToolName): void;
  viewChosen(view: View): void;
  changed(): void;
  undone(): void;
  redone(): void;
  saved(): void;
  solid(): void;
  helped(): void;
}

const KIND_KEYS: Readonly<Record<Kind, string>> = { [ADD]: "a", [REMOVE]: "d", [IGNORE]: "i", [NOTHING]: "e" };
const TOOL_KEYS: Readonly<Record<ToolName, string>> = { pen: "b", outline: "l", piece: "g", comment: "m" };

export interface Keeping {
  unsaved: number;
  isSaving: boolean;
}

export function toolbar(scene: Scene, keeping: Keeping, events: ToolbarEvents): HTMLElement {
  const bar = element("div", "toolbar");
  if (scene.mayPaint) bar.append(...paintingTools(scene, keeping, events));
  bar.append(views(scene, events), element("span", "spring"));
  if (!scene.mayPaint && scene.patch.facts.mayComment) bar.append(tool(scene, "comment", events));
  bar.append(button("3D", "The label in three dimensions (t)", events.solid));
  bar.append(button("?", "Keys (?)", events.helped));
  return bar;
}

/** The second row: size, slices, where; the pen alone has a size. */
export function gripbar(scene: Scene, events: ToolbarEvents, keeping: HTMLElement): HTMLElement {
  const bar = element("div", "toolbar grip");
  if (scene.mayPaint && scene.hand.tool !== "comment") bar.append(...grip(scene, events));
  bar.append(
    slider("Overlay", scene.opacity, [0.1, 1, 0.05], (value) => {
      scene.opacity = value;
      events.changed();
    }),
    element("span", "spring"),
    keeping,
  );
  return bar;
}

function paintingTools(scene: Scene, keeping: Keeping, events: ToolbarEvents): HTMLElement[] {
  const { hand, patch } = scene;
  const kinds = element("div", "group kinds");
  for (const kind of [ADD, REMOVE, IGNORE, NOTHING] as const) {
    const name = KIND_NAMES[kind];
    const chosen = button(name, `${name} (${KIND_KEYS[kind]})`, () => events.kindChosen(kind));
    chosen.dataset["kind"] = name.toLowerCase();
    chosen.setAttribute("aria-pressed", String(hand.kind === kind && hand.tool !== "comment"));
    kinds.append(chosen);
  }
  const tools = element("div", "group", ...(["pen", "outline", "piece", "comment"] as const).map((name) => tool(scene, name, events)));
  const undo = button("Undo", "Undo (z)", events.undone);
  const redo = button("Redo", "Redo (Shift+z)", events.redone);
  undo.disabled = !patch.history.canUndo;
  redo.disabled = !patch.history.canRedo;
  const save = button(keeping.isSaving ? "Saving …" : "Save", "Save as a version (s)", events.saved);
  save.className = "save";
  save.disabled = keeping.isSaving || !keeping.unsaved;
  return [kinds, tools, element("div", "group", undo, redo), save];
}

function tool(scene: Scene, name: ToolName, events: ToolbarEvents): HTMLButtonElement {
  const chosen = button(TOOL_NAMES[name], `${TOOL_NAMES[name]} (${TOOL_KEYS[name]})`, () => events.toolChosen(name));
  chosen.dataset["tool"] = name;
  chosen.setAttribute("aria-pressed", String(scene.hand.tool === name));
  return chosen;
}

function views(scene: Scene, events: ToolbarEvents): HTMLElement {
  const group = element("div", "group views");
  for (const view of scene.data.readOnly ? REVIEW_VIEWS : VIEWS) {
    const chosen = button(VIEW_NAMES[view], `Show ${VIEW_NAMES[view].toLowerCase()} (v)`, () => events.viewChosen(view));
    chosen.dataset["view"] = view;
    chosen.setAttribute("aria-pressed", String(scene.view === view));
    group.append(chosen);
  }
  return group;
}

function grip(scene: Scene, events: ToolbarEvents): HTMLElement[] {
  const { grip: held, tool: name, kind } = scene.hand;
  const parts: HTMLElement[] = [];
  if (name === "pen") {
    parts.push(number("Size", held.size, [1, MOST_SIZE], (value) => { held.size = value; events.changed(); }));
  }
  if (name !== "piece") {
    parts.push(number("± slices", held.through, [0, MOST_THROUGH], (value) => { held.through = value; events.changed(); }));
  }
  if (kind !== NOTHING && name !== "piece") parts.push(places(scene, events));
  if (name === "piece") {
    parts.push(element("span", "word", `Click a piece of the prediction: ${KIND_NAMES[kind]} takes all of it, in 3D.`));
  }
  return parts;
}

function places(scene: Scene, events: ToolbarEvents): HTMLElement {
  const choice = element("select", "");
  choice.title = "Where this brush paints (w)";
  for (const where of PLACES) {
    const option = element("option", "", where);
    option.value = where;
    option.selected = where === scene.hand.grip.where;
    choice.append(option);
  }
  choice.addEventListener("change", () => {
    scene.hand.grip.where = choice.value as (typeof PLACES)[number];
    events.changed();
  });
  return element("label", "slider", "Paints", choice);
}

function number(label: string, value: number, [least, most]: readonly [number, number], moved: (value: number) => void): HTMLElement {
  const shown = element("output", "", String(value));
  const made = slider(label, value, [least, most, 1], (next) => {
    shown.textContent = String(next);
    moved(next);
  });
  made.append(shown);
  return made;
}
