"""Times as a person's own clock shows them."""

import datetime as dt
import re
import zoneinfo
from typing import Any

import streamlit as st

_UTC = re.compile(r"(?P<on>on )?(?:(?P<day>\d{4}-\d\d-\d\d) at )?(?P<time>\d\d:\d\d(?::\d\d)?) UTC")
"""A time as messages of steps give it."""


def format_time(at: dt.datetime, now: dt.datetime | None = None) -> str:
    """Format a time in the person's time zone; without the day where it is today."""
    zone = _zone()
    local = at.astimezone(zone)
    today = (now or dt.datetime.now(dt.UTC)).astimezone(zone).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    return f"{local:%-d %b %Y, %H:%M}"


def format_age(at: dt.datetime, now: dt.datetime | None = None) -> str:
    """Format how long ago a time is, in one unit."""
    seconds = ((now or dt.datetime.now(dt.UTC)) - at).total_seconds()
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return "just now"


def in_local_time(text: str) -> str:
    """Put the times of a message (``2026-11-29 at 06:40:45 UTC``) into the person's time zone."""
    return _UTC.sub(_localised, text)


def _localised(found: re.Match[str]) -> str:
    day = found["day"] or f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    at = dt.datetime.fromisoformat(f"{day}T{found['time']}+00:00")
    return f"on {format_time(at)}" if found["on"] and "," in format_time(at) else format_time(at)


def time_column(pattern: str = "D MMM YYYY, HH:mm", **options: Any) -> Any:
    """Configure a column of times: in the person's time zone, which the header's help names."""
    return st.column_config.DatetimeColumn(
        format=pattern, timezone=zone_name(), help=f"Time zone: {zone_name()}", **options
    )


def zone_name() -> str:
    """Name the person's time zone, such as Europe/Zurich; UTC where the browser tells none."""
    return str(_zone())


def _zone() -> dt.tzinfo:
    try:
        return zoneinfo.ZoneInfo(st.context.timezone or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return dt.UTC
