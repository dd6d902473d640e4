import assert from "node:assert/strict";
import { test } from "node:test";
import { folded } from "../src/autosave/journal.ts";
import {
  DRAFT_MS,
  type Effect,
  type Event,
  LONGEST_RETRY_MS,
  mayPaint,
  type Question,
  START,
  type State,
  step,
  unsavedStrokes,
} from "../src/autosave/machine.ts";
import { messageOf, noticeOf } from "../src/autosave/messages.ts";
import { between, inverse } from "../src/painter/voxels/diff.ts";

const STROKE: Event = { type: "stroke", move: "stroke" };
const UNDO: Event = { type: "stroke", move: "undo" };
const REDO: Event = { type: "stroke", move: "redo" };
const OPENED: Event[] = [
  { type: "opened", revision: 0, holder: null },
  { type: "unsavedWork", question: null },
  { type: "holdGranted" },
];
const DRAFTED: Event = { type: "drafted", revision: 1, at: "2026-11-29T06:00:00Z" };
const SAVED: Event = { type: "saved", text: "Saved" };
const LOST: Event = { type: "saveFailed", failure: { kind: "unreachable" } };

/** The state after events, and every effect that came of them. */
function after(...events: Event[]): { state: State; effects: Effect[] } {
  let state = START;
  const effects: Effect[] = [];
  for (const event of [...OPENED, ...events]) {
    const [next, more] = step(state, event);
    state = next;
    effects.push(...more);
  }
  return { state, effects };
}

function runs(effects: readonly Effect[]): string[] {
  return effects
    .map((effect) => effect.run)
    .filter((run) => !["wait", "stop", "hold"].includes(run));
}

test("a stroke is drafted after a while, and saved when asked", () => {
  assert.equal(after().state.phase, "idle");
  const painted = after(STROKE);
  assert.equal(painted.state.phase, "dirty");
  assert.deepEqual(painted.effects.at(-1), { run: "wait", timer: "draft", ms: DRAFT_MS });
  const drafting = after(STROKE, { type: "draftDue" });
  assert.equal(drafting.state.phase, "drafting");
  assert.deepEqual(runs(drafting.effects), ["draft"]);
  const drafted = after(STROKE, { type: "draftDue" }, DRAFTED);
  assert.equal(drafted.state.phase, "dirty");
  assert.equal(drafted.state.undrafted, 0);
  assert.equal(unsavedStrokes(drafted.state), 1);
  const saving = after(STROKE, { type: "saveAsked" });
  assert.equal(saving.state.phase, "saving");
  const saved = after(STROKE, { type: "saveAsked" }, SAVED);
  assert.equal(saved.state.phase, "idle");
  assert.equal(unsavedStrokes(saved.state), 0);
});

test("strokes that come while a version is saved stay unsaved, and are drafted", () => {
  const { state, effects } = after(STROKE, { type: "saveAsked" }, STROKE, STROKE, SAVED);
  assert.equal(unsavedStrokes(state), 2);
  assert.equal(state.undrafted, 2);
  assert.equal(state.phase, "dirty");
  assert.deepEqual(effects.at(-1), { run: "wait", timer: "draft", ms: DRAFT_MS });
});

test("strokes that come while a draft is sent are in the next draft", () => {
  const { state } = after(STROKE, { type: "draftDue" }, STROKE, DRAFTED);
  assert.equal(state.undrafted, 1);
  assert.equal(state.phase, "dirty");
});

test("a save waits for the draft that is under way: one that came after it would be refused", () => {
  const waiting = after(STROKE, { type: "draftDue" }, { type: "saveAsked" });
  assert.deepEqual(runs(waiting.effects), ["draft"]);
  const going = after(STROKE, { type: "draftDue" }, { type: "saveAsked" }, DRAFTED);
  assert.deepEqual(runs(going.effects), ["draft", "save"]);
  assert.equal(going.state.phase, "saving");
});

test("nothing is saved where nothing is unsaved", () => {
  const { state, effects } = after({ type: "saveAsked" });
  assert.deepEqual(runs(effects), []);
  assert.match(messageOf(state).text, /Nothing to save/);
});

test("undo and redo back to the saved drawing leave nothing unsaved", () => {
  const saved: Event[] = [STROKE, STROKE, { type: "saveAsked" }, SAVED];
  assert.equal(unsavedStrokes(after(...saved, UNDO).state), 1);
  assert.equal(unsavedStrokes(after(...saved, UNDO, UNDO, REDO, REDO).state), 0);
  assert.equal(unsavedStrokes(after(STROKE, UNDO).state), 0);
});

test("saved strokes that were undone and painted over stay unsaved, however one goes back", () => {
  const saved: Event[] = [STROKE, STROKE, { type: "saveAsked" }, SAVED];
  const painted = [...saved, UNDO, UNDO, STROKE];
  assert.equal(unsavedStrokes(after(...painted).state), 3);
  assert.equal(unsavedStrokes(after(...painted, UNDO).state), 2);
});

