"""A correction file: what an annotator painted, placed on its patch by the file's own header.

A file's kind comes from its name (Add1.nrrd, remove_new.nii.gz), or from the names of its labels
where it has any (MITK, 3D Slicer). DESIGN: placed exactly, or accepted as "orientation not
stated" where it says nothing, or refused with what was expected and what was found.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import CorrectionError, VolumeError
from core.files.atomic import whole_file
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.geometry import Grid, Zyx, whole
from core.imaging.labels import MEMBRANE, Label, Mask, painted_voxels
from core.imaging.placing import Placement, identity, orientations, place
from db.vocabulary import CorrectionKind

VOLUME_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mrc", ".rec", ".map", ".tif", ".tiff")
AMIRA_SUFFIX = ".am"
MAX_VOXELS = 1 << 28
"""Of one correction layer; a patch of 160³ has 4 million."""

_KIND = re.compile("add|remove|ignore", re.IGNORECASE)
_PROBED = 20_000


@dataclass(frozen=True)
class Correction:
    """What one file paints on its patch: a mask for each kind, (z, y, x), the patch's shape."""

    path: Path
    masks: Mapping[CorrectionKind, Mask]
    findings: tuple[str, ...]


def kind_of(name: str) -> CorrectionKind | None:
    """The kind that a file or label name states: it begins with Add, Remove or Ignore."""
    match = _KIND.match(name)
    return CorrectionKind(match.group().lower()) if match else None


def may_be_correction(path: Path) -> bool:
    """Whether a file in a correction folder is one, by its name and its labels' names.

    Strays (notes, .DS_Store, folders) are not; a file without a suffix that is named like a
    correction is, so that it is not passed over in silence.
    """
    if path.name.startswith(".") or (not path.is_file() and not path.is_fifo()):
        return False
    return is_correction_name(path.name) or (
        path.name.lower().endswith(".nrrd") and names_kinds(path)
    )


def is_correction_name(name: str) -> bool:
    """Whether a file name states a kind and a format, or no format at all."""
    lower = name.lower()
    known = lower.endswith((*VOLUME_SUFFIXES, AMIRA_SUFFIX)) or "." not in lower
    return kind_of(name) is not None and known


def read_correction(
    path: Path, label: Label, grid: Grid | None, name: str | None = None
) -> Correction:
    """Read a correction and place it on the patch of this extracted label.

    ``grid`` is the label's own (None: a file format that states none; one voxel is one unit).
    ``name`` is the file name that it was saved under, where it is kept under another.

    Errors: VolumeError for an unreadable file; CorrectionError for one that is 2D or empty of
    geometry, on another grid, painted outside the patch, negative, fractional or NaN.
    """
    name = name or path.name
    if name.lower().endswith(AMIRA_SUFFIX):
        raise CorrectionError(f"{path}: Amira's own format cannot be placed; export it as NRRD.")
    with open_volume(path) as volume:
        _check_is_painted(volume)
        patch_grid = grid or Grid.aligned()
        placement, stated = _placement(volume, Zyx(*label.shape), patch_grid)
        masks = _masks(volume, placement, Zyx(*label.shape), kind_of(name))
    findings = [*_placement_findings(placement, stated, Zyx(*label.shape))]
    if not any(mask.any() for mask in masks.values()):
        findings.append("nothing is painted in it")
    findings += _plausibility(masks, label, stated)
    return Correction(path, masks, tuple(findings))


def write_correction(path: Path, painted: Mask, grid: Grid, kind: CorrectionKind) -> None:
    """Write a mask, (z, y, x), as the NRRD that MITK saves for this patch, whole or not at all.

    The same mask gives the same bytes: pynrrd's comments, which hold the time, are left out.
    """
    import nrrd

    header = {
        "space": "left-posterior-superior",
        "space directions": np.asarray(grid.steps_xyz).T,
        "space origin": np.asarray(grid.origin_xyz),
        "kinds": ["domain"] * 3,
        "encoding": "gzip",
        **_mitk_fields(kind),
    }
    written = io.BytesIO()
    nrrd.write(written, painted.astype(np.uint16), header, index_order="C", compression_level=1)
    head, _, voxels = written.getvalue().partition(b"\n\n")
    lines = [line for line in head.split(b"\n") if not line.startswith(b"#")]
    with whole_file(path) as temporary:
        temporary.write_bytes(b"\n".join(lines) + b"\n\n" + voxels)


