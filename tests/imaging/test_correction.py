"""Correction files as MITK, 3D Slicer, napari plugins and others save them."""

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from core.errors import CorrectionError, LabelNamesError, VolumeError
from core.imaging.correction import kind_of, may_be_correction, read_correction, write_correction
from core.imaging.formats.nifti import write_nifti
from core.imaging.geometry import Grid, Zyx
from db.vocabulary import CorrectionKind

ADD, REMOVE, IGNORE = CorrectionKind.ADD, CorrectionKind.REMOVE, CorrectionKind.IGNORE
SHAPE = Zyx(40, 44, 48)
GRID = Grid.aligned(10.0, (480.0, 800.0, 200.0))
LPS = {"space": "left-posterior-superior", "kinds": ["domain"] * 3}


@pytest.fixture
def label() -> np.ndarray:
    """A predicted membrane: a slanted sheet that lies otherwise in every orientation."""
    z, y, x = np.mgrid[: SHAPE.z, : SHAPE.y, : SHAPE.x]
    sheet: np.ndarray = abs(x - 10 - 0.5 * y + 0.2 * z) < 2
    return sheet.astype(np.uint8)


@pytest.fixture
def painted(label: np.ndarray) -> np.ndarray:
    mask = label.astype(bool).copy()
    mask[:, 20:] = False
    mask[:17] = mask[24:] = False
    return mask


def save_nrrd(path: Path, voxels: np.ndarray, **fields: Any) -> Path:
    nrrd.write(str(path), voxels, {**LPS, **fields}, index_order="C")
    return path


def on_grid(grid: Grid = GRID) -> dict[str, Any]:
    return {
        "space directions": np.asarray(grid.steps_xyz).T,
        "space origin": np.asarray(grid.origin_xyz),
    }


def masks_of(path: Path, label: np.ndarray, grid: Grid | None = GRID) -> Any:
    return read_correction(path, label, grid)


def test_what_we_write_is_read_back_and_lies_where_the_patch_lies(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray
) -> None:
    path = tmp_path / "Add1.nrrd"
    write_correction(path, painted, GRID, ADD)
    read = masks_of(path, label)
    np.testing.assert_array_equal(read.masks[ADD], painted)
    assert read.findings == ()
    patch = tmp_path / "patch.nii.gz"
    write_nifti(patch, label, GRID)
    ours, theirs = sitk.ReadImage(str(path)), sitk.ReadImage(str(patch))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours) > 0, painted)
    assert ours.GetOrigin() == pytest.approx(theirs.GetOrigin())
    assert ours.GetSpacing() == pytest.approx(theirs.GetSpacing())
    assert ours.GetDirection() == pytest.approx(theirs.GetDirection())


def test_the_same_mask_gives_the_same_bytes_without_a_time(
    tmp_path: Path, painted: np.ndarray
) -> None:
    for name in ("Add1.nrrd", "Add2.nrrd"):
        write_correction(tmp_path / name, painted, GRID, ADD)
    first, second = ((tmp_path / name).read_bytes() for name in ("Add1.nrrd", "Add2.nrrd"))
    assert first == second
    assert b"#" not in first.partition(b"\n\n")[0]


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".nii"])
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR", "SAL", "AIL"])
def test_a_file_turned_by_itk_comes_back_voxel_for_voxel(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray, orientation: Any, suffix: Any
) -> None:
    image = sitk.GetImageFromArray(painted.astype(np.uint16))
    image.SetSpacing((10.0,) * 3)
    image.SetOrigin(GRID.origin_xyz)
    turned = sitk.DICOMOrient(image, orientation)
    path = tmp_path / f"Remove1{suffix}"
    sitk.WriteImage(turned, str(path), useCompression=True)
    read = masks_of(path, label)
    np.testing.assert_array_equal(read.masks[REMOVE], painted)
    assert bool(read.findings) == (orientation != "LPS")


def test_a_cropped_file_is_pasted_where_its_origin_says(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray
) -> None:
    crop = painted[15:30, 0:25]
    origin = np.asarray(GRID.origin_xyz) + (0, 0, 150)
    path = save_nrrd(
        tmp_path / "Ignore1.nrrd", crop.astype(np.uint8), **on_grid() | {"space origin": origin}
    )
    read = masks_of(path, label)
    np.testing.assert_array_equal(read.masks[IGNORE], painted)
    assert "placed at 0,0,15" in read.findings[0]


