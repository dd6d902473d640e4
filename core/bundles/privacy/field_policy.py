"""Every field of every format that a bundle holds, and what is done to it: an allow-list.

A field that is not listed is a fault, so that a new one cannot leave the lab before somebody
thought about it.
"""

import json
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.bundles.facts import Level
from core.bundles.patches_csv import COLUMNS
from core.imaging.formats.nifti import DATA_OFFSET, DTYPES, encode_header
from core.imaging.formats.source import Source
from core.imaging.geometry import Grid, Zyx

LEVELS = (Level.INTERNAL, Level.COLLABORATOR, Level.PUBLIC, Level.MINIMAL)
KEPT, CLEANED, PSEUDONYM = "kept", "cleaned", "replaced by a pseudonym"
DUMMY, EMPTIED, REMOVED = "replaced by a dummy", "emptied", "removed"


@dataclass(frozen=True)
class FieldAction:
    """Action on a field at each disclosure level."""

    format: str
    field: str
    actions: tuple[str, ...] = (KEPT,) * 4
    """At the levels internal, collaborator, public and minimal."""
    places: bool = False
    """It tells where a patch lies."""

    def at(self, level: Level, *, keeps_places: bool) -> str:
        """Say what happens at a level."""
        if self.places:
            return KEPT if keeps_places else EMPTIED
        return self.actions[LEVELS.index(level)]


_NAMED = (KEPT, PSEUDONYM, PSEUDONYM, PSEUDONYM)
_EMPTY, _GONE = (EMPTIED,) * 4, (REMOVED,) * 4
_COLUMN_ACTIONS = {
    "patch_id": _NAMED,
    "image": _NAMED,
    "label": _NAMED,
    "source_group": (KEPT, PSEUDONYM, PSEUDONYM, DUMMY),
    "contributor_id": _NAMED,
    "permission_id": (PSEUDONYM, PSEUDONYM, PSEUDONYM, EMPTIED),
    "intensity_mean": (KEPT, KEPT, EMPTIED, EMPTIED),
    "intensity_std": (KEPT, KEPT, EMPTIED, EMPTIED),
}
_PLACED = ("box_z", "box_y", "box_x")

ACTIONS: tuple[FieldAction, ...] = (
    FieldAction("file name", "dataset token (renamed on request)"),
    FieldAction("file name", "tomogram", _NAMED),
    FieldAction("file name", "patch number", (KEPT, KEPT, KEPT, DUMMY)),
    FieldAction("gzip", "time, operating system, flags", _EMPTY),
    FieldAction("gzip", "original name, comment, extra field", _GONE),
    FieldAction("NIfTI", "dim, datatype, bitpix, pixdim, vox_offset, scl_*, units, magic"),
    FieldAction("NIfTI", "origin (qoffset, srow)", places=True),
    FieldAction("NIfTI", "descrip, aux_file, intent_name, db_name, data_type", _GONE),
    FieldAction("NIfTI", "cal_*, slice_*, toffset, intent_*, session_error, gl*", _EMPTY),
    FieldAction("NIfTI", "extensions", _GONE),
    FieldAction("image", "voxels: own mean and standard deviation taken off", (CLEANED,) * 4),
    FieldAction("image", "the outer 16 voxels", (KEPT, KEPT, KEPT, REMOVED)),
    FieldAction("image", "detail below 1/256 standard deviation", (KEPT, KEPT, KEPT, REMOVED)),
    FieldAction("label", "voxels"),
    FieldAction("MRC", "labels, extended header, origin, density statistics", _GONE),
    FieldAction("NRRD", "corrections, their property lists and segment names", _GONE),
    FieldAction("catalog", "people, reviews, comments, events, paths, times", _GONE),
    *(
        FieldAction(
            "patches.csv", name, _COLUMN_ACTIONS.get(name, (KEPT,) * 4), places=name in _PLACED
        )
        for name in COLUMNS
    ),
    FieldAction("bundle.json", "creators, contact (who agreed to be named)", (CLEANED,) * 4),
    FieldAction(
        "bundle.json",
        "created (the year alone where published)",
        (KEPT, KEPT, CLEANED, CLEANED),
    ),
    FieldAction("privacy_report.json", "signed_by", _NAMED),
)

CASE = "*"

