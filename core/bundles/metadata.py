"""The same facts in the words of four communities: our own, Croissant, Zenodo and MIFA."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from core.bundles.card import ANONYMOUS
from core.bundles.facts import BUNDLE_SCHEMA, MEMBRANE_TERM, BundleFacts, Creator
from core.bundles.patches_csv import COLUMNS
from core.exports.case import WrittenCase
from core.exports.manifest import GENERATOR, LABEL_VALUES
from core.imaging.geometry import BORDER
from db.vocabulary import Licence

TRAINING_DATA_DOI = "10.5281/zenodo.15089686"
"""MemBrain-seg's own training data, whose layout a bundle follows."""

KEYWORDS = ("cryo-electron tomography", "membrane", "segmentation", "training data")

_MIFA_LICENCE = {Licence.CC0: "CC0", Licence.CC_BY: "CC_BY"}
_LICENCE_URL = {
    Licence.CC0: "https://creativecommons.org/publicdomain/zero/1.0/",
    Licence.CC_BY: "https://creativecommons.org/licenses/by/4.0/",
}
_INTEGERS = frozenset({"nz", "ny", "nx", "n_labelled_voxels", "n_components"})
_FLOATS = frozenset(
    {
        "voxel_size_angstrom",
        "ignore_fraction_total",
        "ignore_fraction_core",
        "membrane_fraction_of_labelled",
        "largest_component_fraction",
    }
)
"""Columns that are never empty; others are text, since they may be."""


def bundle_json(
    cases: Sequence[WrittenCase], facts: BundleFacts, voxel_size: float, leaky: bool
) -> dict[str, Any]:
    """``bundle.json``: what every other file is a view of."""
    hashes = [digest for case in cases for digest in (case.image_hash, case.label_hash)]
    previous = facts.previous
    return {
        "schema_version": BUNDLE_SCHEMA,
        "bundle_id": facts.bundle_id(hashes),
        "title": facts.title,
        "description": facts.description,
        "version": facts.version,
        "previous": previous
        and {"version": previous.version, "sha256sums_digest": previous.sums_digest},
        "created": facts.created_text,
        "licence": facts.licence.value,
        "creators": _creators(facts),
        "contact": facts.contact,
        "doi": facts.doi,
        "funding_statement": facts.funding_statement,
        "structure": {"name": "membrane", "ontology": MEMBRANE_TERM},
        "label_map": LABEL_VALUES,
        "voxel_size_angstrom": voxel_size,
        "spacing_unit": "angstrom",
        "patch_shapes_zyx": sorted({tuple(case.shape) for case in cases}),
        "ignore_border_voxels": 0 if facts.recipe.core_only else BORDER,
        "core_only": facts.recipe.core_only,
        "intensity": {
            "scheme": "zscore_patch",
            "dtype": "float32",
            "quantisation": "1/256" if facts.recipe.quantise else None,
        },
        "prediction_models": sorted(
            {c.planned.patch.model for c in cases if c.planned.patch.model}
        ),
        "method_type": "hybrid",
        "annotation_criteria": facts.annotation_criteria,
        "privacy_level": facts.level.value,
        "coordinates_kept": facts.keeps_places,
        "split_policy": {"unit": "source_group", "method": "stable hash", "leaky": leaky},
        "counts": dict(sorted(Counter(c.planned.split.value for c in cases).items())),
        "attribution": _attribution(cases),
        "generator": GENERATOR,
    }


def zenodo_json(facts: BundleFacts) -> dict[str, Any]:
    """``.zenodo.json``: what Zenodo's upload form asks."""
    related = [
        {"identifier": TRAINING_DATA_DOI, "relation": "isSupplementTo", "scheme": "doi"},
    ]
    if facts.doi:
        related.append({"identifier": facts.doi, "relation": "isNewVersionOf", "scheme": "doi"})
    return {
        "title": facts.title,
        "description": facts.description,
        "upload_type": "dataset",
        "access_right": "open",
        "license": facts.licence.value,
        "version": facts.version,
        "creators": [_zenodo_person(c) for c in facts.creators] or [{"name": ANONYMOUS}],
        "keywords": list(KEYWORDS),
        "related_identifiers": related,
    }


