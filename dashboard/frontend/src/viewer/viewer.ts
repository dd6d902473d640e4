// The tomogram viewer: three linked planes, their controls, and the choice of a patch center.

import { Refused } from "../api.ts";
import type { Component } from "../component.ts";
import { AUTOMATIC_PERCENT, byPercentile } from "../planes/contrast.ts";
import { asRegion, element, refill } from "../planes/elements.ts";
import { AXIS_LETTERS, type Axis, clampTo, middleOf, type Zyx } from "../planes/geometry.ts";
import { HelpPanel } from "../planes/help_panel.ts";
import { actionOf, isPlanesAction, type ViewerAction } from "../planes/keymap.ts";
import { isDark } from "../planes/palette.ts";
import type { SlicePane } from "../planes/slice_pane.ts";
import { isTypedInto, type PlanesEvents, ThreePlanes } from "../planes/three_planes.ts";
import { placeIn, withPlace } from "./address.ts";
import { HeatPicture } from "./heat.ts";
import { Layer } from "./layers.ts";
import { PanAndClick } from "./pan_and_click.ts";
import { PreviewWatch } from "./preview_watch.ts";
import { propose } from "./proposal.ts";
import { type Decision, decisionOf, focused, lookAt } from "./proposed.ts";
import type { Scene } from "./scene.ts";
import { sidePanel } from "./side.ts";
import { toolbar } from "./toolbar.ts";
import type { Choice, Decided, NearBorder, PatchMark, ViewedObject, ViewerData } from "./types.ts";
import { type PictureEvents, VolumePicture } from "./volume_picture.ts";

const RETRY_MS = 3000;
const ADDRESS_MS = 300;
const CENTER_VOXELS = 8;
const NO_ENTRY: readonly number[] = [401, 403];
const MOVED_DISK = "If its disk has moved, an admin can run: tomocurate roots move OLD NEW";

export class Viewer {
  private readonly root = element("div", "viewer three-planes");
  private readonly bar = element("div", "bar");
  private readonly readout = element("div", "readout");
  private readonly status = element("div", "status");
  private readonly info = element("div", "info");
  private readonly help = new HelpPanel();
  private readonly planes: ThreePlanes;
  private scene: Scene | null = null;
  private opened = ""; // what the layers were opened for
  private isFresh = true; // the address says where to begin, once
  private details = new Map<SlicePane, string>();
  private readonly previews = new PreviewWatch(
    () => this.refreshAll(),
    (error) => this.failed(error),
  );
  private addressTimer = 0;
  private isEnded = false;

  constructor(private component: Component<ViewerData>) {
    this.planes = new ThreePlanes(
      this.root,
      () => this.scene,
      (pane) => new VolumePicture(pane, () => this.scene, this.pictureEvents()),
      new PanAndClick((pane, voxel) => this.clicked(pane, voxel)),
      this.planesEvents(),
    );
    const [large, second, third] = this.planes.panes as [SlicePane, SlicePane, SlicePane];
    const beside = element("div", "beside", second.element, third.element, this.info);
    const body = element("div", "body", large.element, beside);
    const foot = element("div", "foot", this.planes.position, this.readout, this.status);
    this.status.setAttribute("role", "status");
    asRegion(this.info, "Proposed patch");
    this.root.append(this.bar, body, foot, this.help.element);
    this.root.tabIndex = 0;
    this.root.addEventListener("keydown", (event) => this.keyDown(event));
    large.canvas.addEventListener("dblclick", () => this.planes.fit());
    component.parentElement.append(this.root);
  }

