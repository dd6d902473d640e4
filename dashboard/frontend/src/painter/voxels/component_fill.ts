// One connected component of a label: all voxels of a value that touch each other (26 neighbours).

import type { Zyx } from "../../planes/geometry.ts";

/** The voxels of the component that holds ``seed``, in no order. */
export function connectedComponent(label: Uint8Array, shape: Zyx, seed: number): Int32Array {
  const value = label[seed]!;
  const component = new VoxelSet(label.length);
  component.add(seed);
  for (let next = 0; next < component.count; next++) {
    forEachNeighbour(component.voxels[next]!, shape, (voxel) => {
      if (label[voxel] === value) component.add(voxel);
    });
  }
  return component.voxels.slice(0, component.count);
}

/** Voxels in the order in which they came, each once. */
class VoxelSet {
  voxels = new Int32Array(4096);
  count = 0;
  private readonly isMember: Uint8Array;

  constructor(size: number) {
    this.isMember = new Uint8Array(size);
  }

  add(voxel: number): void {
    if (this.isMember[voxel]) return;
    this.isMember[voxel] = 1;
    if (this.count === this.voxels.length) {
      const grown = new Int32Array(this.voxels.length * 2);
      grown.set(this.voxels);
      this.voxels = grown;
    }
    this.voxels[this.count++] = voxel;
  }
}

/** Visit a voxel and what touches it by a face, an edge or a corner. */
function forEachNeighbour(
  voxel: number,
  [depth, height, width]: Zyx,
  visit: (voxel: number) => void,
): void {
  const x = voxel % width;
  const y = Math.floor(voxel / width) % height;
  const z = Math.floor(voxel / (width * height));
  const lastZ = Math.min(z + 1, depth - 1);
  const lastY = Math.min(y + 1, height - 1);
  const lastX = Math.min(x + 1, width - 1);
  for (let nz = Math.max(z - 1, 0); nz <= lastZ; nz++) {
    for (let ny = Math.max(y - 1, 0); ny <= lastY; ny++) {
      const row = (nz * height + ny) * width;
      for (let nx = Math.max(x - 1, 0); nx <= lastX; nx++) visit(row + nx);
    }
  }
}
