// The painter: three linked planes to paint on, the live result, and the keeping of every stroke.

import { Refused } from "../api.ts";
import { Autosave, paintingOf } from "../autosave/autosave.ts";
import { Journal } from "../autosave/journal.ts";
import { messageOf, noticeOf } from "../autosave/messages.ts";
import { strokesWord } from "../autosave/strokes.ts";
import type { Component } from "../component.ts";
import { button, element, refill } from "../planes/elements.ts";
import { AXES, type Axis, clampTo, type Zyx } from "../planes/geometry.ts";
import { HelpPanel } from "../planes/help_panel.ts";
import { actionOf, isPlanesAction, type Mode, type PainterAction } from "../planes/keymap.ts";
import { isDark } from "../planes/palette.ts";
import type { SlicePane } from "../planes/slice_pane.ts";
import { isTypedInto, type PlanesEvents, ThreePlanes } from "../planes/three_planes.ts";
import { MOST_SIZE, MOST_THROUGH } from "./brush.ts";
import type { Diff } from "./diff.ts";
import { PageState } from "./page_state.ts";
import { Painting, type PaintingEvents } from "./painting.ts";
import { countRows, type PanelEvents, panel } from "./panel.ts";
import { OpenPatch } from "./patch.ts";
import { PatchPicture } from "./patch_picture.ts";
import { automaticContrast, nextView, openScene, type Scene } from "./scene.ts";
import { Server, Unreachable } from "./server.ts";
import { brushbar, type ToolbarEvents, toolbar } from "./toolbar.ts";
import type { ToolName } from "./tools.ts";
import type { Kind, PainterData } from "./types.ts";
import type { View } from "./views.ts";
import { type ShownLabel, Volume3dView } from "./volume3d_view.ts";

const RETRY_MS = 3000;
const PLACES_KEPT = "tomocurate-painter-at:"; // in this tab, by patch

