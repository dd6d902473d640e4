"""Every field of every format that a bundle holds, and what is done to it: an allow-list.

The codes are DICOM's (PS3.15 Annex E): K kept, C cleaned, U a pseudonym that stays the same, D a
dummy, Z emptied, X removed. A field that is not listed is a fault, so that a new one cannot leave
the lab before somebody thought about it.
"""

import json
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.bundles.facts import Level
from core.bundles.patches_csv import COLUMNS
from core.imaging.formats.source import Source

CODES = {
    "K": "kept",
    "C": "cleaned",
    "U": "replaced by a pseudonym",
    "D": "replaced by a dummy",
    "Z": "emptied",
    "X": "removed",
}
LEVELS = (Level.INTERNAL, Level.COLLABORATOR, Level.PUBLIC, Level.MINIMAL)


@dataclass(frozen=True)
class FieldAction:
    """What happens to one field at each level."""

    format: str
    field: str
    codes: str
    """One letter a level: internal, collaborator, public, minimal."""
    places: bool = False

    def at(self, level: Level, *, keeps_places: bool) -> str:
        """The code at a level."""
        if self.places:
            return "K" if keeps_places else "Z"
        return self.codes[LEVELS.index(level)]


_OWN_CODES = {
    "patch_id": "KUUU",
    "image": "KUUU",
    "label": "KUUU",
    "source_group": "KUUD",
    "contributor_id": "KUUU",
    "permission_id": "UUUZ",
    "intensity_mean": "KKZZ",
    "intensity_std": "KKZZ",
}
_PLACED = ("box_z", "box_y", "box_x")

ACTIONS: tuple[FieldAction, ...] = (
    FieldAction("file name", "dataset token (renamed on request)", "KKKK"),
    FieldAction("file name", "tomogram", "KUUU"),
    FieldAction("file name", "patch number", "KKKD"),
    FieldAction("gzip", "time, operating system, flags", "ZZZZ"),
    FieldAction("gzip", "original name, comment, extra field", "XXXX"),
    FieldAction("NIfTI", "dim, datatype, bitpix, pixdim, vox_offset, scl_*, units, magic", "KKKK"),
    FieldAction("NIfTI", "origin (qoffset, srow)", "KZZZ", places=True),
    FieldAction("NIfTI", "descrip, aux_file, intent_name, db_name, data_type", "XXXX"),
    FieldAction("NIfTI", "cal_*, slice_*, toffset, intent_*, session_error, gl*", "ZZZZ"),
    FieldAction("NIfTI", "extensions", "XXXX"),
    FieldAction("image", "voxels: own mean and standard deviation taken off", "CCCC"),
    FieldAction("image", "the outer 16 voxels", "KKKX"),
    FieldAction("image", "detail below 1/256 standard deviation", "KKKX"),
    FieldAction("label", "voxels", "KKKK"),
    FieldAction("MRC", "labels, extended header, origin, density statistics", "XXXX"),
    FieldAction("NRRD", "corrections, their property lists and segment names", "XXXX"),
    FieldAction("catalog", "people, reviews, comments, events, paths, times", "XXXX"),
    *(
        FieldAction("patches.csv", name, _OWN_CODES.get(name, "KKKK"), places=name in _PLACED)
        for name in COLUMNS
    ),
    FieldAction("bundle.json", "creators, contact (who agreed to be named)", "CCCC"),
    FieldAction("bundle.json", "created (the year alone where published)", "KKCC"),
    FieldAction("privacy_report.json", "signed_by", "KUUU"),
)

CASE = "*"
_CREATORS = ("creators", "creators[].name", "creators[].orcid", "creators[].affiliation")

KEYS: Mapping[str, frozenset[str]] = {
    "bundle.json": frozenset(
        {
            "schema_version",
            "bundle_id",
            "title",
            "description",
            "version",
            "previous",
            "previous.version",
            "previous.sha256sums_digest",
            "created",
            "licence",
            *_CREATORS,
            "contact",
            "doi",
            "funding_statement",
            "structure",
            "structure.name",
            "structure.ontology",
            "label_map",
            "label_map.background",
            "label_map.membrane",
            "label_map.ignore",
            "voxel_size_angstrom",
            "spacing_unit",
            "patch_shapes_zyx",
            "ignore_border_voxels",
            "core_only",
            "intensity",
            "intensity.scheme",
            "intensity.dtype",
            "intensity.quantisation",
            "prediction_models",
            "method_type",
            "annotation_criteria",
            "privacy_level",
            "coordinates_kept",
            "split_policy",
            "split_policy.unit",
            "split_policy.method",
            "split_policy.leaky",
            "counts",
            "counts.train",
            "counts.val",
            "counts.test",
            "attribution",
            "attribution[].bundle_id",
            "attribution[].licence",
            "attribution[].attribution",
            "attribution[].doi",
            "generator",
            "generator.name",
            "generator.format",
        }
    ),
    "dataset.json": frozenset(
        {
            "name",
            "channel_names",
            "channel_names.0",
            "labels",
            "labels.background",
            "labels.membrane",
            "labels.ignore",
            "numTraining",
            "file_ending",
            "overwrite_image_reader_writer",
            "dataset",
            f"dataset.{CASE}",
            f"dataset.{CASE}.images",
            f"dataset.{CASE}.label",
            *(
                f"{word}{part}"
                for word in ("training", "validation", "test")
                for part in ("", "[].image", "[].label")
            ),
        }
    ),
    "splits_final.json": frozenset({"[].train", "[].val"}),
    ".zenodo.json": frozenset(
        {
            "title",
            "description",
            "upload_type",
            "access_right",
            "license",
            "version",
            "creators",
            "creators[].name",
            "creators[].orcid",
            "creators[].affiliation",
            "keywords",
            "related_identifiers",
            "related_identifiers[].identifier",
            "related_identifiers[].relation",
            "related_identifiers[].scheme",
        }
    ),
    "mifa.json": frozenset(
        {
            "title",
            "description",
            "keywords",
            "license",
            "funding_statement",
            "authors",
            "authors[].author_last_name",
            "authors[].author_first_name",
            "authors[].orcid_id",
            "authors[].organisation",
            "authors[].organisation[].organisation_name",
            "annotations",
            *(
                f"annotations[].annotation_{part}"
                for part in ("overview", "type", "method", "criteria", "coverage")
            ),
            "annotations[].file_metadata",
            "annotations[].file_metadata[].annotation_id",
            "annotations[].file_metadata[].source_image_id",
        }
    ),
    "privacy_report.json": frozenset(
        {
            "schema_version",
            "level",
            "passed",
            "signed_by",
            "created",
            "searched",
            *(f"searched.{kind}" for kind in ("files", "secrets", "hits", "unsearchable")),
            "fields",
            "fields[].format",
            "fields[].field",
            "fields[].action",
            "exposure",
            *(
                f"exposure[].{part}"
                for part in (
                    "group",
                    "patches",
                    "voxels",
                    "share_of_tomogram",
                    "overlapping_pairs",
                    "largest_box_zyx",
                )
            ),
            "permissions",
            "permissions[].group",
            "permissions[].scope",
            "permissions[].licence",
            "permissions[].patches",
            "residual_risk",
        }
    ),
}
"""The keys of our own JSON files. Croissant's are fixed by its format and made from COLUMNS."""

