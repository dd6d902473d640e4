// A center that somebody is about to choose: its box, and what stands against it.

import type { Zyx } from "../planes/geometry.ts";
import type { NearBorder, PatchMark } from "./types.ts";

export interface Proposal {
  center: Zyx;
  start: Zyx;
  stop: Zyx;
  leaves: boolean;
  fits: Zyx | null; // the nearest center whose box lies inside; null in a thin tomogram
  overlaps: string[]; // names of patches
}

const LETTERS = ["z", "y", "x"];

export function propose(
  center: Zyx,
  shape: Zyx,
  side: number,
  patches: readonly PatchMark[],
): Proposal {
  const [start, stop] = boxAround(center, side);
  const leaves = start.some((value, i) => value < 0 || stop[i]! > shape[i]!);
  const overlaps = patches
    .filter((p) => p.start.every((a, i) => Math.max(a, start[i]!) < Math.min(p.stop[i]!, stop[i]!)))
    .map((p) => p.name);
  return {
    center,
    start,
    stop,
    leaves,
    fits: leaves ? shifted(center, shape, side) : center,
    overlaps,
  };
}

/** Which way a center may be saved: as it is, padded where the tomogram is too thin, or not. */
export function wayToSave(proposal: Proposal): NearBorder | null {
  if (!proposal.leaves) return "refuse";
  return proposal.fits ? null : "pad";
}

export function boxAround(center: Zyx, side: number): [Zyx, Zyx] {
  const start = center.map((value) => value - Math.floor(side / 2));
  const stop = start.map((value) => value + side);
  return [asZyx(start), asZyx(stop)];
}

export function shifted(center: Zyx, shape: Zyx, side: number): Zyx | null {
  const half = Math.floor(side / 2);
  if (Math.min(...shape) < side) return null;
  return asZyx(center.map((c, i) => Math.min(Math.max(c, half), shape[i]! - side + half)));
}

/** What stands against a center, as one sentence; null for nothing. */
export function objection(proposal: Proposal, shape: Zyx, side: number): string | null {
  if (proposal.leaves && !proposal.fits) {
    const thin = LETTERS.filter((_, i) => shape[i]! < side)
      .reverse()
      .join(" and ");
    return `The tomogram is thinner than ${side} voxels in ${thin}; what is missing can be padded (ignore).`;
  }
  if (proposal.leaves) {
    const sides = LETTERS.filter((_, i) => proposal.start[i]! < 0 || proposal.stop[i]! > shape[i]!);
    return `The box leaves the tomogram in ${sides.reverse().join(" and ")}.`;
  }
  if (proposal.overlaps.length) return `The box overlaps ${proposal.overlaps.join(", ")}.`;
  return null;
}

function asZyx(values: readonly number[]): Zyx {
  return [values[0]!, values[1]!, values[2]!];
}