def _mitk_fields(kind: CorrectionKind) -> dict[str, str]:
    name = kind.value.capitalize()
    groups = f'[{{"labels":[{{"name":"{name}","value":1}}],"name":"{name}"}}]'
    return {
        "modality": "org.mitk.multilabel.segmentation",
        "org.mitk.multilabel.segmentation.version": "1",
        "org.mitk.multilabel.segmentation.labelgroups": groups,
    }


def names_kinds(path: Path) -> bool:
    """Whether a file holds labels that are named Add, Remove or Ignore."""
    try:
        with open_volume(path) as volume:
            return any(kind_of(segment.name) for segment in volume.segments)
    except VolumeError:  # what cannot be read names no kinds
        return False


def _check_is_painted(volume: Volume) -> None:
    if max(volume.shape) == 1:
        raise CorrectionError(
            f"{volume.path}: has one voxel (what 3D Slicer saves when nothing was painted); "
            "paint and save again, or remove the file."
        )
    if min(volume.shape) == 1:
        raise CorrectionError(
            f"{volume.path}: is a single slice of {_xyz(volume.shape)} voxels (x, y, z); "
            "save the whole 3D segmentation."
        )
    if int(np.prod(volume.shape, dtype=object)) > MAX_VOXELS:
        raise CorrectionError(
            f"{volume.path}: is {_xyz(volume.shape)} voxels (x, y, z), far more than a patch."
        )


def _placement(volume: Volume, shape: Zyx, patch_grid: Grid) -> tuple[Placement, bool]:
    """How the file lies on the patch, and whether the file says so."""
    grid = volume.grid
    own = place(volume.shape, grid, patch_grid) if grid is not None else None
    if own is not None and not own.reorders and own.box == whole(shape):
        return own, True
    if volume.shape == shape and (grid is None or _is_array_writers(grid)):
        return identity(shape), False
    if own is None:
        raise CorrectionError(_other_grid(volume, shape, patch_grid))
    return own, True


def _is_array_writers(grid: Grid) -> bool:
    """Spacing 1, origin 0, identity in LPS or RAS: what a program writes that knows no geometry."""
    steps = np.asarray(grid.steps_xyz)
    identities = np.eye(3), np.diag([-1.0, -1.0, 1.0])
    return bool(
        np.allclose(grid.origin_xyz, 0)
        and any(np.allclose(steps, identity, atol=1e-6) for identity in identities)
    )


def _other_grid(volume: Volume, shape: Zyx, patch_grid: Grid) -> str:
    expected = f"{_xyz(shape)} voxels, {_describe(patch_grid)}"
    if volume.grid is None:
        found = f"{_xyz(volume.shape)} voxels and no position"
    else:
        found = f"{_xyz(volume.shape)} voxels, {_describe(volume.grid)}"
    return (
        f"{volume.path}: lies on another grid than its patch: expected {expected}; found {found} "
        "(x, y, z); paint on the patch's own image and save without resampling."
    )


def _describe(grid: Grid) -> str:
    def numbers(values: Any) -> str:
        return ",".join(f"{value:g}" for value in np.round(values, 4))

    steps = np.asarray(grid.steps_xyz) / np.asarray(grid.spacing_xyz)
    turned = "" if np.allclose(steps, np.eye(3)) else f", directions {numbers(steps.ravel())}"
    return f"spacing {numbers(grid.spacing_xyz)}, origin {numbers(grid.origin_xyz)}{turned}"


def _masks(
    volume: Volume, placement: Placement, shape: Zyx, file_kind: CorrectionKind | None
) -> dict[CorrectionKind, Mask]:
    masks: dict[CorrectionKind, Mask] = {}
    for layer in range(volume.layers):
        voxels = volume.read(whole(volume.shape), layer)
        _check_values(voxels, volume.path)
        named = {
            segment.value: kind
            for segment in volume.segments
            if segment.layer == layer and (kind := kind_of(segment.name)) is not None
        }
        for kind, mask in _by_kind(voxels, named, file_kind, volume.path).items():
            placed = _pasted(mask, placement, shape, volume.path)
            masks[kind] = masks[kind] | placed if kind in masks else placed
    return masks


def _by_kind(
    voxels: NDArray[Any],
    named: Mapping[int, CorrectionKind],
    file_kind: CorrectionKind | None,
    path: Path,
) -> dict[CorrectionKind, Mask]:
    """Labels named Add, Remove or Ignore count as those; all others as the file's kind."""
    if not named:
        return {_stated(file_kind, path): voxels != 0}
    masks: dict[CorrectionKind, Mask] = {}
    for value, kind in named.items():
        mask = voxels == value
        masks[kind] = masks[kind] | mask if kind in masks else mask
    if voxels.max() > sum(value in named for value in range(1, len(named) + 1)):
        rest = (voxels != 0) & ~np.isin(voxels, list(named))
        if rest.any():
            kind = _stated(file_kind, path)
            masks[kind] = masks[kind] | rest if kind in masks else rest
    return masks


