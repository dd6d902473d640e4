// The label in three dimensions: opened on wish, since its script (NiiVue) is large and needs WebGL2.

import { button, element } from "../planes/elements.ts";
import type { Zyx } from "../planes/geometry.ts";
import type { Colors } from "./types.ts";

export interface ShownLabel {
  label: Uint8Array;
  was: Uint8Array;
  shape: Zyx;
  colors: Colors;
}

/** What src/volume3d/main.ts gives. */
interface Renderer {
  show(label: ShownLabel): Promise<void>;
  end(): void;
}

const REFRESH_MS = 800;
const NO_WEBGL =
  "This browser has no WebGL2, so there is no 3D view. The three planes work as ever; for 3D, take the tool-off kit and open it in MITK or napari.";

export class Volume3dView {
  readonly element = element("div", "pane volume3d");
  private renderer: Renderer | null = null;
  private isOpen = false;
  private timer = 0;

  constructor(private readonly label: () => ShownLabel | null) {
    this.element.hidden = true;
  }

  toggle(script: string): void {
    this.isOpen = !this.isOpen;
    this.element.hidden = !this.isOpen;
    if (!this.isOpen) return this.end();
    this.element.dataset["state"] = "opening";
    this.element.replaceChildren(element("p", "word", "Opening the 3D view …"));
    void this.open(script);
  }

  /** After the strokes pause for a moment. */
  refreshSoon(): void {
    if (!this.renderer) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.refresh(), REFRESH_MS) as unknown as number;
  }

  end(): void {
    clearTimeout(this.timer);
    this.renderer?.end();
    this.renderer = null;
    this.element.replaceChildren();
  }

  private async open(script: string): Promise<void> {
    if (!hasWebGl2()) return this.cannot(NO_WEBGL);
    try {
      const module = (await import(new URL(script, document.baseURI).href)) as {
        default: (canvas: HTMLCanvasElement) => Promise<Renderer>;
      };
      const canvas = document.createElement("canvas");
      this.element.replaceChildren(
        canvas,
        button("×", "Close (t)", () => this.toggle(script)),
      );
      this.renderer = await module.default(canvas);
      await this.refresh();
      this.element.dataset["state"] = "shown";
    } catch (error) {
      this.cannot(`The 3D view does not open (${String(error)}); the three planes work as ever.`);
    }
  }

  private async refresh(): Promise<void> {
    const label = this.label();
    if (label) await this.renderer?.show(label);
  }

  private cannot(reason: string): void {
    this.element.dataset["state"] = "none";
    this.element.replaceChildren(element("p", "word", reason));
  }
}

function hasWebGl2(): boolean {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
}
