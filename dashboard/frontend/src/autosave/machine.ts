// When strokes are drafted and saved, who may paint, and what is asked: a pure state machine.
// Events go in (a stroke, an answer of the server, a timer, a decision), effects come out; the runner
// carries them out. Nothing here touches the network, the clock or the page.

import { afterMove, countOf, NO_STROKES, type StrokeMove, type Strokes } from "./strokes.ts";

export type Phase = "idle" | "dirty" | "drafting" | "saving" | "conflict" | "held";

export const DRAFT_MS = 4000;
export const HEARTBEAT_MS = 60_000;
export const FIRST_HEARTBEAT_MS = 5000; // a page that was reloaded may let go after the new one held
export const WAIT_MS = 10_000;
export const LONGEST_RETRY_MS = 30_000;

/** Who keeps this window from painting. */
export type Holder =
  | { by: "role" } // one's role does not paint, or does no more
  | { by: "window"; isAsked: boolean } // another window of this browser; whether to paint here is asked
  | { by: "person"; name: string; since: string; isAsked: boolean };

/** What must be decided before anything is painted. */
export type Question =
  | { about: "unsaved"; browser: { strokes: number; at: number } | null; draftAt: string | null }
  | { about: "versions"; reason: string };

export type Failure =
  | { kind: "unreachable" }
  | { kind: "conflict"; text: string }
  | { kind: "signedOut"; text: string }
  | { kind: "forbidden"; text: string }
  | { kind: "refused"; text: string };

/** What the last thing that happened is reported as; the words are in messages.ts. */
export type Report =
  | { about: "nothing" | "nothingToSave" | "browserFull" | "otherWindow" | "waiting" | "free" }
  | { about: "drafted"; at: string }
  | { about: "saved"; text: string }
  | { about: "draftFailed" | "saveFailed" | "holdFailed"; failure: Failure };

export type Answer =
  | "browser"
  | "draft"
  | "discard" // unsaved work
  | "mine"
  | "theirs"
  | "both" // two versions
  | "look"
  | "takeOver"
  | "wait"
  | "paintHere"; // somebody else paints

export interface State {
  phase: Phase;
  strokes: Strokes;
  undrafted: number; // strokes that no draft on the server holds
  sent: { strokes: Strokes; undrafted: number } | null; // since the draft or save under way was sent
  revision: number; // of the draft on the server; 0 where there is none
  retryMs: number;
  areDraftsPaused: boolean; // another browser drafts or saved: until the next save here
  isSaveWaiting: boolean; // asked for while a draft is under way
  hasHeld: boolean;
  holder: Holder | null;
  question: Question | null;
  report: Report;
}

export type Event =
  | { type: "opened"; revision: number; holder: Holder | null }
  | { type: "unsavedWork"; question: Question | null }
  | { type: "stroke"; move: StrokeMove }
  | { type: "restored"; strokes: number }
  | { type: "browserFull" }
  | { type: "draftDue" }
  | { type: "drafted"; revision: number; at: string }
  | { type: "draftForgotten" }
  | { type: "draftFailed"; failure: Failure }
  | { type: "saveAsked" }
  | { type: "saved"; text: string }
  | { type: "saveFailed"; failure: Failure }
  | { type: "conflictSeen"; reason: string }
  | { type: "heldBy"; name: string; since: string }
  | { type: "holdDue"; isActive: boolean }
  | { type: "holdGranted" }
  | { type: "holdFailed"; failure: Failure }
  | { type: "freeDue" }
  | { type: "seenFree" }
  | { type: "gaveUp" }
  | { type: "answered"; answer: Answer }
  | { type: "startedOver" }
  | { type: "leaving" };

export type Effect =
  | { run: "draft" | "forgetDraft" | "save" | "hold" | "lookAgain" }
  | { run: "takeOver"; since: string }
  | { run: "takeWindow" | "startOver" | "restoreBrowser" | "restoreDraft" | "compareVersions" }
  | { run: "adopt"; which: "mine" | "theirs" | "both" }
  | { run: "checkFree" }
  | { run: "wait"; timer: Timer; ms: number }
  | { run: "stop"; timer: Timer };

export type Timer = "draft" | "hold";
export type Step = readonly [State, Effect[]];

export const START: State = {
  phase: "held",
  strokes: NO_STROKES,
  undrafted: 0,
  sent: null,
  revision: 0,
  retryMs: DRAFT_MS,
  areDraftsPaused: false,
  isSaveWaiting: false,
  hasHeld: false,
  holder: { by: "role" },
  question: null,
  report: { about: "nothing" },
};

