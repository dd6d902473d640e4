// The controls above the planes: planes, layers, patch boxes, contrast, zoom, help.

import { button, choices, element, slider, toggle } from "../planes/elements.ts";
import { AXES, type Axis, PLANE_NAMES } from "../planes/geometry.ts";
import type { Style } from "./compose.ts";
import type { Layer } from "./layers.ts";
import type { Scene } from "./scene.ts";

export interface ToolbarEvents {
  planeChosen(axis: Axis): void;
  overlayChanged(): void;
  opacityChanged(): void;
  styleChosen(style: Style): void;
  boxesToggled(): void;
  contrastByPercent(percent: number): void;
  fitted(): void;
  enlarged(): void;
  helped(): void;
}

const PERCENTS = [0.1, 0.5, 2] as const;
const STYLES: readonly { value: Style; text: string; title: string }[] = [
  { value: "fill", text: "Fill", title: "Fill the segmentation (f)" },
  { value: "outline", text: "Outline", title: "Outline the segmentation (f)" },
];

/** Build the toolbar for a scene; it is built again when the scene's layers change. */
export function toolbar(scene: Scene, events: ToolbarEvents): HTMLElement {
  const planes = AXES.map((axis) => ({
    value: axis,
    text: PLANE_NAMES[axis],
    title: `Show ${PLANE_NAMES[axis]} large (${axis + 1})`,
  }));
  const bar = element("div", "toolbar");
  bar.append(choices<Axis>("plane", planes, scene.main, events.planeChosen));
  bar.append(...layerControls(scene, events));
  if (scene.data.patches.length) {
    const title = "Show the boxes of the patches (h)";
    bar.append(toggle("Patches", title, scene.boxes, events.boxesToggled));
  }
  bar.append(
    element("span", "word", "Contrast"),
    contrastChoice(events),
    button("Fit", "Show the whole plane (0)", events.fitted),
    button("Full screen", "Full screen (Shift + f)", events.enlarged),
    button("?", "Keys (?)", events.helped),
  );
  return bar;
}

function contrastChoice(events: ToolbarEvents): HTMLElement {
  const group = element("div", "group");
  for (const percent of PERCENTS) {
    const title = `Black and white at ${percent} % of the voxels; or drag with the right button`;
    group.append(button(`${percent} %`, title, () => events.contrastByPercent(percent)));
  }
  return group;
}

function layerControls(scene: Scene, events: ToolbarEvents): HTMLElement[] {
  if (!scene.segmentations.length) return [];
  const layers = element("div", "layers");
  layers.append(...scene.segmentations.map((layer) => layerBox(scene, layer, events)));
  const style = choices<Style>("style", STYLES, scene.style, events.styleChosen);
  const opacity = slider("Opacity", scene.opacity, [0.1, 1, 0.05], (value) => {
    scene.opacity = value;
    events.opacityChanged(); // the bar stays, or the slider would lose the pointer
  });
  return [layers, style, opacity];
}

function layerBox(scene: Scene, layer: Layer, events: ToolbarEvents): HTMLElement {
  const box = element("input", "");
  box.type = "checkbox";
  box.checked = scene.overlay && layer.shown && !layer.failed;
  box.disabled = layer.failed !== null;
  box.addEventListener("change", () => {
    layer.shown = box.checked;
    if (box.checked) scene.overlay = true;
    events.overlayChanged();
  });
  const chip = element("span", "chip");
  chip.style.background = layer.object.color ?? "";
  const label = element("label", "layer", box, chip, element("span", "name", layer.object.name));
  label.title = layer.failed ?? layer.object.name;
  return label;
}
