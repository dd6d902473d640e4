// The heat of a channel over a plane: how much may need correction, at the resolution of cells.

import { type Axis, columnAxis, planeSize, rowAxis, type Zyx } from "../planes/geometry.ts";
import type { Place } from "../planes/slice_pane.ts";

export interface Heat {
  channel: string;
  cell: number; // voxels along a cell
  shape: Zyx; // in cells
  values: string; // a byte for each cell in base64, (z, y, x)
}

const RGB = [255, 140, 0] as const;
const MOST = 0.6; // opacity of the hottest cell

export class HeatPicture {
  private readonly values: Uint8Array;
  private readonly drawn = new Map<string, OffscreenCanvas>();

  constructor(readonly heat: Heat) {
    this.values = Uint8Array.from(atob(heat.values), (letter) => letter.charCodeAt(0));
  }

  /** Draw the cells that the plane cuts; ``place`` is where a volume of that shape lies. */
  draw(context: CanvasRenderingContext2D, place: Place, axis: Axis, at: Zyx, volume: Zyx): void {
    const { cell, shape } = this.heat;
    const index = Math.min(Math.floor(at[axis] / cell), shape[axis] - 1);
    const { width, height } = planeSize(volume, axis);
    const [left, top, wide, high] = place;
    const cells = planeSize(shape, axis);
    context.imageSmoothingEnabled = true;
    context.drawImage(
      this.plane(axis, index),
      left,
      top,
      (cells.width * cell * wide) / width,
      (cells.height * cell * high) / height,
    );
  }

  /** RGBA of one plane of cells. */
  pixels(axis: Axis, index: number): Uint8ClampedArray<ArrayBuffer> {
    const { shape } = this.heat;
    const steps = [shape[1] * shape[2], shape[2], 1] as const;
    const { width, height } = planeSize(shape, axis);
    const out = new Uint8ClampedArray(4 * width * height);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const from =
          index * steps[axis] + row * steps[rowAxis(axis)] + column * steps[columnAxis(axis)];
        out.set([...RGB, this.values[from]! * MOST], 4 * (row * width + column));
      }
    }
    return out;
  }

  private plane(axis: Axis, index: number): OffscreenCanvas {
    const key = `${axis} ${index}`;
    let canvas = this.drawn.get(key);
    if (!canvas) {
      const { width, height } = planeSize(this.heat.shape, axis);
      canvas = new OffscreenCanvas(width, height);
      canvas.getContext("2d")!.putImageData(new ImageData(this.pixels(axis, index), width), 0, 0);
      this.drawn.set(key, canvas);
    }
    return canvas;
  }
}