  /** Take what Python says now; only other files are opened anew. */
  async take(component: Component<ViewerData>): Promise<void> {
    this.component = component;
    const { data } = component;
    this.root.classList.toggle("dark", isDark(this.root));
    const files = [data.tomogram, ...data.segmentations];
    const wanted = files.map((file) => file.object).join(" ");
    if (wanted !== this.opened) {
      this.opened = wanted;
      return this.open(data);
    }
    const { scene } = this;
    if (!scene) return;
    const isSelected = data.selected !== scene.data.selected && data.selected !== scene.selected;
    const isFocused = data.proposed.focus !== scene.data.proposed.focus;
    if (data.heat?.channel !== scene.data.heat?.channel) scene.heat = heatOf(data);
    scene.data = data;
    const place = isFocused && focused(data.proposed);
    if (place) this.planes.go(clampTo(lookAt(place), scene.shape));
    if (isSelected) this.select(data.selected);
    this.adoptSaved(scene);
    this.refreshAll();
  }

  end(): void {
    this.isEnded = true;
    this.previews.end();
    clearTimeout(this.addressTimer);
    this.planes.end();
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
        Layer.open(data.tomogram),
        ...data.segmentations.map((file) => this.openOverlay(file, refused)),
      ]);
      const segmentations = opened.filter((layer) => layer !== null);
      if (this.isEnded || data.tomogram.object !== this.component.data.tomogram.object) return;
      this.scene = this.sceneOf(this.component.data, tomogram!, segmentations);
      this.refreshBar();
      this.planes.begin();
      this.refreshAll();
      this.previews.begin([tomogram!, ...segmentations]);
      this.say(refused.join(" "), refused.length > 0);
    } catch (error) {
      this.failed(error);
    }
  }

  /** A segmentation whose file cannot be read is left out, and reported. */
  private async openOverlay(file: ViewedObject, refused: string[]): Promise<Layer | null> {
    try {
      return await Layer.open(file);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused.push(error.message);
      return null;
    }
  }

  private sceneOf(data: ViewerData, tomogram: Layer, segmentations: Layer[]): Scene {
    const { shape, histogram, voxelSizeAngstrom } = tomogram.facts;
    const link = placeIn(this.isFresh ? location.search : "");
    this.isFresh = false;
    const selected = data.selected ?? link.patch;
    const patch = data.patches.find((candidate) => candidate.name === selected);
    const place = focused(data.proposed);
    return {
      data,
      tomogram,
      segmentations,
      shape,
      at: clampTo(
        (place && lookAt(place)) ?? link.at ?? data.at ?? patch?.center ?? middleOf(shape),
        shape,
      ),
      main: link.plane ?? data.plane,
      contrast: byPercentile(histogram, AUTOMATIC_PERCENT),
      voxelSizeAngstrom,
      crossColor: data.colors.selected,
      flipped: false,
      style: "fill",
      opacity: 0.5,
      overlay: true,
      boxes: true,
      selected: patch?.name ?? null,
      proposal: null,
      heat: heatOf(data),
    };
  }

  /** After a save the proposal is a patch, and goes. */
  private adoptSaved(scene: Scene): void {
    const { proposal, data, shape } = scene;
    if (!proposal) return;
    const isSaved = data.patches.some((patch) => String(patch.center) === String(proposal.center));
    scene.proposal = isSaved ? null : propose(proposal.center, shape, data.patchSide, data.patches);
  }

  private planesEvents(): PlanesEvents {
    return {
      moved: (from) => this.moved(from),
      changed: () => this.refreshAll(),
      enlarged: () => this.refreshAll(),
      pointed: (voxel) => this.pointed(voxel),
      viewChanged: (pane) => this.viewChanged(pane),
      isPageBelow: () => false,
      title: () => this.scene!.data.tomogram.name,
      automaticContrast: () =>
        byPercentile(this.scene!.tomogram.facts.histogram, AUTOMATIC_PERCENT),
    };
  }

  private pictureEvents(): PictureEvents {
    return {
      shown: (pane, index) => {
        const letter = AXIS_LETTERS[pane.shows].toUpperCase();
        this.root.dataset[`shown${letter}`] = String(index);
        const detail = { axis: pane.shows, index };
        this.root.dispatchEvent(new CustomEvent("sliceshown", { detail }));
      },
      failed: (error) => this.failed(error),
      overlayFailed: (layer) => {
        this.refreshBar();
        this.say(layer.failed!, true);
      },
    };
  }

  private moved(from: Zyx): void {
    const { at } = this.scene!;
    for (const pane of this.planes.panes) {
      if (at[pane.shows] === from[pane.shows]) pane.draw();
      else void update(pane);
    }
    this.tellAddress();
  }

  /** Zooming may need another resolution of the slice, or thicker outlines. */
  private viewChanged(pane: SlicePane): void {
    const { detail } = pane.picture as VolumePicture;
    if (this.details.get(pane) === detail) pane.draw();
    else void update(pane);
    this.details.set(pane, detail);
  }

  private clicked(pane: SlicePane, voxel: Zyx): void {
    const { scene } = this;
    if (!scene) return;
    const { data, shape } = scene;
    const selected = this.patchNear(pane.shows, voxel);
    scene.selected = selected;
    const mayPropose = data.mayChoose && !selected;
    scene.proposal = mayPropose ? propose(voxel, shape, data.patchSide, data.patches) : null;
    this.planes.go(voxel);
    this.refreshSide();
  }

  /** A patch whose center is drawn within a few voxels of a click. */
  private patchNear(axis: Axis, voxel: Zyx): string | null {
    const { data, boxes } = this.scene!;
    const isNear = ({ center, start, stop }: PatchMark): boolean =>
      voxel[axis] >= start[axis] &&
      voxel[axis] < stop[axis] &&
      center.every((c, i) => i === axis || Math.abs(c - voxel[i]!) <= CENTER_VOXELS);
    return (boxes && data.patches.find(isNear)?.name) || null;
  }

  private select(name: string | null): void {
    const { scene } = this;
    if (!scene) return;
    const patch = scene.data.patches.find((candidate) => candidate.name === name);
    scene.selected = patch?.name ?? null;
    if (patch) this.planes.go(clampTo(patch.center, scene.shape));
  }

  private tellAddress(): void {
    clearTimeout(this.addressTimer);
    this.addressTimer = window.setTimeout(() => {
      const { scene } = this;
      if (!scene || this.isEnded) return;
      const query = withPlace(location.search, scene.main, scene.at, scene.selected);
      const address = `${location.pathname}${query}${location.hash}`;
      history.replaceState(history.state, "", address);
    }, ADDRESS_MS);
  }

  private pointed(voxel: Zyx | null): void {
    const { scene } = this;
    if (!scene || !voxel) {
      this.readout.textContent = "";
      return;
    }
    const gray = (this.planes.current.picture as VolumePicture).grayAt(voxel);
    const [low, high] = scene.tomogram.facts.window;
    const value = gray === null ? "" : `   ≈ ${(low + ((high - low) * gray) / 255).toPrecision(4)}`;
    this.readout.textContent = `pointer ${[...voxel].reverse().join(", ")}${value}`;
  }

  private keyDown(event: KeyboardEvent): void {
    if (!this.scene || isTypedInto(event.composedPath()[0])) return;
    const decision = decisionOf(event, this.scene.data.proposed);
    const action = decision ? null : actionOf(event, "viewer");
    if (decision) this.decide(decision);
    if (!action && !decision) return;
    event.preventDefault();
    event.stopPropagation();
    if (!action) return;
    if (isPlanesAction(action)) this.planes.act(action);
    else this.act(action as ViewerAction, this.scene);
  }

  private act(action: ViewerAction, scene: Scene): void {
    switch (action.name) {
      case "patch":
        return this.step(action.by);
      case "overlay":
        scene.overlay = !scene.overlay;
        return this.refreshAll();
      case "style":
        scene.style = scene.style === "fill" ? "outline" : "fill";
        return this.refreshAll();
      case "boxes":
        scene.boxes = !scene.boxes;
        return this.refreshAll();
      case "help":
        return this.help.toggle("viewer");
      case "dismiss":
        if (this.help.closeIfOpen()) return;
        scene.proposal = null;
        return this.refreshAll();
    }
  }

  private step(by: 1 | -1): void {
    const { data, selected } = this.scene!;
    const { patches } = data;
    if (!patches.length) return;
    const now = patches.findIndex((patch) => patch.name === selected);
    this.select(patches[(now + by + patches.length) % patches.length]!.name);
    this.refreshAll();
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

  /** Tell Python what was decided about the place in focus; it puts the next one there. */
  private decide(decision: Decision): void {
    const place = this.scene && focused(this.scene.data.proposed);
    if (!place) return;
    const decided: Decided = { id: place.id, decision, nonce: Date.now() };
    this.info.classList.add("saving");
    this.component.setTriggerValue("decided", decided);
  }

  private shift(): void {
    const { scene } = this;
    const fits = scene?.proposal?.fits;
    if (!scene || !fits) return;
    scene.proposal = propose(fits, scene.shape, scene.data.patchSide, scene.data.patches);
    this.planes.go(fits);
    this.refreshSide();
  }

  private refreshAll(): void {
    if (!this.scene) return;
    this.refreshBar();
    this.refreshSide();
    this.updatePanes();
    this.tellAddress();
    this.root.dataset["patches"] = String(this.scene.data.patches.length);
  }

  private refreshBar(): void {
    const { scene } = this;
    if (!scene) return;
    const bar = toolbar(scene, {
      planeChosen: (axis) => this.planes.enlarge(axis),
      overlayChanged: () => this.refreshAll(),
      opacityChanged: () => this.updatePanes(),
      styleChosen: (style) => {
        scene.style = style;
        this.refreshAll();
      },
      boxesToggled: () => this.act({ name: "boxes" }, scene),
      contrastByPercent: (percent) => {
        scene.contrast = byPercentile(scene.tomogram.facts.histogram, percent);
        this.updatePanes();
      },
      fitted: () => this.planes.fit(),
      enlarged: () => this.planes.toggleFullScreen(),
      helped: () => this.act({ name: "help" }, scene),
    });
    refill(this.bar, [bar], this.root);
  }

  private refreshSide(): void {
    const { scene } = this;
    if (!scene) return;
    this.info.classList.remove("saving");
    const side = sidePanel(scene, {
      shifted: () => this.shift(),
      dismissed: () => this.act({ name: "dismiss" }, scene),
      chosen: (why, way) => this.choose(why, way),
      decided: (decision) => this.decide(decision),
    });
    refill(this.info, [side], this.root);
    this.planes.draw();
  }

  private updatePanes(): void {
    for (const pane of this.planes.panes) void update(pane);
  }

  private failed(error: unknown): void {
    if (this.isEnded || (error instanceof DOMException && error.name === "AbortError")) return;
    if (error instanceof Refused) {
      this.say("");
      const isGone = !NO_ENTRY.includes(error.status);
      return this.planes.fail(error.message, () => this.reopen(), isGone ? MOVED_DISK : "");
    }
    this.say("The server cannot be reached; this view goes on when it is back.", true);
    setTimeout(() => (this.scene ? this.updatePanes() : this.reopen()), RETRY_MS);
  }

  private reopen(): void {
    if (!this.isEnded) void this.open(this.component.data);
  }

  private say(text: string, isError = false): void {
    this.status.textContent = text;
    this.status.title = text;
    this.status.classList.toggle("bad", isError);
  }

  private stopLayers(): void {
    this.scene?.tomogram.stop();
    this.scene?.segmentations.forEach((layer) => layer.stop());
  }
}

function heatOf(data: ViewerData): HeatPicture | null {
  return data.heat && new HeatPicture(data.heat);
}

function update(pane: SlicePane): Promise<void> {
  return (pane.picture as VolumePicture).update();
}
