// What an earlier visit left unsaved: strokes in this browser, a draft on the server.

import { type OpenPatch, same } from "../painter/patch/patch.ts";
import type { Server } from "../painter/patch/server.ts";
import type { Draft } from "../painter/types.ts";
import { type Journal, type Kept, replayed } from "./journal.ts";
import type { Question } from "./machine.ts";

export interface UnsavedWork {
  kept: Kept | null;
  draft: Draft | null;
  draftAt: string | null;
}

/** Look in both places; what equals the saved version, or the other place, is not offered. */
export async function findUnsavedWork(
  server: Server,
  patch: OpenPatch,
  journal: Journal | null,
): Promise<UnsavedWork> {
  const { kept, here } = await inBrowser(patch, journal);
  const stored = patch.facts.draft ? await server.draft().catch(() => null) : null;
  const isNew = stored && isNews(stored.voxels, patch) && !(here && same(here, stored.voxels));
  if (!kept && !isNew) await journal?.clear();
  if (!isNew) return { kept, draft: null, draftAt: null };
  return { kept, draft: stored, draftAt: patch.facts.draft!.savedAt };
}

/** The strokes that this browser keeps, and the drawing that they lead to. */
async function inBrowser(
  patch: OpenPatch,
  journal: Journal | null,
): Promise<{ kept: Kept | null; here: Uint8Array | null }> {
  const kept = (await journal?.read().catch(() => null)) ?? null;
  const here = kept?.strokes.length ? replayed(kept) : null;
  return here && isNews(here, patch) ? { kept, here } : { kept: null, here: null };
}

function isNews(voxels: Uint8Array, patch: OpenPatch): boolean {
  return voxels.length === patch.grid.size && !same(voxels, patch.saved);
}

export function questionOf({ kept, draftAt }: UnsavedWork): Question | null {
  if (!kept && !draftAt) return null;
  const browser = kept && { strokes: kept.strokes.length, at: kept.at };
  return { about: "unsaved", browser, draftAt };
}
