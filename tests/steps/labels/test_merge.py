"""Merging on a workspace: versions, stale marks, what is refused, and the drop-in's voxels."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cli.patch_corrections import main
from core.corrections.collect import collect
from core.corrections.receive import receive
from core.corrections.withdraw import withdraw_correction
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid
from core.imaging.hashes import content_hash
from core.imaging.merging import read_label
from core.labels.merge import merge, preview_merge
from core.labels.review import accept, reject, submit
from db.errors import NotAllowedError, StepError
from db.queries.life import merges_of
from db.queries.patches import PatchRecord
from db.vocabulary import ChosenBecause, Stage
from db.writes.events import Change
from db.writes.patches import adopt_patch

GOLD = Path(__file__).parents[2] / "data" / "gold"
MERGE = json.loads((GOLD / "merge.json").read_text())
ADD, REMOVE = np.s_[80, 80, 70:90], np.s_[60:100, 60:100, 20:60]


def merges(lab: Any, name: str | None = None) -> Any:
    with lab.workspace.catalog.read() as session:
        return merges_of(session, lab.patch(name).id)


def test_a_merge_has_the_voxels_of_the_drop_in(lab: Any, tmp_path: Path) -> None:
    for number, name in enumerate(lab.names):
        lab.save("Add1.nrrd", np.s_[80, 80, 70 + number : 90], name=name)
        lab.save("Remove1.nrrd", REMOVE, name=name)
        lab.save("Ignore1.nrrd", np.s_[85:95, 85:95, 30:60], name=name)
    collect(lab.by.annika)
    assert [each.outcome for each in merge(lab.by.annika)] == ["done"] * 3
    arguments = ["merge_corrections", "--labels-dir", str(lab.folders.labels)]
    arguments += ["--corrections-dir", str(lab.folders.corrections), "--out-dir"]
    assert main([*arguments, str(tmp_path / "drop-in")]) == 0
    for name in lab.names:
        dropped = tmp_path / "drop-in" / f"{name}.nii.gz"
        assert lab.folders.merged_of(name).read_bytes() == dropped.read_bytes()
    # Into the workspace's own folder the drop-in finds everything done.
    assert main([*arguments, str(lab.folders.merged)]) == 0


@pytest.mark.parametrize("case", MERGE, ids=lambda case: case["name"])
def test_a_merge_has_the_voxels_of_membrain_seg(case: dict[str, Any], lab: Any) -> None:
    (expected,) = case["outputs"]
    name = expected["file"].removesuffix(".nii.gz")
    source = GOLD / "merge" / case["name"]
    with open_volume(next((source / "labels").glob(f"{name}*"))) as volume:
        grid = volume.grid
    label, _ = read_label(next((source / "labels").glob(f"{name}*")))
    adopt(lab, name, label, grid)
    folder = lab.folders.corrections_of(name)
    shutil.copytree(source / "corr" / name, folder)
    for packed in folder.rglob("*.nrrd.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    collect(lab.by.annika, [name])
    (outcome,) = merge(lab.by.annika, [name])
    assert outcome.outcome == "done", outcome.message
    voxels = hashlib.sha256(lab.merged(name).tobytes()).hexdigest()
    assert voxels == expected["sha256_of_uint8_voxels_zyx"]


def adopt(lab: Any, name: str, label: np.ndarray, grid: Grid | None) -> PatchRecord:
    """A patch that was cut elsewhere, at a place that nobody knows."""
    write_nifti(lab.folders.label_of(name), label, grid or Grid.aligned())
    z, y, x = label.shape
    change = Change.now(lab.admin.id)
    values = {
        "token": name,
        "shape_z": z,
        "shape_y": y,
        "shape_x": x,
        "stage": Stage.EXTRACTED,
        "chosen_because": ChosenBecause.OTHER,
        "extracted_at": change.at,
        "label_hash": content_hash(label),
        "image_hash": "0" * 64,
    }
    with lab.workspace.catalog.write() as session:
        return adopt_patch(session, change, "gold", name, values)


def test_the_same_corrections_again_make_no_new_merge(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    merge(lab.by.annika)
    before = lab.folders.merged_of(lab.name).stat()
    (again,) = merge(lab.by.annika, [lab.name])
    assert again.outcome == "kept"
    assert merge(lab.by.annika) == ()
    assert len(merges(lab)) == lab.patch().merge_count == 1
    assert lab.folders.merged_of(lab.name).stat().st_ino == before.st_ino


def test_a_new_version_makes_the_label_stale_until_it_is_merged(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    merge(lab.by.annika)
    lab.save("Add1.nrrd", np.s_[80, 80, 60:90])
    collect(lab.by.annika)
    assert lab.patch().stale
    with pytest.raises(StepError, match="changed since merge 1"):
        submit(lab.by.annika, lab.name)
    (outcome,) = merge(lab.by.annika)
    assert outcome.details["merge"] == 2
    assert not lab.patch().stale
    assert (lab.merged()[80, 80, 60:90] == 1).all()
    first, second = merges(lab)
    assert lab.workspace.folders.store.joinpath(
        first.file_sha256[:2], first.file_sha256[2:]
    ).exists()
    assert [each["version"] for each in second.inputs] == [2]


def test_the_bytes_of_before_make_a_stale_label_good_again(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    merge(lab.by.annika)
    lab.save("Add1.nrrd", np.s_[80, 80, 60:90])
    collect(lab.by.annika)
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    assert not lab.patch().stale
    assert merge(lab.by.annika, [lab.name])[0].outcome == "kept"


def test_a_patch_that_nobody_looked_at_is_never_merged_by_all(lab: Any) -> None:
    assert merge(lab.by.annika) == ()
    (named,) = merge(lab.by.annika, [lab.name])
    assert (named.outcome, lab.patch().stage) == ("skipped", Stage.EXTRACTED)
    assert "nothing-to-change" in (named.message or "")
    with pytest.raises(StepError, match="name the patches"):
        merge(lab.by.annika, nothing_to_change=True)


def test_nothing_to_change_is_a_label_that_somebody_stated(lab: Any) -> None:
    submit(lab.by.annika, lab.name, nothing_to_change=True)
    assert lab.patch().stage is Stage.IN_REVIEW
    (made,) = merges(lab)
    assert made.nothing_to_change
    assert made.made_by == "annika"
    assert (lab.merged() == lab.label()).all()
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    assert lab.patch().stale


def test_nothing_to_change_is_refused_where_corrections_lie(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    (outcome,) = merge(lab.by.annika, [lab.name], nothing_to_change=True)
    assert outcome.outcome == "failed"
    assert "has corrections (Add1.nrrd)" in (outcome.message or "")


def test_a_correction_that_cannot_be_read_stops_its_own_patch_alone(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    lab.file("Remove1.nrrd").write_bytes(b"NRRD0004\nnonsense")
    lab.save("Add1.nrrd", ADD, name=lab.names[1])
    collected = collect(lab.by.annika)
    assert [each.outcome for each in collected] == ["failed", "done"]
    bad, good = merge(lab.by.annika)
    assert (bad.outcome, good.outcome) == ("failed", "done")
    assert "Remove1.nrrd" in (bad.message or "")
    assert not lab.folders.merged_of(lab.name).exists()
    assert merges(lab) == ()


def test_contested_and_lost_voxels_are_counted_and_said(lab: Any) -> None:
    lab.save("Add1.nrrd", np.s_[80, 80, 70:90], np.s_[5, 80, 70:90])
    lab.save("Ignore1.nrrd", np.s_[80, 80, 80:90])
    collect(lab.by.annika)
    (outcome,) = merge(lab.by.annika)
    assert outcome.details["counts"]["contested"] == 10
    assert outcome.details["counts"]["lost_in_border"] == 20
    assert "10 voxels are claimed by several kinds" in outcome.findings
    assert (lab.merged()[80, 80, 80:90] == 2).all()


def test_a_merge_leaves_out_what_is_gone_and_says_so(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    second = lab.save("Add2.nrrd", np.s_[80, 90, 70:90])
    collect(lab.by.annika)
    merge(lab.by.annika)
    second.unlink()
    collect(lab.by.annika)
    (outcome,) = merge(lab.by.annika)
    assert "Add2.nrrd is gone from the folder: left out" in outcome.findings
    assert outcome.details["corrections"] == ["Add1.nrrd"]


def test_a_patch_whose_corrections_are_all_withdrawn_is_no_bare_prediction(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    merge(lab.by.annika)
    withdraw_correction(lab.by.annika, lab.name, "Add1.nrrd")
    assert lab.patch().stale
    assert merge(lab.by.annika) == ()
    (named,) = merge(lab.by.annika, [lab.name])
    assert named.outcome == "skipped"
    (stated,) = merge(lab.by.annika, [lab.name], nothing_to_change=True)
    assert stated.outcome == "done"
    assert (lab.merged() == lab.label()).all()


def test_the_preview_is_the_merge_and_writes_nothing(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    lab.save("Remove1.nrrd", REMOVE)
    collect(lab.by.annika)
    version = lab.patch().version
    preview = preview_merge(lab.workspace, lab.name)
    assert not lab.folders.merged_of(lab.name).exists()
    assert lab.patch().version == version
    (outcome,) = merge(lab.by.annika)
    assert (preview.label == lab.merged()).all()
    assert preview.counts is not None
    assert outcome.details["counts"]["removed"] == preview.counts.removed > 0
    lab.file("Ignore1.nrrd").write_bytes(b"")
    collect(lab.by.annika)
    assert (preview_merge(lab.workspace, lab.name).error or "").startswith("Ignore1.nrrd")


def test_a_dry_run_merges_in_memory_alone(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    (outcome,) = merge(lab.by.annika, dry_run=True)
    assert outcome.outcome == "done"
    assert merges(lab) == ()
    assert list(lab.folders.merged.iterdir()) == []


def test_a_label_that_was_changed_on_disk_is_refused(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    other = lab.label()
    other[80, 80, 80] ^= 1
    write_nifti(lab.folders.label_of(lab.name), other, lab.grid())
    (outcome,) = merge(lab.by.annika)
    assert "is not the label that was extracted" in (outcome.message or "")


def test_a_current_label_that_is_gone_or_changed_is_restored(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    merge(lab.by.annika)
    merged = lab.folders.merged_of(lab.name)
    before = merged.read_bytes()
    for damage in (merged.unlink, lambda: merged.write_bytes(b"nonsense")):
        damage()
        assert merge(lab.by.annika, [lab.name])[0].outcome == "kept"
        assert merged.read_bytes() == before


def test_what_stood_in_the_merged_folder_is_kept_in_the_store(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    lab.folders.merged_of(lab.name).write_bytes(b"somebody's own label")
    merge(lab.by.annika)
    stored = [path for path in lab.folders.store.rglob("*") if path.is_file()]
    assert b"somebody's own label" in [path.read_bytes() for path in stored]


def test_a_rejected_patch_is_merged_again_by_name_and_not_by_all(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    merge(lab.by.annika)
    reject(lab.by.rolf, lab.name, "the top is missing")
    assert merge(lab.by.annika) == ()
    (outcome,) = merge(lab.by.annika, [lab.name])
    assert (outcome.outcome, lab.patch().stage) == ("kept", Stage.MERGED)


def test_corrections_after_acceptance_leave_the_accepted_label(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    merge(lab.by.annika)
    accepted = accept(lab.by.rolf, lab.name).accepted_merge_id
    receive(lab.by.annika, lab.name, "Add2.nrrd", lab.bytes("Add2.nrrd", np.s_[80, 90]))
    assert lab.patch().newer_corrections_wait
    merge(lab.by.annika)
    assert lab.patch().stage is Stage.MERGED
    assert lab.patch().accepted_merge_id == accepted
    assert lab.patch().newer_corrections_wait


def test_a_viewer_does_not_merge(lab: Any) -> None:
    with pytest.raises(NotAllowedError, match="vera is a viewer"):
        merge(lab.by.vera)
