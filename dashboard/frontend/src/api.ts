// Talks to /api: what a volume is, and where its slices are.

import type { Facts } from "./viewer/types.ts";

export const WRITE_HEADER = "x-tomocurate-request"; // what another site's page cannot send

const OVER = "Your session is over: open tomocurate again.";

export class Refused extends Error {
  constructor(
    readonly status: number,
    sentence: string,
  ) {
    super(sentence);
  }
}

/** An address of ours; below a path too, where a proxy serves the dashboard there. */
export function ours(path: string): string {
  return new URL(path, document.baseURI).href;
}

/** Fetch from /api; a refusal becomes an error with the server's sentence. */
export async function ask(path: string, signal?: AbortSignal): Promise<Response> {
  const answer = await fetch(ours(path), { signal: signal ?? null });
  if (answer.status === 401) throw new Refused(401, OVER);
  if (!answer.ok) throw new Refused(answer.status, await sentenceOf(answer));
  return answer;
}

export async function askFacts(object: string): Promise<Facts> {
  const answer = await ask(`api/volumes/${encodeURIComponent(object)}`);
  return (await answer.json()) as Facts;
}

export function sliceAddress(
  object: string,
  version: string,
  axis: string,
  index: number,
  full: boolean,
): string {
  const path = `api/slices/${encodeURIComponent(object)}/${version}/${axis}/${index}`;
  return full ? `${path}?full=1` : path;
}

async function sentenceOf(answer: Response): Promise<string> {
  try {
    return ((await answer.json()) as { error: string }).error;
  } catch {
    return `The server answered ${answer.status}.`;
  }
}
