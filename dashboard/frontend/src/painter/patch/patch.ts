// An open patch: its voxels, what others painted on it, one's own drawing, and the live result.

import type { Zyx } from "../../planes/geometry.ts";
import type { Place } from "../tour.ts";
import {
  BITS,
  type Facts,
  MEMBRANE,
  type PainterData,
  type SlotFacts,
  type Versions,
} from "../types.ts";
import { connectedComponents, middleVoxel } from "../voxels/component_fill.ts";
import { apply, between, type Diff } from "../voxels/diff.ts";
import { Drawing, History } from "../voxels/drawing.ts";
import { Grid } from "../voxels/grid.ts";
import { drawingOf, isContested, Result } from "../voxels/result.ts";
import { smoothed } from "../voxels/slab.ts";
import type { Server } from "./server.ts";

/** What somebody else (or another program) painted; it is looked at, not changed. */
export interface Layer {
  slot: SlotFacts;
  claims: Uint8Array;
  shown: boolean; // hides it only: the result counts it all the same
}

export class OpenPatch {
  readonly grid: Grid;
  drawing: Drawing;
  history = new History();
  readonly result: Result;
  base: Versions; // of one's own slots, as this drawing began
  private smooth: Uint8Array | null = null;
  private knownPieces: Place[] | null = null;
  continued: Versions = {}; // slots of others that it goes on with, to be withdrawn at the save

  constructor(
    public facts: Facts,
    readonly gray: Uint8Array,
    readonly predicted: Uint8Array,
    readonly merged: Uint8Array | null, // of the merge that a review shows
    public layers: Layer[],
    public saved: Uint8Array<ArrayBuffer>, // one's own drawing, as the server has it
    border: number,
  ) {
    this.grid = new Grid(facts.shape, border);
    this.drawing = new Drawing({ inside: this.grid.inside, predicted }, saved);
    this.result = new Result(this.grid.inside, predicted);
    this.base = facts.base;
    this.recount();
  }

  static async load(server: Server, data: PainterData): Promise<OpenPatch> {
    const facts = await server.facts();
    const number = data.merge ?? facts.merges.find((merge) => merge.current)?.number ?? null;
    const [gray, predicted, merged, { layers, saved }] = await Promise.all([
      server.image(facts.imageVersion),
      server.label(facts.labelVersion),
      data.readOnly && number !== null ? server.merged(number) : null,
      loadLayers(server, facts, data.readOnly),
    ]);
    return new OpenPatch(facts, gray, predicted, merged, layers, saved, data.border);
  }

  /** Where voxels are claimed by more than one kind, the largest place first. */
  contestedPlaces(): Place[] {
    const { result, drawing } = this;
    const isMarked = drawing.voxels.map((_, i) =>
      Number(isContested(result.state(i, drawing.voxels))),
    );
    return placesOf(isMarked, this.shape, 1).reverse();
  }

  /** The pieces of the prediction, the smallest first: small ones are the likeliest to be false. */
  pieces(): Place[] {
    this.knownPieces ??= placesOf(this.predicted, this.shape, MEMBRANE);
    return this.knownPieces;
  }

  /** Gray without most of its noise, to compare with a threshold; computed when it is first asked. */
  get smoothGray(): Uint8Array {
    this.smooth ??= smoothed(this.gray, this.shape);
    return this.smooth;
  }

  get shape(): Zyx {
    return this.facts.shape;
  }

  /** Everything is counted anew: when layers come, go or are continued. */
  recount(): void {
    const others = this.layers.filter((layer) => !(layer.slot.name in this.continued));
    this.result.recount(
      others.map((layer) => layer.claims),
      this.drawing.voxels,
    );
  }

  /** The drawing was saved as new versions; what it went on with is part of it now. */
  adoptSaved(facts: Facts, voxels: Uint8Array<ArrayBuffer>): void {
    const { continued } = this;
    this.facts = facts;
    this.base = facts.base;
    this.saved = voxels;
    this.layers = this.layers.filter((layer) => !(layer.slot.name in continued));
    this.continued = {};
    this.recount();
  }

  /** Change many voxels at once, as one stroke. */
  replace(voxels: Uint8Array): Diff {
    const diff = between(this.drawing.voxels, voxels);
    apply(diff, this.drawing.voxels);
    this.recount();
    return diff;
  }

  /** One's drawing together with the work of others: ignore over add over remove. */
  joined(layers: readonly Layer[]): Uint8Array<ArrayBuffer> {
    const own = Uint8Array.from(this.drawing.voxels, (kind) => BITS[kind]!);
    return drawingOf([own, ...layers.map((layer) => layer.claims)], this.grid.size);
  }
}

/** The components of a value, smallest first. */
function placesOf(label: Uint8Array, shape: Zyx, value: number): Place[] {
  return connectedComponents(label, shape, value)
    .map((component) => ({ at: middleVoxel(component, shape), voxels: component.length }))
    .sort((a, b) => a.voxels - b.voxels);
}

/** What is saved: the layers of others, and one's own drawing. */
export async function loadLayers(
  server: Server,
  facts: Facts,
  readOnly: boolean,
): Promise<{ layers: Layer[]; saved: Uint8Array<ArrayBuffer> }> {
  const readable = facts.slots.filter((slot) => !slot.error);
  const loaded = await Promise.all(
    readable.map(async (slot) => ({
      slot,
      shown: true,
      claims: await server.claims(slot.name, slot.version),
    })),
  );
  const size = facts.shape[0] * facts.shape[1] * facts.shape[2];
  const isOwn = (layer: Layer): boolean => !readOnly && layer.slot.name in facts.base;
  const own = loaded.filter(isOwn).map((layer) => layer.claims);
  return { layers: loaded.filter((layer) => !isOwn(layer)), saved: drawingOf(own, size) };
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}
