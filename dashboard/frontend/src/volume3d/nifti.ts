// A label as NIfTI bytes, halved along each axis: what changes a voxel shows, however small.

import { type Colors, IGNORED, MEMBRANE } from "../painter/types.ts";
import type { ShownLabel } from "../painter/volume3d_view.ts";
import { parseColor } from "../planes/palette.ts";

const HEADER_BYTES = 352;
const FACTOR = 2;
const KEPT = 1;
const ADDED = 2;
const REMOVED = 3;
const LEFT_OUT = 4;

/** Membrane that stayed, was added, was removed, or is ignored now; the border shows nothing. */
export function codeOf(was: number, is: number): number {
  if (is === IGNORED) return was === IGNORED ? 0 : LEFT_OUT;
  if (is === MEMBRANE) return was === MEMBRANE ? KEPT : ADDED;
  return was === MEMBRANE ? REMOVED : 0;
}

/** A NIfTI-1 file with y and z reversed, since NiiVue shows them upwards and we downwards. */
export function labelBytes({ label, was, shape }: ShownLabel): ArrayBuffer {
  const [depth, height, width] = shape.map((side) => Math.ceil(side / FACTOR)) as [
    number,
    number,
    number,
  ];
  const bytes = new Uint8Array(HEADER_BYTES + depth * height * width);
  writeHeader(new DataView(bytes.buffer), [width, height, depth]);
  for (let z = 0, i = 0; z < shape[0]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      const row =
        HEADER_BYTES + ((depth - 1 - (z >> 1)) * height + (height - 1 - (y >> 1))) * width;
      for (let x = 0; x < shape[2]; x++, i++) {
        const code = codeOf(was[i]!, label[i]!);
        const place = row + (x >> 1);
        if (code > bytes[place]!) bytes[place] = code;
      }
    }
  }
  return bytes.buffer;
}

/** The colours of the codes, for NiiVue. */
export function tableOf({ prediction, add, remove, ignore }: Colors): {
  R: number[];
  G: number[];
  B: number[];
  A: number[];
  I: number[];
  labels: string[];
} {
  const rgb = [[0, 0, 0], ...[prediction, add, remove, ignore].map(parseColor)];
  return {
    R: rgb.map((color) => color[0]!),
    G: rgb.map((color) => color[1]!),
    B: rgb.map((color) => color[2]!),
    A: [0, 200, 255, 255, 110],
    I: [0, 1, 2, 3, 4],
    labels: ["", "membrane", "added", "removed", "ignored"],
  };
}

function writeHeader(view: DataView, sides: readonly number[]): void {
  view.setInt32(0, 348, true);
  [3, ...sides, 1, 1, 1, 1].forEach((value, i) => view.setInt16(40 + 2 * i, value, true));
  view.setInt16(70, 2, true); // uint8
  view.setInt16(72, 8, true);
  [1, 1, 1, 1, 0, 0, 0, 0].forEach((value, i) => view.setFloat32(76 + 4 * i, value, true));
  view.setFloat32(108, HEADER_BYTES, true);
  view.setFloat32(112, 1, true);
  view.setInt16(254, 1, true); // the sform counts
  sides.forEach((side, axis) => {
    view.setFloat32(280 + 20 * axis, 1, true);
    view.setFloat32(292 + 16 * axis, -side / 2, true);
  });
  [0x6e, 0x2b, 0x31, 0].forEach((byte, i) => view.setUint8(344 + i, byte));
}
