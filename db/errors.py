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
from collections.abc import Iterable
from datetime import datetime


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
        near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
        meant = f"; did you mean {', '.join(near)}?" if near else "."
        return cls(f"there is no {what} {name!r}{meant}")


class TakenNameError(TomocurateError):
    """Something else has this name."""


class NotAllowedError(TomocurateError):
    """This person may not do this."""


class StepError(TomocurateError):
    """A step that is not legal now; says what would be."""
