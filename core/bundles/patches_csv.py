"""``patches.csv``: one row a patch, the same columns for everybody, safe to open in a spreadsheet.

What a level may not tell is empty, not missing, so that readers need no cases.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.bundles.facts import BundleFacts, Level
from core.bundles.privacy.pseudonyms import Pseudonyms
from core.errors import BundleError
from core.exports.case import WrittenCase

COLUMNS = (
    "patch_id",
    "image",
    "label",
    "split",
    "source_group",
    "contributor_id",
    "licence",
    "permission_id",
    "attribution",
    "voxel_size_angstrom",
    "nz",
    "ny",
    "nx",
    "box_z",
    "box_y",
    "box_x",
    "intensity_mean",
    "intensity_std",
    "image_content_sha256",
    "label_content_sha256",
    "fingerprint",
    "method_type",
    "model",
    "n_annotators",
    "review_status",
    "ignore_fraction_total",
    "ignore_fraction_core",
    "membrane_fraction_of_labelled",
    "n_labelled_voxels",
    "n_components",
    "largest_component_fraction",
    "vox_added",
    "vox_removed",
    "vox_ignored",
    "dice_before_after",
    "surface_dice_before_after",
    "agreement_dice",
    "warnings",
)
"""The allow-list of the table: more columns are a fault, fewer too."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute."""

MOST_ROWS = 100_000
Row = Mapping[str, str]


def table_rows(
    cases: Sequence[WrittenCase], facts: BundleFacts, pseudonyms: Pseudonyms
) -> list[dict[str, str]]:
    """The rows of the written cases, by patch_id."""
    rows = [_row(case, facts, pseudonyms) for case in cases]
    return sorted(rows, key=lambda row: row["patch_id"])


def table_text(rows: Iterable[Row]) -> str:
    """The rows as CSV (RFC 4180, but plain newlines)."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(text) for name, text in row.items()} for row in rows)
    return out.getvalue()


def read_table(text: str) -> list[dict[str, str]]:
    """The rows of a ``patches.csv``.

    Errors: BundleError for other columns, a row of another length, or too many rows.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            odd = sorted(set(header) ^ set(COLUMNS))[:3] or ["their order"]
            raise BundleError(f"patches.csv: other columns than expected: {', '.join(odd)}.")
        rows: list[dict[str, str]] = []
        for cells in reader:
            if len(cells) != len(COLUMNS) or len(rows) >= MOST_ROWS:
                raise BundleError(f"patches.csv: line {reader.line_num} has {len(cells)} cells.")
            rows.append(dict(zip(COLUMNS, cells, strict=True)))
    except csv.Error as error:
        raise BundleError(
            f"patches.csv: line {reader.line_num} not valid CSV ({error})."
        ) from error
    return rows


def _row(case: WrittenCase, facts: BundleFacts, pseudonyms: Pseudonyms) -> dict[str, str]:
    planned, patch = case.planned, case.planned.patch
    z, y, x = case.shape
    row: dict[str, Any] = {
        "patch_id": planned.case,
        "image": planned.image,
        "label": planned.label,
        "split": planned.split.value,
        "source_group": planned.group,
        "voxel_size_angstrom": patch.voxel_size,
        "nz": z,
        "ny": y,
        "nx": x,
        "image_content_sha256": case.image_hash,
        "label_content_sha256": case.label_hash,
        "fingerprint": case.fingerprint,
        "method_type": "hybrid" if patch.model else "manual",
        "model": patch.model,
        "n_annotators": len(set(patch.method.annotators)) or None,
        "review_status": str(patch.status),
        "warnings": "; ".join(_warnings(case)),
        **_rights(case, facts, pseudonyms),
        **_places(case, facts),
        **_measures(case),
    }
    return {name: _cell(row[name]) for name in COLUMNS}


def _rights(case: WrittenCase, facts: BundleFacts, pseudonyms: Pseudonyms) -> dict[str, Any]:
    patch = case.planned.patch
    if patch.imported is not None:
        return {
            "contributor_id": "imported",
            "licence": patch.imported.licence.value,
            "permission_id": patch.imported.bundle_id,
            "attribution": patch.imported.attribution,
        }
    given = patch.permission
    if given is None:
        return {
            "contributor_id": None,
            "licence": facts.licence.value,
            "permission_id": None,
            "attribution": None,
        }
    named = facts.level is Level.INTERNAL
    name = f"{given.owner}\0{patch.tomogram}\0{given.approved_on.isoformat()}"
    # At the minimal level a permission of its own would tell which patches lie together.
    alone = facts.level is Level.MINIMAL
    return {
        "contributor_id": given.owner if named else pseudonyms.of("contributor", given.owner),
        "licence": facts.licence.value,
        "permission_id": None if alone else pseudonyms.of("permission", name),
        "attribution": None,
    }


def _places(case: WrittenCase, facts: BundleFacts) -> dict[str, Any]:
    start = case.planned.patch.box.start if facts.keeps_places else (None, None, None)
    told = facts.level in (Level.INTERNAL, Level.COLLABORATOR)
    return {
        **dict(zip(("box_z", "box_y", "box_x"), start, strict=True)),
        "intensity_mean": case.mean if told else None,
        "intensity_std": case.std if told else None,
    }


def _measures(case: WrittenCase) -> dict[str, Any]:
    quality, change = case.quality, case.quality.change if case.quality else None
    pieces = quality.components if quality else None
    return {
        "ignore_fraction_total": quality and quality.ignore_fraction_total,
        "ignore_fraction_core": quality and quality.ignore_fraction_core,
        "membrane_fraction_of_labelled": quality and quality.membrane_fraction_of_labelled,
        "n_labelled_voxels": quality and quality.labelled_voxels,
        "n_components": pieces and pieces.count,
        "largest_component_fraction": pieces and pieces.largest_fraction,
        "vox_added": change and change.added,
        "vox_removed": change and change.removed,
        "vox_ignored": change and change.ignored,
        "dice_before_after": change and change.dice,
        "surface_dice_before_after": change and change.surface_dice,
        "agreement_dice": case.agreement and case.agreement.dice,
    }


def _warnings(case: WrittenCase) -> list[str]:
    warnings = []
    if case.planned.patch.padded:
        warnings.append("padded where it leaves the tomogram")
    if case.planned.patch.core_only:
        warnings.append("came without its border")
    if case.quality is not None and not case.quality.membrane_voxels:
        warnings.append("no membrane")
    return warnings


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _harmless(text: str) -> str:
    """A quote before what a spreadsheet would compute; numbers stay numbers."""
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return "'" + text
    return text
