"""Write a training set that was planned: whole or not at all, every voxel checked."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from core.errors import ExportError, LabelError, VolumeError
from core.exports.case import FOLDERS, PlannedCase, WrittenCase, write_case
from core.exports.check_folder import copy_reference
from core.exports.manifest import (
    DATASET,
    MANIFEST,
    SPLITS,
    canonical_json,
    dataset_json,
    entries_of,
    hash_files,
    listed_files,
    manifest_json,
    read_splits,
)
from core.exports.plan import THREADS, TrainingSetPlan, refuse
from core.files.whole_folder import OutFolder
from db.vocabulary import Split

REPLANNED = (
    "the split changed: nnU-Net keeps the earlier splits_final.json of its preprocessed folder, "
    "so remove that before you plan again"
)


Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class WrittenSet:
    """A training set on disk."""

    folder: Path
    plan: TrainingSetPlan
    cases: tuple[WrittenCase, ...]
    unchanged: bool = False
    """An equal export lay there already and was left as it is."""
    kept: tuple[str, ...] = ()
    """Files in the folder that no export wrote: they stay."""
    split_changed: bool = False
    """It replaced an export with another split."""

    @property
    def commands(self) -> tuple[str, ...]:
        """Return the commands that train on the export."""
        return training_commands(self.folder, split_changed=self.split_changed)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return notes on the export."""
        return notes_of(self.plan, self.kept, split_changed=self.split_changed)


def write_training_set(
    plan: TrainingSetPlan, out: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> WrittenSet:
    """Write the folder ``out``, whole or not at all; the same plan gives the same bytes.

    An equal export that lies there already is left alone; another export of ours is replaced
    only with ``overwrite``.

    Errors: ExportError with every fault; OutputError where it cannot be written.
    """
    plan.check()
    before = read_splits(out)
    with OutFolder(out, marker=MANIFEST, overwrite=overwrite, written=listed_files) as target:
        cases = write_cases(plan, target.staging, progress)
        write_lists(plan, cases, target.staging, out.name)
        files = hash_files(target.staging)
        facts = _facts(plan)
        write_text(target.staging / MANIFEST, canonical_json(manifest_json(cases, files, facts)))
        unchanged = target.publish()
    return WrittenSet(
        folder=out,
        plan=plan,
        cases=cases,
        unchanged=unchanged,
        kept=target.kept,
        split_changed=before is not None and before != read_splits(out),
    )


def write_cases(
    plan: TrainingSetPlan, folder: Path, progress: Progress | None = None
) -> tuple[WrittenCase, ...]:
    """Write all cases into a folder; what is wrong with any is raised after the last one."""
    for split in (Split.TRAIN, Split.VAL, *({case.split for case in plan.cases} & {Split.TEST})):
        for name in FOLDERS[split]:
            (folder / name).mkdir()

    def write(case: PlannedCase) -> WrittenCase | str:
        size = plan.voxel_size or case.patch.voxel_size or 1.0
        try:
            return write_case(case, size, plan.options.recipe, folder)
        except (ExportError, LabelError, VolumeError) as error:
            return str(error)

    done: list[WrittenCase | str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for written in pool.map(write, plan.cases):
            done.append(written)
            if progress is not None:
                progress(len(done), len(plan.cases))
    refuse(item for item in done if isinstance(item, str))
    cases = tuple(item for item in done if isinstance(item, WrittenCase))
    if plan.reference is not None:
        copy_reference(plan.reference, cases, plan.voxel_size, plan.options.recipe, folder)
    return cases


def write_lists(
    plan: TrainingSetPlan, cases: Sequence[WrittenCase], folder: Path, name: str
) -> None:
    """Write ``dataset.json`` and ``splits_final.json``."""
    entries = entries_of(cases) + (plan.reference.entries if plan.reference else [])
    write_text(folder / DATASET, canonical_json(dataset_json(sorted(entries), name)))
    write_text(folder / SPLITS, canonical_json(list(plan.folds)))


def notes_of(plan: TrainingSetPlan, kept: Sequence[str], *, split_changed: bool) -> tuple[str, ...]:
    """List what a person should know of a written set: its plan's notes, what else lies there."""
    foreign = (f"kept what no export wrote: {', '.join(kept)}",) if kept else ()
    return (*plan.notes, *foreign, *((REPLANNED,) if split_changed else ()))


def training_commands(folder: Path, *, split_changed: bool = False) -> tuple[str, ...]:
    """List the lines that train on the folder, for MemBrain-seg and nnU-Net v2.

    nnU-Net keeps the ``splits_final.json`` of its preprocessed folder when a set is planned
    again, and stops where the set's own differs: after a ``split_changed`` it must go first.
    """
    name = folder.name
    number = name[7:10] if name.startswith("Dataset") and name[7:10].isdigit() else "NNN"
    link = "" if number != "NNN" else "   # nnU-Net wants it in $nnUNet_raw as DatasetNNN_NAME"
    known = name if number != "NNN" else "DatasetNNN_NAME"
    forget = f"rm -f $nnUNet_preprocessed/{known}/{SPLITS}   # of the earlier split"
    return (
        f"membrain train --data-dir {folder}",
        f"membrain finetune --pretrained-checkpoint-path CHECKPOINT.ckpt --finetune-data-dir "
        f"{folder}",
        *((forget,) if split_changed else ()),
        f"nnUNetv2_plan_and_preprocess -d {number} --verify_dataset_integrity{link}",
        f"nnUNetv2_train {number} 3d_fullres 0",
    )


def write_text(path: Path, text: str) -> None:
    """UTF-8 with plain newlines, wherever this runs."""
    path.write_bytes(text.encode())


def _permissions(plan: TrainingSetPlan) -> dict[str, object]:
    """State what the owners allow, by tomogram, so that it travels with the set."""
    given = {
        f"{case.patch.dataset}/{case.patch.tomogram}": case.patch.permission
        for case in plan.cases
        if case.patch.permission is not None
    }
    return {
        name: {
            "scope": item.scope.value,
            "licence": item.licence and item.licence.value,
            "embargo_until": item.embargo_until and item.embargo_until.isoformat(),
            "until": item.until and item.until.isoformat(),
        }
        for name, item in given.items()
    }


def _facts(plan: TrainingSetPlan) -> dict[str, object]:
    rule = plan.options.rule
    return {
        "voxel_size_angstrom": plan.voxel_size,
        "spacing_unit": "none" if plan.options.recipe.unit_spacing else "angstrom",
        "intensity": "zscore_patch",
        "quantised": plan.options.recipe.quantise,
        "accepted_only": plan.options.accepted_only,
        "leaky_validation": plan.leaky,
        "validation_from": plan.reference.facts if plan.reference else None,
        "split_rule": {"val_fraction": rule.val_fraction, "salt": rule.salt},
        "notes": list(plan.recorded_notes),
        "permissions": _permissions(plan),
    }
