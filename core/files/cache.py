"""Disk cache with a size limit; the least recently used entries are removed.

An entry is a flat folder. Its index card (``index/KEY.json``) names its files with their sizes,
and only what a card names is ever removed, never through a link. The time of the card is when the
entry was last used. Several processes may share a cache.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import OutputError
from core.files.atomic import make_folder, whole_file

DEFAULT_LIMIT = 40 << 30
"""Bytes: some 25 tomograms of 1024 × 1024 × 512 with a segmentation."""
ABANDONED_S = 24 * 3600
"""An unfinished entry of this age belongs to a process that was killed."""

_INDEX = "index"
_KEY = re.compile(r"[a-z0-9]{8,64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_UNFINISHED = "unfinished"


@dataclass(frozen=True)
class _Card:
    """Index entry of the cache."""

    path: Path
    used: float
    names: tuple[str, ...]
    size: int

    @property
    def key(self) -> str:
        return self.path.stem


class Cache:
    """A folder of entries by key (lower-case letters and digits, such as a hash)."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        """Name the folder, which is made at the first entry, and its limit in bytes."""
        self.folder = folder
        self.limit = limit

    def find(self, key: str) -> Path | None:
        """Return the folder of an entry, which now counts as used; None where there is none."""
        entry = self.folder / _check_key(key)
        try:
            os.utime(self._card_path(key))
        except OSError:
            return None
        return entry if entry.is_dir() else None

    @contextmanager
    def new_entry(self, key: str, names: Sequence[str]) -> Iterator[Path]:
        """Give a new folder in which the named files are made; on success it is the entry.

        On an error nothing remains. What another process finished meanwhile is kept. Afterwards
        the least recently used entries leave until the limit holds.

        Errors: OutputError where the folder cannot be written.
        """
        make_folder(self.folder)
        make_folder(self.folder / _INDEX)
        unfinished = f"{_UNFINISHED}{secrets.token_hex(8)}"
        building = self.folder / unfinished
        self._write_card(unfinished, names, 0)
        make_folder(building)
        try:
            yield building
            self._publish(building, _check_key(key), names)
        finally:
            self._remove(_read_card(self._card_path(unfinished)))
        self.trim(keep=key)

    def entries(self) -> dict[str, int]:
        """Keys of the finished entries and their bytes, the least recently used first."""
        return {card.key: card.size for card in self._cards() if not _is_unfinished(card)}

    def trim(self, keep: str = "") -> None:
        """Remove what the limit does not hold, and what killed processes left unfinished."""
        cards = self._cards()
        now = time.time()
        for card in cards:
            if _is_unfinished(card) and now - card.used > ABANDONED_S:
                self._remove(card)
        finished = [card for card in cards if not _is_unfinished(card)]
        excess = sum(card.size for card in finished) - self.limit
        for card in finished:
            if excess <= 0:
                return
            if card.key != keep:
                self._remove(card)
                excess -= card.size

    def remove(self, key: str) -> None:
        """Remove one entry, if it is there."""
        self._remove(_read_card(self._card_path(_check_key(key))))

    def _publish(self, building: Path, key: str, names: Sequence[str]) -> None:
        size = sum((building / name).stat().st_size for name in names)
        self._write_card(key, names, size)  # before the folder, so that nothing is without one
        with suppress(OSError):  # another process made the same entry meanwhile
            building.rename(self.folder / key)
        if not (self.folder / key).is_dir():
            raise OutputError(f"{self.folder / key}: the cache entry could not be put in place.")

    def _write_card(self, key: str, names: Sequence[str], size: int) -> None:
        bad = [name for name in names if not _NAME.fullmatch(name)]
        if bad:
            raise ValueError(f"no plain file names: {bad}")
        with whole_file(self._card_path(key)) as path:
            path.write_text(json.dumps({"files": list(names), "bytes": size}))

    def _card_path(self, key: str) -> Path:
        return self.folder / _INDEX / f"{key}.json"

    def _cards(self) -> list[_Card]:
        cards = map(_read_card, (self.folder / _INDEX).glob("*.json"))
        return sorted((card for card in cards if card), key=lambda card: card.used)

    def _remove(self, card: _Card | None) -> None:
        """Unlink the files that the card names, inside a real folder of that name, then the card.

        The folder goes only if nothing else lies in it.
        """
        if card is None:
            return
        with suppress(OSError):
            # Relative to the open folder, and O_NOFOLLOW: a link in its place is left alone.
            inside = os.open(self.folder / card.key, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                for name in card.names:
                    with suppress(OSError):
                        os.unlink(name, dir_fd=inside)
            finally:
                os.close(inside)
            (self.folder / card.key).rmdir()
        with suppress(OSError):
            card.path.unlink()


def _check_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"no cache key: {key!r}")
    return key


def _is_unfinished(card: _Card) -> bool:
    return card.key.startswith(_UNFINISHED)


def _read_card(path: Path) -> _Card | None:
    """Return the card, or None where it is gone or not ours (then nothing is removed for it)."""
    try:
        used = path.lstat().st_mtime
        held = json.loads(path.read_text())
        names, size = tuple(held["files"]), int(held["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    plain = all(isinstance(name, str) and _NAME.fullmatch(name) for name in names)
    named = _KEY.fullmatch(path.stem) is not None
    return _Card(path, used, names, size) if plain and named else None
