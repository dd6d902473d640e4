// The help panel: the keys of a mode, as the keymap has them.

import { element } from "./elements.ts";
import { helpRows, type Mode } from "./keymap.ts";

export class HelpPanel {
  readonly element = element("dialog", "help");

  constructor() {
    this.element.addEventListener("click", () => this.element.close());
  }

  /** Let the page show its own list of keys, which has these too; open one here where it has none. */
  toggle(mode: Mode): void {
    if (this.closeIfOpen()) return;
    const asked = new KeyboardEvent("keydown", { key: "?", cancelable: true });
    if (!document.dispatchEvent(asked)) return;
    const rows = helpRows(mode).map(([keys, what]) =>
      element("tr", "", element("td", "keys", keys), element("td", "", what)),
    );
    this.element.replaceChildren(element("h2", "", "Keys"), element("table", "", ...rows));
    this.element.show();
  }

  /** Close it; false if it was not open. */
  closeIfOpen(): boolean {
    const { open } = this.element;
    if (open) this.element.close();
    return open;
  }
}
