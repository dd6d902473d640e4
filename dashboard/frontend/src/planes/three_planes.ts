// Three linked planes of one volume: which one is large, where the cross is, and the keys, the
// position field and the full screen that viewer and painter share.

import { dragged } from "./contrast.ts";
import { button, element } from "./elements.ts";
import { AXES, type Axis, clampTo, moved, type Zyx } from "./geometry.ts";
import type { PlanesAction } from "./keymap.ts";
import { type PlanePicture, type PlanesState, type PrimaryTool, SlicePane } from "./slice_pane.ts";

/** What a component does when its planes change. */
export interface PlanesEvents {
  moved(from: Zyx): void; // the cross: the planes it left must be composed anew
  changed(): void; // contrast, orientation or size: all planes must be composed anew
  enlarged(): void; // another plane is the large one
  pointed(voxel: Zyx | null): void; // the pointer, or the slice under it, moved
  viewChanged(pane: SlicePane): void;
  automaticContrast(): PlanesState["contrast"];
  isPageBelow(): boolean; // whether one works with what stands below on the page
  title(): string; // of the volume, as saved pictures are named
}

const MARGIN_PX = 12; // below the component, so that it ends inside the window
const LEAST_SHARE = 0.72; // of the window, that the component takes even where it begins low
const NARROW_PX = 760; // as the styles have it: the planes stand below each other
const MOST_BELOW = 0.62; // of the window, where the page goes on below it

export class ThreePlanes {
  readonly panes: SlicePane[];
  readonly position = element("form", "position");
  private readonly place = element("input", "place");
  private readonly sizes = new ResizeObserver(() => this.resize());
  private hovering: SlicePane | null = null;
  private readonly fitHeight = (): void => this.takeHeight();

  constructor(
    private readonly root: HTMLElement,
    private readonly state: () => PlanesState | null,
    makePicture: (pane: SlicePane) => PlanePicture,
    tool: PrimaryTool,
    private readonly events: PlanesEvents,
  ) {
    this.panes = AXES.map(
      (axis) => new SlicePane(axis, this.state, makePicture, tool, this.paneEvents()),
    );
    this.large.element.classList.add("large");
    this.buildPosition();
    this.listen();
  }

  get large(): SlicePane {
    return this.panes[0]!;
  }

  /** The pane under the pointer, or the large one. */
  get current(): SlicePane {
    return this.hovering ?? this.large;
  }

  get isDragging(): boolean {
    return this.panes.some((pane) => pane.isDragging);
  }

  /** Begin with a volume: as large as the window, the main plane in the large pane. */
  begin(): void {
    this.takeHeight();
    this.panes.forEach((pane) => {
      pane.fit();
      pane.recover();
    });
    this.arrange();
    this.resize();
    this.showPlace();
    this.focusGently();
  }

  end(): void {
    this.sizes.disconnect();
    removeEventListener("resize", this.fitHeight);
  }

  go(at: Zyx): void {
    const state = this.state();
    if (!state) return;
    const from = state.at;
    state.at = at;
    this.showPlace();
    this.events.moved(from);
    this.events.pointed(this.hovering?.voxelUnderPointer ?? null);
  }

  fit(): void {
    this.panes.forEach((pane) => pane.fit());
    this.events.changed();
  }

  draw(): void {
    this.panes.forEach((pane) => pane.draw());
  }

  /** Say in the large pane why nothing can be shown, and what may help. */
  fail(reason: string, retry: () => void, hint = ""): void {
    this.large.fail([reason, hint].filter(Boolean), retry);
  }

  toggleFullScreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void this.root.requestFullscreen?.().catch(() => undefined);
  }

  /** Do what a key of the planes asks for. */
  act(action: PlanesAction): void {
    const state = this.state();
    if (!state) return;
    switch (action.name) {
      case "slices":
        return this.go(moved(state.at, this.current.shows, action.by, state.shape));
      case "plane":
        return this.enlarge(action.axis);
      case "zoom":
        return this.current.zoom(action.factor);
      case "fit":
        return this.fit();
      case "flip":
        state.flipped = !state.flipped;
        return this.events.changed();
      case "contrast":
        state.contrast = this.events.automaticContrast();
        return this.events.changed();
      case "goto":
        return this.place.select();
      case "fullscreen":
        return this.toggleFullScreen();
      case "picture":
        return this.current.savePicture(this.events.title());
    }
  }

  enlarge(axis: Axis): void {
    this.state()!.main = axis;
    this.arrange();
    this.events.enlarged();
  }

  private arrange(): void {
    const { main } = this.state()!;
    const order = [main, ...AXES.filter((axis) => axis !== main)];
    this.panes.forEach((pane, i) => pane.show(order[i]!));
  }

  /** A new size would bend what is dragged: it is taken when that ends. */
  private resize(): void {
    if (this.isDragging) {
      addEventListener("pointerup", () => setTimeout(() => this.resize()), { once: true });
      return;
    }
    this.panes.forEach((pane) => pane.resize());
  }

  /** Fill the window below where the component begins; measured when it opens and when the window
   * changes, never while somebody paints. */
  private takeHeight(): void {
    if (this.isDragging) return;
    if (this.root.clientWidth <= NARROW_PX) return this.root.style.setProperty("--height", "auto");
    const top = this.root.getBoundingClientRect().top + scrolledBy(this.root);
    const least = innerHeight * LEAST_SHARE;
    const room = Math.max(innerHeight - top - MARGIN_PX, Math.min(least, innerHeight - MARGIN_PX));
    const height = this.events.isPageBelow() ? Math.min(room, innerHeight * MOST_BELOW) : room;
    this.root.style.setProperty("--height", `${Math.round(height)}px`);
  }

  private paneEvents(): ConstructorParameters<typeof SlicePane>[4] {
    return {
      movedTo: (at) => this.go(at),
      hovered: (_pane, voxel) => this.events.pointed(voxel),
      contrastDragged: (dx, dy) => {
        const state = this.state()!;
        state.contrast = dragged(state.contrast, dx, dy);
        this.events.changed();
      },
      viewChanged: (pane) => this.events.viewChanged(pane),
    };
  }

  /** The cross as x, y, z: read there, and typed to go elsewhere. */
  private buildPosition(): void {
    this.place.type = "text";
    this.place.inputMode = "numeric";
    this.place.title = "Go to x, y, z (Shift + g)";
    this.place.setAttribute("aria-label", "Position x, y, z");
    this.position.append(
      "x, y, z",
      this.place,
      button("Go", "Go to this voxel", () => undefined),
    );
    this.position.querySelector("button")!.type = "submit";
    this.position.addEventListener("submit", (event) => {
      event.preventDefault();
      this.goToTyped();
    });
    this.place.addEventListener("blur", () => this.showPlace());
  }

  private goToTyped(): void {
    const state = this.state();
    const at = state && placeIn(this.place.value, state.shape);
    if (at) {
      this.root.focus({ preventScroll: true });
      this.go(at);
      this.panes.forEach((pane) => pane.reveal(at));
    } else this.place.select();
  }

  private showPlace(): void {
    const state = this.state();
    const isTyped = (this.root.getRootNode() as ShadowRoot).activeElement === this.place;
    if (state && !isTyped) this.place.value = [...state.at].reverse().join(", ");
  }

  private listen(): void {
    addEventListener("resize", this.fitHeight);
    this.root.addEventListener("pointerenter", () => this.focusGently());
    this.root.addEventListener("keydown", (event) => this.holdSpace(event, true));
    this.root.addEventListener("keyup", (event) => this.holdSpace(event, false));
    for (const pane of this.panes) {
      this.sizes.observe(pane.element);
      pane.element.addEventListener("pointerenter", () => (this.hovering = pane));
      pane.element.addEventListener("pointerleave", () => (this.hovering = null));
    }
  }

  private holdSpace(event: KeyboardEvent, isDown: boolean): void {
    if (event.key !== " " || event.composedPath()[0] !== this.root) return;
    event.preventDefault();
    for (const pane of this.panes) pane.isSpaceDown = isDown;
  }

  /** Keys go to the planes under the pointer, unless somebody types. */
  private focusGently(): void {
    const inside = (this.root.getRootNode() as ShadowRoot | Document).activeElement;
    if (isTypedInto(document.activeElement) || isTypedInto(inside)) return;
    this.root.focus({ preventScroll: true });
  }
}

/** Whether letters go into an element, so that they are no keys of ours. */
export function isTypedInto(target: EventTarget | null | undefined): boolean {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["range", "checkbox"].includes(target.type);
}

/** A voxel from "x, y, z", kept inside the volume; null for anything else. */
export function placeIn(text: string, shape: Zyx): Zyx | null {
  const numbers = text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
  const [x, y, z] = numbers;
  if (numbers.length !== 3 || !numbers.every(Number.isFinite)) return null;
  return clampTo([z!, y!, x!], shape);
}

/** How far everything around an element is scrolled, so that its top can be told without that. */
function scrolledBy(start: HTMLElement): number {
  let sum = 0;
  for (let node: Node | null = start; node; node = parentOf(node)) {
    if (node instanceof HTMLElement) sum += node.scrollTop;
  }
  return sum;
}

function parentOf(node: Node): Node | null {
  return node.parentNode ?? (node instanceof ShadowRoot ? node.host : null);
}
