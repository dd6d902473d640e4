"""Searching a bundle for secrets: names, raw bytes, inflated bytes and the meaning of text.

Voxels are most of a bundle and most of them are noise. So bytes are looked up in a table of the
bytes that any needle begins with (half a gigabyte a second, however many needles), and only where
the first four bytes fit is anything compared. Short needles and dates would turn up in noise; they
count in text alone, as whole words.
"""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal import igzip_lib

from core.bundles.privacy.names import Needle, Secret, SecretKind, fold
from core.imaging.formats.source import IsalError

CHUNK = 1 << 22
HEADER = 352
"""Bytes of an inflated volume that are its header: searched as text too."""

JSON_SUFFIXES = (".json", ".jsonl")
TEXT_LIMIT = 64 << 20


NAMING = frozenset({SecretKind.PERSON, SecretKind.EMAIL})
"""What may stand where people agreed to be named; a path may not even there."""


@dataclass(frozen=True)
class Hit:
    """A secret was found."""

    where: str
    """The file in the bundle, and the field or layer in it."""
    secret: Secret


@dataclass(frozen=True)
class Allowed:
    """Where people who agreed are named: fields (``bundle.json: contact``) and whole lines."""

    fields: frozenset[str] = field(default_factory=frozenset)
    lines: frozenset[str] = field(default_factory=frozenset)


class Scanner:
    """Searches files and text for a set of needles."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self.needles = needles
        self._bytes = _ByteSearch([needle for needle in needles if not needle.word_only])
        self._words = _word_pattern([needle for needle in needles if needle.word_only])
        self._by_word = {needle.folded: needle for needle in needles}
        self._long = [needle for needle in needles if not needle.word_only]

    def text(self, where: str, text: str) -> list[Hit]:
        """Search text, whatever its case and composition."""
        folded = fold(text)
        found = [needle for needle in self._long if needle.folded in folded]
        if self._words is not None:
            found += [self._by_word[word] for word in set(self._words.findall(folded))]
        return [Hit(where, needle.secret) for needle in found]

    def bytes_of(self, where: str, pieces: Iterator[bytes]) -> list[Hit]:
        """Search a stream of bytes, also across its pieces."""
        found: set[Needle] = set()
        tail = b""
        for piece in pieces:
            joined = tail + piece
            found |= self._bytes.find(joined)
            tail = joined[-self._bytes.longest :] if self._bytes.longest else b""
        return [Hit(where, needle.secret) for needle in sorted(found, key=lambda n: n.folded)]

    def file(self, path: Path, name: str, allowed: Allowed | None = None) -> list[Hit]:
        """Search a file in every layer, its name too."""
        allowed = allowed or Allowed()
        hits = self.text(f"{name}: its name", name)
        with path.open("rb") as file:
            first = file.read(2)
            file.seek(0)
            if first == b"\x1f\x8b":
                return hits + self._gzip(file, name)
            if path.suffix in JSON_SUFFIXES:
                return hits + self._json(file.read(TEXT_LIMIT), name, allowed)
            return hits + self._plain(file, name, allowed)

    def _gzip(self, file: BinaryIO, name: str) -> list[Hit]:
        hits = self.bytes_of(f"{name}: raw bytes", iter(lambda: file.read(CHUNK), b""))
        file.seek(0)
        hits += self.text(f"{name}: gzip header", _gzip_text(file.read(512)))
        file.seek(0)
        head: list[bytes] = []
        hits += self.bytes_of(f"{name}: inflated bytes", _inflated(file, head))
        hits += self.text(f"{name}: header", _text_of(b"".join(head)[:HEADER]))
        return hits

    def _json(self, raw: bytes, name: str, allowed: Allowed) -> list[Hit]:
        try:
            value = json.loads(raw, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError):
            return self._plain(io.BytesIO(raw), name, allowed)
        hits: list[Hit] = []
        for key, text in strings_in(value):
            where = f"{name}: {key}"
            found = self.text(where, text)
            hits += _unless_named(found) if where in allowed.fields else found
        return hits

    def _plain(self, file: BinaryIO, name: str, allowed: Allowed) -> list[Hit]:
        raw = file.read(TEXT_LIMIT)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        if not text or "\0" in text or len(raw) == TEXT_LIMIT:
            file.seek(0)
            hits = self.bytes_of(name, iter(lambda: file.read(CHUNK), b""))
            return hits + self.text(f"{name}: text", _text_of(raw))
        lines = text.split("\n")
        hits = self.text(name, "\n".join(line for line in lines if line not in allowed.lines))
        for line in allowed.lines.intersection(lines):
            hits += _unless_named(self.text(name, line))
        return hits + (self._cells(text, name) if name.endswith(".csv") else [])

    def _cells(self, text: str, name: str) -> list[Hit]:
        """The cells of a table without their quotes."""
        hits: list[Hit] = []
        rows = csv.reader(io.StringIO(text, newline=""))
        try:
            for row in rows:
                hits += self.text(f"{name}: line {rows.line_num}", "\n".join(row))
        except csv.Error:
            return hits  # the rest was searched as plain text
        return hits


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with all its keys, also those that stand twice."""


