"""Read a folder that a lab filled by the guide: patches, their corrections, merged labels.

    imagesCorr/<patch>.nii.gz   labelsCorr/<patch>.nii.gz
    <corrections>/<patch>/Add1.nrrd …   <merged>/<patch>.nii.gz

The first two have the guide's names; the others are known by what they hold, or are named.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import AdoptionError
from core.imaging.correction import may_be_correction
from core.imaging.extraction import IMAGES, LABELS
from core.imaging.merging import LABEL_SUFFIXES
from core.workspace.text import LONGEST_NAME_BYTES

_NAME = re.compile(r"(?P<dataset>[^\W_](?:[^\W_]|-)*)_(?P<token>.+)_patch(?P<number>\d{1,9})")
_DATASET = re.compile(r"(?P<dataset>[^\W_](?:[^\W_]|-)*)_(?P<token>.+)")


@dataclass(frozen=True)
class PatchName:
    """The parts of a patch's name, by MemBrain-seg's rule as far as it follows it."""

    dataset: str
    token: str
    number: int | None


@dataclass(frozen=True)
class FoundPatch:
    """The files of one patch; ``error`` says why it cannot be adopted."""

    name: str
    named: PatchName
    image: Path | None
    label: Path | None
    corrections: tuple[Path, ...] = ()
    strays: tuple[str, ...] = ()
    """Files in its correction folder that are no corrections."""
    merged: Path | None = None
    error: str | None = None


@dataclass(frozen=True)
class AdoptionPlan:
    """The folders that were found and the patches in them."""

    folder: Path
    images: Path
    labels: Path
    corrections: Path | None
    merged: Path | None
    patches: tuple[FoundPatch, ...]
    findings: tuple[str, ...]


def read_folders(
    folder: Path,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    corrections: Path | None = None,
    merged: Path | None = None,
) -> AdoptionPlan:
    """Look at a folder; folders that are named need not be recognised.

    Errors: AdoptionError where images or labels are not there, or several folders look alike.
    """
    below = _folders_below(folder)
    images = _find_named(folder, below, IMAGES, images)
    labels = _find_named(folder, below, LABELS, labels)
    every = {name_of(path): path for path in _volumes(images)}
    labelled = {name_of(path): path for path in _volumes(labels)}
    names = set(every) | set(labelled)
    rest = [item for item in below if item not in (images, labels)]
    if corrections is None:
        held = {
            item: len(names & {p.name for p in _list_files(item) if p.is_dir()}) for item in rest
        }
        corrections = _fullest(held, "correction folders", "corrections")
    if merged is None:
        rest = [item for item in rest if item != corrections and corrections not in item.parents]
        held = {item: len(names & {name_of(path) for path in _volumes(item)}) for item in rest}
        merged = _fullest(held, "merged labels", "merged")
    labels_made = {name_of(path): path for path in _volumes(merged)} if merged else {}
    patches = tuple(
        _make_patch(name, every.get(name), labelled.get(name), corrections, labels_made.get(name))
        for name in sorted(names)
    )
    if not patches:
        raise AdoptionError(f"{folder}: {images.name} and {labels.name} hold no volumes.")
    findings = tuple(_orphans(names, corrections, labels_made))
    return AdoptionPlan(
        folder=folder,
        images=images,
        labels=labels,
        corrections=corrections,
        merged=merged,
        patches=patches,
        findings=findings,
    )


def name_of(path: Path) -> str:
    """Give the name of the patch that a volume's file is of."""
    suffix = next((s for s in LABEL_SUFFIXES if path.name.lower().endswith(s)), "")
    return path.name[: len(path.name) - len(suffix)]


def parse_name(name: str) -> PatchName:
    """Read <dataset>_<token>_patch<N>; another name keeps what it has of it."""
    match = _NAME.fullmatch(name)
    if match:
        return PatchName(match["dataset"], match["token"], int(match["number"]))
    match = _DATASET.fullmatch(name)
    if match:
        return PatchName(match["dataset"], match["token"], None)
    return PatchName("other", name, None)


