"""Check a plain folder as MemBrain-seg's training data lies on Zenodo: it states nothing itself."""

import hashlib
import re
import uuid
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from core.bundles.facts import Level
from core.bundles.import_check import (
    CheckedBundle,
    Progress,
    name_twins,
    read_case,
    read_cases,
)
from core.bundles.statement import Statement, refuse_all
from core.errors import BundleError
from core.exports.case import FOLDERS
from core.exports.check_folder import list_pairs
from core.exports.naming import mark_of
from core.files.archives import OpenedFolder
from db.vocabulary import Licence, Split


def check_plain(
    opened: OpenedFolder,
    licence: Licence,
    attribution: str,
    title: str,
    *,
    voxel_size: float | None = None,
    progress: Progress | None = None,
) -> CheckedBundle:
    """Verify a plain folder as MemBrain-seg's training data has it; empty parts are left out.

    ``voxel_size`` (angstrom) is for folders whose headers say 1, as MemBrain-seg writes them.

    Errors: BundleError with all that is wrong.
    """
    if not attribution.strip() or not title.strip():
        raise BundleError("a folder without bundle.json needs a title and an attribution.")
    pairs = []
    for split in (Split.TRAIN, Split.VAL):
        if all((opened.root / name).is_dir() for name in FOLDERS[split]):
            found, faults = list_pairs(opened.root, split)
            refuse_all(fault.message for fault in faults)
            pairs += found
    if not pairs:
        raise BundleError("the folder holds no labelsTr with labels; name one that does.")
    ids = plain_ids([pair.case for pair in pairs])
    refuse_all(name_twins(ids.values()))
    rights = licence, attribution
    looks = [
        partial(read_case, ids[p.case], (p.image, p.label), p.split, voxel_size, rights)
        for p in pairs
    ]
    cases = read_cases(looks, progress)
    digest = hashlib.sha256("".join(sorted(c.image_hash + c.label_hash for c in cases)).encode())
    bundle_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"plain folder {digest.hexdigest()}"))
    statement = Statement(
        bundle_id, title, licence, attribution, Level.PUBLIC, normalised=False, plain=True
    )
    return CheckedBundle(statement, cases, digest.hexdigest())


def plain_ids(cases: Sequence[str]) -> dict[str, str]:
    """Name the cases of a plain folder by our rule: ``<token>_<rest>_patch<N>``.

    Cases that would be called alike (``TS_1`` and ``TS-1``) get a mark each.
    """
    named = {case: _plain_name(case) for case in sorted(cases)}
    sources: dict[tuple[str, str], set[str]] = {}
    for name in named.values():
        sources.setdefault((name.token, name.group.casefold()), set()).add(name.source)
    numbers: dict[str, int] = {}
    ids: dict[str, str] = {}
    for case, name in named.items():
        shared = len(sources[name.token, name.group.casefold()]) > 1
        mark = mark_of(name.source) if shared else ""
        start = f"{name.token}_{name.group[: 64 - len(mark)]}{mark}"
        if name.number is None:
            numbers[start] = numbers.get(start, -1) + 1
        ids[case] = f"{start}_patch{numbers[start] if name.number is None else name.number}"
    return ids


class _PlainName(NamedTuple):
    token: str
    group: str
    source: str
    number: int | None


def _plain_name(case: str) -> _PlainName:
    token, _, rest = case.partition("_")
    front, _, number = rest.rpartition("_patch")
    digits = re.match(r"[0-9]{1,9}", number) if front else None
    source = front if digits else rest
    return _PlainName(
        token=(re.sub(r"[^a-z0-9]", "", token.lower()) + "xx")[: max(2, min(16, len(token)))],
        group=re.sub(r"[^A-Za-z0-9]", "", source)[:64] or "x",
        source=f"{token}_{source}",
        number=int(digits.group()) if digits else None,
    )
