"""Findings of ``doctor``: one sentence each, with a level."""

from collections.abc import Iterable
from dataclasses import dataclass

OK, WARN, BAD = "ok", "warn", "bad"
NAMED = 5
"""So many names stand in a sentence, the others are counted."""


@dataclass(frozen=True)
class Finding:
    """The result of one check; ``bad`` needs somebody now, ``warn`` soon."""

    check: str
    state: str
    said: str


def name_some(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
