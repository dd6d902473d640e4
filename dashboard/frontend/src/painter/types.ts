// What Python tells the painter, and what the API tells it of a patch. All triples are (z, y, x).

import type { Zyx } from "../planes/geometry.ts";

export type Kind = 0 | 1 | 2 | 3; // what a voxel of a drawing is: nothing, Add, Remove, Ignore
export const NOTHING = 0;
export const ADD = 1;
export const REMOVE = 2;
export const IGNORE = 3;
export const KINDS: readonly Kind[] = [ADD, REMOVE, IGNORE];
export const KIND_NAMES = ["Eraser", "Add", "Remove", "Ignore"] as const;
export const BITS = [0, 1, 2, 4] as const; // of each kind, where several claim one voxel

export const BACKGROUND = 0; // values of a label
export const MEMBRANE = 1;
export const IGNORED = 2;

export interface Colors {
  prediction: string;
  add: string;
  remove: string;
  ignore: string;
  selected: string;
  warning: string;
}

export interface PainterData {
  object: string; // of the patch, as addresses name it
  name: string;
  person: { id: number; name: string };
  readOnly: boolean;
  merge: number | null; // whose label "after" shows; null is the live result
  at: Zyx | null;
  rules: string[];
  colors: Colors;
  volume3d: string; // the script of the 3D view
  border: number;
}

export interface SlotFacts {
  name: string;
  version: number;
  kind: "add" | "remove" | "ignore" | null;
  kinds: string[];
  mine: boolean;
  author: string | null;
  at: string;
  origin: string;
  painted: Record<string, number>;
  error: string | null;
  findings: string[];
}

export interface MergeFacts {
  number: number;
  at: string;
  by: string | null;
  current: boolean;
}

export interface CommentFacts {
  id: number;
  author: string | null;
  text: string;
  at: Zyx | null;
  madeAt: string;
  resolved: boolean;
}

export interface HoldFacts {
  person: string;
  personId: number;
  since: string;
}

export interface DraftFacts {
  revision: number;
  savedAt: string;
  sha256: string;
}

export type Versions = Record<string, number>;

/** A draft on the server, and what a save of it must be told. */
export interface Draft {
  voxels: Uint8Array<ArrayBuffer>;
  base: Versions | null; // of a draft that an older program kept it is not known
  continued: Versions;
}

export interface Facts {
  name: string;
  shape: Zyx;
  voxelSizeAngstrom: number | null;
  imageVersion: string;
  labelVersion: string;
  slots: SlotFacts[];
  base: Versions;
  merges: MergeFacts[];
  comments: CommentFacts[];
  hold: HoldFacts | null;
  draft: DraftFacts | null;
  mayPaint: boolean;
  mayComment: boolean;
}

export interface SavedFacts {
  versions: Versions;
  withdrawn: string[];
  findings: string[];
  savedAt: string;
  facts: Facts;
}
