// The painter's frame on the page: bars above, planes and panel between, notice over them, and a line
// of fixed height below. Whatever is reported, nothing moves under the pointer.

import type { Autosave } from "../autosave/autosave.ts";
import { messageOf, noticeOf } from "../autosave/messages.ts";
import { strokesWord } from "../autosave/strokes.ts";
import { asRegion, button, element, refill } from "../planes/elements.ts";

export class Frame {
  readonly root = element("div", "painter three-planes");
  private readonly bar = element("div", "bar");
  private readonly brushbar = element("div", "bar");
  private readonly readout = element("div", "readout");
  private readonly status = element("div", "status");
  private readonly keeping = element("div", "keeping");
  private readonly notice = element("div", "notice");
  private readonly side = element("div", "side");

  constructor() {
    this.root.tabIndex = 0;
    asRegion(this.side, "Brush, result and comments");
    this.keeping.setAttribute("role", "status");
    this.notice.setAttribute("role", "alert");
  }

  /** Put the planes into their places. */
  fill([large, ...others]: readonly HTMLElement[], position: HTMLElement, help: HTMLElement): void {
    const beside = element("div", "beside", ...others);
    const body = element("div", "body", large!, beside, this.side, this.notice);
    const foot = element("div", "foot", position, this.readout, this.status, this.keeping);
    this.root.append(this.bar, this.brushbar, body, foot, help);
  }

  showBars(toolbar: HTMLElement, brushbar: HTMLElement): void {
    refill(this.bar, [toolbar], this.root);
    refill(this.brushbar, [brushbar], this.root);
  }

  showSide(parts: readonly HTMLElement[]): void {
    refill(this.side, parts, this.root);
  }

  /** The numbers alone: they change with every stroke. */
  showCounts(counts: HTMLElement): void {
    this.side.querySelector(".numbers")?.replaceChildren(counts);
  }

  showReadout(text: string): void {
    this.readout.textContent = text;
  }

  say(text: string, isError = false): void {
    this.status.textContent = text;
    this.status.title = text;
    this.status.classList.toggle("bad", isError);
  }

  /** What the autosave reports and asks. */
  showKeeping(autosave: Autosave, mayDiscard: boolean): void {
    const { state, strokes } = autosave;
    const message = messageOf(state, autosave.hasJournal);
    const unsaved = strokes ? `${strokesWord(strokes)} not saved` : "";
    const text = [unsaved, message.text].filter(Boolean).join("   ·   ");
    this.keeping.textContent = text;
    this.keeping.title = text;
    this.keeping.classList.toggle("bad", message.isError);
    const discard = this.side.querySelector<HTMLButtonElement>(".discard");
    if (discard) discard.disabled = !mayDiscard || !strokes;
    this.showNotice(autosave);
  }

  private showNotice(autosave: Autosave): void {
    const notice = noticeOf(autosave.state);
    const choices = notice?.choices ?? [];
    const shown = [notice?.text, ...choices.map((choice) => choice.text)].join("\n");
    if (this.notice.dataset["shown"] === shown) return;
    this.notice.dataset["shown"] = shown;
    this.notice.className = notice ? `notice shown${notice.isError ? " bad" : ""}` : "notice";
    const buttons = choices.map(({ text, answer }) =>
      button(text, text, () => autosave.answer(answer)),
    );
    refill(this.notice, notice ? [element("span", "", notice.text), ...buttons] : [], this.root);
  }
}
