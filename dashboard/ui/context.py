"""What every page asks first: the opened workspace, who acts, and what tokens are signed with.

Without ``serve`` (a page run alone, as tests do) TOMOCURATE_WORKSPACE names the workspace, and the
account that runs it acts.
"""

import functools
import os
import secrets
from datetime import timedelta
from pathlib import Path

import streamlit as st

from core.access.os_user import acting_person
from core.access.sessions import leave, present
from core.workspace.workspace import Workspace, find_workspace, open_workspace
from dashboard.server.session import KEY_FILE, Site, site_from
from dashboard.server.tokens import KEY_BYTES, Held, Signer
from db.errors import TomocurateError
from db.queries.people import PersonRecord

NOBODY = "Your session is over, or you may no longer work here. Open tomocurate again."


def current_workspace() -> Workspace:
    """The workspace, opened once for all sessions of this process."""
    return _open_once(str(find_workspace(None).absolute()))


def site() -> Site:
    """The running dashboard that this page belongs to."""
    return _served() if KEY_FILE in os.environ else _alone(str(current_workspace().folder))


def signer() -> Signer:
    """Signs the tokens that our own routes ask for."""
    return site().signer


def current_person() -> PersonRecord:
    """The person of this browser session, read anew at each run; the page ends for nobody."""
    person = _person()
    if person is None or person.disabled:
        st.error(NOBODY)
        if site().sign_in:
            st.html('<a href="/sign-in" target="_self">Sign in</a>')
        st.stop()
    return person


def sign_out() -> None:
    """End this browser's session; its tokens count no more."""
    held = _held()
    if held:
        leave(current_workspace(), int(held.person), held.session, timedelta(seconds=site().lasts))


def person_key(person: PersonRecord) -> str:
    """A person as sessions and tokens name them: names may change, ids do not."""
    return str(person.id)


def _person() -> PersonRecord | None:
    if KEY_FILE not in os.environ:
        return _account()
    held = _held()
    return present(current_workspace(), int(held.person), held.session) if held else None


def _held() -> Held | None:
    cookie = st.context.cookies.get(site().cookie)
    return site().held_by(cookie) if cookie else None


def _account() -> PersonRecord | None:
    try:
        return acting_person(current_workspace())
    except TomocurateError:
        return None


@functools.cache
def _open_once(folder: str) -> Workspace:
    return open_workspace(Path(folder))


@functools.cache
def _served() -> Site:
    return site_from(current_workspace(), os.environ)


@functools.cache
def _alone(folder: str) -> Site:
    person = acting_person(_open_once(folder))
    return Site(Path(folder), Signer(secrets.token_bytes(KEY_BYTES)), "", person_key(person), 0)
