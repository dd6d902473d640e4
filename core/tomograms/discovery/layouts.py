"""Folders as reconstruction programs write them: which files are tomograms, and of what voxel size.

    warp       warp_tiltseries/reconstruction/TS_1_10.00Apx.mrc; even/, odd/, deconv/ beside
    relion5    tomograms.star: rlnTomoReconstructedTomogram, below the project's folder
    aretomo3   TS_1_Vol.mrc; TS_1_EVN_Vol.mrc, _ODD_Vol, _2ND_Vol, _3RD_Vol beside
    imod       TS_1/TS_1_rec.mrc or TS_1.rec; stacks, _full_rec and SIRT iterations beside
    easymode   TS_1.mrc, TS_1_10.00Apx__membrane.mrc; other features beside
    portal     RUN/Reconstructions/VoxelSpacing10.000/Tomograms/ID/RUN.mrc, Annotations/ beside

Sources: warpem.github.io/warp; relion.readthedocs.io; AreTomo3 CAsyncSaveVol.cpp; IMOD's etomo;
easymode segmentation/inference.py; the CryoET Data Portal's ingestion_tools.
"""

import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from core.errors import PointsError, VolumeError
from core.imaging.extraction import token_of
from core.imaging.formats.volume import open_volume
from core.imaging.points.star import read_tables
from core.tomograms.data_roots import is_volume_name
from core.tomograms.discovery.pairing import (
    MAX_FILES,
    Pairing,
    Predicted,
    is_beside,
    is_segmentation,
    owning_stem,
    predicted,
)
from db.errors import TomocurateError

SAME_SIZE = 0.01
"""Voxel sizes that differ by less are one; programs round them in names."""

SHOWN = 3
"""Files that a finding names."""

MAX_STAR = 16 << 20
"""Bytes."""

EASYMODE_THRESHOLD: Mapping[str, float] = {"int8": 63.5, "uint8": 127.5, "uint16": 127.5}
"""Half of what a probability of 1 is stored as (easymode: p x 127, or p x 255)."""

_APIX = re.compile(r"_(\d+(?:\.\d+)?)Apx", re.IGNORECASE)
_SPACING = re.compile(r"VoxelSpacing(\d+(?:\.\d+)?)")
_ARETOMO = re.compile(r"(.+)_Vol$")
_ARETOMO_VARIANT = re.compile(r"_(?:EVN|ODD|2ND|3RD)_Vol$")
_IMOD = re.compile(r"(.+?)_rec$")
_IMOD_VARIANT = re.compile(r"_(?:full|full_rec|preali|ali|dfst|\d{2}_rec|rec\.\d+)$|\.rec\d+$")


class Layout(StrEnum):
    """The programs whose folders are known."""

    WARP = "warp"
    RELION5 = "relion5"
    ARETOMO3 = "aretomo3"
    IMOD = "imod"
    EASYMODE = "easymode"
    PORTAL = "portal"


@dataclass(frozen=True)
class LaidOut:
    """A tomogram as its program's folder states it; the voxel size in angstrom, or None."""

    path: Path
    token: str
    voxel_size: float | None = None


def guess_layout(folder: Path) -> Layout | None:
    """Guess which program wrote a folder; None where it is nobody's that is known.

    Errors: VolumeError for a folder with far too many files.
    """
    volumes = list_volumes(folder)
    if _star_files(folder):
        return Layout.RELION5
    for layout in (Layout.PORTAL, Layout.WARP, Layout.ARETOMO3, Layout.EASYMODE, Layout.IMOD):
        if any(_SIGNS[layout](path) for path in volumes):
            return layout
    return None


def read_layout(
    folder: Path, layout: Layout, as_segmentation: str | None = None
) -> tuple[Pairing, ...]:
    """Pair the tomograms of a folder with their segmentations; half maps and variants stay out.

    Files below the folder whose name matches ``as_segmentation`` are segmentations, too. A voxel
    size that the layout states counts where the header's is unknown or another.

    Errors: VolumeError where the folder holds no tomogram of this layout.
    """
    volumes = list_volumes(folder)
    found = {item.path: item for item in _READERS[layout](folder, volumes)}
    if not found:
        raise VolumeError(
            f"{folder}: holds no tomogram as {layout} writes it; name another --layout, or a glob."
        )
    rest = [path for path in volumes if path not in found]
    paired = _paired(found, rest, as_segmentation)
    taken = {prediction.path for predictions in paired.values() for prediction in predictions}
    left_out = [path for path in rest if path not in taken]
    return tuple(
        _described(item, paired[item.path], layout, folder, left_out) for item in found.values()
    )


