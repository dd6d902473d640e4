// The painter: three linked planes to paint on, the live result, and the keeping of every stroke.

import { Refused } from "../api.ts";
import { Autosave, paintingOf, strokesWord } from "../autosave/autosave.ts";
import { Journal } from "../autosave/journal.ts";
import type { Component } from "../component.ts";
import { AUTOMATIC_PERCENT, byPercentile, dragged } from "../planes/contrast.ts";
import { button, element } from "../planes/elements.ts";
import { AXES, type Axis, clampTo, moved, type PlanePoint, type Zyx } from "../planes/geometry.ts";
import { type Cell, forEachVoxel, MOST_SIZE, MOST_THROUGH, stroke } from "./brush.ts";
import { connectedComponent } from "./component_fill.ts";
import type { Diff } from "./diff.ts";
import { type Action, actionOf, HELP } from "./keys.ts";
import { Pane, type PaneEvents } from "./pane.ts";
import { countRows, panel } from "./panel.ts";
import { type Layer, OpenPatch } from "./patch.ts";
import { filled } from "./polygon.ts";
import type { Scene } from "./scene.ts";
import { Server, Unreachable } from "./server.ts";
import { brushbar, type ToolbarEvents, toolbar } from "./toolbar.ts";
import { Tool, type ToolName } from "./tools.ts";
import { type Kind, MEMBRANE, type PainterData } from "./types.ts";
import { palette, REVIEW_VIEWS, VIEWS, type View } from "./views.ts";
import { Volume3dView } from "./volume3d_view.ts";

const RETRY_MS = 3000;

export class Painter {
  readonly root = element("div", "painter");
  private readonly bar = element("div", "bar");
  private readonly brushbar = element("div", "bar");
  private readonly status = element("div", "status");
  private readonly keeping = element("div", "keeping");
  private readonly noticeBox = element("div", "notice");
  private readonly side = element("div", "side");
  private readonly help = element("dialog", "help");
  private readonly volume3d: Volume3dView;
  private readonly panes: Pane[];
  private readonly sizes = new ResizeObserver(() => this.panes.forEach((pane) => pane.resize()));
  private readonly server = new Server();
  private scene: Scene | null = null;
  private autosave: Autosave | null = null;
  private hovering: Axis | null = null;
  private opened = "";
  private commentNumber = -1;
  private isDrawing = false;
  private isBegun = false; // what was not saved earlier was looked for
  private isEnded = false;
  private readonly leave = (): void => this.autosave?.end();

  constructor(private component: Component<PainterData>) {
    this.panes = AXES.map((axis) => new Pane(axis, () => this.scene, this.paneEvents()));
    const [large, second, third] = this.panes as [Pane, Pane, Pane];
    large.element.classList.add("large");
    this.volume3d = new Volume3dView(() => this.shownLabel());
    const beside = element("div", "beside", second.element, third.element, this.volume3d.element);
    const body = element("div", "body", large.element, beside, this.side);
    this.root.append(this.bar, this.brushbar, this.noticeBox, body, this.status, this.help);
    this.root.tabIndex = 0;
    this.listen();
    component.parentElement.append(this.root);
  }

  /** Take what Python says now; only another patch is opened anew. */
  async take(component: Component<PainterData>): Promise<void> {
    this.component = component;
    const { data } = component;
    this.root.style.setProperty("--painter-height", `${data.height}px`);
    this.root.classList.toggle("dark", isDark(this.root));
    this.server.take(data);
    const wanted = `${data.object} ${data.readOnly} ${data.merge}`;
    if (wanted !== this.opened) {
      this.opened = wanted;
      await this.open(data);
    } else if (this.scene && data.at && String(data.at) !== String(this.scene.data.at)) {
      this.scene.data = data;
      this.go(clampTo(data.at, this.scene.patch.shape));
    }
  }

  end(): void {
    this.isEnded = true;
    removeEventListener("pagehide", this.leave);
    this.autosave?.end();
    this.sizes.disconnect();
    this.volume3d.end();
    this.root.remove();
  }

