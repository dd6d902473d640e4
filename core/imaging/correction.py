"""A correction file: what an annotator painted, placed on its patch by the file's own header.

A file's kind comes from its name (Add1.nrrd, remove_new.nii.gz), or from the names of its labels
where it has any (MITK, 3D Slicer). DESIGN: placed exactly, or accepted as "orientation not
stated" where it says nothing, or refused with what was expected and what was found. A file that
is named like a correction and cannot be read is refused, too: a label without it would be wrong.
"""

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import CorrectionError, LabelNamesError, VolumeError
from core.files.atomic import whole_file
from core.imaging.formats.label_names import MITK_GROUPS, MITK_MODALITY, Segment
from core.imaging.formats.volume import Volume, open_volume, read_labels
from core.imaging.geometry import Grid, Zyx, whole
from core.imaging.labels import MEMBRANE, Label, Mask, painted_voxels
from core.imaging.placing import Placement, identity, orientations, place
from db.vocabulary import CorrectionKind

VOLUME_SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".mrc", ".rec", ".map", ".st", ".tif", ".tiff")
MAX_VOXELS = 1 << 28
"""Of one correction layer; a patch of 160³ has 4 million."""

_KIND = re.compile("add|remove|ignore", re.IGNORECASE)
_KIND_AND_NUMBER = re.compile(r"(?:add|remove|ignore)[ _-]?\d*", re.IGNORECASE)
_NOTES = frozenset(
    [
        ".txt",
        ".md",
        ".rst",
        ".rtf",
        ".doc",
        ".docx",
        ".odt",
        ".pdf",
        ".csv",
        ".tsv",
        ".xls",
        ".xlsx",
        ".log",
        ".json",
        ".xml",
        ".html",
        ".yml",
        ".yaml",
        ".toml",
        ".ini",
        ".py",
        ".label",
        ".ctbl",
        ".bak",
        ".old",
        ".orig",
    ]
)
_PICTURES = frozenset([".png", ".jpg", ".jpeg", ".bmp", ".gif", ".svg"])
_SLICES = _PICTURES | {".tif", ".tiff", ".dcm"}
_UNREAD = {
    ".am": "Amira's own format",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".npy": "NumPy's own format",
    ".npz": "NumPy's own format",
    ".mat": "MATLAB's own format",
    ".hdr": "Analyze",
    ".img": "Analyze",
}
_LISTED = 100
_PROBED = 20_000


@dataclass(frozen=True)
class Correction:
    """Masks that one file paints on its patch, one per kind, (z, y, x), of the patch's shape."""

    path: Path
    masks: Mapping[CorrectionKind, Mask]
    findings: tuple[str, ...]


def kind_of(name: str) -> CorrectionKind | None:
    """Return the kind that a file or label name states: it begins with Add, Remove or Ignore."""
    match = _KIND.match(name)
    return CorrectionKind(match.group().lower()) if match else None


def may_be_correction(path: Path) -> bool:
    """Check whether a path is meant as a correction, by its name or its labels' names.

    Notes (add_notes.txt), hidden files and folders that were put aside (Add_old) are not. What is
    named like a correction in a format that is not read is, so that reading refuses it.
    """
    if path.name.startswith("."):
        return False
    if path.is_dir():
        return _is_painted_folder(path)
    return is_correction_name(path.name) or (
        path.name.lower().endswith(".nrrd") and path.is_file() and names_kinds(path)
    )


def is_correction_name(name: str) -> bool:
    """Check whether a file name states a kind and is not that of a note or a backup."""
    suffix = Path(name).suffix.lower()
    picture = suffix in _PICTURES and not _KIND_AND_NUMBER.fullmatch(Path(name).stem)
    note = suffix in _NOTES or name.endswith("~")
    return kind_of(name) is not None and not (note or picture)


def names_kinds(path: Path) -> bool:
    """Check whether labels are named Add, Remove or Ignore, or their names cannot be read."""
    try:
        with open_volume(path) as volume:
            return any(kind_of(segment.name) for segment in volume.segments)
    except LabelNamesError:
        return True
    except VolumeError:  # what is no volume names no kinds
        return False


