// Puts gray voxels and membrane masks together into one RGBA picture.

export interface Mask {
  inside: Uint8Array; // non-zero where membrane is
  rgb: readonly [number, number, number];
}

export type Style = "fill" | "outline";

export const MOST_THICK = 4;

/** The edge of a mask, so many voxels thick, inside it. */
export function outline(inside: Uint8Array, width: number, height: number, thick = 1): Uint8Array {
  const edge = edgeOf(inside, width, height);
  if (thick <= 1) return edge;
  const core = new Uint8Array(inside.length);
  for (let i = 0; i < inside.length; i++) core[i] = inside[i] && !edge[i] ? 1 : 0;
  const inner = outline(core, width, height, thick - 1);
  for (let i = 0; i < edge.length; i++) edge[i]! |= inner[i]!;
  return edge;
}

/** Voxels of a mask that touch one outside it (4-neighbours). */
function edgeOf(inside: Uint8Array, width: number, height: number): Uint8Array {
  const edge = new Uint8Array(inside.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!inside[i]) continue;
      const enclosed =
        x > 0 && x < width - 1 && y > 0 && y < height - 1 &&
        inside[i - 1] && inside[i + 1] && inside[i - width] && inside[i + width];
      if (!enclosed) edge[i] = 1;
    }
  }
  return edge;
}

/** Gray through the table, then every mask blended over it. */
export function compose(
  gray: Uint8Array,
  table: Uint32Array,
  masks: readonly Mask[],
  opacity: number,
): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(gray.length);
  for (let i = 0; i < gray.length; i++) out[i] = table[gray[i]!]!;
  for (const { inside, rgb } of masks) blend(out, inside, rgb, opacity);
  return out;
}

export function parseColor(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

function blend(
  out: Uint32Array,
  inside: Uint8Array,
  [r, g, b]: readonly [number, number, number],
  opacity: number,
): void {
  const keep = 1 - opacity;
  const red = r * opacity;
  const green = g * opacity;
  const blue = b * opacity;
  for (let i = 0; i < inside.length; i++) {
    if (!inside[i]) continue;
    const word = out[i]!;
    out[i] =
      0xff000000 |
      ((((word >> 16) & 255) * keep + blue) << 16) |
      ((((word >> 8) & 255) * keep + green) << 8) |
      ((word & 255) * keep + red);
  }
}
