"""Every error of the core that a person can act on, one shallow tree.

TomocurateError            the root (in db.errors, so that all floors may raise it)
├── VolumeError            a volume file cannot be read as what it claims to be
├── PointsError            a coordinate file holds no usable centers
├── CenterError            a patch center whose box leaves the tomogram
├── SegmentationError      a segmentation that does not belong to its tomogram
├── PatchNameError         a token or patch name that cannot be a file name
├── LabelError             a label that is no training label
├── CorrectionError        a correction file that cannot be placed on its patch
├── DrawingError           what a painter sent is no drawing of its patch
├── OutputError            a result that cannot be written
├── ExportError            a training set or bundle that would not load, or give too much away
├── ArchiveError           an archive that is not safe to open
├── BundleError            a bundle that is not what it says
├── ServeError             a dashboard that cannot be served like this
├── AdoptionError          a folder that cannot be adopted as the guide's
├── RootError              a path that lies in no data root, or a root that is none
├── CancelledError         work that somebody cancelled while it ran
├── JobError               a job that cannot be done, or was stopped
├── BackupError            a backup that cannot be made, verified or restored
├── WorkspaceError         a folder that is no workspace, or its settings are wrong
├── StoreError             a file of the store is gone or changed, or one cannot be read
│   └── FileChangedError   a file that somebody is still saving
└── RecordError            a patch's record that is damaged, or of a newer version
"""

import logging
import secrets

from db.errors import TomocurateError

log = logging.getLogger("tomocurate")


def explain(error: BaseException, log_name: str = "the log") -> str:
    """Return one sentence about any error, for a person.

    What is not one of ours is logged with its traceback under the reference that the sentence
    names.
    """
    if isinstance(error, TomocurateError):
        return str(error)
    reference = secrets.token_hex(4)
    log.error("reference %s", reference, exc_info=error)
    return f"{_cause(error)} (reference {reference} in {log_name})."


def _cause(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; close other programs, or try a smaller part"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}the system reports: {error.strerror or error}"
    return f"unexpected {type(error).__name__}; please report it"


class VolumeError(TomocurateError):
    """A volume file cannot be read as what it claims to be."""


class LabelNamesError(VolumeError):
    """A multi-label file whose label names cannot be read."""


class PointsError(TomocurateError):
    """A coordinate file holds no usable patch centers."""


class CenterError(TomocurateError):
    """The box around a patch center leaves the tomogram."""


class SegmentationError(TomocurateError):
    """A segmentation does not belong to its tomogram, or is no label volume."""


class PatchNameError(TomocurateError):
    """A token or a patch name cannot be used as a file name."""


class LabelError(TomocurateError):
    """A label holds other values than 0 background, 1 membrane, 2 ignore."""


class CorrectionError(TomocurateError):
    """A correction file cannot be placed on its patch."""


class DrawingError(TomocurateError):
    """A painter sent something that is not a drawing of its patch."""


class DrawingSizeError(DrawingError):
    """A drawing holds more than its patch."""


class OutputError(TomocurateError):
    """A result cannot be written where it was asked for."""


class ExportError(TomocurateError):
    """A training set or bundle that would not load, or would give too much away.

    ``faults`` holds one sentence for each thing that is wrong; the message tells the first.
    """

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults or (message,)


class ArchiveError(TomocurateError):
    """An archive or folder is not safe to open: a link, a path that leaves it, a bomb."""


class BundleError(TomocurateError):
    """A bundle is not what it says: a checksum, a file, a field or a version.

    ``faults`` holds one sentence for each thing that is wrong; the message tells the first.
    """

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults or (message,)


class JobError(TomocurateError):
    """A job cannot be done, or was stopped."""


class BackupError(TomocurateError):
    """A backup cannot be made, verified or restored."""


class ServeError(TomocurateError):
    """The dashboard cannot be served like this."""


class WorkspaceError(TomocurateError):
    """A folder is no workspace, or its settings are wrong."""


class CancelledError(TomocurateError):
    """Somebody cancelled this work while it ran; nothing half-made remains."""


class RootError(TomocurateError):
    """A path lies in no data root, is no regular file, or a folder cannot be a root."""


class StoreError(TomocurateError):
    """A file of the store is gone or changed, or one that should go in cannot be read."""


class FileChangedError(StoreError):
    """A file changed while it was read: somebody is still saving it."""


class RecordError(TomocurateError):
    """A patch's record (its sidecar) is damaged, or of a newer version."""


class AdoptionError(TomocurateError):
    """A folder does not hold what the guide's folders hold, or a patch of it cannot be taken."""
