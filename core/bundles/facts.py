"""The facts that a person states about a bundle; all metadata files are made from them."""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from core.bundles.privacy.pseudonyms import ContributorNames, PseudonymNames, Pseudonyms
from core.errors import ExportError
from core.exports.case import Recipe
from core.exports.naming import Naming, RealNames
from db.vocabulary import Licence, Scope

BUNDLE_SCHEMA = "mempatch-bundle/1"
MEMBRANE_TERM = "GO:0016020"
STRICTEST = (Licence.CC0, Licence.CC_BY)
"""From the freest to the strictest: a merged bundle takes the strictest of its parts."""

_ORCID = re.compile(r"[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]", re.ASCII)
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+", re.ASCII)
_DOI = re.compile(r"10\.[0-9]{4,9}/[A-Za-z0-9:/_;().\-]+", re.ASCII)


class Level(StrEnum):
    """Disclosure level of a bundle."""

    INTERNAL = "internal"
    COLLABORATOR = "collaborator"
    PUBLIC = "public"
    MINIMAL = "minimal"


SCOPE_NEEDED = {
    Level.INTERNAL: frozenset(Scope),
    Level.COLLABORATOR: frozenset({Scope.COLLABORATOR, Scope.PUBLIC}),
    Level.PUBLIC: frozenset({Scope.PUBLIC}),
    Level.MINIMAL: frozenset({Scope.PUBLIC}),
}
"""What an owner must have allowed for a level."""

PUBLISHED = frozenset({Level.PUBLIC, Level.MINIMAL})
"""Levels whose bundles anybody may read, so that embargoes hold."""


@dataclass(frozen=True)
class Creator:
    """A person named as creator, with their consent."""

    name: str
    """Family name, given names."""
    orcid: str | None = None
    """Without the URL."""
    affiliation: str | None = None


@dataclass(frozen=True)
class Previous:
    """The version of the bundle that this one follows."""

    version: str
    sums_digest: str
    """sha256 of its SHA256SUMS."""


@dataclass(frozen=True)
class BundleFacts:
    """Facts that a person states about a bundle."""

    title: str
    description: str
    licence: Licence
    signed_by: str
    """Who read the privacy report and answers for it."""
    created: date
    level: Level = Level.PUBLIC
    version: str = "1.0.0"
    creators: tuple[Creator, ...] = ()
    """None: "anonymous contributor"."""
    contact: str = ""
    funding_statement: str = ""
    annotation_criteria: str = (
        "In doubt, ignore. Remove may be coarse where no membrane is near. Add is drawn "
        "accurately, and every voxel that is not ignore must be reliable."
    )
    doi: str | None = None
    previous: Previous | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Dataset tokens to rename, since a token may be a person's name."""
    share_coordinates: bool = False
    """For collaborators: both sides agreed to keep the patches' places."""
    finer_than_10_angstrom: bool = False
    """Publish more detail than membranes need, knowingly."""
    patches_per_tomogram: int = 3
    """At most, in a minimal bundle."""

    def check(self) -> None:
        """Errors: ExportError for a field that a metadata format refuses."""
        faults = list(self._faults())
        if faults:
            raise ExportError(faults[0], tuple(faults))

    def _faults(self) -> Iterable[str]:
        for word, text in (
            ("title", self.title),
            ("description", self.description),
            ("signer", self.signed_by),
        ):
            if not text.strip():
                yield f"a bundle needs a {word}; state it."
        if not _VERSION.fullmatch(self.version):
            yield f"version {self.version!r} is not of the form 1.0.0."
        for creator in self.creators:
            if creator.orcid is not None and not is_orcid(creator.orcid):
                yield f"ORCID {creator.orcid!r} is not valid; write it as in 0000-0002-1825-0097."
        if self.doi is not None and not _DOI.fullmatch(self.doi):
            yield f"DOI {self.doi!r} is not of the form 10.5281/zenodo.15089686."
        if self.patches_per_tomogram < 1:
            yield "a minimal bundle holds at least one patch a tomogram."

    @property
    def created_text(self) -> str:
        """The day, or for what is published the year alone."""
        return str(self.created.year) if self.level in PUBLISHED else self.created.isoformat()

    @property
    def keeps_places(self) -> bool:
        """Return whether patches keep their coordinates in the tomogram."""
        agreed = self.level is Level.COLLABORATOR and self.share_coordinates
        return self.level is Level.INTERNAL or agreed

    @property
    def recipe(self) -> Recipe:
        """Return how voxels are exported at this level."""
        minimal = self.level is Level.MINIMAL
        return Recipe(
            core_only=minimal, quantise=minimal, keep_origin=self.keeps_places, measured=True
        )

    def naming(self, pseudonyms: Pseudonyms) -> Naming:
        """Return how cases are named at this level."""
        if self.level is Level.INTERNAL:
            return RealNames()
        if self.level is Level.MINIMAL:
            return ContributorNames(pseudonyms, self.tokens)
        return PseudonymNames(pseudonyms, self.tokens)

    def bundle_id(self, hashes: Iterable[str]) -> str:
        """A UUID that follows from the contents, so that the same bundle keeps it."""
        return bundle_id_of(self.title, self.version, self.level, hashes)


def is_orcid(text: str) -> bool:
    """Return whether a text is an ORCID without its URL; the last digit checks the others (ISO
    7064).
    """
    if _ORCID.fullmatch(text) is None:
        return False
    total = 0
    for digit in text.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return text[-1] == ("X" if check == 10 else str(check))


def bundle_id_of(title: str, version: str, level: Level, hashes: Iterable[str]) -> str:
    """The UUID of a bundle; ``hashes`` are its images' and labels' content hashes."""
    parts = [BUNDLE_SCHEMA, title, version, str(level), *sorted(hashes)]
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(parts)))
