"""The guide's workflow on a synthetic tomogram: choose, extract, correct, merge, and look."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.demo.picture import PatchSlice, write_sheet
from core.demo.synthetic import (
    VOXEL_SIZE,
    SyntheticTomogram,
    annotate,
    choose_centers,
    make_tomogram,
    write_tomogram,
)
from core.files.atomic import make_folder
from core.imaging import colors
from core.imaging.correction import write_correction
from core.imaging.extraction import (
    IMAGES,
    LABELS,
    ExtractionPlan,
    WantedPatch,
    extract_patches,
)
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import BORDER, Box, Zyx, whole
from core.imaging.labels import MEMBRANE, Mask
from core.imaging.merging import MergedPatch, MergeFolders, merge_folders
from core.imaging.patch import patch_grid
from db.vocabulary import CorrectionKind

INNER = (slice(BORDER, -BORDER),) * 3
CORRECTION_COLORS = {
    CorrectionKind.ADD: colors.ADD,
    CorrectionKind.REMOVE: colors.REMOVE,
    CorrectionKind.IGNORE: colors.IGNORE,
}


@dataclass(frozen=True)
class DemoResult:
    """Where everything lies."""

    tomogram: Path
    segmentation: Path
    centers: Path
    out_folder: Path
    corrections: Path
    merged: Path
    picture: Path
    patches: tuple[MergedPatch, ...]


def run_demo(folder: Path, patches: int, say: Callable[[str], None]) -> DemoResult:
    """Run the whole guide into a folder; a second run gives the same files."""
    make_folder(folder)
    say("making a synthetic tomogram and an imperfect segmentation ...")
    synthetic = make_tomogram()
    tomogram, segmentation = write_tomogram(folder, "TS_001", synthetic)
    centers = choose_centers(synthetic, patches)
    centers_file = write_centers(folder / "centers.csv", centers)
    say(f"cutting {len(centers)} patches where the prediction is worst ...")
    extracted = _extract(tomogram, segmentation, centers, folder)
    say("painting Add, Remove and Ignore ...")
    corrections = folder / "corrections"
    make_folder(corrections)
    for name, box in extracted:
        paint(corrections / name, box, synthetic)
    say("merging ...")
    folders = MergeFolders(folder / LABELS, corrections, folder / "merged", overwrite=True)
    report = merge_folders(folders)
    picture = folder / "overview.png"
    write_sheet(picture, [_slice(name, box, folder, synthetic) for name, box in extracted[:2]])
    return DemoResult(
        tomogram,
        segmentation,
        centers_file,
        folder,
        corrections,
        folders.out_dir,
        picture,
        report.patches,
    )


def write_centers(path: Path, centers: list[Zyx]) -> Path:
    """Write centers as x,y,z."""
    rows = [",".join(map(str, center.to_xyz())) for center in centers]
    path.write_text("\n".join(["x,y,z", *rows]) + "\n")
    return path


def _extract(
    tomogram: Path, segmentation: Path, centers: list[Zyx], folder: Path
) -> list[tuple[str, Box]]:
    """Names and boxes of the patches."""
    plan = ExtractionPlan(folder, "TS001", "demo")
    wanted = [WantedPatch(center, number) for number, center in enumerate(centers)]
    with open_volume(tomogram) as image, open_volume(segmentation) as label:
        report = extract_patches(image, label, wanted, plan)
    return [(patch.name, patch.box) for patch in report.patches if patch.name and patch.box]


def paint(folder: Path, box: Box, synthetic: SyntheticTomogram) -> None:
    """Save in a patch's folder what an annotator would paint on it, a file a kind."""
    make_folder(folder)
    for kind, mask in _painted(box, synthetic).items():
        path = folder / f"{kind.capitalize()}1.nrrd"
        write_correction(path, mask, patch_grid(box, VOXEL_SIZE), kind)


def _painted(box: Box, synthetic: SyntheticTomogram) -> dict[CorrectionKind, Mask]:
    predicted = synthetic.prediction[box.slices] == MEMBRANE
    painted = annotate(synthetic.membrane[box.slices], synthetic.visible[box.slices], predicted)
    return {kind: _inside_border(mask) for kind, mask in painted.items()}


def _inside_border(mask: Mask) -> Mask:
    """Nobody paints where the label is ignore anyway."""
    inside = np.zeros_like(mask)
    inside[INNER] = mask[INNER]
    return inside


def _slice(name: str, box: Box, folder: Path, synthetic: SyntheticTomogram) -> PatchSlice:
    """The z slice of a patch in which every kind was painted, and most."""
    painted = _painted(box, synthetic)
    areas = np.array([mask.sum((1, 2)) for mask in painted.values()])
    z = int(np.log1p(areas).sum(axis=0).argmax())
    paths = [folder / part / f"{name}.nii.gz" for part in (IMAGES, LABELS, "merged")]
    image, label, merged = (_read(path)[z] for path in paths)
    masks = {CORRECTION_COLORS[kind]: mask[z] for kind, mask in painted.items()}
    return PatchSlice(f"{name}, slice z = {z}", image, label, masks, merged, VOXEL_SIZE)


def _read(path: Path) -> NDArray[Any]:
    with open_volume(path) as volume:
        return volume.read(whole(volume.shape))
