"""Is a bundle what it says? Checksums, fields and figures are worked out again before it comes in.

Two layouts are read: our own bundles, which state everything, and plain folders as MemBrain-seg's
training data has them (``imagesTr/*_0000.nii.gz``, ``labelsTr/*.nii.gz``), which state nothing, so
that whoever brings them states licence and origin.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.bundles.facts import bundle_id_of
from core.bundles.patches_csv import read_table
from core.bundles.statement import (
    LONGEST_TEXT,
    TEXT_LIMIT,
    Statement,
    is_size,
    read_statement,
    refuse_all,
    shown,
)
from core.errors import BundleError, ExportError, LabelError, VolumeError
from core.exports.case import FOLDERS, spread, take_normalised
from core.exports.manifest import SUMS
from core.exports.naming import CASE, image_file, label_file
from core.exports.validate import labelled_faults
from core.files.archives import OpenedFolder
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import BORDER, Zyx, whole
from core.imaging.hashes import content_hash, file_hash
from core.imaging.labels import LabelCounts, check_label, core_of, count_values
from db.vocabulary import Licence, Split

MARKER, TABLE = "bundle.json", "patches.csv"
LARGEST_SIDE = 1024
"""Voxels; a patch has 160."""

SAME_SHARE = 1e-4
THREADS = 2
_SUM = re.compile(r"([0-9a-f]{64})  ([^\n]{1,1000})")
_HASH = re.compile(r"[0-9a-f]{64}")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CheckedCase:
    """A case whose files are what its row says. Shape (z, y, x), voxel size in angstrom."""

    patch_id: str
    source_group: str
    split: Split
    image: Path
    label: Path
    shape: Zyx
    voxel_size: float | None
    image_hash: str
    label_hash: str
    counts: LabelCounts
    licence: Licence
    attribution: str
    model: str | None
    normalised: bool
    """The image has mean 0 and standard deviation 1, about."""
    core_only: bool


@dataclass(frozen=True)
class CheckedBundle:
    """A bundle that is what it says."""

    statement: Statement
    cases: tuple[CheckedCase, ...]
    sha256: str
    """Of SHA256SUMS; of the sorted content hashes where there is none."""


def is_bundle(opened: OpenedFolder) -> bool:
    """Return whether a folder states that it is one of our bundles."""
    return MARKER in opened.names


def check_bundle(opened: OpenedFolder, progress: Progress | None = None) -> CheckedBundle:
    """Verify one of our bundles, every byte and every voxel of it.

    Errors: BundleError with all that is wrong.
    """
    if not is_bundle(opened):
        raise BundleError(_what_is_missing(opened))
    statement = read_statement(opened.path(MARKER))
    _check_sums(opened)
    rows = read_table(_text(opened, TABLE))
    refuse_all(_row_faults(rows, opened, statement))
    cases = read_cases([partial(_case_of_row, row, opened, statement) for row in rows], progress)
    hashes = [digest for case in cases for digest in (case.image_hash, case.label_hash)]
    if statement.bundle_id != bundle_id_of(
        statement.title, statement.version, statement.level, hashes
    ):
        raise BundleError(
            "bundle.json: bundle_id does not match the patches; ask the sender again."
        )
    return CheckedBundle(statement, cases, file_hash(opened.path(SUMS)))


def _what_is_missing(opened: OpenedFolder) -> str:
    tops = {name.partition("/")[0] for name in opened.names}
    if set(FOLDERS[Split.TRAIN]) <= tops:
        return (
            "the folder holds imagesTr and labelsTr but no bundle.json: state its title, licence "
            "and attribution (--title, --licence, --attribution)."
        )
    return "the folder has no bundle.json; name a bundle, or a folder with imagesTr and labelsTr."


def _check_sums(opened: OpenedFolder) -> None:
    """Every file is listed once and has the bytes that it should."""
    listed: dict[str, str] = {}
    for number, line in enumerate(_text(opened, SUMS).splitlines(), 1):
        match = _SUM.fullmatch(line)
        if match is None:
            raise BundleError(
                f"SHA256SUMS: line {number} must be a checksum and a path; ask the sender again."
            )
        if match.group(2) in listed:
            raise BundleError(
                f"SHA256SUMS: line {number} lists a file twice; ask the sender again."
            )
        listed[match.group(2)] = match.group(1)
    held = opened.names - {SUMS}
    refuse_all(
        [
            *(
                f"{shown(name)}: is missing; copy the bundle again."
                for name in sorted(set(listed) - held)
            ),
            *(
                f"{shown(name)}: is not in SHA256SUMS; it does not belong to the bundle."
                for name in sorted(held - set(listed))
            ),
        ]
    )
    names = sorted(listed)
    with ThreadPoolExecutor(THREADS) as pool:
        sums = list(pool.map(lambda name: file_hash(opened.path(name)), names))
    refuse_all(
        f"{shown(name)}: has another checksum than SHA256SUMS says; copy the bundle again."
        for name, digest in zip(names, sums, strict=True)
        if digest != listed[name]
    )


def _row_faults(
    rows: Sequence[Mapping[str, str]], opened: OpenedFolder, statement: Statement
) -> Iterable[str]:
    """Return the faults of a row that show without opening a volume."""
    if not rows:
        yield "patches.csv: lists no patch."
    yield from name_twins(row["patch_id"] for row in rows)
    for number, row in enumerate(rows, 2):
        for fault in _cell_faults(row, statement):
            yield f"patches.csv: line {number}: {fault}"
    listed = {row[kind] for row in rows for kind in ("image", "label")}
    volumes = {name for name in opened.names if name.endswith(".nii.gz")}
    for name in sorted(volumes - listed):
        yield f"{shown(name)}: no line of patches.csv has it."
    for name in sorted(listed - volumes):
        yield f"{shown(name)}: patches.csv lists it, but it is not there."


def _cell_faults(row: Mapping[str, str], statement: Statement) -> Iterable[str]:
    case = row["patch_id"]
    if CASE.fullmatch(case) is None:
        yield f"the patch_id {shown(case)} is not of the form token_tomogram_patchN."
        return
    if row["split"] not in set(Split):
        yield f"the split {shown(row['split'])} is not train, val or test."
        return
    images, labels = FOLDERS[Split(row["split"])]
    wanted = f"{images}/{image_file(case)}", f"{labels}/{label_file(case)}"
    if (row["image"], row["label"]) != wanted:
        yield f"{case}: its files should be {wanted[0]} and {wanted[1]}."
    if not all(
        row[side].isascii() and row[side].isdecimal() and 1 < int(row[side]) <= LARGEST_SIDE
        for side in ("nz", "ny", "nx")
    ):
        yield f"{case}: nz, ny and nx must be whole numbers from 2 to 1024."
    if not all(_HASH.fullmatch(row[f"{kind}_content_sha256"]) for kind in ("image", "label")):
        yield f"{case}: its content hashes must be SHA-256."
    if not is_size(_number(row["voxel_size_angstrom"])):
        yield f"{case}: voxel_size_angstrom must be between 0.1 and 1000."
    if row["licence"] not in set(Licence) or len(row["attribution"]) > LONGEST_TEXT:
        yield f"{case}: its licence is not CC0-1.0 or CC-BY-4.0, or its attribution is too long."
    if not re.fullmatch(r"[A-Za-z0-9]{1,80}", row["source_group"]):
        yield f"{case}: source_group must be letters and digits."


def read_cases(
    looks: Sequence[Callable[[], CheckedCase]], progress: Progress | None
) -> tuple[CheckedCase, ...]:
    """All cases, or everything that is wrong with any."""
    cases: list[CheckedCase] = []
    faults: list[str] = []

    def look(work: Callable[[], CheckedCase]) -> CheckedCase | BundleError:
        try:
            return work()
        except BundleError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        for number, found in enumerate(pool.map(look, looks), 1):
            if isinstance(found, CheckedCase):
                cases.append(found)
            else:
                faults += found.faults
            if progress is not None:
                progress(number, len(looks))
    refuse_all(faults)
    return tuple(cases)


def _case_of_row(row: Mapping[str, str], opened: OpenedFolder, statement: Statement) -> CheckedCase:
    case = row["patch_id"]
    paths = opened.path(row["image"]), opened.path(row["label"])
    size = float(row["voxel_size_angstrom"])
    attribution = row["attribution"] or statement.attribution
    rights = Licence(row["licence"]), attribution
    found = read_case(case, paths, Split(row["split"]), size, rights, row)
    refuse_all(f"{case}: {fault}" for fault in _lies(found, row, statement))
    return found


def read_case(
    case: str,
    paths: tuple[Path, Path],
    split: Split,
    voxel_size: float | None,
    rights: tuple[Licence, str],
    row: Mapping[str, str] | None = None,
) -> CheckedCase:
    """Read a case's two volumes to the last voxel.

    Errors: BundleError.
    """
    row = row or {}
    try:
        with open_volume(paths[0]) as image, open_volume(paths[1]) as label:
            refuse_all(_shape_faults(case, image.shape, label.shape))
            size = image.voxel_size
            voxels = image.read(whole(image.shape))
            values = check_label(label.read(whole(label.shape)))
    except LabelError as error:
        raise BundleError(f"{case}: its label {error}") from error
    except VolumeError as error:
        raise BundleError(f"{case}: {_without_path(error, paths)}") from error
    refuse_all(f"{case}: {fault}" for fault in _image_faults(voxels))
    counts = count_values(values)
    refuse_all(fault.message for fault in labelled_faults(case, counts))
    return CheckedCase(
        patch_id=case,
        source_group=row.get("source_group") or case.rpartition("_patch")[0].partition("_")[2],
        split=split,
        image=paths[0],
        label=paths[1],
        shape=Zyx(*values.shape),
        voxel_size=voxel_size if voxel_size is not None else size,
        image_hash=content_hash(voxels),
        label_hash=content_hash(values),
        counts=counts,
        licence=rights[0],
        attribution=rights[1],
        model=row.get("model") or None,
        normalised=_is_normalised(voxels),
        core_only="came without its border" in row.get("warnings", ""),
    )


def _lies(case: CheckedCase, row: Mapping[str, str], statement: Statement) -> Iterable[str]:
    """Return the fields in which a row differs from what was computed again."""
    if case.image_hash != row["image_content_sha256"]:
        yield "its image is not the one that patches.csv lists."
    if case.label_hash != row["label_content_sha256"]:
        yield "its label is not the one that patches.csv lists."
    if tuple(map(int, (row["nz"], row["ny"], row["nx"]))) != tuple(case.shape):
        yield "its shape is not the one that patches.csv lists."
    total = math.prod(case.shape)
    if not _same_share(row["ignore_fraction_total"], case.counts.ignore / total):
        yield "its share of ignore is not the one that patches.csv lists."
    labelled = case.counts.background + case.counts.membrane
    if not _same_share(row["membrane_fraction_of_labelled"], case.counts.membrane / labelled):
        yield "its share of membrane is not the one that patches.csv lists."
    if row["n_labelled_voxels"] != str(labelled):
        yield "its number of labelled voxels is not the one that patches.csv lists."
    if not statement.core_only and _border_is_labelled(case):
        yield "its border of 16 voxels is labelled, which MemBrain-seg ignores."


def _border_is_labelled(case: CheckedCase) -> bool:
    """Return whether more voxels are labelled than lie inside the border."""
    inside = math.prod(s.stop - s.start for s in core_of(case.shape, BORDER))
    return not case.core_only and case.counts.background + case.counts.membrane > inside


def _shape_faults(case: str, image: Zyx, label: Zyx) -> Iterable[str]:
    if image != label:
        yield f"{case}: its image and its label are of different shapes."
    elif len(set(image)) != 1 or not 8 <= image.z <= LARGEST_SIDE:
        yield f"{case}: must be a cube of 8 to {LARGEST_SIDE} voxels along each side."


def _image_faults(voxels: np.ndarray[Any, Any]) -> Iterable[str]:
    mean = float(voxels.mean(dtype=np.float64))
    if not math.isfinite(mean):
        yield "its image holds NaN or infinite voxels."
    elif spread(voxels.astype(np.float32) - np.float32(mean)) == 0:
        yield "its image has the same value in every voxel."


def _is_normalised(voxels: np.ndarray[Any, Any]) -> bool:
    try:
        take_normalised(voxels)
    except ExportError:
        return False
    return True


def name_twins(names: Iterable[str]) -> Iterable[str]:
    """Say which names a file system may take for one."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            yield f"{shown(name)}: is listed twice, or differs from another in case alone."
        seen.add(name.casefold())


def _text(opened: OpenedFolder, name: str) -> str:
    if name not in opened.names:
        raise BundleError(f"{name}: is missing; copy the bundle again.")
    path = opened.path(name)
    limit = TEXT_LIMIT if name != TABLE and name != SUMS else 64 * TEXT_LIMIT
    if path.stat().st_size > limit:
        raise BundleError(f"{name}: is larger than {limit >> 20} MB; ask the sender again.")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{name}: not UTF-8 text; ask the sender again.") from error


def _same_share(text: str, share: float) -> bool:
    stated = _number(text)
    return stated is not None and abs(stated - share) <= SAME_SHARE


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _without_path(error: Exception, paths: tuple[Path, Path]) -> str:
    message = str(error)
    for path in paths:
        message = message.replace(f"{path}", path.name)
    return message
