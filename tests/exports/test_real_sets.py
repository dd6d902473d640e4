"""Sets as labs have them: names alike, several voxel sizes, folders in use, facts stated late."""

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from core.errors import ExportError, OutputError
from core.exports.patch import Imported
from core.exports.plan import SetOptions, plan_training_set
from core.exports.split import SplitRule
from core.exports.targets.target import convert, targets
from core.exports.write import write_training_set
from core.imaging.labels import count_values
from db.vocabulary import Licence


def export(patches: Any, out: Any, **options: Any) -> Any:
    return write_training_set(plan_training_set(patches, SetOptions(**options)), out)


def voxels(path: Any) -> Any:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def cases_of(patches: Any) -> Any:
    plan = plan_training_set(patches)
    plan.check()
    return {case.patch.name: case.case for case in plan.cases}


@pytest.mark.parametrize("other", ["ts1", "TS-1", "T_S1"])
def test_tomograms_that_would_be_called_alike_get_names_of_their_own(lab: Any, other: Any) -> None:
    two = [lab.patch("TS_1"), lab.patch(other)]
    named = cases_of([*two, lab.patch("B")])
    assert len({case.casefold() for case in named.values()}) == 3
    assert named["demo_B_patch0"] == "demo_B_patch0"
    later = cases_of([*two, lab.patch("TS_1", 1), lab.patch("B")])
    assert {name: later[name] for name in named} == named


def test_a_long_name_that_is_taken_is_cut_before_its_mark(lab: Any) -> None:
    long = "T" * 64
    named = cases_of([lab.patch(long), lab.patch(long + "_"), lab.patch("B")])
    assert len(set(named.values())) == 3


def imported(lab: Any, **changes: Any) -> Any:
    came = Imported("b-1", "demo_TS1_patch0", "TS1", Licence.CC0, "Doe")
    image = np.random.default_rng(7).normal(size=(64,) * 3).astype("f4")
    return lab.patch("theirs", image=image, imported=came, normalised=True, **changes)


def test_another_labs_patch_of_the_same_name_is_marked_and_ours_keeps_its_own(lab: Any) -> None:
    theirs = imported(lab)
    named = cases_of([lab.patch("TS_1"), theirs, lab.patch("B")])
    assert named["demo_TS_1_patch0"] == "demo_TS1_patch0"
    assert re.fullmatch(r"demo_TS1x[0-9a-f]{8}_patch0", named[theirs.name])


def test_another_labs_patch_keeps_its_name_where_nobody_else_has_it(lab: Any) -> None:
    theirs = imported(lab)
    assert cases_of([*lab.patches(), theirs])[theirs.name] == "demo_TS1_patch0"


def test_several_voxel_sizes_go_into_one_set_by_wish_and_each_case_keeps_its_own(
    lab: Any, tmp_path: Path
) -> None:
    patches = [*lab.patches(), lab.patch("X", voxel_size=13.48)]
    written = export(patches, tmp_path / "out", mixed_voxel_sizes=True)
    assert written.plan.voxel_size is None
    assert "several voxel sizes (10 Å" in written.notes[0]
    for case in written.cases:
        image = sitk.ReadImage(str(written.folder / case.planned.image))
        size = case.planned.patch.voxel_size
        assert image.GetSpacing() == pytest.approx((size,) * 3, rel=1e-6)


def test_mixed_voxel_sizes_are_refused_with_the_two_ways_out(lab: Any) -> None:
    plan = plan_training_set([*lab.patches(), lab.patch("X", voxel_size=13.48)])
    with pytest.raises(ExportError, match=r"13\.48 Å.*--voxel-size, or.*--mixed-voxel-sizes"):
        plan.check()


def test_patches_of_one_voxel_size_are_chosen_and_an_unknown_one_is_taken_to_be_it(
    lab: Any, tmp_path: Path
) -> None:
    patches = [*lab.patches(), lab.patch("X", voxel_size=13.48), lab.patch("Y", voxel_size=None)]
    written = export(patches, tmp_path / "out", voxel_size=10.0)
    names = {case.planned.patch.name for case in written.cases}
    assert "demo_X_patch0" not in names
    assert "demo_Y_patch0" in names
    assert written.plan.recorded_notes == (
        "demo_Y_patch0: its voxel size was unknown and taken to be 10 Å",
        "1 of 8 patches left out: not of 10 Å",
    )


