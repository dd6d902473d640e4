"""What a bundle brings, held against what is here: new, known, or another label of the same."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from core.bundles.import_check import (
    CheckedBundle,
    CheckedCase,
    Progress,
    check_bundle,
    check_plain,
    is_bundle,
)
from core.bundles.same_place import Alike, Seen, alike_with, alike_within, looks, said
from core.corrections.store import Store
from core.errors import ExportError, VolumeError
from core.exports.duplicates import Look, similarities
from core.exports.intensity import z_score
from core.exports.validate import read_label
from core.files.archives import OpenedFolder, open_archive
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole
from core.imaging.hashes import content_hash
from core.imaging.labels import Label
from core.imaging.quality import Agreement, agreement
from core.workspace.folders import make_shared
from core.workspace.workspace import Workspace
from db.queries.patches import PatchRecord, patch_by_id
from db.queries.sharing import (
    known_hashes,
    label_hashes,
    labels_by_id,
    likely_twins,
    own_bundle,
)
from db.vocabulary import Licence

LIKELY = 200
"""Patches of the catalog that an import is compared with at once; a job does the rest."""

ALIKE_ENOUGH = 0.999
"""Correlation of fingerprints above which it is worth to compare voxel by voxel."""


KEPT_UPLOADS = 24 * 3600
"""Seconds after which an upload that nobody took in or forgot leaves."""


class Fate(StrEnum):
    """What happens to a case of a bundle."""

    NEW = "new"
    KNOWN = "known"
    SECOND = "second annotation"


@dataclass(frozen=True)
class Stated:
    """What its bringer says of a plain folder, which says nothing itself."""

    title: str
    licence: Licence
    attribution: str
    voxel_size: float | None = None
    """Angstrom, where the files say 1."""


@dataclass(frozen=True)
class Incoming:
    """A case of a bundle, and what would happen to it."""

    case: CheckedCase
    fate: Fate
    like: int | str | None = None
    """The patch of the catalog, or the earlier case, that has the same image."""
    agreement: Agreement | None = None
    notes: tuple[str, ...] = ()
    """Near duplicates and overlaps, in words."""


@dataclass(frozen=True)
class Quarantine:
    """A verified bundle that nobody has taken in yet."""

    bundle: CheckedBundle
    incoming: tuple[Incoming, ...]
    alike: tuple[Alike, ...]
    """Among the cases (numbered -1, -2, … in their order) and with patches of the catalog."""
    names: Mapping[int, str]
    """Of the catalog's patches that are mentioned, by id."""

    def count(self, fate: Fate) -> int:
        return sum(each.fate is fate for each in self.incoming)