def _stated(kind: CorrectionKind | None, path: Path) -> CorrectionKind:
    if kind is None:
        raise CorrectionError(
            f"{path}: paints labels that are not named Add, Remove or Ignore; name the labels, "
            "or the file."
        )
    return kind


def _check_values(voxels: NDArray[Any], path: Path) -> None:
    if voxels.dtype.kind == "f":
        if not np.isfinite(voxels).all():
            raise CorrectionError(f"{path}: holds NaN or infinity; a correction holds 0 and 1.")
        if (np.rint(voxels) != voxels).any():
            raise CorrectionError(f"{path}: holds fractions; a correction holds 0 and 1.")
    if voxels.dtype.kind != "u" and voxels.min() < 0:
        raise CorrectionError(
            f"{path}: holds the negative value {voxels.min():g}; a correction holds 0 and 1."
        )


def _pasted(mask: Mask, placement: Placement, shape: Zyx, path: Path) -> Mask:
    """The mask in the patch's shape; what is painted must lie inside the patch."""
    placed: Mask = placement.apply(mask)
    if placement.box == whole(shape):
        return np.ascontiguousarray(placed)
    out: Mask = np.zeros(shape, bool)
    inside = placement.box.overlap(whole(shape))
    kept = placed[inside.moved(Zyx(*(-a for a in placement.box.start))).slices] if inside else None
    if inside is not None and kept is not None:
        out[inside.slices] = kept
    painted, lies_inside = int(np.count_nonzero(placed)), int(np.count_nonzero(out))
    if lies_inside < painted:
        raise CorrectionError(
            f"{path}: {painted - lies_inside} of its {painted} painted voxels lie outside the "
            f"patch (the file covers {_box_xyz(placement.box.start)} to "
            f"{_box_xyz(placement.box.stop)} of the patch's {_xyz(shape)} voxels, x, y, z); "
            "is it another patch's correction?"
        )
    return out


def _placement_findings(placement: Placement, stated: bool, shape: Zyx) -> list[str]:
    if not stated:
        return ["orientation not stated: taken as the patch's own"]
    findings = []
    if placement.reorders:
        findings.append("axes re-ordered by its header")
    if placement.box != whole(shape):
        findings.append(f"a part of the patch, placed at {_box_xyz(placement.box.start)} (x, y, z)")
    return findings


def _plausibility(masks: Mapping[CorrectionKind, Mask], label: Label, stated: bool) -> list[str]:
    """A Remove that touches no predicted membrane does nothing, or lies in the wrong place."""
    remove = masks.get(CorrectionKind.REMOVE)
    if remove is None or not remove.any():
        return []
    painted = painted_voxels(remove)
    touched = int(np.count_nonzero(label.reshape(-1)[painted] == MEMBRANE))
    if touched and (stated or touched >= len(painted) // 100):
        return []
    finding = f"Remove touches {touched or 'no'} voxels of predicted membrane"
    better = None if stated else _better_orientation(remove, label == MEMBRANE, touched)
    return [finding + (f"; it would touch {better}, is the file flipped?" if better else "")]


def _better_orientation(remove: Mask, membrane: Mask, touched: int) -> str | None:
    """The one of the 48 orientations that fits the prediction best, if clearly better."""
    positions = np.argwhere(remove)
    positions = positions[:: max(1, len(positions) // _PROBED)]
    last = np.asarray(remove.shape) - 1
    best, best_hits = None, 2 * touched
    for placement in orientations(Zyx(*remove.shape)):
        moved = positions[:, placement.axes]
        moved = np.where(placement.flipped, last - moved, moved)
        hits = int(np.count_nonzero(membrane[tuple(moved.T)]))
        if hits > best_hits:
            best, best_hits = placement, hits
    if best is None:
        return None
    share = round(100 * best_hits / len(positions))
    order = ", ".join(
        "-" * flip + "zyx"[axis] for axis, flip in zip(best.axes, best.flipped, strict=True)
    )
    return f"{share} % of its voxels read with axes ({order})"


def _xyz(shape: Zyx) -> str:
    return " × ".join(map(str, shape.to_xyz()))


def _box_xyz(position: Zyx) -> str:
    return ",".join(map(str, position.to_xyz()))