export function unsavedStrokes(state: State): number {
  return countOf(state.strokes);
}

export function mayPaint({ phase }: State): boolean {
  return phase !== "held" && phase !== "conflict";
}

/** What follows from an event. */
export function step(state: State, event: Event): Step {
  const handler = HANDLERS[event.type] as (state: State, event: Event) => Step;
  return handler(state, event);
}

type Handlers = {
  [Type in Event["type"]]: (state: State, event: Extract<Event, { type: Type }>) => Step;
};

const HANDLERS: Handlers = {
  opened: (state, { revision, holder }) => {
    const opened = settled({ ...state, revision, holder, question: null });
    return [opened, holder ? [] : [{ run: "hold" }]];
  },
  unsavedWork: (state, { question }) => [settled({ ...state, question }), []],
  stroke: (state, { move }) => {
    if (!mayPaint(state)) return [state, []];
    const { sent } = state;
    const counted = {
      ...state,
      strokes: afterMove(state.strokes, move),
      undrafted: state.undrafted + 1,
      sent: sent && {
        strokes: afterMove(sent.strokes, move),
        undrafted: sent.undrafted + 1,
      },
    };
    return [settled(counted), state.sent ? [] : [waitForDraft(DRAFT_MS)]];
  },
  restored: (state, { strokes }) => {
    const restored = { ...state, strokes: { ahead: strokes, lost: 0 }, undrafted: strokes };
    return [settled({ ...restored, question: null }), [waitForDraft(DRAFT_MS)]];
  },
  browserFull: (state) => [{ ...state, report: { about: "browserFull" } }, []],

  draftDue: (state) => draft(state),
  leaving: (state) => draft(state),
  drafted: (state, { revision, at }) => {
    const report: Report = { about: "drafted", at };
    const undrafted = state.sent?.undrafted ?? 0;
    return afterDraft({ ...state, revision, undrafted, retryMs: DRAFT_MS, report });
  },
  draftForgotten: (state) =>
    afterDraft({ ...state, revision: 0, undrafted: state.sent?.undrafted ?? 0 }),
  draftFailed: (state, { failure }) =>
    afterDraft({
      ...state,
      areDraftsPaused: state.areDraftsPaused || failure.kind === "conflict",
      retryMs: Math.min(state.retryMs * 2, LONGEST_RETRY_MS),
      report: { about: "draftFailed", failure },
    }),

  saveAsked: (state) => {
    if (state.phase === "drafting") return [{ ...state, isSaveWaiting: true }, []];
    if (!mayPaint(state) || state.phase === "saving") return [state, []];
    if (!unsavedStrokes(state)) return [{ ...state, report: { about: "nothingToSave" } }, []];
    return save(state);
  },
  saved: (state, { text }) => {
    const since = state.sent ?? { strokes: NO_STROKES, undrafted: 0 };
    const saved = settled({
      ...state,
      ...since,
      sent: null,
      revision: 0,
      areDraftsPaused: false,
      question: null,
      report: { about: "saved", text },
    });
    return [saved, since.undrafted ? [waitForDraft(DRAFT_MS)] : []];
  },
  saveFailed: (state, { failure }) => {
    const failed = settled({ ...state, sent: null });
    if (failure.kind === "conflict") return [failed, [{ run: "compareVersions" }]];
    const report: Report = { about: "saveFailed", failure };
    return [{ ...failed, report }, [waitForDraft(state.retryMs)]];
  },
  conflictSeen: (state, { reason }) => [
    settled({ ...state, question: { about: "versions", reason } }),
    [],
  ],

  heldBy: (state, { name, since }) => [
    settled({ ...state, holder: { by: "person", name, since, isAsked: true } }),
    [
      { run: "stop", timer: "draft" },
      { run: "stop", timer: "hold" },
    ],
  ],
  holdDue: (state, { isActive }) => [
    state,
    [isActive ? { run: "hold" } : { run: "wait", timer: "hold", ms: HEARTBEAT_MS }],
  ],
  holdGranted: (state) => {
    const ms = state.hasHeld ? HEARTBEAT_MS : FIRST_HEARTBEAT_MS;
    const effects: Effect[] = [{ run: "wait", timer: "hold", ms }];
    if (state.holder) effects.unshift({ run: "lookAgain" });
    const undrafted = state.undrafted ? [waitForDraft(DRAFT_MS)] : [];
    return [settled({ ...state, hasHeld: true, holder: null }), [...effects, ...undrafted]];
  },
  holdFailed: (state, { failure }) => {
    const report: Report = { about: "holdFailed", failure };
    const isOver = failure.kind === "forbidden" || failure.kind === "conflict";
    if (isOver) return [settled({ ...state, holder: { by: "role" }, report }), []];
    // A session that is over, a full disk or a lost network hinder saving, not painting.
    const shown = failure.kind === "unreachable" ? state : { ...state, report };
    return [shown, [{ run: "wait", timer: "hold", ms: WAIT_MS }]];
  },
  freeDue: (state) => [state, [{ run: "checkFree" }]],
  seenFree: (state) => [{ ...state, report: { about: "free" } }, [{ run: "hold" }]],
  gaveUp: (state) => [
    settled({
      ...state,
      holder: { by: "window", isAsked: false },
      report: { about: "otherWindow" },
    }),
    [
      { run: "stop", timer: "draft" },
      { run: "stop", timer: "hold" },
    ],
  ],

  answered: (state, { answer }) => ANSWERS[answer](state),
  startedOver: (state) => [
    settled({
      ...state,
      strokes: NO_STROKES,
      undrafted: 0,
      sent: null,
      revision: 0,
      areDraftsPaused: false,
      question: null,
      report: { about: "nothing" },
    }),
    [{ run: "stop", timer: "draft" }],
  ],
};