FILES = frozenset(
    {
        *KEYS,
        "patches.csv",
        "README.md",
        "LICENSE",
        "croissant.json",
        "privacy_report.md",
        "SHA256SUMS",
    }
)
"""The files of a bundle beside its volumes."""

_HEADER = struct.Struct("<i10s18sihcB8h3f4h8f3fhBB4f2i80s24s2h6f12f16s4s")
_NAMES = (
    "sizeof_hdr",
    "data_type",
    "db_name",
    "extents",
    "session_error",
    "regular",
    "dim_info",
    *["dim"] * 8,
    *["intent_p"] * 3,
    "intent_code",
    "datatype",
    "bitpix",
    "slice_start",
    *["pixdim"] * 8,
    "vox_offset",
    "scl_slope",
    "scl_inter",
    "slice_end",
    "slice_code",
    "xyzt_units",
    "cal_max",
    "cal_min",
    "slice_duration",
    "toffset",
    "glmax",
    "glmin",
    "descrip",
    "aux_file",
    "qform_code",
    "sform_code",
    *["quatern"] * 3,
    *["qoffset"] * 3,
    *["srow"] * 12,
    "intent_name",
    "magic",
)
_KEPT = frozenset(
    {
        "sizeof_hdr",
        "dim",
        "datatype",
        "bitpix",
        "pixdim",
        "vox_offset",
        "scl_slope",
        "scl_inter",
        "xyzt_units",
        "qform_code",
        "sform_code",
        "quatern",
        "qoffset",
        "srow",
        "magic",
        "regular",
    }
)
_EMPTY: Collection[object] = (0, 0.0, b"\0", b"r")


def unlisted_fields(folder: Path, volumes: Collection[str], *, keeps_places: bool) -> list[str]:
    """A sentence for every file, key, column and header field that is not on the list.

    ``volumes`` are the paths of the images and labels in the bundle.
    """
    said = [f"{name}: is no file of a bundle." for name in _other_files(folder, volumes)]
    for name, keys in KEYS.items():
        if (folder / name).is_file():
            odd = sorted(keys_of(json.loads((folder / name).read_bytes()), name) - keys)
            said += [f"{name}: the field {key!r} is not on the list." for key in odd]
    for name in sorted(volumes):
        said += [f"{name}: {fault}" for fault in header_faults(folder / name, keeps_places)]
    return said


def keys_of(value: Any, name: str = "") -> set[str]:
    """Every key of a JSON value by its path; the names of cases are ``*``."""
    return set(_keys(value, "", name == "dataset.json"))


def header_faults(path: Path, keeps_places: bool) -> Iterator[str]:
    """What a gzipped NIfTI-1 header tells besides what a volume needs."""
    with path.open("rb") as file:
        first = file.read(10)
    if first[:2] == b"\x1f\x8b" and (first[3] or any(first[4:8])):
        yield "its gzip header holds a time, a name or a comment."
    source = Source(path)
    try:
        raw = source.head(352)
    finally:
        source.close()
    if len(raw) < 352:
        yield "is too short for a NIfTI-1 header."
        return
    values = list(zip(_NAMES, _HEADER.unpack(raw[:348]), strict=True))
    for name, value in values:
        plain = value.strip(b"\0") if isinstance(value, bytes) and len(value) > 1 else value
        if name not in _KEPT and plain not in _EMPTY and plain != b"":
            yield f"its NIfTI field {name} is not empty."
    if any(raw[348:352]):
        yield "has a NIfTI extension."
    if not keeps_places and any(_origin(values)):
        yield "its origin tells where in the tomogram the patch lies."


def _origin(values: list[tuple[str, Any]]) -> list[float]:
    rows = [value for name, value in values if name == "srow"]
    return [value for name, value in values if name == "qoffset"] + rows[3::4]


def _other_files(folder: Path, volumes: Collection[str]) -> list[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return sorted(found - FILES - set(volumes))


def _keys(value: Any, at: str, has_cases: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            below = f"{at}.{CASE if has_cases and at == 'dataset' else key}" if at else str(key)
            yield below
            yield from _keys(inner, below, has_cases)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, at + "[]", has_cases)
