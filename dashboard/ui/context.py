"""The opened workspace, the running dashboard and the current person.

Without ``serve`` (a page run alone, as tests do) TOMOCURATE_WORKSPACE names the workspace, and the
account that runs it acts.
"""

import functools
from pathlib import Path

import streamlit as st

from core.access.os_user import acting_person
from core.lab.lab import Lab
from core.workspace.workspace import Workspace, find_workspace, open_workspace
from dashboard.server.session import Site, is_served, site_from
from db.errors import TomocurateError
from db.queries.people import PersonRecord

NOBODY = "Your session is over, or you may no longer work here. Open tomocurate again."


def current_workspace() -> Workspace:
    """Give the workspace, opened once for all sessions of this process."""
    return _open_once(str(find_workspace(None).absolute()))


def site() -> Site:
    """Give the running dashboard that this page belongs to."""
    return _served_site() if is_served() else _alone(str(current_workspace().folder))


def current_person() -> PersonRecord:
    """Read the person of this browser session; the page stops where there is none."""
    person = _person()
    if person is None or person.disabled:
        st.error(NOBODY)
        if site().sign_in:
            st.html(f'<a href="{site().base}/sign-in" target="_self">Sign in</a>')
        st.stop()
    return person


def current_lab() -> Lab:
    """Return the workspace as the person of this browser session opened it."""
    return Lab(current_workspace(), current_person())


def sign_out() -> None:
    """End this browser's session."""
    secret = st.context.cookies.get(site().cookie)
    if secret:
        site().sign_out(secret)


def _person() -> PersonRecord | None:
    if not is_served():
        return _account()
    return site().person_of(st.context.cookies.get(site().cookie))


def _account() -> PersonRecord | None:
    try:
        return acting_person(current_workspace())
    except TomocurateError:
        return None


@functools.cache
def _open_once(folder: str) -> Workspace:
    return open_workspace(Path(folder))


@functools.cache
def _served_site() -> Site:
    return site_from(current_workspace())


@functools.cache
def _alone(folder: str) -> Site:
    workspace = _open_once(folder)
    return Site(workspace=workspace, port=0, person_id=acting_person(workspace).id)
