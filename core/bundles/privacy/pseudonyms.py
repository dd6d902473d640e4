"""Make pseudonyms that only the holder of the key can undo: HMAC, never a plain hash.

A plain hash of ``TS_001`` is undone by hashing all likely names. The key lies in the catalog, so
that it outlives accounts, moves and restores; no bundle holds it.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ExportError
from core.exports.naming import CaseName, case_name, imported_name, patch_number
from core.exports.patch import CuratedPatch
from db.vocabulary import Split

KEY_BYTES = 32
LETTERS = 10
"""Of base32: 50 bits, so that a thousand names clash once in two billion exports."""


@dataclass(frozen=True)
class Pseudonyms:
    """Gives the same pseudonym for the same name as long as the key is the same."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < KEY_BYTES:
            raise ExportError(f"the pseudonym key has {len(self.key)} bytes; {KEY_BYTES} are safe.")

    def of(self, kind: str, name: str) -> str:
        """A pseudonym such as ``t4kq2m7xwza``: the kind's first letter, then base32."""
        mac = hmac.new(self.key, f"{kind}\0{name}".encode(), hashlib.sha256).digest()
        return kind[0].lower() + base64.b32encode(mac).decode("ascii")[:LETTERS].lower()


@dataclass(frozen=True)
class PseudonymNames:
    """A pseudonym for each tomogram; dataset tokens may be renamed (they may be persons)."""

    pseudonyms: Pseudonyms
    tokens: Mapping[str, str]

    def __call__(self, patch: CuratedPatch, split: Split) -> CaseName:
        if patch.imported is not None:
            return imported_name(patch.imported)
        group = self.pseudonyms.of("tomogram", patch.source_group)
        tomogram = self.pseudonyms.of("tomogram", f"{patch.dataset}/{patch.tomogram}")
        case = case_name(patch, tomogram, patch_number(patch), self.tokens)
        return CaseName(case, group, tomogram)


@dataclass(frozen=True)
class ContributorNames:
    """One pseudonym for each contributor (and split): not even which patches lie together."""

    pseudonyms: Pseudonyms
    tokens: Mapping[str, str]

    def __call__(self, patch: CuratedPatch, split: Split) -> CaseName:
        if patch.imported is not None:
            return imported_name(patch.imported)
        owner = patch.permission.owner if patch.permission else ""
        group = self.pseudonyms.of("contributor", f"{owner}\0{split}")
        own = self.pseudonyms.of("number", patch.name)
        number = str(int(own[1:], 36) % 10**9)
        case = case_name(patch, group, number, self.tokens)
        return CaseName(case, group, group)


def read_key_file(path: Path) -> bytes | None:
    """Read a key in hexadecimal; None where there is no file.

    Errors: ExportError.
    """
    try:
        return bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: no pseudonym key can be read; restore it.") from error