const ANSWERS: Readonly<Record<Answer, (state: State) => Step>> = {
  browser: (state) => [state, [{ run: "restoreBrowser" }]],
  draft: (state) => [settled({ ...state, question: null }), [{ run: "restoreDraft" }]],
  discard: (state) => [state, [{ run: "startOver" }]],
  mine: (state) => {
    const [saving, effects] = save(settled({ ...state, question: null }));
    return [saving, [{ run: "adopt", which: "mine" }, ...effects]];
  },
  theirs: (state) => adopt(state, "theirs"),
  both: (state) => adopt(state, "both"),
  look: (state) => [{ ...state, holder: state.holder && unasked(state.holder) }, []],
  takeOver: (state) => {
    const { holder } = state;
    if (holder?.by !== "person") return [state, []];
    return [state, [{ run: "takeOver", since: holder.since }]];
  },
  wait: (state) => [
    { ...state, holder: state.holder && unasked(state.holder), report: { about: "waiting" } },
    [{ run: "checkFree" }],
  ],
  paintHere: (state) => [
    { ...state, holder: state.holder && unasked(state.holder) },
    [{ run: "takeWindow" }],
  ],
};

/** Which phase a state is in: who may not paint is held, whatever else is open. */
function settled(state: State): State {
  return { ...state, phase: phaseOf(state) };
}

function phaseOf({ holder, question, sent, phase, undrafted, strokes }: State): Phase {
  if (holder) return "held";
  if (question) return "conflict";
  if (sent) return phase === "saving" ? "saving" : "drafting";
  return undrafted || countOf(strokes) ? "dirty" : "idle";
}

function draft(state: State): Step {
  if (state.phase !== "dirty" || !state.undrafted || state.areDraftsPaused) return [state, []];
  const isUndone = !unsavedStrokes(state);
  if (isUndone && !state.revision) return [settled({ ...state, undrafted: 0 }), []];
  const sent = { strokes: NO_STROKES, undrafted: 0 };
  return [{ ...state, phase: "drafting", sent }, [{ run: isUndone ? "forgetDraft" : "draft" }]];
}

/** A draft came or failed: a save that waited goes on, what was painted meanwhile is drafted next. */
function afterDraft(state: State): Step {
  const rested = settled({ ...state, sent: null, isSaveWaiting: false });
  if (state.isSaveWaiting && mayPaint(rested)) return save(rested);
  const goesOn = rested.undrafted > 0 && rested.phase === "dirty" && !rested.areDraftsPaused;
  return [rested, goesOn ? [waitForDraft(state.retryMs)] : []];
}

function save(state: State): Step {
  return [
    { ...state, phase: "saving", sent: { strokes: NO_STROKES, undrafted: 0 } },
    [{ run: "stop", timer: "draft" }, { run: "save" }],
  ];
}

function adopt(state: State, which: "theirs" | "both"): Step {
  return [settled({ ...state, question: null }), [{ run: "adopt", which }]];
}

function unasked(holder: Holder): Holder {
  return holder.by === "role" ? holder : { ...holder, isAsked: false };
}

function waitForDraft(ms: number): Effect {
  return { run: "wait", timer: "draft", ms };
}
