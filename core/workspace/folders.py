"""The folders of a workspace. The guide's own come first, so that its commands work on them too.

patches/imagesCorr, patches/labelsCorr and merged hold volumes and nothing else.
"""

import os
import re
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from core.errors import OutputError
from core.files.atomic import make_folder, whole_file
from core.imaging.extraction import CORRECTIONS_MARKER, IMAGES, LABELS

SHARED_MODE = 0o2775
"""Group-writable, and what is made inside belongs to the same group (setgid)."""

WITHDRAWN = "withdrawn"
DRAFT = ".u8.gz"
"""How the name of a draft's file ends."""

_STATUS = Path("/proc/thread-self/status")
_umask_lock = threading.Lock()


@dataclass(frozen=True)
class Folders:
    """Paths of a workspace's files."""

    root: Path

    @property
    def patches(self) -> Path:
        return self.root / "patches"

    @property
    def images(self) -> Path:
        return self.patches / IMAGES

    @property
    def labels(self) -> Path:
        return self.patches / LABELS

    @property
    def records(self) -> Path:
        return self.patches / "records"

    @property
    def corrections(self) -> Path:
        return self.root / "corrections"

    @property
    def merged(self) -> Path:
        return self.root / "merged"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def store(self) -> Path:
        """Every submitted correction and merged version, under its sha256."""
        return self.root / "store"

    @property
    def drafts(self) -> Path:
        """Folder of unsaved drafts, one file each."""
        return self.store / "drafts"

    @property
    def refused(self) -> Path:
        """Submitted files that could not be read; bounded."""
        return self.store / "refused"

    @property
    def placing(self) -> Path:
        """Notes on files that a committed step has not put in place yet."""
        return self.store / "placing"

    @property
    def cache(self) -> Path:
        """Previews and thumbnails; may be removed at any time."""
        return self.root / "cache"

    @property
    def locks(self) -> Path:
        """Empty files that keep writers apart; made as they are needed."""
        return self.root / "locks"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    def image_of(self, patch: str) -> Path:
        return self.images / f"{patch}.nii.gz"

    def label_of(self, patch: str) -> Path:
        """The extracted label, before corrections."""
        return self.labels / f"{patch}.nii.gz"

    def record_of(self, patch: str) -> Path:
        return self.records / f"{patch}.json"

    def corrections_of(self, patch: str) -> Path:
        """The folder of a patch's corrections; macOS may have made it with a decomposed name."""
        folder = self.corrections / patch
        decomposed = self.corrections / unicodedata.normalize("NFD", patch)
        if patch.isascii() or not decomposed.is_dir():
            return folder
        return folder if folder.is_dir() and any(folder.iterdir()) else decomposed

    def withdrawn_of(self, patch: str) -> Path:
        return self.corrections_of(patch) / WITHDRAWN

    def merged_of(self, patch: str) -> Path:
        """The current version of the training label."""
        return self.merged / f"{patch}.nii.gz"

    def make(self) -> None:
        """Make what is not there yet, group-writable.

        Errors: OutputError.
        """
        for folder in (
            self.patches,
            self.images,
            self.labels,
            self.records,
            self.corrections,
            self.merged,
            self.exports,
            self.store,
            self.refused,
            self.cache,
            self.backups,
        ):
            make_shared(folder)
        self.mark_corrections()

    def mark_corrections(self) -> None:
        """Write the marker by which the corrections folder is known from an empty mount point.

        Errors: OutputError.
        """
        marker = self.corrections / CORRECTIONS_MARKER
        if not marker.exists():
            with whole_file(marker) as partial:
                partial.write_text("The corrections of a tomocurate workspace; keep this file.\n")


def make_shared(folder: Path) -> None:
    """Make one folder that a group works in; one that is there keeps its permissions.

    Errors: OutputError.
    """
    if folder.is_dir():
        return
    make_folder(folder)
    try:
        folder.chmod(SHARED_MODE & ~_umask_of_others())
    except OSError as error:
        raise OutputError(f"{folder}: its permissions cannot be set ({error.strerror}).") from error


def _umask_of_others() -> int:
    """Return the permission bits that the umask removes for others; the group keeps its own."""
    return _umask() & 0o007


def _umask() -> int:
    """The umask, without setting it where the system tells it: other threads make files."""
    try:
        match = re.search(r"^Umask:\s*([0-7]+)", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        match = None
    if match:
        return int(match[1], 8)
    with _umask_lock:
        mask = os.umask(0o077)
        os.umask(mask)
        return mask
