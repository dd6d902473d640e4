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
  input.addEventListener("input", () => moved(Number(input.value)));
  return element("label", "slider", label, input);
}
