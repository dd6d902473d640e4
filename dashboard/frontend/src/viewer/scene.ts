// Everything that is shown now, and the one place that changes it.

import type { Contrast } from "./contrast.ts";
import type { Style } from "./compose.ts";
import type { Layer } from "./layers.ts";
import type { Proposal } from "./proposal.ts";
import type { Axis, ViewerData, Zyx } from "./types.ts";

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
