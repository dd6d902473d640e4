"""Files that are kept once under their hash: linked where the disk is the same, else copied."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from core.corrections.store import Store
from core.errors import OutputError
from core.workspace.folders import make_shared


def has(store: Store, sha256: str, size: int) -> bool:
    """Return whether a store has a file of this hash and size; its bytes are not read."""
    with suppress(OSError):
        return store.path_of(sha256).stat().st_size == size
    return False


def link_or_copy(source: Path, kept_in: Store, sha256: str) -> None:
    """The same disk keeps one file under two names; files of a store are never changed."""
    target = kept_in.path_of(sha256)
    make_shared(kept_in.folder)
    make_shared(target.parent)
    try:
        target.unlink(missing_ok=True)
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise _cannot(target, error) from error
        kept_in.put_file(source)


def _cannot(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written ({error.strerror or error}); make space.")
