"""The dashboard's routes and gate around one page on plain files named in BENCH_VOLUMES."""

import os
from pathlib import Path

import streamlit as st

from core.imaging.cache import Cache
from core.imaging.preview import Look
from core.imaging.view import ViewedFile
from core.jobs.lifeline import end_with_parent
from dashboard.server import gate, routes
from dashboard.session import site_from
from dashboard.volumes import OpenVolumes

site = site_from(os.environ)


def find(name: str) -> ViewedFile:
    """tomogram-T and segmentation-T are T.mrc and T_seg.mrc of the workspace."""
    what, _, token = name.partition("-")
    tail, look = ("_seg", Look.LABEL) if what == "segmentation" else ("", Look.GRAY)
    return ViewedFile(site.workspace / f"{token}{tail}.mrc", look)


volumes = OpenVolumes(find, Cache(site.workspace / "cache"))
app = st.App(
    Path(__file__).with_name("page.py"), routes=routes(site, volumes), middleware=gate(site)
)
end_with_parent()
