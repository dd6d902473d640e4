import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Action, actionOf, helpRows, KEYMAP, type Mode } from "../src/planes/keymap.ts";

const MODES: readonly Mode[] = ["viewer", "painter", "review"];

function press(key: string, mode: Mode, held = {}): Action | null {
  const none = { shiftKey: false, ctrlKey: false, metaKey: false, altKey: false };
  return actionOf({ key, ...none, ...held }, mode);
}

test("c and r are left to Streamlit, and what has Ctrl, Alt or Meta to the browser", () => {
  for (const mode of MODES) {
    for (const key of ["c", "r", "C", "R"]) assert.equal(press(key, mode), null);
    assert.equal(press("r", mode, { ctrlKey: true }), null);
    assert.equal(press("o", mode, { altKey: true }), null);
  }
  assert.deepEqual(press("z", "painter", { ctrlKey: true }), { name: "undo" });
});

test("one key means one thing, whatever is open", () => {
  const meanings = new Map<string, string>();
  for (const row of KEYMAP) {
    for (const [key, action] of Object.entries(row.keys ?? {})) {
      const known = meanings.get(key) ?? JSON.stringify(action);
      assert.equal(JSON.stringify(action), known, `${key} means two things`);
      meanings.set(key, known);
    }
  }
});

test("a review leaves the page its own keys: accept, reject, next and previous patch", () => {
  for (const key of ["a", "x", "n", "p", "s", "z", "d"]) assert.equal(press(key, "review"), null);
  for (const key of ["n", "p"]) assert.equal(press(key, "painter"), null);
});

test("with Shift an arrow goes ten slices", () => {
  for (const mode of MODES) {
    assert.deepEqual(press("ArrowUp", mode), { name: "slices", by: 1 });
    assert.deepEqual(press("ArrowUp", mode, { shiftKey: true }), { name: "slices", by: 10 });
    assert.deepEqual(press("?", mode, { shiftKey: true }), { name: "help" });
  }
});

test("every key is named in the help", () => {
  for (const row of KEYMAP) {
    for (const key of Object.keys(row.keys ?? {})) {
      assert.ok(SHOWN(row.shown, key), `${key} is missing in "${row.shown}"`);
    }
  }
});

function SHOWN(shown: string, key: string): boolean {
  const names: Record<string, string> = {
    ArrowUp: "↑",
    ArrowDown: "↓",
    PageUp: "wheel",
    PageDown: "wheel",
    Escape: "Esc",
    "-": "−",
    "=": "+",
  };
  const isShifted = key.length === 1 && key !== key.toLowerCase();
  return shown.includes(isShifted ? `Shift + ${key.toLowerCase()}` : (names[key] ?? key));
}

test("docs/keys.md and the page's list of keys hold what the keymap holds", () => {
  const docs = readFileSync("../../docs/keys.md", "utf8");
  const listed = JSON.parse(readFileSync("../assets/keys.json", "utf8")) as Record<string, unknown>;
  for (const mode of MODES) {
    assert.deepEqual(listed[mode], helpRows(mode));
    for (const [keys, what] of helpRows(mode)) assert.ok(docs.includes(`| ${keys} | ${what} |`));
  }
});