def test_paint_outside_the_patch_is_refused_and_counted(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray
) -> None:
    origin = np.asarray(GRID.origin_xyz) + (0, 0, 200)
    path = save_nrrd(
        tmp_path / "Add1.nrrd", painted.astype(np.uint8), **on_grid() | {"space origin": origin}
    )
    outside = int(painted[20:].sum())
    with pytest.raises(CorrectionError, match=f"{outside} of its {painted.sum()} painted voxels"):
        masks_of(path, label)


@pytest.mark.parametrize(
    "grid",
    [
        Grid.aligned(13.0, GRID.origin_xyz),
        Grid.aligned(10.0, (485.0, 800.0, 200.0)),
        Grid(GRID.origin_xyz, ((9.9, 1.4, 0.0), (-1.4, 9.9, 0.0), (0.0, 0.0, 10.0))),
    ],
    ids=["spacing", "half a voxel", "rotation"],
)
def test_another_grid_is_refused_with_expected_and_found(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray, grid: Any
) -> None:
    path = save_nrrd(tmp_path / "Add1.nrrd", painted.astype(np.uint8), **on_grid(grid))
    with pytest.raises(CorrectionError, match=r"expected .*spacing 10,10,10.*; found"):
        masks_of(path, label)


def bare(path: Path, voxels: np.ndarray) -> Path:
    nrrd.write(str(path), voxels, {}, index_order="C")
    return path


def lps_identity(path: Path, voxels: np.ndarray) -> Path:
    return save_nrrd(path, voxels, **on_grid(Grid.aligned()))


def ras_identity(path: Path, voxels: np.ndarray) -> Path:
    path = path.with_suffix(".nii.gz")
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), path)
    return path


@pytest.mark.parametrize("save", [bare, lps_identity, ras_identity])
def test_no_geometry_at_the_patch_s_shape_is_taken_and_said(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray, save: Any
) -> None:
    path = save(tmp_path / "Add1.nrrd", painted.astype(np.uint8))
    read = masks_of(path, label)
    np.testing.assert_array_equal(read.masks[ADD], painted)
    assert "orientation not stated" in read.findings[0]


@pytest.mark.parametrize("save", [bare, lps_identity, ras_identity])
def test_no_geometry_at_another_shape_is_refused(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray, save: Any
) -> None:
    with pytest.raises(CorrectionError):
        masks_of(save(tmp_path / "Add1.nrrd", painted[:-1].astype(np.uint8)), label)


def test_a_flipped_remove_without_orientation_is_doubted_and_the_better_one_named(
    tmp_path: Path,
) -> None:
    cube = np.zeros((40, 40, 40), np.uint8)
    cube[5:10, 12:18, 20:35] = 1
    path = bare(tmp_path / "Remove1.nrrd", np.ascontiguousarray(cube[::-1, :, ::-1]))
    findings = " ".join(read_correction(path, cube, GRID).findings)
    assert "Remove touches no voxels of predicted membrane" in findings
    assert "100 %" in findings
    assert "(-z, y, -x)" in findings


def test_mitk_labels_count_by_their_names_whatever_the_file_s(
    tmp_path: Path, label: np.ndarray
) -> None:
    voxels = np.zeros(SHAPE, np.uint16)
    voxels[20, 20, 20:23] = (1, 2, 7)
    groups = (
        '[{"labels":[{"name":"Add","value":1},{"name":"remove vesicle","value":2},'
        '{"name":"Ignore","value":7}]}]'
    )
    fields = {
        "modality": "org.mitk.multilabel.segmentation",
        "org.mitk.multilabel.segmentation.version": "1",
        "org.mitk.multilabel.segmentation.labelgroups": groups,
    }
    path = save_nrrd(tmp_path / "Segmentation.nrrd", voxels, **on_grid(), **fields)
    assert may_be_correction(path)
    read = masks_of(path, label)
    for kind, x in ((ADD, 20), (REMOVE, 21), (IGNORE, 22)):
        assert np.argwhere(read.masks[kind]).tolist() == [[20, 20, x]]


