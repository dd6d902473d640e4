"""Registering again: facts stated late, new times, new predictions, changed files."""

import os
import time
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.corrections.collect import collect
from core.errors import VolumeError
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Zyx
from core.imaging.hashes import file_hash
from core.imaging.preview.store import PlaneAxis
from core.imaging.preview.view import VolumeView
from core.lab.lab import Lab
from core.labels.merge import merge
from core.patches.choose import choose
from core.patches.extract import extract
from core.patches.record import read_record
from core.tomograms.data_roots import move_root
from core.tomograms.pictures import viewed_file
from core.tomograms.register import plan_registration, read_voxel_sizes, register
from core.tomograms.source_files import file_to_hash, note_hash, open_original
from core.tomograms.voxel_size import set_voxel_size
from db.errors import StepError
from db.queries.volumes import get_tomogram, segmentation_by_id, segmentations_of
from db.vocabulary import ChosenBecause
from tests.steps.tomograms.test_rename import own as own

BOX = (slice(70, 80),) * 3


def again(lab: Any, *sources: Any, **stated: Any) -> Any:
    plan = plan_registration(lab.workspace, sources or [lab.originals], **stated)
    return register(Lab(lab.workspace, lab.cora), plan)[0]


def tomogram(lab: Any) -> Any:
    with lab.workspace.catalog.read() as session:
        return get_tomogram(session, "TS_001")


def segmentations(lab: Any) -> Any:
    with lab.workspace.catalog.read() as session:
        return segmentations_of(session, tomogram(lab).id)


def hash_all(lab: Any) -> None:
    for name in ("tomogram-1", "segmentation-1"):
        note_hash(lab.workspace, None, name, file_hash(file_to_hash(lab.workspace, name)))


def predict_again(lab: Any) -> Any:
    """Write other voxels of the same size over the segmentation, some time later."""
    path = lab.originals / "TS_001_model.ckpt_segmented.mrc"
    with mrcfile.open(path, "r+") as mrc:
        mrc.data[:] = np.roll(mrc.data, 3, axis=1)
    later = time.time_ns() + 10**9
    os.utime(path, ns=(later, later))
    return path


def edit_in_place(path: Any) -> None:
    size = path.stat().st_size
    with mrcfile.open(path, "r+") as mrc:
        mrc.data[80, 80, 80] += 1
    os.utime(path)
    assert path.stat().st_size == size


@pytest.mark.parametrize("is_hashed", [True, False])
@pytest.mark.parametrize("name", ["TS_001.mrc", "TS_001_model.ckpt_segmented.mrc"])
def test_nothing_is_cut_from_a_file_that_was_edited_in_place(
    own: Any, name: Any, is_hashed: Any
) -> None:
    if is_hashed:
        hash_all(own)
    for file in (own.folders.image_of(own.name), own.folders.label_of(own.name)):
        file.unlink()
    edit_in_place(own.originals / name)
    outcome = extract(Lab(own.workspace, own.annika), [own.name])[0]
    assert outcome.outcome == "failed"
    assert f"{name}: changed since it was registered" in (outcome.message or "")
    assert not own.folders.image_of(own.name).exists()


def test_the_same_bytes_with_a_new_time_are_the_same_file(own: Any) -> None:
    hash_all(own)
    for path in own.originals.glob("*.mrc"):
        os.utime(path)
    open_original(tomogram(own).on_disk).close()
    outcome = again(own)
    assert outcome.outcome == "done"
    assert [each.split(" has ")[-1] for each in outcome.findings] == [
        "has a new modification time, but the same bytes; the time was noted",
        "a new modification time, but the same bytes; the time was noted",
    ]
    assert tomogram(own).on_disk.mtime_ns == (own.originals / "TS_001.mrc").stat().st_mtime_ns
    assert tomogram(own).on_disk.content_hash is not None
    assert again(own).outcome == "kept"


def test_a_changed_tomogram_that_patches_were_cut_from_is_refused(own: Any) -> None:
    hash_all(own)
    edit_in_place(own.originals / "TS_001.mrc")
    outcome = again(own)
    assert outcome.outcome == "failed"
    assert "patches were chosen in the old file" in outcome.message


def test_a_segmentation_that_was_predicted_again_is_read_anew(own: Any, tmp_path: Path) -> None:
    with own.workspace.catalog.write() as session:
        from sqlalchemy import update

        from db.models.patches import Patch

        session.execute(update(Patch).values(stage="chosen", label_hash=None, image_hash=None))
    predict_again(own)
    outcome = again(own)
    assert any("was predicted again; it was read anew" in each for each in outcome.findings)
    assert [each.run for each in segmentations(own)] == [1]
    open_original(segmentations(own)[0].on_disk).close()


def test_patches_keep_the_prediction_they_were_cut_from(own: Any) -> None:
    waiting = own.names[2]
    with own.workspace.catalog.write() as session:
        from sqlalchemy import update

        from db.models.patches import Patch

        chosen = update(Patch).where(Patch.name == waiting)
        session.execute(chosen.values(stage="chosen", label_hash=None, image_hash=None))
    for file in (own.folders.image_of(waiting), own.folders.label_of(waiting)):
        file.unlink()
    path = predict_again(own)
    outcome = again(own)
    assert any("patches that were extracted keep the label" in each for each in outcome.findings)
    (now,) = segmentations(own)
    assert (now.run, now.on_disk.mtime_ns) == (2, path.stat().st_mtime_ns)
    assert [own.patch(name).segmentation_id for name in own.names] == [1, 1, now.id]
    with own.workspace.catalog.read() as session:
        assert segmentation_by_id(session, 1).on_disk.path == now.on_disk.path
    assert extract(Lab(own.workspace, own.annika), [waiting])[0].outcome == "done"
    # what was cut before is as it was
    own.save("Add1.nrrd", BOX)
    collect(own.by.annika)
    assert merge(Lab(own.workspace, own.annika), [own.name])[0].outcome == "done"
    assert again(own).outcome == "kept"


