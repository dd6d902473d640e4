// Beside the planes: the brush's rule, the live result, what others painted, comments.

import { clock } from "../autosave/messages.ts";
import { strokesWord } from "../autosave/strokes.ts";
import { button, element } from "../planes/elements.ts";
import type { Zyx } from "../planes/geometry.ts";
import type { Layer } from "./patch/patch.ts";
import { example, KIND_RULES } from "./pictures/examples.ts";
import type { Scene } from "./scene.ts";
import { type Colors, type CommentFacts, KIND_NAMES } from "./types.ts";
import type { Counts } from "./voxels/result.ts";

export interface PanelEvents {
  layersChanged(): void;
  continued(layers: Layer[]): void;
  jumped(at: Zyx): void;
  commented(text: string, at: Zyx | null): void;
  startedOver(): void;
}

export function panel(scene: Scene, unsaved: number, events: PanelEvents): HTMLElement[] {
  const parts: HTMLElement[] = [];
  if (scene.isPainter && scene.tool.name !== "comment") parts.push(rule(scene));
  else if (scene.pin) parts.push(writing(scene, scene.pin, events));
  parts.push(result(scene), ...layers(scene, events), ...comments(scene, events));
  if (scene.isPainter) parts.push(startOver(scene.mayPaint ? unsaved : 0, events));
  return parts;
}

/** The numbers alone: they change with every stroke. */
export function countRows(counts: Counts): HTMLElement {
  const rows: [string, number, string][] = [
    ["Membrane", counts.membrane, ""],
    ["Added", counts.added, ""],
    ["Removed", counts.removed, ""],
    ["Ignored", counts.ignored, ""],
    [
      "Contested",
      counts.contested,
      "Claimed by more than one kind: ignore wins over add, add over remove.",
    ],
    [
      "In the border",
      counts.lost,
      "Painted in the outer 16 voxels, where every voxel is ignore: without effect.",
    ],
  ];
  const table = element("table", "counts");
  for (const [name, voxels, why] of rows) {
    const row = element(
      "tr",
      voxels && why ? "warned" : "",
      element("td", "", name),
      element("td", "number", voxels.toLocaleString("en")),
    );
    row.title = why;
    row.dataset["count"] = name.toLowerCase();
    table.append(row);
  }
  return table;
}

function rule(scene: Scene): HTMLElement {
  const { kind } = scene.tool;
  const name = KIND_NAMES[kind];
  const box = element("div", `rule ${name.toLowerCase()}`, element("h2", "", name));
  box.append(example(kind, scene.data.colors), element("p", "", KIND_RULES[kind]));
  return box;
}

function result(scene: Scene): HTMLElement {
  const box = element("div", "result");
  const reviewed = scene.data.readOnly && scene.patch.merged !== null;
  box.append(
    element("h2", "", reviewed ? "If merged now, voxels" : "Result, voxels"),
    element("div", "numbers", countRows(scene.patch.result.counts())),
  );
  return box;
}

function layers(scene: Scene, events: PanelEvents): HTMLElement[] {
  const { patch } = scene;
  const others = patch.layers.filter((layer) => !(layer.slot.name in patch.continued));
  const broken = patch.facts.slots.filter((slot) => slot.error);
  if (!patch.layers.length && !broken.length) return [];
  const box = element(
    "div",
    "layers-of-others",
    element("h2", "", scene.data.readOnly ? "Corrections" : "Painted by others"),
  );
  for (const layer of others) box.append(layerRow(layer, scene.data.colors, events));
  for (const slot of broken) box.append(element("p", "against", `${slot.name}: ${slot.error}`));
  if (scene.mayPaint && others.length) {
    const title =
      "Their work becomes part of yours, one file a kind; their files are withdrawn when you save";
    box.append(button("Go on with their work", title, () => events.continued(others)));
  }
  for (const name of Object.keys(patch.continued))
    box.append(element("p", "quietly", `${name} is continued in yours`));
  return [box];
}

function layerRow(layer: Layer, colors: Colors, events: PanelEvents): HTMLElement {
  const box = element("input", "");
  box.type = "checkbox";
  box.checked = layer.shown;
  box.addEventListener("change", () => {
    layer.shown = box.checked;
    events.layersChanged();
  });
  const { slot } = layer;
  const row = element("label", "layer", box);
  for (const kind of slot.kinds.length ? slot.kinds : [slot.kind ?? ""]) {
    const chip = element("span", "chip");
    chip.style.background =
      { add: colors.add, remove: colors.remove, ignore: colors.ignore }[kind] ?? "";
    row.append(chip);
  }
  row.append(element("span", "name", `${slot.name}, ${slot.author ?? "author unknown"}`));
  row.title = [`version ${slot.version}, ${slot.origin}, ${clock(slot.at)}`, ...slot.findings].join(
    "\n",
  );
  return row;
}

function comments(scene: Scene, events: PanelEvents): HTMLElement[] {
  const { comments: all, mayComment } = scene.patch.facts;
  if (!all.length && !mayComment) return [];
  const box = element("div", "comments", element("h2", "", "Comments"));
  for (const comment of all) box.append(commentRow(comment, events));
  if (!all.length) box.append(element("p", "quietly", "None yet; m pins one to a voxel."));
  return [box];
}

function commentRow(comment: CommentFacts, events: PanelEvents): HTMLElement {
  const who = element("span", "quietly", `${comment.author ?? "somebody"}: `);
  const row = element("p", comment.resolved ? "comment settled" : "comment", who, comment.text);
  const { at } = comment;
  if (at) {
    const place = button(`${at[2]}, ${at[1]}, ${at[0]}`, "Go there (x, y, z)", () =>
      events.jumped(at),
    );
    place.className = "place";
    row.append(" ", place);
  }
  return row;
}

function writing(scene: Scene, at: Zyx, events: PanelEvents): HTMLElement {
  const text = element("textarea", "");
  text.rows = 3;
  text.title = "Comment";
  text.value = scene.comment;
  text.placeholder = "What should one know about this place?";
  const send = (): void => {
    if (text.value.trim()) events.commented(text.value, at);
  };
  text.addEventListener("input", () => (scene.comment = text.value));
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
  });
  const title = `Comment at ${at[2]}, ${at[1]}, ${at[0]} (x, y, z)`;
  setTimeout(() => text.focus());
  const post = button("Post", "Post this comment (Ctrl + Enter)", send);
  return element("div", "writing", element("h2", "", title), text, post);
}

function startOver(unsaved: number, events: PanelEvents): HTMLElement {
  const made = button("Discard unsaved strokes", "Back to the version that is saved", () => {
    if (made.dataset["sure"]) return events.startedOver();
    made.dataset["sure"] = "yes";
    made.textContent = `Discard ${strokesWord(unsaved)}?`;
  });
  made.className = "quiet discard";
  made.disabled = !unsaved;
  return made;
}
