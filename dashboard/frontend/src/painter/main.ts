// The painter's entry for Streamlit.

import { mounter } from "../component.ts";
import planesStyle from "../planes/planes.css";
import style from "./painter.css";
import { Painter } from "./painter.ts";
import type { PainterData } from "./types.ts";

export default mounter<PainterData>(planesStyle + style, (component) => new Painter(component));