def test_unnamed_labels_count_as_the_file_s_kind(tmp_path: Path, label: np.ndarray) -> None:
    voxels = np.zeros(SHAPE, np.uint16)
    voxels[20, 20, 20:23] = (1, 2, 40000)
    read = masks_of(save_nrrd(tmp_path / "Add1.nrrd", voxels, **on_grid()), label)
    assert read.masks.keys() == {ADD}
    assert read.masks[ADD].sum() == 3


def test_a_layered_file_counts_all_its_layers(tmp_path: Path, label: np.ndarray) -> None:
    voxels = np.zeros((*SHAPE, 2), np.uint16)
    voxels[20, 20, 20, 0] = voxels[20, 20, 21, 1] = 1
    directions = np.vstack([[np.nan] * 3, np.asarray(GRID.steps_xyz).T])
    fields = {
        "space": "left-posterior-superior",
        "kinds": ["vector", "domain", "domain", "domain"],
        "space directions": directions,
        "space origin": np.asarray(GRID.origin_xyz),
    }
    path = tmp_path / "Add1.nrrd"
    nrrd.write(str(path), voxels, fields, index_order="C")
    assert masks_of(path, label).masks[ADD].sum() == 2


def test_one_voxel_and_one_slice_are_never_spread_over_the_patch(
    tmp_path: Path, label: np.ndarray
) -> None:
    one = save_nrrd(tmp_path / "Add1.nrrd", np.ones((1, 1, 1), np.uint8), **on_grid())
    with pytest.raises(CorrectionError, match="one voxel"):
        masks_of(one, label)
    flat = save_nrrd(tmp_path / "Add2.nrrd", np.ones((1, *SHAPE[1:]), np.uint8), **on_grid())
    with pytest.raises(CorrectionError, match="single slice"):
        masks_of(flat, label)
    nrrd.write(str(tmp_path / "Add3.nrrd"), np.ones(SHAPE[1:], np.uint8), {}, index_order="C")
    with pytest.raises((CorrectionError, VolumeError)):
        masks_of(tmp_path / "Add3.nrrd", label)


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (-1, np.int16, "negative"),
        (-2.0, np.float32, "negative"),
        (0.3, np.float32, "fractions"),
        (np.nan, np.float64, "NaN"),
        (np.inf, np.float32, "NaN"),
    ],
)
def test_values_that_are_no_label_are_refused(
    tmp_path: Path, label: np.ndarray, value: Any, dtype: Any, said: Any
) -> None:
    voxels = np.zeros(SHAPE, dtype)
    voxels[20, 20, 20] = value
    with pytest.raises(CorrectionError, match=said):
        masks_of(save_nrrd(tmp_path / "Add1.nrrd", voxels, **on_grid()), label)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Add1.nrrd", ADD),
        ("ADD.nii.gz", ADD),
        ("rEmove_vesicle.nrrd", REMOVE),
        ("ignore12.mrc", IGNORE),
        ("Segmentation.nrrd", None),
        ("no_add.nrrd", None),
    ],
)
def test_the_kind_is_how_the_name_begins(name: Any, kind: Any) -> None:
    assert kind_of(name) is kind


