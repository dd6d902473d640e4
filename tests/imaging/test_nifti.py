"""Our NIfTI is what nibabel and SimpleITK read, and the other way round."""

import gzip
import struct
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from core.errors import OutputError, VolumeError
from core.imaging.formats.nifti import NiftiVolume, write_nifti
from core.imaging.geometry import Box, Grid, Zyx, whole

GRID = Grid.aligned(13.48, (100.5, 200.0, -300.0))
DTYPES = ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
TURNS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def ramp(dtype: str, shape: tuple[int, int, int] = (4, 5, 6)) -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) % 100).astype(dtype)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_others_read_what_we_write(tmp_path: Path, dtype: Any, suffix: Any) -> None:
    path = tmp_path / f"a{suffix}"
    write_nifti(path, ramp(dtype), GRID)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ramp(dtype))
    assert image.GetSpacing() == pytest.approx((13.48,) * 3)
    assert image.GetOrigin() == pytest.approx(GRID.origin_xyz)
    assert image.GetDirection() == pytest.approx(np.eye(3).ravel())
    loaded = nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(loaded.dataobj).T, ramp(dtype))
    np.testing.assert_allclose(loaded.affine, loaded.header.get_qform(), atol=1e-4)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [*DTYPES, ">i2", ">f4"])
def test_we_read_what_nibabel_writes(tmp_path: Path, dtype: Any, suffix: Any) -> None:
    path = tmp_path / f"a{suffix}"
    header = nibabel.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    affine = np.diag([-12.0, -12, 12, 1])
    image = nibabel.Nifti1Image(ramp(dtype).T, affine, header, dtype=np.dtype(dtype))
    nibabel.save(image, path)
    with NiftiVolume(path) as volume:
        np.testing.assert_array_equal(volume.read(whole(volume.shape)), ramp(dtype))
        assert volume.dtype == np.dtype(dtype).newbyteorder("=")
        assert volume.grid == Grid.aligned(12.0)
        assert volume.voxel_size == 12.0


@given(
    st.sampled_from(TURNS),
    st.tuples(*[st.floats(0.5, 20)] * 3),
    st.tuples(*[st.floats(-500, 500)] * 3),
)
def test_every_axis_aligned_grid_goes_through_sform_and_qform(
    tmp_path_factory: pytest.TempPathFactory, turn: Any, spacing: Any, at: Any
) -> None:
    order, signs = turn
    steps = np.zeros((3, 3))
    for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
        steps[row, column] = sign * spacing[column]
    grid = Grid.of(steps, np.array(at))
    path = tmp_path_factory.mktemp("grid") / "a.nii"
    write_nifti(path, ramp("u1"), grid)
    expected = np.diag([-1, -1, 1, 1]) @ grid.matrix
    header = nibabel.load(path).header
    np.testing.assert_allclose(header.get_sform(), expected, rtol=1e-5, atol=1e-3)
    # Single precision blurs half turns; nibabel does not straighten them.
    np.testing.assert_allclose(header.get_qform(), expected, atol=0.02)
    with NiftiVolume(path) as volume:
        assert volume.grid is not None
        np.testing.assert_allclose(volume.grid.matrix, grid.matrix, rtol=1e-5, atol=1e-3)
    raw = bytearray(path.read_bytes())
    raw[254:256] = struct.pack("<h", 0)  # no sform: the qform alone says the same
    path.write_bytes(raw)
    with NiftiVolume(path) as volume:
        assert volume.grid is not None
        np.testing.assert_allclose(volume.grid.matrix, grid.matrix, rtol=1e-5, atol=1e-3)


