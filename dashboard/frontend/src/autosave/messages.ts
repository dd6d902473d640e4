// The words for what the autosave reports and asks.

import {
  type Answer,
  type Failure,
  type Holder,
  type Question,
  type State,
  unsavedStrokes,
} from "./machine.ts";
import { strokesWord } from "./strokes.ts";

export interface Choice {
  text: string;
  answer: Answer;
}

export interface Notice {
  text: string;
  isError: boolean;
  isBlocking: boolean; // nothing can be painted before it is answered
  choices: Choice[];
}

export interface Message {
  text: string;
  isError: boolean;
}

/** What is asked now, if anything. */
export function noticeOf(state: State): Notice | null {
  if (state.holder) return holderNotice(state.holder, unsavedStrokes(state));
  return state.question && questionNotice(state.question);
}

/** What the last thing that happened means for the strokes. */
export function messageOf(state: State, hasJournal = true): Message {
  const { report } = state;
  switch (report.about) {
    case "nothing":
      return good("");
    case "nothingToSave":
      return good("Nothing to save: there are no unsaved strokes.");
    case "browserFull":
      return bad("This browser does not keep your strokes (is its storage full?): save now.");
    case "otherWindow":
      return good("You paint on this patch in another window now.");
    case "waiting":
      return good("Waiting until the patch is free …");
    case "free":
      return good("The patch is free: you can paint on it now.");
    case "drafted":
      return good(`Draft kept at ${clock(report.at)}`);
    case "saved":
      return good(report.text);
    case "saveFailed":
      return bad(saveFailedText(report.failure, hasJournal));
    case "draftFailed":
    case "holdFailed":
      return bad(failureText(report.failure, unsavedStrokes(state)));
  }
}

export function clock(iso: string): string {
  return new Date(iso).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
}

function holderNotice(holder: Holder, unsaved: number): Notice | null {
  if (holder.by === "role" || !holder.isAsked) return null;
  if (holder.by === "window") {
    return asked("You paint on this patch in another window.", [
      { text: "Only look", answer: "look" },
      { text: "Paint here", answer: "paintHere" },
    ]);
  }
  const kept = unsaved ? " Your unsaved strokes are kept in this browser." : "";
  return asked(`${holder.name} paints on this patch since ${clock(holder.since)}.${kept}`, [
    { text: "Only look", answer: "look" },
    { text: "Take it over", answer: "takeOver" },
    { text: "Wait until it is free", answer: "wait" },
  ]);
}

function questionNotice(question: Question): Notice {
  if (question.about === "versions") {
    return {
      text: question.reason,
      isError: true,
      isBlocking: true,
      choices: [
        { text: "Save what is painted here", answer: "mine" },
        { text: "Take the saved one", answer: "theirs" },
        { text: "Join both", answer: "both" },
      ],
    };
  }
  const { browser, draftAt } = question;
  const choices: Choice[] = [];
  if (browser) {
    const when = clock(new Date(browser.at).toISOString());
    const text = `Go on with the ${strokesWord(browser.strokes)} kept in this browser (${when})`;
    choices.push({ text, answer: "browser" });
  }
  if (draftAt) {
    const text = `Go on with the draft on the server (${clock(draftAt)})`;
    choices.push({ text, answer: "draft" });
  }
  choices.push({ text: "Start from the saved version", answer: "discard" });
  const text = "There is unsaved work of yours on this patch.";
  return { text, isError: false, isBlocking: true, choices };
}

function saveFailedText(failure: Failure, hasJournal: boolean): string {
  const kept = hasJournal ? "Your strokes are kept in this browser." : "Do not close this page.";
  if (failure.kind === "unreachable") {
    return `Not saved: the server cannot be reached. ${kept} Save again when it is back.`;
  }
  return `Not saved: ${failure.text}${failure.kind === "signedOut" ? "" : ` ${kept}`}`;
}

function failureText(failure: Failure, unsaved: number): string {
  const are = unsaved === 1 ? "is" : "are";
  const kept = `your ${strokesWord(unsaved)} ${are} kept in this browser.`;
  if (failure.kind === "unreachable") return `The server cannot be reached; ${kept}`;
  if (failure.kind === "conflict") {
    return "You paint on this patch in another window too, or saved it there; drafts stop here until you save.";
  }
  if (failure.kind !== "refused") return failure.text;
  return `The server cannot keep anything now (${failure.text.replace(/\.$/, "")}); ${kept}`;
}

function asked(text: string, choices: Choice[]): Notice {
  return { text, isError: false, isBlocking: false, choices };
}

function good(text: string): Message {
  return { text, isError: false };
}

function bad(text: string): Message {
  return { text, isError: true };
}
