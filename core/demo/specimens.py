"""The demo's tomograms, and what annotators painted on them: files only, the same every time."""

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.demo.annotators import paint, write_centers
from core.demo.synthetic import (
    SHAPE,
    VOXEL_SIZE,
    choose_centers,
    make_tomogram,
    predict_again,
    write_mrc,
)
from core.files.atomic import make_folder
from core.imaging.geometry import Zyx, box_around

MODEL, OTHER_MODEL = "MemBrain_seg_v10_alpha", "MemBrain_seg_v9_early"
GRAY_LEVELS = 20
"""Of int8 for a density of 1: bytes take a quarter of the disk that floats take."""

APART = 30
"""Voxels between the centers of two patches."""


@dataclass(frozen=True)
class Specimen:
    """A tomogram of the demo, in the order of its seeds."""

    dataset: str
    token: str
    patches: int
    two_models: bool = False
    shape: Zyx = SHAPE


SPECIMENS = (
    Specimen("cells", "TS_001", 7),
    Specimen("cells", "TS_002", 7),
    Specimen("cells", "TS_003", 7, two_models=True),
    Specimen("cells", "TS_004", 7),
    Specimen("vesicles", "TS_005", 6),
    Specimen("vesicles", "TS_006", 6),
    Specimen("cells", "TS_007", 0, shape=Zyx(164, 448, 288)),  # places are proposed here
)


@dataclass(frozen=True)
class Places:
    """Paths in the demo's folder."""

    folder: Path

    @property
    def tomograms(self) -> Path:
        return self.folder / "tomograms"

    @property
    def painted(self) -> Path:
        """Return the folder of painted corrections (TS_001_patch0/Add1.nrrd ...)."""
        return self.folder / "painted"

    def tomogram(self, token: str) -> Path:
        return self.tomograms / f"{token}.mrc"

    def segmentation(self, token: str, model: str = MODEL) -> Path:
        return self.tomograms / f"{token}_{model}.ckpt_segmented.mrc"

    def centers(self, token: str) -> Path:
        return self.tomograms / f"{token}_centers.csv"

    def painted_on(self, token: str, number: int) -> Path:
        return self.painted / f"{token}_patch{number}"


def make_specimens(
    folder: Path, specimens: Sequence[Specimen], made: Callable[[Specimen], None]
) -> None:
    """Make tomograms in two processes; tell of each when it is done."""
    places = Places(folder)
    for item in (places.folder, places.tomograms, places.painted):
        make_folder(item)
    with ProcessPoolExecutor(2, get_context("spawn"), _leave_interrupts_to_the_parent) as pool:
        running = {
            pool.submit(make_specimen, folder, specimen, seed): specimen
            for seed, specimen in enumerate(specimens, start=1)
        }
        for done in as_completed(running):
            done.result()
            made(running[done])


def make_specimen(folder: Path, specimen: Specimen, seed: int) -> None:
    """Make one tomogram with its predictions, the centers, and the corrections of each."""
    places = Places(folder)
    synthetic = make_tomogram(specimen.shape, seed)
    write_mrc(places.tomogram(specimen.token), as_bytes(synthetic.density), VOXEL_SIZE)
    if specimen.two_models:
        earlier = predict_again(synthetic, seed)
        write_mrc(places.segmentation(specimen.token, OTHER_MODEL), earlier, VOXEL_SIZE)
    write_mrc(places.segmentation(specimen.token), synthetic.prediction, VOXEL_SIZE)
    centers = choose_centers(synthetic, specimen.patches, APART) if specimen.patches else []
    write_centers(places.centers(specimen.token), centers)
    for number, center in enumerate(centers):
        paint(places.painted_on(specimen.token, number), box_around(center), synthetic)


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches every process of a terminal; one of them tells of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def as_bytes(density: NDArray[np.float32]) -> NDArray[np.int8]:
    """The density as int8, as IMOD stores many tomograms."""
    return np.clip(np.rint(density * GRAY_LEVELS), -127, 127).astype(np.int8)
