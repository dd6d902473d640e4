"""The root of every error that a person can act on, and the catalog's own; standard library alone.

TomocurateError            one sentence for a person
├── CatalogError           a catalog that cannot be opened, or is not what it should be
│   └── CatalogBusyError   somebody else has been writing for too long
├── ConflictError          somebody else was first
├── UnknownNameError       no such thing; names the nearest
├── TakenNameError         something else has this name
├── NotAllowedError        this person may not do this
└── StepError              a step that is not legal now
"""

import difflib
import heapq
from collections.abc import Iterable
from datetime import datetime

_COMPARED = 1_000
"""Of many known names only those that begin and end most alike are compared letter by letter."""

_SHOWN = 200


class TomocurateError(Exception):
    """One sentence for a person: what is wrong, where, and what would be right."""


class CatalogError(TomocurateError):
    """A catalog cannot be opened, or is not what it should be."""


class CatalogBusyError(CatalogError):
    """Somebody else has been writing for too long; trying again is safe."""


class ConflictError(TomocurateError):
    """Somebody else changed this first; nothing was overwritten."""

    @classmethod
    def since(
        cls, name: str, person: str | None, at: datetime, versions: tuple[int, int]
    ) -> "ConflictError":
        """Say who was first and when (UTC); ``versions`` are the one now and the one seen."""
        return cls(
            f"{name}: {person or 'somebody'} changed it on {at:%Y-%m-%d at %H:%M:%S} UTC (version "
            f"{versions[0]}, you saw {versions[1]}); look at it again, then repeat."
        )


class UnknownNameError(TomocurateError):
    """There is no such thing; the nearest names are told."""

    @classmethod
    def among(cls, what: str, name: str, known: Iterable[str]) -> "UnknownNameError":
        """Say that ``name`` is unknown, with up to three near ones."""
        alike = heapq.nlargest(_COMPARED, known, key=lambda other: _common_length(name, other))
        near = difflib.get_close_matches(name[:_SHOWN], alike, n=3, cutoff=0.5)
        meant = f"; did you mean {', '.join(near)}?" if near else "."
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
        return cls(f"there is no {what} {shown!r}{meant}")


class TakenNameError(TomocurateError):
    """Something else has this name."""


class NotAllowedError(TomocurateError):
    """This person may not do this."""


class StepError(TomocurateError):
    """A step that is not legal now; says what would be."""


def _common_length(name: str, other: str) -> int:
    """Characters that two names have in common at their beginning and end."""
    return _alike(name, other) + _alike(name[::-1], other[::-1])


def _alike(name: str, other: str) -> int:
    pairs = enumerate(zip(name, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(name), len(other)))
