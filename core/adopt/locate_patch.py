"""Locate a patch that was cut elsewhere: in which registered tomogram, and at which box."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.adopt.guide_folders import FoundPatch
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.geometry import Box, Zyx, whole
from core.imaging.locate import find_patches
from core.imaging.patch import Placed, cut_patch, storable_image
from core.tomograms.source_files import open_original
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.queries.volumes import TomogramRecord, all_tomograms, segmentations_of


@dataclass(frozen=True)
class Location:
    """A patch's box in a tomogram, and the segmentation that its label was cut from, if known."""

    tomogram: TomogramRecord
    box: Box
    segmentation_id: int | None
    threshold: float | None = None


class _Images(Mapping[str, NDArray[Any]]):
    """The images of patches, read when they are asked for: there may be hundreds."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def __getitem__(self, name: str) -> NDArray[Any]:
        with open_volume(self._paths[name]) as volume:
            return volume.read(whole(volume.shape))

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def locate(workspace: Workspace, patches: list[FoundPatch]) -> dict[str, Location]:
    """Find patches in the registered tomograms by their voxels, exactly; the rest is unknown.

    A patch is first compared with the place that its header states, then looked for in the
    tomograms of its token, then in all others.
    """
    with workspace.catalog.read() as session:
        tomograms = all_tomograms(session)
    wanted = {patch.name: patch for patch in patches if patch.image is not None}
    found: dict[str, Location] = {}
    for by_token in (True, False):
        for tomogram in tomograms:
            left = {
                name: patch
                for name, patch in wanted.items()
                if name not in found and (patch.named.token == tomogram.token) is by_token
            }
            if left:
                found |= _locate_in(workspace, tomogram, left)
    return found


def _locate_in(
    workspace: Workspace, tomogram: TomogramRecord, patches: Mapping[str, FoundPatch]
) -> dict[str, Location]:
    """Locate patches in a tomogram; one that cannot be read holds none (doctor tells why)."""
    try:
        with open_original(tomogram.on_disk) as volume:
            boxes = _boxes(volume, patches)
            return {
                name: _bound(workspace, tomogram, volume, box, patches[name])
                for name, box in boxes.items()
            }
    except TomocurateError:
        return {}


def _boxes(volume: Volume, patches: Mapping[str, FoundPatch]) -> dict[str, Box]:
    paths = {name: patch.image for name, patch in patches.items() if patch.image is not None}
    stated = {name: box for name, path in paths.items() if (box := _read_stated_box(volume, path))}
    left = _Images({name: path for name, path in paths.items() if name not in stated})
    return stated | (find_patches(volume, left) if left else {})


def _read_stated_box(volume: Volume, image: Path) -> Box | None:
    """Give the box that an image's header states, if the tomogram has these voxels there."""
    with open_volume(image) as patch:
        if patch.grid is None:
            return None
        spacing = np.array(patch.grid.spacing_xyz)
        start_xyz = np.rint(np.array(patch.grid.origin_xyz) / spacing)
        if not np.isfinite(start_xyz).all() or abs(start_xyz).max() > 1 << 24:
            return None
        start = Zyx.from_xyz(start_xyz.astype(int).tolist())
        box = whole(patch.shape).moved(start)
        if not box.lies_in(volume.shape):
            return None
        there = storable_image(volume.read(box))
        return box if np.array_equal(there, patch.read(whole(patch.shape))) else None


def _bound(
    workspace: Workspace, tomogram: TomogramRecord, volume: Volume, box: Box, patch: FoundPatch
) -> Location:
    """Find the segmentation of the tomogram that gives exactly this label."""
    with workspace.catalog.read() as session:
        every = segmentations_of(session, tomogram.id)
    for item in every:
        try:
            with open_original(item.on_disk) as segmentation:
                placed = Placed(_center(box), box)
                cut = cut_patch(volume, segmentation, placed, item.threshold, item.membrane_label)
            if patch.label is not None and _holds(patch.label, cut.label):
                return Location(tomogram, box, item.id, item.threshold)
        except TomocurateError:
            continue
    return Location(tomogram, box, None)


def _holds(path: Path, label: NDArray[np.uint8]) -> bool:
    with open_volume(path) as volume:
        return volume.shape == label.shape and np.array_equal(
            volume.read(whole(volume.shape)), label
        )


def _center(box: Box) -> Zyx:
    return Zyx(*(start + side // 2 for start, side in zip(box.start, box.shape, strict=True)))
