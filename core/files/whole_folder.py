"""A folder that appears whole or not at all: written beside its target, then renamed."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import OutputError
from core.imaging.hashes import file_hash


class OutFolder:
    """Gives ``staging`` to write into; ``publish`` makes it the target. A context manager.

    Without ``publish`` (an error, an interrupt) nothing is left behind.
    """

    def __init__(
        self,
        target: Path,
        *,
        marker: str,
        written: Callable[[Path], frozenset[str]],
        overwrite: bool = False,
    ) -> None:
        """Prepare beside the target.

        ``marker`` is the file by which an earlier export of ours is known: only such a folder is
        ever replaced, and only with ``overwrite``. ``written`` lists what that export wrote, as
        relative POSIX paths; all else in it is somebody's own and stays.

        Errors: OutputError names what is in the way.
        """
        self.target, self.marker, self.overwrite = target, marker, overwrite
        self.written = written
        self.kept: tuple[str, ...] = ()
        """Files of the target that no export wrote, once it is published."""
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
        own = self._files_of_others()
        if self._exists() and _same_tree(self.staging, self.target, set(own)):
            self.kept = own
            return True
        if self._exists() and not self.overwrite:
            raise OutputError(
                f"{self.target}: holds another export; name another folder, or replace it with "
                "--overwrite."
            )
        self._keep(own)
        _sync_tree(self.staging)
        self._swap()
        self.kept = own
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

    def _files_of_others(self) -> tuple[str, ...]:
        """List files and links of the target that no export wrote."""
        if not self._exists():
            return ()
        ours = self.written(self.target)
        return tuple(sorted(set(_files(self.target)) - ours - {self.marker}))

    def _keep(self, names: tuple[str, ...]) -> None:
        """Place what is somebody's own into the new folder, without copying where it goes.

        Errors: OutputError where it would lie where the export has its own files.
        """
        folders = {path.parent for path in self.staging.rglob("*") if path.is_file()}
        for name in names:
            kept = self.staging / name
            beside_data = kept.parent in folders and kept.parent != self.staging
            if os.path.lexists(kept) or beside_data:
                raise OutputError(
                    f"{self.target / name}: was not written by an export and lies among its "
                    "files; move it elsewhere, then export again."
                )
            kept.parent.mkdir(parents=True, exist_ok=True)
            _link(self.target / name, kept)

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


def _files(folder: Path) -> Iterator[str]:
    """List files and links below a folder; linked folders are not entered."""
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in (*files, *links):
            yield Path(parent, name).relative_to(folder).as_posix()


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; where the file system knows none, copy it."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK):
            raise OutputError(f"{source}: cannot be kept ({error.strerror}).") from error
        shutil.copy2(source, target, follow_symlinks=False)


def _same_tree(first: Path, second: Path, without: set[str]) -> bool:
    names = sorted(_files(first))
    if names != sorted(set(_files(second)) - without):
        return False
    return all(
        (first / name).stat().st_size == (second / name).stat().st_size
        and file_hash(first / name) == file_hash(second / name)
        for name in names
    )


def _sync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
