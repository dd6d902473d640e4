"""The dashboard's one process: Streamlit's pages and our own routes, behind the gate."""

from pathlib import Path

import pandas  # noqa: F401 - whole before two first visits meet: Plotly takes a half-loaded one
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from core.jobs.lifeline import end_with_parent
from core.tomograms.pictures import previews, viewed_file
from dashboard.server.api.exports import export_routes
from dashboard.server.api.painting import painting_routes
from dashboard.server.limits import limit_connections
from dashboard.server.routes import below, gate, routes
from dashboard.server.sign_in import sign_in_routes
from dashboard.server.volumes import OpenVolumes
from dashboard.ui import context as state

# Else a first visit by a deep link finds our folder `pages` and runs its file without the
# navigation, before any run has called st.navigation.
PagesManager.uses_pages_directory = False

workspace = state.current_workspace()
site = state.site()
volumes = OpenVolumes(lambda name: viewed_file(workspace, name), previews(workspace))
app = st.App(
    Path(__file__).parents[1] / "app.py",
    routes=[
        *below(site.base, sign_in_routes(site, workspace)),
        *below(site.base, routes(site, volumes)),
        *below(site.base, painting_routes(workspace)),
        *below(site.base, export_routes(workspace)),
    ],
    middleware=gate(site),
)
limit_connections()
end_with_parent()
