// The controls above the planes: what one paints with, how, and the way back. They stay where they
// are: what cannot be used now is disabled, not removed.

import { button, choices, element, slider, toggle } from "../planes/elements.ts";
import { REVIEW_VIEWS, VIEW_NAMES, VIEWS, type View } from "./pictures/views.ts";
import type { Scene } from "./scene.ts";
import { PLACES, TOOL_NAMES, type ToolName } from "./tools.ts";
import { ADD, IGNORE, KIND_NAMES, type Kind, NOTHING, REMOVE } from "./types.ts";
import { MOST_SIZE, MOST_THROUGH } from "./voxels/brush.ts";
import { EDIT_NAMES, type Edit } from "./voxels/edits.ts";
import { SLABS, type Slab } from "./voxels/slab.ts";

export interface ToolbarEvents {
  kindChosen(kind: Kind): void;
  toolChosen(tool: ToolName): void;
  viewChosen(view: View): void;
  brushChanged(): void;
  ballToggled(): void;
  darkToggled(): void;
  edited(edit: Edit): void;
  copied(): void;
  slabChosen(slices: Slab): void;
  overlayChanged(): void;
  overlayToggled(): void;
  undone(): void;
  redone(): void;
  saved(): void;
  volume3dToggled(): void;
  enlarged(): void;
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
  ruler: "Shift + m",
};
const TOOLS: readonly ToolName[] = ["pen", "outline", "component", "comment", "ruler"];

export interface Keeping {
  unsaved: number;
  isSaving: boolean;
}

const COPY = "copy";
const COPY_NAME = "Copy to next slice (q)";

/** The first row: kind, tool, undo, save, view. */
export function toolbar(scene: Scene, keeping: Keeping, events: ToolbarEvents): HTMLElement {
  const bar = element("div", "toolbar");
  if (scene.isPainter) bar.append(...paintingTools(scene, keeping, events));
  bar.append(viewChoice(scene, events), element("span", "spring"));
  if (!scene.isPainter) {
    const { mayComment } = scene.patch.facts;
    bar.append(toolChoice(scene, mayComment ? ["comment", "ruler"] : ["ruler"], events));
  }
  bar.append(
    button("3D", "Show the label in three dimensions (t)", events.volume3dToggled),
    button("Full screen", "Full screen (Shift + f)", events.enlarged),
    button("?", "Keys (?)", events.helped),
  );
  return bar;
}

/** The second row: size, slices, where, and the overlay. */
export function brushbar(scene: Scene, events: ToolbarEvents): HTMLElement {
  const bar = element("div", "toolbar brush");
  if (scene.isPainter) bar.append(...brushControls(scene, events));
  const overlay = toggle("Overlay", "Overlay on or off (o)", scene.overlay, events.overlayToggled);
  const opacity = slider("Opacity", scene.opacity, [0.1, 1, 0.05], (value) => {
    scene.opacity = value;
    events.overlayChanged();
  });
  bar.append(overlay, opacity, slabChoice(scene, events));
  if (scene.isPainter) bar.append(editChoice(scene, events));
  return bar;
}

function paintingTools(scene: Scene, keeping: Keeping, events: ToolbarEvents): HTMLElement[] {
  const { history } = scene.patch;
  const undo = button("Undo", "Undo (z)", events.undone);
  const redo = button("Redo", "Redo (Shift + z)", events.redone);
  undo.disabled = !scene.mayPaint || !history.canUndo;
  redo.disabled = !scene.mayPaint || !history.canRedo;
  const save = button(
    keeping.isSaving ? "Saving …" : "Save",
    "Save as a version (s)",
    events.saved,
  );
  save.className = "save";
  save.disabled = !scene.mayPaint || keeping.isSaving || !keeping.unsaved;
  const kinds = kindChoice(scene, events);
  const tools = toolChoice(scene, TOOLS, events);
  if (!scene.mayPaint) disable(kinds);
  return [kinds, tools, element("div", "group", undo, redo), save];
}

function kindChoice({ tool }: Scene, events: ToolbarEvents): HTMLElement {
  const kinds = ([ADD, REMOVE, IGNORE, NOTHING] as const).map((kind) => ({
    value: kind,
    text: KIND_NAMES[kind],
    title: `${KIND_NAMES[kind]} (${KIND_KEYS[kind]})`,
  }));
  const chosen = tool.name === "comment" ? null : tool.kind;
  return choices<Kind>("kind", kinds, chosen, events.kindChosen);
}

function toolChoice(
  { tool }: Scene,
  names: readonly ToolName[],
  events: ToolbarEvents,
): HTMLElement {
  const tools = names.map((name) => ({
    value: name,
    text: TOOL_NAMES[name],
    title: `${TOOL_NAMES[name]} (${TOOL_KEYS[name]})`,
  }));
  return choices<ToolName>("tool", tools, tool.name, events.toolChosen);
}

