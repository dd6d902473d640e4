"""A tomogram is renamed, relocated or unregistered; its patches and their files follow."""

import os
import shutil
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.access.os_user import acting_person
from core.corrections.collect import collect
from core.corrections.withdraw import withdraw_correction
from core.errors import OutputError, VolumeError
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.labels.merge import merge
from core.patches.choose import choose
from core.patches.extract import extract
from core.patches.record import read_record, record_states
from core.tomograms.data_permissions import group, pin
from core.tomograms.data_roots import add_root
from core.tomograms.register import plan_registration, register
from core.tomograms.relocate import relocate, unregister, unregister_segmentation
from core.tomograms.rename import rename
from core.tomograms.voxel_size import set_voxel_size
from db.errors import NotAllowedError, StepError, TakenNameError, UnknownNameError
from db.queries.patches import get_patch
from db.queries.volumes import get_tomogram, list_datasets, list_tomograms, segmentations_of
from db.vocabulary import ChosenBecause, Split

BOX = (slice(70, 80),) * 3


@pytest.fixture
def own(lab: Any, tmp_path: Path) -> Any:
    """The lab, whose tomogram is its own copy (with the times of the original)."""
    folder = tmp_path / "own"
    shutil.copytree(lab.originals, folder)
    folder = add_root(Lab(lab.workspace, lab.admin), folder)
    relocate(Lab(lab.workspace, lab.admin), "TS_001", folder / "TS_001.mrc")
    segmentation = folder / "TS_001_model.ckpt_segmented.mrc"
    relocate(Lab(lab.workspace, lab.admin), "TS_001", segmentation, segmentation_id=1)
    lab.originals = folder
    return lab


def tomogram(lab: Any, name: Any = "TS_001") -> Any:
    with lab.workspace.catalog.read() as session:
        return get_tomogram(session, name)


def test_patches_files_corrections_and_records_follow_a_renamed_tomogram(lab: Any) -> None:
    lab.save("Add1.nrrd", BOX)
    lab.save("Remove1.nrrd", BOX)
    collect(lab.by.annika)
    withdraw_correction(lab.by.annika, lab.name, "Remove1.nrrd")
    assert merge(Lab(lab.workspace, lab.annika), [lab.name])[0].outcome == "done"
    label = lab.merged()
    outcome = rename(Lab(lab.workspace, lab.cora), "TS_001", "yeast", "L1T1")
    assert (outcome.name, outcome.findings) == ("yeast/L1T1", ("3 patches were renamed with it",))
    new = "yeast_L1T1_patch0"
    for place in (lab.folders.image_of, lab.folders.label_of, lab.folders.record_of):
        assert place(new).is_file()
        assert not place(lab.name).exists()
    assert (lab.merged(new) == label).all()
    assert sorted(lab.slots(new)) == ["Add1.nrrd", "Remove1.nrrd"]
    assert lab.file("Add1.nrrd", new).is_file()
    assert (lab.folders.withdrawn_of(new) / "Remove1.nrrd").is_file()
    assert not lab.folders.corrections_of(lab.name).exists()
    record = read_record(lab.folders.record_of(new))
    assert (record["name"], record["dataset"], record["token"]) == (new, "yeast", "L1T1")
    assert list(record_states(lab.workspace)) == []
    with lab.workspace.catalog.read() as session:
        assert list_datasets(session) == ("yeast",)
    # the work goes on under the new name
    lab.save("Add2.nrrd", BOX, name=new)
    assert collect(lab.by.annika, [new])[0].outcome == "done"
    assert merge(Lab(lab.workspace, lab.annika), [new])[0].outcome == "done"
    assert [each.outcome for each in extract(Lab(lab.workspace, lab.annika))] == []


def test_the_old_name_of_a_patch_says_the_new_one(lab: Any) -> None:
    rename(Lab(lab.workspace, lab.cora), "TS_001", "other", "L1T1")
    with (
        lab.workspace.catalog.read() as session,
        pytest.raises(UnknownNameError, match="it is other_L1T1_patch0 now"),
    ):
        get_patch(session, lab.name)


