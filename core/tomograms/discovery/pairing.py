"""Pair tomograms with the segmentations whose names begin with theirs.

    TS_001.mrc    TS_001_MemBrain_seg_v10_alpha.ckpt_segmented.mrc

MemBrain-seg names a segmentation <tomogram>_<checkpoint>_segmented. Its _scores (logits) and
_uncertainty_map (a variance) are evidence beside it. Half maps and filtered variants, as AreTomo3
(_EVN_Vol) and Warp (even/, odd/, deconv/) write them, are no tomograms of their own; a manifest may
still name one. easymode and Pom write <tomogram>__<feature>: membrane is a segmentation.
"""

import glob
import os
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import VolumeError
from core.imaging.extraction import token_of
from core.tomograms.data_roots import is_volume_name
from db.errors import UnknownNameError

MAX_FILES = 20_000
"""Of one call; a glob that finds more is a mistake."""

_SEGMENTED = re.compile(r"[_-](?:segmented|segmentation|seg|labels?)(?:[_-]|$)", re.IGNORECASE)
_EVIDENCE = re.compile(r"_(?:scores?|uncertainty_map)$", re.IGNORECASE)
_VARIANT = re.compile(r"_(?:EVN|ODD|2ND|3RD)(?:_Vol)?$|_half_?[12]$", re.IGNORECASE)
_VARIANT_FOLDERS = ("even", "odd", "deconv")
_FEATURE = re.compile(r".__(?P<feature>[^_].*)$")
_CHECKPOINT = re.compile(r"^_(?P<checkpoint>.+?)(?:\.ckpt)?_segmented$", re.IGNORECASE)


@dataclass(frozen=True)
class Predicted:
    """A segmentation file and where it is from, as far as its name or a manifest says."""

    path: Path
    model: str | None = None
    checkpoint: str | None = None
    threshold: float | None = None
    membrane_label: int | None = None
    """The value that is membrane, in a multi-class segmentation."""


@dataclass(frozen=True)
class Pairing:
    """A tomogram to register with its segmentations, or a file that cannot be."""

    tomogram: Path | None
    token: str = ""
    dataset: str = ""
    voxel_size: float | None = None
    """Angstrom, where it was stated; else the header's counts."""
    segmentations: tuple[Predicted, ...] = ()
    findings: tuple[str, ...] = ()
    error: str | None = None
    registered_as: str | None = None
    """DATASET/TOKEN of a tomogram that is in the catalog already."""
    header_voxel_size: float | None = None
    """Angstrom, as the header states; None is unknown, or not read yet."""

    @property
    def name(self) -> str:
        if self.token:
            return f"{self.dataset}/{self.token}"
        return str(
            self.tomogram or next((segmentation.path for segmentation in self.segmentations), "?")
        )


@dataclass(frozen=True)
class Sources:
    """Files that were named, and the manifests among them."""

    files: tuple[Path, ...]
    manifests: tuple[Path, ...]


def sources_of(sources: Sequence[str | Path]) -> Sources:
    """List the files that paths, folders and globs name, each once.

    Errors: VolumeError for one that names nothing, or far too much.
    """
    files: dict[Path, None] = {}
    manifests: dict[Path, None] = {}
    for source in sources:
        for path in _expand(source):
            table = path.suffix.lower() in (".csv", ".tsv")
            (manifests if table else files)[path] = None
        if len(files) > MAX_FILES:
            raise VolumeError(f"{source}: names more than {MAX_FILES} files; narrow it.")
    return Sources(tuple(files), tuple(manifests))


def real(path: Path) -> Path:
    """Resolve the links of a path, as far as they lead anywhere."""
    return Path(os.path.realpath(path))


def pair(
    files: Iterable[Path],
    segmentations: Iterable[Path] = (),
    registered: Iterable[tuple[Path, str]] = (),
) -> tuple[Pairing, ...]:
    """Pair files by name; ``registered`` are the catalog's tomograms and their DATASET/TOKEN.

    A segmentation belongs to the longest tomogram stem that its name begins with, up to a mark
    that is no letter or digit. One tomogram and one segmentation that were named belong together
    whatever their names.
    """
    named = dict.fromkeys(segmentations)
    asked = list(files)
    tomograms = [path for path in asked if path not in named and not is_beside(path)]
    were_named = bool(named)
    if not were_named:
        stems = {token_of(path) for path in tomograms}
        named = dict.fromkeys(path for path in tomograms if is_segmentation(path, stems))
        tomograms = [path for path in tomograms if path not in named]
    named = dict.fromkeys(path for path in named if not _EVIDENCE.search(token_of(path)))
    if asked and not tomograms and not named:
        return tuple(_leave_out(path) for path in asked)
    known = dict(registered)
    pairings = {path: _alone(path, known) for path in tomograms}
    if were_named and len(tomograms) == len(named) == 1:
        only, prediction = tomograms[0], next(iter(named))
        return (replace(pairings[only], segmentations=(predicted(only, prediction),)),)
    lonely = _join(pairings, named, known)
    return (*pairings.values(), *lonely)


