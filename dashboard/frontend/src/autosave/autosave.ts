// Carries out what the autosave's state machine decides: strokes go to the browser's database at
// once, drafts and versions to the server, and the patch is held while somebody paints on it.

import { Refused } from "../api.ts";
import { type Layer, loadLayers, type OpenPatch } from "../painter/patch/patch.ts";
import {
  CONFLICT,
  FORBIDDEN,
  isSignedOut,
  NOT_FOUND,
  type Server,
  Unreachable,
} from "../painter/patch/server.ts";
import type { Draft, Facts, PainterData, SavedFacts } from "../painter/types.ts";
import { apply, type Diff, withoutStroke } from "../painter/voxels/diff.ts";
import { History } from "../painter/voxels/drawing.ts";
import type { Journal, Kept } from "./journal.ts";
import {
  type Answer,
  type Effect,
  type Event,
  type Failure,
  mayPaint,
  START,
  type State,
  step,
  type Timer,
  unsavedStrokes,
  WAIT_MS,
} from "./machine.ts";
import type { StrokeMove } from "./strokes.ts";
import { findUnsavedWork, questionOf, type UnsavedWork } from "./unsaved_work.ts";
import { conflictWords, joinedKinds, savedWords, stillThere } from "./versions.ts";
import { Windows } from "./windows.ts";

const IDLE_MS = 15 * 60_000; // who does nothing for so long holds no longer

export interface AutosaveEvents {
  drawingChanged(): void; // as a whole
  stateChanged(state: State): void;
  saved(saved: SavedFacts): void;
}

export class Autosave {
  state: State = START;
  private unsavedWork: UnsavedWork = { kept: null, draft: null, draftAt: null };
  private versions: { facts: Facts; layers: Layer[]; saved: Uint8Array<ArrayBuffer> } | null = null;
  private readonly timers = new Map<Timer, number>();
  private readonly windows: Windows;
  private lastWrite: Promise<void> = Promise.resolve();
  private lastActive = Date.now();
  private isEnded = false;

  constructor(
    private readonly server: Server,
    private readonly patch: OpenPatch,
    private readonly journal: Journal | null, // a browser may refuse to keep anything
    private readonly data: PainterData,
    private readonly events: AutosaveEvents,
  ) {
    const giveUp = async (): Promise<void> => {
      this.dispatch({ type: "gaveUp" });
      await this.lastWrite;
    };
    this.windows = new Windows(paintingOf(data), giveUp);
  }

  get strokes(): number {
    return unsavedStrokes(this.state);
  }

  get mayPaint(): boolean {
    return mayPaint(this.state);
  }

  get isSaving(): boolean {
    return this.state.phase === "saving" || this.state.isSaveWaiting;
  }

  get hasJournal(): boolean {
    return this.journal !== null;
  }

  /** Find what was not saved earlier, and hold the patch. */
  async begin(): Promise<void> {
    const revision = this.patch.facts.draft?.revision ?? 0;
    const isPainter = !this.data.readOnly && this.patch.facts.mayPaint;
    if (!isPainter) return this.dispatch({ type: "opened", revision, holder: { by: "role" } });
    if (await this.windows.isTaken()) {
      return this.dispatch({ type: "opened", revision, holder: { by: "window", isAsked: true } });
    }
    this.windows.hold();
    this.unsavedWork = await findUnsavedWork(this.server, this.patch, this.journal);
    this.dispatch({ type: "opened", revision, holder: null });
    this.dispatch({ type: "unsavedWork", question: questionOf(this.unsavedWork) });
  }

  /** A stroke was drawn, undone or redone: keep it now. */
  add(diff: Diff, move: StrokeMove): void {
    this.active();
    this.writeToJournal(diff);
    this.dispatch({ type: "stroke", move });
  }

  /** Resolves when every stroke so far is on the disk of this computer. */
  kept(): Promise<void> {
    return this.lastWrite;
  }

  save(): void {
    this.dispatch({ type: "saveAsked" });
  }

  answer(answer: Answer): void {
    this.dispatch({ type: "answered", answer });
  }

  /** The pointer leaves the painter, or the page: what no draft holds is sent now. */
  leaving(): void {
    this.dispatch({ type: "leaving" });
  }

  active(): void {
    this.lastActive = Date.now();
  }

