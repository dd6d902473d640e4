// One connected piece of a label: all voxels of a value that touch each other (26 neighbours).

import type { Zyx } from "../viewer/types.ts";

/** The voxels of the piece that holds ``seed``, whatever their order. */
export function pieceAt(label: Uint8Array, shape: Zyx, seed: number): Int32Array {
  const [depth, height, width] = shape;
  const value = label[seed]!;
  const seen = new Uint8Array(label.length);
  let found = new Int32Array(4096);
  let count = 0;
  const take = (voxel: number): void => {
    if (seen[voxel] || label[voxel] !== value) return;
    seen[voxel] = 1;
    if (count === found.length) {
      const grown = new Int32Array(found.length * 2);
      grown.set(found);
      found = grown;
    }
    found[count++] = voxel;
  };
  take(seed);
  for (let next = 0; next < count; next++) {
    const voxel = found[next]!;
    const x = voxel % width;
    const y = Math.floor(voxel / width) % height;
    const z = Math.floor(voxel / (width * height));
    for (let dz = z ? -1 : 0; dz <= (z < depth - 1 ? 1 : 0); dz++) {
      for (let dy = y ? -1 : 0; dy <= (y < height - 1 ? 1 : 0); dy++) {
        for (let dx = x ? -1 : 0; dx <= (x < width - 1 ? 1 : 0); dx++) {
          take(voxel + (dz * height + dy) * width + dx);
        }
      }
    }
  }
  return found.slice(0, count);
}