test("a draft of strokes that were all undone is taken away from the server", () => {
  const { effects, state } = after(
    STROKE,
    { type: "draftDue" },
    DRAFTED,
    UNDO,
    { type: "draftDue" },
    { type: "draftForgotten" },
  );
  assert.deepEqual(runs(effects), ["draft", "forgetDraft"]);
  assert.equal(state.phase, "idle");
  assert.equal(state.revision, 0);
  assert.deepEqual(runs(after(STROKE, UNDO, { type: "draftDue" }).effects), []);
});

test("while the server is away strokes are counted, and drafts are tried ever more rarely", () => {
  const failed: Event = { type: "draftFailed", failure: { kind: "unreachable" } };
  const rounds = Array.from({ length: 5 }, (): Event[] => [{ type: "draftDue" }, failed]).flat();
  const { state, effects } = after(STROKE, ...rounds);
  assert.deepEqual(effects.at(-1), { run: "wait", timer: "draft", ms: LONGEST_RETRY_MS });
  assert.equal(
    messageOf(state).text,
    "The server cannot be reached; your 1 stroke is kept in this browser.",
  );
  const more = after(STROKE, ...rounds, STROKE, STROKE);
  assert.match(messageOf(more.state).text, /your 3 strokes are kept/);
  assert.equal(mayPaint(more.state), true);
});

test("a save that failed can be repeated, and no stroke is lost from the count", () => {
  const { state } = after(STROKE, { type: "saveAsked" }, STROKE, LOST);
  assert.equal(unsavedStrokes(state), 2);
  assert.equal(state.phase, "dirty");
  assert.equal(step(state, { type: "saveAsked" })[0].phase, "saving");
});

test("drafts stop when another browser drafts too, until the next save here", () => {
  const conflict: Event = { type: "draftFailed", failure: { kind: "conflict", text: "" } };
  const stopped = after(STROKE, { type: "draftDue" }, conflict, STROKE, { type: "draftDue" });
  assert.deepEqual(runs(stopped.effects), ["draft"]);
  const saved = step(step(stopped.state, { type: "saveAsked" })[0], SAVED)[0];
  assert.equal(saved.areDraftsPaused, false);
});

test("two versions are a question that blocks painting until it is answered", () => {
  const conflict: Event = { type: "saveFailed", failure: { kind: "conflict", text: "" } };
  const asked: Event[] = [
    STROKE,
    { type: "saveAsked" },
    conflict,
    { type: "conflictSeen", reason: "saved elsewhere" },
  ];
  const { state, effects } = after(...asked);
  assert.deepEqual(runs(effects), ["save", "compareVersions"]);
  assert.equal(state.phase, "conflict");
  assert.equal(unsavedStrokes(step(state, STROKE)[0]), 1);
  assert.deepEqual(
    noticeOf(state)!.choices.map((choice) => choice.answer),
    ["mine", "theirs", "both"],
  );
  const [mine, more] = step(state, { type: "answered", answer: "mine" });
  assert.deepEqual(runs(more), ["adopt", "save"]);
  assert.equal(mine.phase, "saving");
  assert.equal(step(state, { type: "answered", answer: "both" })[0].phase, "dirty");
});

test("unsaved work of an earlier visit is offered before anything is painted", () => {
  const question: Question = { about: "unsaved", browser: { strokes: 3, at: 0 }, draftAt: null };
  const { state } = after({ type: "unsavedWork", question });
  assert.equal(state.phase, "conflict");
  assert.equal(noticeOf(state)!.isBlocking, true);
  const [restoring, effects] = step(state, { type: "answered", answer: "browser" });
  assert.deepEqual(runs(effects), ["restoreBrowser"]);
  const [restored] = step(restoring, { type: "restored", strokes: 3 });
  assert.equal(restored.phase, "dirty");
  assert.equal(unsavedStrokes(restored), 3);
});

test("who paints elsewhere holds the patch; it can be taken over, and a question is asked after that", () => {
  const held: Event = { type: "heldBy", name: "ben", since: "2026-11-29T06:00:00Z" };
  const { state, effects } = after(STROKE, held);
  assert.equal(state.phase, "held");
  assert.deepEqual(effects.at(-1), { run: "stop", timer: "hold" });
  assert.match(
    noticeOf(state)!.text,
    /^ben paints on this patch since .* are kept in this browser\.$/,
  );
  assert.equal(noticeOf(step(state, { type: "answered", answer: "look" })[0]), null);
  const [, taking] = step(state, { type: "answered", answer: "takeOver" });
  assert.deepEqual(taking, [{ run: "takeOver", since: "2026-11-29T06:00:00Z" }]);
  const [granted, looking] = step(state, { type: "holdGranted" });
  assert.deepEqual(runs(looking), ["lookAgain"]);
  assert.equal(granted.phase, "dirty");
});