def list_volumes(folder: Path) -> list[Path]:
    """List the volume files below a folder, by path; links and hidden folders are not entered.

    Errors: VolumeError.
    """
    volumes: list[Path] = []
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        volumes += [Path(place, name) for name in sorted(names) if is_volume_name(name)]
        if len(volumes) > MAX_FILES:
            raise VolumeError(
                f"{folder}: holds more than {MAX_FILES} volumes; name a folder of it."
            )
    return [path.absolute() for path in volumes]


def _paired(
    found: Mapping[Path, LaidOut], volumes: Iterable[Path], pattern: str | None
) -> dict[Path, list[Predicted]]:
    """Give each tomogram the segmentations among other volumes, by file name, token or folder."""
    owners = {item.token: path for path, item in found.items()}
    owners |= {token_of(path): path for path in found}
    paired: dict[Path, list[Predicted]] = {path: [] for path in found}
    for path in volumes:
        owner = _portal_owner(path, found)
        stem = owning_stem(token_of(path), owners)
        if owner is None and stem is not None and _is_prediction(path, owners, pattern):
            owner = owners[stem]
        if owner is not None:
            paired[owner].append(predicted(owner, path))
    return paired


def _is_prediction(path: Path, stems: Container[str], pattern: str | None) -> bool:
    if pattern is not None and fnmatch(path.name, pattern):
        return True
    return is_segmentation(path, stems) and not is_beside(path)


def _portal_owner(path: Path, found: Iterable[Path]) -> Path | None:
    """Give the tomogram of a portal run that an annotation of membrane belongs to."""
    if "Annotations" not in path.parts or "membrane" not in path.name.lower():
        return None
    spacing = Path(*path.parts[: path.parts.index("Annotations")])
    return next((item for item in found if item.is_relative_to(spacing)), None)


def _described(
    laid_out: LaidOut,
    predictions: Iterable[Predicted],
    layout: Layout,
    folder: Path,
    left_out: Sequence[Path],
) -> Pairing:
    """Make a pairing with its token, its voxel size, and what was left out."""
    stems = (token_of(laid_out.path), laid_out.token)
    beside = [path for path in left_out if owning_stem(token_of(path), stems) is not None]
    findings = []
    if beside:
        shown = ", ".join(str(path.relative_to(folder)) for path in beside[:SHOWN])
        more = ", …" if len(beside) > SHOWN else ""
        findings.append(f"left out as no tomograms of their own: {shown}{more}")
    size = laid_out.voxel_size
    header = _header_of(laid_out.path)
    if size is not None and header is not None and abs(header - size) <= SAME_SIZE * size:
        size = None
    elif size is not None and header is not None:
        findings.append(f"{layout} states {size:g} Å, the header {header:g} Å; {layout} counts")
    return Pairing(
        laid_out.path,
        token=laid_out.token,
        voxel_size=size,
        header_voxel_size=header,
        segmentations=tuple(_with_threshold(prediction, layout) for prediction in predictions),
        findings=tuple(findings),
    )


def _header_of(path: Path) -> float | None:
    try:
        with open_volume(path) as volume:
            return volume.voxel_size
    except (TomocurateError, OSError):
        return None  # registering says what is wrong with the file


def _with_threshold(found: Predicted, layout: Layout) -> Predicted:
    """State the threshold of easymode's scaled probabilities."""
    if layout is not Layout.EASYMODE or "__" not in found.path.name:
        return found
    try:
        with open_volume(found.path) as volume:
            threshold = EASYMODE_THRESHOLD.get(volume.dtype.name)
    except (TomocurateError, OSError):
        threshold = None
    return replace(found, model=found.model or "easymode", threshold=threshold)


def _warp(_: Path, volumes: Sequence[Path]) -> Iterator[LaidOut]:
    for path in volumes:
        match = _APIX.search(token_of(path))
        if match and _is_warp(path):
            yield LaidOut(path, token_of(path)[: match.start()], float(match[1]))


def _is_warp(path: Path) -> bool:
    stem = token_of(path)
    return (
        "reconstruction" in path.parent.name.lower()
        and _APIX.search(stem) is not None
        and stem.lower().endswith("apx")
    )


