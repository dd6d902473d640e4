"""The painter as a Streamlit component: a small shim that loads the built script.

The browser owns the drawing; it speaks to /api/painting itself. To Python come back only that
something was saved or commented, so that a page may show it.
"""

import functools
from typing import Any

import streamlit as st

from core.imaging import colors
from core.imaging.geometry import BORDER, Zyx
from core.workspace.workspace import Workspace
from dashboard.components.viewer import RULES, built_script
from dashboard.server.api.painting import patch_object
from dashboard.ui.session_keys import Key
from db.queries.patches import PatchRecord
from db.queries.people import PersonRecord

_SHIM = """
const script = import(new URL("assets/FILE", document.baseURI).href);
export default function (component) {
  let ended = false, end = () => {};
  script.then((module) => { if (!ended) end = module.default(component); });
  return () => { ended = true; end(); };
}
"""


def painter(
    workspace: Workspace,
    me: PersonRecord,
    patch: PatchRecord,
    *,
    read_only: bool = False,
    merge: int | None = None,
    at: Zyx | None = None,
    key: str,
) -> Any:
    """Put the painter on the page, or with ``read_only`` the same view for a review.

    ``merge`` is the number of the merge that a review shows (None: the current one), ``at`` the
    voxel to look at, (z, y, x). The result's ``saved`` ({versions, at}) and ``commented`` ({at,
    count}) are set once each; ``unsaved_strokes`` is a count that is right whenever the pointer is
    outside the painter. ``workspace`` names whose patch it is; voxels go by /api.
    """
    del workspace  # the browser asks /api for everything
    data = painter_data(me, patch, read_only=read_only, merge=merge, at=at)
    mount = _component()
    return mount(
        data=data,
        key=key,
        default={"unsaved_strokes": 0},
        on_saved_change=_nothing,
        on_commented_change=_nothing,
        on_unsaved_strokes_change=functools.partial(_keep_count, key, patch.id),
    )


def _keep_count(key: str, patch: int) -> None:
    st.session_state[f"{Key.UNSAVED}_{patch}"] = st.session_state[key].unsaved_strokes


def painter_data(
    me: PersonRecord,
    patch: PatchRecord,
    *,
    read_only: bool,
    merge: int | None = None,
    at: Zyx | None = None,
) -> dict[str, Any]:
    """Return what the browser is told: plain values."""
    return {
        "object": patch_object(patch),
        "name": patch.name,
        "person": {"id": me.id, "name": me.name},
        "readOnly": read_only,
        "merge": merge,
        "at": list(at) if at else None,
        "rules": list(RULES),
        "colors": {
            "prediction": colors.PREDICTION,
            "add": colors.ADD,
            "remove": colors.REMOVE,
            "ignore": colors.IGNORE,
            "selected": colors.SELECTED,
            "warning": colors.WARNING,
        },
        "volume3d": f"assets/{built_script('volume3d')}",
        "border": BORDER,
    }


def _nothing() -> None:
    """Streamlit runs the page again; the page reads what is there now."""


@functools.cache
def _shim() -> str:
    return _SHIM.replace("FILE", built_script("painter"))


def _component() -> Any:
    return st.components.v2.component("tomocurate_painter", js=_shim())
