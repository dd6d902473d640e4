// A scale bar of a round length.

/** The longest round length (1, 2 or 5 times a power of ten, in nm) within some pixels. */
export function scaleBar(
  voxelSizeAngstrom: number,
  pixelsPerVoxel: number,
  most: number,
): { nanometers: number; pixels: number } {
  const pixelsPerNanometer = (10 / voxelSizeAngstrom) * pixelsPerVoxel;
  const room = most / pixelsPerNanometer;
  const power = 10 ** Math.floor(Math.log10(room));
  const step = [5, 2, 1].find((factor) => factor * power <= room) ?? 1;
  return { nanometers: step * power, pixels: step * power * pixelsPerNanometer };
}