def test_notes_are_no_corrections_and_what_looks_like_one_is(tmp_path: Path) -> None:
    notes = [".DS_Store", "._Add1.nrrd", "Add_notes.txt", "notes.md", "Segmentation.nrrd"]
    notes += ["add_screenshot.png", "Remove1.json", "Add1.nrrd~", "Ignore1.nrrd.bak"]
    meant = ["Add2", "Add1.mha", "Remove1.nrrd.gz", "Ignore1.h5", "Add4.mrc.gz", "Add5.st"]
    meant += ["Remove2.png", "Add1.am", "ignore.npy", "Add6.nii.gz.part"]
    for name in (*notes, *meant):
        (tmp_path / name).write_bytes(b"stray")
    os.mkfifo(tmp_path / "Add3.nrrd")
    (tmp_path / "Remove9.nrrd").symlink_to("gone.nrrd")
    (tmp_path / "Add_old").mkdir()
    for folder in ("Add7", "Ignore1.zarr", "remove slices"):
        (tmp_path / folder).mkdir()
    (tmp_path / "remove slices" / "s000.png").write_bytes(b"\x89PNG")
    found = {path.name for path in tmp_path.iterdir() if may_be_correction(path)}
    folders = {"Add7", "Ignore1.zarr", "remove slices"}
    assert found == {*meant, *folders, "Add3.nrrd", "Remove9.nrrd"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Add1.mha", "MetaImage is not read; export it as NRRD"),
        ("Add1.h5", "HDF5 is not read"),
        ("Add1.am", "Amira's own format is not read"),
        ("Add1", "is a folder"),
        ("Add1.zarr", "is a folder"),
        ("Add1.nrrd.gz", "compressed as a whole"),
        ("Add1.tar", "neither MRC, NRRD"),
    ],
)
def test_what_looks_like_a_correction_and_is_not_read_is_refused(
    tmp_path: Path, label: np.ndarray, name: Any, said: Any
) -> None:
    path = tmp_path / name
    if "folder" in said:
        path.mkdir()
    elif name.endswith(".nrrd.gz"):
        path.write_bytes(gzip.compress(b"NRRD0004\n" + bytes(2000)))
    else:
        path.write_bytes(b"ObjectType = Image" + bytes(2000))
    assert may_be_correction(path)
    with pytest.raises((CorrectionError, VolumeError), match=said):
        masks_of(path, label)


def test_nothing_painted_is_refused_as_empty(tmp_path: Path, label: np.ndarray) -> None:
    path = save_nrrd(tmp_path / "Add1.nrrd", np.zeros(SHAPE, np.uint8), **on_grid())
    with pytest.raises(CorrectionError, match="nothing is painted"):
        masks_of(path, label)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
@pytest.mark.parametrize("orientation", ["LPS", "RAS"])
def test_an_origin_that_was_lost_is_refused(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray, suffix: Any, orientation: Any
) -> None:
    image = sitk.GetImageFromArray(painted.astype(np.uint16))
    image.SetSpacing((10.0,) * 3)
    turned = sitk.DICOMOrient(image, orientation)
    turned.SetOrigin((0.0, 0.0, 0.0))
    path = tmp_path / f"Add1{suffix}"
    sitk.WriteImage(turned, str(path))
    near = Grid.aligned(10.0, (40.0, 20.0, 10.0))  # so near that what is painted would fit
    with pytest.raises(CorrectionError, match="origin is 0,0,0"):
        masks_of(path, label, near)
    if orientation == "LPS":  # a patch at the tomogram's corner lies at 0, 0, 0
        corner = masks_of(path, label, Grid.aligned(10.0))
        np.testing.assert_array_equal(corner.masks[ADD], painted)


def test_a_painting_of_the_whole_tomogram_lies_at_0_and_is_cut_to_the_patch(
    tmp_path: Path, label: np.ndarray
) -> None:
    whole_tomogram = np.zeros((60, 70, 80), np.uint8)
    whole_tomogram[30, 40, 50] = 1
    path = save_nrrd(tmp_path / "Add1.nrrd", whole_tomogram, **on_grid(Grid.aligned(10.0)))
    read = masks_of(path, label, Grid.aligned(10.0, (100.0, 200.0, 120.0)))
    assert np.argwhere(read.masks[ADD]).tolist() == [[18, 20, 40]]


def nifti(path: Path, voxels: np.ndarray, qform: np.ndarray, sform: np.ndarray, code: int) -> Path:
    image = nibabel.Nifti1Image(voxels.astype(np.uint8).T, sform)
    image.set_sform(sform, code)
    image.set_qform(qform, 1)
    nibabel.save(image, path)
    return path


PLACE = np.diag([-10.0, -10, 10, 1])
PLACE[:3, 3] = (-480, -800, 200)


def test_qform_and_sform_that_agree_place_the_file(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray
) -> None:
    read = masks_of(nifti(tmp_path / "Add1.nii.gz", painted, PLACE, PLACE, 2), label)
    np.testing.assert_array_equal(read.masks[ADD], painted)


@pytest.mark.parametrize("code", [1, 2, 4])
@pytest.mark.parametrize("other", ["moved", "mirrored"])
def test_qform_and_sform_that_disagree_are_refused(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray, other: Any, code: Any
) -> None:
    sform = PLACE.copy()
    sform[0, 3] -= 300
    if other == "mirrored":
        sform[0] = (10, 0, 0, -480 - 470)
    for qform, second in ((PLACE, sform), (sform, PLACE)):
        path = nifti(tmp_path / "Add1.nii.gz", painted, qform, second, code)
        with pytest.raises(VolumeError, match="qform and sform differ"):
            masks_of(path, label)


