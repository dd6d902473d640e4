// Everything that the painter shows now.

import type { Contrast } from "../viewer/contrast.ts";
import type { Axis, Zyx } from "../viewer/types.ts";
import type { Palette, View } from "./looks.ts";
import type { OpenPatch } from "./patch.ts";
import type { Hand } from "./tools.ts";
import type { PainterData } from "./types.ts";

export interface Scene {
  data: PainterData;
  patch: OpenPatch;
  hand: Hand;
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
