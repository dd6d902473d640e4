// Everything that the painter shows now.

import { AUTOMATIC_PERCENT, byPercentile, type Contrast } from "../planes/contrast.ts";
import { type Axis, clampTo, middleOf, type Zyx } from "../planes/geometry.ts";
import type { PlanesState } from "../planes/slice_pane.ts";
import type { OpenPatch } from "./patch.ts";
import { Tool } from "./tools.ts";
import type { PainterData } from "./types.ts";
import { type Palette, palette, REVIEW_VIEWS, VIEWS, type View } from "./views.ts";

export interface Scene extends PlanesState {
  data: PainterData;
  patch: OpenPatch;
  tool: Tool;
  palette: Palette;
  view: View;
  opacity: number;
  overlay: boolean;
  isPainter: boolean; // one's role paints, whoever holds the patch now
  mayPaint: boolean; // now
  brushAt: { axis: Axis; voxel: Zyx } | null; // where the pen is
  pin: Zyx | null; // where a comment is being written
  comment: string; // what is written so far
}

export function openScene(data: PainterData, patch: OpenPatch, at: Zyx | null): Scene {
  const { shape } = patch;
  return {
    data,
    patch,
    shape,
    tool: new Tool(),
    palette: palette(data.colors),
    at: at ? clampTo(at, shape) : middleOf(shape),
    main: 0,
    view: data.readOnly ? "after" : "corrections",
    contrast: automaticContrast(patch.gray),
    opacity: 0.55,
    overlay: true,
    flipped: false,
    voxelSizeAngstrom: patch.facts.voxelSizeAngstrom,
    crossColor: data.colors.selected,
    isPainter: !data.readOnly && patch.facts.mayPaint,
    mayPaint: false,
    brushAt: null,
    pin: null,
    comment: "",
  };
}

/** Black and white by percentile, from every seventh voxel. */
export function automaticContrast(gray: Uint8Array): Contrast {
  const histogram = new Array<number>(256).fill(0);
  for (let i = 0; i < gray.length; i += 7) histogram[gray[i]!]! += 1;
  return byPercentile(histogram, AUTOMATIC_PERCENT);
}

export function nextView({ data, view }: Scene): View {
  const views = data.readOnly ? REVIEW_VIEWS : VIEWS;
  return views[(views.indexOf(view) + 1) % views.length]!;
}