test("who holds the patch comes before what is asked, and the question is asked after that", () => {
  const question: Question = { about: "unsaved", browser: { strokes: 3, at: 0 }, draftAt: null };
  const held: Event = { type: "heldBy", name: "ben", since: "" };
  const { state } = after({ type: "unsavedWork", question }, held);
  assert.equal(state.phase, "held");
  assert.match(noticeOf(state)!.text, /^ben paints/);
  const [granted] = step(state, { type: "holdGranted" });
  assert.equal(granted.phase, "conflict");
  assert.match(noticeOf(granted)!.text, /unsaved work/);
});

test("a patch is held on while somebody is active, and no longer", () => {
  const { state } = after();
  assert.deepEqual(step(state, { type: "holdDue", isActive: true })[1], [{ run: "hold" }]);
  const [, effects] = step(state, { type: "holdDue", isActive: false });
  assert.deepEqual(
    effects.map((effect) => effect.run),
    ["wait"],
  );
});

test("waiting for a patch ends in holding it", () => {
  const held: Event = { type: "heldBy", name: "ben", since: "" };
  const { state, effects } = after(held, { type: "answered", answer: "wait" });
  assert.deepEqual(runs(effects), ["checkFree"]);
  assert.deepEqual(step(state, { type: "freeDue" })[1], [{ run: "checkFree" }]);
  assert.deepEqual(step(state, { type: "seenFree" })[1], [{ run: "hold" }]);
});

test("a second window asks before it paints, and the first one stops when it gives up", () => {
  const [second, effects] = step(START, {
    type: "opened",
    revision: 0,
    holder: { by: "window", isAsked: true },
  });
  assert.deepEqual(effects, []);
  assert.deepEqual(
    noticeOf(second)!.choices.map((choice) => choice.answer),
    ["look", "paintHere"],
  );
  const { state } = after(STROKE, { type: "gaveUp" });
  assert.equal(state.phase, "held");
  assert.equal(noticeOf(state), null);
  assert.match(messageOf(state).text, /another window/);
});

test("a full or read-only disk hinders saving, not painting", () => {
  const failure = { kind: "refused", text: "the disk is full." } as const;
  const { state, effects } = after(STROKE, { type: "holdFailed", failure });
  assert.equal(mayPaint(state), true);
  assert.equal(effects.at(-1)!.run, "wait");
  assert.equal(
    messageOf(state).text,
    "The server cannot keep anything now (the disk is full); your 1 stroke is kept in this browser.",
  );
});

test("a session that is over hinders saving, not painting; a role that is gone hinders both", () => {
  const over = { kind: "signedOut", text: "Your session is over." } as const;
  assert.equal(mayPaint(after({ type: "holdFailed", failure: over }).state), true);
  const gone = { kind: "forbidden", text: "you may not paint." } as const;
  assert.equal(after({ type: "holdFailed", failure: gone }).state.phase, "held");
});

test("who looks away from the painter leaves a draft on the server at once", () => {
  assert.deepEqual(runs(after(STROKE, { type: "leaving" }).effects), ["draft"]);
  assert.deepEqual(runs(after({ type: "leaving" }).effects), []);
});

test("starting over leaves nothing unsaved", () => {
  const { state } = after(STROKE, { type: "draftDue" }, DRAFTED, { type: "startedOver" });
  assert.equal(state.phase, "idle");
  assert.equal(state.revision, 0);
});

const ANSWERS_OF_THE_SERVER = new Set(["drafted", "saved", "saveFailed", "draftFailed"]);

test("no order of events paints while somebody else holds the patch, or loses count of strokes", () => {
  const events: Event[] = [
    STROKE,
    UNDO,
    { type: "draftDue" },
    DRAFTED,
    { type: "saveAsked" },
    SAVED,
    LOST,
    { type: "heldBy", name: "ben", since: "" },
    { type: "holdGranted" },
    { type: "leaving" },
    { type: "draftFailed", failure: { kind: "unreachable" } },
    { type: "startedOver" },
  ];
  let seed = 7;
  const next = (): number => (seed = (seed * 1103515245 + 12345) % 2147483648);
  for (let round = 0; round < 300; round++) {
    let { state } = after();
    for (let i = 0; i < 20; i++) {
      const event = events[next() % events.length]!;
      if (!state.sent && ANSWERS_OF_THE_SERVER.has(event.type)) continue;
      const before = state;
      state = step(state, event)[0];
      assert.equal(state.holder !== null, state.phase === "held");
      assert.ok(!before.holder || event.type !== "stroke" || state === before);
      assert.ok(state.undrafted >= 0 && unsavedStrokes(state) >= 0);
    }
  }
});

test("the journal counts a stroke that was undone as none", () => {
  const empty = new Uint8Array(6);
  const a = between(empty, Uint8Array.from([1, 1, 0, 0, 0, 0]));
  const b = between(empty, Uint8Array.from([0, 0, 0, 2, 0, 0]));
  assert.deepEqual(folded([a, b, inverse(b), inverse(a), a, b]), [a, b]);
  assert.deepEqual(folded([a, inverse(a)]), []);
});
