// The painter: three linked planes to paint on, the live result, and the keeping of every stroke.

import { Refused } from "../api.ts";
import { Autosave, paintingOf } from "../autosave/autosave.ts";
import { Journal } from "../autosave/journal.ts";
import type { Component } from "../component.ts";
import { AXES, type Axis, clampTo, type Zyx } from "../planes/geometry.ts";
import { HelpPanel } from "../planes/help_panel.ts";
import { actionOf, isPlanesAction, type Mode, type PainterAction } from "../planes/keymap.ts";
import { isDark } from "../planes/palette.ts";
import type { SlicePane } from "../planes/slice_pane.ts";
import { isTypedInto, type PlanesEvents, ThreePlanes } from "../planes/three_planes.ts";
import { type ActionHost, Actions } from "./actions.ts";
import { Frame } from "./frame.ts";
import { PageState } from "./page_state.ts";
import { Painting, type PaintingEvents } from "./painting.ts";
import { countRows, type PanelEvents, panel } from "./panel.ts";
import { OpenPatch } from "./patch/patch.ts";
import { Server, Unreachable } from "./patch/server.ts";
import { PatchPicture } from "./pictures/patch_picture.ts";
import { automaticContrast, openScene, type Scene } from "./scene.ts";
import { brushbar, type ToolbarEvents, toolbar } from "./toolbar.ts";
import type { PainterData } from "./types.ts";
import { type ShownLabel, Volume3dView } from "./volume3d_view.ts";
import type { Diff } from "./voxels/diff.ts";

const RETRY_MS = 3000;
const PLACES_KEPT = "tomocurate-painter-at:"; // in this tab, by patch

export class Painter {
  private readonly frame = new Frame();
  private readonly help = new HelpPanel();
  private readonly volume3d = new Volume3dView(() => this.shownLabel());
  private readonly server = new Server();
  private readonly planes: ThreePlanes;
  private readonly painting: Painting;
  private readonly page: PageState;
  private readonly actions = new Actions(this.actionHost());
  private scene: Scene | null = null;
  private autosave: Autosave | null = null;
  private opened = "";
  private isBegun = false; // what was not saved earlier was looked for
  private isEnded = false;
  private readonly leave = (): void => this.autosave?.end();
  /** Somebody goes elsewhere: the page must know what is not saved here. */
  private readonly leaving = (): void => {
    if (this.planes.isDragging) return;
    this.autosave?.leaving();
    this.page.flush();
  };

  constructor(private component: Component<PainterData>) {
    this.page = new PageState({
      setState: (name, value) => this.component.setStateValue(name, value),
      trigger: (name, value) => this.component.setTriggerValue(name, value),
    });
    this.painting = new Painting(() => this.scene!, this.paintingEvents());
    this.planes = new ThreePlanes(
      this.frame.root,
      () => this.scene,
      (pane) => new PatchPicture(pane, () => this.scene),
      this.painting,
      this.planesEvents(),
    );
    const { panes, position } = this.planes;
    const shown = [...panes.map((pane) => pane.element), this.volume3d.element];
    this.frame.fill(shown, position, this.help.element);
    this.listen();
    component.parentElement.append(this.frame.root);
  }

  /** Take what Python says now; only another patch is opened anew. */
  async take(component: Component<PainterData>): Promise<void> {
    this.component = component;
    const { data } = component;
    this.frame.root.classList.toggle("dark", isDark(this.frame.root));
    this.server.take(data);
    const wanted = `${data.object} ${data.readOnly} ${data.merge}`;
    if (wanted !== this.opened) {
      this.opened = wanted;
      await this.open(data);
    } else if (this.scene && data.at && String(data.at) !== String(this.scene.data.at)) {
      this.scene.data = data;
      this.planes.go(clampTo(data.at, this.scene.shape));
    }
  }

