"""Other forms of a training set: the interface where a next format goes.

A target reads a training set or unpacked bundle from disk and writes its own folder from it. The
folder appears whole or not at all, and the same set gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from core.errors import ExportError
from core.exports.check_folder import Pair, list_pairs
from core.files.whole_folder import OutFolder
from db.vocabulary import Split


class Target(Protocol):
    """A form that a training set can take."""

    name: str
    """What people call it, such as ``ome-zarr``."""
    marker: str
    """The file in its top folder by which an earlier export is known again."""

    def write(self, pairs: Sequence[Pair], source: Path, folder: Path) -> None:
        """Write all cases into an empty folder; ``source`` is the training set that has them."""
        ...

    def written(self, folder: Path) -> frozenset[str]:
        """List what an earlier export in this form wrote, as relative POSIX paths."""
        ...


def targets() -> Mapping[str, Target]:
    """All targets by name; each is imported when it is asked for."""
    from core.exports.targets.nifti_folder import NiftiFolder
    from core.exports.targets.ome_zarr import OmeZarr

    return {target.name: target for target in (NiftiFolder(), OmeZarr())}


def convert(source: Path, out: Path, target: Target, *, overwrite: bool = False) -> bool:
    """Write a training set or unpacked bundle in another form; True where it lay there already.

    Errors: ExportError for a folder that is no training set; OutputError; VolumeError.
    """
    pairs, faults = [], []
    for split in Split:
        found, wrong = list_pairs(source, split)
        pairs += found
        faults += [fault.message for fault in wrong]
    if faults or not pairs:
        messages = (
            *faults,
            f"{source}: holds no cases; name a training set or an unpacked bundle.",
        )
        raise ExportError(messages[0], messages if not pairs else tuple(faults))
    with OutFolder(
        out, marker=target.marker, overwrite=overwrite, written=target.written
    ) as folder:
        target.write(pairs, source, folder.staging)
        return folder.publish()
