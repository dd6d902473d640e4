"""A folder that appears whole or not at all: written beside its target, then renamed."""

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import OutputError
from core.imaging.hashes import file_hash


class OutFolder:
    """Gives ``staging`` to write into; ``publish`` makes it the target. A context manager.

    Without ``publish`` (an error, an interrupt) nothing is left behind.
    """

    def __init__(self, target: Path, *, marker: str, overwrite: bool = False) -> None:
        """Prepare beside the target.

        ``marker`` is the file by which an earlier export of ours is known: only such a folder is
        ever replaced, and only with ``overwrite``.

        Errors: OutputError names what is in the way.
        """
        self.target, self.marker, self.overwrite = target, marker, overwrite
        if not target.parent.is_dir():
            raise OutputError(f"{target}: its parent folder {target.parent} does not exist.")
        self._check_target()
        try:
            self.staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        except OSError as error:
            raise OutputError(f"{target}: cannot be written ({error.strerror}).") from error
        self.staging.chmod(target.parent.stat().st_mode & 0o777)

    def publish(self) -> bool:
        """Move the staging folder into place; True where an equal one lay there already.

        Errors: OutputError where another export lies there and ``overwrite`` was not said.
        """
        if self._exists() and _same_tree(self.staging, self.target):
            return True
        if self._exists() and not self.overwrite:
            raise OutputError(
                f"{self.target}: holds another export; name another folder, or replace it with "
                "--overwrite."
            )
        _sync_tree(self.staging)
        self._swap()
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)

    def _exists(self) -> bool:
        return self.target.is_dir() and any(self.target.iterdir())

    def _check_target(self) -> None:
        if self.target.is_symlink() or (self.target.exists() and not self.target.is_dir()):
            raise OutputError(f"{self.target}: a file or link is in the way; name a new folder.")
        if self._exists() and not (self.target / self.marker).is_file():
            raise OutputError(f"{self.target}: holds other files; name a new or empty folder.")

    def _swap(self) -> None:
        old = None
        try:
            if self.target.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{self.target.name}.", dir=self.target.parent))
                self.target.rename(old / "old")
            self.staging.rename(self.target)
        except OSError as error:
            raise OutputError(f"{self.target}: cannot be written ({error.strerror}).") from error
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def _same_tree(first: Path, second: Path) -> bool:
    names = [
        sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        for folder in (first, second)
    ]
    if names[0] != names[1]:
        return False
    files = [name for name in names[0] if (first / name).is_file()]
    return all(
        (second / name).is_file()
        and (first / name).stat().st_size == (second / name).stat().st_size
        and file_hash(first / name) == file_hash(second / name)
        for name in files
    )


def _sync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
