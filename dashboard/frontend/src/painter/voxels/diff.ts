// What one stroke changed, as runs of voxels: small to keep, to undo and to send to IndexedDB.

const FIELDS = 3; // first voxel, how many, value before and after (in the two low bytes)

/** Runs of [first, count, before | after << 8]. */
export type Diff = Int32Array<ArrayBuffer>;

export const EMPTY: Diff = new Int32Array(0);

/** Collect changed voxels in ascending order into runs. */
export class DiffBuilder {
  private runs = new Int32Array(FIELDS * 64);
  private length = 0;
  private next = -1;
  private values = -1;

  add(voxel: number, before: number, after: number): void {
    const values = before | (after << 8);
    if (voxel === this.next && values === this.values) this.runs[this.length - 2]! += 1;
    else this.begin(voxel, values);
    this.next = voxel + 1;
  }

  done(): Diff {
    return this.runs.slice(0, this.length);
  }

  private begin(voxel: number, values: number): void {
    if (this.length === this.runs.length) {
      const grown = new Int32Array(this.runs.length * 2);
      grown.set(this.runs);
      this.runs = grown;
    }
    this.runs[this.length++] = voxel;
    this.runs[this.length++] = 1;
    this.runs[this.length++] = values;
    this.values = values;
  }
}

/** What turns one drawing into another. */
export function between(before: Uint8Array, after: Uint8Array): Diff {
  const builder = new DiffBuilder();
  for (let i = 0; i < after.length; i++) {
    if (before[i] !== after[i]) builder.add(i, before[i]!, after[i]!);
  }
  return builder.done();
}

export function forEachRun(
  diff: Diff,
  visit: (first: number, count: number, before: number, after: number) => void,
): void {
  for (let i = 0; i < diff.length; i += FIELDS) {
    const values = diff[i + 2]!;
    visit(diff[i]!, diff[i + 1]!, values & 255, values >> 8);
  }
}

export function apply(diff: Diff, voxels: Uint8Array): void {
  forEachRun(diff, (first, count, _before, after) => voxels.fill(after, first, first + count));
}

/** A drawing as it was before its last stroke. */
export function withoutStroke(voxels: Uint8Array, diff: Diff): Uint8Array<ArrayBuffer> {
  const before = new Uint8Array(voxels);
  forEachRun(diff, (first, count, value) => before.fill(value, first, first + count));
  return before;
}

export function inverse(diff: Diff): Diff {
  const turned = diff.slice();
  for (let i = 2; i < turned.length; i += FIELDS) {
    const values = turned[i]!;
    turned[i] = (values >> 8) | ((values & 255) << 8);
  }
  return turned;
}

export function changedVoxels(diff: Diff): number {
  let count = 0;
  for (let i = 1; i < diff.length; i += FIELDS) count += diff[i]!;
  return count;
}
