"""Is a bundle what it says? Checksums, fields and figures are worked out again before it comes in.

Two layouts are read: our own bundles, which state everything, and plain folders as MemBrain-seg's
training data has them (``imagesTr/*_0000.nii.gz``, ``labelsTr/*.nii.gz``), which state nothing, so
that whoever brings them states licence and origin.
"""

import hashlib
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.bundles.facts import BUNDLE_SCHEMA, Level, bundle_id_of
from core.bundles.patches_csv import read_table
from core.errors import BundleError, ExportError, LabelError, VolumeError
from core.exports.case import FOLDERS
from core.exports.check_folder import list_pairs
from core.exports.intensity import spread, take_normalised
from core.exports.manifest import LABEL_VALUES, SUMS
from core.exports.naming import CASE, image_file, label_file, mark_of
from core.exports.validate import labelled_faults
from core.files.archives import OpenedFolder
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import BORDER, Zyx, whole
from core.imaging.hashes import content_hash, file_hash
from core.imaging.labels import LabelCounts, check_label, core_of, count_values
from db.vocabulary import Licence, Split

MARKER, TABLE = "bundle.json", "patches.csv"
TEXT_LIMIT = 1 << 20
LONGEST_TEXT = 20_000
LARGEST_SIDE = 1024
"""Voxels; a patch has 160."""

SAME_SHARE = 1e-4
THREADS = 2
_SUM = re.compile(r"([0-9a-f]{64})  ([^\n]{1,1000})")
_HASH = re.compile(r"[0-9a-f]{64}")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Statement:
    """What a bundle says of itself, or for a plain folder, what its bringer says."""

    bundle_id: str
    title: str
    licence: Licence
    attribution: str
    level: Level
    version: str = "1.0.0"
    description: str = ""
    doi: str | None = None
    core_only: bool = False
    normalised: bool = True
    plain: bool = False


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
    row: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class CheckedBundle:
    """A bundle that is what it says."""

    statement: Statement
    cases: tuple[CheckedCase, ...]
    sha256: str
    """Of SHA256SUMS; of the sorted content hashes where there is none."""
    findings: tuple[str, ...] = ()


def is_bundle(opened: OpenedFolder) -> bool:
    """Whether a folder states that it is one of our bundles."""
    return MARKER in opened.names


def check_bundle(opened: OpenedFolder, progress: Progress | None = None) -> CheckedBundle:
    """Verify one of our bundles, every byte and every voxel of it.

    Errors: BundleError with all that is wrong.
    """
    if not is_bundle(opened):
        raise BundleError(_what_is_missing(opened))
    said = read_statement(opened.path(MARKER))
    _check_sums(opened)
    rows = read_table(_text(opened, TABLE))
    _refuse(_row_faults(rows, opened, said))
    cases = _checked_cases([partial(_case_of_row, row, opened, said) for row in rows], progress)
    hashes = [digest for case in cases for digest in (case.image_hash, case.label_hash)]
    if said.bundle_id != bundle_id_of(said.title, said.version, said.level, hashes):
        raise BundleError("bundle.json: bundle_id does not follow from the patches; ask again.")
    return CheckedBundle(said, cases, file_hash(opened.path(SUMS)))


def _what_is_missing(opened: OpenedFolder) -> str:
    tops = {name.partition("/")[0] for name in opened.names}
    if set(FOLDERS[Split.TRAIN]) <= tops:
        return (
            "the folder holds imagesTr and labelsTr but no bundle.json: state its title, licence "
            "and attribution (--title, --licence, --attribution)."
        )
    return "the folder has no bundle.json; name a bundle, or a folder with imagesTr and labelsTr."


def check_plain(
    opened: OpenedFolder,
    licence: Licence,
    attribution: str,
    title: str,
    *,
    voxel_size: float | None = None,
    progress: Progress | None = None,
) -> CheckedBundle:
    """Verify a plain folder as MemBrain-seg's training data has it; empty parts are left out.

    ``voxel_size`` (angstrom) is for folders whose headers say 1, as MemBrain-seg writes them.

    Errors: BundleError with all that is wrong.
    """
    if not attribution.strip() or not title.strip():
        raise BundleError("a plain folder states nothing; say its title and whom to thank.")
    pairs = []
    for split in (Split.TRAIN, Split.VAL):
        if all((opened.root / name).is_dir() for name in FOLDERS[split]):
            found, faults = list_pairs(opened.root, split)
            _refuse(fault.said for fault in faults)
            pairs += found
    if not pairs:
        raise BundleError("the folder holds no labelsTr with labels; name one that does.")
    ids = plain_ids([pair.case for pair in pairs])
    _refuse(_twins(ids.values()))
    rights = licence, attribution
    looks = [
        partial(_look, ids[p.case], (p.image, p.label), p.split, voxel_size, rights) for p in pairs
    ]
    cases = _checked_cases(looks, progress)
    digest = hashlib.sha256("".join(sorted(c.image_hash + c.label_hash for c in cases)).encode())
    bundle_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"plain folder {digest.hexdigest()}"))
    statement = Statement(
        bundle_id, title, licence, attribution, Level.PUBLIC, normalised=False, plain=True
    )
    return CheckedBundle(statement, cases, digest.hexdigest())


