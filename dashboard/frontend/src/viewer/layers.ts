// One volume that is shown: its facts, its slices, and whether and in which colour it is drawn.

import { askFacts, Refused, type Tokens } from "./api.ts";
import { outline, parseColor, type Mask, type Style } from "./compose.ts";
import { planeIndex } from "./planes.ts";
import { type Slice, Slices } from "./slices.ts";
import { AXIS_LETTERS, type Axis, type Facts, type ViewedObject, type Zyx } from "./types.ts";

const NEIGHBOURS = 3;
const GONE = 410;

export class Layer {
  shown = true;
  failed: string | null = null; // why it cannot be drawn
  private readonly outlines = new WeakMap<Slice, { thick: number; edge: Uint8Array }>();

  private constructor(
    readonly object: ViewedObject,
    private readonly tokens: Tokens,
    public facts: Facts,
    private readonly slices: Slices,
  ) {}

  static async open(object: ViewedObject, tokens: Tokens): Promise<Layer> {
    tokens.keep(object.object, object.token);
    const facts = await askFacts(tokens, object.object);
    return new Layer(object, tokens, facts, new Slices(tokens, object.object, facts.version));
  }

  /** Look again what the volume is; true if its pictures changed. */
  async refresh(): Promise<boolean> {
    const facts = await askFacts(this.tokens, this.object.object);
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
    if (style === "fill") return { inside: slice.values, rgb };
    let known = this.outlines.get(slice);
    if (known?.thick !== thick) {
      known = { thick, edge: outline(slice.values, slice.width, slice.height, thick) };
      this.outlines.set(slice, known);
    }
    return { inside: known!.edge, rgb };
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
