// The controls above the planes: what one paints with, how, and the way back.

import { button, element, slider } from "../planes/elements.ts";
import { MOST_SIZE, MOST_THROUGH } from "./brush.ts";
import type { Scene } from "./scene.ts";
import { PLACES, TOOL_NAMES, type ToolName } from "./tools.ts";
import { ADD, IGNORE, KIND_NAMES, type Kind, NOTHING, REMOVE } from "./types.ts";
import { REVIEW_VIEWS, VIEW_NAMES, VIEWS, type View } from "./views.ts";

export interface ToolbarEvents {
  kindChosen(kind: Kind): void;
  toolChosen(tool: ToolName): void;
  viewChosen(view: View): void;
  changed(): void;
  undone(): void;
  redone(): void;
  saved(): void;
  volume3d(): void;
  helped(): void;
}

const KIND_KEYS: Readonly<Record<Kind, string>> = {
  [ADD]: "a",
  [REMOVE]: "d",
  [IGNORE]: "i",
  [NOTHING]: "e",
};
const TOOL_KEYS: Readonly<Record<ToolName, string>> = {
  pen: "b",
  outline: "l",
  component: "g",
  comment: "m",
};

export interface Keeping {
  unsaved: number;
  isSaving: boolean;
}

export function toolbar(scene: Scene, keeping: Keeping, events: ToolbarEvents): HTMLElement {
  const bar = element("div", "toolbar");
  if (scene.mayPaint) bar.append(...paintingTools(scene, keeping, events));
  bar.append(views(scene, events), element("span", "spring"));
  if (!scene.mayPaint && scene.patch.facts.mayComment)
    bar.append(toolButton(scene, "comment", events));
  bar.append(button("3D", "The label in three dimensions (t)", events.volume3d));
  bar.append(button("?", "Keys (?)", events.helped));
  return bar;
}

/** The second row: size, slices, where; the pen alone has a size. */
export function brushbar(scene: Scene, events: ToolbarEvents, keeping: HTMLElement): HTMLElement {
  const bar = element("div", "toolbar brush");
  if (scene.mayPaint && scene.tool.name !== "comment") bar.append(...brushControls(scene, events));
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
  const { tool, patch } = scene;
  const kinds = element("div", "group kinds");
  for (const kind of [ADD, REMOVE, IGNORE, NOTHING] as const) {
    const name = KIND_NAMES[kind];
    const chosen = button(name, `${name} (${KIND_KEYS[kind]})`, () => events.kindChosen(kind));
    chosen.dataset["kind"] = name.toLowerCase();
    chosen.setAttribute("aria-pressed", String(tool.kind === kind && tool.name !== "comment"));
    kinds.append(chosen);
  }
  const tools = element(
    "div",
    "group",
    ...(["pen", "outline", "component", "comment"] as const).map((name) =>
      toolButton(scene, name, events),
    ),
  );
  const undo = button("Undo", "Undo (z)", events.undone);
  const redo = button("Redo", "Redo (Shift+z)", events.redone);
  undo.disabled = !patch.history.canUndo;
  redo.disabled = !patch.history.canRedo;
  const save = button(
    keeping.isSaving ? "Saving …" : "Save",
    "Save as a version (s)",
    events.saved,
  );
  save.className = "save";
  save.disabled = keeping.isSaving || !keeping.unsaved;
  return [kinds, tools, element("div", "group", undo, redo), save];
}

function toolButton(scene: Scene, name: ToolName, events: ToolbarEvents): HTMLButtonElement {
  const chosen = button(TOOL_NAMES[name], `${TOOL_NAMES[name]} (${TOOL_KEYS[name]})`, () =>
    events.toolChosen(name),
  );
  chosen.dataset["tool"] = name;
  chosen.setAttribute("aria-pressed", String(scene.tool.name === name));
  return chosen;
}

function views(scene: Scene, events: ToolbarEvents): HTMLElement {
  const group = element("div", "group views");
  for (const view of scene.data.readOnly ? REVIEW_VIEWS : VIEWS) {
    const chosen = button(VIEW_NAMES[view], `Show ${VIEW_NAMES[view].toLowerCase()} (v)`, () =>
      events.viewChosen(view),
    );
    chosen.dataset["view"] = view;
    chosen.setAttribute("aria-pressed", String(scene.view === view));
    group.append(chosen);
  }
  return group;
}

function brushControls(scene: Scene, events: ToolbarEvents): HTMLElement[] {
  const { brush, name, kind } = scene.tool;
  const parts: HTMLElement[] = [];
  if (name === "pen") {
    parts.push(
      number("Size", brush.size, [1, MOST_SIZE], (value) => {
        brush.size = value;
        events.changed();
      }),
    );
  }
  if (name !== "component") {
    parts.push(
      number("± slices", brush.through, [0, MOST_THROUGH], (value) => {
        brush.through = value;
        events.changed();
      }),
    );
  }
  if (kind !== NOTHING && name !== "component") parts.push(places(scene, events));
  if (name === "component") {
    parts.push(
      element(
        "span",
        "word",
        `Click a piece of the prediction: ${KIND_NAMES[kind]} takes all of it, in 3D.`,
      ),
    );
  }
  return parts;
}

function places(scene: Scene, events: ToolbarEvents): HTMLElement {
  const choice = element("select", "");
  choice.title = "Where this brush paints (w)";
  for (const where of PLACES) {
    const option = element("option", "", where);
    option.value = where;
    option.selected = where === scene.tool.brush.where;
    choice.append(option);
  }
  choice.addEventListener("change", () => {
    scene.tool.brush.where = choice.value as (typeof PLACES)[number];
    events.changed();
  });
  return element("label", "slider", "Paints", choice);
}

function number(
  label: string,
  value: number,
  [least, most]: readonly [number, number],
  moved: (value: number) => void,
): HTMLElement {
  const shown = element("output", "", String(value));
  const made = slider(label, value, [least, most, 1], (next) => {
    shown.textContent = String(next);
    moved(next);
  });
  made.append(shown);
  return made;
}
