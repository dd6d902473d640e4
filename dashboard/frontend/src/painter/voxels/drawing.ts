// What a person paints, one kind a voxel, and the strokes that made it: undo and redo.

import { type Kind, MEMBRANE, NOTHING } from "../types.ts";
import { apply, type Diff, DiffBuilder, inverse } from "./diff.ts";

export type Where = "anywhere" | "on prediction" | "outside prediction";

export interface Canvas {
  inside: Uint8Array; // the border is out of bounds
  predicted: Uint8Array;
}

/** Paint only voxels whose gray is below this. */
export interface Threshold {
  gray: Uint8Array;
  darkerThan: number;
}

const MOST_HISTORY_BYTES = 64 << 20;

export class Drawing {
  readonly voxels: Uint8Array<ArrayBuffer>;
  /** Voxels of the stroke in progress that were not painted, and why. */
  blocked = { border: 0, place: 0, bright: 0 };
  private readonly before: Uint8Array;
  private readonly isTouched: Uint8Array;
  private touched = new Int32Array(1024);
  private touchedCount = 0;

  constructor(
    private readonly canvas: Canvas,
    voxels?: Uint8Array,
  ) {
    const size = canvas.predicted.length;
    this.voxels = new Uint8Array(size);
    if (voxels) this.voxels.set(voxels);
    this.before = new Uint8Array(size);
    this.isTouched = new Uint8Array(size);
  }

  /** Paint one voxel, where this kind may be painted; erasing is always allowed. */
  paint(voxel: number, kind: Kind, where: Where, threshold: Threshold | null = null): void {
    if (this.voxels[voxel] === kind) return;
    if (kind !== NOTHING && !this.allows(voxel, where, threshold)) return;
    if (!this.isTouched[voxel]) this.touch(voxel);
    this.voxels[voxel] = kind;
  }

  /** End a stroke: what it changed, or null for nothing. */
  finish(): Diff | null {
    const touched = this.touched.subarray(0, this.touchedCount).sort();
    const builder = new DiffBuilder();
    for (const voxel of touched) {
      this.isTouched[voxel] = 0;
      const was = this.before[voxel]!;
      if (was !== this.voxels[voxel]) builder.add(voxel, was, this.voxels[voxel]!);
    }
    this.touchedCount = 0;
    this.blocked = { border: 0, place: 0, bright: 0 };
    const diff = builder.done();
    return diff.length ? diff : null;
  }

  /** Take the stroke in progress back, as if it had never begun. */
  cancel(): void {
    for (const voxel of this.touched.subarray(0, this.touchedCount)) {
      this.isTouched[voxel] = 0;
      this.voxels[voxel] = this.before[voxel]!;
    }
    this.touchedCount = 0;
  }

  private allows(voxel: number, where: Where, threshold: Threshold | null): boolean {
    if (!this.canvas.inside[voxel]) {
      this.blocked.border += 1;
      return false;
    }
    if (threshold && threshold.gray[voxel]! >= threshold.darkerThan) {
      this.blocked.bright += 1;
      return false;
    }
    if (where === "anywhere") return true;
    const isAllowed = (this.canvas.predicted[voxel] === MEMBRANE) === (where === "on prediction");
    if (!isAllowed) this.blocked.place += 1;
    return isAllowed;
  }

  private touch(voxel: number): void {
    if (this.touchedCount === this.touched.length) {
      const grown = new Int32Array(this.touched.length * 2);
      grown.set(this.touched);
      this.touched = grown;
    }
    this.touched[this.touchedCount++] = voxel;
    this.isTouched[voxel] = 1;
    this.before[voxel] = this.voxels[voxel]!;
  }
}

/** Strokes that can be taken back; the oldest leave when they take too much memory. */
export class History {
  private undone: Diff[] = [];
  private bytes = 0;

  constructor(
    private done: Diff[] = [],
    private readonly mostBytes = MOST_HISTORY_BYTES,
  ) {
    this.bytes = done.reduce((sum, diff) => sum + diff.byteLength, 0);
  }

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  add(diff: Diff): void {
    this.bytes -= this.undone.reduce((sum, diff) => sum + diff.byteLength, 0);
    this.undone = [];
    this.done.push(diff);
    this.bytes += diff.byteLength;
    while (this.bytes > this.mostBytes && this.done.length > 1) {
      this.bytes -= this.done.shift()!.byteLength;
    }
  }

  /** Take the last stroke back; gives what that changed. */
  undo(voxels: Uint8Array): Diff | null {
    const diff = this.done.pop();
    if (!diff) return null;
    this.undone.push(diff);
    const back = inverse(diff);
    apply(back, voxels);
    return back;
  }

  redo(voxels: Uint8Array): Diff | null {
    const diff = this.undone.pop();
    if (!diff) return null;
    this.done.push(diff);
    apply(diff, voxels);
    return diff;
  }
}
