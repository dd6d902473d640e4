"""What must not leave the lab: names of people, paths, hosts, tomograms, dates.

They are drawn from the catalog, so that nobody has to remember them; each is searched in the ways
people write it.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core.bundles.facts import Level
from core.exports.patch import CuratedPatch

LEAST_IN_BYTES = 5
"""Shorter ones turn up in random voxels; they are searched in text alone, as whole words."""

LEAST_AT_ALL = 2
"""A single letter, or a number of under five digits, stands in any table; it is not searched."""


_DAY = re.compile(r"(?<!\d)(20\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)(?!\d)")


class SecretKind(StrEnum):
    """What kind of thing a secret is; reports name the kind, never the secret."""

    PERSON = "person"
    PATH = "path"
    HOST = "host"
    EMAIL = "e-mail address"
    TOMOGRAM = "tomogram"
    PROJECT = "project"
    DATE = "date"


SEARCHED = {
    Level.INTERNAL: frozenset({SecretKind.PATH, SecretKind.HOST, SecretKind.EMAIL}),
    Level.COLLABORATOR: frozenset(SecretKind),
    Level.PUBLIC: frozenset(SecretKind),
    Level.MINIMAL: frozenset(SecretKind),
}
"""The own lab may read its own names, but no bundle needs a path."""


@dataclass(frozen=True)
class Secret:
    """One thing that must not be found."""

    kind: SecretKind
    text: str = field(repr=False)


@dataclass(frozen=True)
class Needle:
    """One way in which a secret may be written, folded (see ``fold``)."""

    secret: Secret
    folded: str = field(repr=False)
    word_only: bool
    """Counts only as a whole word, and only in text."""


def secrets_of(patches: Iterable[CuratedPatch]) -> list[Secret]:
    """What the patches' own records tell: people, tomograms, sessions, folders."""
    found: set[tuple[SecretKind, str]] = set()
    for patch in patches:
        people = [*patch.method.annotators, patch.method.reviewer]
        if patch.permission is not None:
            people += [patch.permission.owner, patch.permission.approved_by]
        found |= {(SecretKind.PERSON, name) for name in people if name}
        if patch.imported is None:
            tokens = {patch.tomogram, patch.source_group.rpartition("/")[2]}
            found |= {(SecretKind.TOMOGRAM, token) for token in tokens}
            found |= {(SecretKind.DATE, day) for token in tokens for day in dates_in(token)}
        found.add((SecretKind.PATH, str(patch.image_path.resolve().parent)))
    return [Secret(kind, text) for kind, text in sorted(found)]


def dates_in(text: str) -> list[str]:
    """The days that a text such as ``20240314_TS_07`` tells, as 2024-03-14."""
    return ["-".join(found) for found in _DAY.findall(text)]


def needles_of(secrets: Iterable[Secret], own_text: str = "") -> list[Needle]:
    """All ways to write the secrets, each once.

    What stands in ``own_text``, the words that every bundle has, means nothing when it is found:
    a folder called ``images`` is no secret that could be kept.
    """
    found: dict[str, Needle] = {}
    folded_text = fold(own_text)
    words = set(re.findall(r"[^\W_]+", folded_text))
    for secret in secrets:
        for text in _spellings(secret):
            folded = fold(text)
            word_only = _word_only(secret, folded)
            own = folded in words if word_only else folded in folded_text
            if is_searchable(folded) and not own:
                found.setdefault(folded, Needle(secret, folded, word_only))
    return [found[folded] for folded in sorted(found)]


def fold(text: str) -> str:
    """Text as it is compared: compatibility forms one, case gone."""
    return unicodedata.normalize("NFKC", text).casefold()


def is_searchable(folded: str) -> bool:
    """Whether finding a text means anything."""
    if folded.isdecimal():
        return len(folded) >= LEAST_IN_BYTES
    return len(folded) >= LEAST_AT_ALL


def _word_only(secret: Secret, folded: str) -> bool:
    return secret.kind is SecretKind.DATE or len(folded.encode()) < LEAST_IN_BYTES


def _spellings(secret: Secret) -> Sequence[str]:
    text = secret.text.strip()
    if secret.kind is SecretKind.PERSON:
        return _of_person(text)
    if secret.kind is SecretKind.DATE:
        return _of_date(text)
    if secret.kind is SecretKind.TOMOGRAM:
        return [text, re.sub(r"[\W_]", "", text)]
    if secret.kind is SecretKind.PATH:
        return [text.rstrip("/\\"), text.rstrip("/\\").replace("\\", "/")]
    return [text]


def _of_person(text: str) -> list[str]:
    """As it is, and a full name with other joints and turned round."""
    parts = [part for part in re.split(r"[\s.,_]+", text) if part]
    if not 2 <= len(parts) <= 4:
        return [text]
    turned = [parts[-1], *parts[:-1]]
    return [
        text,
        *(joint.join(order) for order in (parts, turned) for joint in " ._-"),
        "".join(parts),
        ", ".join([parts[-1], " ".join(parts[:-1])]),
    ]


def _of_date(text: str) -> list[str]:
    found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text)
    if found is None:
        return [text]
    year, month, day = found.groups()
    return [
        joint.join(parts)
        for parts in ((year, month, day), (day, month, year), (month, day, year))
        for joint in ("-", "/", ".", "_", "")
    ]