def test_a_voxel_size_that_is_stated_late_reaches_patches_and_records(own: Any) -> None:
    own.save("Add1.nrrd", BOX)
    collect(own.by.annika)
    outcome = again(own, own.originals / "TS_001.mrc", voxel_size=13.48)
    assert "3 patches have 13.48 Å now" in outcome.findings
    assert {own.patch(name).voxel_size for name in own.names} == {13.48}
    record = read_record(own.folders.record_of(own.name))
    assert (record["voxel_size"], record["grid_spacing"]) == (13.48, 10.0)
    assert record["tomogram"]["voxel_size"] == 13.48
    # corrections that were painted before still fit, also on files that are cut again
    assert merge(Lab(own.workspace, own.annika), [own.name])[0].outcome == "done"
    before = own.merged()
    own.folders.label_of(own.name).unlink()
    assert extract(Lab(own.workspace, own.annika), [own.name])[0].outcome == "done"
    with open_volume(own.folders.label_of(own.name)) as volume:
        assert volume.voxel_size == 10.0
    own.save("Add2.nrrd", (slice(90, 95),) * 3)
    collect(own.by.annika)
    assert merge(Lab(own.workspace, own.annika), [own.name])[0].outcome == "done"
    assert (own.merged() != before).sum() > 0


def test_the_voxel_size_of_a_patch_is_that_of_its_tomogram(lab: Any) -> None:
    with pytest.raises(StepError, match="has the voxel size of other/TS_001"):
        set_voxel_size(Lab(lab.workspace, lab.cora), [lab.name], 12.0)
    with pytest.raises(VolumeError, match="invalid voxel size 0 Å: must be between 0 and 1000"):
        set_voxel_size(Lab(lab.workspace, lab.cora), ["TS_001"], 0.0)
    assert set_voxel_size(Lab(lab.workspace, lab.cora), ["TS_001"], 12.0)[0].outcome == "done"
    assert set_voxel_size(Lab(lab.workspace, lab.cora), ["TS_001"], 12.0)[0].outcome == "kept"


def test_the_plan_shows_the_voxel_size_of_the_header(lab: Any) -> None:
    plan = plan_registration(lab.workspace, [lab.originals])
    assert [each.header_voxel_size for each in read_voxel_sizes(lab.workspace, plan)] == [10.0]


def test_the_membrane_label_of_classes_is_kept_with_the_segmentation(own: Any) -> None:
    outcome = again(own, membrane_label=3)
    assert outcome.outcome == "done"
    assert [each.membrane_label for each in segmentations(own)] == [3]
    plan = plan_registration(own.workspace, [own.originals], membrane_label=0)
    assert "invalid membrane label 0" in (plan[0].error or "")


def test_only_the_label_that_is_membrane_is_cut(lab: Any, tmp_path: Path) -> None:
    classes = tmp_path / "TS_001_classes_segmented.mrc"
    with mrcfile.open(lab.originals / "TS_001_model.ckpt_segmented.mrc") as mrc:
        voxels = np.where(mrc.data == 0, 2, 3).astype(np.int8)
    with mrcfile.new(classes) as mrc:
        mrc.set_data(voxels)
    path = lab.originals / "TS_001.mrc"
    plan = plan_registration(lab.workspace, [path], segmentation=classes, membrane_label=3)
    assert register(Lab(lab.workspace, lab.admin), plan, add_roots=True)[0].outcome == "done"
    center = Zyx(86, 101, 111)
    made = choose(Lab(lab.workspace, lab.cora), "TS_001", [center], reason=ChosenBecause.OTHER)[0]
    assert extract(Lab(lab.workspace, lab.cora), [made.name])[0].outcome == "done"
    box = tuple(slice(c - 64, c + 64) for c in center)
    inner = (slice(16, -16),) * 3
    assert (lab.label(made.name)[inner] == (voxels[box] == 3)).all()


def test_a_file_that_is_gone_says_what_to_do(own: Any) -> None:
    record = tomogram(own)
    record.on_disk.file.rename(own.originals.parent / "away.mrc")
    for step in (
        lambda: open_original(record.on_disk),
        lambda: viewed_file(own.workspace, "tomogram-1"),
    ):
        with pytest.raises(VolumeError, match=r"is gone.*tomocurate roots move .* NEW_FOLDER"):
            step()


def test_a_root_that_moved_without_times_is_taken_and_cut_from(own: Any) -> None:
    moved = own.originals.parent / "archive"
    moved.mkdir()
    for path in own.originals.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert move_root(Lab(own.workspace, own.admin), own.originals, moved) == 2
    open_original(tomogram(own).on_disk).close()


def test_the_view_of_classes_shows_membrane_alone(lab: Any, tmp_path: Path) -> None:
    classes = tmp_path / "TS_001_classes_segmented.mrc"
    voxels = np.full((170, 200, 220), 2, np.int8)
    voxels[:, :100] = 3
    with mrcfile.new(classes) as mrc:
        mrc.set_data(voxels)
    path = lab.originals / "TS_001.mrc"
    plan = plan_registration(lab.workspace, [path], segmentation=classes, membrane_label=3)
    register(Lab(lab.workspace, lab.admin), plan, add_roots=True)
    with VolumeView(viewed_file(lab.workspace, "segmentation-2")) as view:
        plane = np.unpackbits(view.plane(PlaneAxis.Z, 80), axis=1)[:, :220]
    assert plane[:100].all()
    assert not plane[100:].any()
