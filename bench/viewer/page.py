"""One page with the viewer on plain files, for measuring it without a catalog."""

import os

import streamlit as st

from core.imaging.geometry import box_around
from dashboard.components.viewer import (
    PatchMark,
    Scene,
    ViewedObject,
    chosen_center,
    show_viewer,
    viewer_data,
)
from dashboard.session import site_from

st.set_page_config(layout="wide")
site = site_from(os.environ)
names = os.environ["BENCH_VOLUMES"].split(os.pathsep)
token = st.sidebar.selectbox("Tomogram", names, key="tomogram")
centers = st.session_state.setdefault("centers", {}).setdefault(token, [])


def choose() -> None:
    """Draw the chosen center at once."""
    told = st.session_state["viewer"].chosen
    if told:
        centers.append(chosen_center(told).center)


scene = Scene(
    ViewedObject(f"tomogram-{token}", token),
    [ViewedObject(f"segmentation-{token}", "MemBrain-seg v10")],
    [
        PatchMark(f"patch{n}", center, box_around(center), "#56B4E9", f"patch{n}")
        for n, center in enumerate(centers)
    ],
    may_choose=True,
    reasons=[("missed_membrane", "Missed membrane"), ("false_membrane", "False membrane")],
)
show_viewer(viewer_data(scene, site.person, site.signer), "viewer", on_chosen=choose)
