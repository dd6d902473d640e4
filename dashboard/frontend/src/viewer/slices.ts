// The decoded slices of one volume: the newest wish first, neighbours fetched ahead, old ones left.

import { ask, sliceAddress } from "../api.ts";

export interface Slice {
  width: number;
  height: number;
  values: Uint8Array; // gray, or non-zero where membrane is
}

const KEPT_BYTES = 96 << 20;
const AT_ONCE = 3;

/** Least recently used leave first. */
export class Shelf<Value> {
  private readonly entries = new Map<string, { value: Value; size: number }>();
  private total = 0;

  constructor(private readonly limit: number) {}

  get(key: string): Value | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  has(key: string): boolean {
    return this.entries.has(key);
  }

  put(key: string, value: Value, size: number): void {
    const old = this.entries.get(key);
    if (old) this.total -= old.size;
    this.entries.delete(key);
    this.entries.set(key, { value, size });
    this.total += size;
    for (const [oldest, { size: freed }] of this.entries) {
      if (this.total <= this.limit || oldest === key) break;
      this.entries.delete(oldest);
      this.total -= freed;
    }
  }

  clear(): void {
    this.entries.clear();
    this.total = 0;
  }
}

/** Fetches and decodes the slices of one volume. */
export class Slices {
  private readonly shelf = new Shelf<Slice>(KEPT_BYTES);
  private readonly underway = new Map<string, Promise<Slice>>();
  private ahead: string[] = [];
  private readonly stopped = new AbortController();

  constructor(
    private readonly object: string,
    private readonly decode: (answer: Response, address: string) => Promise<Slice>,
    public version: string,
  ) {}

  address(axis: string, index: number, full: boolean): string {
    return sliceAddress(this.object, this.version, axis, index, full);
  }

  ready(address: string): Slice | undefined {
    return this.shelf.get(address);
  }

  load(address: string): Promise<Slice> {
    const held = this.shelf.get(address);
    if (held) return Promise.resolve(held);
    const coming = this.underway.get(address) ?? this.fetch(address);
    this.underway.set(address, coming);
    return coming;
  }

  /** Fetch these when there is nothing better to do; an older list is forgotten. */
  prefetch(addresses: string[]): void {
    this.ahead = addresses.filter((a) => !this.shelf.has(a) && !this.underway.has(a));
    this.goOn();
  }

  stop(): void {
    this.stopped.abort();
    this.shelf.clear();
  }

  private goOn(): void {
    while (this.underway.size < AT_ONCE) {
      const next = this.ahead.shift();
      if (next === undefined) return;
      this.load(next).catch(() => (this.ahead = [])); // a wish of nobody may fail, and ends the list
    }
  }

  private async fetch(address: string): Promise<Slice> {
    try {
      const answer = await ask(address, this.stopped.signal);
      const slice = await this.decode(answer, address);
      this.shelf.put(address, slice, slice.values.length);
      return slice;
    } finally {
      this.underway.delete(address);
      this.goOn();
    }
  }
}

/** Packed bits, eight voxels a byte, each row beginning with a byte of its own. */
export function unpack(bits: Uint8Array, width: number, height: number): Slice {
  const values = new Uint8Array(width * height);
  const rowBytes = Math.ceil(width / 8);
  for (let i = 0; i < bits.length; i++) {
    const byte = bits[i]!;
    if (!byte) continue;
    const column = (i % rowBytes) * 8;
    const start = Math.floor(i / rowBytes) * width + column;
    const count = Math.min(8, width - column);
    for (let bit = 0; bit < count; bit++) values[start + bit] = (byte >> (7 - bit)) & 1;
  }
  return { width, height, values };
}

export async function decodeGray(answer: Response): Promise<Slice> {
  const bitmap = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const words = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  const values = new Uint8Array(words.length);
  for (let i = 0; i < words.length; i++) values[i] = words[i]! & 255;
  return { width, height, values };
}
