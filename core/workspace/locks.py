"""One writer a patch: files and catalog change together, in one order.

The catalog alone would keep two writers apart, but not the files that each puts in place. A lock
ends with its process, however that ends. The locks lie in the workspace, so that every account
shares them. Machines whose file locks do not meet share a catalog in PostgreSQL, which holds a
lock of its own.
"""

import fcntl
import os
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from core.errors import OutputError
from core.workspace.folders import make_shared
from core.workspace.workspace import Workspace
from db.errors import ConflictError

STRIPES = 64
"""Lock files, whatever the number of patches."""

MODE = 0o660
WAIT_SECONDS = 60.0
_LOOK_AGAIN = 0.01


@contextmanager
def patch_lock(workspace: Workspace, patch: str, what: str = "patch") -> Iterator[None]:
    """Keep other threads and processes off a patch's files until the block ends.

    ``what`` tells locks of different things apart; a thread must not take the same one twice.

    Errors: ConflictError where somebody holds it for a minute; OutputError.
    """
    with patch_locks(workspace, [patch], what):
        yield


@contextmanager
def patch_locks(
    workspace: Workspace, patches: Iterable[str], what: str = "patch"
) -> Iterator[None]:
    """Take the locks of several patches, in one order for everybody.

    Errors: as for ``patch_lock``.
    """
    names = sorted(set(patches))
    stripes = {
        zlib.crc32(name.encode("utf-8", "surrogateescape")) % STRIPES: name for name in names
    }
    with ExitStack() as held:
        for stripe, name in sorted(stripes.items()):
            descriptor = _open_lock(workspace.folders.locks / f"{what}-{stripe:02}")
            held.callback(os.close, descriptor)
            _wait(descriptor, name)
        for name in names:
            held.enter_context(workspace.catalog.lock(f"{what} {name}"))
        yield


def _open_lock(file: Path) -> int:
    """A lock file, open to write, as a network file system asks of whoever locks; for the group."""
    make_shared(file.parent)
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    except OSError as error:
        raise OutputError(
            f"{file}: cannot be opened ({error.strerror}); let the group write there."
        ) from error
    with suppress(OSError):
        os.fchmod(descriptor, MODE)  # whatever the umask; only its owner may
    return descriptor


def _wait(descriptor: int, patch: str) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise ConflictError(
                    f"{patch}: somebody else has been changing its files for a minute; try again."
                ) from error
            time.sleep(_LOOK_AGAIN)
