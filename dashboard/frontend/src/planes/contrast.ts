// Contrast: which of the 256 grays become black and white, by hand or by percentile.

export interface Contrast {
  black: number;
  white: number;
}

export const AUTOMATIC_PERCENT = 0.5;

/** Black and white so that this share of voxels lies below and above. */
export function byPercentile(histogram: readonly number[], percent: number): Contrast {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  if (total === 0) return { black: 0, white: 255 };
  const share = (total * percent) / 100;
  const black = firstBeyond(histogram, share);
  const white = 255 - firstBeyond([...histogram].reverse(), share);
  return white > black ? { black, white } : { black: 0, white: 255 };
}

/** Drag: to the right brightens, up raises contrast; the ends of the scale stay apart. */
export function dragged(from: Contrast, dx: number, dy: number): Contrast {
  const middle = (from.black + from.white) / 2 - dx / 2;
  const half = Math.max(((from.white - from.black) / 2) * Math.exp(dy / 200), 2);
  return { black: middle - half, white: middle + half };
}

/** The opaque RGBA word (little-endian) of each gray. */
export function table({ black, white }: Contrast): Uint32Array {
  const words = new Uint32Array(256);
  for (let gray = 0; gray < 256; gray++) {
    const value = Math.round((255 * (gray - black)) / (white - black));
    const shade = Math.min(Math.max(value, 0), 255);
    words[gray] = 0xff000000 | (shade << 16) | (shade << 8) | shade;
  }
  return words;
}

function firstBeyond(histogram: readonly number[], share: number): number {
  let seen = 0;
  for (const [gray, count] of histogram.entries()) {
    seen += count;
    if (seen > share) return gray;
  }
  return 255;
}
