"""A share bundle: a training set with its facts, its checksums and a privacy report that passed.

It is written beside its target, examined there, and appears only if nothing speaks against it.
The same patches and the same facts give the same bytes.
"""

import shutil
import zipfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.bundles.card import card_text, licence_text
from core.bundles.facts import BundleFacts, Level
from core.bundles.metadata import bundle_json, croissant_json, mifa_json, zenodo_json
from core.bundles.patches_csv import table_rows, table_text
from core.bundles.privacy.names import Secret
from core.bundles.privacy.pseudonyms import Pseudonyms
from core.bundles.privacy.report import (
    DATASET_NAME,
    PrivacyReport,
    detail_faults,
    examine,
    permission_faults,
    scan_files,
    scanner_of,
    write_report,
)
from core.exports.case import WrittenCase, shipped_box
from core.exports.manifest import (
    SUMS,
    canonical_json,
    hash_files,
    listed_files,
    read_splits,
    sums_text,
)
from core.exports.patch import CuratedPatch
from core.exports.plan import SetOptions, TrainingSetPlan, plan_training_set, refuse
from core.exports.split import SplitRule
from core.exports.write import (
    Progress,
    notes_of,
    training_commands,
    write_cases,
    write_lists,
    write_text,
)
from core.files.atomic import whole_file
from core.files.whole_folder import OutFolder
from core.imaging.hashes import file_hash

MARKER, TABLE, CARD, LICENCE = "bundle.json", "patches.csv", "README.md", "LICENSE"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest day that zip knows; every member carries it."""

MODE = 0o644


@dataclass(frozen=True)
class BundlePlan:
    """Plan of a bundle, before anything is written."""

    facts: BundleFacts
    pseudonyms: Pseudonyms
    training_set: TrainingSetPlan

    def check(self) -> None:
        """Errors: ExportError with every fault."""
        self.training_set.check()


@dataclass(frozen=True)
class WrittenBundle:
    """A bundle on disk."""

    folder: Path
    archive: Path | None
    plan: BundlePlan
    cases: tuple[WrittenCase, ...]
    report: PrivacyReport
    bundle_id: str
    unchanged: bool
    kept: tuple[str, ...] = ()
    """Files in the folder that no export wrote: they stay."""
    split_changed: bool = False
    """It replaced a bundle with another split."""

    @property
    def commands(self) -> tuple[str, ...]:
        """Return the commands that train on the export."""
        return training_commands(self.folder, split_changed=self.split_changed)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return notes on the export."""
        return notes_of(self.plan.training_set, self.kept, split_changed=self.split_changed)


def plan_bundle(
    patches: Sequence[CuratedPatch],
    facts: BundleFacts,
    pseudonyms: Pseudonyms,
    linked: Iterable[tuple[str, str]] = (),
    rule: SplitRule | None = None,
) -> BundlePlan:
    """Plan a bundle. Nothing is raised for bad patches or missing permissions: faults tell.

    Errors: ExportError for facts that a metadata format refuses.
    """
    facts.check()
    left_out: list[str] = []
    if facts.level is Level.MINIMAL:
        patches, left_out = _thin_out(patches, facts)
    options = SetOptions(
        rule=rule or SplitRule(), recipe=facts.recipe, naming=facts.naming(pseudonyms)
    )
    plan = plan_training_set(patches, options, linked)
    more = [*permission_faults(patches, facts), *detail_faults(plan.voxel_size, facts)]
    plan = replace(plan, faults=(*plan.faults, *more), notes=(*plan.notes, *left_out))
    return BundlePlan(facts, pseudonyms, plan)


def write_bundle(
    plan: BundlePlan,
    out: Path,
    secrets: Collection[Secret],
    *,
    overwrite: bool = False,
    zipped: bool = False,
    progress: Progress | None = None,
) -> WrittenBundle:
    """Write the bundle ``out``, whole or not at all; ``secrets`` are what no file may tell.

    Errors: ExportError with every fault, also of the privacy report; OutputError.
    """
    plan.check()
    before = read_splits(out)
    with OutFolder(out, marker=MARKER, overwrite=overwrite, written=listed_files) as target:
        cases, report, bundle_id = _fill(plan, target.staging, secrets, progress)
        refuse(fault.message for fault in report.faults)
        unchanged = target.publish()
    packed = out.with_name(f"{out.name}.zip") if zipped else None
    if packed is not None:
        pack(out, packed, f"mempatch-{bundle_id[:8]}")
    return WrittenBundle(
        folder=out,
        archive=packed,
        plan=plan,
        cases=cases,
        report=report,
        bundle_id=bundle_id,
        unchanged=unchanged,
        kept=target.kept,
        split_changed=before is not None and before != read_splits(out),
    )