  private async open(data: PainterData): Promise<void> {
    this.autosave?.end();
    this.autosave = null;
    this.scene = null;
    this.isBegun = false;
    this.say("Opening …");
    this.root.dataset["state"] = "opening";
    try {
      const [patch, journal] = await Promise.all([
        OpenPatch.load(this.server, data),
        data.readOnly ? null : Journal.open(paintingOf(data)).catch(() => null),
      ]);
      if (this.isEnded || data.object !== this.component.data.object) return;
      this.autosave = new Autosave(this.server, patch, journal, data, {
        changed: () => this.refreshAll(),
        told: () => this.refreshKeeping(),
        saved: (saved) => {
          this.refreshAll();
          this.component.setTriggerValue("saved", { versions: saved.versions, at: saved.savedAt });
        },
      });
      this.scene = begin(data, patch);
      this.panes.forEach((pane) => pane.resize());
      this.updatePanes();
      await this.autosave.begin();
      this.isBegun = true;
      this.say("");
      this.refreshAll();
      this.focusGently();
    } catch (error) {
      this.openFailed(error, data);
    }
  }

  private openFailed(error: unknown, data: PainterData): void {
    if (this.isEnded) return;
    if (error instanceof Refused) {
      this.root.dataset["state"] = "refused";
      return this.say(error.message, true);
    }
    const lost = error instanceof Unreachable;
    this.say(
      lost
        ? "The server cannot be reached; trying again …"
        : `Cannot open the patch: ${String(error)}`,
      true,
    );
    if (lost) setTimeout(() => !this.isEnded && void this.open(data), RETRY_MS);
  }

  private paneEvents(): PaneEvents {
    return {
      scrolled: (axis, by) => this.go(moved(this.scene!.at, axis, by, this.scene!.patch.shape)),
      pressed: (axis, cell) => this.pressed(axis, cell),
      dragged: (axis, from, to) =>
        this.paintCells(axis, stroke(from, to, this.scene!.tool.brush.size)),
      lassoed: (axis, points) => this.lassoed(axis, points),
      released: () => this.finishStroke(),
      moved: (voxel) => this.go(voxel),
      hovered: (voxel) => this.hovered(voxel),
      contrastDragged: (dx, dy) => {
        this.scene!.contrast = dragged(this.scene!.contrast, dx, dy);
        this.updatePanes();
      },
    };
  }

  private pressed(axis: Axis, cell: Cell): void {
    const { tool, patch } = this.scene!;
    if (tool.name === "comment") return this.pin(axis, cell);
    if (!this.canPaint()) return;
    if (tool.name === "pen") return this.paintCells(axis, stroke(cell, cell, tool.brush.size));
    if (tool.name !== "component") return;
    const seed = this.voxelOf(axis, cell);
    if (seed === null || patch.predicted[seed] !== MEMBRANE) {
      return this.say("Here is no predicted membrane; click on a piece of the prediction.", true);
    }
    for (const voxel of connectedComponent(patch.predicted, patch.shape, seed))
      patch.drawing.paint(voxel, tool.kind, "anywhere");
    this.finishStroke();
  }

  private lassoed(axis: Axis, points: PlanePoint[]): void {
    if (!this.canPaint()) return this.updatePanes();
    this.paintCells(axis, filled(points));
    this.finishStroke();
  }

  private paintCells(axis: Axis, cells: Iterable<Cell>): void {
    if (!this.canPaint()) return;
    const { tool, patch, at } = this.scene!;
    const { kind } = tool;
    const { where, through } = tool.brush;
    this.isDrawing = true;
    forEachVoxel(patch.grid, axis, at, through, cells, (voxel) =>
      patch.drawing.paint(voxel, kind, where),
    );
    this.updatePanes();
  }

  private finishStroke(): void {
    this.isDrawing = false;
    const diff = this.scene!.patch.drawing.finish();
    if (diff) {
      this.scene!.patch.history.add(diff);
      this.changed(diff);
    } else this.updatePanes();
  }

  /** A stroke is there, or was taken back: count, keep, show. */
  private changed(diff: Diff): void {
    const { patch } = this.scene!;
    patch.result.follow(diff);
    this.autosave!.add(diff);
    this.side.querySelector(".numbers")?.replaceChildren(countRows(patch.result.counts()));
    this.refreshBars();
    this.updatePanes();
    this.volume3d.refreshSoon();
  }

  private canPaint(): boolean {
    const { autosave, scene } = this;
    return Boolean(
      this.isBegun && scene?.mayPaint && autosave?.mayPaint && !autosave.notice?.blocks,
    );
  }

  private undo(): void {
    if (!this.canPaint() || this.isDrawing) return;
    const { patch } = this.scene!;
    const diff = patch.history.undo(patch.drawing.voxels);
    if (diff) this.changed(diff);
  }