def _aretomo3(_: Path, volumes: Sequence[Path]) -> Iterator[LaidOut]:
    for path in volumes:
        match = _ARETOMO.fullmatch(token_of(path))
        if match and _is_aretomo3(path):
            yield LaidOut(path, match[1])


def _is_aretomo3(path: Path) -> bool:
    stem = token_of(path)
    return stem.endswith("_Vol") and not _ARETOMO_VARIANT.search(stem)


def _imod(_: Path, volumes: Sequence[Path]) -> Iterator[LaidOut]:
    for path in volumes:
        if _is_imod(path):
            stem = token_of(path)
            match = _IMOD.fullmatch(stem)
            yield LaidOut(path, match[1] if match else stem)


def _is_imod(path: Path) -> bool:
    stem, name = token_of(path), path.name.lower()
    is_rec = stem.endswith("_rec") or name.endswith((".rec", ".rec.gz"))
    return is_rec and not _IMOD_VARIANT.search(stem) and not is_beside(path)


def _easymode(_: Path, volumes: Sequence[Path]) -> Iterator[LaidOut]:
    for path in volumes:
        stem = token_of(path)
        if "__" not in stem and not is_beside(path) and not is_segmentation(path, set()):
            match = _APIX.search(stem)
            size = float(match[1]) if match else None
            yield LaidOut(path, stem[: match.start()] if match else stem, size)


def _is_easymode(path: Path) -> bool:
    return re.search(r"[^_]__[^_]", token_of(path)) is not None


def _portal(_: Path, volumes: Sequence[Path]) -> Iterator[LaidOut]:
    taken: set[str] = set()
    for path in volumes:
        if not _is_portal(path):
            continue
        place = path.parts[: path.parts.index("Reconstructions") + 2]
        run, size = place[-3], _SPACING.fullmatch(place[-1])
        ident = path.parent.name
        yield LaidOut(path, run if run not in taken else f"{run}-{ident}", size and float(size[1]))
        taken.add(run)


def _is_portal(path: Path) -> bool:
    parts = path.parts
    return "Reconstructions" in parts and "Tomograms" in parts and "Annotations" not in parts


def _relion5(folder: Path, _: Sequence[Path]) -> Iterator[LaidOut]:
    for star in _star_files(folder):
        for row in _star_rows(star):
            message = row.get("rlnTomoReconstructedTomogram")
            path = None if message is None else _in_project(star, str(message))
            if path is None:
                continue
            unbinned = float(row.get("rlnTomoTiltSeriesPixelSize", 0) or 0)
            size = unbinned * float(row.get("rlnTomoTomogramBinning", 1) or 1)
            yield LaidOut(path, str(row.get("rlnTomoName", token_of(path))), size or None)


def _star_files(folder: Path) -> list[Path]:
    """Find a project's tables of tomograms, the last job first."""
    places = (folder, *folder.glob("job*"), *folder.glob("Tomograms/job*"))
    found = [place / "tomograms.star" for place in places]
    return sorted((path for path in found if path.is_file()), reverse=True)


def _star_rows(star: Path) -> list[dict[str, Any]]:
    try:
        if star.stat().st_size > MAX_STAR:
            raise VolumeError(f"{star}: is larger than {MAX_STAR >> 20} MiB; it is no such table.")
        tables = read_tables(star)
    except (OSError, PointsError) as error:
        raise VolumeError(f"{star}: cannot be read as RELION's table ({error}).") from error
    return [row for table in tables if "rlnTomoName" in table for row in table.to_dict("records")]


def _in_project(star: Path, message: str) -> Path | None:
    """Find a path of the table below the project's folder, which lies above the job's."""
    for place in (star.parent, *star.parents[1:4]):
        path = (place / message).absolute()
        if path.is_file():
            return path
    return None


_READERS: Mapping[Layout, Callable[[Path, Sequence[Path]], Iterator[LaidOut]]] = {
    Layout.WARP: _warp,
    Layout.RELION5: _relion5,
    Layout.ARETOMO3: _aretomo3,
    Layout.IMOD: _imod,
    Layout.EASYMODE: _easymode,
    Layout.PORTAL: _portal,
}

_SIGNS: Mapping[Layout, Callable[[Path], bool]] = {
    Layout.WARP: _is_warp,
    Layout.ARETOMO3: _is_aretomo3,
    Layout.EASYMODE: _is_easymode,
    Layout.PORTAL: _is_portal,
    Layout.IMOD: lambda path: _is_imod(path) and path.parent.name == token_of(path)[:-4],
}