def forget_old_uploads(folder: Path, now: float) -> int:
    """Remove uploads that nobody took in or forgot for a day; how many. Links are left alone."""
    if folder.is_symlink() or not folder.is_dir():
        return 0
    old = [
        Path(entry)
        for entry in os.scandir(folder)
        if entry.name.isalnum()
        and entry.is_file(follow_symlinks=False)
        and entry.stat(follow_symlinks=False).st_mtime < now - KEPT_UPLOADS
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


@contextmanager
def opened_bundle(
    workspace: Workspace, source: Path, stated: Stated | None, progress: Progress | None
) -> Iterator[CheckedBundle]:
    """A bundle that was opened safely and verified; what was unpacked leaves with the block.

    Errors: ArchiveError; BundleError.
    """
    make_shared(workspace.folders.cache)
    with TemporaryDirectory(prefix=".incoming-", dir=workspace.folders.cache) as folder:
        yield _checked(open_archive(source, Path(folder)), stated, progress)


def compare(workspace: Workspace, bundle: CheckedBundle) -> Quarantine:
    """Hold a verified bundle against the catalog; its files must still be there."""
    with workspace.catalog.read() as session:
        ours = own_bundle(session, bundle.statement.bundle_id)
        known = known_hashes(session, [case.image_hash for case in bundle.cases])
        open_cases = [
            c for c in bundle.cases if c.patch_id not in ours and c.image_hash not in known
        ]
        size = open_cases[0].voxel_size if open_cases else None
        likely = likely_twins(session, size, (), LIKELY) if open_cases else ()
    here = _Here(workspace, ours, known, {p.id: p for p in likely}, list(looks(workspace, likely)))
    incoming = _fates(here, bundle)
    numbers = {case.patch_id: -number for number, case in enumerate(bundle.cases, 1)}
    seen = [
        _seen(numbers[each.case.patch_id], each.case, bundle)
        for each in incoming
        if each.fate is Fate.NEW
    ]
    alike = alike_within(seen) + alike_with(seen, here.seen)
    names = {patch.id: patch.name for patch in likely} | _names(workspace, incoming)
    shown = {number: case for case, number in numbers.items()} | names
    noted = tuple(
        replace(each, notes=_notes(numbers[each.case.patch_id], alike, shown)) for each in incoming
    )
    return Quarantine(bundle, noted, tuple(alike), names)


@dataclass(frozen=True)
class _Here:
    """What the catalog has of it already."""

    workspace: Workspace
    ours: Mapping[str, int]
    """Patches by case, where the bundle is one that we made."""
    known: Mapping[str, tuple[int, ...]]
    """Patches by the content hash of their image."""
    likely: Mapping[int, PatchRecord]
    seen: Sequence[Seen]

    def twins(self, case: CheckedCase) -> tuple[int, ...]:
        """Patches with just this image; also our own that went out z-scored and came back."""
        if case.image_hash in self.known:
            return self.known[case.image_hash]
        return tuple(
            each.patch_id
            for each in self.seen
            if self.likely[each.patch_id].tomogram_id is not None
            and each.look.side == case.look.side
            and _same_place(each.look, case.look)
            and _is_scored(self.workspace, self.likely[each.patch_id], case)
        )


def _checked(
    opened: OpenedFolder, stated: Stated | None, progress: Progress | None
) -> CheckedBundle:
    if stated is None or is_bundle(opened):
        return check_bundle(opened, progress)
    return check_plain(
        opened,
        stated.licence,
        stated.attribution,
        stated.title,
        voxel_size=stated.voxel_size,
        progress=progress,
    )


def _fates(here: _Here, bundle: CheckedBundle) -> list[Incoming]:
    fates: list[Incoming] = []
    first: dict[str, CheckedCase] = {}
    for case in bundle.cases:
        if case.patch_id in here.ours:
            fates.append(Incoming(case, Fate.KNOWN, here.ours[case.patch_id]))
        elif twins := here.twins(case):
            fates.append(_fate_of_known(here.workspace, case, twins))
        elif case.image_hash in first:
            fates.append(_fate_within(case, first[case.image_hash]))
        else:
            first[case.image_hash] = case
            fates.append(Incoming(case, Fate.NEW))
    return fates


def _fate_of_known(workspace: Workspace, case: CheckedCase, twins: Sequence[int]) -> Incoming:
    """The same image is here: with the same label it is known, else a second annotation."""
    with workspace.catalog.read() as session:
        held = label_hashes(session, twins)
        for patch_id in twins:
            if (patch_id, case.label_hash) in held:
                return Incoming(case, Fate.KNOWN, patch_id)
        patch = patch_by_id(session, twins[0])
        merge_id = patch.accepted_merge_id or patch.current_merge_id
        merge = labels_by_id(session, [merge_id])[merge_id] if merge_id else None
    if merge is None:
        return Incoming(case, Fate.SECOND, twins[0])
    own = read_label(Store(workspace.folders.store).path_of(merge.file_sha256))
    return Incoming(case, Fate.SECOND, twins[0], _agreement(own, read_label(case.label)))


def _fate_within(case: CheckedCase, first: CheckedCase) -> Incoming:
    if case.label_hash == first.label_hash:
        return Incoming(case, Fate.KNOWN, first.patch_id)
    found = _agreement(read_label(first.label), read_label(case.label))
    return Incoming(case, Fate.SECOND, first.patch_id, found)


def _agreement(own: Label, other: Label) -> Agreement | None:
    return agreement(own, other) if own.shape == other.shape else None


def _same_place(one: Look, other: Look) -> bool:
    prints = one.prints[one.side], other.prints[other.side]
    return float(similarities(prints[0], [prints[1]])[0]) >= ALIKE_ENOUGH


def _is_scored(workspace: Workspace, patch: PatchRecord, case: CheckedCase) -> bool:
    try:
        with open_volume(workspace.folders.image_of(patch.name)) as volume:
            image = volume.read(whole(volume.shape))
        scored = z_score(image, whole(volume.shape)).voxels
    except (VolumeError, ExportError, OSError):
        return False
    return content_hash(scored) == case.image_hash


def _seen(number: int, case: CheckedCase, bundle: CheckedBundle) -> Seen:
    group = f"{bundle.statement.bundle_id}/{case.source_group}"
    return Seen(number, group, case.voxel_size, case.look)


def _names(workspace: Workspace, incoming: Sequence[Incoming]) -> dict[int, str]:
    with workspace.catalog.read() as session:
        return {
            each.like: patch_by_id(session, each.like).name
            for each in incoming
            if isinstance(each.like, int)
        }


def _notes(number: int, alike: Sequence[Alike], names: Mapping[int, str]) -> tuple[str, ...]:
    notes = []
    for each in alike:
        if number in each.pair:
            other = each.pair[0] if each.pair[1] == number else each.pair[1]
            notes.append(said(each.found, names.get(other, str(other))))
    return tuple(notes)