def predicted(tomogram: Path, segmentation: Path) -> Predicted:
    """Read model and checkpoint from the name that MemBrain-seg gives a segmentation."""
    rest = token_of(segmentation).removeprefix(token_of(tomogram))
    match = _CHECKPOINT.match(rest)
    if match is None:
        return Predicted(segmentation)
    checkpoint = match["checkpoint"]
    return Predicted(segmentation, checkpoint, checkpoint)


def _expand(source: str | Path) -> list[Path]:
    text = os.fspath(source)
    if "\0" in text or "://" in text:
        raise VolumeError(f"{text[:200]!r}: not a local path; name files.")
    path = Path(text)
    if path.is_dir():
        found = [item for item in sorted(path.iterdir()) if is_volume_name(item.name)]
    elif os.path.lexists(path):
        found = [path]
    else:
        matches = glob.glob(text, recursive=True)  # noqa: PTH207 - a pattern may be absolute
        found = [Path(match) for match in sorted(matches)]
        found = [item for item in found if item.is_file()]
    if not found:
        raise VolumeError(f"{text[:300]}: no volume file is there; check the path.")
    return [item.absolute() for item in found]


def evidence_files(tomogram: Path, segmentation: Path) -> tuple[Path | None, Path | None]:
    """Find the scores and the uncertainty map that MemBrain-seg wrote with a segmentation.

    The scores' name holds no checkpoint: whoever uses them checks that they agree.
    """
    folder, stem = segmentation.parent, token_of(tomogram)
    checkpoint = re.sub(r"_segmented$", "", token_of(segmentation), flags=re.IGNORECASE)
    scores = folder / f"{stem}_scores{segmentation.suffix}"
    uncertainty = folder / f"{checkpoint}_uncertainty_map{segmentation.suffix}"
    found = [path if path.is_file() else None for path in (scores, uncertainty)]
    return found[0], found[1]


def is_beside(path: Path) -> bool:
    """Tell what only belongs to a tomogram: evidence, a half map, a variant, a feature."""
    stem = token_of(path)
    feature = _FEATURE.search(stem)
    return (
        _EVIDENCE.search(stem) is not None
        or _VARIANT.search(stem) is not None
        or path.parent.name.lower() in _VARIANT_FOLDERS
        or (feature is not None and "membrane" not in feature["feature"].lower())
    )


def _leave_out(path: Path) -> Pairing:
    evidence = _EVIDENCE.search(token_of(path)) is not None
    kind = "evidence of a segmentation" if evidence else "a half map, variant or other feature"
    message = f"{path}: {kind}, not a tomogram; name the tomogram, or state the file in a manifest."
    return Pairing(None, token_of(path), error=message)


def is_segmentation(path: Path, stems: Container[str]) -> bool:
    """Tell a segmentation: it says so itself, or is named after one of the stems and like one."""
    stem = token_of(path)
    if stem.lower().endswith("_segmented") or _FEATURE.search(stem):
        return True
    return _SEGMENTED.search(stem) is not None and owning_stem(stem[:-1], stems) is not None


def _alone(path: Path, registered: dict[Path, str]) -> Pairing:
    known = registered.get(real(path))
    return Pairing(path, registered_as=known)


def _join(
    pairings: dict[Path, Pairing], segmentations: Iterable[Path], registered: dict[Path, str]
) -> list[Pairing]:
    """Give each segmentation to its tomogram; those that found none are given back."""
    named_now = {real(path) for path in pairings}
    stems: dict[str, list[Path]] = {}
    for path in (*pairings, *(item for item in registered if item not in named_now)):
        stems.setdefault(token_of(path), []).append(path)
    lonely = []
    for segmentation in segmentations:
        stem = token_of(segmentation)
        owner = owning_stem(stem, stems)
        if owner is None:
            lonely.append(_lonely(segmentation, stems))
            continue
        paths = _nearest(segmentation, stems[owner])
        if len(paths) > 1:
            both = " and ".join(map(str, paths))
            message = f"{segmentation}: begins like {both}; state the pairs in a manifest."
            lonely.append(
                Pairing(None, stem, segmentations=(Predicted(segmentation),), error=message)
            )
            continue
        tomogram = paths[0]
        there = pairings.setdefault(tomogram, _alone(tomogram, registered))
        found = (*there.segmentations, predicted(tomogram, segmentation))
        pairings[tomogram] = replace(there, segmentations=found)
    return lonely


def owning_stem(stem: str, stems: Container[str]) -> str | None:
    """Give the longest stem that a name begins with, up to a mark that is no letter or digit.

    TS_1_seg begins with TS_1; TS_10_seg does not.
    """
    for end in range(len(stem), 0, -1):
        if (end == len(stem) or not stem[end].isalnum()) and stem[:end] in stems:
            return stem[:end]
    return None


def _nearest(segmentation: Path, tomograms: list[Path]) -> list[Path]:
    """Prefer, of tomograms with one name, those in the segmentation's folder."""
    beside = [path for path in tomograms if path.parent == segmentation.parent]
    return beside or tomograms


def _lonely(segmentation: Path, stems: Iterable[str]) -> Pairing:
    unknown = UnknownNameError.among("tomogram that begins", token_of(segmentation), stems)
    message = f"{segmentation}: no tomogram found for it: {unknown}"
    return Pairing(None, segmentations=(Predicted(segmentation),), error=message)
