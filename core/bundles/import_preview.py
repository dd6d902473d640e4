"""Preview an import: compare a bundle's cases with the catalog."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from core.access.permissions import Action
from core.bundles.import_check import CheckedBundle, CheckedCase, Progress, check_bundle, is_bundle
from core.bundles.import_plain import check_plain
from core.exports.validate import read_label
from core.files.archives import OpenedFolder, open_archive
from core.imaging.labels import Label
from core.imaging.quality import Agreement, agreement
from core.lab.lab import Lab
from core.workspace.folders import make_shared
from core.workspace.workspace import Workspace
from db.queries.patches import patch_by_id
from db.queries.sharing import known_hashes, label_hashes, labels_by_id, own_bundle
from db.vocabulary import Licence

KEPT_UPLOADS = 24 * 3600
"""Seconds after which an upload that nobody took in or forgot leaves."""


class CaseStatus(StrEnum):
    """Outcome of a bundle's case on import."""

    NEW = "new"
    KNOWN = "known"
    SECOND = "second annotation"


@dataclass(frozen=True)
class FolderFacts:
    """Facts that a person states for a plain folder."""

    title: str
    licence: Licence
    attribution: str
    voxel_size: float | None = None
    """Angstrom, where the files say 1."""


@dataclass(frozen=True)
class IncomingCase:
    """A case of a bundle, and what would happen to it."""

    case: CheckedCase
    status: CaseStatus
    like: int | str | None = None
    """The patch of the catalog, or the earlier case, that has the same image."""
    agreement: Agreement | None = None


@dataclass(frozen=True)
class ImportPreview:
    """A verified bundle that nobody has imported yet."""

    bundle: CheckedBundle
    incoming: tuple[IncomingCase, ...]
    names: Mapping[int, str]
    """Of the catalog's patches that are mentioned, by id."""

    def count(self, status: CaseStatus) -> int:
        return sum(item.status is status for item in self.incoming)


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
def open_bundle(
    workspace: Workspace, source: Path, stated: FolderFacts | None, progress: Progress | None
) -> Iterator[CheckedBundle]:
    """A bundle that was opened safely and verified; what was unpacked leaves with the block.

    Errors: ArchiveError; BundleError.
    """
    make_shared(workspace.folders.cache)
    with TemporaryDirectory(prefix=".incoming-", dir=workspace.folders.cache) as folder:
        yield _check_bundle(open_archive(source, Path(folder)), stated, progress)


def compare(lab: Lab, bundle: CheckedBundle) -> ImportPreview:
    """Hold a verified bundle against the catalog; its files must still be there."""
    incoming = sort_cases(lab, bundle, bundle.cases)
    with lab.read(Action.IMPORT) as session:
        ids = {item.like for item in incoming if isinstance(item.like, int)}
        names = {patch_id: patch_by_id(session, patch_id).name for patch_id in ids}
    return ImportPreview(bundle, incoming, names)


def sort_cases(
    lab: Lab, bundle: CheckedBundle, cases: Sequence[CheckedCase]
) -> tuple[IncomingCase, ...]:
    """Say of each case whether it is new, known, or another label of an image that is here.

    The voxels decide: of the catalog's images, and of those that it exported before.
    """
    with lab.read(Action.IMPORT) as session:
        ours = own_bundle(session, bundle.statement.bundle_id)
        known = known_hashes(session, [case.image_hash for case in cases])
    incoming: list[IncomingCase] = []
    first: dict[str, CheckedCase] = {}
    for case in cases:
        if case.patch_id in ours:
            incoming.append(IncomingCase(case, CaseStatus.KNOWN, ours[case.patch_id]))
        elif twins := known.get(case.image_hash):
            incoming.append(_status_of_known(lab, case, twins))
        elif case.image_hash in first:
            incoming.append(_status_within(case, first[case.image_hash]))
        else:
            first[case.image_hash] = case
            incoming.append(IncomingCase(case, CaseStatus.NEW))
    return tuple(incoming)


def _check_bundle(
    opened: OpenedFolder, stated: FolderFacts | None, progress: Progress | None
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


def _status_of_known(lab: Lab, case: CheckedCase, twins: Sequence[int]) -> IncomingCase:
    """The same image is here: with the same label it is known, else a second annotation."""
    with lab.read(Action.IMPORT) as session:
        held = label_hashes(session, twins)
        for patch_id in twins:
            if (patch_id, case.label_hash) in held:
                return IncomingCase(case, CaseStatus.KNOWN, patch_id)
        patch = patch_by_id(session, twins[0])
        merge_id = patch.accepted_merge_id or patch.current_merge_id
        merge = labels_by_id(session, [merge_id])[merge_id] if merge_id else None
    if merge is None:
        return IncomingCase(case, CaseStatus.SECOND, twins[0])
    own = read_label(lab.store.path_of(merge.file_sha256))
    return IncomingCase(case, CaseStatus.SECOND, twins[0], _agreement(own, read_label(case.label)))


def _status_within(case: CheckedCase, first: CheckedCase) -> IncomingCase:
    if case.label_hash == first.label_hash:
        return IncomingCase(case, CaseStatus.KNOWN, first.patch_id)
    found = _agreement(read_label(first.label), read_label(case.label))
    return IncomingCase(case, CaseStatus.SECOND, first.patch_id, found)


def _agreement(own: Label, other: Label) -> Agreement | None:
    return agreement(own, other) if own.shape == other.shape else None
