// What one plane of the scene looks like, pixel by pixel (one pixel a voxel).

import { table } from "../../planes/contrast.ts";
import type { Axis } from "../../planes/geometry.ts";
import { outline } from "../../planes/masks.ts";
import { NO_TINT } from "../../planes/palette.ts";
import type { Scene } from "../scene.ts";
import { BITS, IGNORED, MEMBRANE } from "../types.ts";
import { cut } from "../voxels/grid.ts";
import { isContested, isLost } from "../voxels/result.ts";
import { slabPlane } from "../voxels/slab.ts";
import { checker, grayWords, lay } from "./picture.ts";
import { labelTint, stateTints } from "./views.ts";

const OUTLINE_OPACITY = 0.9;

/** The gray of the plane; the border and padded voxels are out of bounds. */
export function grayPlane(scene: Scene, axis: Axis): Uint32Array<ArrayBuffer> {
  const { patch } = scene;
  const plane = patch.grid.plane(axis, scene.at[axis]);
  const inside = cut(patch.grid.inside, plane);
  const predicted = cut(patch.predicted, plane);
  const gray = slabPlane(patch.gray, patch.grid, axis, scene.at[axis], scene.slab);
  for (let i = 0; i < inside.length; i++) if (predicted[i] === IGNORED) inside[i] = 0;
  return grayWords(gray, table(scene.contrast), inside, plane.columns);
}

/** What lies over it: corrections, labels, the prediction's outline; see-through elsewhere. */
export function overlayPlane(scene: Scene, axis: Axis): Uint32Array<ArrayBuffer> {
  const { patch } = scene;
  const plane = patch.grid.plane(axis, scene.at[axis]);
  const { columns, rows } = plane;
  const words = new Uint32Array(columns * rows);
  if (!scene.overlay) return words;
  const predicted = cut(patch.predicted, plane);
  if (patch.merged && scene.view !== "corrections") {
    layLabels(scene, words, predicted, cut(patch.merged, plane), cut(patch.grid.inside, plane));
  } else layStates(scene, words, axis);
  if (scene.view === "corrections" || scene.view === "difference") {
    const edge = outline(
      predicted.map((value) => Number(value === MEMBRANE)),
      columns,
      rows,
    );
    lay(words, [NO_TINT, scene.palette.membrane], (i) => edge[i]!, OUTLINE_OPACITY);
  }
  return words;
}

/** The live result: every voxel by its state; contested and lost ones in a checker pattern. */
function layStates(scene: Scene, words: Uint32Array, axis: Axis): void {
  const { patch, palette } = scene;
  const plane = patch.grid.plane(axis, scene.at[axis]);
  const states = cut(patch.result.fixed, plane);
  const drawn = cut(patch.drawing.voxels, plane);
  hideLayers(scene, states, axis);
  for (let i = 0; i < states.length; i++) states[i]! |= BITS[drawn[i]!]!;
  lay(words, stateTints(scene.view, palette), (i) => states[i]!, scene.opacity);
  if (scene.view === "before") return;
  checker(
    words,
    palette.warning,
    (i) => isContested(states[i]!) || isLost(states[i]!),
    plane.columns,
  );
}

/** In the corrections view, what only hidden layers claim is not drawn. */
function hideLayers(scene: Scene, states: Uint8Array, axis: Axis): void {
  const { patch, view } = scene;
  if (view !== "corrections" || patch.layers.every((layer) => layer.shown)) return;
  const plane = patch.grid.plane(axis, scene.at[axis]);
  for (let i = 0; i < states.length; i++) states[i]! &= ~7;
  for (const layer of patch.layers) {
    if (!layer.shown || layer.slot.name in patch.continued) continue;
    const claims = cut(layer.claims, plane);
    for (let i = 0; i < states.length; i++) states[i]! |= claims[i]!;
  }
}

/** A merge under review: predicted label against merged label. */
function layLabels(
  scene: Scene,
  words: Uint32Array,
  was: Uint8Array,
  is: Uint8Array,
  inside: Uint8Array,
): void {
  const view = scene.view === "result" ? "after" : scene.view;
  const tints = Array.from({ length: 16 }, (_, pair) =>
    labelTint(view, pair >> 2, pair & 3, scene.palette),
  );
  tints[0] = NO_TINT;
  lay(words, tints, (i) => (inside[i] ? (was[i]! << 2) | is[i]! : 0), scene.opacity);
}