def read_statement(path: Path) -> Statement:
    """What ``bundle.json`` says, each field of its kind.

    Errors: BundleError.
    """
    facts = _json(path)
    schema = facts.get("schema_version")
    if schema != BUNDLE_SCHEMA:
        raise BundleError(
            f"bundle.json is of version {str(schema)[:60]!r}, and this tomocurate reads "
            f"{BUNDLE_SCHEMA}; update tomocurate, or ask for that version."
        )
    _refuse(_statement_faults(facts))
    licence = Licence(facts["licence"])
    creators = "; ".join(str(each["name"]) for each in facts["creators"])
    return Statement(
        bundle_id=str(uuid.UUID(facts["bundle_id"])),
        title=facts["title"],
        licence=licence,
        attribution=f"{creators}: {facts['title']}, version {facts['version']}",
        level=Level(facts["privacy_level"]),
        version=facts["version"],
        description=facts["description"],
        doi=facts.get("doi"),
        core_only=facts["core_only"],
    )


def plain_ids(cases: Sequence[str]) -> dict[str, str]:
    """Name the cases of a plain folder by our rule: ``<token>_<rest>_patch<N>``.

    Cases that would be called alike (``TS_1`` and ``TS-1``) get a mark each.
    """
    named = {case: _plain_name(case) for case in sorted(cases)}
    sources: dict[tuple[str, str], set[str]] = {}
    for name in named.values():
        sources.setdefault((name.token, name.group.casefold()), set()).add(name.source)
    numbers: dict[str, int] = {}
    ids: dict[str, str] = {}
    for case, name in named.items():
        shared = len(sources[name.token, name.group.casefold()]) > 1
        mark = mark_of(name.source) if shared else ""
        start = f"{name.token}_{name.group[: 64 - len(mark)]}{mark}"
        if name.number is None:
            numbers[start] = numbers.get(start, -1) + 1
        ids[case] = f"{start}_patch{numbers[start] if name.number is None else name.number}"
    return ids


class _PlainName(NamedTuple):
    token: str
    group: str
    source: str
    number: int | None


def _plain_name(case: str) -> _PlainName:
    token, _, rest = case.partition("_")
    front, _, number = rest.rpartition("_patch")
    digits = re.match(r"[0-9]{1,9}", number) if front else None
    source = front if digits else rest
    return _PlainName(
        token=(re.sub(r"[^a-z0-9]", "", token.lower()) + "xx")[: max(2, min(16, len(token)))],
        group=re.sub(r"[^A-Za-z0-9]", "", source)[:64] or "x",
        source=f"{token}_{source}",
        number=int(digits.group()) if digits else None,
    )


def _check_sums(opened: OpenedFolder) -> None:
    """Every file is listed once and has the bytes that it should."""
    listed: dict[str, str] = {}
    for number, line in enumerate(_text(opened, SUMS).splitlines(), 1):
        found = _SUM.fullmatch(line)
        if found is None:
            raise BundleError(f"SHA256SUMS: line {number} is no checksum and path; ask again.")
        if found.group(2) in listed:
            raise BundleError(f"SHA256SUMS: line {number} lists a file twice; ask again.")
        listed[found.group(2)] = found.group(1)
    held = opened.names - {SUMS}
    _refuse(
        [
            *(
                f"{_shown(name)}: is missing; copy the bundle again."
                for name in sorted(set(listed) - held)
            ),
            *(
                f"{_shown(name)}: is not in SHA256SUMS; it does not belong to the bundle."
                for name in sorted(held - set(listed))
            ),
        ]
    )
    names = sorted(listed)
    with ThreadPoolExecutor(THREADS) as pool:
        sums = list(pool.map(lambda name: file_hash(opened.path(name)), names))
    _refuse(
        f"{_shown(name)}: has another checksum than SHA256SUMS says; copy the bundle again."
        for name, digest in zip(names, sums, strict=True)
        if digest != listed[name]
    )


