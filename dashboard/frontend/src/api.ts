// Talks to /api: tokens in a header, renewed silently; slices decoded, kept and fetched ahead.

import type { Facts } from "./viewer/types.ts";

export const TOKEN_HEADER = "x-tomocurate-token";

const OVER = "Your session is over: open tomocurate again.";

export class Refused extends Error {
  constructor(
    readonly status: number,
    sentence: string,
  ) {
    super(sentence);
  }
}

/** The tokens of one page, by object; one renewal at a time serves all that wait. */
export class Tokens {
  private readonly held = new Map<string, string>();
  private renewing: Promise<void> | null = null;

  keep(object: string, token: string): void {
    this.held.set(object, token);
  }

  of(object: string): string {
    return this.held.get(object) ?? "";
  }

  renew(): Promise<void> {
    this.renewing ??= this.askAnew().finally(() => (this.renewing = null));
    return this.renewing;
  }

  private async askAnew(): Promise<void> {
    const entries = [...this.held];
    const answer = await fetch("/api/tokens", {
      method: "POST",
      body: JSON.stringify({ tokens: entries.map(([, token]) => token) }),
    });
    if (!answer.ok) throw new Refused(answer.status, OVER);
    const fresh = ((await answer.json()) as { tokens: string[] }).tokens;
    entries.forEach(([object], i) => this.held.set(object, fresh[i]!));
  }
}

/** Fetch with the object's token; a token that is over is renewed once. */
export async function ask(
  tokens: Tokens,
  object: string,
  path: string,
  signal?: AbortSignal,
): Promise<Response> {
  const attempt = (): Promise<Response> =>
    fetch(path, { headers: { [TOKEN_HEADER]: tokens.of(object) }, signal: signal ?? null });
  let answer = await attempt();
  if (answer.status === 403) {
    await tokens.renew();
    answer = await attempt();
  }
  if (answer.status === 401) throw new Refused(401, OVER);
  if (!answer.ok) throw new Refused(answer.status, await sentenceOf(answer));
  return answer;
}

export async function askFacts(tokens: Tokens, object: string): Promise<Facts> {
  const answer = await ask(tokens, object, `/api/volumes/${encodeURIComponent(object)}`);
  return (await answer.json()) as Facts;
}

export function sliceAddress(
  object: string,
  version: string,
  axis: string,
  index: number,
  full: boolean,
): string {
  const path = `/api/slices/${encodeURIComponent(object)}/${version}/${axis}/${index}`;
  return full ? `${path}?full=1` : path;
}

async function sentenceOf(answer: Response): Promise<string> {
  try {
    return ((await answer.json()) as { error: string }).error;
  } catch {
    return `The server answered ${answer.status}.`;
  }
}
