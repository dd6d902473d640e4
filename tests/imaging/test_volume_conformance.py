"""Every reader keeps the same promises; every hostile file gets one sentence, fast and small."""

import bz2
import gzip
import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import mrcfile
import nrrd
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import VolumeError
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Grid, Zyx, whole

DATA = Path(__file__).parents[1] / "data"
SHAPE = Zyx(7, 9, 11)
RAMP = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 120).astype(np.int16)


def mrc(path: Path, voxels: np.ndarray = RAMP, patches: dict[int, bytes] | None = None) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(voxels)
        file.voxel_size = 10.0
    with path.open("r+b") as raw:
        for offset, content in (patches or {}).items():
            raw.seek(offset)
            raw.write(content)
    return path


def packed(path: Path, pack: Any) -> Path:
    plain = mrc(path.with_suffix(".plain"))
    path.write_bytes(pack(plain.read_bytes()))
    return path


def permuted(path: Path) -> Path:
    """Columns are z, rows x, sections y: the same volume in another order."""
    return mrc(
        path, np.ascontiguousarray(RAMP.transpose(1, 2, 0)), {64: struct.pack("<3i", 3, 1, 2)}
    )


def nrrd_of(path: Path, **fields: Any) -> Path:
    nrrd.write(str(path), RAMP, fields, index_order="C")
    return path


def nifti(path: Path) -> Path:
    write_nifti(path, RAMP, Grid.aligned(10.0))
    return path


def tiff(path: Path, **options: Any) -> Path:
    tifffile.imwrite(path, RAMP, photometric="minisblack", **options)
    return path


WRITERS = {
    "mrc": lambda d: mrc(d / "a.mrc"),
    "big-endian mrc": lambda d: mrc(d / "a.mrc", RAMP.astype(">i2")),
    "mrc.gz": lambda d: packed(d / "a.mrc.gz", gzip.compress),
    "gz named mrc": lambda d: packed(d / "a.mrc", gzip.compress),
    "mrc.gz of two members": lambda d: packed(
        d / "a.mrc.gz", lambda raw: gzip.compress(raw[:1500]) + gzip.compress(raw[1500:])
    ),
    "mrc.bz2": lambda d: packed(d / "a.mrc.bz2", bz2.compress),
    "permuted mrc": lambda d: permuted(d / "a.mrc"),
    "nrrd raw": lambda d: nrrd_of(d / "a.nrrd", encoding="raw"),
    "nrrd gzip": lambda d: nrrd_of(d / "a.nrrd", encoding="gzip"),
    "nrrd bzip2": lambda d: nrrd_of(d / "a.nrrd", encoding="bzip2"),
    "nrrd text": lambda d: nrrd_of(d / "a.nrrd", encoding="ascii"),
    "nrrd big": lambda d: nrrd_of(d / "a.nrrd", endian="big", encoding="gzip"),
    "nii": lambda d: nifti(d / "a.nii"),
    "nii.gz": lambda d: nifti(d / "a.nii.gz"),
    "tif": lambda d: tiff(d / "a.tif"),
    "deflated tif": lambda d: tiff(d / "a.tif", compression="zlib"),
}


@pytest.fixture(params=WRITERS, scope="module")
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WRITERS[request.param](tmp_path_factory.mktemp("volume"))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    starts = [draw(st.integers(0, n - 1)) for n in SHAPE]
    stops = [draw(st.integers(a + 1, n)) for a, n in zip(starts, SHAPE, strict=True)]
    return Box(Zyx(*starts), Zyx(*stops))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(box=boxes())
def test_any_box_is_the_array_s_slice(file: Path, box: Any) -> None:
    with open_volume(file) as volume:
        read = volume.read(box)
    np.testing.assert_array_equal(read, RAMP[box.slices])
    assert read.flags.c_contiguous
    assert read.dtype.isnative


def test_shape_and_dtype_are_told_before_anything_is_read(file: Path) -> None:
    with open_volume(file) as volume:
        assert volume.shape == SHAPE
        assert volume.dtype == np.int16


