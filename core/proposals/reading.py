"""Read a tomogram and what belongs to it block by block, binned to the working scale.

Memory depends on the block's size alone. A file that does not fit its segmentation is left out,
with one sentence.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import SegmentationError, VolumeError
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.geometry import Box, Zyx
from core.imaging.labels import label_from_prediction
from core.proposals.channels import Block
from core.proposals.sheet_filters import REACH, Floats, pool

LEAST_SPACING = 13.9
"""Angstrom of a working voxel, at least; 10 Å becomes 20, 13.9 stays."""
USUAL_VOXEL_SIZE = 10.0
"""Angstrom, where the file states none."""
CORE = Zyx(64, 128, 128)
"""Working voxels of a block without its halo."""
STRIP_BYTES = 24 << 20
LARGEST = 4 << 30
"""Voxels above which a cell is twice as wide."""
NEWER_S = 3600.0
AGREEING = 0.99
"""Share of voxels in which scores and their segmentation agree, if they are one model's."""


@dataclass(frozen=True)
class Inputs:
    """The files to look at; paths that a job may send to another process."""

    tomogram: Path
    segmentation: Path
    threshold: float | None = None
    membrane_label: int | None = None
    """The value that is membrane, where it holds several classes."""
    voxel_size: float | None = None
    """Angstrom; None is unknown."""
    scores: Path | None = None
    """Logits, as MemBrain-seg's ``_scores.mrc``."""
    uncertainty: Path | None = None
    second: Path | None = None
    """Another segmentation of the same tomogram."""
    second_threshold: float | None = None
    second_label: int | None = None
    within: tuple[Path, ...] | None = None
    """Folders that must hold the files."""


