"""Names that must not leave the lab: people, paths, hosts, tomograms, dates.

They are drawn from the catalog, so that nobody has to remember them; each is searched in the ways
people write it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from core.bundles.facts import Level
from core.exports.patch import CuratedPatch

SHORT = 5
"""Letters below which a name counts as a whole word alone."""

LEAST = 2
"""Letters of the shortest name that is searched; numbers have five digits at least."""

_GAP = r"[\W_]{0,3}"
"""Between the parts of a person's name."""

_JOINT = r"(?:[^\w,\n]|_){0,3}"
"""Between the parts of a token; not a comma, which separates the cells of a table."""

_START, _END = r"(?<![^\W_])", r"(?![^\W_])"
_DIGRAPHS = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe"}
_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
    | {"Ø": "O", "Ł": "L", "Đ": "D", "Æ": "Ae", "Œ": "Oe"}
)
_BEFORE_INITIALS = (
    r"\b(?:[Bb]y|[Ff]rom|[Tt]o|[Ww]ith|[Tt]hanks|[Aa]nnotators?|[Oo]perators?|[Cc]urators?|"
    r"[Rr]eviewers?|[Uu]sers?|[Ii]nitials)[\s:=(]{1,3}(?:[A-Z]{2,3}(?:, ?| and | & |/))*"
)
_MONTHS = (
    ("january", "januar", "janvier", "enero", "jan"),
    ("february", "februar", "fevrier", "febrero", "feb"),
    ("march", "marz", "maerz", "mars", "marzo", "mar"),
    ("april", "avril", "abril", "apr"),
    ("may", "mai", "mayo"),
    ("june", "juni", "juin", "junio", "jun"),
    ("july", "juli", "juillet", "julio", "jul"),
    ("august", "aout", "agosto", "aug"),
    ("september", "septembre", "septiembre", "sept", "sep"),
    ("october", "oktober", "octobre", "octubre", "oct", "okt"),
    ("november", "novembre", "noviembre", "nov"),
    ("december", "dezember", "decembre", "diciembre", "dec", "dez"),
)
_MONTH_NUMBER = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
_MONTH = r"([^\W\d_]{3,10})"
_DAY_PATTERNS = (
    (re.compile(r"(?<!\d)(\d{4})[-_./ ]?(\d\d)[-_./ ]?(\d\d)(?!\d)"), ("ymd",)),
    (re.compile(r"(?<!\d)(\d{4})[-_./ ](\d{1,2})[-_./ ](\d{1,2})(?!\d)"), ("ymd",)),
    (re.compile(r"(?<!\d)(\d{1,2})[-_./ ](\d{1,2})[-_./ ](\d{4}|\d\d)(?!\d)"), ("dmy", "mdy")),
    (re.compile(r"(?<!\d)(\d\d)[-_./](\d\d)[-_./](\d\d)(?!\d)"), ("ymd",)),
    (re.compile(r"(?<!\d)(\d\d)(\d\d)(\d{4})(?!\d)"), ("dmy", "mdy")),
    (
        re.compile(
            rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|\.)?[\s_-]*(?:of|de)?[\s_-]*{_MONTH}"
            r"[\s.,_-]*(?:de )?(\d{4}|\d\d)(?!\d)"
        ),
        ("dmy",),
    ),
    (
        re.compile(rf"{_MONTH}[\s._-]*(\d{{1,2}})(?:st|nd|rd|th)?[\s,._-]+(\d{{4}})(?!\d)"),
        ("mdy",),
    ),
    (re.compile(rf"(?<!\d)(\d{{4}})[\s._-]*{_MONTH}[\s._-]*(\d{{1,2}})(?!\d)"), ("ymd",)),
)
_SESSION_DAY = re.compile(r"(?<!\d)(20\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)(?!\d)")


class SecretKind(StrEnum):
    """Kind of a secret; reports state the kind, never the secret."""

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
    """One name that must not be found."""

    kind: SecretKind
    text: str = field(repr=False)


@dataclass(frozen=True)
class Needle:
    """One way in which a secret may be written."""

    secret: Secret
    pattern: re.Pattern[str] = field(repr=False)
    key: str = field(repr=False)
    """Letters and digits that any text with the pattern holds in a row (see ``squeeze``)."""
    cased: bool = False
    """Counts only in capitals, so that a name such as Green is not a colour."""


def secrets_of(patches: Iterable[CuratedPatch]) -> list[Secret]:
    """List what the patches' own records tell: people, tomograms, sessions, folders."""
    found: set[tuple[SecretKind, str]] = set()
    for patch in patches:
        people = [*patch.method.annotators, patch.method.reviewer]
        if patch.permission is not None:
            people += [patch.permission.owner, patch.permission.approved_by]
        found |= {(SecretKind.PERSON, name) for name in people if name}
        if patch.imported is None:
            tokens = {patch.tomogram, patch.source_group.rpartition("/")[2]}
            found |= {(SecretKind.TOMOGRAM, token) for token in tokens}
            found |= {(SecretKind.DATE, day) for token in tokens for day in session_days(token)}
        found.add((SecretKind.PATH, str(patch.image_path.resolve().parent)))
    return [Secret(kind, text) for kind, text in sorted(found)]


def session_days(text: str) -> list[str]:
    """Find the days that a name such as ``20240314_TS_07`` tells, as 2024-03-14."""
    return ["-".join(found) for found in _SESSION_DAY.findall(text)]


def days_in(text: str) -> set[str]:
    """Find every day (2024-03-14) that a folded text may mean, in figures or with a month's name.

    Where day and month may be either, both readings count.
    """
    return {
        day
        for pattern, orders in _DAY_PATTERNS
        for found in pattern.findall(text)
        for order in orders
        if (day := _iso_day(dict(zip(order, found, strict=True))))
    }


