// Versions of corrections: how a save and a conflict are put into words, and what two drawings join to.

import type { Facts, SavedFacts, Versions } from "../painter/types.ts";
import { clock } from "./messages.ts";

export function savedWords({ versions, withdrawn, savedAt, facts }: SavedFacts): string {
  const shown = Object.keys(versions).length ? versions : facts.base;
  const written = Object.entries(shown).map(
    ([slot, version]) => `${stemOf(slot)} version ${version}`,
  );
  const gone = withdrawn.map((slot) => `${stemOf(slot)} withdrawn`);
  return [`Saved at ${clock(savedAt)}`, ...written, ...gone].join(", ");
}

/** Why a save was refused: which slots have other versions than this window began with. */
export function conflictWords(facts: Facts, seen: Versions): string {
  const own = facts.slots.find((slot) => slot.mine);
  const when = own ? ` at ${clock(own.at)}` : "";
  return `Your corrections were saved elsewhere${when}: ${versionWords(facts.base, seen)}.`;
}

function versionWords(saved: Versions, seen: Versions): string {
  const words = Object.entries(saved)
    .filter(([slot, version]) => version !== seen[slot])
    .map(([slot, version]) => `${stemOf(slot)} has version ${version}, you saw ${seen[slot] ?? 0}`);
  return words.join("; ") || "a version is missing that this window began with";
}

function stemOf(slot: string): string {
  return slot.split(".")[0]!;
}

/** Of the slots that a drawing goes on with, those that nobody changed since. */
export function stillThere(continued: Versions, { slots }: Facts): Versions {
  const unchanged = slots.filter((slot) => !slot.mine && slot.version === continued[slot.name]);
  return Object.fromEntries(unchanged.map((slot) => [slot.name, slot.version]));
}

/** What is painted here wins over what is only painted there. */
export function joinedKinds(here: Uint8Array, there: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(here, (kind, i) => kind || there[i]!);
}
