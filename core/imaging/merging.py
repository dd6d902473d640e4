"""Merge the guide's folders: labels and corrections become training labels.

    labels/<patch>.nii.gz  +  corrections/<patch>/Add1.nrrd ...  ->  out/<patch>.nii.gz

One bad file stops no other patch, but its own patch is not written: a label that misses a Remove
is wrong. Nothing is overwritten unless that was asked for.
"""

import difflib
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import CorrectionError, LabelError, OutputError, VolumeError
from core.files.atomic import make_folder
from core.files.threads import side_by_side
from core.imaging.correction import may_be_correction, read_correction
from core.imaging.extraction import CORRECTIONS_MARKER
from core.imaging.formats.nifti import same_voxels, write_nifti
from core.imaging.formats.volume import open_volume, read_labels
from core.imaging.geometry import Grid, whole
from core.imaging.labels import (
    Label,
    LabelCounts,
    Mask,
    MergeCounts,
    check_label,
    count_values,
    merge,
)
from db.errors import TomocurateError
from db.vocabulary import CorrectionKind

LABEL_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mrc")


@dataclass(frozen=True)
class RefusedFile:
    """A file that cannot be used, and the sentence that says why."""

    name: str
    error: str


@dataclass(frozen=True)
class MergedPatch:
    """One line of the report."""

    name: str
    outcome: str
    """written, kept (the same label was there), uncorrected (nothing to merge) or failed."""
    corrections: tuple[str, ...] = ()
    counts: MergeCounts | None = None
    values: LabelCounts | None = None
    findings: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    """Files in the patch's folder that are no corrections."""
    refused: tuple[RefusedFile, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class MergeReport:
    """Every label, every folder without one, and the strays beside them."""

    patches: tuple[MergedPatch, ...]
    folders_without_label: tuple[RefusedFile, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        bad = sum(patch.outcome == "failed" for patch in self.patches)
        return bad + len(self.folders_without_label)


@dataclass(frozen=True)
class MergeFolders:
    """The guide's three folders, and what may be done in them."""

    labels_dir: Path
    corrections_dir: Path
    out_dir: Path
    overwrite: bool = False
    nothing_to_change: bool = False
    """An empty correction folder means: looked at, the prediction is right as it is."""


def merge_folders(
    folders: MergeFolders, progress: Callable[[MergedPatch], None] = lambda patch: None
) -> MergeReport:
    """Merge every label that has a correction folder of its name.

    Errors: LabelError, CorrectionError or OutputError where a folder is not there or cannot be
    written; what concerns one patch stands in the report.
    """
    _check_folders(folders)
    labels, strays = _labels(folders.labels_dir)
    corrected = _folders(folders.corrections_dir)
    strays += _loose_files(folders.corrections_dir)

    def merge_named(name: str) -> MergedPatch:
        return _merge_named(name, labels[name], folders, corrected.get(name, []))

    done = []
    for result in side_by_side(merge_named, sorted(labels)):
        done.append(result)
        progress(result)
    lonely = tuple(
        _without_label(folder.name, labels)
        for name in sorted(corrected.keys() - labels.keys())
        for folder in corrected[name]
    )
    return MergeReport(tuple(done), lonely, tuple(sorted(strays)))


def count_labels(labels_dir: Path) -> int:
    """Return how many labels a folder holds, for a progress bar."""
    return len(_labels(labels_dir)[0])


def read_label(path: Path) -> tuple[Label, Grid | None]:
    """Return an extracted or merged label, uint8 (z, y, x), and its grid if the file states one.

    Errors: VolumeError; LabelError for values other than 0, 1 and 2.
    """
    with open_volume(path) as volume:
        try:
            return check_label(read_labels(volume, whole(volume.shape))), volume.grid
        except LabelError as error:
            raise LabelError(f"{path}: {error}") from error


def correction_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the corrections in a patch's folder in the order of their names, and the strays."""
    files, strays = [], []
    for path in sorted(folder.iterdir()):
        if may_be_correction(path):
            files.append(path)
        else:
            strays.append(path.name)
    return files, strays


def _merge_named(
    name: str, paths: Sequence[Path], folders: MergeFolders, corrected: Sequence[Path]
) -> MergedPatch:
    if not corrected:
        return MergedPatch(name, "uncorrected", findings=("no correction folder",))
    try:
        for twice, where in ((paths, folders.labels_dir), (corrected, folders.corrections_dir)):
            if len(twice) > 1:
                names = " and ".join(path.name for path in twice)
                raise LabelError(f"{where}: {names} are one patch twice; keep one.")
        return _merge_patch(name, paths[0], corrected[0], folders)
    except TomocurateError as error:
        return MergedPatch(name, "failed", error=str(error))
    except OSError as error:
        return MergedPatch(name, "failed", error=f"{error.filename}: {error.strerror}.")


def _merge_patch(
    name: str, label_path: Path, corrections: Path, folders: MergeFolders
) -> MergedPatch:
    files, strays = correction_files(corrections)
    if not files and not folders.nothing_to_change:
        finding = "no corrections in its folder yet (--nothing-to-change takes the label as it is)"
        return MergedPatch(name, "uncorrected", findings=(finding,), strays=tuple(strays))
    label, grid = read_label(label_path)
    findings: list[str] = [] if files else ["nothing to change: the label is the prediction"]
    refused: list[RefusedFile] = []
    merged = merge(label, _read_each(files, label, grid, findings, refused))
    report = MergedPatch(name, "failed", tuple(path.name for path in files), strays=tuple(strays))
    if refused:
        error = refused[0].error if len(refused) == 1 else f"{len(refused)} files refused"
        return replace(report, refused=tuple(refused), error=error)
    target = folders.out_dir / f"{name}.nii.gz"
    return replace(
        report,
        outcome=_write(target, merged.voxels, grid or Grid.aligned(), folders.overwrite),
        counts=merged.counts,
        values=count_values(merged.voxels),
        findings=tuple(findings),
    )


def _read_each(
    files: Sequence[Path],
    label: Label,
    grid: Grid | None,
    findings: list[str],
    refused: list[RefusedFile],
) -> Iterator[Mapping[CorrectionKind, Mask]]:
    """Read one correction after the other, so that one is held at a time; note what is told."""
    for path in files:
        try:
            correction = read_correction(path, label, grid)
        except (VolumeError, CorrectionError) as error:
            refused.append(RefusedFile(path.name, str(error)))
        else:
            findings += [f"{path.name}: {finding}" for finding in correction.findings]
            yield correction.masks


def _write(target: Path, voxels: Label, grid: Grid, overwrite: bool) -> str:
    if os.path.lexists(target):
        if same_voxels(target, voxels, grid):
            return "kept"
        if not overwrite:
            raise OutputError(
                f"{target}: exists and differs; name another --out-dir, or say --overwrite."
            )
    write_nifti(target, voxels, grid, exist_ok=overwrite)
    return "written"


def _check_folders(folders: MergeFolders) -> None:
    if not folders.labels_dir.is_dir():
        raise LabelError(f"{folders.labels_dir}: no such folder; --labels-dir holds the labels.")
    if not folders.corrections_dir.is_dir():
        raise CorrectionError(
            f"{folders.corrections_dir}: no such folder; --corrections-dir holds one folder a "
            "patch, named like its label."
        )
    make_folder(folders.out_dir)
    if folders.out_dir.samefile(folders.labels_dir):
        raise OutputError(
            f"{folders.out_dir}: holds the labels themselves; name another --out-dir, so that "
            "the predictions stay."
        )


def _labels(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    labels: dict[str, list[Path]] = {}
    strays = []
    for path in sorted(folder.iterdir()):
        suffix = next((s for s in LABEL_SUFFIXES if path.name.endswith(s)), None)
        if suffix is None or path.name.startswith(".") or path.is_dir():
            strays.append(str(path))
        else:
            labels.setdefault(_compose(path.name[: -len(suffix)]), []).append(path)
    return labels, strays


def _folders(folder: Path) -> dict[str, list[Path]]:
    """Correction folders by the name of their patch, however its umlauts are written."""
    folders: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name[0] != ".":
            folders.setdefault(_compose(path.name), []).append(path)
    return folders


def _compose(name: str) -> str:
    """Names as people read them: macOS hands them over decomposed (NFD)."""
    return unicodedata.normalize("NFC", name)


def _loose_files(folder: Path) -> list[str]:
    return [
        str(path)
        for path in folder.iterdir()
        if path.name != CORRECTIONS_MARKER and (not path.is_dir() or path.name[0] == ".")
    ]


def _without_label(name: str, labels: Sequence[str] | dict[str, list[Path]]) -> RefusedFile:
    nearest = difflib.get_close_matches(name, list(labels), n=1, cutoff=0.5)
    meant = f"; did you mean {nearest[0]}?" if nearest else "."
    return RefusedFile(name, f"correction folder {name}: no label has this name{meant}")
