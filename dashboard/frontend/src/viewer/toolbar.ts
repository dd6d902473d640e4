// The controls above the planes: planes, overlay, contrast, zoom, help.

import { button, element, slider } from "../planes/elements.ts";
import { AXES, type Axis, PLANE_NAMES } from "../planes/geometry.ts";
import type { Scene } from "./scene.ts";

export interface ToolbarEvents {
  planeChosen(axis: Axis): void;
  overlayChanged(): void;
  opacityChanged(): void;
  contrastByPercent(percent: number): void;
  fitted(): void;
  helped(): void;
}

/** Build the toolbar for a scene; it is built again when the scene's layers change. */
export function toolbar(scene: Scene, events: ToolbarEvents): HTMLElement {
  const planes = element("div", "group");
  for (const axis of AXES) {
    const chosen = button(PLANE_NAMES[axis], `Show ${PLANE_NAMES[axis]} large (${axis + 1})`, () =>
      events.planeChosen(axis),
    );
    chosen.setAttribute("aria-pressed", String(axis === scene.main));
    planes.append(chosen);
  }
  const contrast = element("div", "group");
  for (const percent of [0.1, 0.5, 2]) {
    const title = `Black and white at ${percent} % of the voxels; or drag with the right button`;
    contrast.append(button(`${percent} %`, title, () => events.contrastByPercent(percent)));
  }
  const bar = element("div", "toolbar", planes, ...layerControls(scene, events));
  bar.append(element("span", "word", "Contrast"), contrast);
  bar.append(
    button("Fit", "Whole plane (0)", events.fitted),
    button("?", "Keys (?)", events.helped),
  );
  return bar;
}

function layerControls(scene: Scene, events: ToolbarEvents): HTMLElement[] {
  if (!scene.segmentations.length) return [];
  const layers = element("div", "layers");
  for (const layer of scene.segmentations) {
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
    layers.append(label);
  }
  const style = button(scene.style === "fill" ? "Fill" : "Outline", "Fill or outline (f)", () => {
    scene.style = scene.style === "fill" ? "outline" : "fill";
    events.overlayChanged();
  });
  const opacity = slider("Opacity", scene.opacity, [0.1, 1, 0.05], (value) => {
    scene.opacity = value;
    events.opacityChanged(); // the bar stays, or the slider would lose the pointer
  });
  return [layers, style, opacity];
}
