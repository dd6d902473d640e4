// The primary button in the viewer: a drag pans, a click names a voxel.

import type { Zyx } from "../planes/geometry.ts";
import type { Pixel } from "../planes/gestures.ts";
import type { PrimaryTool, SlicePane } from "../planes/slice_pane.ts";

const CLICK_PIXELS = 4;

export class PanAndClick implements PrimaryTool {
  private start: Pixel = { x: 0, y: 0 };
  private last: Pixel | null = null;
  private isDrag = false;

  constructor(private readonly clicked: (pane: SlicePane, voxel: Zyx) => void) {}

  press(_pane: SlicePane, at: Pixel): void {
    this.start = this.last = at;
    this.isDrag = false;
  }

  drag(pane: SlicePane, points: Pixel[]): void {
    const { last, start } = this;
    const at = points.at(-1)!;
    if (!last) return;
    const far = Math.hypot(at.x - start.x, at.y - start.y);
    this.isDrag ||= far > CLICK_PIXELS * devicePixelRatio;
    if (!this.isDrag) return;
    this.last = at;
    pane.pan(at.x - last.x, at.y - last.y);
  }

  release(pane: SlicePane): void {
    const voxel = this.last && pane.voxelAt(this.last);
    this.last = null;
    if (voxel && !this.isDrag) this.clicked(pane, voxel);
  }

  cancel(): void {
    this.last = null;
  }
}
