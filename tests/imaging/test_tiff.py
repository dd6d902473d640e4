"""TIFF stacks as napari, Fiji and Amira save them; what they cannot be is refused."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import VolumeError
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Zyx, whole

RAMP = (np.arange(7 * 90 * 110) % 999).astype(np.int16).reshape(7, 90, 110)


def read(path: Path) -> np.ndarray:
    with open_volume(path) as volume:
        return volume.read(whole(volume.shape))


def one_by_one(path: Path, **options: Any) -> Path:
    """A page after the other, as microscopes write: not one block of voxels."""
    with tifffile.TiffWriter(path) as out:
        for section in RAMP:
            out.write(section, photometric="minisblack", contiguous=False, **options)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "minisblack"},
        {"imagej": True},
        {"bigtiff": True, "photometric": "minisblack"},
        {"photometric": "minisblack", "compression": "zlib"},
        {"photometric": "minisblack", "compression": "zlib", "rowsperstrip": 7},
        {"photometric": "minisblack", "rowsperstrip": 7},
        {"photometric": "minisblack", "byteorder": ">"},
        {"photometric": "minisblack", "byteorder": ">", "compression": "zlib"},
        {"photometric": "minisblack", "metadata": {"axes": "ZYX"}},
        {"ome": True, "photometric": "minisblack", "metadata": {"axes": "ZYX"}},
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_what_tifffile_writes_is_read_as_it_reads_it(tmp_path: Path, options: Any) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RAMP, **options)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), RAMP)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"rowsperstrip": 11}])
def test_pages_that_lie_apart_are_the_sections_of_one_stack(tmp_path: Path, options: Any) -> None:
    path = one_by_one(tmp_path / "a.tif", **options)
    with tifffile.TiffFile(path) as tiff:
        one_stack = len(tiff.series) == 1
    if one_stack:
        np.testing.assert_array_equal(read(path), RAMP)
    else:
        with pytest.raises(VolumeError, match="not one stack"):
            open_volume(path)


@given(
    arrays(bool, st.tuples(st.integers(2, 4), st.integers(2, 5), st.integers(5, 19))),
    st.sampled_from([None, "zlib"]),
    st.integers(1, 5),
)
def test_a_boolean_mask_of_one_bit_a_voxel_is_read(
    tmp_path_factory: pytest.TempPathFactory, mask: Any, packing: Any, rows: Any
) -> None:
    path = tmp_path_factory.mktemp("bits") / "a.tif"
    tifffile.imwrite(path, mask, compression=packing, rowsperstrip=rows)
    np.testing.assert_array_equal(read(path), mask)
    box = Box(Zyx(0, 1, 2), Zyx(1, 2, 5))
    with open_volume(path) as volume:
        np.testing.assert_array_equal(volume.read(box), mask[box.slices])


@given(st.data())
def test_any_box_of_any_stack_is_the_array_s_slice(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    shape = data.draw(st.tuples(st.integers(2, 5), st.integers(2, 9), st.integers(5, 9)))
    voxels = data.draw(arrays(data.draw(st.sampled_from(["u1", "i2", "u2", "f4"])), shape))
    path = tmp_path_factory.mktemp("any") / "a.tif"
    packing = data.draw(st.sampled_from([None, "zlib"]))
    rows, order = data.draw(st.integers(1, shape[1])), data.draw(st.sampled_from("<>"))
    tifffile.imwrite(
        path,
        voxels,
        photometric="minisblack",
        metadata={"axes": "ZYX"},
        byteorder=order,
        compression=packing,
        rowsperstrip=rows,
    )
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    stops = [data.draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    box = Box(Zyx(*starts), Zyx(*stops))
    with open_volume(path) as volume:
        np.testing.assert_array_equal(volume.read(box), voxels[box.slices])


@pytest.mark.parametrize(
    ("voxels", "options"),
    [
        (RAMP[0], {}),
        (np.zeros((2, 3, 20, 20), np.uint8), {"photometric": "minisblack"}),
        (np.zeros((5, 20, 20, 3), np.uint8), {"photometric": "rgb"}),
        (RAMP.astype(np.complex64), {"photometric": "minisblack"}),
        (RAMP[:, :64, :64], {"photometric": "minisblack", "tile": (32, 32)}),
    ],
    ids=["2D", "channels", "colours", "complex", "tiles"],
)
def test_what_is_no_stack_of_numbers_in_strips_is_refused(
    tmp_path: Path, voxels: Any, options: Any
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", voxels, **options)
    with pytest.raises(VolumeError, match=r"save (a 3D stack|it uncompressed)"):
        open_volume(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_stack_that_was_cut_short_is_refused_or_whole_never_wrong(
    tmp_path_factory: pytest.TempPathFactory, options: Any, kept: Any
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.tif"
    tifffile.imwrite(path, RAMP, photometric="minisblack", **options)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    try:
        voxels = read(path)
    except VolumeError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right
    else:
        np.testing.assert_array_equal(voxels, RAMP)


def test_half_a_stack_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RAMP, photometric="minisblack")
    raw = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(VolumeError, match="cut short"):
        open_volume(tmp_path / "a.tif")


def test_a_damaged_strip_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RAMP, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        at = tiff.pages[3].dataoffsets[0]
    raw = bytearray((tmp_path / "a.tif").read_bytes())
    raw[at + 40] ^= 255
    (tmp_path / "a.tif").write_bytes(raw)
    with pytest.raises(VolumeError, match=r"damaged|promises"):
        read(tmp_path / "a.tif")


def pages(path: Path, *, count: int, strip: bytes, stated: int, loop: bool = False) -> Path:
    """Pages of 10 × 10 bytes, all with one deflated strip, whose stated length may lie."""
    tags = [
        (256, 10),
        (257, 10),
        (258, 8),
        (259, 8),
        (262, 1),
        (273, 0),
        (277, 1),
        (278, 10),
        (279, stated),
    ]
    size = 2 + 12 * len(tags) + 4
    out = bytearray(b"II*\0" + struct.pack("<I", 8))
    for page in range(count):
        out += struct.pack("<H", len(tags))
        for tag, value in tags:
            out += struct.pack("<HHII", tag, 4, 1, 8 + size * count if tag == 273 else value)
        last = page == count - 1
        out += struct.pack("<I", (8 if loop else 0) if last else 8 + size * (page + 1))
    path.write_bytes(bytes(out) + strip)
    return path


def test_a_strip_that_inflates_past_its_tags_is_refused_early(tmp_path: Path) -> None:
    strip = zlib.compress(bytes(100 << 20), 1)
    path = pages(tmp_path / "a.tif", count=2, strip=strip, stated=len(strip))
    with pytest.raises(VolumeError, match="holds more"):
        read(path)


@pytest.mark.parametrize(("count", "loop"), [(3, True), (50_000, False)])
def test_pages_without_end_are_refused(
    tmp_path: Path, count: Any, loop: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    strip = zlib.compress(bytes(100))
    path = pages(tmp_path / "a.tif", count=count, strip=strip, stated=len(strip), loop=loop)
    with pytest.raises(VolumeError, match="more than 10000 pages"):
        open_volume(path)
    assert capfd.readouterr() == ("", "")


def test_a_strip_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = pages(tmp_path / "a.tif", count=3, strip=zlib.compress(bytes(100)), stated=1 << 20)
    with pytest.raises(VolumeError, match="cut short"):
        open_volume(path)
