"""Times as a person's own clock shows them."""

import datetime as dt
import zoneinfo
from typing import Any

import streamlit as st


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
