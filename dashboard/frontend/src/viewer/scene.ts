// Everything that is shown now, and the one place that changes it.

import type { Contrast } from "../planes/contrast.ts";
import type { Axis, Zyx } from "../planes/geometry.ts";
import type { Style } from "../planes/masks.ts";
import type { Layer } from "./layers.ts";
import type { Proposal } from "./proposal.ts";
import type { ViewerData } from "./types.ts";

export interface Scene {
  data: ViewerData;
  tomogram: Layer;
  segmentations: Layer[];
  at: Zyx;
  main: Axis;
  contrast: Contrast;
  style: Style;
  opacity: number;
  overlay: boolean;
  flipped: boolean;
  selected: string | null;
  proposal: Proposal | null;
}