def read_correction(
    path: Path, label: Label, grid: Grid | None, name: str | None = None
) -> Correction:
    """Read a correction and place it on the patch of this extracted label.

    ``grid`` is the label's own (None: a file format that states none; one voxel is one unit).
    ``name`` is the file name that it was saved under, where it is kept under another.

    Errors: VolumeError for an unreadable file; CorrectionError for one that is 2D or empty of
    geometry, on another grid, painted outside the patch, negative, fractional or NaN, or where
    nothing is painted.
    """
    name = name or path.name
    _check_format(path, name)
    shape = Zyx(*label.shape)
    with open_volume(path) as volume:
        _check_is_painted(volume)
        placement, stated = _placement(volume, shape, grid or Grid.aligned())
        masks, name_findings = _masks(volume, placement, shape, kind_of(name))
    if not any(mask.any() for mask in masks.values()):
        raise CorrectionError(
            f"{path}: nothing is painted in it; paint and save again, or remove the file."
        )
    findings = [
        *_placement_findings(placement, stated, shape),
        *name_findings,
        *_plausibility(masks, label, stated),
    ]
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
        "modality": MITK_MODALITY,
        f"{MITK_MODALITY}.version": "1",
        MITK_GROUPS: groups,
    }


def _is_painted_folder(folder: Path) -> bool:
    """Recognise a folder Add1, Add1.zarr, or one of slices that is named like a correction."""
    if kind_of(folder.name) is None:
        return False
    if _KIND_AND_NUMBER.fullmatch(folder.name) or folder.suffix:
        return True
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _LISTED)]
    except OSError:
        return True
    return any(Path(name).suffix.lower() in _SLICES for name in names)


def _check_format(path: Path, name: str) -> None:
    known = ", ".join(VOLUME_SUFFIXES)
    if path.is_dir():
        raise CorrectionError(
            f"{path}: is a folder; save what was painted as one file ({known}), or rename the "
            "folder if it is no correction."
        )
    unread = _UNREAD.get(Path(name).suffix.lower())
    if unread is not None:
        raise CorrectionError(f"{path}: {unread} is not read; export it as NRRD ({known} are).")


def _check_is_painted(volume: Volume) -> None:
    if max(volume.shape) == 1:
        raise CorrectionError(
            f"{volume.path}: has one voxel (what 3D Slicer saves when nothing was painted); "
            "paint and save again, or remove the file."
        )
    if min(volume.shape) == 1:
        raise CorrectionError(
            f"{volume.path}: is a single slice of {_sides(volume.shape)} voxels (x, y, z); "
            "save the whole 3D segmentation."
        )
    if int(np.prod(volume.shape, dtype=object)) > MAX_VOXELS:
        raise CorrectionError(
            f"{volume.path}: is {_sides(volume.shape)} voxels (x, y, z), far more than a patch."
        )


def _placement(volume: Volume, shape: Zyx, patch_grid: Grid) -> tuple[Placement, bool]:
    """Return how the file lies on the patch, and whether the file says so."""
    grid = volume.grid
    own = place(volume.shape, grid, patch_grid) if grid is not None else None
    if own is not None and not own.reorders and own.box == whole(shape):
        return own, True
    if volume.shape == shape and (grid is None or grid.is_unstated):
        return identity(shape), False
    if own is None or grid is None:
        raise CorrectionError(_other_grid(volume, shape, patch_grid))
    _check_origin(volume.path, grid, own, shape, patch_grid)
    return own, True


def _check_origin(path: Path, grid: Grid, own: Placement, shape: Zyx, patch_grid: Grid) -> None:
    """Refuse a file whose origin was lost: no larger than the patch, at 0, and not inside it."""
    fits = all(a <= b for a, b in zip(own.box.shape, shape, strict=True))
    lost = grid.is_at_zero and not patch_grid.is_at_zero
    if fits and lost and not own.box.lies_in(shape):
        raise CorrectionError(
            f"{path}: its origin is 0,0,0, but its patch is at {patch_grid} (x, y, z); a program "
            "lost the origin, or it is another patch's; save it again on the patch's own image."
        )


def _other_grid(volume: Volume, shape: Zyx, patch_grid: Grid) -> str:
    found = "no position" if volume.grid is None else str(volume.grid)
    return (
        f"{volume.path}: lies on another grid than its patch: expected {_sides(shape)} voxels, "
        f"{patch_grid}; found {_sides(volume.shape)} voxels, {found} (x, y, z); paint on the "
        "patch's own image and save without resampling."
    )


