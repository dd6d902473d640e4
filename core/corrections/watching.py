"""Watch the correction folders: how long each file has been as it is."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

QUIET_SECONDS = 5.0
"""A file is taken once it has not changed for so long: nobody is saving it any more."""


@dataclass
class Memory:
    """How long each file of the correction folders has been as it is."""

    corrections: Path
    quiet: float
    since: dict[Path, tuple[Any, float]] = field(default_factory=dict)
    collected: dict[str, Any] = field(default_factory=dict)

    def due(self) -> list[str]:
        """Folders in which something changed since they were collected, and some of it rests."""
        due = []
        for folder in self._folders():
            state = self._state(folder)
            for path, mark in state.items():
                self._note(path, mark)
            before = self.collected.get(folder.name, {})
            for path in before.keys() - state.keys():
                self._note(path, None)
            changed = [p for p in before.keys() | state.keys() if before.get(p) != state.get(p)]
            if any(self.rests(path) for path in changed):
                due.append(folder.name)
        return due

    def rests(self, path: Path) -> bool:
        mark, since = self.since.get(path, (None, float("-inf")))
        return mark == _mark(path) and time.monotonic() - since >= self.quiet

    def was_collected(self, names: Iterable[str]) -> None:
        for name in names:
            before = self.collected.get(name, {})
            state = self._state(self.corrections / name)
            self.collected[name] = {
                path: state.get(path) if self.rests(path) else before.get(path)
                for path in state.keys() | before.keys()
                if path in state or not self.rests(path)
            }

    def _folders(self) -> list[Path]:
        try:
            return sorted(p for p in self.corrections.iterdir() if p.is_dir() and p.name[0] != ".")
        except OSError:
            return []

    def _state(self, folder: Path) -> dict[Path, Any]:
        try:
            files = [path for path in folder.iterdir() if not path.name.startswith(".")]
        except OSError:
            return {}
        return {path: _mark(path) for path in files if not path.is_dir()}

    def _note(self, path: Path, mark: Any) -> None:
        if path not in self.since or self.since[path][0] != mark:
            self.since[path] = mark, time.monotonic()


def _mark(path: Path) -> Any:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
