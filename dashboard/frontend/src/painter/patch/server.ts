// Talks to /api/painting: voxels in and out.

import { ours, Refused, WRITE_HEADER } from "../../api.ts";
import type { Zyx } from "../../planes/geometry.ts";
import type {
  CommentFacts,
  Draft,
  DraftFacts,
  Facts,
  HoldFacts,
  PainterData,
  SavedFacts,
  Versions,
} from "../types.ts";
import { sha256 } from "./checksum.ts";

export const CONFLICT = 409;
export const FORBIDDEN = 403;
export const NOT_FOUND = 404;
const SIGNED_OUT = 401;
const BASE_HEADER = "x-tomocurate-base";
const CONTINUED_HEADER = "x-tomocurate-continued";
const VOXELS = "application/octet-stream";
const SQUEEZE_BELOW = 0.1; // changes of value per voxel; noise takes longer to squeeze than to send

/** The server cannot be reached at all. */
export class Unreachable extends Error {}

export class Server {
  private path = "";

  take(data: PainterData): void {
    this.path = ours(`api/painting/${encodeURIComponent(data.object)}`);
  }

  async facts(): Promise<Facts> {
    return (await this.ask("")).json() as Promise<Facts>;
  }

  image(version: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.voxels(`/image?v=${version}`);
  }

  label(version: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.voxels(`/label?v=${version}`);
  }

  merged(number: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.voxels(`/merges/${number}`);
  }

  claims(slot: string, version: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.voxels(`/slots/${encodeURIComponent(slot)}/${version}`);
  }

  async draft(): Promise<Draft> {
    const answer = await this.ask("/draft");
    const versions = (header: string): Versions | null =>
      JSON.parse(answer.headers.get(header) ?? "null") as Versions | null;
    const voxels = new Uint8Array(await answer.arrayBuffer());
    return { voxels, base: versions(BASE_HEADER), continued: versions(CONTINUED_HEADER) ?? {} };
  }

  async keepDraft(
    voxels: Uint8Array<ArrayBuffer>,
    shape: Zyx,
    seen: number,
    base: Versions,
    continued: Versions,
  ): Promise<DraftFacts> {
    const answer = await this.put("/draft", voxels, shape, {
      "if-match": String(seen),
      [BASE_HEADER]: ascii(base),
      [CONTINUED_HEADER]: ascii(continued),
    });
    return answer.json() as Promise<DraftFacts>;
  }

  async forgetDraft(): Promise<void> {
    await this.ask("/draft", { method: "DELETE" });
  }

  async save(
    voxels: Uint8Array<ArrayBuffer>,
    shape: Zyx,
    base: Versions,
    continued: Versions,
  ): Promise<SavedFacts> {
    const answer = await this.put("/corrections", voxels, shape, {
      "if-match": ascii(base),
      [CONTINUED_HEADER]: ascii(continued),
    });
    return answer.json() as Promise<SavedFacts>;
  }

  async hold(takeOverFrom: string | null): Promise<HoldFacts> {
    const body = JSON.stringify({ takeOverFrom });
    return (await this.ask("/hold", { method: "POST", body })).json() as Promise<HoldFacts>;
  }

  /** Also while the page is being left. */
  async letGo(): Promise<void> {
    await this.ask("/hold", { method: "DELETE", keepalive: true }).catch(() => undefined);
  }

  async comment(text: string, at: Zyx | null): Promise<CommentFacts[]> {
    const body = JSON.stringify({ text, at });
    const answer = await this.ask("/comments", { method: "POST", body });
    return ((await answer.json()) as { comments: CommentFacts[] }).comments;
  }

  private async voxels(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await this.ask(path)).arrayBuffer());
  }

  private async put(
    path: string,
    voxels: Uint8Array<ArrayBuffer>,
    shape: Zyx,
    versions: Record<string, string>,
  ): Promise<Response> {
    const squeeze = changesOfValue(voxels) < voxels.length * SQUEEZE_BELOW;
    const [body, checksum] = await Promise.all([
      squeeze ? squeezed(voxels) : voxels,
      sha256(voxels),
    ]);
    return this.ask(path, {
      method: "PUT",
      body,
      headers: {
        "content-type": VOXELS,
        "content-encoding": squeeze ? "gzip" : "identity",
        "x-tomocurate-shape": shape.join(","),
        "x-tomocurate-axes": "zyx",
        "x-tomocurate-sha256": checksum,
        ...versions,
      },
    });
  }

  private async ask(path: string, options: RequestInit = {}): Promise<Response> {
    const answer = await this.attempt(path, options);
    if (answer.ok) return answer;
    throw new Refused(answer.status, await sentenceOf(answer));
  }

  private async attempt(path: string, options: RequestInit): Promise<Response> {
    const headers = { ...options.headers, [WRITE_HEADER]: "1" };
    try {
      return await fetch(this.path + path, { ...options, headers });
    } catch (error) {
      throw new Unreachable("The server cannot be reached.", { cause: error });
    }
  }
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof Refused && error.status === SIGNED_OUT;
}

/** Headers hold ASCII; names of files may not. */
function ascii(versions: Versions): string {
  return JSON.stringify(versions).replace(
    /[^ -~]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function changesOfValue(voxels: Uint8Array): number {
  let changes = 0;
  for (let i = 1; i < voxels.length; i++) if (voxels[i] !== voxels[i - 1]) changes++;
  return changes;
}

async function squeezed(voxels: Uint8Array<ArrayBuffer>): Promise<Blob> {
  const stream = new Blob([voxels]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).blob();
}

async function sentenceOf(answer: Response): Promise<string> {
  if (answer.status === SIGNED_OUT)
    return "Your session is over: sign in again in another tab, then go on here.";
  try {
    return ((await answer.json()) as { error: string }).error;
  } catch {
    return `The server answered ${answer.status}.`;
  }
}
