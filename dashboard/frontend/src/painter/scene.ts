// Everything that the painter shows now.

import type { Contrast } from "../planes/contrast.ts";
import type { Axis, Zyx } from "../planes/geometry.ts";
import type { OpenPatch } from "./patch.ts";
import type { Tool } from "./tools.ts";
import type { PainterData } from "./types.ts";
import type { Palette, View } from "./views.ts";

export interface Scene {
  data: PainterData;
  patch: OpenPatch;
  tool: Tool;
  palette: Palette;
  at: Zyx;
  main: Axis;
  view: View;
  contrast: Contrast;
  opacity: number;
  overlay: boolean;
  flipped: boolean;
  mayPaint: boolean;
  pin: Zyx | null; // where a comment is being written
}