def strings_in(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every key and every leaf of a JSON value, with its field: ``creators[].name``.

    Keys count as text of the object they stand in.
    """
    if isinstance(value, dict | _Pairs):
        for key, inner in value.items() if isinstance(value, dict) else value:
            yield where or "keys", key
            yield from strings_in(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner, where + "[]")
    elif value is not None:
        yield where, str(value)


class _ByteSearch:
    """Finds needles in bytes, ASCII case left out."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._buckets: dict[bytes, list[tuple[bytes, Needle]]] = defaultdict(list)
        self._pairs = np.zeros(1 << 16, bool)
        self.longest = 0
        fits = bytearray(256)
        for needle in needles:
            text = needle.folded.encode()
            self._buckets[text[:4]].append((text, needle))
            self.longest = max(self.longest, len(text))
            for place, byte in enumerate(text[:4]):
                for case in _cases(byte):
                    fits[case] |= 1 << place
            for a in _cases(text[0]):
                self._pairs[[a | b << 8 for b in _cases(text[1])]] = True
        self._fits = bytes(fits)

    def find(self, data: bytes) -> set[Needle]:
        """The needles that occur in the data."""
        if not self._buckets or len(data) < 4:
            return set()
        found: set[Needle] = set()
        for position in self.candidates(data):
            start = data[position : position + self.longest].lower()
            for text, needle in self._buckets.get(start[:4], ()):
                if start.startswith(text):
                    found.add(needle)
        return found

    def candidates(self, data: bytes) -> list[int]:
        """Positions at which the first four bytes may begin a needle."""
        fits = np.frombuffer(data.translate(self._fits), np.uint8)
        all_four = fits[:-3] & 1
        for place in (1, 2, 3):
            all_four &= fits[place : len(fits) - 3 + place] >> place
        at = np.flatnonzero(all_four)
        raw = np.frombuffer(data, np.uint8)
        pairs = raw[at] | raw[at + 1].astype(np.uint16) << 8
        return list(map(int, at[self._pairs[pairs]]))


def _unless_named(hits: list[Hit]) -> list[Hit]:
    return [hit for hit in hits if hit.secret.kind not in NAMING]


def _gzip_text(first: bytes) -> str:
    """What a gzip header may hold as text: its name or comment (nothing if it has no flags)."""
    return first.decode("latin-1") if len(first) > 3 and first[3] else ""


def _text_of(header: bytes) -> str:
    """A binary header as text: as it is, and as UTF-16 without its empty bytes."""
    return header.decode("latin-1") + "\n" + header.replace(b"\0", b"").decode("latin-1")


def _cases(byte: int) -> set[int]:
    return {byte, ord(chr(byte).upper())} if byte < 128 else {byte}


def _word_pattern(needles: Sequence[Needle]) -> re.Pattern[str] | None:
    """Whole words; a digit or letter on either side makes it another word."""
    if not needles:
        return None
    longest_first = sorted((needle.folded for needle in needles), key=len, reverse=True)
    inner = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![^\W_])(?:{inner})(?![^\W_])")


def _inflated(file: BinaryIO, head: list[bytes]) -> Iterator[bytes]:
    """The inflated bytes of every gzip member, then whatever trails as it is."""
    raw, inflater = file.read(CHUNK), igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    try:
        while raw:
            piece = inflater.decompress(raw, CHUNK)
            while piece:
                if sum(map(len, head)) < HEADER:
                    head.append(piece[:HEADER])
                yield piece
                piece = b"" if inflater.eof else inflater.decompress(b"", CHUNK)
            raw = file.read(CHUNK)
            if inflater.eof:
                raw = inflater.unused_data + raw
                inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    except (IsalError, OSError, EOFError):
        yield raw