  private redo(): void {
    if (!this.canPaint() || this.isDrawing) return;
    const { patch } = this.scene!;
    const diff = patch.history.redo(patch.drawing.voxels);
    if (diff) this.changed(diff);
  }

  private pin(axis: Axis, cell: Cell): void {
    const { scene } = this;
    const voxel = this.placeOf(axis, cell);
    if (!scene || !voxel || !scene.patch.facts.mayComment) return;
    scene.pin = voxel;
    this.go(voxel);
    this.refreshSide();
  }

  private async comment(text: string, at: Zyx | null): Promise<void> {
    const { scene } = this;
    if (!scene) return;
    try {
      scene.patch.facts.comments = await this.server.comment(text, at);
      scene.pin = null;
      this.component.setTriggerValue("commented", { at, count: scene.patch.facts.comments.length });
      this.refreshSide();
      this.updatePanes();
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), true);
    }
  }

  private go(at: Zyx): void {
    this.scene!.at = at;
    this.root.dataset["at"] = at.join(",");
    this.updatePanes();
  }

  private hovered(voxel: Zyx | null): void {
    const { scene } = this;
    if (!scene || !voxel) return this.say("");
    const [z, y, x] = voxel;
    this.say(
      `x ${x}   y ${y}   z ${z}   gray ${scene.patch.gray[scene.patch.grid.index(z, y, x)]}`,
    );
  }

  private act(action: Action, scene: Scene): void {
    const { tool, patch } = scene;
    switch (action.name) {
      case "kind":
        return this.chooseKind(action.kind);
      case "tool":
        return this.chooseTool(action.tool);
      case "size":
        tool.brush.size = within(tool.brush.size + action.by, 1, MOST_SIZE);
        return this.refreshBars();
      case "through":
        tool.brush.through = within(tool.brush.through + action.by, 0, MOST_THROUGH);
        return this.refreshBars();
      case "where":
        tool.nextPlace();
        return this.refreshBars();
      case "undo":
        return this.undo();
      case "redo":
        return this.redo();
      case "save":
        return void this.autosave?.save();
      case "slices":
        return this.go(moved(scene.at, this.hovering ?? scene.main, action.by, patch.shape));
      case "plane":
        return this.enlarge(action.axis);
      case "zoom":
        return this.paneUnder().zoom(action.factor);
      case "fit":
        this.panes.forEach((pane) => pane.fit());
        return this.updatePanes();
      case "view":
        return this.chooseView(nextView(scene));
      case "overlay":
        scene.overlay = !scene.overlay;
        return this.updatePanes();
      case "flip":
        scene.flipped = !scene.flipped;
        return this.updatePanes();
      case "contrast":
        scene.contrast = automatic(patch.gray);
        return this.updatePanes();
      case "comment":
        return this.nextComment();
      case "volume3d":
        return this.volume3d.toggle(this.component.data.volume3d);
      case "help":
        return this.help.open ? this.help.close() : this.help.show();
      case "dismiss":
        scene.pin = null;
        return this.refreshAll();
    }
  }

  private chooseKind(kind: Kind): void {
    const { tool } = this.scene!;
    tool.kind = kind;
    if (tool.name === "comment") tool.name = "pen";
    this.refreshBars();
    this.refreshSide();
  }

  private chooseTool(tool: ToolName): void {
    if (tool === "comment" && !this.scene!.patch.facts.mayComment) return;
    this.scene!.tool.name = tool;
    this.scene!.pin = null;
    this.refreshBars();
    this.refreshSide();
    this.updatePanes();
  }

  private chooseView(view: View): void {
    this.scene!.view = view;
    this.refreshBars();
    this.updatePanes();
  }

  private nextComment(): void {
    const pinned = this.scene!.patch.facts.comments.filter(
      (comment) => comment.at && !comment.resolved,
    );
    if (!pinned.length) return;
    this.commentNumber = (this.commentNumber + 1) % pinned.length;
    this.go(pinned[this.commentNumber]!.at!);
  }

  private enlarge(axis: Axis): void {
    const { scene } = this;
    scene!.main = axis;
    const order = [axis, ...AXES.filter((other) => other !== axis)];
    this.panes.forEach((pane, i) => pane.show(order[i]!));
    this.updatePanes();
  }

  private paneUnder(): Pane {
    return this.panes.find((pane) => pane.shows === this.hovering) ?? this.panes[0]!;
  }

  private voxelOf(axis: Axis, cell: Cell): number | null {
    const place = this.placeOf(axis, cell);
    return place && this.scene!.patch.grid.index(...place);
  }

  private placeOf(axis: Axis, cell: Cell): Zyx | null {
    const { patch, at } = this.scene!;
    const { rows, columns } = patch.grid.plane(axis, 0);
    if (cell.row < 0 || cell.column < 0 || cell.row >= rows || cell.column >= columns) return null;
    const [rowAt, columnAt] = (
      [
        [1, 2],
        [0, 2],
        [0, 1],
      ] as const
    )[axis];
    const place: [number, number, number] = [...at];
    place[rowAt] = cell.row;
    place[columnAt] = cell.column;
    return place;
  }

  private shownLabel(): {
    label: Uint8Array;
    was: Uint8Array;
    shape: Zyx;
    colors: PainterData["colors"];
  } | null {
    const { scene } = this;
    if (!scene) return null;
    const { patch, data } = scene;
    const label = patch.merged ?? patch.result.label(patch.drawing.voxels);
    return { label, was: patch.predicted, shape: patch.shape, colors: data.colors };
  }

  private refreshAll(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    scene.mayPaint = autosave.mayPaint;
    this.refreshBars();
    this.refreshSide();
    this.refreshKeeping();
    this.updatePanes();
    this.volume3d.refreshSoon();
    this.root.dataset["at"] = scene.at.join(",");
  }

  private refreshBars(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    const events = this.toolbarEvents();
    const keeping = { unsaved: autosave.strokes, isSaving: autosave.isSaving };
    this.refill(this.bar, [toolbar(scene, keeping, events)]);
    this.refill(this.brushbar, [brushbar(scene, events, this.keeping)]);
  }

  /** New content; who had the focus inside keeps it, so that keys go on working. */
  private refill(box: HTMLElement, content: Node[]): void {
    const focused = (this.root.getRootNode() as ShadowRoot | Document).activeElement;
    const title = focused instanceof HTMLElement && box.contains(focused) ? focused.title : null;
    box.replaceChildren(...content);
    if (title === null) return;
    const again = [...box.querySelectorAll<HTMLElement>("button, select")].find(
      (each) => title && each.title === title,
    );
    const next = again && !again.matches(":disabled") ? again : this.root;
    next.focus({ preventScroll: true });
  }

  private toolbarEvents(): ToolbarEvents {
    return {
      kindChosen: (kind) => this.chooseKind(kind),
      toolChosen: (tool) => this.chooseTool(tool),
      viewChosen: (view) => this.chooseView(view),
      changed: () => this.updatePanes(),
      undone: () => this.undo(),
      redone: () => this.redo(),
      saved: () => void this.autosave?.save(),
      volume3d: () => this.volume3d.toggle(this.component.data.volume3d),
      helped: () => this.act({ name: "help" }, this.scene!),
    };
  }

  private refreshSide(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    const parts = panel(scene, {
      layersChanged: () => this.updatePanes(),
      continued: (layers: Layer[]) => void autosave.goOnWith(layers),
      jumped: (at) => this.go(at),
      commented: (text, at) => void this.comment(text, at),
      startedOver: () => void autosave.startOver(),
    });
    this.refill(this.side, parts);
  }

  /** What is said about keeping: the notice above, the line below, and the state for everybody. */
  private refreshKeeping(): void {
    const { autosave, scene } = this;
    if (!autosave || !this.isBegun) return;
    const { notice } = autosave;
    if (scene && scene.mayPaint !== autosave.mayPaint) {
      scene.mayPaint = autosave.mayPaint;
      this.refreshSide();
      this.updatePanes();
    }
    this.refreshBars();
    const choices =
      notice?.choices.map((choice) => button(choice.text, choice.text, choice.act)) ?? [];
    this.noticeBox.className = notice ? `notice shown${notice.bad ? " bad" : ""}` : "notice";
    this.refill(this.noticeBox, notice ? [element("span", "", notice.text), ...choices] : []);
    const unsaved = autosave.strokes ? `${strokesWord(autosave.strokes)} not saved` : "";
    this.keeping.textContent = [unsaved, autosave.said].filter(Boolean).join("   ·   ");
    this.keeping.classList.toggle("bad", autosave.isBad);
    this.root.dataset["unsaved"] = String(autosave.strokes);
    this.root.dataset["state"] = notice?.blocks
      ? "asking"
      : autosave.isSaving
        ? "saving"
        : autosave.mayPaint
          ? "ready"
          : "looking";
    void autosave.kept().then(() => (this.root.dataset["kept"] = String(autosave.strokes)));
  }

  private updatePanes(): void {
    this.panes.forEach((pane) => pane.update());
  }

  private listen(): void {
    const { root } = this;
    root.addEventListener("keydown", (event) => this.keyDown(event));
    root.addEventListener("keyup", (event) => this.hold(event, false));
    root.addEventListener("pointerenter", () => this.focusGently());
    root.addEventListener("pointerdown", () => this.autosave?.active());
    addEventListener("pagehide", this.leave);
    for (const pane of this.panes) {
      this.sizes.observe(pane.element);
      pane.element.addEventListener("pointerenter", () => (this.hovering = pane.shows));
      pane.element.addEventListener("pointerleave", () => (this.hovering = null));
    }
    root.addEventListener("askpoint", (event) => this.answerPoint(event as CustomEvent<Asked>));
    const rows = HELP.map(([keys, what]) =>
      element("tr", "", element("td", "keys", keys), element("td", "", what)),
    );
    this.help.append(element("h4", "", "Keys"), element("table", "", ...rows));
    this.help.addEventListener("click", () => this.help.close());
  }

  /** Tell where a voxel lies on the page, for whoever points there with a real pointer. */
  private answerPoint({ detail }: CustomEvent<Asked>): void {
    detail.point =
      this.panes.find((pane) => pane.shows === detail.axis)?.pageOf(detail.voxel) ?? null;
  }

  private keyDown(event: KeyboardEvent): void {
    this.hold(event, true);
    const target = event.composedPath()[0];
    const isTyping = target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
    const action = isTyping ? null : actionOf(event);
    if (!action || !this.scene) return;
    event.preventDefault();
    event.stopPropagation();
    this.act(action, this.scene);
  }

  private hold(event: KeyboardEvent, isDown: boolean): void {
    if (event.key !== " " || event.composedPath()[0] !== this.root) return;
    event.preventDefault();
    this.panes.forEach((pane) => (pane.isPanning = isDown));
  }

  private focusGently(): void {
    const active = document.activeElement;
    const isTyping = active instanceof HTMLInputElement || active instanceof HTMLTextAreaElement;
    const within = (this.root.getRootNode() as ShadowRoot | Document).activeElement;
    if (!isTyping && !(within instanceof HTMLTextAreaElement))
      this.root.focus({ preventScroll: true });
  }

  private say(text: string, bad = false): void {
    this.status.textContent = text;
    this.status.classList.toggle("bad", bad);
  }
}