function viewChoice(scene: Scene, events: ToolbarEvents): HTMLElement {
  const views = (scene.data.readOnly ? REVIEW_VIEWS : VIEWS).map((view) => ({
    value: view,
    text: VIEW_NAMES[view],
    title: `Show ${VIEW_NAMES[view].toLowerCase()} (v)`,
  }));
  return choices<View>("view", views, scene.view, events.viewChosen);
}

function brushControls(scene: Scene, events: ToolbarEvents): HTMLElement[] {
  const { brush, name, kind } = scene.tool;
  const size = number("Size", brush.size, [1, MOST_SIZE], (value) => {
    brush.size = value;
    events.brushChanged();
  });
  const through = number("± slices", brush.through, [0, MOST_THROUGH], (value) => {
    brush.through = value;
    events.brushChanged();
  });
  const ball = toggle("Ball", "Ball or disc (Shift + b)", brush.isBall, events.ballToggled);
  const places = placeChoice(scene, events);
  const isPen = name === "pen";
  const isShape = isPen || name === "outline";
  enable(size, scene.mayPaint && isPen);
  ball.disabled = !scene.mayPaint || !isPen;
  enable(through, scene.mayPaint && isShape && !(isPen && brush.isBall));
  enable(places, scene.mayPaint && isShape && kind !== NOTHING);
  return [size, ball, through, places, ...darkControls(scene, isShape, events)];
}

/** Paint only dark voxels, and below which gray. */
function darkControls(scene: Scene, isShape: boolean, events: ToolbarEvents): HTMLElement[] {
  const { brush, kind } = scene.tool;
  const isOn = brush.darkerThan !== null;
  const title = "Paint only voxels darker than this gray (Shift + d)";
  const dark = toggle("Dark only", title, isOn, events.darkToggled);
  const value = brush.darkerThan ?? scene.threshold;
  const below = number("below", value, [0, 255], (darkerThan) => {
    brush.darkerThan = darkerThan;
    events.brushChanged();
  });
  dark.disabled = !scene.mayPaint || !isShape || kind === NOTHING;
  enable(below, !dark.disabled && isOn);
  return [dark, below];
}

function slabChoice(scene: Scene, events: ToolbarEvents): HTMLElement {
  const choice = element("select", "");
  choice.title = "Slices whose average is shown (Shift + a)";
  for (const slices of SLABS) {
    const option = element("option", "", slices === 1 ? "1 slice" : `${slices} slices`);
    option.value = String(slices);
    option.selected = slices === scene.slab;
    choice.append(option);
  }
  choice.addEventListener("change", () => events.slabChosen(Number(choice.value) as Slab));
  return element("label", "slider", "Average", choice);
}

/** What can be done to all paint of the chosen kind. */
function editChoice(scene: Scene, events: ToolbarEvents): HTMLElement {
  const choice = element("select", "edits");
  const kind = KIND_NAMES[scene.tool.kind];
  choice.title = `Change all ${kind} that you painted`;
  choice.ariaLabel = choice.title;
  const first = element("option", "", `Edit ${kind} …`);
  first.value = "";
  choice.append(first);
  for (const [edit, name] of Object.entries({ ...EDIT_NAMES, [COPY]: COPY_NAME })) {
    const option = element("option", "", name);
    option.value = edit;
    choice.append(option);
  }
  choice.disabled = !scene.mayPaint || scene.tool.kind === NOTHING;
  choice.addEventListener("change", () => {
    if (choice.value === COPY) events.copied();
    else events.edited(choice.value as Edit);
    choice.value = "";
  });
  return choice;
}

function placeChoice(scene: Scene, events: ToolbarEvents): HTMLElement {
  const { brush } = scene.tool;
  const choice = element("select", "");
  choice.title = "Where this brush paints (w)";
  for (const where of PLACES) {
    const option = element("option", "", where);
    option.value = where;
    option.selected = where === brush.where;
    choice.append(option);
  }
  choice.addEventListener("change", () => {
    brush.where = choice.value as (typeof PLACES)[number];
    events.brushChanged();
  });
  return element("label", "slider", "Paints", choice);
}

function number(
  label: string,
  value: number,
  [least, most]: readonly [number, number],
  moved: (value: number) => void,
): HTMLElement {
  const output = element("output", "", String(value));
  const made = slider(label, value, [least, most, 1], (next) => {
    output.textContent = String(next);
    moved(next);
  });
  made.append(output);
  return made;
}

function enable(control: HTMLElement, isEnabled: boolean): void {
  if (!isEnabled) disable(control);
}

function disable(control: HTMLElement): void {
  control.classList.add("disabled");
  for (const input of control.querySelectorAll<HTMLInputElement>("button, input, select")) {
    input.disabled = true;
  }
}
