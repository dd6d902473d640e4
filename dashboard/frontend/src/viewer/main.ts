// The component's entry: Streamlit calls it again at every rerun, and the returned function at the end.

import type { Component } from "../component.ts";
import type { ViewerData } from "./types.ts";
import style from "./viewer.css";
import { Viewer } from "./viewer.ts";

const viewers = new WeakMap<object, Viewer>();

export default function mount(component: Component<ViewerData>): () => void {
  const { parentElement } = component;
  let viewer = viewers.get(parentElement);
  if (!viewer) {
    const sheet = document.createElement("style");
    sheet.textContent = style;
    parentElement.append(sheet);
    viewer = new Viewer(component);
    viewers.set(parentElement, viewer);
  }
  void viewer.take(component);
  return () => {
    viewers.get(parentElement)?.end();
    viewers.delete(parentElement);
  };
}
