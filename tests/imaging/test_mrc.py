"""The oddities of the MRC format: each is read right, or refused in one sentence."""

import struct
import warnings
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import VolumeError
from core.imaging.formats.mrc import MrcVolume
from core.imaging.formats.volume import open_volume, read_labels
from core.imaging.geometry import Box, Zyx, whole

Z, Y, X = np.mgrid[:20, :24, :32]
RAMP = (X + 2 * Y + 3 * Z).astype(np.int32)  # 0 ... 134
FLOATS = RAMP.astype(np.float32)
NX, NSTART, CELL, AXES, NSYMBT, IMOD, ORIGIN, MAP, STAMP, NLABL = (
    0,
    16,
    40,
    64,
    92,
    152,
    196,
    208,
    212,
    220,
)
"""Byte offsets of the header's fields (MRC2014)."""


def ints(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def odd(path: Path, voxels: np.ndarray, fields: dict[int, bytes] | None = None) -> Path:
    """An MRC file by mrcfile, with these bytes of its header changed."""
    with warnings.catch_warnings(), mrcfile.new(path, overwrite=True) as file:
        warnings.simplefilter("ignore")  # mrcfile doubts NaN, infinity and large numbers
        file.set_data(voxels)
        file.voxel_size = 10.0
    with path.open("r+b") as raw:
        for offset, content in (fields or {}).items():
            raw.seek(offset)
            raw.write(content)
    return path


def read_all(path: Path) -> np.ndarray:
    with open_volume(path) as volume:
        voxels = volume.read(whole(volume.shape))
        assert (voxels.shape, voxels.dtype) == (volume.shape, volume.dtype)
        return voxels


@pytest.mark.parametrize(
    "voxels",
    [
        (RAMP - 67).astype(np.int8),
        (RAMP - 67).astype(np.int16),
        FLOATS,
        (RAMP + 40000).astype(np.uint16),
        (RAMP / 10).astype(np.float16),
        (RAMP - 67).astype(">i2"),
        FLOATS.astype(">f4"),
        (RAMP + 40000).astype(">u2"),
        np.full(RAMP.shape, 3, np.float32),
        np.where(RAMP == 5, np.nan, np.where(RAMP == 6, np.inf, FLOATS)).astype(np.float32),
    ],
    ids=lambda voxels: voxels.dtype.str,
)
def test_every_mode_of_real_numbers_is_what_mrcfile_reads(tmp_path: Path, voxels: Any) -> None:
    path = odd(tmp_path / "a.mrc", voxels)
    with mrcfile.open(path) as theirs:
        np.testing.assert_array_equal(read_all(path), theirs.data)


def test_half_floats_come_as_single_ones(tmp_path: Path) -> None:
    halves = (RAMP / 10).astype(np.float16)
    assert read_all(odd(tmp_path / "a.mrc", halves)).dtype == np.float32


@pytest.mark.parametrize(
    "fields",
    [
        {STAMP: b"DA\0\0"},
        {STAMP: bytes(4)},
        {STAMP: b"\x11\x11\0\0"},
        {MAP: bytes(8)},
        {NLABL: ints(-1), 224: bytes(range(128, 208))},
        {AXES: bytes(12)},
        {88: ints(0)},
        {NSTART: ints(5, -7, 11), ORIGIN: floats(100, -50, 20)},
    ],
    ids=[
        "stamp DA",
        "no stamp",
        "wrong stamp",
        "no MAP",
        "garbage labels",
        "axes 0",
        "stack",
        "start and origin",
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_headers_of_careless_writers_are_read_as_meant(
    tmp_path: Path, fields: Any, order: Any
) -> None:
    if order == ">":
        fields = {at: _swapped(raw) if at in _NUMBERS else raw for at, raw in fields.items()}
    path = odd(tmp_path / "a.mrc", FLOATS.astype(order + "f4"), fields)
    np.testing.assert_array_equal(read_all(path), FLOATS)


_NUMBERS = (NLABL, AXES, 88, NSTART, ORIGIN)


def _swapped(raw: bytes) -> bytes:
    return np.frombuffer(raw, "<i4").astype(">i4").tobytes()


def test_origin_and_start_are_told_and_move_nothing(tmp_path: Path) -> None:
    fields = {NSTART: ints(5, -7, 11), ORIGIN: floats(100, -50, 20)}
    with MrcVolume(odd(tmp_path / "a.mrc", FLOATS, fields)) as volume:
        assert volume.nstart_xyz == (5, -7, 11)
        assert volume.origin_xyz == (100.0, -50.0, 20.0)
        assert volume.grid is None


@pytest.mark.parametrize("length", [160, 131072])
def test_an_extended_header_is_passed_over(tmp_path: Path, length: Any) -> None:
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(FLOATS)
        file.set_extended_header(np.frombuffer(b"e" * length, "V1"))
    np.testing.assert_array_equal(read_all(tmp_path / "a.mrc"), FLOATS)


def test_an_extended_header_that_was_only_copied_in_name_is_told_and_the_voxels_are_read(
    tmp_path: Path,
) -> None:
    """As cryoCARE 2022 and 2023 wrote: the length says that nothing but voxels follows."""
    path = odd(tmp_path / "a.mrc", FLOATS, {NSYMBT: ints(49920), 104: b"AGAR"})
    np.testing.assert_array_equal(read_all(path), FLOATS)
    with open_volume(path) as volume:
        assert "49920 bytes that is not in the file" in volume.warnings[0]


UNSIGNED = (RAMP + 100).astype(np.uint8)  # 100 ... 234
SIGNED, UNSIGNED_STAMP = ints(1146047817, 1), ints(1146047817, 0)


@pytest.mark.parametrize(
    ("fields", "is_unsigned", "warned"),
    [
        ({76: floats(0, 245)}, True, "unsigned bytes: the header's minimum and maximum are 0"),
        ({76: floats(100, 128)}, True, "unsigned"),
        ({76: floats(0, 127)}, False, None),
        ({76: floats(-128, 255)}, True, "unsigned"),
        ({76: floats(0, -1)}, False, None),
        ({76: floats(0, float("inf"))}, False, None),
        ({76: floats(0, -1), IMOD: UNSIGNED_STAMP}, True, None),
        ({76: floats(-100, 100), IMOD: UNSIGNED_STAMP}, True, "unsigned bytes by IMOD's stamp"),
        ({76: floats(-100, 100), IMOD: SIGNED}, False, None),
        ({76: floats(0, 245), IMOD: SIGNED}, False, "signed bytes by IMOD's stamp"),
    ],
)
def test_bytes_are_signed_as_imod_s_stamp_says_and_else_as_minimum_and_maximum_say(
    tmp_path: Path, fields: Any, is_unsigned: Any, warned: Any
) -> None:
    path = odd(tmp_path / "a.mrc", UNSIGNED.view(np.int8), fields)
    expected = UNSIGNED if is_unsigned else UNSIGNED.view(np.int8)
    np.testing.assert_array_equal(read_all(path), expected)
    with open_volume(path) as volume:
        assert (warned in volume.warnings[0]) if warned else volume.warnings == ()


def test_a_mask_in_imod_s_signed_bytes_is_the_stored_value_plus_128(tmp_path: Path) -> None:
    mask = RAMP % 2
    path = odd(tmp_path / "a.mrc", (mask - 128).astype(np.int8), {IMOD: SIGNED})
    with open_volume(path) as volume:
        np.testing.assert_array_equal(read_labels(volume, whole(volume.shape)), mask)


def test_a_mask_of_0_and_1_that_imod_only_stamped_stays_what_it_is(tmp_path: Path) -> None:
    path = odd(tmp_path / "a.mrc", (RAMP % 2).astype(np.int8), {IMOD: SIGNED})
    with open_volume(path) as volume:
        np.testing.assert_array_equal(read_labels(volume, whole(volume.shape)), RAMP % 2)


def test_what_follows_the_voxels_is_left_alone(tmp_path: Path) -> None:
    path = odd(tmp_path / "a.mrc", FLOATS)
    path.write_bytes(path.read_bytes() + bytes(513))
    np.testing.assert_array_equal(read_all(path), FLOATS)


def test_one_image_is_a_volume_of_one_section(tmp_path: Path) -> None:
    path = odd(tmp_path / "a.mrc", FLOATS[0])
    np.testing.assert_array_equal(read_all(path), FLOATS[:1])


def test_axes_that_differ_leave_the_voxel_size_unknown_and_say_so(tmp_path: Path) -> None:
    with open_volume(odd(tmp_path / "a.mrc", FLOATS, {CELL: floats(320, 240, 400)})) as volume:
        assert volume.voxel_size is None
        assert "10, 10, 20" in volume.warnings[0]


def _cut(path: Path, length: int) -> Path:
    path.write_bytes(path.read_bytes()[:length])
    return path


def _longer(path: Path, by: int) -> Path:
    path.write_bytes(path.read_bytes() + bytes(by))
    return path


def _stack_of_volumes(path: Path) -> Path:
    with mrcfile.new(path) as file:
        file.set_data(FLOATS[None].repeat(2, 0))
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "mode 3": (
        lambda p: odd(p, np.zeros((20, 24, 64), np.int16), {NX: ints(32, 24, 20, 3)}),
        "mode 3",
    ),
    "mode 4": (lambda p: odd(p, FLOATS.astype(np.complex64)), "mode 4"),
    "mode 16": (
        lambda p: odd(p, np.zeros((20, 24, 96), np.int8), {NX: ints(32, 24, 20, 16)}),
        "RGB",
    ),
    "volume stack": (_stack_of_volumes, "stack of volumes"),
    "empty": (lambda p: _cut(odd(p, FLOATS), 0), "is empty"),
    "700 bytes of header": (lambda p: _cut(odd(p, FLOATS), 700), "header alone is 1024"),
    "only a header": (lambda p: _cut(odd(p, FLOATS), 1024), "holds 1024"),
    "one byte short": (lambda p: _cut(odd(p, FLOATS), 1023 + FLOATS.nbytes), "promises"),
    "huge": (lambda p: odd(p, FLOATS, {NX: ints(60000, 60000, 60000)}), "promises"),
    "too huge": (lambda p: odd(p, FLOATS, {NX: ints(100000, 100000, 100000)}), "impossible"),
    "negative": (lambda p: odd(p, FLOATS, {NX: ints(-32)}), "impossible"),
    "zero": (lambda p: odd(p, FLOATS, {NX: ints(0)}), "impossible"),
    "unknown mode": (lambda p: odd(p, FLOATS, {12: ints(5)}), "impossible"),
    "2 GiB of extended header": (lambda p: odd(p, FLOATS, {NSYMBT: ints(2**31 - 1)}), "extended"),
    "half of its extended header": (
        lambda p: _longer(odd(p, FLOATS, {NSYMBT: ints(4096)}), 2048),
        "promises an extended header of 4096 bytes",
    ),
    "extended header beyond a cut end": (
        lambda p: _cut(odd(p, FLOATS, {NSYMBT: ints(4096)}), 1000 + FLOATS.nbytes),
        "promises",
    ),
    "extended header of -1": (lambda p: odd(p, FLOATS, {NSYMBT: ints(-1)}), "extended header"),
    "axis named twice": (lambda p: odd(p, FLOATS, {AXES: ints(1, 1, 3)}), "axes"),
    "axis 4": (lambda p: odd(p, FLOATS, {AXES: ints(1, 2, 4)}), "axes"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_tomogram_is_refused_in_one_sentence(tmp_path: Path, kind: Any) -> None:
    make, said = REFUSED[kind]
    path = make(tmp_path / "a.mrc")
    with pytest.raises(VolumeError, match=said) as error:
        open_volume(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


SHAPES = st.tuples(*[st.integers(1, 6)] * 3)
TYPES = st.sampled_from(["i1", "<i2", ">i2", "<u2", ">u2", "<f4", ">f4", "<f2", ">f2"])


@given(st.data())
def test_any_box_of_any_volume_is_the_array_s_slice(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """In every mode, byte order and order of axes."""
    voxels = data.draw(arrays(data.draw(TYPES), data.draw(SHAPES)))
    order = data.draw(st.sampled_from(list(permutations((0, 1, 2)))))
    spoken = [3 - axis for axis in reversed(order)]  # mapc, mapr, maps
    big = voxels.dtype.str.startswith(">")
    axes = struct.pack((">" if big else "<") + "3i", *spoken)
    folder = tmp_path_factory.mktemp("any")
    path = odd(folder / "a.mrc", np.ascontiguousarray(voxels.transpose(order)), {AXES: axes})
    box = data.draw(boxes(voxels.shape))
    with open_volume(path) as volume:
        assert volume.shape == voxels.shape
        np.testing.assert_array_equal(volume.read(box), voxels[box.slices])


@given(st.data())
def test_any_box_of_four_bit_values_is_the_array_s_slice(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    values = data.draw(arrays(np.uint8, data.draw(SHAPES), elements=st.integers(0, 15)))
    path = four_bit(tmp_path_factory.mktemp("any") / "a.mrc", values)
    box = data.draw(boxes(values.shape))
    with open_volume(path) as volume:
        np.testing.assert_array_equal(volume.read(box), values[box.slices])


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, ...]) -> Box:
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    stops = [draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    return Box(Zyx(*starts), Zyx(*stops))


def four_bit(path: Path, values: np.ndarray) -> Path:
    """Mode 101: the first of two values in the low half; a row ends on a whole byte."""
    depth, height, width = values.shape
    even = np.zeros((depth, height, width + width % 2), np.uint8)
    even[..., :width] = values
    packed = (even[..., 0::2] | even[..., 1::2] << 4).view(np.int8)
    return odd(path, packed, {NX: ints(width, height, depth, 101)})
