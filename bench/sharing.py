"""Sharing: export of 100 patches, its scan, import into an empty catalog and again.

Reached are to be: export ≤ 25 s and ≤ 300 MB on two cores, scan ≥ 50 MB/s, import ≤ 30 s.
"""

import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.processes import Cost, measure
from core.access.os_user import acting_person
from core.bundles.privacy.names import Secret, SecretKind
from core.bundles.privacy.scan import Scanner
from core.corrections.store import Store
from core.imaging.formats.nifti import write_nifti
from core.imaging.geometry import Box, Zyx
from core.imaging.hashes import content_hash
from core.imaging.labels import count_values, ignore_border
from core.imaging.patch import patch_grid
from core.lab.lab import Lab
from core.tomograms.data_permissions import permit
from core.workspace.workspace import Workspace, init_workspace
from db.queries.people import PersonRecord
from db.queries.volumes import segmentations_of
from db.vocabulary import ChosenBecause, Licence, Scope, Stage, Verdict
from db.writes.corrections import MadeMerge, add_merge
from db.writes.events import Change
from db.writes.patches import add_review, change_patch, choose_patch
from db.writes.volumes import FoundFile, add_root, add_segmentation, add_tomogram

PATCHES, TOMOGRAMS, SIDE = 100, 20, 160
PROGRAM = Path(sys.executable).with_name("tomocurate")


def run() -> None:
    with tempfile.TemporaryDirectory(prefix="tomocurate-bench-") as name:
        folder = Path(name)
        fill(folder / "lab")
        init_workspace(folder / "empty").close()
        say("export of a training set", export(folder / "lab", "training-set", folder / "set"))
        written = sum(path.stat().st_size for path in (folder / "set").rglob("*"))
        print(f"  {written / 1e6:.0f} MB on disk")
        say("export of a bundle", export(folder / "lab", "bundle", folder / "share"))
        scan(folder / "share")
        for what in ("import", "import again"):
            command: list[str | Path] = [
                PROGRAM,
                "import-bundle",
                "--workspace",
                folder / "empty",
                folder / "share",
            ]
            say(what, measure(command))


def say(what: str, cost: Cost) -> None:
    print(f"{what}: {cost.wall_s:.1f} s, {cost.cpu_s:.1f} s of CPU, {cost.peak_mib:.0f} MiB")


def export(workspace: Path, kind: str, out: Path) -> Cost:
    command: list[str | Path] = [PROGRAM, "export", kind, "--workspace", workspace, out]
    if kind == "bundle":
        command += [
            "--title",
            "Bench",
            "--description",
            "Noise.",
            "--licence",
            "CC0-1.0",
            "--sign",
            "Ada",
        ]
    return measure(command)


def scan(folder: Path) -> None:
    """How fast a bundle is searched for three hundred names, on one core."""
    secrets = [Secret(SecretKind.TOMOGRAM, f"2024{n:04}_grid{n}_TS") for n in range(300)]
    scanner = Scanner(secrets)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    before = time.perf_counter()
    hits = [hit for path in files for hit in scanner.file(path, path.name)]
    seconds = time.perf_counter() - before
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"scan: {size / seconds:.0f} MB/s of files on one core ({len(hits)} found)")


def fill(folder: Path) -> None:
    """A workspace with a hundred accepted patches of twenty tomograms, of noise."""
    rng = np.random.default_rng(1)
    with init_workspace(folder, admin="Ada") as workspace:
        by = acting_person(workspace)
        with workspace.catalog.write() as session:
            add_root(session, Change.now(by.id), folder)
        for number in range(TOMOGRAMS):
            token = f"TS_{number:03}"
            add_source(workspace, by, folder, token)
            permit(
                Lab(workspace, by),
                token,
                scope=Scope.PUBLIC,
                licence=Licence.CC0,
                approved_by="Ada",
            )
        for number in range(PATCHES):
            add_patch(workspace, by, rng, number)


def add_source(workspace: Workspace, by: PersonRecord, folder: Path, token: str) -> None:
    shape = (400, 1000, 1000)
    with workspace.catalog.write() as session:
        change = Change.now(by.id)
        found = FoundFile(folder / f"{token}.mrc", shape, "float32", 1, 1)
        made = add_tomogram(session, change, ("bench", token), found, (10.0, False), {})
        found = FoundFile(folder / f"{token}_seg.mrc", shape, "int8", 1, 1)
        add_segmentation(session, change, made, found, "model")


def add_patch(
    workspace: Workspace, by: PersonRecord, rng: np.random.Generator, number: int
) -> None:
    place, tomogram = divmod(number, TOMOGRAMS)
    start = Zyx(100, 100, 20 + 170 * place)
    box = Box(start, Zyx(*(a + SIDE for a in start)))
    image = rng.normal(120, 30, (SIDE,) * 3).astype(np.float32)
    label = np.zeros((SIDE,) * 3, np.uint8)
    label[40:120:20] = label[:, 60:63] = 1
    ignore_border(label)
    store = Store(workspace.folders.store)
    with workspace.catalog.write() as session:
        segmentation = segmentations_of(session, tomogram + 1)[0]
        values = {
            "segmentation_id": segmentation.id,
            "padded": False,
            "shifted": False,
            "voxel_size": 10.0,
            "chosen_because": ChosenBecause.OTHER,
        }
        for axis, at in zip("zyx", start, strict=True):
            values |= {f"start_{axis}": at, f"center_{axis}": at + SIDE // 2, f"shape_{axis}": SIDE}
        patch = choose_patch(session, Change.now(by.id), tomogram + 1, values)
    folders, grid = workspace.folders, patch_grid(box, 10.0)
    write_nifti(folders.image_of(patch.name), image, grid)
    write_nifti(folders.label_of(patch.name), np.where(label == 1, 0, label), grid)
    write_nifti(folders.merged_of(patch.name), label, grid)
    stored = store.put_file(folders.merged_of(patch.name))
    with workspace.catalog.write() as session:
        change = Change.now(by.id)
        known = content_hash(label)
        made = MadeMerge(
            known,
            (),
            "bench",
            {},
            asdict(count_values(label)),
            (),
            True,
            known,
            stored.sha256,
            stored.size,
        )
        patch = change_patch(
            session,
            change,
            patch,
            "extracted",
            stage=Stage.EXTRACTED,
            image_hash=content_hash(image),
            label_hash=known,
        )
        merge = add_merge(session, change, patch, made)
        add_review(session, change, patch, merge.id, Verdict.ACCEPT)
        change_patch(
            session,
            change,
            patch,
            "accepted",
            stage=Stage.ACCEPTED,
            current_merge_id=merge.id,
            accepted_merge_id=merge.id,
        )
