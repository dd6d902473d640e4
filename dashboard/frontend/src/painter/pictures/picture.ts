// One plane as RGBA, twice: the gray voxels with the border out of bounds, and the tints over them.

import { type Tint, wordOf } from "../../planes/palette.ts";

const SHADES = [0.5, 0.36] as const; // of the border's stripes
const STRIPE = 8; // voxels between the stripes of the border
const LITTLE_ENDIAN_OPAQUE = 0xff000000;

/** Gray through the table, the border darker and striped. */
export function grayWords(
  gray: Uint8Array,
  table: Uint32Array,
  inside: Uint8Array,
  columns: number,
): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(gray.length);
  for (let i = 0; i < gray.length; i++) {
    const word = table[gray[i]!]!;
    out[i] = inside[i] ? word : shaded(word, SHADES[Number(stripeAt(i, columns))]!);
  }
  return out;
}

/** Put a tint on each pixel: ``tintOf`` gives its number in ``tints``; none leaves what is there. */
export function lay(
  words: Uint32Array,
  tints: readonly Tint[],
  tintOf: (pixel: number) => number,
  opacity: number,
): void {
  const put = tints.map((tint) => wordOf(tint, opacity));
  for (let i = 0; i < words.length; i++) {
    const word = put[tintOf(i)]!;
    if (word >>> 24) words[i] = word;
  }
}

/** Every second pixel in another tint, so that it is told apart without colour too. */
export function checker(
  words: Uint32Array,
  tint: Tint,
  isMarked: (pixel: number) => boolean,
  columns: number,
): void {
  const word = wordOf(tint, 1);
  for (let i = 0; i < words.length; i++) {
    const odd = ((i % columns) + Math.floor(i / columns)) & 1;
    if (odd && isMarked(i)) words[i] = word;
  }
}

function stripeAt(pixel: number, columns: number): boolean {
  return ((pixel % columns) + Math.floor(pixel / columns)) % STRIPE < STRIPE / 2;
}

function shaded(word: number, by: number): number {
  const shade = (word & 255) * by;
  return LITTLE_ENDIAN_OPAQUE | (shade << 16) | (shade << 8) | shade;
}
