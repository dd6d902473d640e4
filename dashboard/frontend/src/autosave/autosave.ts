// Keeps what is painted: every stroke in the browser at once, a draft on the server every few
// seconds, versions when one saves; holds the patch; and says plainly when something is in the way.

import { Refused } from "../api.ts";
import { apply, type Diff } from "../painter/diff.ts";
import { History } from "../painter/drawing.ts";
import { type Layer, loadLayers, type OpenPatch, same } from "../painter/patch.ts";
import { CONFLICT, isSignedOut, type Server, Unreachable } from "../painter/server.ts";
import type {
  Draft,
  Facts,
  HoldFacts,
  PainterData,
  SavedFacts,
  Versions,
} from "../painter/types.ts";
import { type Journal, type Kept, replayed } from "./journal.ts";
import { Windows } from "./windows.ts";

const DRAFT_MS = 4000;
const HEARTBEAT_MS = 60_000;
const FIRST_HEARTBEAT_MS = 5000; // a page that was reloaded may let go after the new one held
const IDLE_MS = 15 * 60_000; // who does nothing for so long holds no longer
const WAIT_MS = 10_000;
const LONGEST_RETRY_MS = 30_000;

export interface Choice {
  text: string;
  act: () => void;
}

export interface Notice {
  text: string;
  bad: boolean;
  choices: Choice[];
  blocks: boolean; // nothing can be painted before it is answered
}

export interface AutosaveEvents {
  changed(): void; // the drawing as a whole
  told(): void; // what is said about keeping
  saved(saved: SavedFacts): void;
}

export class Autosave {
  notice: Notice | null = null;
  mayPaint = false;
  said = "";
  isBad = false;
  isSaving = false;
  private unsaved = 0;
  private undrafted = 0;
  private draftRevision: number;
  private retryMs = DRAFT_MS;
  private draftTimer = 0;
  private drafting: Promise<void> = Promise.resolve();
  private holdTimer = 0;
  private lastActive = Date.now();
  private draftsPaused = false;
  private hasHeld = false;
  private readonly windows: Windows;
  private lastWrite: Promise<void> = Promise.resolve();
  private ended = false;

  constructor(
    private readonly server: Server,
    private readonly patch: OpenPatch,
    private readonly journal: Journal | null, // a browser may refuse to keep anything
    private readonly data: PainterData,
    private readonly events: AutosaveEvents,
  ) {
    this.draftRevision = patch.facts.draft?.revision ?? 0;
    this.windows = new Windows(paintingOf(data), () => this.giveUpToAnotherWindow());
  }

  get strokes(): number {
    return this.unsaved;
  }

  /** What was not saved is offered, then the patch is held. */
  async begin(): Promise<void> {
    this.mayPaint = !this.data.readOnly && this.patch.facts.mayPaint;
    if (!this.mayPaint) return;
    if (await this.windows.isTaken()) return this.inAnotherWindow();
    this.windows.hold();
    void this.takeHold(null);
    await this.offerUnsaved();
  }

  /** A stroke was drawn (or taken back): keep it now. */
  add(diff: Diff): void {
    const before = (): Parameters<Journal["rebase"]>[0] => ({
      voxels: without(this.patch.drawing.voxels, diff),
      versions: this.patch.base,
      continued: this.patch.continued,
    });
    this.unsaved += 1;
    this.undrafted += 1;
    this.lastActive = Date.now();
    if (this.journal) {
      this.lastWrite = this.journal
        .add(diff, before)
        .catch(() =>
          this.tell(
            "This browser does not keep your strokes (is its storage full?): save now.",
            true,
          ),
        );
    }
    this.planDraft(DRAFT_MS);
    this.events.told();
  }

  /** Resolves when every stroke so far is on the disk of this computer. */
  kept(): Promise<void> {
    return this.lastWrite;
  }

  async save(): Promise<void> {
    if (this.isSaving || !this.mayPaint || this.notice?.blocks) return;
    this.isSaving = true;
    clearTimeout(this.draftTimer);
    this.events.told();
    await this.drafting; // one that came after the save would be refused
    const sent = this.patch.drawing.voxels.slice();
    const strokes = this.unsaved;
    const number = this.journal?.strokes ?? 0;
    try {
      const { base, continued, shape } = this.patch;
      this.accept(await this.server.save(sent, shape, base, continued), sent, strokes, number);
    } catch (error) {
      this.notSaved(error);
    } finally {
      this.isSaving = false;
      this.events.told();
    }
  }