def test_a_name_that_is_taken_changes_nothing(lab: Any, tmp_path: Path) -> None:
    before = sorted(lab.folders.root.rglob("*"))
    stray = lab.folders.image_of("other_L1T1_patch2")
    stray.write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="exists already; move it away"):
        rename(Lab(lab.workspace, lab.cora), "TS_001", "other", "L1T1")
    stray.unlink()
    copy = tmp_path / "elsewhere.mrc"
    shutil.copy(lab.originals / "TS_001.mrc", copy)
    plan = plan_registration(lab.workspace, [copy], token="L1T1")
    assert register(Lab(lab.workspace, lab.admin), plan, add_roots=True)[0].outcome == "done"
    with pytest.raises(TakenNameError, match="other/L1T1"):
        rename(Lab(lab.workspace, lab.cora), "TS_001", "other", "L1T1")
    files = [p for p in sorted(lab.folders.root.rglob("*")) if "locks" not in p.parts]
    assert files == [p for p in before if "locks" not in p.parts]
    assert tomogram(lab).name == "other/TS_001"


def test_a_file_that_came_in_under_the_old_name_is_kept_and_told(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.tomograms import rename as step

    finish = step._remove_old
    late = lab.file("Add9.nrrd")

    def arrives_late(workspace: Any, old: Any, new: Any) -> Any:
        if old == lab.name:
            late.write_bytes(b"saved by MITK just now")
        return finish(workspace, old, new)

    monkeypatch.setattr(step, "_remove_old", arrives_late)
    outcome = rename(Lab(lab.workspace, lab.cora), "TS_001", "other", "L1T1")
    assert late.read_bytes() == b"saved by MITK just now"
    assert any("Add9.nrrd: came in under the old name" in each for each in outcome.findings)


def test_a_rename_that_was_killed_is_finished_by_renaming_again(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.tomograms import rename as step

    class Killed(BaseException):
        pass

    def dies(*_: Any) -> None:
        raise Killed

    lab.save("Add1.nrrd", BOX)
    finish = step._remove_old
    monkeypatch.setattr(step, "_remove_old", dies)
    with pytest.raises(Killed):
        rename(Lab(lab.workspace, lab.cora), "TS_001", "other", "L1T1")
    monkeypatch.setattr(step, "_remove_old", finish)
    assert lab.folders.image_of(lab.name).exists()
    changed = lab.file("Add1.nrrd")
    changed.unlink()
    changed.write_bytes(b"saved under the old name since")
    outcome = rename(Lab(lab.workspace, lab.cora), "L1T1", "other", "L1T1")
    assert not lab.folders.image_of(lab.name).exists()
    assert lab.folders.image_of("other_L1T1_patch0").exists()
    assert changed.read_bytes() == b"saved under the old name since"
    assert outcome.findings == (f"{changed}: has an old name; move it",)


def test_only_curators_rename_relocate_and_unregister(lab: Any) -> None:
    with pytest.raises(NotAllowedError):
        rename(Lab(lab.workspace, lab.annika), "TS_001", "other", "T")
    with pytest.raises(NotAllowedError):
        unregister(Lab(lab.workspace, lab.annika), ["TS_001"])


def test_a_renamed_file_is_taken_by_registering_it_under_the_same_name(own: Any) -> None:
    moved = own.originals / "TS_001_rec.mrc"
    (own.originals / "TS_001.mrc").rename(moved)
    plan = plan_registration(own.workspace, [moved], token="TS_001")
    outcome = register(Lab(own.workspace, own.cora), plan)[0]
    assert (outcome.outcome, tomogram(own).on_disk.file) == ("done", moved)
    assert any("its file was" in each for each in outcome.findings)


def test_a_moved_file_is_recognised_by_the_voxels_of_its_patches(own: Any) -> None:
    old = own.originals / "TS_001.mrc"
    moved = own.originals / "again.mrc"
    shutil.copyfile(old, moved)  # without its time, and nobody has hashed it
    old.unlink()
    outcome = relocate(Lab(own.workspace, own.cora), "TS_001", moved)
    assert outcome.findings == ("it has the voxels of 3 extracted patches",)
    own.folders.image_of(own.name).unlink()
    assert extract(Lab(own.workspace, own.annika), [own.name])[0].outcome == "done"


def test_another_file_is_not_taken_for_the_tomogram(own: Any) -> None:
    other = own.originals / "other.mrc"
    with mrcfile.open(own.originals / "TS_001.mrc") as mrc, mrcfile.new(other) as new:
        new.set_data(np.roll(mrc.data, 1, axis=0))
    with pytest.raises(VolumeError, match="is not the registered"):
        relocate(Lab(own.workspace, own.cora), "TS_001", other)


def test_registered_files_that_are_named_otherwise_say_how_to_rename(lab: Any) -> None:
    path = lab.originals / "TS_001.mrc"
    plan = plan_registration(lab.workspace, [path], dataset="yeast", token="L1T1")
    outcome = register(Lab(lab.workspace, lab.cora), plan)[0]
    assert outcome.outcome == "failed"
    assert "tomocurate rename other/TS_001 yeast/L1T1" in (outcome.message or "")
    same = plan_registration(lab.workspace, [path])
    assert register(Lab(lab.workspace, lab.cora), same)[0].outcome == "kept"


def test_a_wrong_registration_is_taken_out_and_can_be_made_again(lab: Any, tmp_path: Path) -> None:
    shutil.copy(lab.originals / "TS_001.mrc", tmp_path / "wrong.mrc")
    plan = plan_registration(lab.workspace, [tmp_path / "wrong.mrc"], dataset="typo")
    assert register(Lab(lab.workspace, lab.admin), plan, add_roots=True)[0].outcome == "done"
    assert unregister(Lab(lab.workspace, lab.cora), ["typo/wrong"])[0].outcome == "done"
    with lab.workspace.catalog.read() as session:
        assert list_tomograms(session).total == 1
        assert list_datasets(session) == ("other",)
    assert (tmp_path / "wrong.mrc").is_file()
    again = plan_registration(lab.workspace, [tmp_path / "wrong.mrc"])
    assert register(Lab(lab.workspace, lab.cora), again)[0].outcome == "done"


def test_a_tomogram_with_patches_says_what_holds_it(lab: Any) -> None:
    (outcome,) = unregister(Lab(lab.workspace, lab.cora), ["TS_001"])
    assert outcome.outcome == "failed"
    assert "is the source of 3 patches (other_TS_001_patch0" in (outcome.message or "")
    with pytest.raises(StepError, match="is the source of 3 patches"):
        unregister_segmentation(Lab(lab.workspace, lab.cora), "TS_001", 1)


def test_a_segmentation_that_was_paired_wrongly_is_taken_out(lab: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong_segmented.mrc"
    shutil.copy(lab.originals / "TS_001_model.ckpt_segmented.mrc", wrong)
    path = lab.originals / "TS_001.mrc"
    plan = plan_registration(lab.workspace, [path], segmentation=wrong)
    assert register(Lab(lab.workspace, lab.admin), plan, add_roots=True)[0].outcome == "done"
    unregister_segmentation(Lab(lab.workspace, lab.cora), "TS_001", 2)
    with lab.workspace.catalog.read() as session:
        assert [each.id for each in segmentations_of(session, tomogram(lab).id)] == [1]
    assert os.path.lexists(wrong)


def test_registrations_change_on_both_databases(any_workspace: Any, files: Any) -> None:
    workspace = any_workspace
    lab = Lab(workspace, acting_person(workspace))
    for token in ("TS_1", "TS_2"):
        files.tomogram(f"{token}.mrc")
        files.segmentation(f"{token}_v1.ckpt_segmented.mrc")
    plan = plan_registration(workspace, [files.folder])
    register(lab, plan, add_roots=True)
    choose(lab, "TS_1", [Zyx(88, 110, 120)], reason=ChosenBecause.OTHER)
    assert extract(lab)[0].outcome == "done"
    assert rename(lab, "TS_1", "yeast", "L1").name == "yeast/L1"
    assert set_voxel_size(lab, ["L1"], 12.0)[0].outcome == "done"
    assert group(lab, ["L1", "TS_2"], "grid")[0].outcome == "done"
    assert pin(lab, "TS_2", Split.TEST).findings == ("so are yeast/L1: one specimen",)
    files.segmentation("TS_1_v1.ckpt_segmented.mrc")
    again = register(lab, plan_registration(workspace, [files.folder]))
    assert any("was predicted again" in each for each in again[0].findings), again
    moved = files.folder / "moved.mrc"
    (files.folder / "TS_1.mrc").rename(moved)
    assert relocate(lab, "L1", moved).outcome == "done"
    assert [each.outcome for each in unregister(lab, ["L1", "TS_2"])] == [
        "failed",
        "done",
    ]
    with workspace.catalog.read() as session:
        patch = get_patch(session, "yeast_L1_patch0")
        assert (patch.voxel_size, get_tomogram(session, "L1").split_pin) == (12.0, Split.TEST)
