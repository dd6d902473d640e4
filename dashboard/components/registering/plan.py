"""Plan what a page registers: files below data roots, patterns, tables, pairs made by hand."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import RootError
from core.tomograms.data_roots import is_volume_name, list_roots, resolve_below
from core.tomograms.discovery.layouts import Layout, guess_layout
from core.tomograms.discovery.pairing import Pairing
from core.tomograms.register import OTHER, plan_registration
from core.workspace.workspace import Workspace
from dashboard.ui.theme import format_size
from db.errors import TomocurateError

MAX_TABLE = 16 << 20
MOST_NEIGHBOURS = 500
"""Files of a folder among which a segmentation is looked for."""


@dataclass(frozen=True)
class Asked:
    """Request to register: files, and facts that hold for all of them."""

    sources: tuple[str, ...]
    dataset: str = "other"
    voxel_size: float | None = None
    threshold: float | None = None

    def kept(self) -> dict[str, Any]:
        """For the session state: words and numbers."""
        return {
            "sources": list(self.sources),
            "dataset": self.dataset,
            "voxel_size": self.voxel_size,
            "threshold": self.threshold,
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Asked":
        return cls(**{**kept, "sources": tuple(kept["sources"])})


def below(root: Path, pattern: str) -> str:
    """Resolve a pattern below a data root, which cannot lead out of it.

    Errors: RootError.
    """
    parts = PurePosixPath(pattern.strip()).parts
    if not parts or PurePosixPath(pattern.strip()).is_absolute() or ".." in parts:
        raise RootError(
            f"{pattern[:200]!r}: is no pattern below {root}; write one such as session1/*.mrc."
        )
    return str(root.joinpath(*parts))


def plan(workspace: Workspace, asked: Asked) -> tuple[Pairing, ...]:
    """Plan what would be registered; files outside all data roots are refused.

    Errors: VolumeError, PatchNameError, RootError.
    """
    roots = list_roots(workspace)
    for source in asked.sources:
        if not any(Path(source).is_relative_to(root) for root in roots):
            raise RootError(f"{source[:200]}: lies below no data root; choose a file below one.")
    folder = Path(asked.sources[0])
    if len(asked.sources) == 1 and folder.is_dir():
        return _plan(workspace, asked, [str(folder)], layout=guess_layout(folder))
    pairings = _plan(workspace, asked, _with_neighbours(asked.sources))
    return tuple(pairing for pairing in pairings if _is_asked(pairing, asked.sources))


def pair_by_hand(
    workspace: Workspace, asked: Asked, pairing: Pairing, segmentation: Path
) -> Pairing:
    """Pair a tomogram with a segmentation whose name does not begin like the tomogram's.

    Errors: VolumeError, PatchNameError, RootError.
    """
    return _plan(workspace, asked, [str(pairing.tomogram)], segmentation)[0]


def neighbours(path: Path) -> tuple[Path, ...]:
    """List the volume files of the folder that a file lies in; none for a large folder."""
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in islice(entries, MOST_NEIGHBOURS + 1)]
    if len(names) > MOST_NEIGHBOURS:
        return ()
    return tuple(path.parent / name for name in sorted(names) if is_volume_name(name))


def _plan(
    workspace: Workspace,
    asked: Asked,
    sources: Sequence[str],
    segmentation: Path | None = None,
    layout: Layout | None = None,
) -> tuple[Pairing, ...]:
    return plan_registration(
        workspace,
        sources,
        segmentation=segmentation,
        dataset=None if asked.dataset == OTHER else asked.dataset,
        voxel_size=asked.voxel_size,
        threshold=asked.threshold,
        layout=layout,
        within_roots=True,
    )


def _with_neighbours(sources: Sequence[str]) -> list[str]:
    """Add the files beside each file: a segmentation need not be selected to be found."""
    files = [Path(source) for source in sources if Path(source).is_file()]
    folders = {file.parent: file for file in files}
    beside = [str(path) for file in folders.values() for path in neighbours(file)]
    return sorted({*sources, *beside})


def _is_asked(pairing: Pairing, sources: Sequence[str]) -> bool:
    """Say whether one of the sources is in a pairing, or is not a file (a pattern)."""
    files = {source for source in sources if Path(source).is_file()}
    if len(files) < len(sources):
        return True
    paths = {pairing.tomogram, *(segmentation.path for segmentation in pairing.segmentations)}
    named = {str(path) for path in paths if path}
    return bool(files & named) if named else True


def plan_table(workspace: Workspace, name: str, content: bytes) -> tuple[Pairing, ...]:
    """Plan the pairings of an uploaded table; its paths are whole, or below the first root.

    Errors: VolumeError for what is no such table; RootError for a file outside all roots.
    """
    if len(content) > MAX_TABLE:
        raise RootError(f"{name[:80]}: larger than {format_size(MAX_TABLE)}: not a table of paths.")
    roots = list_roots(workspace)
    ending = ".tsv" if name.lower().endswith(".tsv") else ".csv"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, f"table{ending}")
        table.write_bytes(content)
        pairings = plan_registration(workspace, [table])
    return tuple(_below_roots(pairing, Path(folder), roots) for pairing in pairings)


def _below_roots(pairing: Pairing, folder: Path, roots: tuple[Path, ...]) -> Pairing:
    """Move a row's paths from the table's folder to the first data root."""
    if pairing.error or pairing.tomogram is None or not roots:
        return pairing

    def moved(path: Path) -> Path:
        inside = path.relative_to(folder) if path.is_relative_to(folder) else path
        return resolve_below(roots, roots[0] / inside)

    try:
        segmentations = tuple(
            replace(segmentation, path=moved(segmentation.path))
            for segmentation in pairing.segmentations
        )
        return replace(pairing, tomogram=moved(pairing.tomogram), segmentations=segmentations)
    except TomocurateError as error:
        return replace(pairing, error=str(error))
