"""Read what a bundle states of itself in ``bundle.json``, each field of its kind."""

import json
import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.bundles.facts import BUNDLE_SCHEMA, Level
from core.errors import BundleError
from core.exports.manifest import LABEL_VALUES
from db.vocabulary import Licence

MARKER, TABLE = "bundle.json", "patches.csv"

TEXT_LIMIT = 1 << 20


LONGEST_TEXT = 20_000


@dataclass(frozen=True)
class Statement:
    """Facts that a bundle states, or that a person states for a plain folder."""

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


def read_statement(path: Path) -> Statement:
    """Parse ``bundle.json`` and check the type of each field.

    Errors: BundleError.
    """
    facts = _json(path)
    schema = facts.get("schema_version")
    if schema != BUNDLE_SCHEMA:
        raise BundleError(
            f"bundle.json is of version {str(schema)[:60]!r}, and this tomocurate reads "
            f"{BUNDLE_SCHEMA}; update tomocurate, or ask for that version."
        )
    refuse_all(_statement_faults(facts))
    licence = Licence(facts["licence"])
    creators = "; ".join(str(fact["name"]) for fact in facts["creators"])
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


def _statement_faults(facts: Mapping[str, Any]) -> Iterable[str]:
    for key in ("title", "description", "version", "bundle_id", "contact", "annotation_criteria"):
        if not isinstance(facts.get(key), str) or len(facts[key]) > LONGEST_TEXT:
            yield f"bundle.json: {key} must be text of at most {LONGEST_TEXT} characters."
    for key, words in (("licence", Licence), ("privacy_level", Level)):
        if facts.get(key) not in [word.value for word in words]:
            yield f"bundle.json: {key} {shown(facts.get(key))} is not {_any_of(words)}."
    if facts.get("label_map") != LABEL_VALUES:
        yield f"bundle.json: labels must be {LABEL_VALUES}."
    if not isinstance(facts.get("core_only"), bool):
        yield "bundle.json: core_only must be true or false."
    if not isinstance(facts.get("doi"), str | None):
        yield "bundle.json: doi must be text."
    if not is_size(facts.get("voxel_size_angstrom")):
        yield "bundle.json: voxel_size_angstrom must be between 0.1 and 1000."
    yield from _identity_faults(facts)


def _identity_faults(facts: Mapping[str, Any]) -> Iterable[str]:
    try:
        uuid.UUID(str(facts.get("bundle_id")))
    except ValueError:
        yield "bundle.json: bundle_id must be a UUID."
    creators = facts.get("creators")
    if not isinstance(creators, list) or not all(
        isinstance(creator, dict) and isinstance(creator.get("name"), str) for creator in creators
    ):
        yield "bundle.json: creators must be a list of people with a name."


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > TEXT_LIMIT:
        raise BundleError(f"{path.name}: is larger than 1 MB; ask the sender again.")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path.name}: not valid JSON; ask the sender again.") from error
    if not isinstance(value, dict):
        raise BundleError(f"{path.name}: not a JSON object; ask the sender again.")
    return value


def refuse_all(faults: Iterable[str]) -> None:
    """Raise one BundleError for all faults, if there are any."""
    messages = tuple(faults)
    if messages:
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        raise BundleError(messages[0] + more, messages)


def is_size(value: Any) -> bool:
    """Tell whether a value is a voxel size in angstrom."""
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return good and math.isfinite(value) and 0.1 <= value <= 1000


def _any_of(words: type[StrEnum]) -> str:
    return ", ".join(word.value for word in words)


def shown(value: Any) -> str:
    """Quote a hostile word for a sentence."""
    return ascii(str(value))[:100]
