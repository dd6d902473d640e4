"""Extract the patches of one tomogram into the guide's folders, imagesCorr and labelsCorr.

What is in the folders stays: a rerun finds its own patches again and makes no doubles, a taken
name with other voxels gets the next free number, and one bad center stops no other.
"""

import itertools
import os
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import CenterError, PatchNameError
from core.files.atomic import make_folder, whole_file
from core.files.threads import side_by_side
from core.imaging.formats.nifti import fill_nifti, same_voxels
from core.imaging.formats.volume import Volume
from core.imaging.geometry import Box, Grid, Zyx
from core.imaging.labels import LabelCounts, count_values
from core.imaging.patch import (
    CutPatch,
    Placed,
    check_pair,
    cut_patch,
    patch_grid,
    place_patch,
)
from db.errors import TomocurateError
from db.vocabulary import NearBorder

CORRECTIONS_MARKER = ".tomocurate"
"""The file by which a workspace knows its folder of corrections from an empty mount point."""

IMAGES, LABELS = "imagesCorr", "labelsCorr"
_DATASET_TOKEN = re.compile(r"[^\W_](?:[^\W_]|-)*")
_TOKEN = re.compile(r"[\w.+-]+")
_MAX_TOKEN = 120


@dataclass(frozen=True)
class WantedPatch:
    """A center to extract and the number that its row gives it."""

    center: Zyx
    number: int


@dataclass(frozen=True)
class ExtractionPlan:
    """Plan for cutting and naming the patches of one tomogram."""

    out_folder: Path
    token: str
    ds_token: str = "other"  # noqa: S105 - a dataset's name, no secret
    threshold: float | None = None
    near_border: NearBorder = NearBorder.REFUSE
    voxel_size: float | None = None
    """Angstrom; overrides the tomogram's header."""
    membrane: int | None = None
    """The segmentation's value that means membrane (None: all but 0)."""


@dataclass(frozen=True)
class ExtractedPatch:
    """One line of the report: a patch that was written, was there already, or failed."""

    center: Zyx
    name: str | None = None
    outcome: str = "failed"
    """written, kept (the same patch was there) or failed."""
    box: Box | None = None
    counts: LabelCounts | None = None
    findings: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class ExtractionReport:
    """Every wanted patch, in the order of its row."""

    patches: tuple[ExtractedPatch, ...]
    voxel_size: float | None
    findings: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        return sum(patch.outcome == "failed" for patch in self.patches)


def check_tokens(ds_token: str, token: str) -> None:
    """Check the parts of <dataset>_<token>_patch<N>; the dataset ends at the first underscore.

    Errors: PatchNameError says what may stand there.
    """
    if not _DATASET_TOKEN.fullmatch(ds_token) or len(ds_token) > _MAX_TOKEN:
        raise PatchNameError(
            f"dataset token {ds_token!r}: use letters, digits and hyphens, no underscore "
            "(MemBrain-seg reads the dataset up to the first underscore)."
        )
    if not _TOKEN.fullmatch(token) or token.startswith(".") or len(token) > _MAX_TOKEN:
        raise PatchNameError(
            f"token {token!r}: use letters, digits, . _ + and -, at most {_MAX_TOKEN} of them "
            "(it becomes part of file names); state another with --token."
        )


def token_of(tomogram: Path) -> str:
    """Return the token that a tomogram's file name gives: without .mrc, .rec, .gz and so on.

    Composed (NFC): macOS hands names over decomposed, and one tomogram has one token.
    """
    name = unicodedata.normalize("NFC", tomogram.name)
    for suffixes in ((".gz", ".bz2"), (".mrc", ".rec", ".map", ".st")):
        for suffix in suffixes:
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)]
    return name


def extract_patches(
    tomogram: Volume,
    segmentation: Volume,
    wanted: Sequence[WantedPatch],
    plan: ExtractionPlan,
    progress: Callable[[ExtractedPatch], None] = lambda patch: None,
) -> ExtractionReport:
    """Cut every wanted patch and write its image and label.

    Errors: PatchNameError, OutputError or SegmentationError where no patch at all can be written;
    what concerns one patch stands in the report.
    """
    check_tokens(plan.ds_token, plan.token)
    for folder in (plan.out_folder, plan.out_folder / IMAGES, plan.out_folder / LABELS):
        make_folder(folder)
    voxel_size = plan.voxel_size or tomogram.voxel_size
    pair_findings = check_pair(tomogram, segmentation)
    naming = _Naming(wanted)

    def extract(patch: WantedPatch) -> ExtractedPatch:
        try:
            return _extract_one(tomogram, segmentation, patch, plan, voxel_size, naming)
        except TomocurateError as error:
            return ExtractedPatch(patch.center, error=str(error))

    first_of = _first_of_each_box(wanted, tomogram.shape, plan.near_border)
    done: dict[int, ExtractedPatch] = {}
    different = [index for index, first in enumerate(first_of) if first == index]
    for index, result in zip(
        different, side_by_side(extract, [wanted[index] for index in different]), strict=True
    ):
        done[index] = result
        progress(result)
    patches = []
    for index, first in enumerate(first_of):
        patch = done[first] if first == index else _again(done[first], wanted[first])
        patches.append(patch)
        if first != index:
            progress(patch)
    warnings = (*tomogram.warnings, *segmentation.warnings, *pair_findings)
    return ExtractionReport(
        tuple(patches), voxel_size, (*warnings, *voxel_size_findings(voxel_size))
    )


