"""Pseudonyms that only the holder of the key can undo: HMAC, never a plain hash.

A plain hash of ``TS_001`` is undone by hashing all likely names. The key lies in a file of its
own beside the catalog, readable to its owner alone, and never travels.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ExportError, OutputError
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


def read_or_make_key(path: Path) -> bytes:
    """The key in a file; a new one, mode 0600, where there is no file yet.

    Errors: OutputError where the file cannot be made; ExportError where others may read it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}).") from error
    with os.fdopen(descriptor, "w") as out:
        out.write(secrets.token_hex(KEY_BYTES) + "\n")
        out.flush()
        os.fsync(out.fileno())
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise ExportError(f"{path}: others may read the pseudonym key; chmod 600 it.")
    try:
        return bytes.fromhex(path.read_text().strip())
    except ValueError as error:
        raise ExportError(f"{path}: holds no key in hexadecimal; restore it.") from error