def _statement_faults(facts: Mapping[str, Any]) -> Iterable[str]:
    for key in ("title", "description", "version", "bundle_id", "contact", "annotation_criteria"):
        if not isinstance(facts.get(key), str) or len(facts[key]) > LONGEST_TEXT:
            yield f"bundle.json: {key} is no text of a sensible length."
    for key, words in (("licence", Licence), ("privacy_level", Level)):
        if facts.get(key) not in [word.value for word in words]:
            yield f"bundle.json: {key} {_shown(facts.get(key))} is not {_any_of(words)}."
    if facts.get("label_map") != LABEL_VALUES:
        yield f"bundle.json: labels must be {LABEL_VALUES}."
    if not isinstance(facts.get("core_only"), bool):
        yield "bundle.json: core_only is neither true nor false."
    if not isinstance(facts.get("doi"), str | None):
        yield "bundle.json: the doi is no text."
    if not _is_size(facts.get("voxel_size_angstrom")):
        yield "bundle.json: voxel_size_angstrom is no number of angstrom."
    yield from _identity_faults(facts)


def _identity_faults(facts: Mapping[str, Any]) -> Iterable[str]:
    try:
        uuid.UUID(str(facts.get("bundle_id")))
    except ValueError:
        yield "bundle.json: bundle_id is no UUID."
    creators = facts.get("creators")
    if not isinstance(creators, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in creators
    ):
        yield "bundle.json: creators is no list of people with a name."


def _row_faults(
    rows: Sequence[Mapping[str, str]], opened: OpenedFolder, said: Statement
) -> Iterable[str]:
    """What can be seen without opening a volume."""
    if not rows:
        yield "patches.csv: lists no patch."
    yield from _twins(row["patch_id"] for row in rows)
    for number, row in enumerate(rows, 2):
        for fault in _cell_faults(row, said):
            yield f"patches.csv: line {number}: {fault}"
    listed = {row[kind] for row in rows for kind in ("image", "label")}
    volumes = {name for name in opened.names if name.endswith(".nii.gz")}
    for name in sorted(volumes - listed):
        yield f"{_shown(name)}: no line of patches.csv has it."
    for name in sorted(listed - volumes):
        yield f"{_shown(name)}: patches.csv lists it, but it is not there."


def _cell_faults(row: Mapping[str, str], said: Statement) -> Iterable[str]:
    case = row["patch_id"]
    if CASE.fullmatch(case) is None:
        yield f"the patch_id {_shown(case)} is not of the form token_tomogram_patchN."
        return
    if row["split"] not in set(Split):
        yield f"the split {_shown(row['split'])} is not train, val or test."
        return
    images, labels = FOLDERS[Split(row["split"])]
    wanted = f"{images}/{image_file(case)}", f"{labels}/{label_file(case)}"
    if (row["image"], row["label"]) != wanted:
        yield f"{case}: its files should be {wanted[0]} and {wanted[1]}."
    if not all(
        row[side].isascii() and row[side].isdecimal() and 1 < int(row[side]) <= LARGEST_SIDE
        for side in ("nz", "ny", "nx")
    ):
        yield f"{case}: nz, ny, nx are no sizes of a patch."
    if not all(_HASH.fullmatch(row[f"{kind}_content_sha256"]) for kind in ("image", "label")):
        yield f"{case}: its content hashes are no sha256."
    if not _is_size(_number(row["voxel_size_angstrom"])):
        yield f"{case}: its voxel size is no number of angstrom."
    if row["licence"] not in set(Licence) or len(row["attribution"]) > LONGEST_TEXT:
        yield f"{case}: its licence is not CC0-1.0 or CC-BY-4.0, or its attribution is too long."
    if not re.fullmatch(r"[A-Za-z0-9]{1,80}", row["source_group"]):
        yield f"{case}: its source_group is no word."


