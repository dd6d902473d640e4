// The viewer's entry for Streamlit.

import { mounter } from "../component.ts";
import planesStyle from "../planes/planes.css";
import type { ViewerData } from "./types.ts";
import style from "./viewer.css";
import { Viewer } from "./viewer.ts";

export default mounter<ViewerData>(planesStyle + style, (component) => new Viewer(component));