def _make_patch(
    name: str, image: Path | None, label: Path | None, corrections: Path | None, merged: Path | None
) -> FoundPatch:
    files, strays = _corrections(_folder_of(corrections, name) if corrections else None)
    missing = f"{IMAGES}" if image is None else f"{LABELS}" if label is None else None
    error = _bad_name(name)
    if missing:
        error = f"{name}: has no volume in {missing}; a patch has both its image and its label."
    return FoundPatch(
        name=name,
        named=parse_name(name),
        image=image,
        label=label,
        corrections=files,
        strays=strays,
        merged=merged,
        error=error,
    )


def _corrections(folder: Path | None) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    if folder is None or not folder.is_dir():
        return (), ()
    entries = list(_list_files(folder))
    good = tuple(path for path in entries if may_be_correction(path))
    return good, tuple(path.name for path in entries if path.is_file() and path not in good)


def _folder_of(corrections: Path, name: str) -> Path:
    """Name a patch's correction folder; macOS may have made it with a decomposed name."""
    decomposed = corrections / unicodedata.normalize("NFD", name)
    return decomposed if decomposed.is_dir() else corrections / name


def _bad_name(name: str) -> str | None:
    size = len(name.encode("utf-8", "surrogateescape"))
    shown = name.isprintable() and name == name.strip() and not set(name) & set("/\\")
    if shown and name and name[0] not in ".-=+@" and size <= LONGEST_NAME_BYTES:
        return None
    return (
        f"{name[:60]!r}: cannot be a patch's name; rename its files to DATASET_TOKEN_patchN, with "
        f"letters, digits, . _ + and -, at most {LONGEST_NAME_BYTES} bytes."
    )


def _orphans(names: set[str], corrections: Path | None, merged: dict[str, Path]) -> Iterable[str]:
    """List what belongs to no patch."""
    if corrections is not None:
        composed = {unicodedata.normalize("NFC", name) for name in names}
        lonely = [item.name for item in _list_files(corrections) if item.is_dir()]
        for name in lonely:
            if unicodedata.normalize("NFC", name) not in composed and name not in names:
                yield f"{corrections / name}: no patch has this name; it is left out"
    for name, path in merged.items():
        if name not in names:
            yield f"{path}: no patch has this name; it is left out"


def _find_named(folder: Path, below: Sequence[Path], name: str, given: Path | None) -> Path:
    if given is not None:
        if not given.is_dir():
            raise AdoptionError(f"{given}: not a folder; name the one that is {name}.")
        return given
    found = [item for item in below if item.name.lower() == name.lower()]
    if len(found) == 1:
        return found[0]
    how = "no folder" if not found else f"{len(found)} folders"
    raise AdoptionError(
        f"{folder}: holds {how} {name}; name the guide's folder that holds {IMAGES} and {LABELS}."
    )


def _fullest(held: dict[Path, int], what: str, option: str) -> Path | None:
    """Find the one folder that holds files of the patches; two cannot be told apart."""
    holding = [folder for folder, number in held.items() if number]
    if len(holding) > 1:
        both = " and ".join(str(folder) for folder in holding)
        raise AdoptionError(f"{both}: several folders hold {what}; name one with --{option}.")
    return holding[0] if holding else None


def _folders_below(folder: Path) -> list[Path]:
    """Folders in a folder and in those, but not inside the guide's own."""
    if not folder.is_dir():
        raise AdoptionError(f"{folder}: not a folder; name the one that holds {IMAGES}.")
    first = [item for item in _list_files(folder) if item.is_dir()]
    inner = [
        deeper
        for item in first
        if item.name.lower() not in (IMAGES.lower(), LABELS.lower())
        for deeper in _list_files(item)
        if deeper.is_dir()
    ]
    return [*first, *inner]


def _volumes(folder: Path) -> list[Path]:
    """List the volumes of a folder; of two with one name the first."""
    paths = [path for path in _list_files(folder) if path.name.lower().endswith(LABEL_SUFFIXES)]
    twice = [name for name, number in Counter(map(name_of, paths)).items() if number > 1]
    if twice:
        raise AdoptionError(f"{folder}: holds {twice[0]} in two formats; keep one of them.")
    return [path for path in paths if path.is_file()]


def _list_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise AdoptionError(f"{folder}: cannot be listed ({error.strerror}).") from error
