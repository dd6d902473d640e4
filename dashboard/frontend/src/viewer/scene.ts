// Everything that the viewer shows now.

import type { PlanesState } from "../planes/slice_pane.ts";
import type { Style } from "./compose.ts";
import type { HeatPicture } from "./heat.ts";
import type { Layer } from "./layers.ts";
import type { Proposal } from "./proposal.ts";
import type { ViewerData } from "./types.ts";

export interface Scene extends PlanesState {
  data: ViewerData;
  tomogram: Layer;
  segmentations: Layer[];
  style: Style;
  opacity: number;
  overlay: boolean;
  boxes: boolean; // of the patches
  selected: string | null;
  proposal: Proposal | null;
  heat: HeatPicture | null;
}