def test_a_box_outside_is_refused(file: Path) -> None:
    with open_volume(file) as volume:
        for box in (
            Box(Zyx(0, 0, 0), Zyx(8, 9, 11)),
            Box(Zyx(-1, 0, 0), Zyx(2, 2, 2)),
            Box(Zyx(2, 2, 2), Zyx(2, 3, 3)),
        ):
            with pytest.raises(VolumeError, match="leaves the volume"):
                volume.read(box)


def test_what_is_read_is_the_caller_s_own(file: Path) -> None:
    with open_volume(file) as volume:
        first = volume.read(whole(SHAPE))
        first[:] = 0
        np.testing.assert_array_equal(volume.read(whole(SHAPE)), RAMP)


def test_no_file_stays_open(file: Path) -> None:
    before = open_files()
    with open_volume(file) as volume:
        volume.read(whole(SHAPE))
        volume.close()
    assert open_files() == before


def test_permuted_real_maps_are_put_in_order() -> None:
    with open_volume(DATA / "mrc" / "EMD-3001.map.bz2") as volume:
        ours = volume.read(whole(volume.shape))
    with mrcfile.open(DATA / "mrc" / "EMD-3001.map.bz2") as theirs:
        assert (theirs.header.mapc, theirs.header.mapr, theirs.header.maps) == (3, 1, 2)
        np.testing.assert_array_equal(ours, _by_axes(theirs))


def _by_axes(theirs: Any) -> np.ndarray:
    """mrcfile's (sections, rows, columns) as (z, y, x), voxel by voxel rule of the format."""
    spoken = [int(theirs.header[name]) for name in ("maps", "mapr", "mapc")]
    return np.moveaxis(theirs.data, [spoken.index(3), spoken.index(2), spoken.index(1)], [0, 1, 2])


