// One volume that is shown: its facts, its slices, and whether and in which colour it is drawn.

import { askFacts, Refused } from "../api.ts";
import { AXIS_LETTERS, type Axis, planeIndex, planeSize, type Zyx } from "../planes/geometry.ts";
import { edgeOf, voxelsOf } from "../planes/masks.ts";
import { parseColor } from "../planes/palette.ts";
import type { Mask, Style } from "./compose.ts";
import { decodeGray, type Slice, Slices, unpack } from "./slices.ts";
import type { Facts, ViewedObject } from "./types.ts";

const NEIGHBOURS = 3;
const GONE = 410;

export class Layer {
  shown = true;
  failed: string | null = null; // why it cannot be drawn
  private readonly drawn = new WeakMap<Slice, { thick: number; voxels: Uint32Array }>();

  private constructor(
    readonly object: ViewedObject,
    public facts: Facts,
    private readonly slices: Slices,
  ) {}

  static async open(object: ViewedObject): Promise<Layer> {
    const facts = await askFacts(object.object);
    const decode = facts.look === "gray" ? decodeGray : decodeBits(facts.planeShape);
    return new Layer(object, facts, new Slices(object.object, decode, facts.version));
  }

  /** Look again what the volume is; true if its pictures changed. */
  async refresh(): Promise<boolean> {
    const facts = await askFacts(this.object.object);
    const changed = facts.version !== this.facts.version;
    this.facts = facts;
    this.slices.version = facts.version;
    return changed;
  }

  /** The slice through a position: at once if it was fetched, else when it comes. */
  ready(axis: Axis, at: Zyx, full: boolean): Slice | undefined {
    return this.slices.ready(this.address(axis, at, full));
  }

  async load(axis: Axis, at: Zyx, full: boolean): Promise<Slice> {
    try {
      return await this.slices.load(this.address(axis, at, full));
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== GONE) throw error;
      await this.refresh();
      return this.slices.load(this.address(axis, at, full));
    }
  }

  /** Wish for the neighbours, most of them in the direction of travel. */
  lookAhead(axis: Axis, at: Zyx, direction: number, full: boolean): void {
    const index = this.index(axis, at, full);
    const last = (full ? this.facts.shape : this.facts.planeShape)[axis] - 1;
    const steps = [1, 2, NEIGHBOURS, -1].map((step) => index + step * (direction || 1));
    const wanted = steps.filter((i) => i >= 0 && i <= last);
    this.slices.prefetch(wanted.map((i) => this.slices.address(AXIS_LETTERS[axis], i, full)));
  }

  /** What to draw of a slice; an outline is so many voxels thick. */
  mask(slice: Slice, style: Style, thick: number): Mask {
    const rgb = parseColor(this.object.color ?? "#56B4E9");
    const wanted = style === "fill" ? 0 : thick;
    let known = this.drawn.get(slice);
    if (known?.thick !== wanted) {
      const { values, width, height } = slice;
      const voxels = wanted ? edgeOf(values, width, height, wanted) : voxelsOf(values);
      known = { thick: wanted, voxels };
      this.drawn.set(slice, known);
    }
    return { voxels: known!.voxels, rgb };
  }

  stop(): void {
    this.slices.stop();
  }

  private index(axis: Axis, at: Zyx, full: boolean): number {
    return full ? at[axis] : planeIndex(at, axis, this.facts.binning);
  }

  private address(axis: Axis, at: Zyx, full: boolean): string {
    return this.slices.address(AXIS_LETTERS[axis], this.index(axis, at, full), full);
  }
}

/** How the planes of a label become masks; an address tells of which axis one is. */
function decodeBits(shape: Zyx): (answer: Response, address: string) => Promise<Slice> {
  return async (answer, address) => {
    const axis = AXIS_LETTERS.findIndex((letter) => address.includes(`/${letter}/`)) as Axis;
    const { width, height } = planeSize(shape, axis);
    return unpack(new Uint8Array(await answer.arrayBuffer()), width, height);
  };
}