  /** Go on with the work of others: it becomes part of this drawing, one kind a voxel. */
  async goOnWith(layers: readonly Layer[]): Promise<void> {
    const { patch } = this;
    const voxels = patch.joined(layers);
    for (const { slot } of layers)
      patch.continued = { ...patch.continued, [slot.name]: slot.version };
    const diff = patch.replace(voxels);
    patch.history = new History();
    await this.journal?.clear();
    this.add(diff);
    this.events.changed();
  }

  /** Forget everything that was not saved. */
  async startOver(): Promise<void> {
    const { patch } = this;
    patch.continued = {};
    patch.base = patch.facts.base;
    patch.replace(patch.saved);
    patch.history = new History();
    this.unsaved = this.undrafted = 0;
    await this.journal?.clear();
    await this.drafting;
    await this.server.forgetDraft().catch(() => undefined);
    this.draftRevision = 0;
    this.draftsPaused = false;
    this.notice = null;
    this.events.changed();
  }

  active(): void {
    this.lastActive = Date.now();
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.draftTimer);
    clearTimeout(this.holdTimer);
    this.windows.close();
    if (this.mayPaint) void this.server.letGo();
    void this.lastWrite.finally(() => this.journal?.close());
  }

  dismiss(): void {
    this.notice = null;
    this.events.told();
  }

  private inAnotherWindow(): void {
    this.mayPaint = false;
    const paint = async (): Promise<void> => {
      this.dismiss();
      await this.windows.takeOver();
      this.patch.facts = await this.server.facts();
      this.draftRevision = this.patch.facts.draft?.revision ?? 0;
      await this.begin();
    };
    this.ask({
      text: "You paint on this patch in another window.",
      bad: false,
      blocks: false,
      choices: [
        { text: "Only look", act: () => this.dismiss() },
        {
          text: "Paint here",
          act: () => void paint().catch((error: unknown) => this.notSaved(error)),
        },
      ],
    });
  }

  private async giveUpToAnotherWindow(): Promise<void> {
    this.mayPaint = false;
    clearTimeout(this.draftTimer);
    clearTimeout(this.holdTimer);
    await this.lastWrite;
    this.tell("You paint on this patch in another window now.");
  }

  private async offerUnsaved(): Promise<void> {
    const { patch } = this;
    const kept = await this.journal?.read().catch(() => null);
    const here = kept ? replayed(kept) : null;
    const draft = patch.facts.draft ? await this.server.draft().catch(() => null) : null;
    const useful = (voxels: Uint8Array | null): voxels is Uint8Array<ArrayBuffer> =>
      voxels !== null && voxels.length === patch.grid.size && !same(voxels, patch.saved);
    const choices: Choice[] = [];
    if (kept && useful(here)) choices.push({ text: wordsOf(kept), act: () => this.restore(kept) });
    if (draft && useful(draft.voxels) && !(here && same(here, draft.voxels))) {
      const when = clock(patch.facts.draft!.savedAt);
      choices.push({
        text: `Go on with the draft on the server (${when})`,
        act: () => this.take(draft),
      });
    }
    if (!choices.length) {
      if (kept) await this.journal?.clear();
      return;
    }
    choices.push({ text: "Start from the saved version", act: () => void this.startOver() });
    const text = "There is unsaved work of yours on this patch.";
    this.ask({ text, bad: false, blocks: true, choices });
  }

  private restore(kept: Kept): void {
    const { patch } = this;
    patch.base = kept.base.versions;
    patch.continued = kept.base.continued;
    patch.drawing.voxels.set(kept.base.voxels);
    for (const diff of kept.strokes) apply(diff, patch.drawing.voxels);
    patch.history = new History(kept.strokes);
    patch.recount();
    this.journal?.goOn(kept);
    this.unsaved = this.undrafted = kept.strokes.length;
    this.answered();
  }

  private take(draft: Draft): void {
    this.patch.base = draft.base ?? this.patch.facts.base;
    this.patch.continued = draft.continued;
    const diff = this.patch.replace(draft.voxels);
    void (this.journal?.clear() ?? Promise.resolve()).then(() => {
      this.patch.history.add(diff);
      this.add(diff);
      this.answered();
    });
  }

  private answered(): void {
    this.notice = null;
    this.planDraft(DRAFT_MS);
    this.events.changed();
  }

  private accept(
    saved: SavedFacts,
    sent: Uint8Array<ArrayBuffer>,
    strokes: number,
    number: number,
  ): void {
    const { patch } = this;
    const wasContinued = patch.continued;
    patch.facts = saved.facts;
    patch.base = saved.facts.base;
    patch.saved = sent;
    patch.layers = patch.layers.filter((layer) => !(layer.slot.name in wasContinued));
    patch.continued = {};
    patch.recount();
    this.unsaved -= strokes;
    this.undrafted = Math.min(this.undrafted, this.unsaved);
    this.draftRevision = 0;
    this.draftsPaused = false;
    this.notice = null;
    this.lastWrite =
      this.journal?.rebase({ voxels: sent, versions: patch.base, continued: {} }, number) ??
      Promise.resolve();
    if (this.unsaved) this.planDraft(DRAFT_MS);
    this.tell(savedWords(saved));
    this.events.saved(saved);
  }

  private notSaved(error: unknown): void {
    const kept = this.journal
      ? "Your strokes are kept in this browser."
      : "Do not close this page.";
    if (error instanceof Refused && error.status === CONFLICT) {
      void this.offerBoth(error.message);
    } else if (error instanceof Unreachable) {
      this.planDraft(this.retryMs);
      this.tell(
        `Not saved: the server cannot be reached. ${kept} Save again when it is back.`,
        true,
      );
    } else {
      const why = error instanceof Refused ? error.message : String(error);
      this.tell(`Not saved: ${why}${isSignedOut(error) ? "" : ` ${kept}`}`, true);
    }
  }

  /** Somebody saved since, or took the patch over: nothing is lost, and a person decides. */
  private async offerBoth(why: string): Promise<void> {
    try {
      const facts = await this.server.facts();
      if (facts.hold && facts.hold.personId !== this.data.person.id)
        return this.takenOver(facts.hold);
      const { layers, saved } = await loadLayers(this.server, facts, false);
      const adopt = (voxels: Uint8Array | null): void => {
        this.patch.facts = facts;
        this.patch.layers = layers;
        this.patch.saved = saved;
        this.patch.base = facts.base;
        this.patch.continued = voxels === saved ? {} : stillThere(this.patch.continued, facts);
        this.notice = null;
        const diff = this.patch.replace(voxels ?? this.patch.drawing.voxels);
        if (diff.length) {
          this.patch.history.add(diff);
          this.add(diff);
        }
        this.events.changed();
      };
      this.ask({
        text: why,
        bad: true,
        blocks: true,
        choices: [
          {
            text: "Save what is painted here",
            act: () => {
              adopt(null);
              void this.save();
            },
          },
          { text: "Take the saved one", act: () => adopt(saved) },
          { text: "Join both", act: () => adopt(joinedKinds(this.patch.drawing.voxels, saved)) },
        ],
      });
    } catch (error) {
      this.notSaved(
        error instanceof Refused && error.status === CONFLICT ? new Unreachable() : error,
      );
    }
  }

  private async takeHold(takeOverFrom: string | null): Promise<void> {
    try {
      await this.server.hold(takeOverFrom);
      if (!this.mayPaint) await this.lookAgain();
      this.mayPaint = true;
      if (this.notice?.choices.some((choice) => choice.text === TAKE_OVER)) this.notice = null;
      this.planHeartbeat(this.hasHeld ? HEARTBEAT_MS : FIRST_HEARTBEAT_MS);
      this.hasHeld = true;
    } catch (error) {
      if (error instanceof Refused && error.status === CONFLICT)
        await this.heldByAnother(error.message);
      else if (error instanceof Refused) this.refusedHold(error);
      else this.planHeartbeat(WAIT_MS);
    }
    this.events.told();
  }

  /** Somebody else painted meanwhile: their work is shown, one's own drawing stays. */
  private async lookAgain(): Promise<void> {
    const { patch, server } = this;
    patch.facts = await server.facts();
    patch.layers = (await loadLayers(server, patch.facts, false)).layers;
    patch.recount();
    this.events.changed();
  }

  private async heldByAnother(why: string): Promise<void> {
    const { hold } = await this.server.facts();
    if (!hold || hold.personId === this.data.person.id) {
      this.mayPaint = false;
      return this.tell(why, true);
    }
    this.takenOver(hold);
  }

  private takenOver(hold: HoldFacts): void {
    this.mayPaint = false;
    clearTimeout(this.draftTimer);
    const mine = this.unsaved ? " Your unsaved strokes are kept in this browser." : "";
    this.ask({
      text: `${hold.person} paints on this patch since ${clock(hold.since)}.${mine}`,
      bad: false,
      blocks: false,
      choices: [
        { text: "Only look", act: () => this.dismiss() },
        { text: TAKE_OVER, act: () => void this.takeHold(hold.since) },
        { text: "Wait until it is free", act: () => this.wait() },
      ],
    });
  }

  private wait(): void {
    this.dismiss();
    this.tell("Waiting until the patch is free …");
    clearTimeout(this.holdTimer);
    this.holdTimer = later(WAIT_MS, async () => {
      const facts = await this.server.facts().catch(() => null);
      if (this.ended) return;
      if (facts && !facts.hold) {
        this.tell("The patch is free: you hold it now.");
        return this.takeHold(null);
      }
      this.wait();
    });
  }

  /** A session that is over hinders saving, not painting. */
  private refusedHold(error: Refused): void {
    if (isSignedOut(error)) this.planHeartbeat(WAIT_MS);
    else this.mayPaint = false;
    this.tell(error.message, true);
  }

  private planHeartbeat(ms: number): void {
    clearTimeout(this.holdTimer);
    this.holdTimer = later(ms, async () => {
      if (this.ended) return;
      if (Date.now() - this.lastActive < IDLE_MS) await this.takeHold(null);
      else this.planHeartbeat(HEARTBEAT_MS);
    });
  }

  private planDraft(ms: number): void {
    clearTimeout(this.draftTimer);
    if (!this.undrafted || !this.mayPaint || this.draftsPaused || this.ended) return;
    this.draftTimer = later(ms, () => (this.drafting = this.draft()));
  }

  private async draft(): Promise<void> {
    if (this.isSaving || this.notice?.blocks) return this.planDraft(DRAFT_MS);
    const sent = this.undrafted;
    try {
      const voxels = this.patch.drawing.voxels.slice();
      const { shape, base, continued } = this.patch;
      const kept = await this.server.keepDraft(voxels, shape, this.draftRevision, base, continued);
      this.draftRevision = kept.revision;
      this.undrafted -= sent;
      this.retryMs = DRAFT_MS;
      if (!this.isSaving) this.tell(`Draft kept at ${clock(kept.savedAt)}`);
    } catch (error) {
      this.draftFailed(error);
    }
    this.planDraft(this.retryMs);
  }

  private draftFailed(error: unknown): void {
    this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
    if (error instanceof Unreachable) {
      this.tell(
        `The server cannot be reached; your ${strokesWord(this.unsaved)} are kept in this browser.`,
        true,
      );
    } else if (error instanceof Refused && error.status === CONFLICT) {
      this.draftsPaused = true;
      this.tell(
        "You paint on this patch in another window too, or saved it there; drafts stop here until you save.",
        true,
      );
    } else {
      this.tell(error instanceof Refused ? error.message : String(error), true);
    }
  }

  private ask(notice: Notice): void {
    this.notice = notice;
    this.events.told();
  }

  private tell(text: string, bad = false): void {
    this.said = text;
    this.isBad = bad;
    this.events.told();
  }
}