  end(): void {
    this.isEnded = true;
    removeEventListener("pagehide", this.leave);
    document.removeEventListener("visibilitychange", this.leaving);
    this.page.flush();
    this.autosave?.end();
    this.planes.end();
    this.volume3d.end();
    this.frame.root.remove();
  }

  private async open(data: PainterData): Promise<void> {
    this.autosave?.end();
    this.autosave = null;
    this.scene = null;
    this.isBegun = false;
    this.frame.say("Opening …");
    this.frame.root.dataset["state"] = "opening";
    try {
      const [patch, journal] = await Promise.all([
        OpenPatch.load(this.server, data),
        data.readOnly ? null : Journal.open(paintingOf(data)).catch(() => null),
      ]);
      if (this.isEnded || data.object !== this.component.data.object) return;
      await this.show(data, patch, journal);
    } catch (error) {
      this.openFailed(error, data);
    }
  }

  private async show(data: PainterData, patch: OpenPatch, journal: Journal | null): Promise<void> {
    this.scene = openScene(data, patch, data.at ?? lastPlace(data));
    this.autosave = new Autosave(this.server, patch, journal, data, {
      drawingChanged: () => this.refreshAll(),
      stateChanged: () => this.refreshKeeping(),
      saved: (saved) => {
        this.refreshAll();
        this.page.setUnsaved(this.autosave!.strokes);
        this.page.trigger("saved", { versions: saved.versions, at: saved.savedAt });
      },
    });
    this.refreshBars();
    this.planes.begin();
    this.composeAll();
    await this.autosave.begin();
    this.isBegun = true;
    this.frame.say("");
    this.refreshKeeping();
    this.refreshAll();
  }

  private openFailed(error: unknown, data: PainterData): void {
    if (this.isEnded) return;
    if (error instanceof Unreachable) {
      this.frame.say("The server cannot be reached; trying again …", true);
      setTimeout(() => !this.isEnded && void this.open(data), RETRY_MS);
      return;
    }
    const isRefused = error instanceof Refused;
    if (isRefused) this.frame.root.dataset["state"] = "refused";
    const reason = isRefused ? error.message : `The patch cannot be opened: ${String(error)}`;
    this.frame.say("");
    this.planes.fail(reason, () => void this.open(data));
  }

  private planesEvents(): PlanesEvents {
    return {
      moved: (from) => this.moved(from),
      changed: () => this.composeAll(),
      enlarged: () => {
        this.scene!.brushAt = null;
        this.composeAll();
      },
      pointed: (voxel) => this.pointed(voxel),
      viewChanged: (pane) => pane.draw(),
      isPageBelow: () => this.component.data.readOnly,
      title: () => this.scene!.data.name,
      automaticContrast: () => automaticContrast(this.scene!.patch.gray),
    };
  }

  private actionHost(): ActionHost {
    const currentScene = (): Scene => this.scene!;
    return {
      get scene() {
        return currentScene();
      },
      go: (at) => this.planes.go(at),
      undo: () => this.painting.undo(),
      redo: () => this.painting.redo(),
      edit: (edit) => this.painting.edit(edit, this.planes.current.shows),
      copy: (by) => this.painting.copyTo(this.planes.current.shows, by),
      save: () => this.autosave?.save(),
      toggleVolume3d: () => this.volume3d.toggle(this.component.data.volume3d),
      toggleHelp: () => this.help.toggle(this.mode),
      closeHelp: () => this.help.closeIfOpen(),
      say: (text) => this.frame.say(text),
      refreshBars: () => this.refreshBars(),
      refreshSide: () => this.refreshSide(),
      compose: () => this.composeAll(),
      draw: () => this.planes.draw(),
    };
  }

  private paintingEvents(): PaintingEvents {
    return {
      leave: () => this.leaveToPaint(),
      changed: (diff, move) => this.drawingChanged(diff, move),
      painted: () => this.composeAll(),
      hint: (text) => this.frame.say(text, text !== ""),
      measured: (text) => this.frame.say(text),
      pinned: (at) => this.pin(at),
      movedTo: (at) => this.planes.go(at),
    };
  }

