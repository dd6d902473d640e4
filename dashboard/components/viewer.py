"""The tomogram viewer as a Streamlit component: a small shim that loads the built script.

The browser owns axis, slice, contrast, zoom and overlay; only a chosen center comes
back to Python. Inline script would be sent again at every rerun, so the shim imports a file
from /assets, whose name changes with its content.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from core.errors import CenterError
from core.imaging import colors
from core.imaging.geometry import PATCH_SIDE, Box, Zyx
from db.vocabulary import ChosenBecause, NearBorder

ASSETS = Path(__file__).parents[1] / "assets"
RULES = (
    "In doubt, Ignore.",
    "Remove may be coarse, but only where no membrane is near.",
    "Add is drawn accurately, and every voxel that is not Ignore must be reliable.",
)
"""The guide's three rules for annotators."""

SEGMENTATION_COLORS = (colors.PREDICTION, colors.WARNING, colors.IGNORE, colors.ADD)

_SHIM = """
const script = import(new URL("assets/FILE", document.baseURI).href);
export default function (component) {
  let ended = false, end = () => {};
  script.then((module) => { if (!ended) end = module.default(component); });
  return () => { ended = true; end(); };
}
"""


NO_PROPOSALS: Mapping[str, Any] = {"places": [], "focus": None, "mayDecide": False}


@dataclass(frozen=True)
class ViewedObject:
    """A volume to show: its object in the catalog and the name that people read."""

    object: str
    name: str


@dataclass(frozen=True)
class PatchMark:
    """A patch to draw; center and box are (z, y, x)."""

    name: str
    center: Zyx
    box: Box
    color: str
    label: str
    """Drawn at the box: short."""
    note: str
    """Shown beside, when it is selected."""


class Said(NamedTuple):
    """Result of the last choice."""

    sentence: str
    saved: bool


@dataclass(frozen=True)
class Scene:
    """Initial view of the viewer, and the actions allowed there."""

    tomogram: ViewedObject
    segmentations: Sequence[ViewedObject] = ()
    patches: Sequence[PatchMark] = ()
    selected: str | None = None
    may_choose: bool = False
    reasons: Sequence[tuple[str, str]] = ()
    """Value and label of each reason to choose a center."""
    at: Zyx | None = None
    said: Said | None = None
    proposed: Mapping[str, Any] = field(default_factory=lambda: NO_PROPOSALS)
    """Places, the one in focus, and whether this person may decide."""
    heat: Mapping[str, Any] | None = None
    """A channel's cells, drawn over the planes."""


class ChosenCenter(NamedTuple):
    """A center that was chosen by click, with its reason."""

    center: Zyx
    because: ChosenBecause
    near_border: NearBorder


def viewer_data(scene: Scene) -> dict[str, Any]:
    """Return what the browser is told: plain values."""

    def told(viewed: ViewedObject, color: str | None = None) -> dict[str, Any]:
        return {"object": viewed.object, "name": viewed.name, "color": color}

    segmentations = [
        told(viewed, SEGMENTATION_COLORS[number % len(SEGMENTATION_COLORS)])
        for number, viewed in enumerate(scene.segmentations)
    ]
    return {
        "tomogram": told(scene.tomogram),
        "segmentations": segmentations,
        "patches": [_mark(patch) for patch in scene.patches],
        "selected": scene.selected,
        "mayChoose": scene.may_choose,
        "reasons": [{"value": value, "label": label} for value, label in scene.reasons],
        "rules": list(RULES),
        "patchSide": PATCH_SIDE,
        "at": list(scene.at) if scene.at else None,
        "plane": 0,
        "message": scene.said.sentence if scene.said else None,
        "messageIsError": scene.said is not None and not scene.said.saved,
        "colors": {
            "selected": colors.SELECTED,
            "refused": colors.REMOVE,
            "proposed": colors.ADD,
        },
        "proposed": dict(scene.proposed),
        "heat": scene.heat,
    }


def chosen_center(told: Any) -> ChosenCenter:
    """Read a choice that a browser tells: nothing in it is believed before it was looked at.

    Errors: CenterError for what is no choice.
    """
    try:
        x, y, z = (int(value) for value in told["center_xyz"])
        way = NearBorder(told["near_border"])
        because = ChosenBecause(told["why"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CenterError("a choice has a center (x, y, z), a reason and a border rule.") from error
    return ChosenCenter(Zyx(z, y, x), because, way)


def show_viewer(
    data: dict[str, Any],
    key: str,
    on_chosen: Callable[[], None],
    on_decided: Callable[[], None] = lambda: None,
) -> Any:
    """Put the viewer on the page; ``chosen`` and ``decided`` of its state are set once for each."""
    return _component()(
        data=data, key=key, on_chosen_change=on_chosen, on_decided_change=on_decided
    )


def built_script(name: str) -> str:
    """Find the file name of a built component, such as viewer-0123456789ab.js."""
    paths = sorted(ASSETS.glob(f"{name}-*.js"))
    if len(paths) != 1:
        raise RuntimeError(f"dashboard/assets holds {len(paths)} files {name}-*.js: make frontend")
    return paths[0].name


def _mark(patch: PatchMark) -> dict[str, Any]:
    return {
        "name": patch.name,
        "center": list(patch.center),
        "start": list(patch.box.start),
        "stop": list(patch.box.stop),
        "color": patch.color,
        "label": patch.label,
        "note": patch.note,
    }


@functools.cache
def _shim() -> str:
    return _SHIM.replace("FILE", built_script("viewer"))


def _component() -> Any:
    return st.components.v2.component("tomocurate_viewer", js=_shim())
