"""The sheet of keys that `?` opens on every page; it lives in the browser, nothing is run again.

Streamlit's own shortcuts take letters and digits only, so the question mark is heard here. It is
left alone while somebody types.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

EVERYWHERE = {"?": "show or hide this list", "Esc": "close it", "r": "run this page again"}
ASSETS = Path(__file__).parents[1] / "assets"


def _planes(mode: str) -> dict[str, str]:
    """Read the keys of viewer, painter or review, as their keymap was built."""
    listed = json.loads((ASSETS / "keys.json").read_text(encoding="utf-8"))
    return dict(listed[mode])


KEYS: Mapping[str, Mapping[str, str]] = {
    "progress": {},
    "tomograms": {},
    "browse": _planes("viewer"),
    "patches": {},
    "correct": {**_planes("painter"), "n p": "next and previous patch of my work"},
    "review": {
        "1 2 3 4": "difference, before, after, image only",
        "a": "accept",
        "x": "reject with the written reason",
        "n p": "next and previous patch of the queue",
        **_planes("review"),
    },
    "activity": {},
    "settings": {},
}
"""What each page listens to. `c` and `r` are Streamlit's own."""

_CSS = """
dialog{border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:8px;
padding:1rem 1.4rem 1.2rem;min-width:20rem;max-width:34rem;
font:15px/1.5 var(--st-font,system-ui,sans-serif);
background:var(--st-background-color);color:var(--st-text-color)}
dialog::backdrop{background:rgb(0 0 0/.35)}
h2{font-size:1.05rem;margin:.1rem 0 .6rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.35rem .9rem;margin:0}
dt{font-weight:600;white-space:nowrap}dd{margin:0}
kbd{border:1px solid color-mix(in srgb,currentColor 30%,transparent);border-radius:4px;
padding:0 .4em;font:inherit}
button{position:fixed;right:.9rem;bottom:.8rem;width:2rem;height:2rem;border-radius:50%;
border:1px solid color-mix(in srgb,currentColor 30%,transparent);cursor:pointer;z-index:10;
background:var(--st-secondary-background-color);color:var(--st-text-color);font-weight:600}
"""
_JS = """
export default function ({ data, parentElement }) {
  const root = parentElement;
  root.replaceChildren();
  const style = document.createElement("style");
  style.textContent = data.css;
  const sheet = document.createElement("dialog");
  const title = document.createElement("h2");
  title.textContent = "Keys";
  const list = document.createElement("dl");
  for (const [keys, what] of data.keys) {
    const term = document.createElement("dt");
    const key = document.createElement("kbd");
    key.textContent = keys;
    term.append(key);
    const said = document.createElement("dd");
    said.textContent = what;
    list.append(term, said);
  }
  sheet.append(title, list);
  const button = document.createElement("button");
  button.textContent = "?";
  button.title = "Keys";
  button.setAttribute("aria-label", "Keys");
  const toggle = () => (sheet.open ? sheet.close() : sheet.showModal());
  button.onclick = toggle;
  sheet.onclick = (event) => { if (event.target === sheet) sheet.close(); };
  root.append(style, button, sheet);
  const typed = (node) => node && (node.isContentEditable
    || /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName));
  const heard = (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.composedPath().some(typed)) return;
    event.preventDefault();
    toggle();
  };
  document.addEventListener("keydown", heard);
  return () => { document.removeEventListener("keydown", heard); };
}
"""


def keys_of(page: str) -> list[list[str]]:
    """List the keys of a page and what they do, then those of every page."""
    return [[key, what] for key, what in {**KEYS.get(page, {}), **EVERYWHERE}.items()]


def keyboard_sheet(page: str) -> None:
    """Listen for `?` on a page, and show its keys."""
    _component()(data={"keys": keys_of(page), "css": _CSS}, key=f"keys_{page}")


def _component() -> Any:
    return st.components.v2.component("tomocurate_keys", js=_JS)
