// The tomogram viewer: three linked planes, their controls, and the choice of a patch center.

import { Refused, Tokens } from "../api.ts";
import type { Component } from "../component.ts";
import { AUTOMATIC_PERCENT, byPercentile, dragged } from "../planes/contrast.ts";
import { element } from "../planes/elements.ts";
import { AXES, type Axis, clampTo, moved, type Zyx } from "../planes/geometry.ts";
import { placeIn, withPlace } from "./address.ts";
import { type Action, actionOf, HELP } from "./keys.ts";
import { Layer } from "./layers.ts";
import { Pane, type PaneEvents } from "./pane.ts";
import { propose } from "./proposal.ts";
import type { Scene } from "./scene.ts";
import { sidePanel } from "./side.ts";
import { toolbar } from "./toolbar.ts";
import type { Choice, NearBorder, ViewedObject, ViewerData } from "./types.ts";

const PREVIEW_POLL_MS = 3000;
const ADDRESS_MS = 300;
const CENTER_VOXELS = 8;

export class Viewer {
  private readonly root = element("div", "viewer");
  private readonly bar = element("div", "bar");
  private readonly status = element("div", "status");
  private readonly beside = element("div", "beside");
  private readonly info = element("div", "info");
  private readonly help = element("dialog", "help");
  private readonly tokens = new Tokens();
  private readonly panes: Pane[];
  private readonly sizes = new ResizeObserver(() => this.panes.forEach((pane) => pane.resize()));
  private scene: Scene | null = null;
  private opened = ""; // what the layers were opened for
  private fresh = true; // the address says where to begin, once
  private hovering: Axis | null = null;
  private poll = 0;
  private addressTimer = 0;
  private ended = false;

  constructor(private component: Component<ViewerData>) {
    this.panes = AXES.map((axis) => new Pane(axis, () => this.scene, this.paneEvents()));
    const large = this.panes[0]!.element;
    large.classList.add("large");
    this.beside.append(this.panes[1]!.element, this.panes[2]!.element, this.info);
    const body = element("div", "body", large, this.beside);
    this.root.append(this.bar, body, this.status, this.help);
    this.root.tabIndex = 0;
    this.root.addEventListener("keydown", (event) => this.pressed(event));
    this.root.addEventListener("pointerenter", () => this.focusGently());
    this.panes.forEach((pane) => {
      this.sizes.observe(pane.element);
      pane.element.addEventListener("pointerenter", () => (this.hovering = pane.shows));
      pane.element.addEventListener("pointerleave", () => (this.hovering = null));
    });
    this.fillHelp();
    component.parentElement.append(this.root);
  }

