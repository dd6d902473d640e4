// Everything that the painter shows now.

import { AUTOMATIC_PERCENT, byPercentile, type Contrast } from "../planes/contrast.ts";
import { type Axis, clampTo, middleOf, type PlanePoint, type Zyx } from "../planes/geometry.ts";
import type { PlanesState } from "../planes/slice_pane.ts";
import type { OpenPatch } from "./patch/patch.ts";
import { type Palette, palette, REVIEW_VIEWS, VIEWS, type View } from "./pictures/views.ts";
import { Tool } from "./tools.ts";
import type { PainterData } from "./types.ts";
import type { Slab } from "./voxels/slab.ts";

const DARK_PERCENT = 33;

/** A distance that is measured in a slice. */
export interface Ruler {
  axis: Axis;
  slice: number;
  from: PlanePoint;
  to: PlanePoint;
}

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
  slab: Slab; // slices whose mean is shown
  threshold: number; // gray that "only dark voxels" begins with
  ruler: Ruler | null;
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
    slab: 1,
    threshold: thresholdOf(patch.gray),
    ruler: null,
    pin: null,
    comment: "",
  };
}

export function automaticContrast(gray: Uint8Array): Contrast {
  return byPercentile(histogramOf(gray), AUTOMATIC_PERCENT);
}

/** The gray below which the darkest third of a patch lies. */
function thresholdOf(gray: Uint8Array): number {
  return Math.round(byPercentile(histogramOf(gray), DARK_PERCENT).black) + 1;
}

/** Of every seventh voxel. */
function histogramOf(gray: Uint8Array): number[] {
  const histogram = new Array<number>(256).fill(0);
  for (let i = 0; i < gray.length; i += 7) histogram[gray[i]!]! += 1;
  return histogram;
}

export function nextView({ data, view }: Scene): View {
  const views = data.readOnly ? REVIEW_VIEWS : VIEWS;
  return views[(views.indexOf(view) + 1) % views.length]!;
}
