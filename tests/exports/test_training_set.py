"""An export loads where it should, is the same bytes twice, and refuses what would go wrong."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from core.errors import ExportError, OutputError
from core.exports.case import Recipe
from core.exports.plan import SetOptions, plan_training_set
from core.exports.split import SplitRule
from core.exports.write import write_training_set
from core.imaging.geometry import Box, Zyx
from core.imaging.labels import count_values
from db.vocabulary import Split
from tests.exports.layout import check_layout


def export(patches: Any, out: Any, **options: Any) -> Any:
    return write_training_set(plan_training_set(patches, SetOptions(**options)), out)


def voxels(path: Any) -> Any:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def refused(patches: Any, **options: Any) -> Any:
    plan = plan_training_set(patches, SetOptions(**options))
    with pytest.raises(ExportError) as error:
        plan.check()
    return " ".join(error.value.faults)


def test_an_export_has_nothing_that_a_consumer_chokes_on(lab: Any, tmp_path: Path) -> None:
    out = export(lab.patches(), tmp_path / "Dataset501_Demo").folder
    assert check_layout(out) == []
    images = sorted((out / "imagesTr").iterdir()) + sorted((out / "imagesVal").iterdir())
    assert [p.name for p in images if not p.name.endswith("_0000.nii.gz")] == []
    assert len(images) == 6


def test_images_are_normalised_and_labels_are_the_merged_ones(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches()
    written = export(patches, tmp_path / "out")
    for case in written.cases:
        image = voxels(written.folder / case.planned.image)
        assert image.dtype == np.float32
        assert abs(image.mean()) < 1e-5
        assert image.std() == pytest.approx(1, abs=1e-5)
        original = voxels(case.planned.patch.image_path)
        np.testing.assert_allclose(image * case.std + case.mean, original, rtol=1e-5, atol=1e-4)
        label = voxels(written.folder / case.planned.label)
        assert label.dtype == np.uint8
        np.testing.assert_array_equal(label, voxels(case.planned.patch.label_path))


def test_padding_becomes_zero_and_stays_out_of_the_mean(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches()
    box = Box(Zyx(-20, 50, 100), Zyx(44, 114, 164))
    patches[0] = replace(patches[0], box=box, padded=True)
    written = export(patches, tmp_path / "out")
    case = next(c for c in written.cases if c.planned.patch.name == patches[0].name)
    image = voxels(written.folder / case.planned.image)
    assert (image[:20] == 0).all()
    assert abs(image[20:].mean()) < 1e-5
    assert (voxels(written.folder / case.planned.label)[:20] == 2).all()


def test_image_and_label_share_spacing_in_angstrom_and_the_place_in_the_tomogram(
    lab: Any, tmp_path: Path
) -> None:
    written = export(lab.patches(), tmp_path / "out")
    for case in written.cases:
        image, label = (
            sitk.ReadImage(str(written.folder / p))
            for p in (case.planned.image, case.planned.label)
        )
        assert image.GetSpacing() == label.GetSpacing() == (10.0, 10.0, 10.0)
        x, y, z = case.planned.patch.box.start.to_xyz()
        assert image.GetOrigin() == pytest.approx((x * 10, y * 10, z * 10))


def test_the_same_export_twice_is_the_same_bytes(lab: Any, tmp_path: Path, tree: Any) -> None:
    patches = lab.patches()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = export(patches, tmp_path / "a" / "set")
    second = export(list(reversed(patches)), tmp_path / "b" / "set")
    assert tree(first.folder) == tree(second.folder)


def test_an_equal_export_is_left_alone_and_another_is_not_overwritten(
    lab: Any, tmp_path: Path
) -> None:
    patches = lab.patches()
    first = export(patches, tmp_path / "out")
    assert not first.unchanged
    assert export(patches, tmp_path / "out").unchanged
    with pytest.raises(OutputError, match="--overwrite"):
        export(patches[:4], tmp_path / "out")
    plan = plan_training_set(patches[:4])
    write_training_set(plan, tmp_path / "out", overwrite=True)
    assert len(list((tmp_path / "out").glob("images*/*"))) == 4
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_folder_with_other_files_is_never_replaced(lab: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years")
    with pytest.raises(OutputError, match="other files"):
        write_training_set(plan_training_set(lab.patches()), tmp_path / "out", overwrite=True)


def test_dataset_json_serves_nnunet_and_monai(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches(4)
    patches[0] = replace(patches[0], pinned=Split.TEST)
    patches[1] = replace(patches[1], pinned=Split.TEST)
    out = export(patches, tmp_path / "out").folder
    facts = json.loads((out / "dataset.json").read_text())
    assert facts["labels"] == {"background": 0, "membrane": 1, "ignore": 2}
    assert facts["numTraining"] == len(facts["dataset"]) == 6
    assert len(facts["test"]) == 2
    assert len(facts["training"]) + len(facts["validation"]) == 6
    paths = [e[k] for w in ("training", "validation", "test") for e in facts[w] for k in e]
    assert all((out / path).is_file() for path in paths)
    assert "TS001" not in json.dumps(facts["dataset"])


def test_a_plan_shows_counts_balance_split_and_size(lab: Any) -> None:
    plan = plan_training_set(lab.patches())
    assert sum(plan.patches_by_split.values()) == 6
    labels = [nibabel.load(c.patch.label_path).get_fdata() for c in plan.cases if c.split == "val"]
    wanted = count_values(np.stack(labels).astype(np.uint8))
    assert plan.balance(Split.VAL) == wanted
    assert 3 * 64**3 * 6 < plan.bytes_estimate < 4.5 * 64**3 * 6


def test_rounded_images_are_multiples_of_a_256th(lab: Any, tmp_path: Path) -> None:
    written = export(lab.patches(), tmp_path / "out", recipe=Recipe(quantise=True))
    image = voxels(written.folder / written.cases[0].planned.image)
    assert (image * 256 == np.rint(image * 256)).all()


def test_no_gzip_header_holds_a_name_or_a_time(lab: Any, tmp_path: Path) -> None:
    written = export(lab.patches(), tmp_path / "out")
    head = (written.folder / written.cases[0].planned.image).read_bytes()[:10]
    assert head[:4] == b"\x1f\x8b\x08\x00"
    assert head[4:8] == bytes(4)


def test_validation_patches_of_another_set_are_taken_over_bit_for_bit(
    lab: Any, tmp_path: Path
) -> None:
    old = export(lab.patches(), tmp_path / "old")
    new = [lab.patch("TS_900", n) for n in range(2)]
    out = export(
        new, tmp_path / "new", val_from=old.folder, rule=SplitRule(val_from_elsewhere=True)
    ).folder
    assert check_layout(out) == []
    assert len(list((out / "labelsTr").iterdir())) == 2
    for path in (old.folder / "imagesVal").iterdir():
        assert (out / "imagesVal" / path.name).read_bytes() == path.read_bytes()


def test_a_tomogram_that_validates_elsewhere_may_not_train_here(lab: Any, tmp_path: Path) -> None:
    old = export(lab.patches(), tmp_path / "old")
    validating = next(c for c in old.cases if c.planned.split is Split.VAL).planned.patch
    new = [lab.patch(validating.tomogram, 7)]
    rule = SplitRule(val_from_elsewhere=True)
    assert "may not train" in refused(new, val_from=old.folder, rule=rule)


def test_the_same_image_under_another_name_may_not_train_and_validate(
    lab: Any, tmp_path: Path
) -> None:
    old = export(lab.patches(), tmp_path / "old")
    validating = next(c for c in old.cases if c.planned.split is Split.VAL).planned.patch
    copy = replace(
        validating, name="demo_other_patch0", tomogram="other", source_group="demo/other"
    )
    rule = SplitRule(val_from_elsewhere=True)
    with pytest.raises(ExportError, match="same image"):
        export([copy], tmp_path / "new", val_from=old.folder, rule=rule)
    assert not (tmp_path / "new").exists()


def test_a_patch_that_nobody_accepted_is_refused_unless_forced(lab: Any) -> None:
    patches = lab.patches()
    patches[2] = replace(patches[2], status="merged")
    assert "is merged, not accepted" in refused(patches)
    plan_training_set(patches, SetOptions(accepted_only=False)).check()


def all_ignore(lab: Any) -> Any:
    return [*lab.patches(), lab.patch("X", label=np.full((64,) * 3, 2, np.uint8))]


def outside_label(lab: Any, value: Any) -> Any:
    label = np.zeros((64,) * 3, np.uint8)
    label[30] = value
    return [*lab.patches(), lab.patch("X", label=label)]


def odd_image(lab: Any, change: Any) -> Any:
    image = np.random.default_rng(3).normal(0, 1, (64,) * 3).astype(np.float32)
    change(image)
    return [*lab.patches(), lab.patch("X", image=image)]


def test_a_label_that_is_all_ignore_is_refused(lab: Any) -> None:
    assert "loss becomes NaN" in refused(all_ignore(lab))


@pytest.mark.parametrize("value", [3, 255])
def test_a_label_outside_the_three_values_is_refused(lab: Any, value: Any) -> None:
    assert f"holds the values {value}" in refused(outside_label(lab, value))


def test_an_image_and_a_label_of_other_shapes_are_refused(lab: Any) -> None:
    label = np.zeros((64, 64, 60), np.uint8)
    assert "of one shape" in refused([*lab.patches(), lab.patch("X", label=label)])


def test_a_patch_that_is_no_cube_is_refused(lab: Any) -> None:
    image, label = np.random.rand(64, 64, 80).astype("f4"), np.zeros((64, 64, 80), np.uint8)
    assert "cubes alone" in refused([*lab.patches(), lab.patch("X", image=image, label=label)])


def test_mixed_voxel_sizes_are_refused_and_listed(lab: Any) -> None:
    patches = [*lab.patches(), lab.patch("X", voxel_size=13.48)]
    said = refused(patches)
    assert "10 Å" in said
    assert "13.48 Å" in said


def test_voxel_sizes_within_one_percent_are_one(lab: Any) -> None:
    patches = lab.patches()
    patches[0] = replace(patches[0], voxel_size=10.05)
    assert plan_training_set(patches).voxel_size == 10.0


def test_an_unknown_voxel_size_is_refused(lab: Any) -> None:
    assert "voxel size is unknown" in refused([*lab.patches(), lab.patch("X", voxel_size=None)])


def test_a_token_with_an_underscore_is_refused(lab: Any) -> None:
    assert "no underscore" in refused([*lab.patches(), lab.patch("X", dataset="my_data")])


def test_one_tomogram_alone_is_refused(lab: Any) -> None:
    assert "--val-from" in refused(lab.patches(1))


def test_a_split_without_membrane_is_refused(lab: Any) -> None:
    empty = np.zeros((64,) * 3, np.uint8)
    patches = [*lab.patches(), lab.patch("X", label=empty, pinned=Split.TEST)]
    assert "no voxel of membrane" in refused(patches)


def test_tomograms_of_one_session_pinned_apart_are_refused(lab: Any) -> None:
    patches = [
        lab.patch("A", source_group="s", pinned=Split.TRAIN),
        lab.patch("B", source_group="s", pinned=Split.VAL),
        lab.patch("C"),
    ]
    assert "belong together" in refused(patches)


def test_an_empty_choice_is_refused(lab: Any) -> None:
    assert "no patch matches" in refused([])


def test_a_file_that_is_gone_is_named(lab: Any) -> None:
    patches = lab.patches()
    patches[1].label_path.unlink()
    assert patches[1].name in refused(patches)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda image: image.__setitem__((5, 5, 5), np.nan), "NaN or infinite"),
        (lambda image: image.__setitem__((5, 5, 5), np.inf), "NaN or infinite"),
        (lambda image: image.fill(7), "same value in every voxel"),
    ],
)
def test_an_image_that_teaches_nothing_is_refused_and_nothing_is_left(
    lab: Any, tmp_path: Path, change: Any, said: Any
) -> None:
    plan = plan_training_set(odd_image(lab, change))
    with pytest.raises(ExportError, match=said):
        write_training_set(plan, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


def no_val_folder(folder: Any, image: Any, label: Any) -> None:
    (folder / "imagesVal").rename(folder / "old")


def empty_val(folder: Any, image: Any, label: Any) -> None:
    for path in [*(folder / "imagesVal").iterdir(), *(folder / "labelsVal").iterdir()]:
        path.unlink()


def stray_file(folder: Any, image: Any, label: Any) -> None:
    (folder / "labelsTr" / ".DS_Store").write_bytes(b"x")


def no_0000(folder: Any, image: Any, label: Any) -> None:
    image.rename(folder / "imagesTr" / label.name)


def other_spacing(folder: Any, image: Any, label: Any) -> None:
    read = sitk.ReadImage(str(label))
    read.SetSpacing((1, 1, 1))
    sitk.WriteImage(read, str(label))


def raw_intensities(folder: Any, image: Any, label: Any) -> None:
    read = sitk.ReadImage(str(image))
    out = sitk.GetImageFromArray(sitk.GetArrayFromImage(read) * 4e-5 + 1e-3)
    out.CopyInformation(read)
    sitk.WriteImage(out, str(image))


def cut_short(folder: Any, image: Any, label: Any) -> None:
    label.write_bytes(label.read_bytes()[:-20])


def wrong_count(folder: Any, image: Any, label: Any) -> None:
    facts = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(facts | {"numTraining": 99}))


def ignore_not_last(folder: Any, image: Any, label: Any) -> None:
    facts = json.loads((folder / "dataset.json").read_text())
    facts["labels"] = {"background": 0, "ignore": 1, "membrane": 2}
    (folder / "dataset.json").write_text(json.dumps(facts))


def leaky_fold(folder: Any, image: Any, label: Any) -> None:
    dealt = json.loads((folder / "splits_final.json").read_text())
    dealt[0]["train"].append(dealt[0]["val"][0])
    (folder / "splits_final.json").write_text(json.dumps(dealt))


def nan_voxel(folder: Any, image: Any, label: Any) -> None:
    raw = bytearray(gzip.decompress(image.read_bytes()))
    raw[352:356] = np.float32(np.nan).tobytes()
    image.write_bytes(gzip.compress(bytes(raw)))


def in_both(folder: Any, image: Any, label: Any) -> None:
    for path in (image, label):
        val = folder / path.parent.name.replace("Tr", "Val") / path.name
        val.write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_val_folder, "needs all of imagesTr"),
        (empty_val, "no useful checkpoint"),
        (stray_file, "crashes on anything but"),
        (no_0000, "there is one without _0000"),
        (other_spacing, "nnU-Net refuses it"),
        (raw_intensities, "normalised to 0 and 1"),
        (cut_short, "gzip data"),
        (wrong_count, "counts 99 cases"),
        (ignore_not_last, "nnU-Net needs"),
        (leaky_fold, "trains and validates on"),
        (nan_voxel, "SimpleITK reads as 0"),
        (in_both, "one name and one place"),
    ],
)
def test_a_folder_that_a_consumer_would_choke_on_is_found(
    lab: Any, tmp_path: Path, damage: Any, said: Any
) -> None:
    folder = export(lab.patches(), tmp_path / "set").folder
    label = next((folder / "labelsTr").iterdir())
    damage(folder, folder / "imagesTr" / label.name.replace(".nii.gz", "_0000.nii.gz"), label)
    assert any(said in fault.message for fault in check_layout(folder)), check_layout(folder)