def needles_of(secrets: Iterable[Secret], own_text: str = "") -> list[Needle]:
    """List all ways to write the secrets; days are found by ``days_in``.

    A name in ``own_text``, the words that every bundle has, means nothing when it is found: a
    folder called ``images`` is no secret that could be kept.
    """
    own, own_cased = fold(own_text), fold(own_text, cased=True)
    return [
        needle
        for secret in secrets
        if secret.kind is not SecretKind.DATE
        for needle in _needles(secret)
        if not needle.pattern.search(own_cased if needle.cased else own)
    ]


def fold(text: str, *, cased: bool = False) -> str:
    """Write text as it is compared: no accents, invisible characters, wide forms, nor case."""
    if text.isascii():
        return text if cased else text.casefold()
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    kept = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf"))
    return kept if cased else kept.casefold()


def squeeze(folded: str) -> str:
    """Leave letters and digits alone, so that ``TS-001`` and ``ts 001`` are one."""
    return re.sub(r"[\W_]+", "", folded.casefold())


def is_searchable(text: str) -> bool:
    """Tell whether finding a name means anything: ``10`` stands in any table."""
    squeezed = squeeze(fold(text))
    return len(squeezed) >= (SHORT if squeezed.isdecimal() else LEAST)


def _iso_day(parts: dict[str, str]) -> str | None:
    month = _MONTH_NUMBER.get(parts["m"]) or (int(parts["m"]) if parts["m"].isdecimal() else 0)
    day = int(parts["d"])
    year = f"20{parts['y']}" if len(parts["y"]) == 2 else parts["y"]
    return f"{year}-{month:02}-{day:02}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _needles(secret: Secret) -> Iterator[Needle]:
    text = secret.text.strip()
    if not is_searchable(text):
        return
    if secret.kind is SecretKind.PERSON and "@" not in text:
        for spelled in _spellings(text):
            yield from _person(secret, spelled)
    elif secret.kind in (SecretKind.TOMOGRAM, SecretKind.PROJECT):
        yield _token(secret, fold(text))
    else:
        yield _literal(secret, fold(text).rstrip("/\\"))


def _spellings(name: str) -> list[str]:
    """A name with ``ä`` as ``a`` and as ``ae``, and one that was written so, with ``a``."""
    digraphs: dict[str, str | int | None] = {**_DIGRAPHS}
    digraphs |= {key.upper(): two.capitalize() for key, two in _DIGRAPHS.items()}
    composed = unicodedata.normalize("NFC", name)
    written = (
        fold(composed, cased=True),
        fold(composed.translate(str.maketrans(digraphs)), cased=True),
        re.sub(r"(?<=[aouAOU])e(?=[^\W\d_])", "", fold(composed, cased=True)),
    )
    return list(dict.fromkeys(written))


def _person(secret: Secret, cased: str) -> Iterator[Needle]:
    """A full name in any order and with any joints; the family name alone; initials."""
    given, family = _name_parts(cased)
    if not given:
        yield _token(secret, cased.casefold(), gap=_GAP)
        return
    parts = [*given, family]
    for order in ([*given, family], [family, *given]):
        joined = _GAP.join(re.escape(part.casefold()) for part in order)
        yield _needle(secret, joined, "".join(order))
    yield _family(secret, family)
    letters = [part[0].upper() for part in parts]
    dotted = _START + r"\.\s?".join(letters) + r"\."
    yield _needle(secret, dotted, "".join(letters), cased=True)
    yield _needle(secret, _BEFORE_INITIALS + "".join(letters) + _END, "".join(letters), cased=True)


def _name_parts(name: str) -> tuple[list[str], str]:
    """Split a name into given names and the family name; ``Doe, Jane`` begins with it."""
    family, comma, given = name.partition(",")
    parts = [part for part in re.split(r"[\s.,_]+", name) if part]
    if not 2 <= len(parts) <= 5:
        return [], name
    if comma and given.strip():
        return [part for part in re.split(r"[\s._]+", given) if part], family.strip()
    return parts[:-1], parts[-1]


def _family(secret: Secret, family: str) -> Needle:
    """A family name alone; a short one with a capital, since Min and Green are words too."""
    if len(family) > SHORT:
        return _needle(secret, _START + re.escape(family.casefold()) + _END, family)
    forms = f"{re.escape(family.capitalize())}|{re.escape(family.upper())}"
    return _needle(secret, f"{_START}(?:{forms}){_END}", family, cased=True)


def _token(secret: Secret, folded: str, gap: str = _JOINT) -> Needle:
    """A token however its letters and numbers are joined: TS_001, TS-001, TS 001, ts001."""
    parts = re.findall(r"[^\W\d_]+|\d+", folded)
    squeezed = "".join(parts)
    start = _START if len(squeezed) < SHORT else r"(?<!\d)" if squeezed[:1].isdecimal() else ""
    end = _END if len(squeezed) < SHORT else r"(?!\d)" if squeezed[-1:].isdecimal() else ""
    return _needle(secret, start + gap.join(map(re.escape, parts)) + end, squeezed)


def _literal(secret: Secret, folded: str) -> Needle:
    whole = len(folded) < SHORT
    pattern = re.sub(r"[/\\]+", lambda _: r"[/\\]+", re.escape(folded).replace("\\\\", "/"))
    return _needle(secret, f"{_START}{pattern}{_END}" if whole else pattern, folded)


def _needle(secret: Secret, pattern: str, key: str, *, cased: bool = False) -> Needle:
    return Needle(secret, re.compile(pattern), squeeze(key), cased)
