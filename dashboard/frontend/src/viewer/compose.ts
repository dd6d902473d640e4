// Puts gray voxels and membrane masks together into one RGBA picture.

export interface Mask {
  voxels: Uint32Array; // indices of what is painted: few, so that nothing runs over all others
  rgb: readonly [number, number, number];
}

export type Style = "fill" | "outline";

export const MOST_THICK = 4;

/** Gray through the table, then every mask blended over it. */
export function compose(
  gray: Uint8Array,
  table: Uint32Array,
  masks: readonly Mask[],
  opacity: number,
): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(gray.length);
  for (let i = 0; i < gray.length; i++) out[i] = table[gray[i]!]!;
  for (const { voxels, rgb } of masks) blend(out, voxels, rgb, opacity);
  return out;
}

function blend(
  out: Uint32Array,
  voxels: Uint32Array,
  [r, g, b]: readonly [number, number, number],
  opacity: number,
): void {
  const keep = 1 - opacity;
  const red = r * opacity;
  const green = g * opacity;
  const blue = b * opacity;
  for (const i of voxels) {
    const word = out[i]!;
    out[i] =
      0xff000000 |
      ((((word >> 16) & 255) * keep + blue) << 16) |
      ((((word >> 8) & 255) * keep + green) << 8) |
      ((word & 255) * keep + red);
  }
}
