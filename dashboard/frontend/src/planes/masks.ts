// Puts gray voxels and membrane masks together into one RGBA picture.

export interface Mask {
  voxels: Uint32Array; // indices of what is painted: few, so that nothing runs over all others
  rgb: readonly [number, number, number];
}

export type Style = "fill" | "outline";

export const MOST_THICK = 4;

/** The indices of the voxels of a mask. */
export function voxelsOf(inside: Uint8Array): Uint32Array {
  const indices = roomFor(inside.length);
  let count = 0;
  const words = new Uint32Array(inside.buffer, inside.byteOffset, inside.length >> 2);
  for (let word = 0; word < words.length; word++) {
    if (!words[word]) continue;
    for (let i = word * 4; i < word * 4 + 4; i++) if (inside[i]) indices[count++] = i;
  }
  for (let i = words.length * 4; i < inside.length; i++) if (inside[i]) indices[count++] = i;
  return indices.slice(0, count);
}

/** The voxels of a mask's edge, so many thick, inside it; the picture's rim counts as outside. */
export function edgeOf(inside: Uint8Array, width: number, height: number, thick = 1): Uint32Array {
  const left = inside.slice();
  const voxels = voxelsOf(inside);
  const indices = roomFor(inside.length);
  let count = 0;
  let remaining = voxels.length;
  for (let layer = 0; layer < thick; layer++) {
    const before = count;
    let core = 0;
    for (let j = 0; j < remaining; j++) {
      const i = voxels[j]!;
      if (isEnclosed(left, i, width, height)) voxels[core++] = i;
      else indices[count++] = i;
    }
    for (let j = before; j < count; j++) left[indices[j]!] = 0;
    remaining = core;
  }
  return indices.slice(0, count);
}

/** The edge of a mask as a mask. */
export function outline(inside: Uint8Array, width: number, height: number): Uint8Array {
  const mask = new Uint8Array(inside.length);
  for (const i of edgeOf(inside, width, height)) mask[i] = 1;
  return mask;
}

let room = new Uint32Array(0);

/** Scratch that is kept, so that scrolling leaves little to collect. */
function roomFor(length: number): Uint32Array {
  if (room.length < length) room = new Uint32Array(length);
  return room;
}

function isEnclosed(inside: Uint8Array, i: number, width: number, height: number): boolean {
  const x = i % width;
  const rim = x === 0 || x === width - 1 || i < width || i >= width * (height - 1);
  return !rim && !!(inside[i - 1] && inside[i + 1] && inside[i - width] && inside[i + width]);
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
  for (const { voxels, rgb } of masks) blend(out, voxels, rgb, opacity);
  return out;
}

export function parseColor(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
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