def _masks(
    volume: Volume, placement: Placement, shape: Zyx, file_kind: CorrectionKind | None
) -> tuple[dict[CorrectionKind, Mask], list[str]]:
    """Read what the file paints by kind, and how labels were counted where that may surprise."""
    masks: dict[CorrectionKind, Mask] = {}
    findings: list[str] = []
    for layer in range(volume.layers):
        voxels = read_labels(volume, whole(volume.shape), layer)
        _check_values(voxels, volume.path)
        if not voxels.any():
            continue
        segments = [segment for segment in volume.segments if segment.layer == layer]
        by_kind, notes = _by_kind(voxels, segments, file_kind, volume.path)
        findings += notes
        for kind, mask in by_kind.items():
            placed = _paste(mask, placement, shape, volume.path)
            masks[kind] = masks[kind] | placed if kind in masks else placed
    return masks, findings


def _by_kind(
    voxels: NDArray[Any],
    segments: list[Segment],
    file_kind: CorrectionKind | None,
    path: Path,
) -> tuple[dict[CorrectionKind, Mask], list[str]]:
    """Labels named Add, Remove or Ignore count as those; all others as the file's kind."""
    masks: dict[CorrectionKind, Mask] = {}
    findings = []
    rest = voxels != 0
    for segment in segments:
        kind = kind_of(segment.name)
        if kind is None:
            continue
        mask = voxels == segment.value
        rest &= ~mask
        masks[kind] = masks[kind] | mask if kind in masks else mask
        if file_kind is not None and file_kind != kind and mask.any():
            findings.append(
                f"label {segment.name!r:.60} counts as {kind.capitalize()} by its own name, not as "
                f"{file_kind.capitalize()} by the file's"
            )
    if not rest.any():
        return masks, findings
    if file_kind is None:
        raise CorrectionError(
            f"{path}: paints labels that are not named Add, Remove or Ignore; name the labels, "
            "or the file."
        )
    masks[file_kind] = masks[file_kind] | rest if file_kind in masks else rest
    return masks, findings + _rest_findings(np.unique(voxels[rest]).tolist(), segments, file_kind)


def _rest_findings(
    values: list[Any], segments: list[Segment], file_kind: CorrectionKind
) -> list[str]:
    """Tell how labels without a kind of their own were counted, except a single unnamed one."""
    names = {segment.value: segment.name for segment in segments}
    shown = [
        f"{value:g}" + (f" {names[value]!r:.40}" if value in names else "") for value in values
    ]
    if len(values) == 1 and values[0] not in names:
        return []
    listed = ", ".join(shown[:5]) + (", ..." if len(shown) > 5 else "")
    return [f"labels {listed} all count as {file_kind.capitalize()}, the file's kind"]


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


def _paste(mask: Mask, placement: Placement, shape: Zyx, path: Path) -> Mask:
    """Return the mask in the patch's shape; what is painted must lie inside the patch."""
    placed: Mask = placement.apply(mask)
    if placement.box == whole(shape):
        return np.ascontiguousarray(placed)
    out: Mask = np.zeros(shape, bool)
    inside = placement.box.overlap(whole(shape))
    if inside is not None:
        out[inside.slices] = placed[inside.inside(placement.box).slices]
    painted, lies_inside = int(np.count_nonzero(placed)), int(np.count_nonzero(out))
    if lies_inside < painted:
        raise CorrectionError(
            f"{path}: {painted - lies_inside} of its {painted} painted voxels lie outside the "
            f"patch (the file covers {placement.box.start.shown()} to "
            f"{placement.box.stop.shown()} of the patch's {_sides(shape)} voxels, x, y, z); "
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
        findings.append(f"a part of the patch, placed at {placement.box.start.shown()} (x, y, z)")
    return findings


def _plausibility(masks: Mapping[CorrectionKind, Mask], label: Label, stated: bool) -> list[str]:
    """Doubt a Remove that touches no predicted membrane: it does nothing, or is misplaced."""
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
    """Return the one of the 48 orientations that fits the prediction best, if clearly better."""
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


def _sides(shape: Zyx) -> str:
    return shape.shown(" × ")
