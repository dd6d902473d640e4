"""Manifests of backups: find, read and verify them."""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.corrections.store import Store
from core.errors import BackupError
from core.files.atomic import open_regular
from core.imaging.hashes import file_hash

FORMAT = "tomocurate backup"
FORMAT_VERSION = 1
NAME = re.compile(r"catalog-(\d{8}T\d{6}Z)-(daily|before_migration|asked)\Z")
STAMP = "%Y%m%dT%H%M%SZ"
ARCHIVES = (".sqlite", ".pgdump")
STORE = "store"
"""The folder beside the manifests that keeps files once for all backups."""

MAX_MANIFEST = 256 << 20


@dataclass(frozen=True)
class Manifest:
    """Content of a backup."""

    name: str
    made_at: str
    kind: str
    program: str
    schema: str
    archive: str
    """Name of the catalog's copy beside the manifest."""
    sha256: str
    size_bytes: int
    counts: Mapping[str, int]
    stored: Mapping[str, int]
    """Size of every file of the store, by sha256."""
    labels: Mapping[str, str]
    """sha256 of every extracted label, by patch."""
    images: Mapping[str, str]
    """sha256 of the images that cannot be cut again: of patches whose position is unknown."""
    settings: str
    """The workspace's tomocurate.toml, without passwords."""
    catalog: str
    """Where the catalog lay."""
    catalog_id: str = ""
    """Identity of the catalog; empty in backups of a version before 0.2."""
    drafts: Mapping[str, str] = field(default_factory=dict)
    """sha256 of every unsaved draft, by the name of its file."""

    @property
    def files(self) -> int:
        """Return the number of files in the backup."""
        return len(self.stored) + len(self.labels) + len(self.images) + len(self.drafts)

    @property
    def hashes(self) -> set[str]:
        """The sha256 of every file."""
        cut = (*self.labels.values(), *self.images.values())
        return {*self.stored, *cut, *self.drafts.values()}


def find_backup(folder: Path, name: str | None) -> Path:
    """The manifest of a backup in a folder: the newest, unless named.

    Errors: BackupError.
    """
    there = manifests(folder)
    if name is None and there:
        tomorrow = datetime.now(UTC) + timedelta(days=1)  # a later date is of a wrong clock
        return max(there, key=lambda path: (time_of(path) <= tomorrow, path.name))
    wanted = (name or "").removesuffix(".json").removesuffix(ARCHIVES[0]).removesuffix(ARCHIVES[1])
    for path in there:
        if path.stem == wanted:
            return path
    what = "no backup" if name is None else f"no backup {name!r}"
    raise BackupError(f"{folder}: holds {what}; tomocurate backup makes one.")


def manifests(folder: Path) -> list[Path]:
    """The manifests of a folder's backups, the oldest first; other files are passed over."""
    found = [path for path in folder.glob("catalog-*.json") if NAME.match(path.stem)]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def own_manifests(folder: Path, catalog_id: str, name: str) -> list[Path]:
    """Return the manifests of one catalog's backups, the oldest first.

    Backups without an identity (of a version before 0.2) are told by the catalog's ``name``.
    """

    def is_own(path: Path) -> bool:
        with suppress(BackupError):
            manifest = read_manifest(path)
            return manifest.catalog_id == catalog_id or (
                not manifest.catalog_id and manifest.catalog == name
            )
        return False

    return [path for path in manifests(folder) if is_own(path)]


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest into a file."""
    said = {"format": FORMAT, "format_version": FORMAT_VERSION, "backup": asdict(manifest)}
    path.write_text(json.dumps(said, indent=1), encoding="utf-8")


def read_manifest(path: Path) -> Manifest:
    """Read what a backup holds.

    Errors: BackupError for what is no manifest of ours, or of a newer program.
    """
    try:
        with open_regular(path) as file:
            raw = file.read(MAX_MANIFEST + 1)
        if len(raw) > MAX_MANIFEST:
            raise BackupError(f"{path}: is too large for a backup's manifest.")
        table = json.loads(raw)
        if table["format"] != FORMAT or table["format_version"] != FORMAT_VERSION:
            raise BackupError(
                f"{path}: is of format {table['format']!r} {table['format_version']}; this "
                f"program reads {FORMAT!r} {FORMAT_VERSION}."
            )
        manifest = Manifest(**table["backup"])
        _check_names(manifest)
    except FileNotFoundError as error:
        raise BackupError(
            f"{path}: there is no manifest, so this is no whole backup; name one that "
            "tomocurate backup made."
        ) from error
    except OSError as error:
        raise BackupError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupError(f"{path}: is no manifest of a backup, or is damaged.") from error
    return manifest


def time_of(manifest: Path) -> datetime:
    """Return the time of a backup from its name."""
    stamp = manifest.stem.split("-")[1]
    return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)


def check_archive(path: Path, manifest: Manifest) -> None:
    """The copy of the catalog is byte by byte what was written.

    Errors: BackupError.
    """
    archive = path.parent / manifest.archive
    try:
        found = file_hash(archive)
    except OSError as error:
        raise BackupError(
            f"{archive}: cannot be read ({error.strerror}); take another backup."
        ) from error
    if found != manifest.sha256:
        raise BackupError(
            f"{archive}: is damaged ({archive.stat().st_size} bytes of sha256 {found[:12]}..., "
            f"expected {manifest.size_bytes} of {manifest.sha256[:12]}...); take another backup."
        )


def check_files(folder: Path, manifest: Manifest) -> None:
    """Every file of a backup is byte by byte what was kept.

    Errors: BackupError names the first that is not.
    """
    store = Store(folder / STORE)
    for sha256 in manifest.hashes:
        path = store.path_of(sha256)
        try:
            found = file_hash(path)
        except OSError as error:
            raise BackupError(f"{path}: cannot be read ({error.strerror}).") from error
        if found != sha256:
            raise BackupError(f"{path}: is damaged (its bytes are of sha256 {found[:12]}...).")


def _check_names(manifest: Manifest) -> None:
    """Names out of a manifest become paths: they must be what we write."""
    hashes: Iterable[Any] = (*manifest.hashes, manifest.sha256)
    names = (*manifest.labels, *manifest.images, *manifest.drafts)
    patches = all(name == Path(name).name and name not in (".", "..") for name in names)
    sound = all(re.fullmatch(r"[0-9a-f]{64}", str(item)) for item in hashes)
    stem, _, kind = manifest.archive.rpartition(".")
    if not (patches and sound and NAME.match(stem) and f".{kind}" in ARCHIVES):
        raise ValueError("a name that we do not write")