def test_scaled_values_are_unscaled(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    values = np.linspace(0, 1, 120).reshape(4, 5, 6)
    image = nibabel.Nifti1Image(values.T, np.eye(4))
    image.set_data_dtype(np.int16)
    nibabel.save(image, path)
    with NiftiVolume(path) as volume:
        np.testing.assert_allclose(volume.read(whole(volume.shape)), values, atol=1e-4)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_same_voxels_give_the_same_bytes(tmp_path: Path, suffix: Any) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_nifti(first, ramp("f4"), GRID)
    write_nifti(second, np.asfortranarray(ramp("f4")), GRID)
    assert first.read_bytes() == second.read_bytes()


def test_a_box_is_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    write_nifti(path, ramp("i2"), GRID)
    box = Box(Zyx(1, 2, 3), Zyx(3, 4, 6))
    with NiftiVolume(path) as volume:
        np.testing.assert_array_equal(volume.read(box), ramp("i2")[box.slices])


DAMAGES = {
    "huge": (42, struct.pack("<3h", 32767, 32767, 32767)),
    "negative": (42, struct.pack("<3h", -4, 5, 6)),
    "2D": (40, struct.pack("<h", 2)),
    "time series": (40, struct.pack("<5h", 4, 6, 5, 2, 2)),
    "complex": (70, struct.pack("<h", 32)),
    "detached": (344, b"ni1\0"),
    "far offset": (108, struct.pack("<f", 1e9)),
}
CUTS = {"truncated": -10, "header alone": 200, "empty": 0}


def damaged(raw: bytes, kind: str) -> bytes:
    if kind in CUTS:
        return raw[: CUTS[kind]]
    at, replaced = DAMAGES[kind]
    return raw[:at] + replaced + raw[at + len(replaced) :]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [*CUTS, *DAMAGES])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, kind: Any, suffix: Any) -> None:
    path = tmp_path / "a.nii"
    write_nifti(path, ramp("u1"), GRID)
    raw = damaged(path.read_bytes(), kind)
    bad = tmp_path / f"bad{suffix}"
    bad.write_bytes(gzip.compress(raw) if suffix.endswith("gz") and raw else raw)
    with pytest.raises(VolumeError) as error:
        NiftiVolume(bad)
    assert str(bad) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_gzip_that_inflates_past_its_header_is_refused_and_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    write_nifti(path, ramp("u1"), GRID)
    bomb = tmp_path / "bomb.nii.gz"
    bomb.write_bytes(gzip.compress(path.read_bytes() + bytes(300 << 20), 1))
    with pytest.raises(VolumeError, match="holds more"):
        NiftiVolume(bomb)


def test_a_gzip_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_nifti(path, ramp("u1"), GRID)
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 1
    path.write_bytes(raw)
    with pytest.raises(VolumeError):
        NiftiVolume(path)


def test_what_is_there_is_kept_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_nifti(path, ramp("u1"), GRID)
    before = path.read_bytes()
    with pytest.raises(OutputError):
        write_nifti(path, ramp("u1") + 1, GRID, exist_ok=False)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    missing: Path = tmp_path / "no" / "a.nii.gz"
    with pytest.raises(OutputError, match=str(missing)):
        write_nifti(missing, ramp("u1"), GRID)


@pytest.mark.parametrize(
    ("size", "unit", "expected", "warned"),
    [
        (12.0, "mm", 12.0, None),
        (1e-6, "mm", 10.0, None),
        (0.001, "micron", 10.0, None),
        (1.348e-9, "meter", 13.48, None),
        (12.0, "unknown", 12.0, None),
        (1.0, "mm", None, None),
        (10.0, "micron", None, "10 micron cannot be true"),
        (1e-5, "unknown", None, "cannot be true"),
    ],
)
def test_the_stated_unit_is_obeyed_where_it_can_be_true(
    tmp_path: Path, size: Any, unit: Any, expected: Any, warned: Any
) -> None:
    image = nibabel.Nifti1Image(ramp("u1").T, np.diag([size] * 3 + [1]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    with NiftiVolume(tmp_path / "a.nii") as volume:
        assert volume.voxel_size == (expected if expected is None else pytest.approx(expected))
        assert (warned in volume.warnings[0]) if warned else volume.warnings == ()