def mifa_json(cases: Sequence[WrittenCase], facts: BundleFacts) -> dict[str, Any]:
    """``mifa.json``: the annotation guideline of the BioImage Archive (Nature Methods 2025)."""
    authors = [_mifa_person(creator) for creator in facts.creators]
    return {
        "title": facts.title,
        "description": facts.description,
        "keywords": list(KEYWORDS),
        "license": _MIFA_LICENCE[facts.licence],
        "funding_statement": facts.funding_statement or "Not stated.",
        "authors": authors,
        "annotations": [
            {
                "annotation_overview": "Membranes in patches of cryo-electron tomograms: "
                "0 background, 1 membrane (GO:0016020), 2 ignore.",
                "annotation_type": ["segmentation_mask"],
                "annotation_method": "Predicted by a network, corrected by people "
                "(add, remove, ignore), accepted in review.",
                "annotation_criteria": facts.annotation_criteria,
                "annotation_coverage": "Places where the prediction was bad; every voxel that is "
                "not ignore is labelled.",
                "file_metadata": [
                    {"annotation_id": c.planned.label, "source_image_id": c.planned.image}
                    for c in cases
                ],
            }
        ],
    }


def croissant_json(facts: BundleFacts, table_sha256: str) -> dict[str, Any]:
    """``croissant.json``: MLCommons Croissant 1.0 over the rows of ``patches.csv``."""
    people = [{"@type": "sc:Person", "name": creator.name} for creator in facts.creators]
    return {
        "@context": _croissant_context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "membrane-patches",
        "alternateName": facts.title,
        "description": facts.description,
        "license": _LICENCE_URL[facts.licence],
        "version": facts.version,
        "datePublished": facts.created_text,
        "creator": people or [{"@type": "sc:Organization", "name": ANONYMOUS}],
        "citeAs": f"{facts.title}, version {facts.version}",
        "url": f"https://doi.org/{facts.doi}" if facts.doi else "https://doi.org/",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "patches.csv",
                "name": "patches.csv",
                "contentUrl": "patches.csv",
                "encodingFormat": "text/csv",
                "sha256": table_sha256,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "patches",
                "name": "patches",
                "description": "One row a patch; image and label are paths in the bundle.",
                "field": [_croissant_field(column) for column in COLUMNS],
            }
        ],
    }


@cache
def _croissant_context() -> Any:
    """Read the context that Croissant 1.0 prescribes (mlcommons.org/croissant/1.0)."""
    return json.loads((files("core.bundles") / "croissant_context.json").read_text("utf-8"))


def _croissant_field(column: str) -> dict[str, Any]:
    kind = "Integer" if column in _INTEGERS else "Float" if column in _FLOATS else "Text"
    return {
        "@type": "cr:Field",
        "@id": f"patches/{column}",
        "name": column,
        "dataType": f"sc:{kind}",
        "source": {"fileObject": {"@id": "patches.csv"}, "extract": {"column": column}},
    }


def _creators(facts: BundleFacts) -> list[dict[str, str | None]]:
    return [
        {"name": c.name, "orcid": c.orcid, "affiliation": c.affiliation} for c in facts.creators
    ] or [{"name": ANONYMOUS, "orcid": None, "affiliation": None}]


def _zenodo_person(creator: Creator) -> dict[str, str]:
    person = {"name": creator.name}
    if creator.orcid:
        person["orcid"] = creator.orcid
    if creator.affiliation:
        person["affiliation"] = creator.affiliation
    return person


def _mifa_person(creator: Creator) -> dict[str, Any]:
    family, _, given = creator.name.partition(",")
    person: dict[str, Any] = {
        "author_last_name": family.strip(),
        "author_first_name": given.strip(),
    }
    if creator.orcid:
        person["orcid_id"] = creator.orcid
    if creator.affiliation:
        person["organisation"] = [{"organisation_name": creator.affiliation}]
    return person


def _attribution(cases: Sequence[WrittenCase]) -> list[dict[str, str | None]]:
    """Return the attribution of imported patches, once per source."""
    sources = {
        (i.bundle_id, i.licence.value, i.attribution, i.doi)
        for case in cases
        if (i := case.planned.patch.imported) is not None
    }
    return [
        {"bundle_id": bundle, "licence": licence, "attribution": attribution, "doi": doi}
        for bundle, licence, attribution, doi in sorted(sources, key=str)
    ]
