// The label that a merge would give now, counted: predicted label, all corrections, the drawing.
// A voxel is in one of 64 states; a stroke moves its voxels from state to state, so the counts
// follow a stroke without looking at the other four million.

import { BACKGROUND, BITS, IGNORED, MEMBRANE } from "../types.ts";
import { type Diff, forEachRun } from "./diff.ts";

const INSIDE = 32;
const STATES = 64;

export interface Counts {
  background: number;
  membrane: number;
  ignore: number;
  added: number;
  removed: number;
  ignored: number;
  contested: number; // claimed by more than one kind
  lost: number; // painted in the border, where every voxel is ignore
}

/** The label's value in each state: border over ignore over add over remove. */
export const MERGED = Uint8Array.from({ length: STATES }, (_, state) => {
  if (!(state & INSIDE) || state & 4) return IGNORED;
  if (state & 1) return MEMBRANE;
  return state & 2 ? BACKGROUND : predictedIn(state);
});

export function predictedIn(state: number): number {
  return (state >> 3) & 3;
}

export function isInside(state: number): boolean {
  return (state & INSIDE) !== 0;
}

export function isContested(state: number): boolean {
  return isInside(state) && claimsIn(state) > 1;
}

export function isLost(state: number): boolean {
  return !isInside(state) && claimsIn(state) > 0;
}

/** What holds without the drawing: border, predicted label, and what others claim. */
export class Result {
  readonly fixed: Uint8Array;
  private readonly tally = new Int32Array(STATES);

  constructor(
    inside: Uint8Array,
    private readonly predicted: Uint8Array,
  ) {
    this.fixed = new Uint8Array(predicted.length);
    for (let i = 0; i < inside.length; i++) this.fixed[i] = inside[i]! * INSIDE + predicted[i]! * 8;
  }

  /** Take the claims of others and a drawing, and count everything. */
  recount(claims: readonly Uint8Array[], drawing: Uint8Array): void {
    const { fixed, tally, predicted } = this;
    for (let i = 0; i < fixed.length; i++) fixed[i] = (fixed[i]! & INSIDE) | (predicted[i]! << 3);
    for (const claimed of claims) for (let i = 0; i < fixed.length; i++) fixed[i]! |= claimed[i]!;
    tally.fill(0);
    for (let i = 0; i < fixed.length; i++) tally[fixed[i]! | BITS[drawing[i]!]!]! += 1;
  }

  /** Follow a stroke. */
  follow(diff: Diff): void {
    const { fixed, tally } = this;
    forEachRun(diff, (first, count, before, after) => {
      for (let i = first; i < first + count; i++) {
        tally[fixed[i]! | BITS[before]!]! -= 1;
        tally[fixed[i]! | BITS[after]!]! += 1;
      }
    });
  }

  counts(): Counts {
    const counts = {
      background: 0,
      membrane: 0,
      ignore: 0,
      added: 0,
      removed: 0,
      ignored: 0,
      contested: 0,
      lost: 0,
    };
    this.tally.forEach((voxels, state) => {
      counts[VALUE_NAMES[MERGED[state]!]!] += voxels;
      if (isLost(state)) counts.lost += voxels * claimsIn(state);
      if (isContested(state)) counts.contested += voxels;
      const change = changeIn(state);
      if (change) counts[change] += voxels;
    });
    return counts;
  }

  state(voxel: number, drawing: Uint8Array): number {
    return this.fixed[voxel]! | BITS[drawing[voxel]!]!;
  }

  /** The merged label itself. */
  label(drawing: Uint8Array): Uint8Array {
    const label = new Uint8Array(drawing.length);
    for (let i = 0; i < label.length; i++) label[i] = MERGED[this.state(i, drawing)]!;
    return label;
  }
}

/** One kind a voxel: ignore over add over remove, so that the merged label stays the same. */
export function kindOfClaims(claims: number): number {
  if (claims & 4) return 3;
  return claims & 1 ? 1 : claims & 2;
}

export function drawingOf(claims: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(size);
  for (const claimed of claims) for (let i = 0; i < size; i++) joined[i]! |= claimed[i]!;
  for (let i = 0; i < size; i++) joined[i] = kindOfClaims(joined[i]!);
  return joined;
}

const VALUE_NAMES = ["background", "membrane", "ignore"] as const;

/** What corrections change in a state, inside the border. */
function changeIn(state: number): "added" | "removed" | "ignored" | null {
  if (!isInside(state) || !claimsIn(state)) return null;
  const is = MERGED[state]!;
  if (predictedIn(state) === is) return null;
  if (is === IGNORED) return "ignored";
  if (is === MEMBRANE) return "added";
  return predictedIn(state) === MEMBRANE ? "removed" : null;
}

function claimsIn(state: number): number {
  return (state & 1) + ((state >> 1) & 1) + ((state >> 2) & 1);
}
