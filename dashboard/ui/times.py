"""Times as a person's own clock shows them."""

import datetime as dt
import zoneinfo

import streamlit as st


def moment(at: dt.datetime, now: dt.datetime | None = None) -> str:
    """A time as the person's own clock shows it; the day is left out where it is today."""
    zone = _zone()
    local = at.astimezone(zone)
    today = (now or dt.datetime.now(dt.UTC)).astimezone(zone).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    return f"{local:%-d %b %Y, %H:%M}"


def age(at: dt.datetime, now: dt.datetime | None = None) -> str:
    """How long ago, in one unit."""
    seconds = ((now or dt.datetime.now(dt.UTC)) - at).total_seconds()
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return "just now"


def _zone() -> dt.tzinfo:
    try:
        return zoneinfo.ZoneInfo(st.context.timezone or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return dt.UTC
