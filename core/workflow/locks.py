"""One writer a patch on this machine: files and catalog change together, in one order.

The catalog alone would keep two writers apart, but not the files that each puts in place. A lock
ends with its process, however that ends.
"""

import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from core.workflow.folders import make_shared
from core.workflow.workspace import Workspace
from db.errors import ConflictError

STRIPES = 64
"""Lock files, whatever the number of patches."""

WAIT_SECONDS = 60.0
_LOOK_AGAIN = 0.01


@contextmanager
def patch_lock(workspace: Workspace, patch: str, what: str = "patch") -> Iterator[None]:
    """Keep other threads and processes off a patch's files until the block ends.

    ``what`` tells locks of different things apart; a thread must not take the same one twice.

    Errors: ConflictError where somebody holds it for a minute.
    """
    folder = workspace.catalog_folder / "locks"
    make_shared(folder)
    stripe = zlib.crc32(patch.encode("utf-8", "surrogateescape")) % STRIPES
    flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(folder / f"{what}-{stripe:02}", flags, 0o664)
    try:
        _wait(descriptor, patch)
        yield
    finally:
        os.close(descriptor)


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