  /** Go on with the work of others: it becomes part of this drawing, one kind a voxel. */
  goOnWith(layers: readonly Layer[]): void {
    const { patch } = this;
    const voxels = patch.joined(layers);
    for (const { slot } of layers) {
      patch.continued = { ...patch.continued, [slot.name]: slot.version };
    }
    const diff = patch.replace(voxels);
    patch.history = new History();
    this.clearJournal();
    this.add(diff, "stroke");
    this.events.drawingChanged();
  }

  end(): void {
    this.leaving();
    this.isEnded = true;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.windows.close();
    if (this.state.phase !== "held") void this.server.letGo();
    void this.lastWrite.finally(() => this.journal?.close());
  }

  private dispatch(event: Event): void {
    if (this.isEnded) return;
    const [state, effects] = step(this.state, event);
    this.state = state;
    for (const effect of effects) this.carryOut(effect);
    this.events.stateChanged(this.state);
  }

  private carryOut(effect: Effect): void {
    switch (effect.run) {
      case "wait":
        return this.wait(effect.timer, effect.ms);
      case "stop":
        return this.stop(effect.timer);
      case "draft":
        return this.attempt(() => this.draft(), "draftFailed");
      case "forgetDraft":
        return this.attempt(() => this.forgetDraft(), "draftFailed");
      case "save":
        return this.attempt(() => this.saveNow(), "saveFailed");
      case "compareVersions":
        return this.attempt(() => this.compareVersions(), "saveFailed");
      case "hold":
        return void this.hold(null);
      case "takeOver":
        return void this.hold(effect.since);
      case "checkFree":
        return void this.checkFree();
      case "lookAgain":
        return this.attempt(() => this.lookAgain(), "holdFailed");
      case "takeWindow":
        return this.attempt(() => this.takeWindow(), "holdFailed");
      case "restoreBrowser":
        return this.restoreBrowser(this.unsavedWork.kept!);
      case "restoreDraft":
        return this.restoreDraft(this.unsavedWork.draft!);
      case "startOver":
        return void this.startOver();
      case "adopt":
        return this.adopt(effect.which);
    }
  }

  private attempt(
    action: () => Promise<void>,
    type: "draftFailed" | "saveFailed" | "holdFailed",
  ): void {
    action().catch((error: unknown) => this.dispatch({ type, failure: failureOf(error) }));
  }

  private wait(timer: Timer, ms: number): void {
    this.stop(timer);
    this.timers.set(
      timer,
      window.setTimeout(() => this.due(timer), ms),
    );
  }

  private stop(timer: Timer): void {
    clearTimeout(this.timers.get(timer));
  }

  private due(timer: Timer): void {
    if (timer === "draft") return this.dispatch({ type: "draftDue" });
    if (this.state.holder) return this.dispatch({ type: "freeDue" });
    this.dispatch({ type: "holdDue", isActive: Date.now() - this.lastActive < IDLE_MS });
  }

  private writeToJournal(diff: Diff): void {
    const { journal, patch } = this;
    if (!journal) return;
    const before = (): Kept["base"] => ({
      voxels: withoutStroke(patch.drawing.voxels, diff),
      versions: patch.base,
      continued: patch.continued,
    });
    this.lastWrite = journal.add(diff, before).catch(() => this.dispatch({ type: "browserFull" }));
  }

  /** What is written after this waits for it: the database keeps the order of transactions. */
  private clearJournal(): void {
    this.journal?.clear().catch(() => this.dispatch({ type: "browserFull" }));
  }

  private async draft(): Promise<void> {
    const { shape, base, continued, drawing } = this.patch;
    const { revision } = this.state;
    const voxels = drawing.voxels.slice();
    const draft = await this.server.keepDraft(voxels, shape, revision, base, continued);
    this.dispatch({ type: "drafted", revision: draft.revision, at: draft.savedAt });
  }

  private async forgetDraft(): Promise<void> {
    await this.server.forgetDraft();
    this.dispatch({ type: "draftForgotten" });
  }

  private async saveNow(): Promise<void> {
    const { patch, journal } = this;
    const voxels = patch.drawing.voxels.slice();
    const number = journal?.strokes ?? 0;
    const { base, continued, shape } = patch;
    const saved = await this.server.save(voxels, shape, base, continued);
    patch.adoptSaved(saved.facts, voxels);
    const rest = { voxels, versions: patch.base, continued: {} };
    this.lastWrite = journal?.rebase(rest, number) ?? Promise.resolve();
    this.dispatch({ type: "saved", text: savedWords(saved) });
    this.events.saved(saved);
  }