_KEYS = {
    "bundle.json": """
        annotation_criteria attribution attribution[].attribution attribution[].bundle_id
        attribution[].doi attribution[].licence bundle_id contact coordinates_kept core_only counts
        counts.test counts.train counts.val created creators creators[].affiliation creators[].name
        creators[].orcid description doi funding_statement generator generator.format generator.name
        ignore_border_voxels intensity intensity.dtype intensity.quantisation intensity.scheme
        label_map label_map.background label_map.ignore label_map.membrane licence method_type
        patch_shapes_zyx prediction_models previous previous.sha256sums_digest previous.version
        privacy_level schema_version spacing_unit split_policy split_policy.leaky
        split_policy.method split_policy.unit structure structure.name structure.ontology title
        version voxel_size_angstrom
    """,
    "dataset.json": """
        channel_names channel_names.0 dataset dataset.* dataset.*.images dataset.*.label file_ending
        labels labels.background labels.ignore labels.membrane name numTraining
        overwrite_image_reader_writer test test[].image test[].label training training[].image
        training[].label validation validation[].image validation[].label
    """,
    "splits_final.json": """
        [].train [].val
    """,
    ".zenodo.json": """
        access_right creators creators[].affiliation creators[].name creators[].orcid description
        keywords license related_identifiers related_identifiers[].identifier
        related_identifiers[].relation related_identifiers[].scheme title upload_type version
    """,
    "mifa.json": """
        annotations annotations[].annotation_coverage annotations[].annotation_criteria
        annotations[].annotation_method annotations[].annotation_overview
        annotations[].annotation_type annotations[].file_metadata
        annotations[].file_metadata[].annotation_id annotations[].file_metadata[].source_image_id
        authors authors[].author_first_name authors[].author_last_name authors[].orcid_id
        authors[].organisation authors[].organisation[].organisation_name description
        funding_statement keywords license title
    """,
    "privacy_report.json": """
        created exposure exposure[].group exposure[].largest_box_zyx exposure[].overlapping_pairs
        exposure[].patches exposure[].share_of_tomogram exposure[].voxels fields fields[].action
        fields[].field fields[].format level passed permissions permissions[].group
        permissions[].licence permissions[].patches permissions[].scope residual_risk schema_version
        searched searched.files searched.hits searched.secrets searched.unsearchable signed_by
    """,
}

KEYS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split()) for name, words in _KEYS.items()
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

_PLAIN_GZIP = b"\x1f\x8b\x08\0\0\0\0\0"
"""Deflated, no name, comment or extra field, no time (RFC 1952)."""


def unlisted_fields(folder: Path, volumes: Collection[str], *, keeps_places: bool) -> list[str]:
    """List every file, key, column and header field that is not allowed, a sentence each.

    ``volumes`` are the paths of the images and labels in the bundle.
    """
    faults = [f"{name}: does not belong to a bundle." for name in _other_files(folder, volumes)]
    for name, keys in KEYS.items():
        if (folder / name).is_file():
            odd = sorted(keys_of(json.loads((folder / name).read_bytes()), name) - keys)
            faults += [f"{name}: the field {key!r} is not on the list." for key in odd]
    for name in sorted(volumes):
        faults += [f"{name}: {fault}" for fault in header_faults(folder / name, keeps_places)]
    return faults


def keys_of(value: Any, name: str = "") -> set[str]:
    """List every key of a JSON value by its path; the names of cases are ``*``."""
    return set(_keys(value, "", name == "dataset.json"))


def header_faults(path: Path, keeps_places: bool) -> Iterator[str]:
    """Compare a gzipped NIfTI-1 header with the one that we write for such a volume."""
    with path.open("rb") as file:
        if file.read(8) != _PLAIN_GZIP:
            yield "its gzip header holds a time, a name or a comment."
    source = Source(path)
    try:
        raw = source.head(DATA_OFFSET)
    finally:
        source.close()
    if len(raw) < DATA_OFFSET:
        yield "is too short for a NIfTI-1 header."
        return
    grid = _grid(raw)
    if not keeps_places and any(grid.origin_xyz):
        yield "its origin tells where in the tomogram the patch lies."
    if raw != encode_header(*_shape_and_type(raw), grid):
        yield "its NIfTI header holds more than the volume needs."


def _shape_and_type(raw: bytes) -> tuple[Zyx, np.dtype[Any]]:
    x, y, z = struct.unpack_from("<3h", raw, 42)
    code = struct.unpack_from("<h", raw, 70)[0]
    return Zyx(z, y, x), np.dtype("<" + DTYPES.get(code, "u1"))


def _grid(raw: bytes) -> Grid:
    """The aligned grid of a header; NIfTI's x and y run against ours."""
    spacing = struct.unpack_from("<f", raw, 80)[0]
    x, y, z = (struct.unpack_from("<f", raw, at)[0] for at in (292, 308, 324))
    return Grid.aligned(spacing, (0.0 - x, 0.0 - y, z))


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
