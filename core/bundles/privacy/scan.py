"""Search a bundle's texts for names: file names, JSON, tables and pages.

Volumes are not searched: their voxels are ours, and ``field_policy`` compares their headers byte
by byte with those that we write.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.bundles.privacy.names import (
    Needle,
    Secret,
    SecretKind,
    days_in,
    fold,
    needles_of,
    squeeze,
)

NAMING = frozenset({SecretKind.PERSON, SecretKind.EMAIL})
"""What may stand where people agreed to be named; a path may not even there."""

_APART = "\n" * 4
"""Keeps texts apart that are searched as one: no pattern crosses it."""


@dataclass(frozen=True)
class Hit:
    """A secret was found."""

    where: str
    """The file in the bundle, and the field in it."""
    secret: Secret


@dataclass(frozen=True)
class Allowed:
    """Fields and lines in which people who agreed to be named may appear."""

    fields: frozenset[str] = field(default_factory=frozenset)
    lines: frozenset[str] = field(default_factory=frozenset)


class Scanner:
    """Searches files and text for secrets."""

    def __init__(self, secrets: Iterable[Secret], own_text: str = "") -> None:
        """Prepare to search; what stands in ``own_text`` is no secret (see ``needles_of``)."""
        secrets = list(secrets)
        self.needles: Sequence[Needle] = needles_of(secrets, own_text)
        self.days = {secret.text: secret for secret in secrets if secret.kind is SecretKind.DATE}

    @property
    def searched(self) -> int:
        """Return the number of secrets that can be searched for."""
        return len({needle.secret for needle in self.needles}) + len(self.days)

    def text(self, where: str, text: str) -> list[Hit]:
        """Search text, whatever its case, accents and separators."""
        folded, cased = fold(text), fold(text, cased=True)
        squeezed = squeeze(folded)
        found = {
            needle.secret
            for needle in self.needles
            if needle.key in squeezed and needle.pattern.search(cased if needle.cased else folded)
        }
        found |= {self.days[day] for day in days_in(folded) if day in self.days}
        return [Hit(where, secret) for secret in sorted(found, key=lambda s: (s.kind, s.text))]

    def file(self, path: Path, name: str, allowed: Allowed | None = None) -> list[Hit]:
        """Search a file's name, and what it holds unless it is a volume."""
        allowed = allowed or Allowed()
        hits = self.text(f"{name}: its name", name)
        if path.suffix == ".gz":
            return hits
        raw = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            try:
                return hits + self._json(json.loads(raw), name, allowed)
            except (ValueError, RecursionError):
                return hits + self._lines(raw, name, allowed)
        return hits + self._lines(raw, name, allowed)

    def _json(self, value: Any, name: str, allowed: Allowed) -> list[Hit]:
        leaves = [(f"{name}: {key}", text) for key, text in strings_in(value)]
        if not self.text(name, _APART.join(text for _, text in leaves)):
            return []
        return [
            hit
            for where, text in leaves
            for hit in self.text(where, text)
            if where not in allowed.fields or hit.secret.kind not in NAMING
        ]

    def _lines(self, raw: bytes, name: str, allowed: Allowed) -> list[Hit]:
        lines = raw.decode("utf-8", "replace").split("\n")
        hits = self.text(name, "\n".join(line for line in lines if line not in allowed.lines))
        for line in allowed.lines.intersection(lines):
            hits += [hit for hit in self.text(name, line) if hit.secret.kind not in NAMING]
        if b"\0" in raw:
            hits += self.text(f"{name}: text", raw.replace(b"\0", b"").decode("latin-1"))
        return hits


def strings_in(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """List every key and every leaf of a JSON value, with its field: ``creators[].name``.

    Keys count as text of the object they stand in.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield where or "keys", key
            yield from strings_in(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner, where + "[]")
    elif value is not None:
        yield where, str(value)
