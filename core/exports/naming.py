"""The name of a case in an export: ``<token>_<tomogram>_patch<N>``, real or a pseudonym.

MemBrain-seg reads everything before the first underscore as the dataset's token; nnU-Net takes
the name as the case; a file system may not tell ``TS1`` from ``ts1``.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.errors import ExportError
from core.exports.patch import CuratedPatch, Imported
from db.vocabulary import Split

CASE = re.compile(r"[a-z0-9]{2,16}_[A-Za-z0-9]{1,64}_patch[0-9]{1,9}", re.ASCII)
"""What a case may be called."""

IMAGE_ENDING = "_0000.nii.gz"
LABEL_ENDING = ".nii.gz"
MARK_DIGITS = 8
"""Of the hash that is added to the names of two tomograms that would be called alike."""

_LONGEST_TOMOGRAM = 64
_NUMBER = re.compile(r"_patch([0-9]{1,9})$", re.ASCII)


class CaseName(NamedTuple):
    """Name of a patch in an export."""

    case: str
    group: str
    """What a reader of the export may know it belongs to."""
    source: str
    """What the case is named after (real name): two of them never share a name."""


Naming = Callable[[CuratedPatch, Split], CaseName]


@dataclass(frozen=True)
class RealNames:
    """The catalog's own tokens, for the own lab; imported patches keep their name."""

    def __call__(self, patch: CuratedPatch, split: Split) -> CaseName:
        if patch.imported is not None:
            return imported_name(patch.imported)
        token = re.sub(r"[^A-Za-z0-9]", "", patch.tomogram)
        case = case_name(patch, token, patch_number(patch))
        return CaseName(case, token, f"{patch.dataset}/{patch.tomogram}")


def imported_name(imported: Imported) -> CaseName:
    """Keep the name under which a patch was shared."""
    source = f"{imported.bundle_id}/{imported.patch_id.rpartition('_patch')[0]}"
    return CaseName(imported.patch_id, imported.source_group, source)


def label_file(case: str) -> str:
    """Name a case's label file."""
    return case + LABEL_ENDING


def image_file(case: str) -> str:
    """Name a case's image file: channel 0, as nnU-Net and MemBrain-seg ask."""
    return case + IMAGE_ENDING


def name_cases(
    patches: Sequence[CuratedPatch], split: Mapping[str, Split], naming: Naming
) -> tuple[dict[str, CaseName], list[str]]:
    """Name all patches, keyed by their real name; and a sentence for each that has no good name.

    ``split`` is keyed by the patches' real names. Tomograms that would be called alike
    (``TS_1`` and ``TS-1``, ours and another lab's) get a mark each.
    """
    names: dict[str, CaseName] = {}
    faults: list[str] = []
    for patch in patches:
        try:
            names[patch.name] = naming(patch, split[patch.name])
        except ExportError as error:
            faults.append(str(error))
    imported = {patch.name for patch in patches if patch.imported is not None}
    names = _tell_apart(names, imported)
    taken: dict[str, str] = {}
    for name, named in names.items():
        other = taken.setdefault(named.case.casefold(), name)
        if other != name:
            faults.append(f"{name}: would be called {named.case}, as {other}; leave one out.")
    return names, faults


def patch_number(patch: CuratedPatch) -> str:
    """Read the number at the end of a patch's name. Errors: ExportError."""
    match = _NUMBER.search(patch.name)
    if match is None:
        raise ExportError(f"{patch.name}: the name does not end in _patch and a number.")
    return match.group(1)


def case_name(
    patch: CuratedPatch, tomogram: str, number: str, tokens: Mapping[str, str] | None = None
) -> str:
    """Join a case's name; ``tokens`` rename datasets. Errors: ExportError."""
    token = (tokens or {}).get(patch.dataset, patch.dataset).lower()
    case = f"{token}_{tomogram}_patch{number}"
    if CASE.fullmatch(case) is None:
        raise ExportError(
            f"{patch.name}: would be called {case!r}, but a case is named <token>_<tomogram>"
            "_patch<N> with a token of 2 to 16 letters or digits (no underscore)."
        )
    return case


def mark_of(source: str) -> str:
    """Make a mark that tells sources apart: letters and digits, the same everywhere."""
    return "x" + hashlib.sha256(source.encode()).hexdigest()[:MARK_DIGITS]


def _tell_apart(names: Mapping[str, CaseName], imported: set[str]) -> dict[str, CaseName]:
    """Mark the names of sources that share a prefix; our only one keeps its plain name."""
    ours: dict[str, set[str]] = {}
    sources: dict[str, set[str]] = {}
    for name, named in names.items():
        prefix = _prefix(named)
        sources.setdefault(prefix, set()).add(named.source)
        if name not in imported:
            ours.setdefault(prefix, set()).add(named.source)
    return {
        name: _mark_imported(named)
        if len(sources[_prefix(named)]) > 1 and ours.get(_prefix(named)) != {named.source}
        else named
        for name, named in names.items()
    }


def _prefix(named: CaseName) -> str:
    return named.case.rpartition("_patch")[0].casefold()


def _mark_imported(named: CaseName) -> CaseName:
    mark = mark_of(named.source)
    front, _, number = named.case.rpartition("_patch")
    token, _, tomogram = front.partition("_")
    short = tomogram[: _LONGEST_TOMOGRAM - len(mark)]
    return CaseName(f"{token}_{short}{mark}_patch{number}", f"{named.group}{mark}", named.source)