interface Asked {
  axis: Axis;
  voxel: Zyx;
  point: { x: number; y: number } | null;
}

function begin(data: PainterData, patch: OpenPatch): Scene {
  const [depth, height, width] = patch.shape;
  const middle: Zyx = [Math.floor(depth / 2), Math.floor(height / 2), Math.floor(width / 2)];
  return {
    data,
    patch,
    tool: new Tool(),
    palette: palette(data.colors),
    at: data.at ? clampTo(data.at, patch.shape) : middle,
    main: 0,
    view: data.readOnly ? "after" : "corrections",
    contrast: automatic(patch.gray),
    opacity: 0.55,
    overlay: true,
    flipped: false,
    mayPaint: false,
    pin: null,
  };
}

function automatic(gray: Uint8Array): Scene["contrast"] {
  const histogram = new Array<number>(256).fill(0);
  for (let i = 0; i < gray.length; i += 7) histogram[gray[i]!]! += 1;
  return byPercentile(histogram, AUTOMATIC_PERCENT);
}

function nextView(scene: Scene): View {
  const views = scene.data.readOnly ? REVIEW_VIEWS : VIEWS;
  return views[(views.indexOf(scene.view) + 1) % views.length]!;
}

/** Whether the page's theme is dark: text on the accent colour must stand out there, too. */
function isDark(root: HTMLElement): boolean {
  const color = getComputedStyle(root).getPropertyValue("--st-background-color").trim();
  const channels = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})/i.exec(color)?.slice(1) ?? ["ff"];
  return channels.every((channel) => Number.parseInt(channel, 16) < 96);
}

function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
