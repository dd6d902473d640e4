"""Read the headers of files that are registered, before the catalog is locked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import SegmentationError, VolumeError
from core.imaging.extraction import voxel_size_findings
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.hashes import file_hash
from core.imaging.patch import check_pair
from core.tomograms.data_roots import checked_root, list_roots, resolve_below
from core.tomograms.discovery.pairing import Pairing, Predicted
from core.tomograms.known_files import Known, compare
from core.workspace.workspace import Workspace
from db.queries.volumes import tomograms_of_size
from db.writes.volumes import FoundFile

HASHED_AT_ONCE = 128 << 20
"""Bytes; a file of another's size is hashed within the second that registering may take."""


@dataclass(frozen=True)
class Seen:
    """The headers of a pairing's files, read before anything is written."""

    found: FoundFile
    header: Mapping[str, Any]
    voxel_size: tuple[float | None, bool]
    """Angstrom, and whether it was stated over the header."""
    predicted: tuple[tuple[Predicted, FoundFile], ...]
    new_roots: tuple[Path, ...]
    sha256: str | None
    known: Known
    findings: tuple[str, ...]


def read_headers(workspace: Workspace, pairing: Pairing, add_roots: bool) -> Seen:
    """Read the headers of a pairing's files, and compare those that are registered."""
    if pairing.error or pairing.tomogram is None:
        raise VolumeError(pairing.error or f"{pairing.name}: has no tomogram.")
    new_roots = _needed_roots(workspace, pairing, add_roots)
    roots = (*list_roots(workspace), *new_roots)
    tomogram = resolve_below(roots, pairing.tomogram)
    with open_volume(tomogram, roots) as volume:
        voxel_size = pairing.voxel_size or volume.voxel_size
        predicted = tuple(
            _open_segmentation(roots, segmentation, volume)
            for segmentation in pairing.segmentations
        )
        found, header = found_file(tomogram, volume), _header(volume)
    findings = (
        *pairing.findings,
        *volume.warnings,
        *voxel_size_findings(voxel_size),
        *(f"{root} is a data root now" for root in new_roots),
    )
    files = [found, *(item for _, item in predicted)]
    known = compare(workspace, (pairing.dataset, pairing.token), files)
    return Seen(
        found=found,
        header=header,
        voxel_size=(voxel_size, pairing.voxel_size is not None),
        predicted=predicted,
        new_roots=tuple(new_roots),
        sha256=_hash_where_suspect(workspace, found),
        known=known,
        findings=findings,
    )


def _needed_roots(workspace: Workspace, pairing: Pairing, add_roots: bool) -> list[Path]:
    """Find the folders of files outside all roots, where they may become roots."""
    roots = list(list_roots(workspace))
    new: list[Path] = []
    if not add_roots or pairing.tomogram is None:
        return new
    for path in (pairing.tomogram, *(segmentation.path for segmentation in pairing.segmentations)):
        try:
            resolved = path.resolve(strict=True)
        except (OSError, RuntimeError):
            continue  # told where the file is opened
        if not any(resolved.is_relative_to(root) for root in (*roots, *new)):
            new.append(checked_root(resolved.parent))
    return new


def _open_segmentation(
    roots: tuple[Path, ...], predicted: Predicted, tomogram: Volume
) -> tuple[Predicted, FoundFile]:
    path = resolve_below(roots, predicted.path)
    try:
        with open_volume(path, roots) as volume:
            check_pair(tomogram, volume)
            return predicted, found_file(path, volume)
    except VolumeError as error:
        raise SegmentationError(f"segmentation {error}") from error


def found_file(path: Path, volume: Volume) -> FoundFile:
    """Give the facts of an open volume that are registered."""
    status = path.stat()
    z, y, x = volume.shape
    return FoundFile(path, (z, y, x), volume.dtype.name, status.st_size, status.st_mtime_ns)


def _header(volume: Volume) -> dict[str, Any]:
    """Collect what a header states that is recorded and not used."""
    header: dict[str, Any] = {"voxel_size": volume.voxel_size, "warnings": list(volume.warnings)}
    for name in ("origin_xyz", "nstart_xyz"):
        value = getattr(volume, name, None)
        if value is not None:
            header[name] = list(value)
    return header


def _hash_where_suspect(workspace: Workspace, file: FoundFile) -> str | None:
    """Hash a small file that has the size of a hashed one; large ones wait for the job."""
    if file.size_bytes > HASHED_AT_ONCE:
        return None
    with workspace.catalog.read() as session:
        same_size = tomograms_of_size(session, file.size_bytes)
    hashed = any(item.on_disk.content_hash for item in same_size)
    return file_hash(file.path) if hashed else None
