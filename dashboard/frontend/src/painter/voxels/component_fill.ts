// One connected component of a label: all voxels of a value that touch each other (26 neighbours).

import type { Zyx } from "../../planes/geometry.ts";

/** The voxels of the component that holds ``seed``, in no order. */
export function connectedComponent(label: Uint8Array, shape: Zyx, seed: number): Int32Array {
  return new Components(label, shape, label[seed]!).grow(seed);
}

/** All components of a value, each as its voxels. */
export function connectedComponents(label: Uint8Array, shape: Zyx, value: number): Int32Array[] {
  const components = new Components(label, shape, value);
  const pieces: Int32Array[] = [];
  for (let seed = label.indexOf(value); seed >= 0; seed = label.indexOf(value, seed + 1)) {
    if (!components.has(seed)) pieces.push(components.grow(seed));
  }
  return pieces;
}

/** The voxel of a component that lies nearest to its middle. */
export function middleVoxel(component: Int32Array, [, height, width]: Zyx): Zyx {
  const placeOf = (voxel: number): Zyx => [
    Math.floor(voxel / (width * height)),
    Math.floor(voxel / width) % height,
    voxel % width,
  ];
  const middle = [0, 0, 0];
  for (const voxel of component) placeOf(voxel).forEach((value, axis) => (middle[axis]! += value));
  const distance = (place: Zyx): number =>
    Math.hypot(...place.map((value, axis) => value - middle[axis]! / component.length));
  let best = placeOf(component[0]!);
  for (const voxel of component) {
    const place = placeOf(voxel);
    if (distance(place) < distance(best)) best = place;
  }
  return best;
}

class Components {
  private readonly seen: VoxelSet;

  constructor(
    private readonly label: Uint8Array,
    private readonly shape: Zyx,
    private readonly value: number,
  ) {
    this.seen = new VoxelSet(label.length);
  }

  has(voxel: number): boolean {
    return this.seen.has(voxel);
  }

  grow(seed: number): Int32Array {
    const { seen, label, shape, value } = this;
    const first = seen.count;
    seen.add(seed);
    for (let next = first; next < seen.count; next++) {
      forEachNeighbour(seen.voxels[next]!, shape, (voxel) => {
        if (label[voxel] === value) seen.add(voxel);
      });
    }
    return seen.voxels.slice(first, seen.count);
  }
}

/** Voxels in the order in which they came, each once. */
class VoxelSet {
  voxels = new Int32Array(4096);
  count = 0;
  private readonly isMember: Uint8Array;

  constructor(size: number) {
    this.isMember = new Uint8Array(size);
  }

  has(voxel: number): boolean {
    return this.isMember[voxel] === 1;
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
