// The page's address says where one looks: ?plane=XY&at=x,y,z&patch=NAME, so that a link restores it.

import { type Axis, PLANE_NAMES, type Zyx } from "../planes/geometry.ts";

export function withPlace(search: string, plane: Axis, at: Zyx, patch: string | null): string {
  const query = new URLSearchParams(search);
  query.set("plane", PLANE_NAMES[plane]);
  query.set("at", [...at].reverse().join(","));
  if (patch) query.set("patch", patch);
  else query.delete("patch");
  return `?${query.toString().replaceAll("%2C", ",")}`;
}

/** The place that an address names, as far as it does. */
export function placeIn(search: string): {
  plane: Axis | null;
  at: Zyx | null;
  patch: string | null;
} {
  const query = new URLSearchParams(search);
  const plane = PLANE_NAMES.indexOf((query.get("plane") ?? "") as (typeof PLANE_NAMES)[number]);
  const numbers = (query.get("at") ?? "").split(",");
  const whole = numbers.length === 3 && numbers.every((text) => /^\d{1,6}$/.test(text.trim()));
  const [x, y, z] = numbers.map(Number);
  return {
    plane: plane < 0 ? null : (plane as Axis),
    at: whole ? [z!, y!, x!] : null,
    patch: query.get("patch"),
  };
}
