// Two windows of one browser must not paint one patch: the second asks, and may take over.

const CHANNEL = "tomocurate-painter";
const WAIT_MS = 120;

interface Message {
  painting: string;
  says: "who paints?" | "I do" | "give it to me" | "you have it";
}

export class Windows {
  private readonly channel = new BroadcastChannel(CHANNEL);
  private holds = false;
  private heard: ((says: Message["says"]) => void) | null = null;

  constructor(
    private readonly painting: string,
    private readonly giveUp: () => Promise<void>,
  ) {
    this.channel.onmessage = (event: MessageEvent<Message>) => void this.hear(event.data);
  }

  /** Whether another window of this browser paints here. */
  isTaken(): Promise<boolean> {
    return this.answer("who paints?", "I do");
  }

  hold(): void {
    this.holds = true;
  }

  /** Resolves when the other window has put everything away, or does not answer. */
  async takeOver(): Promise<void> {
    await this.answer("give it to me", "you have it");
  }

  close(): void {
    this.channel.close();
  }

  private async hear({ painting, says }: Message): Promise<void> {
    if (painting !== this.painting) return;
    if (says === "I do" || says === "you have it") return this.heard?.(says);
    if (!this.holds) return;
    if (says === "who paints?") return this.say("I do");
    this.holds = false;
    await this.giveUp();
    this.say("you have it");
  }

  private answer(question: Message["says"], expected: Message["says"]): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), WAIT_MS);
      this.heard = (says) => {
        if (says !== expected) return;
        clearTimeout(timer);
        resolve(true);
      };
      this.say(question);
    });
  }

  private say(says: Message["says"]): void {
    this.channel.postMessage({ painting: this.painting, says } satisfies Message);
  }
}
