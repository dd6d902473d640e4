// What each brush is for: the guide's rule and a small picture of it, drawn here.

import { ADD, type Colors, IGNORE, type Kind, NOTHING, REMOVE } from "../types.ts";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 264;
const HEIGHT = 74;
const MEMBRANE = "M-4 50 C 50 16, 100 14, 140 30 S 220 62, 270 40";
const GAP = "M96 21.5 C 112 22, 126 25, 140 30 S 158 38, 168 42.5";

export const KIND_RULES: Readonly<Record<Kind, string>> = {
  [NOTHING]: "Takes back what you painted. The prediction itself stays.",
  [ADD]: "A membrane is clearly there, the prediction misses it. Draw it accurately.",
  [REMOVE]: "The prediction is wrong here. May be coarse, but only where no membrane is near.",
  [IGNORE]: "In doubt: one cannot tell where, or whether, a membrane is. May be coarse.",
};

const WHAT: Readonly<Record<Kind, string>> = {
  [NOTHING]: "A stroke of Add that went beside the membrane is erased.",
  [ADD]: "A membrane runs through; the prediction (blue) has a gap, and Add fills just the gap.",
  [REMOVE]: "A blob of prediction far from the membrane is covered coarsely by Remove.",
  [IGNORE]: "A membrane fades away; Ignore covers the region where it cannot be followed.",
};

/** A picture of what a kind is for. */
export function example(kind: Kind, colors: Colors): SVGSVGElement {
  const picture = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "example" });
  const title = node("title", {});
  title.textContent = WHAT[kind];
  picture.append(
    title,
    node("rect", { width: WIDTH, height: HEIGHT, fill: "#8d9396" }),
    ...grain(),
  );
  picture.append(...SCENES[kind](colors));
  return picture as SVGSVGElement;
}

const SCENES: Readonly<Record<Kind, (colors: Colors) => SVGElement[]>> = {
  [NOTHING]: ({ add, prediction }) => [
    ...membrane(MEMBRANE),
    predicted(MEMBRANE, prediction, "96 74 200"),
    painted(GAP, add, 5),
    node("path", {
      d: "M176 20 l30 -8",
      stroke: add,
      "stroke-width": 5,
      opacity: 0.35,
      "stroke-dasharray": "3 4",
    }),
    node("circle", { cx: 200, cy: 14, r: 10, fill: "none", stroke: "#fff", "stroke-width": 1.5 }),
  ],
  [ADD]: ({ add, prediction }) => [
    ...membrane(MEMBRANE),
    predicted(MEMBRANE, prediction, "96 78 200"),
    painted(GAP, add, 5),
  ],
  [REMOVE]: ({ remove, prediction }) => [
    ...membrane("M-4 62 C 50 44, 100 46, 270 62"),
    predicted("M-4 62 C 50 44, 100 46, 270 62", prediction, ""),
    node("ellipse", { cx: 190, cy: 22, rx: 26, ry: 12, fill: remove, opacity: 0.65 }),
    node("path", {
      d: "M172 24 q 14 -12 36 -3",
      stroke: prediction,
      "stroke-width": 3,
      fill: "none",
    }),
  ],
  [IGNORE]: ({ ignore, prediction }) => [
    ...membrane("M-4 50 C 40 24, 80 20, 120 28"),
    node("path", {
      d: "M120 28 q 40 8 70 2",
      stroke: "#6d7275",
      "stroke-width": 6,
      fill: "none",
      opacity: 0.5,
      "stroke-dasharray": "7 9",
    }),
    predicted("M-4 50 C 40 24, 80 20, 112 26", prediction, ""),
    node("path", {
      d: "M112 8 C 150 2, 200 6, 214 26 S 190 62, 150 56 S 104 42, 112 8",
      fill: ignore,
      opacity: 0.6,
    }),
  ],
};

function membrane(path: string): SVGElement[] {
  return [
    node("path", { d: path, stroke: "#3c4144", "stroke-width": 8, fill: "none" }),
    node("path", { d: path, stroke: "#979da0", "stroke-width": 2.4, fill: "none" }),
  ];
}

function predicted(path: string, color: string, dashes: string): SVGElement {
  return node("path", {
    d: path,
    stroke: color,
    "stroke-width": 3,
    fill: "none",
    ...(dashes ? { "stroke-dasharray": dashes } : {}),
  });
}

function painted(path: string, color: string, width: number): SVGElement {
  return node("path", {
    d: path,
    stroke: color,
    "stroke-width": width,
    fill: "none",
    "stroke-linecap": "round",
  });
}

/** The grain of a tomogram, the same each time. */
function grain(): SVGElement[] {
  return Array.from({ length: 150 }, (_, i) => {
    const x = (i * 73) % WIDTH;
    const y = (i * 41 + ((i * i) % 17)) % HEIGHT;
    return node("rect", {
      x,
      y,
      width: 5,
      height: 4,
      fill: i % 2 ? "#7f8588" : "#a0a6a8",
      opacity: 0.5,
    });
  });
}

function node(tag: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
