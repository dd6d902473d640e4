// What Python tells the viewer, and what the API tells it of a volume. All triples are (z, y, x).

import type { Axis, Zyx } from "../planes/geometry.ts";
import type { Heat } from "./heat.ts";
import type { Decision, Proposed } from "./proposed.ts";

export interface ViewedObject {
  object: string;
  name: string;
  color?: string;
}

export interface PatchMark {
  name: string;
  center: Zyx;
  start: Zyx;
  stop: Zyx;
  color: string;
  label: string;
  note: string;
}

export interface Reason {
  value: string;
  label: string;
}

export interface ViewerData {
  tomogram: ViewedObject;
  segmentations: ViewedObject[];
  patches: PatchMark[];
  selected: string | null;
  mayChoose: boolean;
  reasons: Reason[];
  rules: string[];
  patchSide: number;
  at: Zyx | null;
  plane: Axis;
  message: string | null; // what came of the last choice: "saved" or why not
  messageIsError: boolean;
  colors: { selected: string; refused: string; proposed: string };
  proposed: Proposed;
  heat: Heat | null;
}

export interface Facts {
  version: string;
  look: "gray" | "label";
  shape: Zyx;
  planeShape: Zyx;
  binning: number;
  window: readonly [number, number];
  histogram: number[];
  voxelSizeAngstrom: number | null;
  hasPreview: boolean;
}

export type NearBorder = "refuse" | "shift" | "pad";

export interface Decided {
  id: number;
  decision: Decision;
  nonce: number;
}

export interface Choice {
  center_xyz: [number, number, number];
  why: string;
  near_border: NearBorder;
  nonce: number; // so that the same choice twice is sent twice
}