@dataclass
class Files:
    """The open files of a tomogram. A context manager."""

    inputs: Inputs
    tomogram: Volume
    segmentation: Volume
    others: dict[str, Volume]
    findings: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def open(cls, inputs: Inputs) -> Self:
        """Open what is there.

        Errors: VolumeError; SegmentationError where the segmentation is another tomogram's.
        """
        with ExitStack() as stack:
            tomogram = stack.enter_context(open_volume(inputs.tomogram, inputs.within))
            segmentation = stack.enter_context(open_volume(inputs.segmentation, inputs.within))
            if segmentation.shape != tomogram.shape:
                raise SegmentationError(
                    f"{inputs.segmentation}: has shape {_xyz(segmentation.shape)} (x, y, z), its "
                    f"tomogram {_xyz(tomogram.shape)}; register the segmentation of this tomogram."
                )
            files = cls(inputs, tomogram, segmentation, {})
            for name in ("scores", "uncertainty", "second"):
                files._open_other(name, stack)
            files._stack = stack.pop_all()
        files._check_scores()
        return files

    def _open_other(self, name: str, stack: ExitStack) -> None:
        path = getattr(self.inputs, name)
        if path is None:
            return
        try:
            volume = stack.enter_context(open_volume(path, self.inputs.within))
        except (VolumeError, OSError) as error:
            self.findings.append(f"{error} It is left out.")
            return
        if volume.shape != self.tomogram.shape:
            self.findings.append(
                f"{path.name}: has shape {_xyz(volume.shape)} (x, y, z), the tomogram "
                f"{_xyz(self.tomogram.shape)}; left out."
            )
            return
        self.others[name] = volume

    def _check_scores(self) -> None:
        """Leave scores out that a later model wrote: their name holds no checkpoint."""
        for name in ("scores", "uncertainty"):
            path = getattr(self.inputs, name)
            if name not in self.others or not _is_newer(path, self.inputs.segmentation):
                continue
            if name == "scores" and self._scores_agree():
                continue
            del self.others[name]
            self.findings.append(
                f"{path.name}: is newer than {self.inputs.segmentation.name} and may be another "
                "model's; left out. Predict both again, or give the segmentation its date."
            )

    def _scores_agree(self) -> bool:
        z, y, x = (max(0, (n - 64) // 2) for n in self.tomogram.shape)
        stop = Zyx(*(min(n, a + 64) for n, a in zip(self.tomogram.shape, (z, y, x), strict=True)))
        box = Box(Zyx(z, y, x), stop)
        inputs = self.inputs
        label, _ = label_from_prediction(
            self.segmentation.read(box), inputs.threshold, inputs.membrane_label
        )
        same = (self.others["scores"].read(box) > 0) == (label != 0)
        return float(np.mean(same)) >= AGREEING

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@dataclass(frozen=True)
class Scale:
    """Division of a tomogram: binning, blocks and cells."""

    shape: Zyx
    """Of the tomogram."""
    factor: int
    spacing: float
    """Angstrom of a working voxel."""
    cell: int
    """Full-resolution voxels along a cell."""

    @classmethod
    def of(cls, shape: Zyx, voxel_size: float | None) -> Self:
        size = voxel_size or USUAL_VOXEL_SIZE
        factor = 1
        while size * factor < LEAST_SPACING and factor < 16:
            factor *= 2
        cell = 32 if shape.z * shape.y * shape.x > LARGEST else 16
        return cls(shape, factor, size * factor, cell)

    @property
    def working(self) -> Zyx:
        return Zyx(*(-(-n // self.factor) for n in self.shape))

    @property
    def cells(self) -> Zyx:
        return Zyx(*(-(-n // self.cell) for n in self.shape))

    @property
    def halo(self) -> int:
        return int(np.ceil(REACH / self.spacing))

    def blocks(self) -> Iterator[Box]:
        """The blocks without halo, in working voxels; each begins on a cell."""
        for z in range(0, self.working.z, CORE.z):
            for y in range(0, self.working.y, CORE.y):
                for x in range(0, self.working.x, CORE.x):
                    start = Zyx(z, y, x)
                    yield Box(start, _clip(start, CORE, self.working))

    def samples(self, side: Zyx, rows: int) -> list[Box]:
        """Some blocks spread over the tomogram, in working voxels, the same ones each time."""
        spans = [max(0, n - s) for n, s in zip(self.working, side, strict=True)]
        golden = np.array([0.8191725134, 0.6710436067, 0.5497004779])  # R3, a spread sequence
        found = {}
        for number in range(rows):
            share = (0.5 + golden * number) % 1
            start = Zyx(*(int(f * (s + 1)) for f, s in zip(share, spans, strict=True)))
            found[start] = Box(start, _clip(start, side, self.working))
        return list(found.values())

    def padded(self, box: Box) -> Box:
        """A block with its halo, as far as the tomogram goes."""
        start = Zyx(*(max(0, a - self.halo) for a in box.start))
        stop = Zyx(*(min(n, b + self.halo) for b, n in zip(box.stop, self.working, strict=True)))
        return Box(start, stop)


class Reader:
    """Reads blocks; counts voxels that are no numbers."""

    def __init__(self, files: Files, scale: Scale) -> None:
        self._files, self._scale = files, scale
        self._fill = 0.0
        self.not_finite = 0

    def set_fill(self, level: float) -> None:
        """Set the value that replaces NaN voxels."""
        self._fill = level

    def read(self, box: Box) -> Block:
        """Read a block, given in working voxels."""
        others = self._files.others
        inputs = self._files.inputs
        second = others.get("second")
        scores, variance = others.get("scores"), others.get("uncertainty")
        return Block(
            density=self._pooled(self._files.tomogram, box, self._gray),
            predicted=self._label(
                self._files.segmentation, box, inputs.threshold, inputs.membrane_label
            ),
            second=None
            if second is None
            else self._label(second, box, inputs.second_threshold, inputs.second_label),
            scores=None if scores is None else self._pooled(scores, box, _probability),
            variance=None if variance is None else self._pooled(variance, box, _variance),
        )

    def _label(
        self, volume: Volume, box: Box, threshold: float | None, value: int | None
    ) -> Floats:
        def binary(values: NDArray[Any]) -> NDArray[Any]:
            try:
                return label_from_prediction(values, threshold, value)[0]
            except SegmentationError as error:
                raise SegmentationError(f"{volume.path.name}: {error}") from error

        return self._pooled(volume, box, binary)

    def _gray(self, values: NDArray[Any]) -> NDArray[Any]:
        if values.dtype.kind != "f":
            return values
        finite = np.isfinite(values)
        if finite.all():
            return values
        self.not_finite += int(values.size - np.count_nonzero(finite))
        return np.where(finite, values, values.dtype.type(self._fill))

    def _pooled(
        self, volume: Volume, box: Box, convert: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> Floats:
        """Read in strips of sections and bin each, so that no raw block is held."""
        k = self._scale.factor
        start = Zyx(*(a * k for a in box.start))
        stop = Zyx(*(min(b * k, n) for b, n in zip(box.stop, volume.shape, strict=True)))
        row = (stop.y - start.y) * (stop.x - start.x) * volume.dtype.itemsize
        step = max(1, STRIP_BYTES // (row * k)) * k
        parts = []
        for z in range(start.z, stop.z, step):
            strip = Box(start._replace(z=z), stop._replace(z=min(z + step, stop.z)))
            parts.append(pool(convert(volume.read(strip)), k))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _probability(values: NDArray[Any]) -> NDArray[Any]:
    """σ of a logit; what is no number is taken for background."""
    logits = np.nan_to_num(np.asarray(values, np.float32), nan=-30.0, posinf=30.0, neginf=-30.0)
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def _variance(values: NDArray[Any]) -> NDArray[Any]:
    return np.nan_to_num(np.asarray(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _is_newer(path: Path, than: Path) -> bool:
    return path.stat().st_mtime - than.stat().st_mtime > NEWER_S


def _clip(start: Zyx, side: Sequence[int], shape: Zyx) -> Zyx:
    return Zyx(*(min(a + s, n) for a, s, n in zip(start, side, shape, strict=True)))


def _xyz(shape: Zyx) -> str:
    return " × ".join(map(str, shape.to_xyz()))