  /** Take what Python says now; only other files are opened anew. */
  async take(component: Component<ViewerData>): Promise<void> {
    this.component = component;
    const { data } = component;
    if (data.height) this.root.style.setProperty("--viewer-height", `${data.height}px`);
    const files = [data.tomogram, ...data.segmentations];
    for (const { object, token } of files) this.tokens.keep(object, token);
    const wanted = files.map((file) => file.object).join(" ");
    if (wanted !== this.opened) {
      this.opened = wanted;
      await this.open(data);
      return;
    }
    const { scene } = this;
    if (!scene) return;
    const selection = data.selected !== scene.data.selected && data.selected !== scene.selected;
    scene.data = data;
    if (selection) this.select(data.selected);
    this.adopt(scene);
    this.refreshAll();
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.poll);
    clearTimeout(this.addressTimer);
    this.sizes.disconnect();
    this.stopLayers();
    this.root.remove();
  }

  private async open(data: ViewerData): Promise<void> {
    this.say("Opening …");
    this.stopLayers();
    this.scene = null;
    try {
      const refused: string[] = [];
      const [tomogram, ...opened] = await Promise.all([
        Layer.open(data.tomogram, this.tokens),
        ...data.segmentations.map((file) => this.openOverlay(file, refused)),
      ]);
      const segmentations = opened.filter((layer) => layer !== null);
      if (this.ended || data.tomogram.object !== this.component.data.tomogram.object) return;
      this.scene = this.begin(data, tomogram!, segmentations);
      this.panes.forEach((pane) => pane.fit());
      this.arrange();
      this.panes.forEach((pane) => pane.resize());
      this.refreshAll();
      this.watchPreviews();
      this.say(refused.join(" "), refused.length > 0);
    } catch (error) {
      this.failed(error);
    }
  }

  /** A segmentation whose file cannot be read is left out, and said. */
  private async openOverlay(file: ViewedObject, refused: string[]): Promise<Layer | null> {
    try {
      return await Layer.open(file, this.tokens);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused.push(error.message);
      return null;
    }
  }

  private begin(data: ViewerData, tomogram: Layer, segmentations: Layer[]): Scene {
    const { shape, histogram } = tomogram.facts;
    const link = placeIn(this.fresh ? location.search : "");
    this.fresh = false;
    const selected = data.selected ?? link.patch;
    const patch = data.patches.find((p) => p.name === selected);
    const middle: Zyx = [shape[0] / 2, shape[1] / 2, shape[2] / 2];
    const at = link.at ?? data.at ?? patch?.center ?? middle;
    return {
      data,
      tomogram,
      segmentations,
      at: clampTo([Math.floor(at[0]), Math.floor(at[1]), Math.floor(at[2])], shape),
      main: link.plane ?? data.plane,
      contrast: byPercentile(histogram, AUTOMATIC_PERCENT),
      style: "outline",
      opacity: 0.6,
      overlay: true,
      flipped: false,
      selected: patch?.name ?? null,
      proposal: null,
    };
  }

  /** After a save the proposal is a patch, and goes. */
  private adopt(scene: Scene): void {
    const { proposal } = scene;
    if (!proposal) return;
    const saved = scene.data.patches.some((p) => String(p.center) === String(proposal.center));
    scene.proposal = saved
      ? null
      : propose(
          proposal.center,
          scene.tomogram.facts.shape,
          scene.data.patchSide,
          scene.data.patches,
        );
  }

  private paneEvents(): PaneEvents {
    return {
      scrolled: (axis, by) =>
        this.go(moved(this.scene!.at, axis, by, this.scene!.tomogram.facts.shape)),
      clicked: (axis, voxel) => this.clicked(axis, voxel),
      hovered: (voxel, gray) => this.hovered(voxel, gray),
      contrastDragged: (dx, dy) => {
        this.scene!.contrast = dragged(this.scene!.contrast, dx, dy);
        this.updatePanes();
      },
      contrastEnded: () => undefined,
      shown: (axis, index) => {
        this.root.dataset[`shown${"ZYX"[axis]}`] = String(index);
        this.root.dispatchEvent(new CustomEvent("sliceshown", { detail: { axis, index } }));
      },
      failed: (error) => this.failed(error),
      overlayFailed: (layer) => {
        this.refreshBar();
        this.say(layer.failed!, true);
      },
    };
  }

  private clicked(axis: Axis, voxel: Zyx): void {
    const { scene } = this;
    if (!scene) return;
    const { data, tomogram } = scene;
    const hit = this.patchNear(axis, voxel);
    scene.selected = hit;
    scene.proposal =
      data.mayChoose && !hit
        ? propose(voxel, tomogram.facts.shape, data.patchSide, data.patches)
        : null;
    this.go(voxel);
    this.refreshSide();
  }

  /** A patch whose center is drawn within a few voxels of a click. */
  private patchNear(axis: Axis, voxel: Zyx): string | null {
    const near = this.scene!.data.patches.find(
      ({ center, start, stop }) =>
        voxel[axis] >= start[axis] &&
        voxel[axis] < stop[axis] &&
        center.every((c, i) => i === axis || Math.abs(c - voxel[i]!) <= CENTER_VOXELS),
    );
    return near?.name ?? null;
  }

  private select(name: string | null): void {
    const { scene } = this;
    if (!scene) return;
    const patch = scene.data.patches.find((p) => p.name === name);
    scene.selected = patch?.name ?? null;
    if (patch) scene.at = clampTo(patch.center, scene.tomogram.facts.shape);
  }

  private go(at: Zyx): void {
    const { scene } = this;
    if (!scene) return;
    const from = scene.at;
    scene.at = at;
    for (const pane of this.panes) {
      if (at[pane.shows] === from[pane.shows]) pane.draw();
      else void pane.update();
    }
    this.tellAddress();
  }

  private tellAddress(): void {
    clearTimeout(this.addressTimer);
    this.addressTimer = setTimeout(() => {
      const { scene } = this;
      if (!scene || this.ended) return;
      const query = withPlace(location.search, scene.main, scene.at, scene.selected);
      history.replaceState(history.state, "", `${location.pathname}${query}${location.hash}`);
    }, ADDRESS_MS) as unknown as number;
  }

  private hovered(voxel: Zyx | null, gray: number | null): void {
    const { scene } = this;
    if (!scene || !voxel) return this.say("");
    const [low, high] = scene.tomogram.facts.window;
    const value = gray === null ? "" : `   ≈ ${(low + ((high - low) * gray) / 255).toPrecision(4)}`;
    this.say(`x ${voxel[2]}   y ${voxel[1]}   z ${voxel[0]}${value}`);
  }

  private pressed(event: KeyboardEvent): void {
    const action = actionOf(event);
    if (!action || !this.scene || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    event.stopPropagation();
    this.act(action, this.scene);
  }

  private act(action: Action, scene: Scene): void {
    const { shape } = scene.tomogram.facts;
    switch (action.name) {
      case "slices":
        return this.go(moved(scene.at, this.hovering ?? scene.main, action.by, shape));
      case "plane":
        return this.enlarge(action.axis);
      case "zoom":
        return this.panes[0]!.zoom(action.factor);
      case "patch":
        return this.step(action.by);
      case "fit":
        return this.fit();
      case "overlay":
        scene.overlay = !scene.overlay;
        return this.refreshAll();
      case "style":
        scene.style = scene.style === "fill" ? "outline" : "fill";
        return this.refreshAll();
      case "flip":
        scene.flipped = !scene.flipped;
        return this.refreshAll();
      case "contrast":
        return this.contrastBy(AUTOMATIC_PERCENT);
      case "help":
        return this.toggleHelp();
      case "dismiss":
        if (this.help.open) return this.help.close();
        scene.proposal = null;
        return this.refreshAll();
    }
  }

  private step(by: 1 | -1): void {
    const { patches } = this.scene!.data;
    if (!patches.length) return;
    const now = patches.findIndex((p) => p.name === this.scene!.selected);
    const next = patches[(now + by + patches.length) % patches.length]!;
    this.select(next.name);
    this.refreshAll();
  }

  private enlarge(axis: Axis): void {
    this.scene!.main = axis;
    this.arrange();
    this.refreshAll();
  }

  /** The large pane shows the main plane, the small ones the others. */
  private arrange(): void {
    const { main } = this.scene!;
    const order = [main, ...AXES.filter((axis) => axis !== main)];
    this.panes.forEach((pane, i) => pane.show(order[i]!));
  }

  private fit(): void {
    this.panes.forEach((pane) => pane.fit());
    this.updatePanes();
  }

  private contrastBy(percent: number): void {
    this.scene!.contrast = byPercentile(this.scene!.tomogram.facts.histogram, percent);
    this.updatePanes();
  }

  private choose(why: string, nearBorder: NearBorder): void {
    const { proposal } = this.scene!;
    if (!proposal) return;
    const [z, y, x] = proposal.center;
    const choice: Choice = {
      center_xyz: [x, y, z],
      why,
      near_border: nearBorder,
      nonce: Date.now(),
    };
    this.info.classList.add("saving");
    this.component.setTriggerValue("chosen", choice);
  }

  private shift(): void {
    const { scene } = this;
    const fits = scene?.proposal?.fits;
    if (!scene || !fits) return;
    scene.proposal = propose(
      fits,
      scene.tomogram.facts.shape,
      scene.data.patchSide,
      scene.data.patches,
    );
    this.go(fits);
    this.refreshSide();
  }

  private refreshAll(): void {
    this.refreshBar();
    this.refreshSide();
    this.updatePanes();
    this.tellAddress();
    this.root.dataset["patches"] = String(this.scene?.data.patches.length ?? 0);
  }

  private refreshBar(): void {
    const { scene } = this;
    if (!scene) return;
    this.keepFocus(() =>
      this.bar.replaceChildren(
        toolbar(scene, {
          planeChosen: (axis) => this.enlarge(axis),
          overlayChanged: () => this.refreshAll(),
          opacityChanged: () => this.updatePanes(),
          contrastByPercent: (percent) => this.contrastBy(percent),
          fitted: () => this.fit(),
          helped: () => this.toggleHelp(),
        }),
      ),
    );
  }

  private refreshSide(): void {
    const { scene } = this;
    if (!scene) return;
    this.info.classList.remove("saving");
    this.keepFocus(() =>
      this.info.replaceChildren(
        sidePanel(scene, {
          shifted: () => this.shift(),
          dismissed: () => this.act({ name: "dismiss" }, scene),
          chosen: (why, way) => this.choose(why, way),
        }),
      ),
    );
    this.panes.forEach((pane) => pane.draw());
  }

  /** A pressed button that is drawn anew leaves the focus, and so the keys, with the viewer. */
  private keepFocus(draw: () => void): void {
    const tree = this.root.getRootNode() as Document | ShadowRoot;
    const held = this.root.contains(tree.activeElement);
    draw();
    if (held && !this.root.contains(tree.activeElement)) this.root.focus({ preventScroll: true });
  }

  private updatePanes(): void {
    this.panes.forEach((pane) => void pane.update());
  }

  /** Until the previews are there, look now and then whether they are. */
  private watchPreviews(): void {
    clearTimeout(this.poll);
    const { scene } = this;
    const waiting = [scene!.tomogram, ...scene!.segmentations].filter((l) => !l.facts.hasPreview);
    if (!waiting.length) return;
    this.poll = setTimeout(async () => {
      try {
        const changed = await Promise.all(waiting.map((layer) => layer.refresh()));
        if (this.ended || scene !== this.scene) return;
        if (changed.some(Boolean)) this.refreshAll();
        this.watchPreviews();
      } catch (error) {
        this.failed(error);
      }
    }, PREVIEW_POLL_MS) as unknown as number;
  }

  private failed(error: unknown): void {
    if (this.ended || (error instanceof DOMException && error.name === "AbortError")) return;
    const known = error instanceof Refused;
    this.say(
      known ? error.message : "The server cannot be reached; this view goes on when it is back.",
      true,
    );
    if (!known)
      setTimeout(() => (this.scene ? this.updatePanes() : this.retryOpen()), PREVIEW_POLL_MS);
  }

  private retryOpen(): void {
    if (!this.ended) void this.open(this.component.data);
  }

  private say(text: string, bad = false): void {
    this.status.textContent = text;
    this.status.classList.toggle("bad", bad);
  }

  private toggleHelp(): void {
    if (this.help.open) this.help.close();
    else this.help.show();
  }

  private fillHelp(): void {
    const rows = HELP.map(([keys, what]) =>
      element("tr", "", element("td", "keys", keys), element("td", "", what)),
    );
    this.help.append(element("h4", "", "Keys"), element("table", "", ...rows));
    this.help.addEventListener("click", () => this.help.close());
  }

  private focusGently(): void {
    const active = document.activeElement;
    const typing = active instanceof HTMLInputElement || active instanceof HTMLTextAreaElement;
    if (!typing) this.root.focus({ preventScroll: true });
  }

  private stopLayers(): void {
    this.scene?.tomogram.stop();
    this.scene?.segmentations.forEach((layer) => layer.stop());
  }
}
