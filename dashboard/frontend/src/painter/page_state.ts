// What the page is told of a painter: how many strokes are not saved, and that something was saved.
// A rerun of the page costs time and moves things, so it waits until nobody is painting.

const SETTLE_MS = 1000;

export interface Page {
  setState(name: string, value: unknown): void;
  trigger(name: string, value: unknown): void;
}

export class PageState {
  private unsaved = 0;
  private sent = 0;
  private timer = 0;
  private isPainting = false;
  private waiting: [string, unknown][] = [];

  constructor(private readonly page: Page) {}

  /** The number of unsaved strokes: that there are some is sent soon, their number when somebody
   * leaves the painter. */
  setUnsaved(count: number): void {
    this.unsaved = count;
    if (count > 0 === this.sent > 0) return;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.flush(), SETTLE_MS);
  }

  trigger(name: string, value: unknown): void {
    this.waiting.push([name, value]);
    this.flush();
  }

  /** A stroke began or ended. */
  setPainting(isPainting: boolean): void {
    this.isPainting = isPainting;
    if (!isPainting && this.waiting.length) this.flush();
  }

  flush(): void {
    if (this.isPainting) return;
    clearTimeout(this.timer);
    if (this.unsaved !== this.sent) {
      this.sent = this.unsaved;
      this.page.setState("unsaved_strokes", this.unsaved);
    }
    const waiting = this.waiting;
    this.waiting = [];
    for (const [name, value] of waiting) this.page.trigger(name, value);
  }
}
