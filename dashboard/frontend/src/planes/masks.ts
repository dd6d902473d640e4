// The voxels of masks and of their edges.

/** The indices of the voxels of a mask. */
export function voxelsOf(inside: Uint8Array): Uint32Array {
  const indices = roomFor(inside.length);
  const words = new Uint32Array(inside.buffer, inside.byteOffset, inside.length >> 2);
  let count = 0;
  const collect = (first: number, last: number): void => {
    for (let i = first; i < last; i++) if (inside[i]) indices[count++] = i;
  };
  for (let word = 0; word < words.length; word++) {
    if (words[word]) collect(word * 4, word * 4 + 4); // most words are empty
  }
  collect(words.length * 4, inside.length);
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