def test_checkpoints_and_notes_in_a_set_outlive_its_replacement(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches()
    out = export(patches, tmp_path / "set").folder
    (out / "checkpoints").mkdir()
    (out / "checkpoints" / "last.ckpt").write_text("weights")
    (out / "NOTES.md").write_text("lr 1e-4")
    (out / "latest").symlink_to("checkpoints/last.ckpt")
    assert export(patches, out).unchanged
    again = write_training_set(plan_training_set(patches[:4]), out, overwrite=True)
    assert again.kept == ("NOTES.md", "checkpoints/last.ckpt", "latest")
    assert (out / "latest").read_text() == "weights"
    assert len(list(out.glob("labels*/*"))) == 4
    assert export(patches[:4], out).unchanged


def test_a_file_of_somebody_among_the_labels_is_named_and_nothing_is_replaced(
    lab: Any, tmp_path: Path, tree: Any
) -> None:
    out = export(lab.patches(), tmp_path / "set").folder
    (out / "labelsTr" / "mine.nii.gz").write_bytes(b"mine")
    before = tree(out)
    plan = plan_training_set(lab.patches(2))
    with pytest.raises(OutputError, match=r"mine\.nii\.gz: was not written by an export"):
        write_training_set(plan, out, overwrite=True)
    assert tree(out) == before


@pytest.mark.parametrize("form", ["ome-zarr", "niftifolder"])
def test_notes_in_another_form_of_a_set_outlive_its_replacement(
    lab: Any, tmp_path: Path, form: Any
) -> None:
    patches = lab.patches()
    made = export(patches, tmp_path / "set").folder
    convert(made, tmp_path / "out", targets()[form])
    (tmp_path / "out" / "NOTES.md").write_text("mine")
    assert convert(made, tmp_path / "out", targets()[form])
    less = export(patches[:4], tmp_path / "less").folder
    assert not convert(less, tmp_path / "out", targets()[form], overwrite=True)
    assert (tmp_path / "out" / "NOTES.md").read_text() == "mine"
    assert list((tmp_path / "out").rglob("*TS003*")) == []


def test_a_set_that_grew_says_what_nnunet_must_forget(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches()
    first = export(patches, tmp_path / "Dataset501_Demo")
    assert "splits_final" not in " ".join([*first.commands, *first.notes])
    plan = plan_training_set([*patches, lab.patch("X")])
    grown = write_training_set(plan, first.folder, overwrite=True)
    assert grown.commands[2].startswith(
        "rm -f $nnUNet_preprocessed/Dataset501_Demo/splits_final.json"
    )
    assert "splits_final.json" in grown.notes[-1]


def test_a_second_export_is_the_same_bytes_though_its_split_is_recorded_now(
    lab: Any, tmp_path: Path, tree: Any
) -> None:
    patches = [lab.patch(f"T{number}") for number in range(2)]
    rule = SplitRule(val_fraction=0.001)
    first = export(patches, tmp_path / "set", rule=rule)
    assert "the hash alone left validation empty" in first.notes[0]
    split = {case.patch.name: case.split for case in first.plan.cases}
    again = [replace(patch, recorded=split[patch.name]) for patch in patches]
    before = tree(first.folder)
    assert export(again, tmp_path / "set", rule=rule).unchanged
    assert tree(first.folder) == before


def test_an_embargo_and_corrections_that_wait_are_named(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches()
    until = date.today() + timedelta(days=30)
    given = replace(patches[0].permission, embargo_until=until)
    patches[:2] = [replace(patch, permission=given) for patch in patches[:2]]
    patches[0] = replace(patches[0], newer_corrections=True)
    written = export(patches, tmp_path / "out")
    said = " ".join(written.notes)
    assert f"demo/TS_001: under embargo until {until}" in said
    assert f"{patches[0].name}: has corrections that its accepted label does not hold" in said
    facts = json.loads((written.folder / "manifest.json").read_text())["permissions"]
    assert facts["demo/TS_001"]["embargo_until"] == until.isoformat()


def test_labels_whose_counts_are_recorded_are_not_read_to_plan(lab: Any) -> None:
    patches = lab.patches()
    counts = [count_values(voxels(patch.label_path)) for patch in patches]
    for patch in patches:
        patch.label_path.write_bytes(b"not read")
    known = [replace(p, counts=count) for p, count in zip(patches, counts, strict=True)]
    plan_training_set(known).check()
    patches[0].image_path.unlink()
    with pytest.raises(ExportError, match="is missing"):
        plan_training_set(known).check()