  private leaveToPaint(): ReturnType<PaintingEvents["leave"]> {
    const { scene, autosave } = this;
    if (!scene?.isPainter) return "look";
    if (!this.isBegun || !autosave || autosave.state.phase === "conflict") return "wait";
    return scene.mayPaint ? "paint" : "look";
  }

  /** A stroke is there, or was taken back: count, keep, show. */
  private drawingChanged(diff: Diff, move: "stroke" | "undo" | "redo"): void {
    const { patch } = this.scene!;
    patch.result.follow(diff);
    this.autosave!.add(diff, move);
    this.frame.showCounts(countRows(patch.result.counts()));
    this.composeAll();
    this.volume3d.refreshSoon();
  }

  private moved(from: Zyx): void {
    const { at, data } = this.scene!;
    this.frame.root.dataset["at"] = at.join(",");
    sessionStorage.setItem(PLACES_KEPT + data.object, at.join(","));
    for (const pane of this.planes.panes) {
      if (at[pane.shows] !== from[pane.shows]) compose(pane);
      pane.draw();
    }
  }

  private pointed(voxel: Zyx | null): void {
    const { scene } = this;
    if (!scene) return;
    const gray = voxel && scene.patch.gray[scene.patch.grid.index(...voxel)];
    this.frame.showReadout(
      voxel ? `pointer ${[...voxel].reverse().join(", ")}   gray ${gray}` : "",
    );
    scene.brushAt = voxel && { axis: this.planes.current.shows, voxel };
    if (!this.planes.isDragging) this.planes.draw();
  }

  private pin(at: Zyx): void {
    const scene = this.scene!;
    scene.pin = at;
    scene.comment = "";
    this.planes.go(at);
    this.refreshSide();
  }

  private async comment(text: string, at: Zyx | null): Promise<void> {
    const scene = this.scene!;
    try {
      scene.patch.facts.comments = await this.server.comment(text, at);
      scene.pin = null;
      this.page.trigger("commented", { at, count: scene.patch.facts.comments.length });
      this.refreshSide();
      this.planes.draw();
    } catch (error) {
      this.frame.say(error instanceof Error ? error.message : String(error), true);
    }
  }

  private shownLabel(): ShownLabel | null {
    const { scene } = this;
    if (!scene) return null;
    const { patch, data } = scene;
    const label = patch.merged ?? patch.result.label(patch.drawing.voxels);
    return { label, was: patch.predicted, shape: patch.shape, colors: data.colors };
  }

  private get mode(): Mode {
    return this.scene?.isPainter ? "painter" : "review";
  }

  private refreshAll(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    this.refreshBars();
    this.refreshSide();
    this.composeAll();
    this.volume3d.refreshSoon();
    this.frame.root.dataset["at"] = scene.at.join(",");
  }

  private refreshBars(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    const events = this.toolbarEvents();
    const keeping = { unsaved: autosave.strokes, isSaving: autosave.isSaving };
    this.frame.showBars(toolbar(scene, keeping, events), brushbar(scene, events));
  }

  private toolbarEvents(): ToolbarEvents {
    return {
      kindChosen: (kind) => this.actions.chooseKind(kind),
      toolChosen: (tool) => this.actions.chooseTool(tool),
      viewChosen: (view) => this.actions.chooseView(view),
      brushChanged: () => this.planes.draw(),
      edited: (edit) => this.painting.edit(edit, this.planes.large.shows),
      copied: () => this.painting.copyTo(this.planes.large.shows, 1),
      slabChosen: (slab) => this.actions.chooseSlab(slab),
      ballToggled: () => this.actions.act({ name: "ball" }),
      darkToggled: () => this.actions.act({ name: "dark" }),
      overlayChanged: () => this.composeAll(),
      overlayToggled: () => this.actions.act({ name: "overlay" }),
      undone: () => this.painting.undo(),
      redone: () => this.painting.redo(),
      saved: () => this.autosave?.save(),
      volume3dToggled: () => this.actions.act({ name: "volume3d" }),
      enlarged: () => this.planes.toggleFullScreen(),
      helped: () => this.actions.act({ name: "help" }),
    };
  }

