"""Planes of a patch as pictures: its image, its label before and after, and what changed.

Before is the label as it was extracted, after is the one that was merged. The colours are those of
core/imaging/colors.py, in the painter and everywhere else.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from core.errors import VolumeError
from core.imaging import colors
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import BORDER, Zyx, whole
from core.imaging.labels import core_of
from core.imaging.preview.store import Window

Bytes = NDArray[np.uint8]

PERCENT = (0.5, 99.5)
OPACITY = 0.45
BORDER_SHARE = 0.5
"""Of its brightness that the border keeps."""
PIXELS = 3
"""Of a picture, for each voxel."""
KEPT = 12
"""Volumes of 4 MB that stay in memory."""


class Shown(StrEnum):
    """Overlay of a plane."""

    DIFFERENCE = "Difference"
    BEFORE = "Before"
    AFTER = "After"
    IMAGE = "Image"


UNCHANGED, ADDED, REMOVED, IGNORED = 1, 2, 3, 4
DIFFERENCE_COLORS: Mapping[int, str] = {
    UNCHANGED: colors.PREDICTION,
    ADDED: colors.ADD,
    REMOVED: colors.REMOVE,
    IGNORED: colors.IGNORE,
}
LABEL_COLORS: Mapping[int, str] = {1: colors.PREDICTION, 2: colors.IGNORE}
LEGEND = (
    ("membrane as predicted", colors.PREDICTION),
    ("added", colors.ADD),
    ("removed", colors.REMOVE),
    ("ignored", colors.IGNORE),
)
PLANES = (("XY", 0), ("XZ", 1), ("YZ", 2))
AXES: Mapping[str, str] = {"XY": "x →, y ↓", "XZ": "x →, z ↓", "YZ": "y →, z ↓"}
"""How each plane is drawn."""


@dataclass(frozen=True)
class PatchPicture:
    """The voxels of a patch, (z, y, x): grays, and labels of 0, 1 and 2."""

    gray: Bytes
    before: Bytes
    after: Bytes | None

    @property
    def shape(self) -> Zyx:
        return Zyx(*self.gray.shape)

    def overlay(self, shown: Shown) -> tuple[Bytes | None, Mapping[int, str]]:
        """Choose what is drawn over the grays, and its colours."""
        if shown is Shown.DIFFERENCE and self.after is not None:
            return difference(self.before, self.after), DIFFERENCE_COLORS
        if shown is Shown.BEFORE or (shown is not Shown.IMAGE and self.after is None):
            return self.before, LABEL_COLORS
        return (self.after, LABEL_COLORS) if shown is Shown.AFTER else (None, {})


def patch_picture(image: Path, before: Path, after: Path | None) -> PatchPicture:
    """Read the files of a patch.

    Errors: VolumeError for files that are not there, or of different shapes.
    """
    picture = PatchPicture(
        _grays(*_file_state(image)),
        _label(*_file_state(before)),
        _label(*_file_state(after)) if after else None,
    )
    for label in (picture.before, picture.after):
        if label is not None and label.shape != picture.gray.shape:
            raise VolumeError(f"{image.name}: its label has another shape; extract it again.")
    return picture


def difference(before: Bytes, after: Bytes) -> Bytes:
    """Code each voxel: unchanged membrane, added, removed, ignored, or 0."""
    codes = np.zeros(after.shape, np.uint8)
    codes[(before == 1) & (after == 1)] = UNCHANGED
    codes[(before != 1) & (after == 1)] = ADDED
    codes[(before == 1) & (after == 0)] = REMOVED
    codes[after == 2] = IGNORED
    return codes


def most_changed(before: Bytes, after: Bytes | None) -> Zyx:
    """Find the position whose three planes show most of the change inside the border.

    The middle, where nothing did.
    """
    middle = Zyx(*(side // 2 for side in before.shape))
    if after is None:
        return middle
    changed = before != after
    inner = np.zeros(changed.shape, bool)
    inner[core_of(Zyx(*changed.shape))] = True
    changed &= inner
    if not changed.any():
        return middle
    others = ((1, 2), (0, 2), (0, 1))
    return Zyx(*(int(changed.sum(axis=axes).argmax()) for axes in others))


def plane_png(picture: PatchPicture, shown: Shown, axis: int, at: Zyx) -> bytes:
    """Draw one plane as PNG: XY and XZ with x to the right, YZ with y to the right; y or z down.

    The same orientation as in the viewer and the painter. The lines of ``at`` are lifted.
    """
    codes, meanings = picture.overlay(shown)
    gray = _plane(picture.gray, axis, at)
    rgb = np.repeat(gray[:, :, np.newaxis], 3, axis=2).astype(np.float32)
    border = _border_of(gray.shape)
    rgb[border] *= BORDER_SHARE
    if codes is not None:
        plane = _plane(codes, axis, at)
        for value, color in meanings.items():
            inside = (plane == value) & ~border
            rgb[inside] = (1 - OPACITY) * rgb[inside] + OPACITY * np.array(colors.rgb(color))
    return png(_draw_cross(rgb, axis, at).astype(np.uint8))


def show_three(picture: PatchPicture, shown: Shown, at: Zyx) -> None:
    """Show the three planes side by side."""
    with st.container(key="tc_slices"):
        for column, (plane, axis) in zip(st.columns(3, gap="small"), PLANES, strict=True):
            column.image(
                plane_png(picture, shown, axis, at),
                width="stretch",
                caption=f"{plane} · {AXES[plane]}",
                alt=f"{plane} plane of the patch",
            )


def _border_of(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mask the border of a plane, which every label ignores: drawn darker, not in a colour."""
    border = np.ones(shape, bool)
    border[BORDER:-BORDER, BORDER:-BORDER] = False
    return border


