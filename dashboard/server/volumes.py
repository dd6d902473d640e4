"""The volumes that are being looked at: opened once, shared by all, at most so many at a time."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import VolumeError
from core.files.cache import Cache
from core.imaging.preview.store import preview_key
from core.imaging.preview.view import ViewedFile, VolumeView

MOST_OPEN = 48
FOUND_S = 10.0
"""Seconds for which a file that was found is not asked for again; one looks at many slices."""


FindFile = Callable[[str], ViewedFile]
"""The file of an object such as ``tomogram-12``; raises UnknownNameError for none."""


class _Shelf:
    """One open view and how many requests read it now."""

    def __init__(self, view: VolumeView) -> None:
        self.view = view
        self.readers = 0
        self.leaving = False


class OpenVolumes:
    """Views by what they show. Safe to use from several threads."""

    def __init__(self, find_file: FindFile, previews: Cache, most: int = MOST_OPEN) -> None:
        """Say how objects are found, where previews lie, and how many stay open."""
        self._find_file = find_file
        self._previews = previews
        self._most = most
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._found: dict[str, tuple[float, ViewedFile]] = {}

    @contextmanager
    def use(self, name: str) -> Iterator[VolumeView]:
        """The view of an object, open for as long as the block lasts.

        Errors: VolumeError, UnknownNameError.
        """
        shelf = self._take(self._file_of(name))
        try:
            yield shelf.view
        finally:
            self._give_back(shelf)

    def close(self) -> None:
        """Close all that nobody reads, the rest when it was read."""
        with self._lock:
            while self._shelves:
                self._drop(self._shelves.popitem(last=False)[1])

    def _file_of(self, name: str) -> ViewedFile:
        now = time.monotonic()
        found_at, file = self._found.get(name, (-FOUND_S, None))
        if file is None or now - found_at >= FOUND_S:
            file = self._find_file(name)
            with self._lock:
                self._found = {n: f for n, f in self._found.items() if now - f[0] < FOUND_S}
                self._found[name] = now, file
        return file

    def _take(self, file: ViewedFile) -> _Shelf:
        try:
            key = preview_key(file.path, file.look, file.threshold, file.membrane)
        except OSError as error:
            raise VolumeError(f"{file.path}: cannot be opened ({error.strerror}).") from error
        preview = self._previews.find(key)
        place = f"{key}{'+' if preview else ''}"
        with self._lock:
            opening = self._opening.setdefault(place, threading.Lock())
        with opening:  # five people who open one tomogram read it once
            shelf = self._known(place)
            if shelf is None:
                view = VolumeView(file, preview)
                shelf = self._keep(place, view)
        return shelf

    def _known(self, place: str) -> _Shelf | None:
        with self._lock:
            shelf = self._shelves.get(place)
            if shelf:
                self._shelves.move_to_end(place)
                shelf.readers += 1
            return shelf

    def _keep(self, place: str, view: VolumeView) -> _Shelf:
        shelf = _Shelf(view)
        shelf.readers = 1
        with self._lock:
            self._shelves[place] = shelf
            self._opening.pop(place, None)
            while len(self._shelves) > self._most:
                self._drop(self._shelves.popitem(last=False)[1])
        return shelf

    def _give_back(self, shelf: _Shelf) -> None:
        with self._lock:
            shelf.readers -= 1
            if shelf.leaving and not shelf.readers:
                shelf.view.close()

    def _drop(self, shelf: _Shelf) -> None:
        shelf.leaving = True
        if not shelf.readers:
            shelf.view.close()
