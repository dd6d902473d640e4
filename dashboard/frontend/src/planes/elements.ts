// Small builders of page elements. Text is always text: nothing here is read as HTML.

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

export function button(text: string, title: string, pressed: () => void): HTMLButtonElement {
  const made = element("button", "", text);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", pressed);
  return made;
}

export function slider(
  label: string,
  value: number,
  [least, most, step]: readonly [number, number, number],
  moved: (value: number) => void,
): HTMLLabelElement {
  const input = element("input", "");
  input.type = "range";
  input.min = String(least);
  input.max = String(most);
  input.step = String(step);
  input.value = String(value);
  input.title = label;
  input.addEventListener("input", () => moved(Number(input.value)));
  return element("label", "slider", label, input);
}

/** Buttons of which one is chosen; ``name`` is that of their data attribute. */
export function choices<Value extends string | number>(
  name: string,
  buttons: readonly { value: Value; text: string; title: string }[],
  chosen: Value | null,
  choose: (value: Value) => void,
): HTMLElement {
  const group = element("div", `group ${name}s`);
  group.setAttribute("role", "group");
  for (const { value, text, title } of buttons) {
    const made = button(text, title, () => choose(value));
    made.setAttribute("aria-pressed", String(value === chosen));
    made.dataset[name] = String(value);
    group.append(made);
  }
  return group;
}

/** Name a box that scrolls, and let the keyboard reach it. */
export function asRegion(box: HTMLElement, name: string): void {
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", name);
}

/** A button that is on or off. */
export function toggle(
  text: string,
  title: string,
  isOn: boolean,
  pressed: () => void,
): HTMLButtonElement {
  const made = button(text, title, pressed);
  made.setAttribute("aria-pressed", String(isOn));
  return made;
}

/** New content for a box; what had the focus inside keeps it, so that keys go on working. */
export function refill(box: HTMLElement, content: readonly Node[], root: HTMLElement): void {
  const focused = (root.getRootNode() as ShadowRoot | Document).activeElement;
  const title = focused instanceof HTMLElement && box.contains(focused) ? focused.title : null;
  box.replaceChildren(...content);
  if (title === null) return;
  const controls = [...box.querySelectorAll<HTMLElement>("button, select, input, textarea")];
  const again = controls.find((control) => title && control.title === title);
  const next = again && !again.matches(":disabled") ? again : root;
  next.focus({ preventScroll: true });
}
