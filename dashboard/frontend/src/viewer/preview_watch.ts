// Until the previews of a tomogram and its segmentations are made, look now and then whether they are.

import type { Layer } from "./layers.ts";

const POLL_MS = 3000;

export class PreviewWatch {
  private timer = 0;

  constructor(
    private readonly changed: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  begin(layers: readonly Layer[]): void {
    this.end();
    const waiting = layers.filter((layer) => !layer.facts.hasPreview);
    if (!waiting.length) return;
    const timer = window.setTimeout(() => void this.look(waiting, timer), POLL_MS);
    this.timer = timer;
  }

  end(): void {
    clearTimeout(this.timer);
    this.timer = 0;
  }

  private async look(waiting: readonly Layer[], timer: number): Promise<void> {
    try {
      const changed = await Promise.all(waiting.map((layer) => layer.refresh()));
      if (this.timer !== timer) return; // another tomogram is open
      if (changed.some(Boolean)) this.changed();
      this.begin(waiting);
    } catch (error) {
      if (this.timer === timer) this.failed(error);
    }
  }
}
