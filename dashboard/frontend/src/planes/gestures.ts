// Pointer, wheel and touch on one plane, as gestures: scroll, zoom, pan, contrast, and the drag of
// the primary button, which the component's own tool understands. Two fingers never paint.

export interface Pixel {
  x: number; // canvas pixels
  y: number;
}

export type DragKind = "contrast" | "pan" | "cross" | "primary";

/** What the owner of a plane does with the gestures on it. */
export interface GestureEvents {
  scrolled(slices: number): void;
  zoomed(factor: number, at: Pixel): void;
  panned(dx: number, dy: number): void;
  contrastDragged(dx: number, dy: number): void;
  crossMoved(at: Pixel): void;
  pressed(at: Pixel): void;
  dragged(points: Pixel[]): void;
  released(): void;
  cancelled(): void;
  hovered(at: Pixel | null): void;
}

const WHEEL_ZOOM = 1.0015; // per pixel of deltaY
const NOTCH = 50;
const SHIFT_SLICES = 10;
const PINCH_MS = 300; // a second finger within this time means that the first one did not paint

const RIGHT_BUTTON = 2;
const MIDDLE_BUTTON = 1;

/** What a drag does, from its button and what is held down. */
export function dragKind(
  { button, shiftKey }: Pick<PointerEvent, "button" | "shiftKey">,
  isSpaceDown: boolean,
): DragKind | null {
  if (button === RIGHT_BUTTON) return "contrast";
  if (button === MIDDLE_BUTTON || isSpaceDown) return "pan";
  if (button !== 0) return null;
  return shiftKey ? "cross" : "primary";
}

/** Turns the deltas of a wheel into whole slices. */
export class WheelSteps {
  private turned = 0;

  /** Mice report notches of 100 or so, touchpads many small steps: both move one slice a notch. */
  add({ deltaX, deltaY, shiftKey }: Pick<WheelEvent, "deltaX" | "deltaY" | "shiftKey">): number {
    const delta = deltaY || deltaX; // with Shift, browsers turn the wheel sideways
    this.turned += Math.abs(delta) >= NOTCH ? Math.sign(delta) * NOTCH : delta;
    const steps = Math.trunc(this.turned / NOTCH);
    this.turned -= steps * NOTCH;
    return shiftKey ? steps * SHIFT_SLICES : steps;
  }
}

/** How two fingers zoomed and panned between two moments. */
export function pinchStep(
  before: readonly [Pixel, Pixel],
  after: readonly [Pixel, Pixel],
): { factor: number; at: Pixel; dx: number; dy: number } {
  const from = middleOf(before);
  const at = middleOf(after);
  const spread = distanceOf(before);
  const factor = spread > 0 ? distanceOf(after) / spread : 1;
  return { factor, at, dx: at.x - from.x, dy: at.y - from.y };
}

/** Listens to one canvas. */
export class Gestures {
  isSpaceDown = false;
  private readonly wheel = new WheelSteps();
  private readonly fingers = new Map<number, Pixel>();
  private drag: { id: number; kind: DragKind; last: PointerEvent; since: number } | null = null;
  private isPinching = false; // until every finger has left
  private box: DOMRect | null = null; // of the canvas while something is dragged there

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly events: GestureEvents,
  ) {
    canvas.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.up(event));
    canvas.addEventListener("pointerleave", () => this.drag || events.hovered(null));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  get isDragging(): boolean {
    return this.drag !== null;
  }

  private wheeled(event: WheelEvent): void {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      return this.events.zoomed(WHEEL_ZOOM ** -event.deltaY, this.pixelOf(event));
    }
    const slices = this.wheel.add(event);
    if (slices) this.events.scrolled(slices);
  }

  private down(event: PointerEvent): void {
    if (event.pointerType === "touch" && !this.fingerDown(event)) return;
    if (this.drag) return;
    const kind = dragKind(event, this.isSpaceDown);
    if (!kind) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.box = this.canvas.getBoundingClientRect();
    this.drag = { id: event.pointerId, kind, last: event, since: event.timeStamp };
    if (kind === "cross") this.events.crossMoved(this.pixelOf(event));
    if (kind === "primary") this.events.pressed(this.pixelOf(event));
  }

  /** Whether this finger is the only one, and so may drag. */
  private fingerDown(event: PointerEvent): boolean {
    if (this.drag?.last.pointerType === "pen") return false; // the palm that holds it
    this.fingers.set(event.pointerId, this.pixelOf(event));
    if (this.fingers.size === 1 && !this.isPinching) return true;
    this.isPinching = true;
    this.stopDrag(event.timeStamp);
    return false;
  }

  /** A pinch began: what its first finger painted by accident is taken back. */
  private stopDrag(now: number): void {
    const { drag } = this;
    this.drag = null;
    this.box = null;
    if (drag?.kind !== "primary") return;
    if (now - drag.since < PINCH_MS) this.events.cancelled();
    else this.events.released();
  }

  private move(event: PointerEvent): void {
    if (this.fingers.has(event.pointerId) && this.isPinching) return this.pinch(event);
    if (!this.drag) return this.events.hovered(this.pixelOf(event));
    if (event.pointerId !== this.drag.id) return;
    this.follow(event, this.drag);
    this.events.hovered(event.pointerType === "touch" ? null : this.pixelOf(event));
  }

  private follow(event: PointerEvent, drag: NonNullable<Gestures["drag"]>): void {
    const dx = event.clientX - drag.last.clientX;
    const dy = event.clientY - drag.last.clientY;
    drag.last = event;
    switch (drag.kind) {
      case "contrast":
        return this.events.contrastDragged(dx, dy);
      case "pan":
        return this.events.panned(dx * devicePixelRatio, dy * devicePixelRatio);
      case "cross":
        return this.events.crossMoved(this.pixelOf(event));
      case "primary":
        return this.events.dragged(stepsOf(event).map((step) => this.pixelOf(step)));
    }
  }

  private pinch(event: PointerEvent): void {
    const [first, second] = [...this.fingers.keys()];
    if (second === undefined) return;
    const before = [this.fingers.get(first!)!, this.fingers.get(second)!] as const;
    this.fingers.set(event.pointerId, this.pixelOf(event));
    const after = [this.fingers.get(first!)!, this.fingers.get(second)!] as const;
    const { factor, at, dx, dy } = pinchStep(before, after);
    this.events.panned(dx, dy);
    this.events.zoomed(factor, at);
  }

  private up(event: PointerEvent): void {
    this.fingers.delete(event.pointerId);
    if (!this.fingers.size) this.isPinching = false;
    if (event.pointerId !== this.drag?.id) return;
    const { kind } = this.drag;
    this.drag = null;
    this.box = null;
    if (kind === "primary") this.events.released();
    if (event.pointerType === "touch") this.events.hovered(null);
  }

  /** While something is dragged the canvas counts as standing still: a page that moves under the
   * pointer must not bend a stroke. */
  private pixelOf(event: MouseEvent): Pixel {
    const box = this.box ?? this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * this.canvas.width) / box.width,
      y: ((event.clientY - box.top) * this.canvas.height) / box.height,
    };
  }
}

function stepsOf(event: PointerEvent): PointerEvent[] {
  const steps = event.getCoalescedEvents?.() ?? [];
  return steps.length ? steps : [event];
}

function middleOf([a, b]: readonly [Pixel, Pixel]): Pixel {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

function distanceOf([a, b]: readonly [Pixel, Pixel]): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