const TAKE_OVER = "Take it over";

/** Who paints which patch: what the journal and the windows of a browser share. */
export function paintingOf({ person, object }: PainterData): string {
  return `${location.host}/${person.id}/${object}`;
}

export function clock(iso: string): string {
  return new Date(iso).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
}

export function strokesWord(count: number): string {
  return count === 1 ? "1 stroke" : `${count} strokes`;
}

function savedWords({ versions, withdrawn, savedAt, facts }: SavedFacts): string {
  const shown = Object.keys(versions).length ? versions : facts.base;
  const written = Object.entries(shown).map(
    ([slot, version]) => `${slot.split(".")[0]} version ${version}`,
  );
  const gone = withdrawn.map((slot) => `${slot.split(".")[0]} withdrawn`);
  return [`Saved at ${clock(savedAt)}`, ...written, ...gone].join(", ");
}

function wordsOf(kept: Kept): string {
  const when = clock(new Date(kept.at).toISOString());
  return `Go on with the ${strokesWord(kept.strokes.length)} kept in this browser (${when})`;
}

function without(voxels: Uint8Array, diff: Diff): Uint8Array<ArrayBuffer> {
  const before = new Uint8Array(voxels);
  for (let i = 0; i < diff.length; i += 3)
    before.fill(diff[i + 2]! & 255, diff[i]!, diff[i]! + diff[i + 1]!);
  return before;
}

/** Of the slots that a drawing goes on with, those that nobody changed since. */
function stillThere(continued: Versions, { slots }: Facts): Versions {
  const there = slots.filter((slot) => !slot.mine && slot.version === continued[slot.name]);
  return Object.fromEntries(there.map((slot) => [slot.name, slot.version]));
}

/** What is painted here wins over what is only painted there. */
function joinedKinds(here: Uint8Array, there: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(here, (kind, i) => kind || there[i]!);
}

function later(ms: number, act: () => void | Promise<void>): number {
  return setTimeout(() => void act(), ms) as unknown as number;
}
