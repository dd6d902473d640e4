// The component's entry: Streamlit calls it again at every rerun, and the returned function at the end.

import type { Component } from "../component.ts";
import style from "./painter.css";
import { Painter } from "./painter.ts";
import type { PainterData } from "./types.ts";

const painters = new WeakMap<object, Painter>();

export default function mount(component: Component<PainterData>): () => void {
  const { parentElement } = component;
  let painter = painters.get(parentElement);
  if (!painter) {
    const sheet = document.createElement("style");
    sheet.textContent = style;
    parentElement.append(sheet);
    painter = new Painter(component);
    painters.set(parentElement, painter);
  }
  void painter.take(component);
  return () => {
    painters.get(parentElement)?.end();
    painters.delete(parentElement);
  };
}