@pytest.mark.parametrize("dtype", ["int16", "uint8"])
def test_whole_numbers_that_scaling_moved_are_those_numbers(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray, dtype: Any
) -> None:
    values = painted * 1.0
    values[20, 20, 20] = 2
    image = nibabel.Nifti1Image(values.T, PLACE)
    image.set_data_dtype(dtype)
    nibabel.save(image, tmp_path / "Add1.nii.gz")
    assert not set(np.unique(nibabel.load(tmp_path / "Add1.nii.gz").get_fdata())) <= {0, 1, 2}
    masks = masks_of(tmp_path / "Add1.nii.gz", label).masks
    np.testing.assert_array_equal(masks[ADD], values > 0)


def test_floats_within_rounding_are_whole_numbers_and_others_are_not(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray
) -> None:
    almost = save_nrrd(tmp_path / "Add1.nrrd", painted * np.float32(0.99999), **on_grid())
    np.testing.assert_array_equal(masks_of(almost, label).masks[ADD], painted)
    half = save_nrrd(tmp_path / "Add2.nrrd", painted * np.float32(0.99), **on_grid())
    with pytest.raises(CorrectionError, match="fractions"):
        masks_of(half, label)


def test_a_mask_in_imod_s_signed_bytes_is_a_correction(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray
) -> None:
    with mrcfile.new(tmp_path / "Add1.mrc") as mrc:
        mrc.set_data((painted.astype(int) - 128).astype(np.int8))
    with (tmp_path / "Add1.mrc").open("r+b") as raw:
        raw.seek(152)
        raw.write(struct.pack("<2i", 1146047817, 1))
    np.testing.assert_array_equal(masks_of(tmp_path / "Add1.mrc", label).masks[ADD], painted)


def named(path: Path, voxels: np.ndarray, *names: tuple[str, int]) -> Path:
    fields: dict[str, str] = {}
    for number, (name, value) in enumerate(names):
        fields |= {f"Segment{number}_Name": name, f"Segment{number}_LabelValue": str(value)}
    return save_nrrd(path, voxels, **on_grid(), **fields)


def test_a_label_s_own_name_wins_over_the_file_s_and_that_is_told(
    tmp_path: Path, label: np.ndarray
) -> None:
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[20, 20, 20:23] = (1, 2, 3)
    path = named(tmp_path / "Ignore1.nrrd", voxels, ("Remove", 1), ("vesicle", 2), ("Ignore", 9))
    read = masks_of(path, label)
    assert {kind: int(mask.sum()) for kind, mask in read.masks.items() if mask.any()} == {
        REMOVE: 1,
        IGNORE: 2,
    }
    told = " / ".join(read.findings)
    assert "label 'Remove' counts as Remove by its own name, not as Ignore by the file's" in told
    assert "labels 2 'vesicle', 3 all count as Ignore" in told


def test_several_values_without_a_name_are_told(tmp_path: Path, label: np.ndarray) -> None:
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[20, 20, 20:22] = (1, 3)
    read = masks_of(save_nrrd(tmp_path / "Add1.nrrd", voxels, **on_grid()), label)
    assert read.findings == ("labels 1, 3 all count as Add, the file's kind",)
    one = save_nrrd(tmp_path / "Add2.nrrd", (voxels > 0) * np.uint8(255), **on_grid())
    assert masks_of(one, label).findings == ()


def test_names_that_cannot_be_read_refuse_the_file_whatever_it_is_called(
    tmp_path: Path, label: np.ndarray, painted: np.ndarray
) -> None:
    for name in ("Add1.nrrd", "Segmentation.nrrd"):
        modality = {"modality": "org.mitk.multilabel.segmentation"}
        path = save_nrrd(tmp_path / name, painted.astype(np.uint8), **on_grid(), **modality)
        assert may_be_correction(path)
        with pytest.raises(LabelNamesError, match="names of its labels cannot be read"):
            masks_of(path, label)
