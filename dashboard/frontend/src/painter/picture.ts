// One plane as RGBA: gray voxels, tints over them, the prediction's outline, the border out of bounds.

import type { Tint } from "./looks.ts";

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

/** Lay a tint over each pixel: ``tintOf`` gives its number in ``tints``. */
export function lay(
  words: Uint32Array,
  tints: readonly Tint[],
  tintOf: (pixel: number) => number,
  opacity: number,
): void {
  for (let i = 0; i < words.length; i++) {
    const tint = tints[tintOf(i)]!;
    if (tint[3] > 0) words[i] = blended(words[i]!, tint, tint[3] * opacity);
  }
}

/** Every second pixel in another tint, so that it is told apart without colour too. */
export function checker(
  words: Uint32Array,
  tint: Tint,
  isMarked: (pixel: number) => boolean,
  columns: number,
): void {
  for (let i = 0; i < words.length; i++) {
    const odd = ((i % columns) + Math.floor(i / columns)) & 1;
    if (odd && isMarked(i)) words[i] = blended(words[i]!, tint, 1);
  }
}

export function blended(word: number, [red, green, blue]: Tint, opacity: number): number {
  const keep = 1 - opacity;
  return (
    LITTLE_ENDIAN_OPAQUE |
    ((((word >> 16) & 255) * keep + blue * opacity) << 16) |
    ((((word >> 8) & 255) * keep + green * opacity) << 8) |
    ((word & 255) * keep + red * opacity)
  );
}

function stripeAt(pixel: number, columns: number): boolean {
  return ((pixel % columns) + Math.floor(pixel / columns)) % STRIPE < STRIPE / 2;
}

function shaded(word: number, by: number): number {
  const shade = (word & 255) * by;
  return LITTLE_ENDIAN_OPAQUE | (shade << 16) | (shade << 8) | shade;
}
