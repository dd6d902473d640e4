"""What the demo's annotators do: choose centers, and paint corrections on their patches."""

from pathlib import Path

import numpy as np

from core.demo.synthetic import VOXEL_SIZE, SyntheticTomogram, annotate
from core.files.atomic import make_folder
from core.imaging.correction import write_correction
from core.imaging.geometry import BORDER, Box, Zyx
from core.imaging.labels import MEMBRANE, Mask
from core.imaging.patch import patch_grid
from db.vocabulary import CorrectionKind

INNER = (slice(BORDER, -BORDER),) * 3


def write_centers(path: Path, centers: list[Zyx]) -> Path:
    """Write centers as x,y,z."""
    rows = [",".join(map(str, center.to_xyz())) for center in centers]
    path.write_text("\n".join(["x,y,z", *rows]) + "\n")
    return path


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