@pytest.mark.parametrize(
    "name",
    [
        "EMD-3197.map",
        "emd_3197.map.gz",
        "pyseg_tomo_int16.mrc",
        "tardis_mrc3D.mrc",
        "czi_segmask.mrc",
        "pyseg_tomo22_z50_ves_4_seg.mrc.gz",
    ],
)
def test_real_files_hold_what_mrcfile_says(name: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old writers left out the word MAP and the stamp
        theirs = mrcfile.open(DATA / "mrc" / name, permissive=True)
    with theirs, open_volume(DATA / "mrc" / name) as ours:
        unsigned = theirs.header.mode == 0 and theirs.header.dmax > 127
        expected = theirs.data.view(np.uint8) if unsigned else theirs.data
        np.testing.assert_array_equal(ours.read(whole(ours.shape)), expected)
        if unsigned:
            assert "read as unsigned bytes" in ours.warnings[0]


def test_a_real_3d_slicer_segmentation_names_its_labels_and_its_place() -> None:
    with open_volume(DATA / "nrrd" / "slicerio_Segmentation.seg.nrrd") as volume:
        names = {segment.name for segment in volume.segments}
        assert "ribs" in names
        assert volume.grid is not None
        assert volume.read(whole(volume.shape)).max() >= 1


def test_imod_s_unsigned_bytes_do_not_wrap(tmp_path: Path) -> None:
    raw = (np.arange(np.prod(SHAPE)) % 256).astype(np.uint8).reshape(SHAPE)
    stamp = {152: struct.pack("<ii", 1146047817, 0)}
    with open_volume(mrc(tmp_path / "u.mrc", raw.view(np.int8), stamp)) as volume:
        np.testing.assert_array_equal(volume.read(whole(SHAPE)), raw)
    signed = {152: struct.pack("<ii", 1146047817, 1)}
    with open_volume(mrc(tmp_path / "s.mrc", raw.view(np.int8), signed)) as volume:
        np.testing.assert_array_equal(volume.read(whole(SHAPE)), raw.view(np.int8))


@pytest.mark.parametrize("columns", [10, 11])
def test_four_bit_values_are_unpacked_low_half_first(tmp_path: Path, columns: Any) -> None:
    values = np.random.default_rng(0).integers(0, 16, (3, 4, columns)).astype(np.uint8)
    even = np.zeros((3, 4, columns + columns % 2), np.uint8)
    even[..., :columns] = values
    path = mrc(tmp_path / "q.mrc", (even[..., 0::2] | even[..., 1::2] << 4).view(np.int8))
    raw = bytearray(path.read_bytes())
    raw[:16] = struct.pack("<4i", columns, 4, 3, 101)
    path.write_bytes(raw)
    with open_volume(path) as volume:
        np.testing.assert_array_equal(volume.read(whole(volume.shape)), values)


@pytest.mark.parametrize(
    ("dtype", "patches", "said"),
    [
        (np.float32, {88: struct.pack("<i", 401)}, None),
        (np.int16, {12: struct.pack("<i", 3)}, "complex"),
        (np.int16, {12: struct.pack("<i", 16)}, "RGB"),
        (np.int16, {12: struct.pack("<i", 99)}, "neither|impossible"),
        (np.int16, {0: struct.pack("<3i", 30000, 30000, 30000)}, "promises"),
        (np.int16, {0: struct.pack("<3i", -11, 9, 7)}, "impossible|neither"),
        (np.int16, {92: struct.pack("<i", 2**31 - 1)}, "extended header"),
        (np.int16, {92: struct.pack("<i", -5)}, "extended header"),
        (np.int16, {64: struct.pack("<3i", 1, 1, 3)}, "axes"),
    ],
)
def test_an_mrc_header_that_lies_is_refused(
    tmp_path: Path, dtype: Any, patches: Any, said: Any
) -> None:
    path = mrc(tmp_path / "a.mrc", RAMP.astype(dtype), patches)
    with pytest.raises(VolumeError, match=said or "stack of volumes"):
        open_volume(path)


@pytest.mark.parametrize(
    ("patches", "size"),
    [
        ({40: struct.pack("<3f", 0, 0, 0)}, None),
        ({40: struct.pack("<3f", 11, 9, 7)}, None),
        ({40: struct.pack("<3f", 110, 90, 140)}, None),
        ({40: struct.pack("<3f", 148.28, 121.32, 94.36)}, 13.48),
        ({208: bytes(8)}, 10.0),
        ({220: struct.pack("<i", -1), 224: bytes(range(128, 208))}, 10.0),
        ({64: bytes(12)}, 10.0),
    ],
)
def test_the_voxel_size_is_stated_or_unknown_never_guessed(
    tmp_path: Path, patches: Any, size: Any
) -> None:
    with open_volume(mrc(tmp_path / "a.mrc", RAMP, patches)) as volume:
        assert volume.voxel_size == size
        np.testing.assert_array_equal(volume.read(whole(SHAPE)), RAMP)


GOOD_NRRD = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 3 3 3\nencoding: raw\n"
BAD_NRRD = {
    "no header end": b"NRRD0004\n" + b"k:=v\n" * 3,
    "empty body": GOOD_NRRD + b"\n",
    "data file": GOOD_NRRD + b"data file: /etc/hostname\n\n",
    "datafile": GOOD_NRRD + b"datafile: ../secret\n\n",
    "line skip": GOOD_NRRD + b"line skip: 1000000000000\n\n" + bytes(27),
    "byte skip": GOOD_NRRD + b"byte skip: -1\n\n" + bytes(27),
    "long line": GOOD_NRRD + b"x:=" + b"a" * 300_000 + b"\n\n" + bytes(27),
    "many lines": GOOD_NRRD + b"#\n" * 5000 + b"\n" + bytes(27),
    "negative": GOOD_NRRD.replace(b"3 3 3", b"-3 -3 3") + b"\n" + bytes(27),
    "huge": GOOD_NRRD.replace(b"3 3 3", b"4294967296 3 3") + b"\n" + bytes(27),
    "wide": GOOD_NRRD.replace(b"3 3 3", b"60000 60000 60000") + b"\n" + bytes(27),
    "nan sizes": GOOD_NRRD.replace(b"3 3 3", b"nan 3 3") + b"\n" + bytes(27),
    "2D": GOOD_NRRD.replace(b"3 3 3", b"9 3").replace(b"ion: 3", b"ion: 2") + b"\n" + bytes(27),
    "5D": GOOD_NRRD.replace(b"3 3 3", b"1 1 3 3 3").replace(b"ion: 3", b"ion: 5")
    + b"\n"
    + bytes(27),
    "block": GOOD_NRRD.replace(b"uchar", b"block") + b"\n" + bytes(27),
    "hex": GOOD_NRRD.replace(b"raw", b"hex") + b"\n" + bytes(54),
    "no colon": b"NRRD0004\nnothing here\n\n",
    "twice": GOOD_NRRD + b"type: uchar\n\n" + bytes(27),
    "flat": GOOD_NRRD
    + b"space dimension: 3\nspace directions: (1,0,0) (1,0,0) (0,0,1)\n\n"
    + bytes(27),
    "bomb": GOOD_NRRD.replace(b"raw", b"gzip") + b"\n" + gzip.compress(bytes(200 << 20), 9),
    "short gzip": GOOD_NRRD.replace(b"raw", b"gzip") + b"\n" + gzip.compress(bytes(26)),
    "bad gzip": GOOD_NRRD.replace(b"raw", b"gzip") + b"\n" + gzip.compress(bytes(27))[:-5],
    "no gzip": GOOD_NRRD.replace(b"raw", b"gzip") + b"\n" + bytes(27),
    "text": GOOD_NRRD.replace(b"raw", b"text") + b"\n1 2 three",
}


@pytest.mark.parametrize("kind", BAD_NRRD)
def test_a_hostile_nrrd_gets_one_sentence(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "a.nrrd"
    path.write_bytes(BAD_NRRD[kind])
    with pytest.raises(VolumeError) as error, open_volume(path) as volume:
        volume.read(whole(volume.shape))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("packing", ["gz", "bz2"])
def test_pynrrd_s_own_samples_are_read(packing: Any) -> None:
    path = DATA / "nrrd" / f"BallBinary30x30x30_{packing}.nrrd"
    with open_volume(path) as volume:
        np.testing.assert_array_equal(
            volume.read(whole(volume.shape)), nrrd.read(str(path), index_order="C")[0]
        )


@pytest.mark.parametrize(
    "name",
    [
        "BallBinary30x30x30.nhdr",
        "BallBinary30x30x30_nifti.nhdr",
        "BallBinary30x30x30_gz_lineskip.nrrd",
        "BallBinary30x30x30_gz_byteskip_minus_one.nrrd",
    ],
)
def test_pynrrd_s_samples_that_lead_elsewhere_are_refused(name: Any) -> None:
    with pytest.raises(VolumeError, match=r"one (plain )?.nrrd file"):
        open_volume(DATA / "nrrd" / name)


@pytest.mark.parametrize(
    "content",
    [b"", b"II*\0", b"II*\0" + bytes(3000), b"MM\0*" + b"\xff" * 3000, b"MZ" * 700, bytes(5000)],
)
def test_what_is_no_volume_gets_one_sentence(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(VolumeError) as error:
        open_volume(path)
    assert "\n" not in str(error.value)


def test_colours_and_channels_are_no_label(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((5, 20, 20, 3), np.uint8), photometric="rgb")
    with pytest.raises(VolumeError, match="gray sections"):
        open_volume(tmp_path / "rgb.tif")


def test_a_gz_that_ends_early_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.mrc.gz", lambda raw: gzip.compress(raw)[:-300])
    with pytest.raises(VolumeError), open_volume(path) as volume:
        volume.read(whole(volume.shape))


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mrc")
    for path in (tmp_path / "a.mrc", tmp_path, Path("/dev/zero"), tmp_path / "gone.mrc"):
        with pytest.raises(VolumeError, match=str(path)):
            open_volume(path)


def test_reading_a_patch_of_a_huge_volume_stays_small(tmp_path: Path) -> None:
    """A sparse 4096 × 4096 × 1000 float volume: 67 GB on paper, a patch in memory."""
    path = mrc(tmp_path / "huge.mrc", np.zeros((1, 1, 1), np.float32))
    with path.open("r+b") as raw:
        raw.write(struct.pack("<3i", 4096, 4096, 1000))
        raw.truncate(1024 + 4 * 4096 * 4096 * 1000)
    program = f"""
from pathlib import Path
from core.imaging.geometry import Zyx, box_around
from core.imaging.formats.volume import open_volume
with open_volume(Path({str(path)!r})) as volume:
    assert volume.read(box_around(Zyx(500, 2000, 2000))).shape == (160, 160, 160)
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < 80 * 1024