export class Painter {
  readonly root = element("div", "painter three-planes");
  private readonly bar = element("div", "bar");
  private readonly brushbar = element("div", "bar");
  private readonly readout = element("div", "readout");
  private readonly status = element("div", "status");
  private readonly keeping = element("div", "keeping");
  private readonly notice = element("div", "notice");
  private readonly side = element("div", "side");
  private readonly help = new HelpPanel();
  private readonly volume3d = new Volume3dView(() => this.shownLabel());
  private readonly server = new Server();
  private readonly planes: ThreePlanes;
  private readonly painting: Painting;
  private readonly page: PageState;
  private scene: Scene | null = null;
  private autosave: Autosave | null = null;
  private opened = "";
  private commentNumber = -1;
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
      this.root,
      () => this.scene,
      (pane) => new PatchPicture(pane, () => this.scene),
      this.painting,
      this.planesEvents(),
    );
    this.build();
    this.listen();
    component.parentElement.append(this.root);
  }

  /** Take what Python says now; only another patch is opened anew. */
  async take(component: Component<PainterData>): Promise<void> {
    this.component = component;
    const { data } = component;
    this.root.classList.toggle("dark", isDark(this.root));
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
    this.root.remove();
  }

  private build(): void {
    const [large, second, third] = this.planes.panes as [SlicePane, SlicePane, SlicePane];
    const beside = element("div", "beside", second.element, third.element, this.volume3d.element);
    const body = element("div", "body", large.element, beside, this.side, this.notice);
    const { position } = this.planes;
    const foot = element("div", "foot", position, this.readout, this.status, this.keeping);
    this.keeping.setAttribute("role", "status");
    this.notice.setAttribute("role", "alert");
    this.root.append(this.bar, this.brushbar, body, foot, this.help.element);
    this.root.tabIndex = 0;
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
    this.say("");
    this.refreshKeeping();
    this.refreshAll();
  }

  private openFailed(error: unknown, data: PainterData): void {
    if (this.isEnded) return;
    if (error instanceof Unreachable) {
      this.say("The server cannot be reached; trying again …", true);
      setTimeout(() => !this.isEnded && void this.open(data), RETRY_MS);
      return;
    }
    const isRefused = error instanceof Refused;
    if (isRefused) this.root.dataset["state"] = "refused";
    const reason = isRefused ? error.message : `The patch cannot be opened: ${String(error)}`;
    this.say("");
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
      automaticContrast: () => automaticContrast(this.scene!.patch.gray),
    };
  }

  private paintingEvents(): PaintingEvents {
    return {
      leave: () => this.leaveToPaint(),
      changed: (diff, move) => this.drawingChanged(diff, move),
      painted: () => this.composeAll(),
      hint: (text) => this.say(text, text !== ""),
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
    this.side.querySelector(".numbers")?.replaceChildren(countRows(patch.result.counts()));
    this.composeAll();
    this.volume3d.refreshSoon();
  }

  private moved(from: Zyx): void {
    const { at, data } = this.scene!;
    this.root.dataset["at"] = at.join(",");
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
    this.readout.textContent = voxel
      ? `pointer ${[...voxel].reverse().join(", ")}   gray ${gray}`
      : "";
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
      this.say(error instanceof Error ? error.message : String(error), true);
    }
  }

  private act(action: PainterAction): void {
    const scene = this.scene!;
    const { brush } = scene.tool;
    switch (action.name) {
      case "kind":
        return this.chooseKind(action.kind);
      case "tool":
        return this.chooseTool(action.tool);
      case "size":
        brush.size = within(brush.size + action.by, 1, MOST_SIZE);
        return this.brushChanged();
      case "through":
        brush.through = within(brush.through + action.by, 0, MOST_THROUGH);
        return this.brushChanged();
      case "where":
        scene.tool.nextPlace();
        return this.brushChanged();
      case "undo":
        return this.painting.undo();
      case "redo":
        return this.painting.redo();
      case "save":
        return this.autosave?.save();
      case "view":
        return this.chooseView(nextView(scene));
      case "overlay":
        scene.overlay = !scene.overlay;
        this.refreshBars();
        return this.composeAll();
      case "nextComment":
        return this.nextComment();
      case "volume3d":
        return this.volume3d.toggle(this.component.data.volume3d);
      case "help":
        return this.help.toggle(this.mode);
      case "dismiss":
        return this.dismiss();
    }
  }

  private dismiss(): void {
    if (this.help.isOpen) return this.help.close();
    this.scene!.pin = null;
    this.refreshSide();
    this.planes.draw();
  }

  private chooseKind(kind: Kind): void {
    const { tool } = this.scene!;
    tool.kind = kind;
    if (tool.name === "comment") tool.name = "pen";
    this.brushChanged();
    this.refreshSide();
  }

  private chooseTool(name: ToolName): void {
    const scene = this.scene!;
    if (name === "comment" && !scene.patch.facts.mayComment) return;
    scene.tool.name = name;
    scene.pin = null;
    this.brushChanged();
    this.refreshSide();
  }

  private chooseView(view: View): void {
    this.scene!.view = view;
    this.refreshBars();
    this.composeAll();
  }

  private nextComment(): void {
    const { comments } = this.scene!.patch.facts;
    const pinned = comments.filter((comment) => comment.at && !comment.resolved);
    if (!pinned.length) return this.say("No comment is pinned to a voxel.");
    this.commentNumber = (this.commentNumber + 1) % pinned.length;
    this.planes.go(pinned[this.commentNumber]!.at!);
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

  private brushChanged(): void {
    this.refreshBars();
    this.planes.draw();
  }

  private refreshAll(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    this.refreshBars();
    this.refreshSide();
    this.composeAll();
    this.volume3d.refreshSoon();
    this.root.dataset["at"] = scene.at.join(",");
  }

  private refreshBars(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    const events = this.toolbarEvents();
    const isSaving = autosave.state.phase === "saving" || autosave.state.isSaveWaiting;
    const keeping = { unsaved: autosave.strokes, isSaving };
    refill(this.bar, [toolbar(scene, keeping, events)], this.root);
    refill(this.brushbar, [brushbar(scene, events)], this.root);
  }

  private toolbarEvents(): ToolbarEvents {
    return {
      kindChosen: (kind) => this.chooseKind(kind),
      toolChosen: (tool) => this.chooseTool(tool),
      viewChosen: (view) => this.chooseView(view),
      brushChanged: () => this.planes.draw(),
      overlayChanged: () => this.composeAll(),
      overlayToggled: () => this.act({ name: "overlay" }),
      undone: () => this.painting.undo(),
      redone: () => this.painting.redo(),
      saved: () => this.autosave?.save(),
      volume3dToggled: () => this.act({ name: "volume3d" }),
      enlarged: () => this.planes.toggleFullScreen(),
      helped: () => this.act({ name: "help" }),
    };
  }

  private refreshSide(): void {
    const { scene, autosave } = this;
    if (!scene || !autosave) return;
    refill(this.side, panel(scene, autosave.strokes, this.panelEvents()), this.root);
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
    const { state, strokes } = autosave;
    const mayPaint = state.phase !== "held" && state.phase !== "conflict";
    if (scene.mayPaint !== mayPaint) {
      scene.mayPaint = mayPaint;
      this.refreshSide();
      this.planes.draw();
    }
    this.refreshBars();
    this.refreshNotice(autosave);
    const message = messageOf(state, autosave.hasJournal);
    const unsaved = strokes ? `${strokesWord(strokes)} not saved` : "";
    this.keeping.textContent = [unsaved, message.text].filter(Boolean).join("   ·   ");
    this.keeping.title = this.keeping.textContent;
    this.keeping.classList.toggle("bad", message.isError);
    const discard = this.side.querySelector<HTMLButtonElement>(".discard");
    if (discard) discard.disabled = !strokes || !mayPaint;
    this.tellState(autosave);
  }

  private refreshNotice(autosave: Autosave): void {
    const notice = noticeOf(autosave.state);
    const text = notice?.text ?? "";
    const choices = notice?.choices ?? [];
    const shown = [text, ...choices.map((choice) => choice.text)].join("\n");
    if (this.notice.dataset["shown"] === shown) return;
    this.notice.dataset["shown"] = shown;
    this.notice.className = notice ? `notice shown${notice.isError ? " bad" : ""}` : "notice";
    const buttons = choices.map(({ text, answer }) =>
      button(text, text, () => autosave.answer(answer)),
    );
    refill(this.notice, notice ? [element("span", "", text), ...buttons] : [], this.root);
  }

  private tellState(autosave: Autosave): void {
    const { state, strokes } = autosave;
    const { dataset } = this.root;
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
    const { root } = this;
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
    else this.act(action as PainterAction);
  }

  private say(text: string, isError = false): void {
    this.status.textContent = text;
    this.status.title = text;
    this.status.classList.toggle("bad", isError);
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

function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