def rehearse_bundle(
    plan: BundlePlan,
    beside: Path,
    secrets: Collection[Secret],
    progress: Progress | None = None,
) -> PrivacyReport:
    """Make a bundle's privacy report for a person to read before signing; nothing is kept.

    ``beside`` is where the bundle would appear. A report that does not pass is given, not raised.
    Nobody has signed it yet, and it says so.

    Errors: ExportError for faults of the training set; OutputError.
    """
    plan.check()
    plan = replace(plan, facts=replace(plan.facts, signed_by=""))
    with OutFolder(beside, marker=MARKER, overwrite=True, written=listed_files) as target:
        return _fill(plan, target.staging, secrets, progress)[1]


def pack(folder: Path, target: Path, top: str) -> None:
    """Zip a bundle's own files: sorted names, no times, owners or modes of this machine.

    Errors: OutputError.
    """
    names = sorted(name for name in listed_files(folder) if (folder / name).is_file())
    with (
        whole_file(target) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for name in names:
            entry = zipfile.ZipInfo(f"{top}/{name}", EPOCH)
            entry.create_system, entry.external_attr = 3, MODE << 16
            entry.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file, archive.open(entry, "w") as held:
                shutil.copyfileobj(file, held, 1 << 20)


def _fill(
    plan: BundlePlan, folder: Path, secrets: Collection[Secret], progress: Progress | None
) -> tuple[tuple[WrittenCase, ...], PrivacyReport, str]:
    facts, size = plan.facts, plan.training_set.voxel_size or 1.0
    cases = write_cases(plan.training_set, folder, progress)
    write_lists(plan.training_set, cases, folder, DATASET_NAME)
    bundle_id = _write_facts(plan, cases, folder, size)
    planned = [case.planned for case in cases]
    volumes = {path for case in planned for path in (case.image, case.label)}
    report = examine(folder, planned, facts, secrets, plan.pseudonyms, size, volumes)
    pages = write_report(report, folder)
    write_text(folder / SUMS, sums_text(hash_files(folder)))
    scanner, _ = scanner_of(secrets, planned, facts)
    hits = scan_files(folder, [*pages, folder / SUMS], scanner, facts)
    return cases, replace(report, hits=(*report.hits, *hits)), bundle_id


def _write_facts(plan: BundlePlan, cases: Sequence[WrittenCase], folder: Path, size: float) -> str:
    facts = plan.facts
    about = bundle_json(cases, facts, size, plan.training_set.leaky)
    write_text(folder / MARKER, canonical_json(about))
    write_text(folder / TABLE, table_text(table_rows(cases, facts, plan.pseudonyms)))
    write_text(folder / CARD, card_text(cases, facts, size))
    write_text(folder / LICENCE, licence_text(facts.licence))
    table_hash = file_hash(folder / TABLE)
    write_text(folder / "croissant.json", canonical_json(croissant_json(facts, table_hash)))
    write_text(folder / "mifa.json", canonical_json(mifa_json(cases, facts)))
    write_text(folder / ".zenodo.json", canonical_json(zenodo_json(facts)))
    return str(about["bundle_id"])


def _thin_out(
    patches: Sequence[CuratedPatch], facts: BundleFacts
) -> tuple[list[CuratedPatch], list[str]]:
    """At most so many patches a tomogram, and none that overlap: the first by name stay."""
    kept: dict[tuple[str, str], list[CuratedPatch]] = {}
    left_out = []
    for patch in sorted(patches, key=lambda patch: patch.name):
        if patch.imported is not None:
            kept.setdefault(("", patch.name), []).append(patch)
            continue
        held = kept.setdefault((patch.dataset, patch.tomogram), [])
        box = shipped_box(patch, facts.recipe)
        if len(held) >= facts.patches_per_tomogram:
            limit = facts.patches_per_tomogram
            left_out.append(f"{patch.name} left out: limit of {limit} patches per tomogram reached")
        elif any(box.overlap(shipped_box(other, facts.recipe)) for other in held):
            left_out.append(f"{patch.name} left out: it overlaps another patch")
        else:
            held.append(patch)
    return [patch for held in kept.values() for patch in held], left_out
