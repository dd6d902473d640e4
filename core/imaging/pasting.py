"""Put training labels back into a copy of the segmentation they came from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import LabelError
from core.files.atomic import whole_file
from core.imaging.formats.volume import Volume
from core.imaging.geometry import Box, Zyx, whole
from core.imaging.labels import IGNORE, Label
from core.imaging.patch import read_prediction

HEADER_BYTES = 1024


@dataclass(frozen=True)
class PlacedLabel:
    """An accepted label and its box in the tomogram; what was padded lies outside it."""

    box: Box
    voxels: Label


def paste_labels(
    segmentation: Volume,
    labels: Sequence[PlacedLabel],
    out: Path,
    threshold: float | None = None,
    membrane: int | None = None,
) -> int:
    """Write the segmentation with labels pasted in as MRC (int8, 0 and 1); voxels that changed.

    Only 0 and 1 are pasted, ignore keeps the prediction; of two labels that overlap the later one
    wins. One section is held at a time. A target that exists is kept.

    Errors: OutputError; LabelError for a label of another shape than its box.
    """
    for label in labels:
        if label.voxels.shape != label.box.shape:
            raise LabelError(f"a label of shape {label.voxels.shape} lies in box {label.box}.")
    changed = ones = 0
    # Written, not mapped: on a full disk a mapped file kills its process.
    with whole_file(out, exist_ok=False) as temporary, temporary.open("r+b") as file:
        file.seek(HEADER_BYTES)
        for z in range(segmentation.shape.z):
            section = _section(segmentation, z, threshold, membrane)
            before = section.copy()
            for label in labels:
                _paste(section, label, z)
            changed += int(np.count_nonzero(section != before))
            ones += int(np.count_nonzero(section))
            file.write(section.data)
        file.seek(0)
        file.write(_header(segmentation, ones))
        file.flush()
    return changed


def _header(segmentation: Volume, ones: int) -> bytes:
    """Make mrcfile's header of a volume of 0 and 1 (int8); ``ones`` is how many are 1."""
    from mrcfile.mrcinterpreter import MrcInterpreter

    mrc = MrcInterpreter()
    mrc._create_default_attributes()  # mrcfile's way to a header without a stream
    mrc._set_new_data(np.broadcast_to(np.int8(0), segmentation.shape))
    mrc.update_header_from_data()
    mrc.voxel_size = segmentation.voxel_size or 0.0
    mean = ones / math.prod(segmentation.shape)
    header = mrc.header
    header.dmin, header.dmax = float(mean == 1), float(mean > 0)
    header.dmean, header.rms = mean, math.sqrt(mean * (1 - mean))
    header.label[0] = b"tomocurate: predicted, with accepted labels"  # mrcfile's holds the time
    return bytes(header.tobytes())


def _section(segmentation: Volume, z: int, threshold: float | None, membrane: int | None) -> Label:
    shape = segmentation.shape
    box = Box(Zyx(z, 0, 0), Zyx(z + 1, shape.y, shape.x))
    label, _ = read_prediction(segmentation, box, threshold, membrane)
    return label.reshape(shape[1:])


def _paste(section: Label, label: PlacedLabel, z: int) -> None:
    """Return the label's voxels of this section that are not ignore."""
    if not label.box.start.z <= z < label.box.stop.z:
        return
    inside = label.box.overlap(whole(Zyx(label.box.stop.z, *section.shape)))
    if inside is None:
        return
    y, x = inside.slices[1:]
    painted = label.voxels[z - label.box.start.z][inside.inside(label.box).slices[1:]]
    np.copyto(section[y, x], painted, where=painted != IGNORE)