def _checked_cases(
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
    _refuse(faults)
    return tuple(cases)


def _case_of_row(row: Mapping[str, str], opened: OpenedFolder, said: Statement) -> CheckedCase:
    case = row["patch_id"]
    paths = opened.path(row["image"]), opened.path(row["label"])
    size = float(row["voxel_size_angstrom"])
    attribution = row["attribution"] or said.attribution
    rights = Licence(row["licence"]), attribution
    found = _look(case, paths, Split(row["split"]), size, rights, row)
    _refuse(f"{case}: {fault}" for fault in _lies(found, row, said))
    return found


def _look(
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
            _refuse(_shape_faults(case, image.shape, label.shape))
            found = image.voxel_size
            voxels = image.read(whole(image.shape))
            values = check_label(label.read(whole(label.shape)))
    except LabelError as error:
        raise BundleError(f"{case}: its label {error}") from error
    except VolumeError as error:
        raise BundleError(f"{case}: {_without_path(error, paths)}") from error
    _refuse(f"{case}: {fault}" for fault in _image_faults(voxels))
    counts = count_values(values)
    _refuse(fault.said for fault in labelled_faults(case, counts))
    return CheckedCase(
        patch_id=case,
        source_group=row.get("source_group") or case.rpartition("_patch")[0].partition("_")[2],
        split=split,
        image=paths[0],
        label=paths[1],
        shape=Zyx(*values.shape),
        voxel_size=voxel_size if voxel_size is not None else found,
        image_hash=content_hash(voxels),
        label_hash=content_hash(values),
        counts=counts,
        licence=rights[0],
        attribution=rights[1],
        model=row.get("model") or None,
        normalised=_is_normalised(voxels),
        core_only="came without its border" in row.get("warnings", ""),
        row=row,
    )


def _lies(found: CheckedCase, row: Mapping[str, str], said: Statement) -> Iterable[str]:
    """Where a row of the table differs from what was worked out again."""
    if found.image_hash != row["image_content_sha256"]:
        yield "its image is not the one that patches.csv lists."
    if found.label_hash != row["label_content_sha256"]:
        yield "its label is not the one that patches.csv lists."
    if tuple(map(int, (row["nz"], row["ny"], row["nx"]))) != tuple(found.shape):
        yield "its shape is not the one that patches.csv lists."
    total = math.prod(found.shape)
    if not _same_share(row["ignore_fraction_total"], found.counts.ignore / total):
        yield "its share of ignore is not the one that patches.csv lists."
    labelled = found.counts.background + found.counts.membrane
    if not _same_share(row["membrane_fraction_of_labelled"], found.counts.membrane / labelled):
        yield "its share of membrane is not the one that patches.csv lists."
    if row["n_labelled_voxels"] != str(labelled):
        yield "its number of labelled voxels is not the one that patches.csv lists."
    if not said.core_only and _border_is_labelled(found):
        yield "its border of 16 voxels is labelled, which MemBrain-seg ignores."


def _border_is_labelled(case: CheckedCase) -> bool:
    """Whether more voxels are labelled than lie inside the border."""
    inside = math.prod(s.stop - s.start for s in core_of(case.shape, BORDER))
    return not case.core_only and case.counts.background + case.counts.membrane > inside


def _shape_faults(case: str, image: Zyx, label: Zyx) -> Iterable[str]:
    if image != label:
        yield f"{case}: its image and its label are of different shapes."
    elif len(set(image)) != 1 or not 8 <= image.z <= LARGEST_SIDE:
        yield f"{case}: is no cube of 8 to {LARGEST_SIDE} voxels along each side."


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


def _twins(names: Iterable[str]) -> Iterable[str]:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            yield f"{_shown(name)}: is listed twice, or differs from another in case alone."
        seen.add(name.casefold())


def _text(opened: OpenedFolder, name: str) -> str:
    if name not in opened.names:
        raise BundleError(f"{name}: is missing; copy the bundle again.")
    path = opened.path(name)
    limit = TEXT_LIMIT if name != TABLE and name != SUMS else 64 * TEXT_LIMIT
    if path.stat().st_size > limit:
        raise BundleError(f"{name}: is larger than {limit >> 20} MB; ask for a sound bundle.")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{name}: is no UTF-8 text; ask for a sound bundle.") from error


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > TEXT_LIMIT:
        raise BundleError(f"{path.name}: is larger than 1 MB; ask for a sound bundle.")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path.name}: is no JSON; ask for a sound bundle.") from error
    if not isinstance(value, dict):
        raise BundleError(f"{path.name}: is no object of JSON; ask for a sound bundle.")
    return value


def _refuse(faults: Iterable[str]) -> None:
    said = tuple(faults)
    if said:
        more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
        raise BundleError(said[0] + more, said)


def _same_share(text: str, share: float) -> bool:
    said = _number(text)
    return said is not None and abs(said - share) <= SAME_SHARE


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_size(value: Any) -> bool:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return good and math.isfinite(value) and 0.1 <= value <= 1000


def _without_path(error: Exception, paths: tuple[Path, Path]) -> str:
    said = str(error)
    for path in paths:
        said = said.replace(f"{path}", path.name)
    return said


def _any_of(words: type[StrEnum]) -> str:
    return ", ".join(word.value for word in words)


def _shown(value: Any) -> str:
    """A hostile word for a sentence."""
    return ascii(str(value))[:100]
