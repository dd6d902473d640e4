"""Retention rule: the newest backup of seven days, four weeks and twelve months each."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

DAYS, WEEKS, MONTHS = 7, 4, 12


def backups_to_keep(times: Mapping[Path, datetime]) -> set[Path]:
    """The backups to keep, by when each was made; the newest is always among them."""
    keep: set[Path] = set()
    for number, period in ((DAYS, _day), (WEEKS, _week), (MONTHS, _month)):
        newest: dict[tuple[int, ...], Path] = {}
        for path, at in sorted(times.items(), key=lambda item: item[1]):
            newest[period(at)] = path
        keep.update(newest[item] for item in sorted(newest)[-number:])
    return keep


Period = Callable[[datetime], tuple[int, ...]]


def _day(at: datetime) -> tuple[int, ...]:
    return at.year, at.month, at.day


def _week(at: datetime) -> tuple[int, ...]:
    return tuple(at.isocalendar()[:2])


def _month(at: datetime) -> tuple[int, ...]:
    return at.year, at.month