def _plane(voxels: Bytes, axis: int, at: Zyx) -> Bytes:
    plane: Bytes = np.take(voxels, at[axis], axis=axis)
    return plane


def _draw_cross(rgb: NDArray[np.float32], axis: int, at: Zyx) -> NDArray[np.float32]:
    """Lift the row and the column of ``at`` a little, so that one finds it again."""
    row, column = ((at.y, at.x), (at.z, at.x), (at.z, at.y))[axis]
    rgb[row, :] = 0.8 * rgb[row, :] + 50
    rgb[:, column] = 0.8 * rgb[:, column] + 50
    return np.clip(rgb, 0, 255)


def png(rgb: Bytes) -> bytes:
    """Encode RGB voxels as PNG, several pixels per voxel."""
    out = io.BytesIO()
    picture = Image.fromarray(rgb)
    side = picture.width * PIXELS, picture.height * PIXELS
    picture.resize(side, Image.Resampling.NEAREST).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _file_state(path: Path) -> tuple[str, int, int]:
    """Give a file's path, size and time, which tell whether it changed."""
    try:
        facts = path.stat()
    except OSError as error:
        raise VolumeError(f"{path.name}: cannot be opened ({error.strerror}).") from error
    return str(path), facts.st_size, facts.st_mtime_ns


@st.cache_resource(max_entries=KEPT, show_spinner="Reads the patch…")
def _grays(path: str, size: int, mtime_ns: int) -> Bytes:
    with open_volume(Path(path)) as volume:
        values = volume.read(whole(volume.shape))
    sample = values[BORDER:-BORDER:4, ::3, ::3]
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, PERCENT) if finite.size else (0.0, 1.0)
    return _freeze(Window(float(low), float(high)).apply(values))


@st.cache_resource(max_entries=2 * KEPT, show_spinner="Reads the label…")
def _label(path: str, size: int, mtime_ns: int) -> Bytes:
    with open_volume(Path(path)) as volume:
        return _freeze(volume.read(whole(volume.shape)).astype(np.uint8))


def _freeze(voxels: Bytes) -> Bytes:
    """Shared by all sessions, so nobody may change it."""
    voxels.setflags(write=False)
    return voxels
