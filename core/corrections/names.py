"""The names of correction files: which are legal, which are free, which state a kind."""

import itertools
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from core.errors import CorrectionError
from core.imaging.correction import VOLUME_SUFFIXES, is_correction_name, kind_of, names_kinds

MAX_NAME_BYTES = 200
"""Of a file name, so that its temporary names fit a folder, too."""


def check_slot_name(file_name: str) -> str:
    """Give a file name as the catalog has it (Unicode's composed form).

    Errors: CorrectionError for path parts, invisible characters, and what is too long.
    """
    name = unicodedata.normalize("NFC", file_name)
    shown = repr(file_name[:80])
    if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
        raise CorrectionError(f"{shown}…: a file name has at most {MAX_NAME_BYTES} bytes.")
    if not name.isprintable() or any(char in name for char in "/\\"):
        raise CorrectionError(
            f"{shown}: name the file alone, without folders or invisible characters, e.g. "
            "Add1.nrrd."
        )
    if name != name.strip() or name.startswith((".", "-")) or name.endswith("."):
        raise CorrectionError(
            f"{shown}: a name neither begins nor ends with a dot, hyphen or space, e.g. Add1.nrrd."
        )
    return name


def check_is_correction(slot: str, path: Path) -> None:
    """Refuse a file that is a correction neither by its name nor by its labels' names.

    Errors: CorrectionError.
    """
    if is_correction_name(slot) or (slot.lower().endswith(".nrrd") and names_kinds(path)):
        return
    if kind_of(slot) is None:
        raise CorrectionError(
            f"{slot}: not a correction file: the name must start with Add, Remove or Ignore, e.g. "
            "Add1.nrrd, or its labels must be named so."
        )
    known = ", ".join(VOLUME_SUFFIXES)
    raise CorrectionError(f"{slot}: unknown format; formats that can be read are {known}.")


def free_name(slot: str, known: Iterable[str], folder: Path | None = None) -> str:
    """Give the first name of the same kind and format that neither catalog nor folder has."""
    stem, dot, suffix = slot.partition(".")
    kind = kind_of(slot)
    stem = kind.value.capitalize() if kind else stem
    names = set(known)
    with suppress(OSError):
        names |= {path.name for path in folder.iterdir()} if folder else set()
    taken = {name.lower().partition(".")[0] for name in names}
    number = next(n for n in itertools.count(1) if f"{stem}{n}".lower() not in taken)
    return f"{stem}{number}{dot}{suffix}"