  /** Somebody saved since, or took the patch over: nothing is lost, and a person decides. */
  private async compareVersions(): Promise<void> {
    const facts = await this.server.facts();
    if (this.isHeldByAnother(facts)) return;
    this.versions = { facts, ...(await loadLayers(this.server, facts, false)) };
    const reason = conflictWords(facts, this.patch.base);
    this.dispatch({ type: "conflictSeen", reason });
  }

  private adopt(which: "mine" | "theirs" | "both"): void {
    const { patch } = this;
    const { facts, layers, saved } = this.versions!;
    patch.facts = facts;
    patch.layers = layers;
    patch.saved = saved;
    patch.base = facts.base;
    patch.continued = which === "theirs" ? {} : stillThere(patch.continued, facts);
    if (which === "theirs") return void this.startOver();
    const joined = which === "both" ? joinedKinds(patch.drawing.voxels, saved) : null;
    const diff = patch.replace(joined ?? patch.drawing.voxels);
    if (diff.length) {
      patch.history.add(diff);
      this.add(diff, "stroke");
    }
    this.events.drawingChanged();
  }

  private async hold(takeOverFrom: string | null): Promise<void> {
    try {
      await this.server.hold(takeOverFrom);
      this.dispatch({ type: "holdGranted" });
    } catch (error) {
      await this.holdRefused(error);
    }
  }

  private async holdRefused(error: unknown): Promise<void> {
    const failure = failureOf(error);
    const facts = failure.kind === "conflict" ? await this.server.facts().catch(() => null) : null;
    if (facts && this.isHeldByAnother(facts)) return;
    this.dispatch({ type: "holdFailed", failure });
  }

  private isHeldByAnother({ hold }: Facts): boolean {
    if (!hold || hold.personId === this.data.person.id) return false;
    this.dispatch({ type: "heldBy", name: hold.person, since: hold.since });
    return true;
  }

  private async checkFree(): Promise<void> {
    const facts = await this.server.facts().catch(() => null);
    if (facts && !facts.hold) return this.dispatch({ type: "seenFree" });
    this.wait("hold", WAIT_MS);
  }

  /** Somebody else painted meanwhile: their work is shown, one's own drawing stays. */
  private async lookAgain(): Promise<void> {
    const { patch, server } = this;
    patch.facts = await server.facts();
    patch.layers = (await loadLayers(server, patch.facts, false)).layers;
    patch.recount();
    this.events.drawingChanged();
  }

  private async takeWindow(): Promise<void> {
    await this.windows.takeOver();
    this.patch.facts = await this.server.facts();
    await this.begin();
    this.events.drawingChanged();
  }

  private restoreBrowser(kept: Kept): void {
    const { patch } = this;
    patch.base = kept.base.versions;
    patch.continued = kept.base.continued;
    patch.drawing.voxels.set(kept.base.voxels);
    for (const diff of kept.strokes) apply(diff, patch.drawing.voxels);
    patch.history = new History(kept.strokes);
    patch.recount();
    this.journal?.goOn(kept);
    this.dispatch({ type: "restored", strokes: kept.strokes.length });
    this.events.drawingChanged();
  }

  private restoreDraft(draft: Draft): void {
    const { patch } = this;
    patch.base = draft.base ?? patch.facts.base;
    patch.continued = draft.continued;
    const diff = patch.replace(draft.voxels);
    this.clearJournal();
    patch.history.add(diff);
    this.add(diff, "stroke");
    this.events.drawingChanged();
  }

  /** Forget everything that was not saved. */
  private async startOver(): Promise<void> {
    const { patch } = this;
    patch.continued = {};
    patch.base = patch.facts.base;
    patch.replace(patch.saved);
    patch.history = new History();
    this.clearJournal();
    await this.server.forgetDraft().catch(() => undefined);
    this.dispatch({ type: "startedOver" });
    this.events.drawingChanged();
  }
}

/** Who paints which patch: what the journal and the windows of a browser share. */
export function paintingOf({ person, object }: PainterData): string {
  return `${location.host}/${person.id}/${object}`;
}

function failureOf(error: unknown): Failure {
  if (error instanceof Unreachable) return { kind: "unreachable" };
  if (!(error instanceof Refused)) return { kind: "refused", text: String(error) };
  const text = error.message;
  if (error.status === CONFLICT) return { kind: "conflict", text };
  if (isSignedOut(error)) return { kind: "signedOut", text };
  const isForbidden = error.status === FORBIDDEN || error.status === NOT_FOUND;
  return { kind: isForbidden ? "forbidden" : "refused", text };
}
