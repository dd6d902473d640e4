// Every stroke in the browser's own database, as soon as it is drawn: what reload, crash and a lost
// network leave. The server's copy is the draft (core/painting/draft.py). A painting is the drawing
// it began with (its base) and the strokes since.

import type { Versions } from "../painter/types.ts";
import { apply, type Diff, inverse } from "../painter/voxels/diff.ts";

const DATABASE = "tomocurate-painter";
const BASES = "bases";
const STROKES = "strokes";

interface Base {
  voxels: Uint8Array<ArrayBuffer>;
  versions: Versions; // of the saved slots that it began with
  continued: Versions; // slots of others that it goes on with
}

interface Stroke {
  painting: string;
  number: number;
  diff: Diff;
  at: number;
}

export interface Kept {
  base: Base;
  strokes: Diff[];
  lastNumber: number;
  at: number; // when the last stroke was drawn, ms
}

export class Journal {
  private number = 0;
  private hasBase = false;

  private constructor(
    private readonly database: IDBDatabase,
    private readonly painting: string, // who paints which patch
  ) {}

  static async open(painting: string): Promise<Journal> {
    return new Journal(await openDatabase(), painting);
  }

  /** What an earlier visit left unsaved. */
  async read(): Promise<Kept | null> {
    const transaction = this.database.transaction([BASES, STROKES]);
    const base = await asked<Base | undefined>(transaction.objectStore(BASES).get(this.painting));
    const strokes = await asked<Stroke[]>(transaction.objectStore(STROKES).getAll(this.all()));
    if (!base || !strokes.length) return null;
    const last = strokes.at(-1)!;
    return {
      base,
      strokes: folded(strokes.map((stroke) => stroke.diff)),
      lastNumber: last.number,
      at: last.at,
    };
  }

  /** Go on with what was read. */
  goOn(kept: Kept): void {
    this.number = kept.lastNumber;
    this.hasBase = true;
  }

  get strokes(): number {
    return this.number;
  }

  /** Keep a stroke; ``before`` is the drawing without it, kept once. */
  async add(diff: Diff, before: () => Base): Promise<void> {
    const transaction = this.write();
    if (!this.hasBase) {
      this.number = 0;
      transaction.objectStore(STROKES).delete(this.all());
      transaction.objectStore(BASES).put(before(), this.painting);
      this.hasBase = true;
    }
    this.number += 1;
    const stroke: Stroke = { painting: this.painting, number: this.number, diff, at: Date.now() };
    transaction.objectStore(STROKES).put(stroke);
    await finished(transaction);
  }

  /** These strokes are in a new base (they were saved): keep only the later ones. */
  async rebase(base: Base, upTo: number): Promise<void> {
    const transaction = this.write();
    if (upTo >= this.number) {
      this.hasBase = false;
      transaction.objectStore(BASES).delete(this.painting);
      transaction.objectStore(STROKES).delete(this.all());
    } else {
      transaction.objectStore(BASES).put(base, this.painting);
      transaction
        .objectStore(STROKES)
        .delete(IDBKeyRange.bound([this.painting, 0], [this.painting, upTo]));
    }
    await finished(transaction);
  }

  async clear(): Promise<void> {
    await this.rebase({ voxels: new Uint8Array(0), versions: {}, continued: {} }, this.number);
  }

  close(): void {
    this.database.close();
  }

  private all(): IDBKeyRange {
    return IDBKeyRange.bound([this.painting, 0], [this.painting, Infinity]);
  }

  /** Strict: a stroke that counts as kept is on the disk. */
  private write(): IDBTransaction {
    return this.database.transaction([BASES, STROKES], "readwrite", { durability: "strict" });
  }
}

/** Strokes without those that were undone: a stroke followed by its inverse is none. */
export function folded(strokes: readonly Diff[]): Diff[] {
  const rest: Diff[] = [];
  for (const stroke of strokes) {
    const last = rest.at(-1);
    if (last && isSame(inverse(last), stroke)) rest.pop();
    else rest.push(stroke);
  }
  return rest;
}

function isSame(a: Diff, b: Diff): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** The drawing that a journal leads to. */
export function replayed(kept: Kept): Uint8Array<ArrayBuffer> {
  const voxels = kept.base.voxels.slice();
  for (const diff of kept.strokes) apply(diff, voxels);
  return voxels;
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(BASES);
    request.result.createObjectStore(STROKES, { keyPath: ["painting", "number"] });
  };
  return asked(request);
}

function asked<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}
