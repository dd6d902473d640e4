// Colours: from the hex that Python sends to tints and to the words of ImageData.

/** Red, green, blue (0 to 255) and opacity (0 to 1). */
export type Tint = readonly [number, number, number, number];
export const NO_TINT: Tint = [0, 0, 0, 0];

export function parseColor(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** Red, green, blue and opacity as the little-endian word of ImageData. */
export function wordOf([red, green, blue, alpha]: Tint, opacity: number): number {
  return ((Math.round(alpha * opacity * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Whether the page's theme is dark: text on the accent colour must stand out there, too. */
export function isDark(root: HTMLElement): boolean {
  const color = getComputedStyle(root).getPropertyValue("--st-background-color").trim();
  const channels = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})/i.exec(color)?.slice(1) ?? ["ff"];
  return channels.every((channel) => Number.parseInt(channel, 16) < 96);
}