  private refreshSide(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    this.frame.showSide(panel(scene, autosave.strokes, this.panelEvents()));
  }

  private panelEvents(): PanelEvents {
    return {
      layersChanged: () => this.composeAll(),
      continued: (layers) => this.autosave!.goOnWith(layers),
      jumped: (at) => this.planes.go(at),
      commented: (text, at) => void this.comment(text, at),
      startedOver: () => this.autosave!.answer("discard"),
    };
  }

  /** What the autosave reports: the notice over the planes, the line below, the state for everybody. */
  private refreshKeeping(): void {
    const { autosave, scene } = this;
    if (!autosave || !scene || !this.isBegun) return;
    const mayPaint = autosave.mayPaint;
    if (scene.mayPaint !== mayPaint) {
      scene.mayPaint = mayPaint;
      this.refreshSide();
      this.planes.draw();
    }
    this.refreshBars();
    this.frame.showKeeping(autosave, mayPaint);
    this.tellState(autosave);
  }

  private tellState(autosave: Autosave): void {
    const { state, strokes } = autosave;
    const { dataset } = this.frame.root;
    dataset["unsaved"] = String(strokes);
    dataset["state"] = stateWord(state);
    this.page.setUnsaved(strokes);
    void autosave.kept().then(() => (dataset["kept"] = String(strokes)));
  }

  private composeAll(): void {
    this.planes.panes.forEach(compose);
    this.planes.draw();
  }

  private listen(): void {
    const { root } = this.frame;
    root.addEventListener("keydown", (event) => this.keyDown(event));
    root.addEventListener("pointerdown", () => {
      this.page.setPainting(true);
      this.autosave?.active();
    });
    root.addEventListener("pointerup", () => this.page.setPainting(false));
    root.addEventListener("pointercancel", () => this.page.setPainting(false));
    root.addEventListener("pointerleave", this.leaving);
    document.addEventListener("visibilitychange", this.leaving);
    addEventListener("pagehide", this.leave);
    root.addEventListener("askpoint", (event) => this.answerPoint(event as CustomEvent<Asked>));
  }

  /** Where a voxel lies on the page, for whoever points there with a real pointer. */
  private answerPoint({ detail }: CustomEvent<Asked>): void {
    const pane = this.planes.panes.find((candidate) => candidate.shows === detail.axis);
    detail.point = pane?.pageOf(detail.voxel) ?? null;
  }

  private keyDown(event: KeyboardEvent): void {
    if (!this.scene || isTypedInto(event.composedPath()[0])) return;
    const action = actionOf(event, this.mode);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    if (isPlanesAction(action)) this.planes.act(action);
    else this.actions.act(action as PainterAction);
  }
}

interface Asked {
  axis: Axis;
  voxel: Zyx;
  point: { x: number; y: number } | null;
}

function compose(pane: SlicePane): void {
  (pane.picture as PatchPicture).compose();
}

/** Where one looked last in this patch. */
function lastPlace({ object }: PainterData): Zyx | null {
  const numbers = (sessionStorage.getItem(PLACES_KEPT + object) ?? "").split(",").map(Number);
  return numbers.length === AXES.length ? [numbers[0]!, numbers[1]!, numbers[2]!] : null;
}

function stateWord({ phase, isSaveWaiting }: Autosave["state"]): string {
  if (phase === "conflict") return "asking";
  if (phase === "saving" || isSaveWaiting) return "saving";
  return phase === "held" ? "looking" : "ready";
}
