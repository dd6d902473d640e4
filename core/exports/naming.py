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
from core.exports.patch import CuratedPatch
from db.vocabulary import Split

CASE = re.compile(r"[a-z0-9]{2,16}_[A-Za-z0-9]{1,64}_patch[0-9]{1,9}", re.ASCII)
"""What a case may be called."""

IMAGE_ENDING = "_0000.nii.gz"
LABEL_ENDING = ".nii.gz"
_NUMBER = re.compile(r"_patch([0-9]{1,9})$", re.ASCII)


class CaseName(NamedTuple):
    """What a patch is called in an export, and the group that a reader may know it belongs to."""

    case: str
    group: str


Naming = Callable[[CuratedPatch, Split], CaseName]


@dataclass(frozen=True)
class RealNames:
    """The catalog's own tokens, for the own lab; imported patches keep their name."""

    def __call__(self, patch: CuratedPatch, split: Split) -> CaseName:
        if patch.imported is not None:
            return CaseName(patch.imported.patch_id, patch.imported.source_group)
        token = re.sub(r"[^A-Za-z0-9]", "", patch.tomogram)
        return CaseName(case_name(patch, token, patch_number(patch)), token)


def label_file(case: str) -> str:
    """The label's file name, which is the case's."""
    return case + LABEL_ENDING


def image_file(case: str) -> str:
    """The image's file name: channel 0 of the case, as nnU-Net and MemBrain-seg ask."""
    return case + IMAGE_ENDING


def name_cases(
    patches: Sequence[CuratedPatch], split: Mapping[str, Split], naming: Naming
) -> tuple[dict[str, CaseName], list[str]]:
    """Name all patches, keyed by their real name; and a sentence for each that has no good one.

    ``split`` is keyed by the patches' real names.
    """
    names: dict[str, CaseName] = {}
    faults: list[str] = []
    taken: dict[str, str] = {}
    for patch in patches:
        try:
            named = naming(patch, split[patch.name])
        except ExportError as error:
            faults.append(str(error))
            continue
        if named.case.casefold() in taken:
            named = _apart(patch, named)
        other = taken.setdefault(named.case.casefold(), patch.name)
        if other != patch.name:
            faults.append(f"{patch.name}: would be called {named.case}, as {other}; rename one.")
        names[patch.name] = named
    return names, faults


def _apart(patch: CuratedPatch, named: CaseName) -> CaseName:
    """Another name for a patch that came in under a name that two groups use."""
    if patch.imported is None:
        return named
    mark = hashlib.sha256(patch.imported.bundle_id.encode()).hexdigest()[:8]
    front, _, number = named.case.rpartition("_patch")
    return CaseName(f"{front}x{mark}_patch{number}", f"{named.group}x{mark}")


def patch_number(patch: CuratedPatch) -> str:
    """Read the number at the end of a patch's name. Errors: ExportError."""
    found = _NUMBER.search(patch.name)
    if found is None:
        raise ExportError(f"{patch.name}: does not end in _patch and a number.")
    return found.group(1)


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