def _first_of_each_box(
    wanted: Sequence[WantedPatch], shape: Zyx, near_border: NearBorder
) -> list[int]:
    """For each wanted patch the first one with the same box, often itself."""
    seen: dict[Box, int] = {}
    first = []
    for index, patch in enumerate(wanted):
        try:
            box = place_patch(patch.center, shape, near_border).box
        except CenterError:  # told when it is cut
            first.append(index)
        else:
            first.append(seen.setdefault(box, index))
    return first


def _again(done: ExtractedPatch, first: WantedPatch) -> ExtractedPatch:
    """Return the report of a second patch with the same box: kept, not cut twice."""
    outcome = "failed" if done.outcome == "failed" else "kept"
    return replace(
        done, outcome=outcome, findings=(f"same patch as number {first.number}, not cut twice",)
    )


def voxel_size_findings(voxel_size: float | None) -> tuple[str, ...]:
    """Return what a user should know about a voxel size, in angstrom."""
    if voxel_size is None:
        return ("the voxel size is unknown (header 0 or 1); state it with --voxel-size",)
    if not 10 <= voxel_size <= 14:
        return (f"the voxel size is {voxel_size:g} Å; MemBrain-seg is trained on 10 to 14 Å",)
    return ()


class _Naming:
    """Gives each row its own number, and a displaced one the next that no row wants."""

    def __init__(self, wanted: Sequence[WantedPatch]) -> None:
        self._taken = {patch.number for patch in wanted}
        self._lock = threading.Lock()

    def candidates(self, number: int) -> Iterator[int]:
        yield number
        for next_number in itertools.count(number + 1):
            with self._lock:
                if next_number in self._taken:
                    continue
                self._taken.add(next_number)
            yield next_number


def _extract_one(
    tomogram: Volume,
    segmentation: Volume,
    patch: WantedPatch,
    plan: ExtractionPlan,
    voxel_size: float | None,
    naming: _Naming,
) -> ExtractedPatch:
    placed = place_patch(patch.center, tomogram.shape, plan.near_border)
    cut = cut_patch(tomogram, segmentation, placed, plan.threshold, plan.membrane)
    grid = patch_grid(placed.box, voxel_size)
    for number in naming.candidates(patch.number):
        name = f"{plan.ds_token}_{plan.token}_patch{number}"
        outcome = _keep_or_write(plan.out_folder, name, cut, grid)
        if outcome is not None:
            findings = (*_findings(patch, placed, number), *cut.findings)
            return ExtractedPatch(
                placed.center, name, outcome, placed.box, count_values(cut.label), findings
            )
    raise AssertionError("numbers do not end")


def _keep_or_write(out_folder: Path, name: str, cut: CutPatch, grid: Grid) -> str | None:
    """Keep the same patch, write an absent one; None where the name is another patch's."""
    image = out_folder / IMAGES / f"{name}.nii.gz"
    label = out_folder / LABELS / f"{name}.nii.gz"
    there = {
        path: same_voxels(path, voxels, grid)
        for path, voxels in ((image, cut.image), (label, cut.label))
        if os.path.lexists(path)
    }
    if not all(there.values()):
        return None
    if len(there) == 2:
        return "kept"
    with ExitStack() as files:
        for path, voxels in ((image, cut.image), (label, cut.label)):
            if path not in there:
                temporary = files.enter_context(whole_file(path, exist_ok=False))
                fill_nifti(temporary, voxels, grid)
    return "written"


def _findings(patch: WantedPatch, placed: Placed, number: int) -> list[str]:
    findings = []
    if placed.shifted:
        findings.append(f"shifted to {placed.center.shown()} (x, y, z) to fit")
    if placed.padded:
        findings.append("padded: mean outside the tomogram, label ignore")
    if number != patch.number:
        findings.append(f"number {patch.number} belongs to another patch, took {number}")
    return findings
